"""Single FusionSolar payloads (VENDORS 2.1). Found through `integrations.registry`."""

from collections.abc import Mapping

from integrations.capture import Capture, CaptureReader, Findings, segments, unknown_path
from integrations.contract import Reading
from integrations.errors import AdapterError, AdapterErrorType
from integrations.huawei import normalise
from integrations.payload import export_only


def read_capture(capture: Capture) -> Findings:
    """One payload of the path's last segment. Raises AdapterError."""
    parts = segments(capture.path)
    reader = _READERS.get(parts[-1] if parts else "")
    if reader is None:
        raise unknown_path(normalise.VENDOR, capture.path, _READERS)
    return reader(capture)


def _station(capture: Capture) -> Findings:
    found = normalise.station_real_kpi(capture.response, capture.plant_id)
    return Findings(
        reading=Reading(last_seen_at=found.last_seen_at, today_energy_kwh=found.today_energy_kwh, total_energy_kwh=found.total_energy_kwh)
    )


def _devices(capture: Capture) -> Findings:
    found = normalise.device_real_kpi(capture.response, capture.device_type, None, capture.plant_id)
    if found.device_type is None:
        message = f"{normalise.VENDOR} does not say of which type the devices are; --device-type is needed"
        raise AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, message)
    if found.device_type in normalise.INVERTERS:
        return Findings(reading=Reading(last_seen_at=found.last_seen_at, current_power_w=found.power_w))
    export = None if found.power_w is None else export_only(found.power_w * normalise.METER_EXPORT_SIGN)
    return Findings(reading=Reading(last_seen_at=found.last_seen_at, grid_injection_power_w=export))


def _plants(capture: Capture) -> Findings:
    """Plants are listed with what they are, not with what they do."""
    normalise.plant_list(capture.response, capture.plant_id)
    return Findings()


def _device_list(capture: Capture) -> Findings:
    normalise.device_list(capture.response, capture.plant_id)
    return Findings()


def _days(capture: Capture) -> Findings:
    return Findings(days=normalise.station_day(capture.response, capture.plant_id, capture.zone))


def _alarms(capture: Capture) -> Findings:
    return Findings(alarms=normalise.alarm_list(capture.response, capture.plant_id))


def _kiosk(capture: Capture) -> Findings:
    return Findings(reading=normalise.kiosk(capture.response))


_READERS: Mapping[str, CaptureReader] = {
    "getstationrealkpi": _station,
    "getdevrealkpi": _devices,
    "stations": _plants,
    "getstationlist": _plants,
    "getdevlist": _device_list,
    "getkpistationday": _days,
    "getalarmlist": _alarms,
    "station-kiosk-file": _kiosk,
}
