"""Which exchanges the SolisCloud API needs (VENDORS 1.1: SolisCloud Platform API Document V2.0). Called by `adapter.py`."""

from datetime import date, datetime

from integrations.contract import Exchange, PlantRef, VendorRequest, VendorResponse

STATION_DETAIL = "/v1/api/stationDetail"
STATION_MONTH = "/v1/api/stationMonth"
ALARM_LIST = "/v1/api/alarmList"

PAGE_SIZE = 100
"""The vendor's maximum."""


def station_detail(exchange: Exchange, plant: PlantRef) -> VendorResponse:
    return exchange(VendorRequest(STATION_DETAIL, {"id": plant.vendor_plant_id}))


def station_month(exchange: Exchange, plant: PlantRef, month: date, now: datetime) -> VendorResponse:
    """The days of one month. `money` is required by the vendor and not read by us."""
    offset = now.astimezone(plant.timezone).utcoffset()
    hours = offset.total_seconds() / 3600 if offset is not None else 0
    return exchange(
        VendorRequest(STATION_MONTH, {"id": plant.vendor_plant_id, "money": "BRL", "month": f"{month:%Y-%m}", "timeZone": hours})
    )


def alarm_list(exchange: Exchange, plant: PlantRef, page: int) -> VendorResponse:
    """No begin date: an alarm may be active for longer than any window, and only a whole list may close one by absence."""
    return exchange(VendorRequest(ALARM_LIST, {"pageNo": page, "pageSize": PAGE_SIZE, "stationId": plant.vendor_plant_id}))
