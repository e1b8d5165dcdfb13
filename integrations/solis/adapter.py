"""SOLIS behind the contract. Found through `integrations.registry`."""

from collections.abc import Mapping
from datetime import date, datetime

from integrations.contract import AlarmList, Brand, Exchange, PlantRef, Reading, VendorCapabilities
from integrations.paging import read_pages
from integrations.payload import months
from integrations.solis import client, normalise


class SolisAdapter:
    """SolisCloud (VENDORS 1)."""

    brand = Brand.SOLIS
    capabilities = VendorCapabilities(recommended_min_interval_seconds=60, timeout_seconds=10.0)

    def read_summary(self, plant: PlantRef, exchange: Exchange, now: datetime) -> Reading:
        return normalise.station_detail(client.station_detail(exchange, plant), plant.vendor_plant_id)

    def read_alarms(self, plant: PlantRef, exchange: Exchange, now: datetime) -> AlarmList:
        return read_pages(
            lambda page: normalise.alarm_list(client.alarm_list(exchange, plant, page), plant.vendor_plant_id), client.PAGE_SIZE
        )

    def read_daily_energy(self, plant: PlantRef, exchange: Exchange, first: date, last: date, now: datetime) -> Mapping[date, float]:
        days: dict[date, float] = {}
        for month in months(first, last):
            days |= normalise.station_month(client.station_month(exchange, plant, month, now))
        return {day: energy for day, energy in days.items() if first <= day <= last}
