"""DELE behind the contract. Found through `integrations.registry`."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from integrations.contract import AlarmList, Brand, Exchange, PlantRef, Reading, VendorCapabilities
from integrations.dele import client, normalise
from integrations.dele.normalise import DeviceEnergies
from integrations.paging import read_pages
from integrations.payload import complete_total

LONGEST_SILENCE = timedelta(days=31)
"""Of a plant silent for longer, the energy of its last day is not asked for: no day that old is kept (DOMAIN 4)."""


class DeleAdapter:
    """Deye Cloud (VENDORS 4)."""

    brand = Brand.DELE
    capabilities = VendorCapabilities(recommended_min_interval_seconds=60, timeout_seconds=10.0)

    def read_summary(self, plant: PlantRef, exchange: Exchange, now: datetime) -> Reading:
        """Power from the station, energy of the sample's own local day from its history, lifetime energy from its inverters."""
        station = normalise.station_latest(client.station_latest(exchange, plant), plant.vendor_plant_id)
        devices = _read_inverters(plant, exchange)
        lifetime = station.total_energy_kwh
        return Reading(
            sampled_at=station.last_seen_at,
            last_seen_at=station.last_seen_at,
            current_power_w=station.current_power_w,
            today_energy_kwh=_read_day(plant, exchange, station.last_seen_at or now, devices, now),
            total_energy_kwh=lifetime if lifetime is not None else devices.total_energy_kwh,
            grid_injection_power_w=station.grid_injection_power_w,
        )

    def read_alarms(self, plant: PlantRef, exchange: Exchange, now: datetime) -> AlarmList:
        return read_pages(
            lambda page: normalise.alert_list(client.alert_list(exchange, plant, now, page), plant.vendor_plant_id), client.ALERT_PAGE_SIZE
        )

    def read_daily_energy(self, plant: PlantRef, exchange: Exchange, first: date, last: date, now: datetime) -> Mapping[date, float]:
        days = normalise.station_history(client.station_history(exchange, plant, first, last), plant.vendor_plant_id)
        return {day: energy for day, energy in days.items() if first <= day <= last}


def _read_day(plant: PlantRef, exchange: Exchange, sampled_at: datetime, devices: DeviceEnergies, now: datetime) -> float | None:
    """The energy of the sample's local day. A stale sample must not bring today's energy."""
    if not -LONGEST_SILENCE < now - sampled_at < LONGEST_SILENCE:
        return None
    day = sampled_at.astimezone(plant.timezone).date()
    energy = normalise.station_history(client.station_history(exchange, plant, day, day), plant.vendor_plant_id).get(day)
    return energy if energy is not None else devices.today_energy_kwh


def _read_inverters(plant: PlantRef, exchange: Exchange) -> DeviceEnergies:
    serials = normalise.station_device(client.station_device(exchange, plant), plant.vendor_plant_id)
    batches = [serials[start : start + client.DEVICES_PER_REQUEST] for start in range(0, len(serials), client.DEVICES_PER_REQUEST)]
    parts = [normalise.device_latest(client.device_latest(exchange, batch), batch) for batch in batches]
    if len(parts) == 1:
        return parts[0]
    return DeviceEnergies(
        today_energy_kwh=complete_total([part.today_energy_kwh for part in parts]),
        total_energy_kwh=complete_total([part.total_energy_kwh for part in parts]),
    )
