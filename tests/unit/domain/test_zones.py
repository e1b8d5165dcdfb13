"""One row a local day, in every time zone: days of 23, 24, 25 hours, longer and shorter ones, and days that do not exist (DOMAIN 4)."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.outcome import SeenDays
from controller.domain.plant import PlantContext, Snapshot
from controller.domain.schedule import close_at, day_bounds, day_exists, following_day, local_date, phase_s, preceding_day
from controller.domain.snapshot import merge_sample
from controller.domain.sun import Site, clear_sky_share
from tests.unit.domain.cases import ROOF, active, close, day_job, declared, plant, poll_job, reading, sees, stored

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
STEP = timedelta(minutes=15)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PHASE = phase_s(ROOF)


def days_between(first: datetime, last: datetime, zone: ZoneInfo) -> list[date]:
    """The local dates that the clocks of the zone show, counted from the instants alone."""
    shown = {(first + number * STEP).astimezone(zone).date() for number in range(int((last - first) / STEP))}
    return sorted(shown)


def rows_of(first: datetime, last: datetime, zone: ZoneInfo) -> dict[date, Snapshot]:
    days: dict[date, Snapshot] = {}
    now = first
    while now < last:
        changed = merge_sample(days.values(), reading(now, today_energy_kwh=1.0 + (now - first) / DAY), zone, now)
        if changed is not None:
            days[changed.date] = changed
        now += STEP
    return days


SPECIAL = [
    ("Pacific/Apia", datetime(2011, 12, 28, tzinfo=UTC), date(2011, 12, 30)),
    ("America/Sao_Paulo", datetime(2018, 11, 2, tzinfo=UTC), None),
    ("America/Santiago", datetime(2019, 9, 6, tzinfo=UTC), None),
    ("America/Santiago", datetime(2019, 4, 5, tzinfo=UTC), None),
    ("America/Santiago", datetime(2024, 9, 6, tzinfo=UTC), None),
    ("Asia/Beirut", datetime(2022, 3, 25, tzinfo=UTC), None),
    ("America/Havana", datetime(2022, 11, 4, tzinfo=UTC), None),
    ("Pacific/Kwajalein", datetime(1993, 8, 19, tzinfo=UTC), date(1993, 8, 21)),
    ("Pacific/Kiritimati", datetime(1994, 12, 29, tzinfo=UTC), date(1994, 12, 31)),
    ("Australia/Lord_Howe", datetime(2026, 4, 3, tzinfo=UTC), None),
    ("Africa/Casablanca", datetime(2026, 2, 13, tzinfo=UTC), None),
    ("America/Nuuk", datetime(2023, 3, 24, tzinfo=UTC), None),
]


@pytest.mark.rule("D4.1", "D4.2")
@pytest.mark.parametrize(("name", "first", "absent"), SPECIAL)
def test_days_of_odd_lengths_and_days_that_do_not_exist_give_one_row_a_local_day(name: str, first: datetime, absent: date | None) -> None:
    zone, last = ZoneInfo(name), first + 6 * DAY
    days = rows_of(first, last, zone)
    assert sorted(days) == days_between(first, last, zone)
    if absent is not None:
        assert absent not in days
        assert not day_exists(absent, zone)
        assert following_day(absent - DAY, zone) == absent + DAY
        assert preceding_day(absent + DAY, zone) == absent - DAY


@pytest.mark.rule("D4.1", "D4.2")
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 56 * 365))
@pytest.mark.rule("D4.2")
def test_any_zone_at_any_time_gives_one_row_a_local_day(name: str, day: int) -> None:
    zone = ZoneInfo(name)
    first = datetime(1980, 1, 1, tzinfo=UTC) + day * DAY
    days = rows_of(first, first + 3 * DAY, zone)
    assert sorted(days) == days_between(first, first + 3 * DAY, zone)


@pytest.mark.rule("D4.5")
@pytest.mark.parametrize("name", ZONES)
def test_in_every_zone_a_day_ends_where_the_next_begins_and_closes_within_itself(name: str) -> None:
    """Around each change of the zone's clock in ten years, and on plain days between."""
    zone = ZoneInfo(name)
    for day in {*days_with_a_change(zone), date(2011, 6, 1), date(2026, 6, 1)}:
        for each in (preceding_day(day, zone), day, following_day(day, zone)):
            begin, end = day_bounds(each, zone)
            assert end == day_bounds(following_day(each, zone), zone)[0]
            assert local_date(begin, zone) == each
            assert begin < close_at(each, zone, PHASE) <= end
            assert following_day(preceding_day(each, zone), zone) == each


def days_with_a_change(zone: ZoneInfo) -> list[date]:
    first = datetime(2010, 1, 1, 12, tzinfo=UTC)
    noons = [first + number * 7 * DAY for number in range(17 * 53)]
    weeks = [(a, b) for a, b in pairwise(noons) if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset()]
    changes = []
    for before, after in weeks:
        at = before
        while at < after and at.astimezone(zone).utcoffset() == (at + HOUR).astimezone(zone).utcoffset():
            at += HOUR
        changes.append(at.astimezone(zone).date())
    return changes


@pytest.mark.rule("D4.10")
@pytest.mark.parametrize(("name", "first", "absent"), SPECIAL)
@pytest.mark.rule("D4.1", "D4.5")
def test_polls_and_daily_jobs_together_leave_one_row_a_local_day(name: str, first: datetime, absent: date | None) -> None:
    """The vendor's series names every date there is on paper, also the one that was skipped."""
    context: PlantContext = plant(active(last_seen_at=first), declared(timezone=name))
    zone, now, last = context.declaration.zone, first, first + 6 * DAY
    while now < last:
        due, day = context.live.day_due_at, context.live.day_due_date
        if due is not None and due <= now and day is not None:
            series = {day - back * DAY: 3.0 for back in range(5)}
            outcome = close(reclaimed(context), SeenDays(series), now, day_job(day))
        else:
            outcome = close(reclaimed(context), sees(reading(now, today_energy_kwh=2.0)), now, poll_job())
            now += STEP
        context = stored(outcome)
    dates = [row.date for row in context.days]
    assert len(dates) == len(set(dates))
    assert all(day_exists(day, zone) for day in dates)
    assert set(days_between(first, last, zone)) <= set(dates)
    assert absent not in dates


def reclaimed(context: PlantContext) -> PlantContext:
    return plant(context.live, context.declaration, days=context.days, alerts=context.alerts)


@pytest.mark.rule("D6.10")
@pytest.mark.parametrize(("name", "first", "absent"), SPECIAL)
def test_the_share_of_a_clear_day_runs_from_0_to_1_on_days_of_any_length(name: str, first: datetime, absent: date | None) -> None:
    zone = ZoneInfo(name)
    for day in days_between(first, first + 5 * DAY, zone):
        begin, end = day_bounds(day, zone)
        # Where it is noon at the zone's own noon.
        longitude = (begin.astimezone(zone).utcoffset() or timedelta()) / HOUR * 15
        site = Site(0.0, longitude if longitude <= 180 else longitude - 360)
        shares = [clear_sky_share(site, day, zone, begin + (end - begin) * part / 12) for part in range(13)]
        assert (shares[0], shares[-1]) == (0.0, 1.0)
        known = [share for share in shares if share is not None]
        assert known == sorted(known)
