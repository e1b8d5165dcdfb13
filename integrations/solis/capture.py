"""Single SolisCloud payloads (VENDORS 1.1). Found through `integrations.registry`."""

from collections.abc import Mapping

from integrations.answers import wrapped
from integrations.capture import Capture, CaptureReader, Findings, segments, unknown_path
from integrations.contract import VendorResponse
from integrations.solis import normalise


def read_capture(capture: Capture) -> Findings:
    """One payload of the path's last segment. Raises AdapterError."""
    parts = segments(capture.path)
    reader = _READERS.get(parts[-1] if parts else "")
    if reader is None:
        raise unknown_path(normalise.VENDOR, capture.path, _READERS)
    return reader(capture)


def _detail(capture: Capture) -> Findings:
    return Findings(reading=normalise.station_detail(_enveloped(capture.response), capture.plant_id))


def _list(capture: Capture) -> Findings:
    return Findings(reading=normalise.station_list(capture.response, capture.plant_id))


def _month(capture: Capture) -> Findings:
    return Findings(days=normalise.station_month(capture.response))


def _day(capture: Capture) -> Findings:
    return Findings(days=normalise.station_day_energies(capture.response, capture.plant_id))


def _alarms(capture: Capture) -> Findings:
    page = normalise.alarm_list(capture.response, capture.plant_id)
    return Findings(alarms=page.alarms if page.seen else None)


def _enveloped(response: VendorResponse) -> VendorResponse:
    """Captures are often what a client kept: the data without its envelope."""
    envelope = {"success": True, "code": "0", "msg": "success"}
    return wrapped(response, envelope, marks=("dataTimestamp", "dayEnergy", "power"))


_READERS: Mapping[str, CaptureReader] = {
    "stationdetail": _detail,
    "userstationlist": _list,
    "stationdetaillist": _list,
    "stationmonth": _month,
    "stationdayenergylist": _day,
    "alarmlist": _alarms,
}
