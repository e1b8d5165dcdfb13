"""Whether a plant makes as much energy as usual: the rule of LOW_GENERATION (DOMAIN 6), and what today should have brought so far.

Called by `judge` with the rows as they stand after the job, by the operator for `today.expectedKWh`. Pure.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from math import isclose
from statistics import median
from zoneinfo import ZoneInfo

import msgspec

from controller.domain.plant import Declaration, Snapshot
from controller.domain.schedule import local_date
from controller.domain.snapshot import row_of
from controller.domain.sun import Site, clear_sky_share

LOW_BELOW = 0.30
"""Of what is usual. Exactly 30 % is not low."""
USUAL_DAYS = 7
USUAL_DAYS_MIN = 3
USUAL_DAYS_MAX_AGE = timedelta(days=30)
EARLIEST_SHARE = 0.25
"""Of a clear day's energy. Before it has come a verdict on the running day would be one on its dawn."""


class Usual(msgspec.Struct, frozen=True):
    """The median energy of the newest earlier days with a row. kWh."""

    energy_kwh: float
    days: int


class GenerationVerdict(msgspec.Struct, frozen=True):
    """A day's energy against what is usual by then. `share` is of the whole day: 1 where the day was judged as a whole."""

    day: date
    energy_kwh: float
    usual: Usual
    share: float
    at: datetime | None = None
    """The sample up to which a running day was judged."""

    @property
    def expected_kwh(self) -> float:
        return self.usual.energy_kwh * self.share

    @property
    def limit_kwh(self) -> float:
        return LOW_BELOW * self.expected_kwh

    @property
    def is_low(self) -> bool:
        # 0.3 x 10.3 is 3.09 and a bit to a computer; who made 3.09 kWh has made 30 %.
        return self.energy_kwh < self.limit_kwh and not isclose(self.energy_kwh, self.limit_kwh, rel_tol=1e-9)


def usual_energy(days: Iterable[Snapshot], day: date) -> Usual | None:
    """What is usual for `day`: the median of the 7 newest earlier days with a row, not older than 30 days, zeros and backfilled ones
    included. None for fewer than 3."""
    oldest = day - USUAL_DAYS_MAX_AGE
    earlier = sorted([(row.date, row.today_energy_kwh) for row in days if oldest <= row.date < day], reverse=True)
    newest = [energy for _, energy in earlier[:USUAL_DAYS]]
    return Usual(median(newest), len(newest)) if len(newest) >= USUAL_DAYS_MIN else None


def judge_whole_day(days: tuple[Snapshot, ...], day: date) -> GenerationVerdict | None:
    """The verdict of the daily job on `day`, from the rows as they stand after it. None: no verdict."""
    return _verdict(days, day, 1.0, None)


def is_surely_enough(energy_kwh: float, days: Iterable[Snapshot]) -> bool:
    """Whether no verdict on a day with so much energy can be low, whatever the sun's share: no median is above the greatest day."""
    return energy_kwh >= LOW_BELOW * max([row.today_energy_kwh for row in days], default=0.0)


def judge_running_day(days: tuple[Snapshot, ...], site: Site, zone: ZoneInfo, sampled_at: datetime) -> GenerationVerdict | None:
    """The verdict on the day of today's newest sample, by the share of the energy that a clear sky would have brought until then."""
    day = local_date(sampled_at, zone)
    share = clear_sky_share(site, day, zone, sampled_at)
    if share is None or share < EARLIEST_SHARE:
        return None
    return _verdict(days, day, share, sampled_at)


def expected_today_kwh(declaration: Declaration, days: Iterable[Snapshot], now: datetime) -> float | None:
    """What is usual for today by `now` under a clear sky. None without a location, a median, or a sun that rises. kWh."""
    day = local_date(now, declaration.zone)
    usual = usual_energy(days, day)
    if usual is None or declaration.site is None:
        return None
    share = clear_sky_share(declaration.site, day, declaration.zone, now)
    return None if share is None else usual.energy_kwh * share


def _verdict(days: tuple[Snapshot, ...], day: date, share: float, at: datetime | None) -> GenerationVerdict | None:
    row = row_of(days, day)
    usual = None if row is None else usual_energy(days, day)
    if row is None or usual is None:
        return None
    if usual.energy_kwh == 0 and row.today_energy_kwh == 0:
        # A dead inverter does not heal by staying dead.
        return None
    return GenerationVerdict(day, row.today_energy_kwh, usual, share, at)
