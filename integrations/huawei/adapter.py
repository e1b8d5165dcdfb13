"""HUAWEI behind the contract. Found through `integrations.registry`."""

from collections.abc import Mapping
from datetime import date, datetime

from integrations.contract import AlarmList, Brand, Exchange, PlantRef, Reading, VendorCapabilities
from integrations.errors import AdapterError, AdapterErrorType
from integrations.huawei import client, normalise
from integrations.huawei.normalise import DeviceKpi
from integrations.payload import export_only, months, newest, total

UNTOLD = (AdapterErrorType.VENDOR_ERROR, AdapterErrorType.INVALID_DATA_FORMAT, AdapterErrorType.PLANT_NOT_FOUND)
"""Errors that concern the last report alone. The others concern the account or the line: they are the poll's."""


class HuaweiAdapter:
    """FusionSolar northbound (VENDORS 2)."""

    brand = Brand.HUAWEI
    capabilities = VendorCapabilities(recommended_min_interval_seconds=60, timeout_seconds=10.0)

    def read_summary(self, plant: PlantRef, exchange: Exchange, now: datetime) -> Reading:
        """Energies of the plant, power of its inverters, export of its meter. The vendor gives no sample time: `sampled_at` is None."""
        station = normalise.station_real_kpi(client.station_real_kpi(exchange, plant), plant.vendor_plant_id)
        devices = _list_devices(exchange, plant)
        inverters = [kpi for kind in normalise.INVERTERS for kpi in _read_devices(exchange, kind, devices)]
        seen = newest([station.last_seen_at, *[kpi.last_seen_at for kpi in inverters]])
        meter_power = total([kpi.power_w for kpi in _read_meters(exchange, devices)])
        return Reading(
            last_seen_at=seen if seen is not None else _last_report(exchange, devices, now),
            current_power_w=total([kpi.power_w for kpi in inverters]),
            today_energy_kwh=station.today_energy_kwh,
            total_energy_kwh=station.total_energy_kwh,
            grid_injection_power_w=export_only(None if meter_power is None else meter_power * normalise.METER_EXPORT_SIGN),
        )

    def read_alarms(self, plant: PlantRef, exchange: Exchange, now: datetime) -> AlarmList:
        alarms = normalise.alarm_list(client.alarm_list(exchange, plant, now), plant.vendor_plant_id)
        return AlarmList(alarms=alarms, complete=True)

    def read_daily_energy(self, plant: PlantRef, exchange: Exchange, first: date, last: date, now: datetime) -> Mapping[date, float]:
        days: dict[date, float] = {}
        for month in months(first, last):
            answer = client.station_day(exchange, plant, max(month, first))
            days |= normalise.station_day(answer, plant.vendor_plant_id, plant.timezone)
        return {day: energy for day, energy in days.items() if first <= day <= last}


def _list_devices(exchange: Exchange, plant: PlantRef) -> Mapping[int, list[str]]:
    try:
        return normalise.device_list(client.device_list(exchange, plant), plant.vendor_plant_id)
    except normalise.NoDevices:
        return {}


def _last_report(exchange: Exchange, devices: Mapping[int, list[str]], now: datetime) -> datetime | None:
    """When a disconnected plant last reported: the newest figures of its inverters. None where the vendor does not say.

    Not every account may ask for them, so an answer that is no answer leaves the time unknown, which keeps the previous one (DOMAIN 3).
    """
    reports = []
    for kind in normalise.INVERTERS:
        batch = devices.get(kind, [])[: client.DEVICES_PER_REQUEST]
        if not batch:
            continue
        try:
            reports.append(normalise.device_real_kpi(client.device_history(exchange, kind, batch, now), kind, batch).last_seen_at)
        except AdapterError as error:
            if error.error_type not in UNTOLD:
                raise
    return newest(reports)


def _read_meters(exchange: Exchange, devices: Mapping[int, list[str]]) -> list[DeviceKpi]:
    """Of the kind that is there: two kinds at one plant measure the same connection."""
    kind = normalise.GRID_METER if normalise.GRID_METER in devices else normalise.POWER_SENSOR
    return _read_devices(exchange, kind, devices)


def _read_devices(exchange: Exchange, kind: int, devices: Mapping[int, list[str]]) -> list[DeviceKpi]:
    ids = devices.get(kind)
    if ids is None:
        return []
    batches = [ids[start : start + client.DEVICES_PER_REQUEST] for start in range(0, len(ids), client.DEVICES_PER_REQUEST)]
    try:
        return [normalise.device_real_kpi(client.device_real_kpi(exchange, kind, batch), kind, batch) for batch in batches]
    except normalise.NoDevices:
        return []
