"""Single SEMS payloads, of the portal and of the OpenAPI (VENDORS 3.1). Found through `integrations.registry`."""

from collections.abc import Mapping

from integrations.answers import wrapped
from integrations.capture import Capture, CaptureReader, Findings, segments, unknown_path
from integrations.contract import VendorResponse
from integrations.goodwe import normalise


def read_capture(capture: Capture) -> Findings:
    """One payload of the path's last segment. Raises AdapterError."""
    parts = segments(capture.path)
    reader = _READERS.get(parts[-1] if parts else "")
    if reader is None:
        raise unknown_path(normalise.VENDOR, capture.path, _READERS)
    return reader(capture)


def _detail(capture: Capture) -> Findings:
    return Findings(reading=normalise.monitor_detail(_enveloped(capture.response), capture.plant_id, capture.zone))


def _list(capture: Capture) -> Findings:
    return Findings(reading=normalise.station_list(capture.response, capture.plant_id))


def _chart(capture: Capture) -> Findings:
    return Findings(days=normalise.chart_of_days(capture.response))


def _days(capture: Capture) -> Findings:
    return Findings(days=normalise.power_and_income(capture.response))


def _warnings(capture: Capture) -> Findings:
    return Findings(alarms=normalise.warnings(capture.response, capture.plant_id, capture.zone).alarms)


def _enveloped(response: VendorResponse) -> VendorResponse:
    """Captures are often what a client kept: the data without its envelope."""
    return wrapped(response, {"hasError": False, "code": "0", "msg": "success"}, marks=("info", "kpi", "inverter"))


_READERS: Mapping[str, CaptureReader] = {
    "getmonitordetailbypowerstationid": _detail,
    "querypowerstationmonitor": _list,
    "getchartbyplant": _chart,
    "getpowerstationpowerandincomebyday": _days,
    "getpowerstationwarininginfobymulticondition": _warnings,
}
