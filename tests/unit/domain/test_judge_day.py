"""What closing a local day brings (DOMAIN 4, PROTOCOL 18)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.domain.judge import judge_lost
from controller.domain.outcome import Failed, NextPoll, SeenDays
from controller.domain.plant import Integration, PollError, PollStatus, Snapshot, Status
from controller.domain.schedule import close_at, next_slot, phase_s
from tests.unit.domain.cases import DAY, HOUR, ROOF, TODAY, active, close, day_job, declared, plant, row

UTC_ZONE = ZoneInfo("UTC")
PHASE = phase_s(ROOF)
DUE = close_at(TODAY, UTC_ZONE, PHASE)
SLOT = next_slot(ROOF, 600, DUE)


def test_a_closed_day_is_backfilled_and_the_next_one_due() -> None:
    before = plant(active(day_due_date=TODAY, day_due_at=DUE, last_seen_at=DUE - 3 * HOUR), days=(row(TODAY, 10.0),))
    outcome = close(before, SeenDays({TODAY: 12.0, TODAY - DAY: 8.0}), DUE, day_job())
    assert {day.date: (day.today_energy_kwh, day.backfilled) for day in outcome.days} == {TODAY: (12.0, False), TODAY - DAY: (8.0, True)}
    assert (outcome.live.day_due_date, outcome.live.day_due_at) == (TODAY + DAY, close_at(TODAY + DAY, UTC_ZONE, PHASE))
    assert outcome.log is not None
    assert (outcome.log.status, outcome.log.job_id) == (PollStatus.SUCCESS, f"daily:plant:{ROOF}:2026-03-10")
    assert outcome.next_poll is None


@pytest.mark.rule("D4.4")
def test_a_backfilled_day_is_no_sign_of_life_and_no_poll() -> None:
    before = plant(active(day_due_date=TODAY, day_due_at=DUE, last_seen_at=DUE - 3 * HOUR))
    live = close(before, SeenDays({TODAY: 12.0}), DUE, day_job()).live
    assert (live.last_seen_at, live.status, live.last_poll_at) == (DUE - 3 * HOUR, Status.YELLOW, None)


def test_implausible_days_of_the_series_are_refused_one_by_one() -> None:
    before = plant(active(last_seen_at=DUE), declared(capacity_kwp=1.0))
    series = {TODAY: 24.0, TODAY - DAY: 24.1, TODAY - 2 * DAY: float("inf"), TODAY - 3 * DAY: -2.0}
    outcome = close(before, SeenDays(series), DUE, day_job())
    assert [(day.date, day.today_energy_kwh) for day in outcome.days] == [(TODAY, 24.0)]
    assert outcome.refusals == ("today_energy_kwh",) * 3


@pytest.mark.parametrize(("late", "following"), [(1, TODAY + DAY), (3, TODAY + DAY), (4, TODAY + DAY), (9, TODAY + 6 * DAY)])
@pytest.mark.rule("D4.5")
def test_after_a_long_outage_days_are_closed_from_the_third_back(late: int, following: date) -> None:
    outcome = close(plant(active()), SeenDays({}), DUE + late * DAY, day_job())
    assert outcome.live.day_due_date == following
    assert outcome.live.day_due_at == close_at(following, UTC_ZONE, PHASE)


def test_a_day_that_the_zone_skipped_is_not_closed() -> None:
    apia = ZoneInfo("Pacific/Apia")
    before = plant(active(), declared(timezone="Pacific/Apia"))
    outcome = close(before, SeenDays({}), close_at(date(2011, 12, 29), apia, PHASE), day_job(date(2011, 12, 29)))
    assert outcome.live.day_due_date == date(2011, 12, 31)


@pytest.mark.parametrize("error", [PollError.VENDOR_ERROR, PollError.LOCKED, PollError.WORKER_LOST, PollError.SUPERSEDED])
def test_a_day_that_could_not_be_closed_is_tried_again_with_growing_pauses(error: PollError) -> None:
    now, pauses = DUE, []
    for _ in range(5):
        before = plant(active(day_due_date=TODAY, day_due_at=now, last_seen_at=DUE))
        outcome = close(before, Failed(error), now, day_job())
        due = outcome.live.day_due_at
        assert outcome.live.day_due_date == TODAY
        assert due is not None
        pauses.append(int((due - now).total_seconds()))
        now = due
    assert pauses == [60, 60, 120, 240, 480]


def test_a_failed_close_is_no_failure_of_the_polls() -> None:
    outcome = close(plant(active(consecutive_failures=0)), Failed(PollError.VENDOR_ERROR), DUE, day_job())
    assert outcome.next_poll is None
    assert outcome.log is not None
    assert (outcome.log.status, outcome.log.adapter_error_type) == (PollStatus.ERROR, PollError.VENDOR_ERROR)


def test_refused_credentials_at_the_close_pause_the_plant() -> None:
    outcome = close(plant(active()), Failed(PollError.AUTH_FAILED), DUE, day_job())
    assert (outcome.live.integration, outcome.live.day_due_at, outcome.next_poll) == (Integration.PAUSED_AUTH_ERROR, None, NextPoll(None))


def test_a_rate_limit_at_the_close_keeps_poll_and_close_away_for_as_long() -> None:
    outcome = close(plant(active(), next_poll_at=SLOT), Failed(PollError.RATE_LIMIT_EXCEEDED, retry_after_s=3000.0), DUE, day_job())
    assert outcome.live.day_due_at == DUE + timedelta(seconds=3000)
    assert outcome.next_poll == NextPoll(DUE + timedelta(seconds=3000))


@pytest.mark.parametrize("error", [None, PollError.VENDOR_ERROR, PollError.AUTH_FAILED, PollError.LOCKED])
@pytest.mark.parametrize(
    "change", [{"poll_requested": "now"}, {"generation": 2}, {"scenario": "fault", "generation": 1}], ids=["request", "spec", "scenario"]
)
def test_a_poll_that_was_asked_for_while_the_day_was_closed_comes_right_after(error: PollError | None, change: dict[str, object]) -> None:
    # It fell due while the slot was taken, so the scheduler moved it to the next slot of the grid.
    result = SeenDays({TODAY: 1.0}) if error is None else Failed(error)
    outcome = close(plant(active(), declared(**change), next_poll_at=SLOT), result, DUE, day_job(), read=plant(active()))
    assert outcome.next_poll == NextPoll(DUE)


def test_a_poll_that_was_asked_for_is_not_lost_with_the_worker_that_closed_the_day() -> None:
    asked = plant(active(), declared(poll_requested="now"), next_poll_at=SLOT)
    assert judge_lost(asked, day_job(), DUE).next_poll == NextPoll(DUE)


def test_a_handled_request_is_not_polled_again_by_the_close() -> None:
    asked = plant(active(handled_poll_request="now"), declared(poll_requested="now"), next_poll_at=SLOT)
    assert close(asked, SeenDays({}), DUE, day_job()).next_poll is None


def test_a_timezone_changed_meanwhile_discards_the_series_and_waits_for_the_new_close() -> None:
    # In Sao Paulo the day ends three hours later.
    changed = plant(active(), declared(timezone="America/Sao_Paulo", generation=2))
    outcome = close(changed, SeenDays({TODAY: 12.0}), DUE, day_job(), read=plant(active()))
    assert outcome.log is not None
    assert (outcome.log.adapter_error_type, outcome.days) == (PollError.SUPERSEDED, ())
    assert outcome.live.day_due_at == close_at(TODAY, ZoneInfo("America/Sao_Paulo"), PHASE)


def test_a_suspended_plant_closes_no_day() -> None:
    before = plant(active(integration=Integration.DISABLED_BY_OPERATOR), declared(suspend=True))
    outcome = close(before, Failed(PollError.CANCELLED), DUE, day_job())
    assert (outcome.live.day_due_at, outcome.next_poll) == (None, NextPoll(None))


@pytest.mark.parametrize("name", ["America/Sao_Paulo", "America/Santiago", "America/Nuuk", "Pacific/Apia", "Europe/Berlin"])
def test_a_year_of_closes_closes_every_local_day_once_and_within_it(name: str) -> None:
    zone = ZoneInfo(name)
    first = date(2011, 3, 1) if name == "Pacific/Apia" else date(2018, 2, 1)
    context = plant(active(day_due_date=first, day_due_at=close_at(first, zone, PHASE)), declared(timezone=name))
    closed: list[date] = []
    for _ in range(365):
        day, due = context.live.day_due_date, context.live.day_due_at
        assert day is not None
        assert due is not None
        outcome = close(context, SeenDays({day: 1.0}), due, day_job(day))
        assert [made.date for made in outcome.days] == [day]
        assert (due - timedelta(microseconds=1)).astimezone(zone).date() == day
        closed.append(day)
        context = plant(outcome.live, context.declaration)
    noons = {datetime(first.year, first.month, first.day, 12, tzinfo=zone).astimezone(UTC) + number * DAY for number in range(367)}
    days = sorted({noon.astimezone(zone).date() for noon in noons})
    assert closed == days[: len(closed)]


def test_snapshots_of_the_series_have_neither_peak_nor_times() -> None:
    (made,) = close(plant(active()), SeenDays({TODAY: 3.0}), DUE, day_job()).days
    assert made == Snapshot(date=TODAY, timezone="UTC", today_energy_kwh=3.0, backfilled=True)
