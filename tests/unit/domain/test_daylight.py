"""statusPolicy Daylight (DOMAIN 5): only time with the sun up counts towards the 2 h; the 24 h stay on the clock."""

from datetime import UTC, date, datetime, timedelta

import pytest

from controller.domain.judge import judge_clock
from controller.domain.outcome import Failed
from controller.domain.plant import AlertType, Declaration, PollError, Reason, Status, StatusPolicy
from controller.domain.status import decide_status
from controller.domain.sun import Site, is_sun_up
from tests.unit.domain.cases import DAY, HOUR, TICK, active, close, declared, plant, stored

SAO_PAULO = Site(-23.5, -46.6)
DAYLIGHT = declared(timezone="America/Sao_Paulo", latitude=-23.5, longitude=-46.6, status_policy=StatusPolicy.DAYLIGHT)
STRICT = declared(timezone="America/Sao_Paulo", latitude=-23.5, longitude=-46.6)
NOWHERE = declared(timezone="America/Sao_Paulo", status_policy=StatusPolicy.DAYLIGHT)
SECOND = timedelta(seconds=1)


def crossing(first: datetime, last: datetime) -> datetime:
    """The one sunrise or sunset between the two, to the second."""
    rises = is_sun_up(SAO_PAULO, last)
    while last - first > timedelta(microseconds=10):
        middle = first + (last - first) / 2
        first, last = (first, middle) if is_sun_up(SAO_PAULO, middle) is rises else (middle, last)
    return (last + SECOND / 2).replace(microsecond=0)


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


SUNSET = crossing(at(15, 18), at(16, 3))
SUNRISE = crossing(at(16, 3), at(16, 15))


def status_at(declaration: Declaration, last_seen_at: datetime, now: datetime) -> tuple[Status, datetime | None]:
    decision = decide_status(active(last_seen_at=last_seen_at), [], now, declaration.daylight_site)
    return decision.status, decision.next_change


@pytest.mark.rule("D5.12")
def test_a_plant_that_reports_until_sunset_stays_green_all_night() -> None:
    assert status_at(DAYLIGHT, SUNSET, SUNRISE) == (Status.GREEN, SUNRISE + 2 * HOUR)
    assert status_at(DAYLIGHT, SUNSET, SUNRISE + 2 * HOUR) == (Status.GREEN, SUNRISE + 2 * HOUR)
    assert status_at(DAYLIGHT, SUNSET, SUNRISE + 2 * HOUR + TICK) == (Status.YELLOW, SUNSET + DAY)
    assert status_at(STRICT, SUNSET, SUNSET + 2 * HOUR + TICK) == (Status.YELLOW, SUNSET + DAY)


@pytest.mark.rule("D5.12")
def test_daylight_before_and_after_the_night_adds_up() -> None:
    last_seen_at = SUNSET - HOUR - 30 * SECOND
    assert status_at(DAYLIGHT, last_seen_at, SUNSET) == (Status.GREEN, SUNRISE + HOUR - 30 * SECOND)


@pytest.mark.rule("D5.12")
def test_by_day_it_is_two_hours_of_the_clock() -> None:
    noon = at(15, 15)
    assert status_at(DAYLIGHT, noon, noon + 2 * HOUR) == (Status.GREEN, noon + 2 * HOUR)
    assert status_at(DAYLIGHT, noon, noon + 2 * HOUR + TICK) == (Status.YELLOW, noon + DAY)


@pytest.mark.rule("D5.13")
def test_a_limit_used_up_exactly_at_sunset_passes_at_sunrise() -> None:
    last_seen_at = SUNSET - 2 * HOUR
    assert status_at(DAYLIGHT, last_seen_at, SUNSET) == (Status.GREEN, SUNRISE)
    assert status_at(DAYLIGHT, last_seen_at, SUNRISE) == (Status.GREEN, SUNRISE)
    assert status_at(DAYLIGHT, last_seen_at, SUNRISE + TICK) == (Status.YELLOW, last_seen_at + DAY)
    assert status_at(DAYLIGHT, last_seen_at - SECOND, SUNSET) == (Status.YELLOW, last_seen_at - SECOND + DAY), "used up a second before"


@pytest.mark.rule("D5.13")
def test_the_24_hours_stay_on_the_clock() -> None:
    winter = active(last_seen_at=datetime(2026, 12, 20, 12, tzinfo=UTC))
    tromso = Site(69.65, 18.96)
    assert winter.last_seen_at is not None
    decision = decide_status(winter, [], winter.last_seen_at + DAY, tromso)
    assert (decision.status, decision.next_change) == (Status.GREEN, winter.last_seen_at + DAY), "no daylight has passed"
    assert decide_status(winter, [], winter.last_seen_at + DAY + TICK, tromso).status is Status.RED


@pytest.mark.rule("D5.12")
def test_without_a_location_it_acts_as_strict_and_says_so() -> None:
    assert status_at(NOWHERE, SUNSET, SUNSET) == (Status.GREEN, SUNSET + 2 * HOUR)
    live = judge_clock(plant(active(last_seen_at=SUNSET), NOWHERE), SUNSET).live
    assert "Daylight acts as Strict, for spec.location is not set" in live.explain[-1]


@pytest.mark.rule("D5.14")
def test_strict_is_the_default_whatever_is_known_of_the_place() -> None:
    assert Declaration(namespace="a", name="b", uid="c", generation=1, brand=DAYLIGHT.brand).status_policy is StatusPolicy.STRICT
    assert STRICT.daylight_site is None


@pytest.mark.rule("D5.12")
def test_the_clock_comes_at_the_instant_that_daylight_gives() -> None:
    outcome = close(plant(active(last_seen_at=SUNSET - HOUR), DAYLIGHT), Failed(PollError.VENDOR_ERROR), SUNSET + HOUR)
    assert outcome.live.clock_due_at == SUNRISE + HOUR
    later = judge_clock(stored(outcome), SUNRISE + HOUR + TICK)
    assert (later.live.status, later.live.reason, later.live.clock_due_at) == (Status.YELLOW, Reason.STALE, SUNSET - HOUR + DAY)
    offline = judge_clock(stored(later), SUNSET - HOUR + DAY + TICK)
    assert offline.live.status is Status.RED
    assert [entry.type for entry in offline.alerts] == [AlertType.OFFLINE]


@pytest.mark.rule("D5.12")
@pytest.mark.parametrize("month", range(1, 13))
def test_a_logger_asleep_from_sunset_to_sunrise_turns_nothing_yellow(month: int) -> None:
    """Every ten minutes of a day and a night: seen when the sun is up, silent when it is down."""
    start = datetime.combine(date(2026, month, 10), datetime.min.time(), tzinfo=UTC)
    last_seen_at = start
    for number in range(144 * 2):
        now = start + number * timedelta(minutes=10)
        if is_sun_up(SAO_PAULO, now):
            last_seen_at = now
        elif now - start < DAY:
            continue
        assert status_at(DAYLIGHT, last_seen_at, now)[0] is Status.GREEN
