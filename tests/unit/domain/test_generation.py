"""LOW_GENERATION (DOMAIN 6): verdicts on whole and on running days, and what they open and resolve."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import judge
from controller.domain.alerts import judge_generation
from controller.domain.generation import expected_today_kwh, judge_running_day, judge_whole_day, usual_energy
from controller.domain.outcome import Failed, Outcome, SeenDays
from controller.domain.plant import Alert, AlertState, AlertType, Integration, PlantContext, PollError, Reason, Snapshot, Status
from controller.domain.sun import Site, clear_sky_share
from integrations.contract import Severity
from tests.unit.domain.cases import DAY, HOUR, NOON, ROOF, TODAY, active, alert, close, day_job, declared, listed, plant, reading, row, sees

GREENWICH = Site(0.0, 0.0)
"""At the equator and on UTC: noon of the sun is within minutes of noon of the clock."""
PLACED = declared(latitude=0.0, longitude=0.0)
CLOSING = datetime(2026, 3, 10, 23, 55, tzinfo=UTC)
LOW = alert(AlertType.LOW_GENERATION)


def earlier(*energies: float, newest: int = 1, step: int = 1) -> tuple[Snapshot, ...]:
    """Days before TODAY with these energies, newest first."""
    return tuple(row(TODAY - (newest + number * step) * DAY, energy) for number, energy in enumerate(energies))


def share_at(at: datetime) -> float:
    share = clear_sky_share(GREENWICH, at.date(), PLACED.zone, at)
    assert share is not None
    return share


@pytest.mark.rule("D6.6", "D6.7")
@pytest.mark.parametrize(
    ("days", "usual"),
    [
        (earlier(10.0, 30.0, 20.0), 20.0),
        (earlier(10.0, 20.0, 30.0, 40.0), 25.0),
        # Only the newest seven, zeros included.
        (earlier(0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0), 0.0),
        (earlier(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 99.0, 99.0), 4.0),
        # With gaps, however wide, of at most 30 days.
        (earlier(1.0, 2.0, 3.0, newest=10, step=10), 2.0),
        (earlier(1.0, 2.0, 3.0, newest=11, step=10), None),
        (earlier(10.0, 20.0), None),
        ((), None),
    ],
)
@pytest.mark.rule("D6.7")
def test_what_is_usual_is_the_median_of_the_seven_newest_days_with_data(days: tuple[Snapshot, ...], usual: float | None) -> None:
    found = usual_energy(days, TODAY)
    assert (None if found is None else found.energy_kwh) == usual


@pytest.mark.rule("D6.7")
def test_the_day_itself_and_later_ones_are_no_earlier_days() -> None:
    days = (row(TODAY + DAY, 99.0), row(TODAY, 99.0), *earlier(1.0, 2.0, 3.0))
    found = usual_energy(days, TODAY)
    assert found is not None
    assert (found.energy_kwh, found.days) == (2.0, 3)


@pytest.mark.rule("D6.7")
def test_backfilled_days_count() -> None:
    days = (row(TODAY - DAY, 1.0, backfilled=True), *earlier(2.0, 3.0, newest=2))
    assert usual_energy(days, TODAY) is not None


@pytest.mark.rule("D6.6")
@pytest.mark.parametrize(
    ("energy", "usual", "low"),
    [
        (2.999, 10.0, True),
        (3.0, 10.0, False),
        (3.09, 10.3, False),
        (3.089, 10.3, True),
        (0.0, 0.1, True),
        (0.1, 0.0, False),
    ],
)
@pytest.mark.rule("D6.6")
def test_low_is_less_than_30_percent_of_what_is_usual(energy: float, usual: float, low: bool) -> None:
    verdict = judge_whole_day((row(TODAY, energy), *earlier(usual, usual, usual)), TODAY)
    assert verdict is not None
    assert verdict.is_low is low


@pytest.mark.rule("D6.8")
@pytest.mark.parametrize(
    "days",
    [
        (row(TODAY, 0.0), *earlier(10.0, 10.0)),
        (row(TODAY, 0.0), *earlier(0.0, 0.0, 0.0)),
        earlier(10.0, 10.0, 10.0),
    ],
    ids=["two days", "dead for days", "no row"],
)
@pytest.mark.rule("D6.8")
def test_no_verdict(days: tuple[Snapshot, ...]) -> None:
    assert judge_whole_day(days, TODAY) is None


@pytest.mark.rule("D6.10")
def test_a_running_day_is_judged_by_the_share_of_a_clear_day_from_a_quarter_on() -> None:
    days = (row(TODAY, 1.0), *earlier(20.0, 20.0, 20.0))
    at = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)
    while share_at(at) < 0.25:
        assert judge_running_day(days, GREENWICH, PLACED.zone, at) is None
        at += timedelta(seconds=10)
    verdict = judge_running_day(days, GREENWICH, PLACED.zone, at)
    assert verdict is not None
    assert verdict.share == pytest.approx(0.25, abs=2e-4)
    assert verdict.limit_kwh == pytest.approx(0.3 * 20.0 * 0.25, rel=1e-3)
    assert verdict.is_low


@pytest.mark.rule("D6.10")
def test_after_sunset_a_running_day_is_judged_as_a_whole() -> None:
    verdict = judge_running_day((row(TODAY, 5.9), *earlier(20.0, 20.0, 20.0)), GREENWICH, PLACED.zone, NOON + 8 * HOUR)
    assert verdict is not None
    assert (verdict.share, verdict.is_low) == (1.0, True)


@pytest.mark.rule("D6.1", "D6.3", "D6.12", "D6.26")
@pytest.mark.parametrize("state", [AlertState.NEW, AlertState.ACKED])
@pytest.mark.rule("D6.12")
def test_an_alert_opens_is_kept_up_and_resolves_with_the_verdicts(state: AlertState) -> None:
    low = judge_whole_day((row(TODAY, 1.0), *earlier(20.0, 20.0, 20.0)), TODAY)
    fine = judge_whole_day((row(TODAY, 19.0), *earlier(20.0, 20.0, 20.0)), TODAY)
    assert low is not None
    assert fine is not None
    (opened,) = judge_generation(ROOF, [], low, PLACED.zone, NOON)
    assert (opened.type, opened.severity, opened.key[1:]) == (AlertType.LOW_GENERATION, Severity.HIGH, (None, None))
    known = alert(AlertType.LOW_GENERATION, state=state)
    (kept,) = judge_generation(ROOF, [known], low, PLACED.zone, NOON)
    assert (kept.id, kept.state, kept.opened_at, kept.last_seen_at) == (known.id, state, known.opened_at, NOON)
    (gone,) = judge_generation(ROOF, [known], fine, PLACED.zone, NOON)
    assert (gone.state, gone.resolved_at) == (AlertState.RESOLVED, NOON)
    assert judge_generation(ROOF, [], fine, PLACED.zone, NOON) == ()


# Judged by jobs


def low_after(outcome: Outcome) -> list[AlertState]:
    return [entry.state for entry in outcome.alerts if entry.type is AlertType.LOW_GENERATION]


def polled(at: datetime = NOON, energy: float | None = 0.5, *, usual: float = 20.0, known: tuple[Alert, ...] = ()) -> Outcome:
    before = plant(active(last_seen_at=at), PLACED, days=earlier(usual, usual, usual), alerts=known)
    return close(before, sees(reading(at, today_energy_kwh=energy)), at)


def test_a_poll_at_noon_opens_and_the_plant_turns_yellow() -> None:
    outcome = polled()
    assert low_after(outcome) == [AlertState.NEW]
    assert (outcome.live.status, outcome.live.reason) == (Status.YELLOW, Reason.LOW_GENERATION)
    assert outcome.live.generation_judged_on == TODAY


@pytest.mark.rule("D6.12")
def test_a_poll_that_finds_enough_energy_resolves() -> None:
    outcome = polled(energy=12.0, known=(LOW,))
    assert low_after(outcome) == [AlertState.RESOLVED]
    assert outcome.live.status is Status.GREEN


ENERGIES = st.sampled_from([20.0, 2.9, 6.0, 0.0])


@pytest.mark.rule("D6.12", "D6.13")
@given(
    usual=st.lists(ENERGIES, min_size=2, max_size=5),
    known=ENERGIES,
    energy=ENERGIES,
    judged_on=st.sampled_from([TODAY, None, TODAY - DAY, TODAY + DAY]),
    alerts=st.sampled_from([(), (LOW,), (alert(),)]),
    hour=st.sampled_from([16, 12, 6]),
)
def test_a_verdict_that_is_not_worked_out_would_have_changed_nothing(
    usual: list[float], known: float, energy: float, judged_on: date | None, alerts: tuple[Alert, ...], hour: int
) -> None:
    at = datetime(2026, 3, 10, hour, 30, tzinfo=UTC)
    before = plant(
        active(last_seen_at=at, generation_judged_on=judged_on), PLACED, days=(row(TODAY, known), *earlier(*usual)), alerts=alerts
    )
    found = close(before, sees(reading(at, today_energy_kwh=energy)), at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "_is_known_to_do", lambda *_: False)
        assert close(before, sees(reading(at, today_energy_kwh=energy)), at) == found


@pytest.mark.rule("D6.11")
@pytest.mark.parametrize("hour", range(24))
@pytest.mark.rule("D6.11")
def test_a_healthy_plant_alerts_at_no_hour(hour: int) -> None:
    at = datetime(2026, 3, 10, hour, tzinfo=UTC)
    assert low_after(polled(at, share_at(at) * 20.0)) == []


@pytest.mark.rule("D6.11")
@pytest.mark.parametrize("hour", [0, 3, 6, 7, 8])
@pytest.mark.rule("D6.11")
def test_no_plant_alerts_at_dawn(hour: int) -> None:
    outcome = polled(datetime(2026, 3, 10, hour, tzinfo=UTC), 0.0)
    assert low_after(outcome) == []
    assert outcome.live.generation_judged_on is None


@pytest.mark.rule("D6.9", "D6.10")
def test_a_whole_day_is_judged_without_a_location_and_a_running_one_is_not() -> None:
    before = plant(active(last_seen_at=CLOSING), days=(row(TODAY, 5.0), *earlier(20.0, 20.0, 20.0)))
    assert low_after(close(before, sees(reading(CLOSING, today_energy_kwh=5.0)), CLOSING)) == []
    outcome = close(before, SeenDays({}), CLOSING, day_job())
    assert low_after(outcome) == [AlertState.NEW]
    assert outcome.live.generation_judged_on == TODAY


@pytest.mark.rule("D6.9")
def test_the_daily_job_judges_the_row_as_it_stands_after_the_job() -> None:
    before = plant(active(last_seen_at=CLOSING), days=(row(TODAY, 5.0), *earlier(20.0, 20.0, 20.0)), alerts=(LOW,))
    assert low_after(close(before, SeenDays({TODAY: 15.0}), CLOSING, day_job())) == [AlertState.RESOLVED]
    # Backfilled days before it count, too.
    before = plant(active(last_seen_at=CLOSING), days=(row(TODAY, 5.0),))
    series = {TODAY - number * DAY: 20.0 for number in (1, 2, 3)}
    assert low_after(close(before, SeenDays(series), CLOSING, day_job())) == [AlertState.NEW]


@pytest.mark.rule("D6.9")
def test_a_daily_job_that_failed_says_nothing() -> None:
    before = plant(active(last_seen_at=CLOSING), days=(row(TODAY, 5.0), *earlier(20.0, 20.0, 20.0)))
    outcome = close(before, Failed(PollError.VENDOR_ERROR), CLOSING, day_job())
    assert (low_after(outcome), outcome.live.generation_judged_on) == ([], None)


@pytest.mark.rule("D6.13")
def test_a_verdict_on_an_older_day_than_the_newest_judged_changes_nothing() -> None:
    days = (row(TODAY, 20.0), row(TODAY - DAY, 1.0), *earlier(20.0, 20.0, 20.0, newest=2))
    before = plant(active(last_seen_at=NOON, generation_judged_on=TODAY), days=days)
    outcome = close(before, SeenDays({}), NOON, day_job(TODAY - DAY))
    assert (low_after(outcome), outcome.live.generation_judged_on) == ([], TODAY)
    before = plant(active(last_seen_at=NOON, generation_judged_on=TODAY - DAY), days=days)
    assert low_after(close(before, SeenDays({}), NOON, day_job(TODAY - DAY))) == [AlertState.NEW]


def not_today(context: PlantContext, sample: datetime) -> Outcome:
    return close(context, sees(reading(sample, today_energy_kwh=0.0)), NOON)


@pytest.mark.rule("D6.10")
def test_only_today_s_newest_sample_is_judged() -> None:
    days = earlier(20.0, 20.0, 20.0, newest=2)
    fresh = active(last_seen_at=NOON)
    assert low_after(not_today(plant(fresh, PLACED, days=days), NOON - DAY + HOUR)) == [], "yesterday's"
    older = plant(active(last_seen_at=NOON, sampled_at=NOON), PLACED, days=(row(TODAY, 0.0), *days))
    assert low_after(not_today(older, NOON - timedelta(minutes=1))) == [], "not the newest"
    assert low_after(not_today(plant(active(sampled_at=NOON), PLACED, days=days), NOON)) == [AlertState.NEW], "the same again"


@pytest.mark.rule("D6.10")
def test_it_is_the_sample_s_instant_that_counts_and_not_the_poll_s() -> None:
    before = plant(active(last_seen_at=NOON), PLACED, days=earlier(20.0, 20.0, 20.0))
    dawn = datetime(2026, 3, 10, 7, 30, tzinfo=UTC)
    assert low_after(close(before, sees(reading(dawn, today_energy_kwh=0.1)), NOON)) == []


@pytest.mark.rule("D6.10")
def test_a_sample_without_energy_says_nothing_of_it() -> None:
    before = plant(active(), PLACED, days=(row(TODAY, 0.1), *earlier(20.0, 20.0, 20.0)))
    assert low_after(close(before, sees(reading(today_energy_kwh=None)), NOON)) == []


@pytest.mark.rule("D5.9")
def test_a_poll_that_pauses_the_plant_judges_nothing() -> None:
    before = plant(active(), PLACED, days=earlier(20.0, 20.0, 20.0))
    result = sees(reading(today_energy_kwh=0.0))
    paused = close(before, type(result)(result.reading, None, PollError.AUTH_FAILED), NOON)
    assert paused.live.integration is Integration.PAUSED_AUTH_ERROR
    assert low_after(paused) == []


@pytest.mark.rule("D6.25")
def test_neither_a_failed_look_up_nor_the_alarm_list_resolves_it() -> None:
    before = plant(active(), alerts=(LOW,))
    assert low_after(close(before, sees(alarms=listed()))) == []
    assert low_after(close(before, Failed(PollError.VENDOR_ERROR))) == []


@pytest.mark.rule("D6.8")
def test_a_dead_inverter_does_not_heal_by_staying_dead() -> None:
    """Once the median is 0 there is no verdict, so the alert stays until something is generated."""
    days: tuple[Snapshot, ...] = earlier(20.0, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0)
    context = plant(active(), PLACED, days=days)
    alive: list[bool] = []
    for number in range(14):
        at = NOON + number * DAY
        outcome = close(context, sees(reading(at, today_energy_kwh=0.0)), at)
        after = {entry.id: entry for entry in (*context.alerts, *outcome.alerts)}
        days = tuple({day.date: day for day in (*context.days, *outcome.days)}.values())
        context = plant(outcome.live, PLACED, days=days, alerts=tuple(entry for entry in after.values() if entry.is_active))
        alive.append(len(context.alerts) == 1)
    assert all(alive)


def test_what_is_to_be_expected_by_now() -> None:
    days = earlier(20.0, 20.0, 20.0)
    assert expected_today_kwh(PLACED, days, NOON) == pytest.approx(20.0 * share_at(NOON))
    assert expected_today_kwh(declared(), days, NOON) is None
    assert expected_today_kwh(PLACED, days[:2], NOON) is None
    assert (
        expected_today_kwh(declared(latitude=80.0, longitude=0.0), earlier(1.0, 1.0, 1.0), datetime(2025, 12, 21, 12, tzinfo=UTC)) is None
    )


def test_the_polar_night_has_no_verdict_on_a_running_day() -> None:
    at = datetime(2025, 12, 21, 12, tzinfo=UTC)
    days = tuple(row(date(2025, 12, day), 5.0) for day in range(15, 22))
    assert judge_running_day(days, Site(80.0, 0.0), PLACED.zone, at) is None
