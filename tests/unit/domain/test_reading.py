"""Which of the vendor's values are believed (DOMAIN 3)."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.plant import LiveState
from controller.domain.reading import believe, believe_days
from integrations.contract import Reading
from tests.unit.domain.cases import DAY, HOUR, NOON, TICK, TODAY, active, reading

NUMBERS = ("current_power_w", "today_energy_kwh", "total_energy_kwh", "grid_injection_power_w")
IMPLAUSIBLE = (-1.0, -1e-9, math.nan, math.inf, -math.inf, 1e9, 1e12)
MINUTES_5 = timedelta(minutes=5)


def believed(what: Reading, live: LiveState | None = None, capacity_kwp: float | None = None, now: datetime = NOON) -> Reading:
    return believe(what, live or active(), capacity_kwp, now).reading


@pytest.mark.parametrize("value", IMPLAUSIBLE)
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.rule("D3.4")
def test_an_implausible_number_is_refused_alone(name: str, value: float) -> None:
    whole = reading(grid_injection_power_w=100.0)
    found = believe(msgspec.structs.replace(whole, **{name: value}), active(), None, NOON)
    assert found.refused == (name,)
    assert found.reading == msgspec.structs.replace(whole, **{name: None})


@pytest.mark.parametrize("value", [0.0, 1.0, 999_999_999.9])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_plausible_number_is_believed(name: str, value: float) -> None:
    found = believe(msgspec.structs.replace(reading(), **{name: value}), active(), None, NOON)
    assert getattr(found.reading, name) == value
    assert found.refused == ()


@pytest.mark.rule("D3.3")
def test_missing_values_stay_missing_and_are_no_refusal() -> None:
    found = believe(Reading(sampled_at=NOON), active(), None, NOON)
    assert found.reading == Reading(sampled_at=NOON)
    assert found.refused == ()


@pytest.mark.parametrize(("energy", "stands"), [(120.0, True), (120.1, False)])
@pytest.mark.rule("D3.4")
def test_a_day_brings_at_most_its_capacity_around_the_clock(energy: float, stands: bool) -> None:
    found = believe(reading(today_energy_kwh=energy), active(), 5.0, NOON)
    assert (found.reading.today_energy_kwh == energy) is stands
    assert found.refused == (() if stands else ("today_energy_kwh",))


def test_the_capacity_bounds_no_lifetime_counter() -> None:
    assert believed(reading(total_energy_kwh=90_000.0), capacity_kwp=5.0).total_energy_kwh == 90_000.0


@pytest.mark.parametrize("ahead", [TICK, timedelta(minutes=1), MINUTES_5])
@pytest.mark.rule("D3.6")
def test_a_timestamp_a_little_ahead_is_the_instant_of_the_poll(ahead: timedelta) -> None:
    assert believed(reading(NOON + ahead)) == reading(NOON)


@pytest.mark.rule("D3.7")
def test_a_last_seen_further_ahead_is_refused_alone() -> None:
    found = believe(reading(last_seen_at=NOON + MINUTES_5 + TICK), active(), None, NOON)
    assert found.reading == reading(last_seen_at=None)
    assert found.refused == ("last_seen_at",)


@pytest.mark.rule("D3.7")
def test_a_sample_time_further_ahead_takes_energy_and_power_along() -> None:
    found = believe(reading(sampled_at=NOON + MINUTES_5 + TICK, grid_injection_power_w=1.0), active(), None, NOON)
    assert found.reading == Reading(last_seen_at=NOON)
    assert "sampled_at" in found.refused


@pytest.mark.rule("D3.10")
def test_last_seen_stands_for_a_sample_time_that_the_vendor_does_not_give() -> None:
    assert believed(reading(sampled_at=None, last_seen_at=NOON - HOUR)).sampled_at == NOON - HOUR


def test_a_refused_sample_time_is_not_replaced_by_last_seen() -> None:
    assert believed(reading(sampled_at=NOON + HOUR)).sampled_at is None


@pytest.mark.rule("D3.10")
def test_with_neither_time_there_is_no_sample_time() -> None:
    assert believed(reading(sampled_at=None, last_seen_at=None)).sampled_at is None
    assert believed(reading(sampled_at=None, last_seen_at=NOON + HOUR)).sampled_at is None


def counted(steps: list[tuple[timedelta, float | None]], live: LiveState) -> list[float | None]:
    """What is kept of a lifetime counter, sample after sample."""
    kept = []
    for after, value in steps:
        at = NOON + after
        found = believe(reading(at, total_energy_kwh=value), live, None, at)
        total = live.total_energy_kwh if found.reading.total_energy_kwh is None else found.reading.total_energy_kwh
        live = msgspec.structs.replace(live, total_energy_kwh=total, counter_low_since=found.counter_low_since)
        kept.append(total)
    return kept


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ([(HOUR, 5001.0), (2 * HOUR, 5001.0)], [5001.0, 5001.0]),
        ([(HOUR, 10.0), (2 * HOUR, 5002.0)], [5000.0, 5002.0]),
        # Lower for a day: an inverter was replaced.
        ([(HOUR, 10.0), (DAY, 11.0), (DAY + HOUR, 12.0), (2 * DAY, 13.0)], [5000.0, 5000.0, 12.0, 13.0]),
        ([(HOUR, 10.0), (DAY + HOUR - TICK, 11.0)], [5000.0, 5000.0]),
        # Back in between: the day counts anew.
        ([(HOUR, 10.0), (12 * HOUR, 5001.0), (13 * HOUR, 10.0), (DAY + 2 * HOUR, 11.0)], [5000.0, 5001.0, 5001.0, 5001.0]),
        # A missing value neither ends nor shortens the wait.
        ([(HOUR, 10.0), (12 * HOUR, None), (DAY + HOUR, 12.0)], [5000.0, 5000.0, 12.0]),
    ],
)
@pytest.mark.rule("D3.11")
def test_a_falling_counter_is_refused_until_it_has_been_low_for_24_hours(
    steps: list[tuple[timedelta, float | None]], kept: list[float]
) -> None:
    assert counted(steps, active(total_energy_kwh=5000.0)) == kept


def test_a_refused_counter_leaves_the_rest_of_the_reading() -> None:
    found = believe(reading(total_energy_kwh=1.0), active(total_energy_kwh=5000.0), None, NOON)
    assert found.reading == reading(total_energy_kwh=None)
    assert found.refused == ("total_energy_kwh",)


def test_the_daily_series_is_judged_day_by_day_as_readings_are() -> None:
    series = {TODAY - back * DAY: energy for back, energy in enumerate((120.0, 120.5, math.nan, math.inf, -1.0, 0.0))}
    assert believe_days(series, 5.0) == ({TODAY: 120.0, TODAY - 5 * DAY: 0.0}, ("today_energy_kwh",) * 4)
    assert believe_days({TODAY: 1e9, TODAY - DAY: 9e8}, None) == ({TODAY - DAY: 9e8}, ("today_energy_kwh",))


def readings() -> st.SearchStrategy[Reading]:
    number = st.none() | st.floats() | st.sampled_from(IMPLAUSIBLE)
    instant = st.none() | st.integers(-200_000, 2_000).map(lambda seconds: NOON + timedelta(seconds=seconds))
    times: dict[str, Any] = {"sampled_at": instant, "last_seen_at": instant}
    return st.builds(Reading, **times, **dict.fromkeys(NUMBERS, number))


@given(readings(), st.none() | st.floats(0.1, 1000))
def test_whatever_is_believed_can_be_stored(what: Reading, capacity_kwp: float | None) -> None:
    found = believe(what, active(total_energy_kwh=5000.0), capacity_kwp, NOON)
    for name in NUMBERS:
        value = getattr(found.reading, name)
        assert value is None or 0 <= value < 1e9
    assert all(at is None or at <= NOON for at in (found.reading.sampled_at, found.reading.last_seen_at))


@given(readings())
def test_believing_the_believed_refuses_nothing_more(what: Reading) -> None:
    once = believed(what)
    assert believe(once, active(), None, NOON) == believe(once, active(), None, NOON)
    assert believe(once, active(), None, NOON).refused == ()


@pytest.mark.parametrize("name", ["last_seen_at", "sampled_at"])
def test_an_instant_at_the_beginning_of_calendars_is_refused(name: str) -> None:
    """In a zone west of Greenwich it would have no local day."""
    seen = believe(msgspec.structs.replace(reading(), **{name: datetime(1, 1, 1, tzinfo=UTC)}), active(), None, NOON)
    assert getattr(seen.reading, name) is None
    assert name in seen.refused


@pytest.mark.parametrize(("capacity_kwp", "energy_kwh"), [(6.6, 158.4), (5.1, 122.4), (10.0, 240.0)])
@pytest.mark.rule("D3.4")
def test_a_day_at_exactly_the_capacity_for_24_h_is_believed(capacity_kwp: float, energy_kwh: float) -> None:
    """Of numbers as people write them: in binary 6.6 x 24 is a little less than 158.4."""
    assert believed(reading(today_energy_kwh=energy_kwh), capacity_kwp=capacity_kwp).today_energy_kwh == energy_kwh
    assert believed(reading(today_energy_kwh=energy_kwh + 0.001), capacity_kwp=capacity_kwp).today_energy_kwh is None


def test_where_the_last_report_stands_for_the_sample_its_refusal_takes_the_values_along() -> None:
    seen = msgspec.structs.replace(reading(), sampled_at=None, last_seen_at=NOON + HOUR)
    assert believed(seen) == Reading()
