"""Which exchanges the FusionSolar northbound API needs (VENDORS 2.1: iMaster NetEco northbound reference). Called by `adapter.py`."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from integrations.contract import Exchange, PlantRef, VendorRequest, VendorResponse

STATION_REAL_KPI = "/thirdData/getStationRealKpi"
DEVICE_LIST = "/thirdData/getDevList"
DEVICE_REAL_KPI = "/thirdData/getDevRealKpi"
DEVICE_HISTORY = "/thirdData/getDevHistoryKpi"
STATION_DAY = "/thirdData/getKpiStationDay"
ALARM_LIST = "/thirdData/getAlarmList"

DEVICES_PER_REQUEST = 100
HISTORY_WINDOW = timedelta(days=3)
"""The vendor's longest."""
ALARM_WINDOW = timedelta(days=30)
"""The vendor refuses 31 days (20027). The list holds active alarms only."""
_ALARM_WINDOW_MS = ALARM_WINDOW // timedelta(milliseconds=1)


def station_real_kpi(exchange: Exchange, plant: PlantRef) -> VendorResponse:
    return exchange(VendorRequest(STATION_REAL_KPI, {"stationCodes": plant.vendor_plant_id}))


def device_list(exchange: Exchange, plant: PlantRef) -> VendorResponse:
    return exchange(VendorRequest(DEVICE_LIST, {"stationCodes": plant.vendor_plant_id}))


def device_real_kpi(exchange: Exchange, device_type: int, device_ids: Sequence[str]) -> VendorResponse:
    """One type and at most `DEVICES_PER_REQUEST` devices a request."""
    return exchange(VendorRequest(DEVICE_REAL_KPI, {"devIds": ",".join(device_ids), "devTypeId": device_type}))


def device_history(exchange: Exchange, device_type: int, device_ids: Sequence[str], now: datetime) -> VendorResponse:
    """Five-minute figures of the last days, of one type and at most `DEVICES_PER_REQUEST` devices.

    Not in VENDORS 2.1; public clients use it, and VENDORS 2.6 wants the newest `collectTime`.
    """
    window = {"startTime": _ms(now - HISTORY_WINDOW), "endTime": _ms(now)}
    return exchange(VendorRequest(DEVICE_HISTORY, {"devIds": ",".join(device_ids), "devTypeId": device_type, **window}))


def station_day(exchange: Exchange, plant: PlantRef, day: date) -> VendorResponse:
    """The whole local month of `day`."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=plant.timezone)
    return exchange(VendorRequest(STATION_DAY, {"stationCodes": plant.vendor_plant_id, "collectTime": _ms(noon)}))


def alarm_list(exchange: Exchange, plant: PlantRef, now: datetime) -> VendorResponse:
    end = _ms(now)
    return exchange(
        VendorRequest(
            ALARM_LIST,
            {
                "stationCodes": plant.vendor_plant_id,
                "beginTime": end - _ALARM_WINDOW_MS,
                "endTime": end,
                "language": "en_US",
            },
        )
    )


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
