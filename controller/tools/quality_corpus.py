"""The labelled corpus of `solarinvest quality`: simulated plants, what ails each and when, and what their polls bring. Called by `quality`.

A plant of 5 kWp lies flat and turns 80 % of what `quality_weather` brings into energy; its meter counts in 0.1 kWh. Its logger reports
every ten minutes, and three minutes later the vendor is polled, who repeats the last report for as long as none is newer.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from math import radians, sin
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from controller.domain.outcome import Failed, JobResult, Seen, SeenDays
from controller.domain.plant import PollError, StatusPolicy
from controller.domain.schedule import BACKFILL_DAYS, close_at, local_date
from controller.tools.quality_weather import Climate, Sky
from controller.tools.replay_input import Line, ReplayPlant, parse_plant
from integrations.contract import AlarmList, Reading

FIRST_DAY = date(2025, 1, 1)
STEP = timedelta(minutes=10)
POLL_AFTER = timedelta(minutes=3)
CAPACITY_KWP = 5.0
PERFORMANCE_RATIO = 0.8
"""Energy that leaves the inverter per energy that its modules would make at their rating: a usual performance ratio."""
WAKES_AT_ELEVATION = sin(radians(3))
"""A logger that sleeps at night is awake with the sun this far above the horizon: there are trees, and inverters need to start."""
WAKES_AT_W_M2 = 10.0
"""A logger that sleeps in the dark lives on what its modules make, and is awake from 1 % of their rating on."""
SOILING_A_DAY = 0.002
"""A. Kimber et al., "The effect of soiling on large grid-connected photovoltaic systems", IEEE WCPEC-4 (2006): 0.2 % a day without rain."""
WARM_UP_DAYS = 10
CLOSE_PHASE_S = 120
"""The daily jobs run at 23:52 local, as some plants' do (DOMAIN 4)."""


class Place(msgspec.Struct, frozen=True):
    """Where a plant stands. Its climate is our own round figure for the region, no measurement."""

    name: str
    latitude: float
    longitude: float
    timezone: str
    climate: Climate

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


PLACES = (
    Place("Montevideo", -34.9, -56.2, "America/Montevideo", Climate(0.50, 0.06, 1)),
    Place("Cape Town", -33.9, 18.4, "Africa/Johannesburg", Climate(0.57, 0.06, 1)),
    Place("Perth", -31.95, 115.9, "Australia/Perth", Climate(0.58, 0.06, 1)),
    Place("Porto Alegre", -30.0, -51.2, "America/Sao_Paulo", Climate(0.48, 0.04, 1)),
    Place("Sao Paulo", -23.55, -46.6, "America/Sao_Paulo", Climate(0.44, 0.04, 8)),
    Place("Calama", -22.5, -68.9, "America/Santiago", Climate(0.72, 0.03, 11)),
    Place("Brasilia", -15.8, -47.9, "America/Sao_Paulo", Climate(0.53, 0.07, 8)),
    Place("Nairobi", -1.3, 36.8, "Africa/Nairobi", Climate(0.53, 0.05, 2)),
    Place("Singapore", 1.35, 103.8, "Asia/Singapore", Climate(0.44, 0.02, 2)),
    Place("Bengaluru", 13.0, 77.6, "Asia/Kolkata", Climate(0.54, 0.09, 3)),
    Place("Riyadh", 24.7, 46.7, "Asia/Riyadh", Climate(0.63, 0.03, 6)),
    Place("Phoenix", 33.4, -112.0, "America/Phoenix", Climate(0.64, 0.05, 6)),
    Place("Tokyo", 35.7, 139.7, "Asia/Tokyo", Climate(0.44, 0.04, 1)),
    Place("Athens", 38.0, 23.7, "Europe/Athens", Climate(0.54, 0.10, 7)),
    Place("New York", 40.7, -74.0, "America/New_York", Climate(0.47, 0.04, 7)),
    Place("Milan", 45.5, 9.2, "Europe/Rome", Climate(0.44, 0.09, 7)),
    Place("Munich", 48.1, 11.6, "Europe/Berlin", Climate(0.43, 0.07, 7)),
    Place("London", 51.5, -0.1, "Europe/London", Climate(0.40, 0.06, 7)),
    Place("Dublin", 53.35, -6.3, "Europe/Dublin", Climate(0.39, 0.05, 5)),
    Place("Gdansk", 54.35, 18.6, "Europe/Warsaw", Climate(0.40, 0.09, 6)),
)


class Ailment(StrEnum):
    """The label of a plant's year."""

    HEALTHY = "healthy"
    ASLEEP = "logger asleep at night"
    DARK = "logger asleep in the dark"
    OUTAGE = "vendor outage"
    SILENT = "silent logger"
    DEAD = "dead inverter"
    HALF = "half string out"
    SOILING = "slow soiling"


class Episode(msgspec.Struct, frozen=True):
    """When something is wrong: from `begin` up to `end`."""

    begin: datetime
    end: datetime


class Life(msgspec.Struct, frozen=True):
    """A simulated plant's labelled year: its sky, and the episodes in which it (or its vendor) is not well."""

    place: Place
    ailment: Ailment
    sky: Sky
    first: date
    days: int
    episodes: tuple[Episode, ...]

    @property
    def begin(self) -> datetime:
        return _midnight(self.first, self.place.zone)

    @property
    def end(self) -> datetime:
        return _midnight(self.first + timedelta(days=self.days), self.place.zone)

    def is_ill(self, at: datetime) -> bool:
        return any(episode.begin <= at < episode.end for episode in self.episodes)

    def plant(self, policy: StatusPolicy) -> ReplayPlant:
        return parse_plant(
            {
                "brand": "SOLIS",
                "vendorPlantId": f"{self.place.name} {self.ailment}".replace(" ", "-"),
                "timezone": self.place.timezone,
                "pollInterval": "10m",
                "statusPolicy": policy.value,
                "location": {"latitude": self.place.latitude, "longitude": self.place.longitude},
                "capacityKWp": CAPACITY_KWP,
                "createdAt": self.begin.isoformat(),
            }
        )


def live(place: Place, ailment: Ailment, days: int, seed: int) -> Life:
    """The life of a plant at `place`. All of a place share one sky, so that an ill one can be held against the healthy one."""
    sky = Sky(place.latitude, place.longitude, place.climate, FIRST_DAY, days, f"{seed} {place.name}")
    episodes = tuple(_episodes(place, ailment, days, Random(f"{seed} {place.name} {ailment}")))
    return Life(place, ailment, sky, FIRST_DAY, days, episodes)


def lines(life: Life) -> Iterator[Line]:
    """What the plant's polls and daily jobs bring, in time order."""
    zone, vendor = life.place.zone, _Vendor(life)
    at, closing = life.begin, life.first
    number = 0
    while at < life.end:
        polled = at + POLL_AFTER
        vendor.hear(at)
        answers = vendor.answers(at)
        while answers and (due := close_at(closing, zone, CLOSE_PHASE_S)) <= polled:
            number += 1
            # One that found no answer runs when there is one again.
            yield Line(number, due if due > polled - STEP else polled, vendor.series(closing), closing)
            closing += timedelta(days=1)
        number += 1
        yield Line(number, polled, vendor.summary() if answers else Failed(PollError.VENDOR_ERROR))
        at += STEP


class _Vendor:
    """What the plant has reported, and what the vendor's cloud makes of it."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._zone = life.place.zone
        self._day = life.first
        self._today = 0.0
        self._total = 1000.0
        self._known: dict[date, float] = {}
        self._last = Reading()

    def hear(self, at: datetime) -> None:
        """The ten minutes that end at `at`: energy is made, and reported if the logger can."""
        irradiance = self._life.sky.irradiance(at)
        power = irradiance * CAPACITY_KWP * PERFORMANCE_RATIO * _yield(self._life, at)
        day = local_date(at, self._zone)
        if day != self._day:
            self._day, self._today = day, 0.0
        made = power / 1000 * (STEP / timedelta(hours=1))
        self._today, self._total = self._today + made, self._total + made
        if not _reports(self._life, at, irradiance):
            return
        self._known[day] = round(self._today, 1)
        self._last = Reading(
            sampled_at=at,
            last_seen_at=at,
            current_power_w=round(power),
            today_energy_kwh=self._known[day],
            total_energy_kwh=round(self._total, 1),
        )

    def answers(self, at: datetime) -> bool:
        return not (self._life.ailment is Ailment.OUTAGE and self._life.is_ill(at))

    def summary(self) -> JobResult:
        return Seen(self._last, AlarmList((), complete=True))

    def series(self, day: date) -> JobResult:
        asked = (day - timedelta(days=back) for back in range(BACKFILL_DAYS + 1))
        return SeenDays({each: self._known[each] for each in asked if each in self._known})


def _yield(life: Life, at: datetime) -> float:
    """The share of its usual power that the plant makes."""
    if life.ailment is Ailment.SOILING:
        dirty = max(((at - episode.begin) / timedelta(days=1) for episode in life.episodes), default=0.0)
        return 1 - min(1.0, SOILING_A_DAY * max(0.0, dirty))
    if life.ailment in (Ailment.DEAD, Ailment.HALF) and life.is_ill(at):
        return 0.0 if life.ailment is Ailment.DEAD else 0.5
    return 1.0


def _reports(life: Life, at: datetime, irradiance: float) -> bool:
    if life.ailment is Ailment.ASLEEP:
        return life.sky.sin_elevation(at) >= WAKES_AT_ELEVATION
    if life.ailment is Ailment.DARK:
        return irradiance >= WAKES_AT_W_M2
    return not (life.ailment is Ailment.SILENT and life.is_ill(at))


def _episodes(place: Place, ailment: Ailment, days: int, chance: Random) -> Iterator[Episode]:
    """One a month where that leaves time to be well between, and one for the rest of the year where it goes on."""
    match ailment:
        case Ailment.HEALTHY | Ailment.ASLEEP | Ailment.DARK:
            return
        case Ailment.SOILING:
            first = FIRST_DAY + timedelta(days=WARM_UP_DAYS)
            yield Episode(_midnight(first, place.zone), _midnight(FIRST_DAY + timedelta(days=days), place.zone))
            return
    for start in range(WARM_UP_DAYS, days - 15, 30):
        midnight = _midnight(FIRST_DAY + timedelta(days=start + chance.randrange(5)), place.zone)
        match ailment:
            case Ailment.DEAD:
                # From a midnight on, so that its first day is a whole one.
                yield Episode(midnight, midnight + timedelta(days=3))
            case Ailment.HALF:
                yield Episode(midnight, midnight + timedelta(days=10))
            case Ailment.SILENT:
                begin = midnight + STEP * chance.randrange(144)
                yield Episode(begin, begin + timedelta(hours=36))
            case _:
                begin = midnight + STEP * chance.randrange(144)
                yield Episode(begin, begin + STEP * chance.randrange(6, 180))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)
