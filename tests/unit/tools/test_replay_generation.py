"""LOW_GENERATION and statusPolicy Daylight, told by replay. Derived by hand from DOMAIN 5 and 6 and from the sun over the equator.

At 0 degrees north and east the sun of 10 March 2026 is highest at 12:10 UTC (the equation of time is -10.4 minutes) and is above
-0.833 degrees for 6 h 03 min before and after that: from 06:07 to 18:14.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.tools.lives import CREATED, DAY, HOUR, MINUTE, alarm, days, failed, seen, told

NOON = CREATED
NIGHT = datetime(2026, 3, 10, 23, 55, tzinfo=UTC)
EQUATOR = {"latitude": 0.0, "longitude": 0.0}
OPENED = "opened LOW_GENERATION HIGH"
RESOLVED = "resolved LOW_GENERATION HIGH"
HISTORY = days(NOON, "2026-03-09", d0306=10.0, d0307=20.0, d0308=30.0, d0309=20.0)
"""The median is 20 kWh: 30 % of it are 6.0. Of 9 March itself it was 20 as well (of 10, 20 and 30), so that day passed."""


def generation(lines: Iterable[str], until: datetime, **declared: object) -> list[str]:
    """What is told of LOW_GENERATION alone."""
    return [line for line in told(lines, until, **declared) if "LOW_GENERATION" in line or "LowGeneration" in line]


def closed(day: datetime, kwh: float | None) -> list[str]:
    """A local day that ends with this energy: its last sample, and its daily job at 23:55."""
    night = day.replace(hour=23, minute=55)
    return [seen(night - 5 * MINUTE, today_energy_kwh=kwh), days(night, f"{night:%Y-%m-%d}")]


# The whole day


@pytest.mark.rule("D6.6", "D6.9", "D5.4")
@pytest.mark.parametrize(
    ("kwh", "expected"),
    [(5.99, ["03-10T23:55 opened LOW_GENERATION HIGH", "03-10T23:55 GREEN>YELLOW LowGeneration"]), (6.0, []), (6.01, []), (None, [])],
)
def test_a_day_below_30_percent_of_the_median_is_low(kwh: float | None, expected: list[str]) -> None:
    assert generation([HISTORY, *closed(NOON, kwh)], NIGHT) == expected


@pytest.mark.rule("D6.7", "D6.8")
def test_two_days_are_no_history() -> None:
    two, three = days(NOON, "2026-03-09", d0308=20.0, d0309=20.0), days(NOON, "2026-03-09", d0307=20.0, d0308=20.0, d0309=20.0)
    assert generation([two, *closed(NOON, 0.1)], NIGHT) == []
    assert generation([three, *closed(NOON, 0.1)], NIGHT)[0].endswith(OPENED)


@pytest.mark.rule("D6.7")
def test_the_seven_newest_earlier_days_count() -> None:
    # Of 100, 100, 100, 100 | 10 x 7 the seven newest have the median 10: 3.1 kWh are enough.
    old = [days(NOON, "2026-03-02", d0227=100.0, d0228=100.0, d0301=100.0, d0302=100.0)]
    new = [days(NOON, "2026-03-06", d0303=10.0, d0304=30.1, d0305=30.1, d0306=30.1), days(NOON, "2026-03-09", d0307=10, d0308=10, d0309=10)]
    # 10, 30.1, 30.1, 30.1, 10, 10, 10: the median is 10. With one day more or less it would be at least 20.05.
    assert generation([*old, *new, *closed(NOON, 3.0)], NIGHT) == []
    assert generation([*old, *new, *closed(NOON, 2.99)], NIGHT)[0].endswith(OPENED)


@pytest.mark.rule("D6.7")
@pytest.mark.parametrize(("kwh", "low"), [(2.95, True), (3.05, False)])
def test_the_seven_newest_earlier_days_count_for_the_running_day_too(kwh: float, low: bool) -> None:
    # 10 x 4, 30.1 x 3, oldest first: the median is 10; of the newest six it would be 20.05.
    lines = [days(NOON, "2026-03-06", d0303=10.0, d0304=10.0, d0305=10.0, d0306=10.0)]
    lines.append(days(NOON, "2026-03-09", d0307=30.1, d0308=30.1, d0309=30.1))
    assert bool(generation([*lines, sampled(20, 0, kwh)], NIGHT, location=EQUATOR)) is low


@pytest.mark.rule("D6.7")
@pytest.mark.parametrize(("day", "low"), [("2026-04-08", True), ("2026-04-09", False)])
def test_days_older_than_30_days_do_not_count(day: str, low: bool) -> None:
    # 9 March is 30 days before 8 April and 31 before 9 April; with it there are three days, without it two.
    end = datetime.fromisoformat(day).replace(tzinfo=UTC)
    lines = [days(NOON, "2026-03-09", d0309=20.0), *closed(end - 3 * DAY, 20.0), *closed(end - 2 * DAY, 20.0), *closed(end, 1.0)]
    assert bool(generation(lines, end + DAY)) is low


@pytest.mark.rule("D6.8", "D6.12")
def test_a_dead_inverter_does_not_heal_by_staying_dead() -> None:
    lines = [days(NOON, "2026-03-09", d0307=20.0, d0308=20.0, d0309=20.0)]
    for n in range(6):
        lines += closed(NOON + n * DAY, 0.0)
    # On 14 March the seven days before are 20, 20, 20, 0, 0, 0, 0: the median is 0, and so is the energy.
    assert [line for line in generation(lines, NOON + 6 * DAY) if "GENERATION" in line] == [f"03-10T23:55 {OPENED}"]
    lines += closed(NOON + 6 * DAY, 0.1)
    assert [line for line in generation(lines, NOON + 7 * DAY) if "GENERATION" in line][1:] == [f"03-16T23:55 {RESOLVED}"]


@pytest.mark.rule("D6.12")
def test_the_next_verdict_that_passes_clears_it() -> None:
    lines = [HISTORY, *closed(NOON, 1.0), *closed(NOON + DAY, 5.9), *closed(NOON + 2 * DAY, 6.0)]
    told_of = [line for line in generation(lines, NOON + 3 * DAY) if "GENERATION" in line]
    # Of 10, 20, 30, 20, 1 and then 5.9 the medians are 20 and 15: 6.0 and 4.5 kWh are needed.
    assert told_of == [f"03-10T23:55 {OPENED}", f"03-12T23:55 {RESOLVED}"]


@pytest.mark.rule("D6.13")
def test_a_late_job_on_an_older_day_changes_nothing() -> None:
    lines = [HISTORY, *closed(NOON, 1.0), days(NIGHT + HOUR, "2026-03-09", d0309=25.0)]
    assert generation(lines, NIGHT + HOUR)[0] == f"03-10T23:55 {OPENED}"
    assert not any(RESOLVED in line for line in generation(lines, NIGHT + HOUR))


@pytest.mark.rule("D6.9")
def test_the_row_is_judged_as_it_stands_after_the_job() -> None:
    assert generation([HISTORY, seen(NIGHT, today_energy_kwh=1.0), days(NIGHT, "2026-03-10", d0310=19.0)], NIGHT) == []


@pytest.mark.rule("D4.7")
def test_a_late_sample_raises_a_day_that_is_not_judged_again() -> None:
    late = seen(NIGHT + 10 * MINUTE, NIGHT + 2 * MINUTE, today_energy_kwh=19.0)
    assert not any(RESOLVED in line for line in generation([HISTORY, *closed(NOON, 1.0), late], NIGHT + HOUR))


@pytest.mark.rule("D5.9")
def test_while_paused_no_verdict_is_given() -> None:
    lines = [HISTORY, seen(NIGHT - HOUR, today_energy_kwh=1.0), failed(NIGHT - HOUR, "AUTH_FAILED"), days(NIGHT, "2026-03-10")]
    assert generation(lines, NIGHT) == []


# The running day


def sampled(hour: int, minute: int, kwh: float) -> str:
    at = NOON.replace(hour=hour, minute=minute) + (DAY if hour < 12 else timedelta())
    return seen(at, today_energy_kwh=kwh)


@pytest.mark.rule("D6.10")
@pytest.mark.parametrize(("hour", "minute", "enough"), [(12, 10, 3.0), (20, 0, 6.0)])
def test_the_running_day_is_judged_by_its_share_of_a_clear_day(hour: int, minute: int, enough: float) -> None:
    """At the highest sun half of a clear day's energy has come, after sunset all of it."""
    line = generation([HISTORY, sampled(hour, minute, enough - 0.05)], NIGHT, location=EQUATOR)[0]
    assert line == f"03-10T{hour}:{minute:02} {OPENED}"
    assert generation([HISTORY, sampled(hour, minute, enough + 0.05)], NIGHT, location=EQUATOR) == []


@pytest.mark.rule("D6.10")
def test_without_a_location_the_running_day_is_not_judged() -> None:
    assert generation([HISTORY, sampled(20, 0, 0.0)], NIGHT) == []


@pytest.mark.rule("D6.10", "D6.11")
def test_before_a_quarter_of_the_day_has_come_there_is_no_verdict() -> None:
    """At 09:00 the sun is 47.6 degrees before its height: 13 % have come at most. At 11:00 (17.6 degrees) it is about a third."""
    history = [HISTORY, *closed(NOON, 20.0)]
    dawn = [sampled(hour, minute, 0.0) for hour in range(9) for minute in (0, 30)]
    assert generation([*history, *dawn, sampled(9, 0, 0.0)], NOON + DAY, location=EQUATOR) == []
    assert generation([*history, *dawn, sampled(11, 0, 0.0)], NOON + DAY, location=EQUATOR)[0] == f"03-11T11:00 {OPENED}"


@pytest.mark.rule("D6.10")
def test_the_sample_s_time_counts_and_not_the_poll_s() -> None:
    history = [HISTORY, *closed(NOON, 20.0)]
    early = seen(NOON + DAY, NOON + DAY - 3 * HOUR, today_energy_kwh=0.0)
    assert generation([*history, early], NOON + DAY, location=EQUATOR) == []


@pytest.mark.rule("D6.10", "D6.12")
def test_only_todays_newest_sample_is_judged() -> None:
    low, older = sampled(14, 0, 1.0), seen(NOON + 3 * HOUR, NOON + HOUR, today_energy_kwh=20.0)
    assert not any(RESOLVED in line for line in generation([HISTORY, low, older], NIGHT, location=EQUATOR))
    newer = seen(NOON + 3 * HOUR, today_energy_kwh=20.0)
    assert [line for line in generation([HISTORY, low, newer], NIGHT, location=EQUATOR) if RESOLVED in line] == [f"03-10T15:00 {RESOLVED}"]


# Daylight


@pytest.mark.rule("D5.12", "D5.13", "D9.7")
def test_by_daylight_the_night_does_not_count_towards_the_2_h_but_towards_the_24_h() -> None:
    """Seen at 17:00: 74 minutes until sunset at 18:14, so 46 minutes after sunrise at 06:07."""
    last = NOON + 5 * HOUR
    stale, offline, red = told([seen(last)], last + 2 * DAY, location=EQUATOR, statusPolicy="Daylight")[1:]
    at = datetime.strptime(f"2026-{stale.split()[0]}", "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
    assert abs(at - datetime(2026, 3, 11, 6, 53, tzinfo=UTC)) < 2 * MINUTE
    assert stale.endswith("GREEN>YELLOW Stale")
    assert [offline, red] == ["03-11T17:00 opened OFFLINE CRITICAL", "03-11T17:00 YELLOW>RED Offline"]


@pytest.mark.rule("D5.12")
def test_by_day_daylight_is_the_clock_and_without_a_location_too() -> None:
    assert told([seen(NOON)], NOON + 3 * HOUR, location=EQUATOR, statusPolicy="Daylight")[1:] == ["03-10T14:00 GREEN>YELLOW Stale"]
    last = NOON + 5 * HOUR
    assert told([seen(last)], last + 3 * HOUR, statusPolicy="Daylight")[1:] == ["03-10T19:00 GREEN>YELLOW Stale"]


@pytest.mark.rule("D5.12", "D5.13")
def test_where_the_sun_does_not_rise_only_the_24_h_count() -> None:
    """Tromsö at the end of the year."""
    location = {"latitude": 69.65, "longitude": 18.96}
    last = datetime(2026, 12, 21, 12, tzinfo=UTC)
    lines = [seen(last)]
    assert told(lines, last + 2 * DAY, location=location, statusPolicy="Daylight", createdAt=None) == [
        "12-21T12:00 GREY>GREEN Reporting",
        "12-22T12:00 opened OFFLINE CRITICAL",
        "12-22T12:00 GREEN>RED Offline",
    ]


# Storms of alarms


@pytest.mark.rule("D6.22")
def test_at_most_500_alarms_are_kept_the_worst_ones_first() -> None:
    listed = [alarm(f"{n:03}", severity) for n, severity in enumerate(["LOW"] * 100 + ["HIGH"] * 499 + ["CRITICAL"] * 3)]
    opened = [line.split(" ")[3] for line in told([seen(NOON, alarms=listed)], NOON) if "opened" in line]
    assert {severity: opened.count(severity) for severity in set(opened)} == {"CRITICAL": 3, "HIGH": 497}


@pytest.mark.rule("D6.22")
def test_critical_alarms_are_never_dropped() -> None:
    listed = [alarm(f"{n:03}", "CRITICAL") for n in range(600)]
    assert sum("opened" in line for line in told([seen(NOON, alarms=listed)], NOON)) == 600
