"""An invented plant through a day: power is a bell with passing clouds, energy its integral; what the house leaves goes to the grid."""

import math
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Sao_Paulo")
DAY = date(2026, 1, 15)
STEP = timedelta(minutes=5)
"""Every vendor refreshes about every five minutes."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """An invented plant."""

    brand: str
    plant_id: str
    capacity_kwp: float
    peak_share: float
    """Power at noon under a clear sky, as a share of the capacity."""
    clouds: float
    cloud_phase: float
    lifetime_kwh: float
    """Before the recorded day."""
    load_w: float
    """What the house uses all day; mornings and evenings it uses more."""
    battery_w: float = 0.0


@dataclass(frozen=True)
class Sample:
    """The plant at one local time of the recorded day, or of one before."""

    at: datetime
    power_w: float
    energy_kwh: float
    """Of the day so far."""
    load_w: float
    battery_w: float
    """Positive discharges, negative charges."""
    grid_w: float
    """Positive exports, negative imports."""
    export_kwh: float
    import_kwh: float
    load_kwh: float
    days_ago: int = 0
    shown_kwh: float | None = None
    """What the vendor shows as the day's energy, where it is not that."""

    @property
    def today_kwh(self) -> float:
        return self.energy_kwh if self.shown_kwh is None else self.shown_kwh

    @property
    def ms(self) -> int:
        return int(self.at.timestamp() * 1000)

    @property
    def seconds(self) -> int:
        return int(self.at.timestamp())


def local(at: time, days: int = 0) -> datetime:
    return datetime.combine(DAY + timedelta(days=days), at, tzinfo=ZONE)


def ms(at: time, days: int = 0) -> int:
    return int(local(at, days).timestamp() * 1000)


def us(instant: datetime) -> str:
    return f"{instant:%m/%d/%Y %H:%M:%S}"


def samples(site: Site) -> list[Sample]:
    """The recorded day in steps of five minutes from 00:00. Energies are sums of the trapezoids so far."""
    found: list[Sample] = []
    step_hours = STEP.total_seconds() / 3600
    for number in range(int(timedelta(days=1) / STEP)):
        at = local(time(0)) + number * STEP
        hour = at.hour + at.minute / 60
        made, used = _power(site, hour), _load(site, hour)
        stored = _battery(site, hour, made - used)
        grid = made + stored - used
        last = found[-1] if found else None

        def so_far(energy: float, before: float, now: float) -> float:
            return energy + (before + now) / 2 / 1000 * step_hours

        found.append(
            Sample(
                at=at,
                power_w=made,
                energy_kwh=so_far(last.energy_kwh, last.power_w, made) if last else 0.0,
                load_w=used,
                battery_w=stored,
                grid_w=grid,
                export_kwh=so_far(last.export_kwh, max(0, last.grid_w), max(0, grid)) if last else 0.0,
                import_kwh=so_far(last.import_kwh, max(0, -last.grid_w), max(0, -grid)) if last else 0.0,
                load_kwh=so_far(last.load_kwh, last.load_w, used) if last else 0.0,
            )
        )
    return found


def sample_at(readings: list[Sample], at: time, days_ago: int = 0) -> Sample:
    """The newest sample not later than a local time, of an earlier day if need be: every day was like the recorded one."""
    found = [reading for reading in readings if reading.at.time() <= at][-1]
    return replace(found, at=found.at - timedelta(days=days_ago), days_ago=days_ago)


def _power(site: Site, hour: float) -> float:
    """Sunrise 05:35, sunset 18:55, as in Sao Paulo in January."""
    rise, sunset = 5.58, 18.92
    if not rise < hour < sunset:
        return 0.0
    bell = math.pow(math.sin(math.pi * (hour - rise) / (sunset - rise)), 1.3)
    cloud = max(0.0, math.sin(2.9 * hour + site.cloud_phase)) * max(0.0, math.sin(0.83 * hour + 2 * site.cloud_phase))
    return round(1000 * site.capacity_kwp * site.peak_share * bell * (1 - site.clouds * cloud))


def _load(site: Site, hour: float) -> float:
    morning, evening = math.exp(-(((hour - 7.2) / 0.9) ** 2)), math.exp(-(((hour - 20.0) / 1.6) ** 2))
    return round(site.load_w * (1 + 1.1 * morning + 2.2 * evening + 0.15 * math.sin(5 * hour)))


def _battery(site: Site, hour: float, surplus: float) -> float:
    if not site.battery_w:
        return 0.0
    if surplus > 0:
        return -min(surplus, site.battery_w) if hour < 13.5 else 0.0
    return min(-surplus, site.battery_w / 2) if 18 < hour < 23 else 0.0
