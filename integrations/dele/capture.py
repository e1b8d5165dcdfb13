"""Single payloads of Deye Cloud and of SOLARMAN (VENDORS 4.1). Found through `integrations.registry`."""

from collections.abc import Mapping

from integrations.capture import Capture, CaptureReader, Findings, segments, unknown_path
from integrations.contract import Reading
from integrations.dele import normalise
from integrations.dele.normalise import StationLatest


def read_capture(capture: Capture) -> Findings:
    """One payload of the path's last two segments. Raises AdapterError."""
    reader = _READERS.get("/".join(segments(capture.path)[-2:]))
    if reader is None:
        raise unknown_path(normalise.VENDOR, capture.path, _READERS)
    return reader(capture)


def _latest(capture: Capture) -> Findings:
    return _station(normalise.station_latest(capture.response, capture.plant_id))


def _list(capture: Capture) -> Findings:
    return _station(normalise.station_list(capture.response, capture.plant_id))


def _station(found: StationLatest) -> Findings:
    return Findings(
        reading=Reading(
            sampled_at=found.last_seen_at,
            last_seen_at=found.last_seen_at,
            current_power_w=found.current_power_w,
            total_energy_kwh=found.total_energy_kwh,
            grid_injection_power_w=found.grid_injection_power_w,
        )
    )


def _history(capture: Capture) -> Findings:
    return Findings(days=normalise.station_history(capture.response, capture.plant_id))


def _device(capture: Capture) -> Findings:
    found = normalise.current_data(capture.response)
    return Findings(reading=Reading(today_energy_kwh=found.today_energy_kwh, total_energy_kwh=found.total_energy_kwh))


def _device_list(capture: Capture) -> Findings:
    """Devices are listed with what they are, not with what they do."""
    normalise.station_device(capture.response, capture.plant_id)
    return Findings()


def _alerts(capture: Capture) -> Findings:
    page = normalise.alert_list(capture.response, capture.plant_id)
    return Findings(alarms=page.alarms if page.seen else None)


_READERS: Mapping[str, CaptureReader] = {
    "station/latest": _latest,
    "station/realtime": _latest,
    "station/list": _list,
    "station/history": _history,
    "station/device": _device_list,
    "station/alertlist": _alerts,
    "station/alert": _alerts,
    "station/alertv2": _alerts,
    "device/alertlist": _alerts,
    "device/latest": _device,
    "device/currentdata": _device,
}
