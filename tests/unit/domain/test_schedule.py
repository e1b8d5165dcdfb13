"""When plants are polled and days closed (DOMAIN 2 and 4), over every zone of the database of zones."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.domain.schedule import (
    CLOSE_SPREAD_S,
    DAY_RETRY_MAX,
    DAY_RETRY_MIN,
    close_at,
    day_retry_at,
    effective_interval_s,
    following_day,
    local_date,
    lock_ttl_s,
    next_slot,
    phase_s,
)
from integrations.contract import VendorCapabilities
from tests.unit.domain.cases import HOUR, NOON, ROOF, TICK

INSTANTS = st.integers(-(10**15), 2 * 10**15).map(lambda micros: NOON + micros * TICK)
INTERVALS = st.integers(60, 86_400)
ZONES = sorted(available_timezones() - {"localtime"})
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
APIA = ZoneInfo("Pacific/Apia")


@given(st.uuids(), INTERVALS, INSTANTS)
@example(ROOF, 600, next_slot(ROOF, 600, NOON))
@example(ROOF, 600, next_slot(ROOF, 600, NOON) - TICK)
def test_the_next_slot_is_the_first_of_the_grid_strictly_after_the_instant(plant_id: UUID, interval_s: int, after: datetime) -> None:
    slot = next_slot(plant_id, interval_s, after)
    assert after < slot <= after + timedelta(seconds=interval_s)
    assert (slot.timestamp() - phase_s(plant_id)) % interval_s == 0
    assert slot.tzinfo is UTC


@given(st.uuids(), INTERVALS, INSTANTS, INSTANTS)
@pytest.mark.rule("D2.2")
def test_a_restart_does_not_move_a_plant_on_its_grid(plant_id: UUID, interval_s: int, one: datetime, other: datetime) -> None:
    apart = next_slot(plant_id, interval_s, one) - next_slot(plant_id, interval_s, other)
    assert apart % timedelta(seconds=interval_s) == timedelta(0)


@pytest.mark.parametrize("interval_s", [60, 600, 86_400])
@pytest.mark.rule("D2.2")
def test_plants_are_spread_over_the_interval(interval_s: int) -> None:
    plants = [uuid5(ROOF, str(number)) for number in range(2_000)]
    tenths = [int((next_slot(plant_id, interval_s, NOON) - NOON).total_seconds() * 10 / interval_s) for plant_id in plants]
    assert all(140 <= tenths.count(tenth) + (tenths.count(10) if tenth == 9 else 0) <= 260 for tenth in range(10))


@pytest.mark.rule("D2.1")
def test_the_interval_is_never_shorter_than_the_vendor_recommends() -> None:
    vendor = VendorCapabilities(recommended_min_interval_seconds=300, timeout_seconds=10.0)
    assert [effective_interval_s(declared, vendor) for declared in (60, 300, 600)] == [300, 300, 600]


@pytest.mark.rule("D1.9")
def test_the_lock_lives_for_two_intervals() -> None:
    assert lock_ttl_s(600) == 1200


@cache
def shifts(name: str) -> tuple[date, ...]:
    """The local dates on which the zone's offset changes between 1970 and 2037."""
    zone, found = ZoneInfo(name), []
    at, before = datetime(1970, 1, 1, tzinfo=UTC), None
    while at.year < 2038:
        offset = at.astimezone(zone).utcoffset()
        if before is not None and offset != before:
            found.append(at.astimezone(zone).date())
        at, before = at + timedelta(days=1), offset
    return tuple(found)


def days_around(dates: tuple[date, ...]) -> Iterator[date]:
    for day in dates:
        yield from (day + timedelta(days=back) for back in range(-2, 3))


@pytest.mark.parametrize(
    "name", ["America/Sao_Paulo", "America/Santiago", "America/Nuuk", "Pacific/Apia", "Asia/Tehran", "Australia/Lord_Howe"]
)
def test_every_shifted_day_that_exists_is_closed_within_itself_or_at_its_end(name: str) -> None:
    zone = ZoneInfo(name)
    for day in days_around(shifts(name)):
        closing = close_at(day, zone, 539)
        last_instant = (closing - TICK).astimezone(zone).date()
        assert last_instant == day or not exists(day, zone), day
        assert closing.astimezone(zone).date() in (day, following_day(day, zone)) or not exists(day, zone), day


@given(st.sampled_from(ZONES), st.dates(date(1995, 1, 1), date(2037, 12, 1)), st.integers(0, 604_799))
@example("America/Sao_Paulo", date(2018, 11, 3), 0)
@example("America/Sao_Paulo", date(2018, 2, 17), 539)
@example("America/Nuuk", date(2027, 3, 27), 539)
@example("Pacific/Apia", date(2011, 12, 29), 539)
@example("Africa/Cairo", date(2024, 4, 25), 539)
@pytest.mark.rule("D4.5")
def test_a_day_is_closed_in_its_last_ten_minutes_or_at_its_end(name: str, day: date, phase: int) -> None:
    zone = ZoneInfo(name)
    if not exists(day, zone):
        return
    closing = close_at(day, zone, phase)
    local = closing.astimezone(zone)
    if local.date() == day:
        assert local.replace(tzinfo=None) == datetime.combine(day, time(23, 50)) + timedelta(seconds=phase % CLOSE_SPREAD_S)
    else:
        # 23:50 does not exist: the first instant of the next day.
        assert (closing - TICK).astimezone(zone).date() == day
        assert local.date() == following_day(day, zone)


@given(st.sampled_from(ZONES), st.dates(date(1995, 1, 1), date(2037, 12, 1)))
@example("Pacific/Apia", date(2011, 12, 29))
@example("Pacific/Kwajalein", date(1993, 8, 20))
@example("America/Sao_Paulo", date(2018, 11, 3))
def test_the_following_day_is_the_one_that_begins_when_this_one_ends(name: str, day: date) -> None:
    zone = ZoneInfo(name)
    if not exists(day, zone):
        return
    at = datetime.combine(day, time(12), tzinfo=zone).astimezone(UTC)
    while local_date(at, zone) == day:
        at += timedelta(minutes=15)
    assert following_day(day, zone) == local_date(at, zone)


def exists(day: date, zone: ZoneInfo) -> bool:
    return local_date(datetime.combine(day, time(12), tzinfo=zone).astimezone(UTC), zone) == day


@pytest.mark.parametrize(
    ("zone", "day", "closes"),
    [
        # Midnight of the 4th does not exist: the 3rd is whole all the same.
        (SAO_PAULO, date(2018, 11, 3), datetime(2018, 11, 4, 2, 50, tzinfo=UTC)),
        # A day of 23 hours.
        (SAO_PAULO, date(2018, 11, 4), datetime(2018, 11, 5, 1, 50, tzinfo=UTC)),
        # A day of 25 hours has 23:50 twice: the first.
        (SAO_PAULO, date(2018, 2, 17), datetime(2018, 2, 18, 1, 50, tzinfo=UTC)),
        (ZoneInfo("Europe/Berlin"), date(2026, 3, 29), datetime(2026, 3, 29, 21, 50, tzinfo=UTC)),
        (ZoneInfo("Europe/Berlin"), date(2026, 10, 25), datetime(2026, 10, 25, 22, 50, tzinfo=UTC)),
        # The clock jumps from 23:00 to midnight: the end of the day.
        (ZoneInfo("America/Nuuk"), date(2027, 3, 27), datetime(2027, 3, 28, 1, 0, tzinfo=UTC)),
        (APIA, date(2011, 12, 29), datetime(2011, 12, 30, 9, 50, tzinfo=UTC)),
    ],
)
@pytest.mark.rule("D4.5")
def test_days_that_the_clock_shifts_close_at_the_right_instant(zone: ZoneInfo, day: date, closes: datetime) -> None:
    assert close_at(day, zone, 0) == closes


def test_a_day_that_a_zone_skipped_is_skipped() -> None:
    assert following_day(date(2011, 12, 29), APIA) == date(2011, 12, 31)


def test_the_phase_never_moves_a_close_into_the_next_day() -> None:
    closes = {close_at(date(2026, 3, 10), SAO_PAULO, phase_s(uuid5(ROOF, str(number)))) for number in range(500)}
    assert len(closes) > 250
    assert {closing.astimezone(SAO_PAULO).date() for closing in closes} == {date(2026, 3, 10)}


@pytest.mark.parametrize(
    ("late", "pause"),
    [
        (timedelta(0), DAY_RETRY_MIN),
        (timedelta(seconds=30), DAY_RETRY_MIN),
        (timedelta(minutes=7), timedelta(minutes=7)),
        (timedelta(days=2), DAY_RETRY_MAX),
    ],
)
def test_a_failed_daily_job_waits_as_long_as_it_is_late(late: timedelta, pause: timedelta) -> None:
    now = close_at(NOON.date(), SAO_PAULO, 0) + late
    assert day_retry_at(NOON.date(), SAO_PAULO, 0, now) == now + pause


def test_a_failed_daily_job_never_runs_before_the_day_closes() -> None:
    due = close_at(NOON.date(), SAO_PAULO, 0)
    assert day_retry_at(NOON.date(), SAO_PAULO, 0, due - 5 * HOUR) == due
