"""Which exchanges the SEMS portal needs (VENDORS 3.1). Paths are those under the portal's `/api`. Called by `adapter.py`."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from integrations.contract import Exchange, PlantRef, VendorRequest, VendorResponse

MONITOR_DETAIL = "/v3/PowerStation/GetMonitorDetailByPowerstationId"
CHART_BY_PLANT = "/v2/Charts/GetChartByPlant"
WARNINGS = "/SmartOperateMaintenance/GetPowerStationWariningInfoByMultiCondition"
"""The misspelling is the vendor's."""

PAGE_SIZE = 100
WARNING_SPAN = timedelta(days=30)
"""The vendor's longest span of one query. It keeps warnings for two of them."""


def monitor_detail(exchange: Exchange, plant: PlantRef) -> VendorResponse:
    return exchange(VendorRequest(MONITOR_DETAIL, {"powerStationId": plant.vendor_plant_id}))


def chart_of_days(exchange: Exchange, plant: PlantRef, last: date) -> VendorResponse:
    """The 31 days that end at `last`."""
    body = {"id": plant.vendor_plant_id, "date": last.isoformat(), "range": 2, "chartIndexId": "3", "isDetailFull": ""}
    return exchange(VendorRequest(CHART_BY_PLANT, body))


def warnings(exchange: Exchange, plant: PlantRef, end: datetime, page: int) -> VendorResponse:
    """Open and recovered ones (status 3: the one value on which the vendor's two documents agree) of the span before `end`."""
    body = {
        "stationid": plant.vendor_plant_id,
        "status": "3",
        "starttime": _local(end - WARNING_SPAN, plant),
        "endtime": _local(end, plant),
        "page_index": page,
        "page_size": PAGE_SIZE,
        "warninglevel": 7,
        "device_type": [],
        "fault_classification": [],
        "standard_faultLevel": [],
        "adcode": "",
        "township": "",
        "orgid": "",
    }
    return exchange(VendorRequest(WARNINGS, body))


def _local(instant: datetime, plant: PlantRef) -> str:
    return _local_second(int(instant.timestamp()), plant.timezone)


@lru_cache(maxsize=256)
def _local_second(epoch_s: int, zone: ZoneInfo) -> str:
    """All plants of a zone that are asked within one second are asked for the same spans."""
    local = datetime.fromtimestamp(epoch_s, zone)
    return f"{local.month:02}/{local.day:02}/{local.year:04} {local.hour:02}:{local.minute:02}:{local.second:02}"
