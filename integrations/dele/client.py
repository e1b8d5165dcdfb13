"""Which exchanges Deye Cloud needs (VENDORS 4.1), under the base `/v1.0`. Called by `adapter.py`.

That the brand DELE is Deye Cloud is an assumption (docs: VENDORS 4). `/station/device` is not in VENDORS; clients in the field use it to
find the serial numbers that `/device/latest` asks for.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from integrations.contract import Exchange, PlantRef, VendorRequest, VendorResponse

STATION_LATEST = "/station/latest"
STATION_HISTORY = "/station/history"
STATION_DEVICE = "/station/device"
DEVICE_LATEST = "/device/latest"
ALERT_LIST = "/station/alertList"

BY_DAY = 2
DEVICES_PER_REQUEST = 10
DEVICE_PAGE_SIZE = 50
ALERT_PAGE_SIZE = 200
ALERT_WINDOW = timedelta(days=180)
"""The vendor's longest."""
_ALERT_WINDOW_S = ALERT_WINDOW // timedelta(seconds=1)
_ONE_DAY = timedelta(days=1)


def station_latest(exchange: Exchange, plant: PlantRef) -> VendorResponse:
    return exchange(VendorRequest(STATION_LATEST, {"stationId": _station_id(plant)}))


def station_history(exchange: Exchange, plant: PlantRef, first: date, last: date) -> VendorResponse:
    """Days first..last, both included; the vendor's `endAt` is excluded. At most 31 days."""
    body = {
        "stationId": _station_id(plant),
        "granularity": BY_DAY,
        "startAt": first.isoformat(),
        "endAt": (last + _ONE_DAY).isoformat(),
    }
    return exchange(VendorRequest(STATION_HISTORY, body))


def station_device(exchange: Exchange, plant: PlantRef) -> VendorResponse:
    return exchange(VendorRequest(STATION_DEVICE, {"page": 1, "size": DEVICE_PAGE_SIZE, "stationIds": [_station_id(plant)]}))


def device_latest(exchange: Exchange, serials: Sequence[str]) -> VendorResponse:
    """At most `DEVICES_PER_REQUEST` devices a request."""
    return exchange(VendorRequest(DEVICE_LATEST, {"deviceList": list(serials)}))


def alert_list(exchange: Exchange, plant: PlantRef, now: datetime, page: int) -> VendorResponse:
    end = int(now.timestamp())
    body = {
        "stationId": _station_id(plant),
        "startTimestamp": end - _ALERT_WINDOW_S,
        "endTimestamp": end,
        "page": page,
        "size": ALERT_PAGE_SIZE,
    }
    return exchange(VendorRequest(ALERT_LIST, body))


def _station_id(plant: PlantRef) -> int | str:
    """Deye's station ids are whole numbers. Another text is sent as it is: the vendor shall refuse it, not we guess."""
    vendor_id = plant.vendor_plant_id
    return int(vendor_id) if vendor_id.isdecimal() and vendor_id.isascii() else vendor_id
