"""GOODWE behind the contract. Found through `integrations.registry`."""

from collections.abc import Mapping
from datetime import date, datetime

from integrations.contract import AlarmList, Brand, Exchange, PlantRef, Reading, VendorCapabilities
from integrations.goodwe import client, normalise
from integrations.paging import AlarmPage, read_pages


class GoodweAdapter:
    """SEMS portal (VENDORS 3)."""

    brand = Brand.GOODWE
    capabilities = VendorCapabilities(recommended_min_interval_seconds=60, timeout_seconds=10.0)

    def read_summary(self, plant: PlantRef, exchange: Exchange, now: datetime) -> Reading:
        return normalise.monitor_detail(client.monitor_detail(exchange, plant), plant.vendor_plant_id, plant.timezone)

    def read_alarms(self, plant: PlantRef, exchange: Exchange, now: datetime) -> AlarmList:
        """Everything the vendor keeps: an alarm older than one query's span may still be active."""
        recent = _read_span(plant, exchange, now)
        older = _read_span(plant, exchange, now - client.WARNING_SPAN)
        alarms = tuple(dict.fromkeys(recent.alarms + older.alarms))
        return AlarmList(alarms=alarms, complete=recent.complete and older.complete)

    def read_daily_energy(self, plant: PlantRef, exchange: Exchange, first: date, last: date, now: datetime) -> Mapping[date, float]:
        days = normalise.chart_of_days(client.chart_of_days(exchange, plant, last))
        return {day: energy for day, energy in days.items() if first <= day <= last}


def _read_span(plant: PlantRef, exchange: Exchange, end: datetime) -> AlarmList:
    def fetch(page: int) -> AlarmPage:
        return normalise.warnings(client.warnings(exchange, plant, end, page), plant.vendor_plant_id, plant.timezone)

    return read_pages(fetch, client.PAGE_SIZE)
