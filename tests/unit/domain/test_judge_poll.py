"""What closing a poll brings (DOMAIN 2, 5 and 6; PROTOCOL 23 and 25)."""

import math
from datetime import datetime, timedelta

import pytest

from controller.domain.judge import RATE_LIMIT_BACKOFF_MAX, RETRY_AFTER_MAX, judge_lost
from controller.domain.outcome import Failed, NextPoll, Seen
from controller.domain.plant import AlertState, AlertType, Declaration, Integration, PollError, PollStatus, Reason, Status
from controller.domain.schedule import next_slot
from integrations.contract import Reading, Severity
from tests.unit.domain.cases import (
    DAY,
    HOUR,
    NOON,
    ROOF,
    TICK,
    TODAY,
    active,
    alarm,
    alert,
    close,
    declared,
    listed,
    plant,
    poll_job,
    reading,
    row,
    sees,
)

PAUSED = Integration.PAUSED_AUTH_ERROR
VENDOR_ERRORS = [error for error in PollError if not error.is_ours]
OURS = [PollError.WORKER_LOST, PollError.LOCKED, PollError.SUPERSEDED, PollError.CANCELLED]


@pytest.mark.rule("D2.12")
def test_the_closed_list_of_errors_is_the_contract() -> None:
    assert [error for error in PollError if error.is_ours] == OURS
    assert {*VENDOR_ERRORS} == {
        "AUTH_FAILED", "RATE_LIMIT_EXCEEDED", "NETWORK_TIMEOUT", "INVALID_DATA_FORMAT", "PLANT_NOT_FOUND", "VENDOR_ERROR", "UNKNOWN_ERROR",
    }  # fmt: skip


def test_a_successful_poll_brings_live_values_the_day_and_a_log() -> None:
    outcome = close(plant(active(last_seen_at=NOON - 3 * HOUR, consecutive_failures=4, last_error=PollError.VENDOR_ERROR)), sees())
    live = outcome.live
    assert (live.status, live.reason) == (Status.GREEN, Reason.REPORTING)
    assert (live.last_seen_at, live.sampled_at, live.current_power_w, live.total_energy_kwh) == (NOON, NOON, 3000.0, 5000.0)
    assert (live.last_poll_at, live.last_success_at, live.last_error, live.consecutive_failures) == (NOON, NOON, None, 0)
    assert live.clock_due_at == NOON + 2 * HOUR
    assert [(day.date, day.today_energy_kwh) for day in outcome.days] == [(TODAY, 12.5)]
    assert outcome.next_poll is None, "the claim has set the next slot already"
    assert outcome.log is not None
    assert (outcome.log.status, outcome.log.adapter_error_type, outcome.log.duration_ms) == (PollStatus.SUCCESS, None, 1000)
    assert (outcome.log.job_id, outcome.log.attempt, outcome.log.claimed_at) == (f"poll:plant:{ROOF}:latest", 7, NOON)


@pytest.mark.parametrize("error", VENDOR_ERRORS)
def test_a_failed_poll_is_logged_and_counted_and_changes_no_value(error: PollError) -> None:
    before = plant(active(consecutive_failures=2, current_power_w=5.0), alerts=(alert(),), days=(row(),))
    outcome = close(before, Failed(error))
    assert outcome.log is not None
    assert (outcome.log.status, outcome.log.adapter_error_type) == (PollStatus.ERROR, error)
    assert (outcome.live.consecutive_failures, outcome.live.last_error, outcome.live.last_poll_at) == (3, error, NOON)
    assert (outcome.live.last_seen_at, outcome.live.current_power_w) == (NOON, 5.0)
    assert (outcome.days, outcome.alerts) == ((), ())


@pytest.mark.parametrize("error", [error for error in VENDOR_ERRORS if error not in ("AUTH_FAILED", "RATE_LIMIT_EXCEEDED")])
@pytest.mark.rule("D2.16")
def test_other_failures_wait_for_the_next_slot(error: PollError) -> None:
    outcome = close(plant(), Failed(error))
    assert outcome.next_poll is None
    assert outcome.live.integration is Integration.ACTIVE


def test_without_a_slot_a_finished_poll_returns_to_the_phase_grid() -> None:
    assert close(plant(next_poll_at=None), sees()).next_poll == NextPoll(next_slot(ROOF, 600, NOON))


@pytest.mark.parametrize("silence", [2 * HOUR, 2 * HOUR + TICK, DAY, DAY + TICK])
def test_a_failing_poll_lets_the_clock_judge(silence: timedelta) -> None:
    outcome = close(plant(active(last_seen_at=NOON - silence)), Failed(PollError.VENDOR_ERROR))
    expected = {2 * HOUR: Status.GREEN, 2 * HOUR + TICK: Status.YELLOW, DAY: Status.YELLOW, DAY + TICK: Status.RED}
    assert outcome.live.status is expected[silence]
    assert [entry.type for entry in outcome.alerts] == ([AlertType.OFFLINE] if silence > DAY else [])


# Authentication


@pytest.mark.rule("D2.13")
def test_refused_credentials_pause_the_plant_and_stop_its_polls() -> None:
    outcome = close(plant(), Failed(PollError.AUTH_FAILED))
    assert (outcome.live.integration, outcome.live.status, outcome.live.reason) == (PAUSED, Status.GREY, Reason.PAUSED_AUTH_ERROR)
    assert outcome.next_poll == NextPoll(None)
    assert (outcome.live.clock_due_at, outcome.live.day_due_at) == (None, None)


@pytest.mark.rule("D5.11")
def test_a_trial_poll_that_is_refused_again_changes_no_status() -> None:
    outcome = close(plant(active(integration=PAUSED, status=Status.GREY, status_since=NOON - DAY)), Failed(PollError.AUTH_FAILED))
    assert (outcome.live.integration, outcome.live.status_since, outcome.transition) == (PAUSED, NOON - DAY, None)
    assert outcome.next_poll == NextPoll(None)


@pytest.mark.parametrize("error", [error for error in VENDOR_ERRORS if error is not PollError.AUTH_FAILED])
@pytest.mark.rule("D5.11")
def test_any_other_end_of_a_trial_poll_lifts_the_pause(error: PollError) -> None:
    live = active(integration=PAUSED, last_seen_at=NOON - 3 * DAY)
    outcome = close(plant(live), Failed(error))
    assert (outcome.live.integration, outcome.live.active_since) == (Integration.ACTIVE, NOON)
    assert outcome.live.status is Status.RED, "all is judged at once when the plant returns"
    assert [entry.type for entry in outcome.alerts] == [AlertType.OFFLINE]


def test_a_successful_trial_poll_brings_the_plant_back() -> None:
    outcome = close(plant(active(integration=PAUSED, status=Status.GREY)), sees())
    assert (outcome.live.integration, outcome.live.status, outcome.live.last_error) == (Integration.ACTIVE, Status.GREEN, None)
    assert outcome.live.day_due_at is not None


@pytest.mark.parametrize("error", OURS)
def test_a_trial_poll_that_came_to_nothing_is_tried_again(error: PollError) -> None:
    outcome = close(plant(active(integration=PAUSED, status=Status.GREY, status_since=NOON)), Failed(error))
    assert (outcome.live.integration, outcome.next_poll) == (PAUSED, NextPoll(NOON))


@pytest.mark.rule("D5.9")
def test_while_paused_no_alert_opens_or_resolves() -> None:
    offline = alert(AlertType.OFFLINE, Severity.CRITICAL)
    for known in ((), (offline,)):
        silent = active(integration=PAUSED, last_seen_at=NOON if known else NOON - 3 * DAY)
        assert close(plant(silent, alerts=known), Failed(PollError.AUTH_FAILED)).alerts == ()


# Rate limits

SLOT = next_slot(ROOF, 600, NOON)


@pytest.mark.parametrize(
    ("retry_after_s", "failures", "due"),
    [
        (1800.0, 0, NOON + timedelta(seconds=1800)),
        # Shorter than the way to the next slot: not before that.
        (1.0, 0, SLOT),
        (0.0, 0, SLOT),
        (-5.0, 0, NOON + timedelta(seconds=1200)),
        (math.nan, 0, NOON + timedelta(seconds=1200)),
        (math.inf, 0, NOON + RETRY_AFTER_MAX),
        (1e12, 0, NOON + RETRY_AFTER_MAX),
        (None, 0, NOON + timedelta(seconds=1200)),
        (None, 1, NOON + timedelta(seconds=2400)),
        (None, 60, NOON + RATE_LIMIT_BACKOFF_MAX),
    ],
)
@pytest.mark.rule("D2.14")
def test_a_rate_limit_pushes_the_next_poll_out(retry_after_s: float | None, failures: int, due: datetime) -> None:
    outcome = close(plant(active(consecutive_failures=failures)), Failed(PollError.RATE_LIMIT_EXCEEDED, retry_after_s=retry_after_s))
    assert outcome.next_poll == NextPoll(due)
    assert outcome.live.integration is Integration.ACTIVE


def test_a_rate_limit_never_polls_a_plant_before_its_next_slot() -> None:
    daily = declared(poll_interval_s=86_400)
    slot = NOON + 20 * HOUR
    outcome = close(plant(declaration=daily, next_poll_at=slot), Failed(PollError.RATE_LIMIT_EXCEEDED))
    assert outcome.next_poll == NextPoll(slot)


# Alarms


@pytest.mark.rule("D2.17", "D6.25")
def test_a_failed_alarm_lookup_leaves_success_and_resolves_nothing() -> None:
    outcome = close(plant(alerts=(alert(),)), Seen(reading(), None, PollError.VENDOR_ERROR))
    assert outcome.log is not None
    assert (outcome.log.status, outcome.log.adapter_error_type) == (PollStatus.SUCCESS, PollError.VENDOR_ERROR)
    assert (outcome.alerts, outcome.live.consecutive_failures, outcome.live.last_success_at) == ((), 0, NOON)
    assert outcome.days


@pytest.mark.rule("D2.17")
def test_refused_credentials_at_the_alarms_pause_too_and_keep_the_reading() -> None:
    outcome = close(plant(), Seen(reading(), None, PollError.AUTH_FAILED))
    assert (outcome.live.integration, outcome.next_poll) == (PAUSED, NextPoll(None))
    assert (outcome.live.last_seen_at, len(outcome.days)) == (NOON, 1)


@pytest.mark.parametrize(("retry_after_s", "pause_s"), [(1800.0, 1800), (None, 600)])
@pytest.mark.rule("D2.17")
def test_a_rate_limit_at_the_alarms_pushes_out_too(retry_after_s: float | None, pause_s: int) -> None:
    outcome = close(plant(), Seen(reading(), None, PollError.RATE_LIMIT_EXCEEDED, retry_after_s))
    assert outcome.next_poll == NextPoll(max(SLOT, NOON + timedelta(seconds=pause_s)))


def test_a_critical_alarm_turns_the_plant_red_and_its_end_turns_it_green() -> None:
    outcome = close(plant(), sees(alarms=listed(alarm(severity=Severity.CRITICAL))))
    assert (outcome.live.status, outcome.live.reason) == (Status.RED, Reason.CRITICAL_ALERT)
    healed = close(plant(outcome.live, alerts=outcome.alerts), sees(alarms=listed()), NOON + HOUR)
    assert [entry.state for entry in healed.alerts] == [AlertState.RESOLVED]
    assert (healed.live.status, healed.live.status_since) == (Status.GREEN, NOON + HOUR)


@pytest.mark.rule("D5.3", "D6.26")
def test_an_acknowledged_critical_alert_keeps_the_plant_red() -> None:
    acked = alert(severity=Severity.CRITICAL, state=AlertState.ACKED)
    outcome = close(plant(alerts=(acked,)), sees(alarms=listed(alarm(severity=Severity.CRITICAL))))
    assert (outcome.live.status, [entry.state for entry in outcome.alerts]) == (Status.RED, [AlertState.ACKED])


# Readings


@pytest.mark.parametrize(("said", "kept"), [(NOON - HOUR, NOON), (None, NOON), (NOON + TICK, NOON + TICK)])
@pytest.mark.rule("D3.8")
def test_last_seen_never_goes_back(said: object, kept: object) -> None:
    assert close(plant(), sees(reading(last_seen_at=said)), NOON + HOUR).live.last_seen_at == kept


@pytest.mark.rule("D3.9")
def test_a_fresh_sample_is_no_sign_of_life() -> None:
    outcome = close(plant(active(last_seen_at=NOON - 3 * HOUR)), sees(reading(last_seen_at=None)))
    assert (outcome.live.status, outcome.live.sampled_at) == (Status.YELLOW, NOON)


def test_a_reading_without_last_seen_leaves_a_new_plant_grey() -> None:
    outcome = close(plant(active(last_seen_at=None, active_since=NOON)), sees(reading(last_seen_at=None)))
    assert (outcome.live.status, outcome.live.reason) == (Status.GREY, Reason.AWAITING_FIRST_READING)


def test_an_older_sample_leaves_the_newer_power() -> None:
    before = active(sampled_at=NOON, current_power_w=9.0)
    assert close(plant(before), sees(reading(NOON - HOUR))).live.current_power_w == 9.0


def test_a_sample_without_power_shows_none() -> None:
    assert close(plant(active(current_power_w=9.0)), sees(reading(current_power_w=None))).live.current_power_w is None


@pytest.mark.rule("D3.4", "D3.5")
def test_refused_values_are_told_and_the_poll_is_a_success() -> None:
    outcome = close(plant(), sees(reading(current_power_w=-1.0, today_energy_kwh=math.nan)))
    assert outcome.log is not None
    assert outcome.log.status is PollStatus.SUCCESS
    assert set(outcome.refusals) == {"current_power_w", "today_energy_kwh"}
    assert (outcome.days, outcome.live.last_seen_at) == ((), NOON)


def test_an_empty_reading_is_a_success_that_changes_nothing() -> None:
    outcome = close(plant(), sees(Reading()))
    assert (outcome.live.last_seen_at, outcome.days, outcome.live.status) == (NOON, (), Status.GREEN)


# What changed meanwhile

CHANGES = [
    {"timezone": "Asia/Tokyo"},
    {"scenario": "fault"},
    {"capacity_kwp": 7.0},
    {"suspend": True},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize(
    "result", [sees(), Failed(PollError.VENDOR_ERROR), Failed(PollError.AUTH_FAILED)], ids=["seen", "failed", "refused"]
)
def test_what_a_changed_plant_was_said_to_be_is_discarded(change: dict[str, object], result: Seen | Failed) -> None:
    read = plant()
    changed = declared(generation=2, **change)
    suspended = bool(change.get("suspend"))
    live = active(integration=Integration.DISABLED_BY_OPERATOR if suspended else Integration.ACTIVE)
    outcome = close(plant(live, changed), result, read=read)
    assert outcome.log is not None
    assert (outcome.log.status, outcome.log.adapter_error_type) == (PollStatus.ERROR, PollError.SUPERSEDED)
    assert (outcome.days, outcome.alerts, outcome.live.consecutive_failures) == ((), (), 0)
    assert outcome.live.integration is live.integration
    assert outcome.next_poll == NextPoll(None if suspended else NOON)


@pytest.mark.parametrize(
    ("change", "due"),
    [
        ({"display_name": "Roof", "generation": 2}, NextPoll(NOON)),
        ({"poll_interval_s": 3600, "generation": 2}, NextPoll(NOON)),
        ({"poll_requested": "again"}, NextPoll(NOON)),
        ({"silence_until": NOON + DAY}, None),
    ],
    ids=str,
)
def test_a_change_that_the_reading_does_not_rest_on_keeps_it_and_is_polled_again(change: dict[str, object], due: NextPoll | None) -> None:
    outcome = close(plant(declaration=declared(**change)), sees(), read=plant())
    assert outcome.log is not None
    assert outcome.log.status is PollStatus.SUCCESS
    assert (outcome.next_poll, outcome.live.polled_generation) == (due, 1)


def test_the_outcome_echoes_the_request_that_was_read() -> None:
    asked = declared(poll_requested="one")
    assert close(plant(declaration=asked), sees()).live.handled_poll_request == "one"
    meanwhile = close(plant(declaration=declared(poll_requested="two")), sees(), read=plant(declaration=asked))
    assert (meanwhile.live.handled_poll_request, meanwhile.next_poll) == ("one", NextPoll(NOON))


def test_a_request_that_was_taken_away_asks_for_nothing() -> None:
    assert close(plant(), sees(), read=plant(declaration=declared(poll_requested="one"))).next_poll is None


def test_refused_credentials_do_not_swallow_a_request_that_came_meanwhile() -> None:
    outcome = close(plant(declaration=declared(poll_requested="now")), Failed(PollError.AUTH_FAILED), read=plant())
    assert (outcome.live.integration, outcome.next_poll) == (PAUSED, NextPoll(NOON))


def test_a_plant_created_anew_meanwhile_has_not_been_polled_yet() -> None:
    anew: Declaration = declared(uid="uid-2", poll_requested="x")
    outcome = close(plant(active(polled_generation=0), anew), sees(), read=plant())
    assert (outcome.live.polled_generation, outcome.live.handled_poll_request, outcome.next_poll) == (0, None, NextPoll(NOON))


@pytest.mark.parametrize("result", [sees(), Failed(PollError.CANCELLED), Failed(PollError.AUTH_FAILED)])
def test_a_deleted_plant_only_gets_its_log(result: Seen | Failed) -> None:
    before = plant(deleted=True)
    outcome = close(before, result, read=plant())
    assert (outcome.live, outcome.days, outcome.alerts, outcome.next_poll) == (before.live, (), (), NextPoll(None))
    assert outcome.log is not None
    assert outcome.log.status is PollStatus.ERROR


@pytest.mark.parametrize("error", OURS)
@pytest.mark.rule("D2.10")
def test_a_job_that_says_nothing_of_the_plant_is_no_failure_and_due_again_at_once(error: PollError) -> None:
    before = plant(active(consecutive_failures=2, last_error=PollError.VENDOR_ERROR))
    outcome = close(before, Failed(error))
    assert outcome.log is not None
    assert (outcome.log.status, outcome.log.adapter_error_type) == (PollStatus.ERROR, error)
    assert (outcome.live.consecutive_failures, outcome.live.last_error) == (2, PollError.VENDOR_ERROR)
    assert (outcome.live.last_poll_at, outcome.live.polled_generation) == (None, 1)
    assert outcome.next_poll == NextPoll(NOON)


@pytest.mark.parametrize("error", OURS)
def test_a_suspended_plant_is_not_due_again(error: PollError) -> None:
    before = plant(active(integration=Integration.DISABLED_BY_OPERATOR), declared(suspend=True))
    outcome = close(before, Failed(error))
    assert (outcome.next_poll, outcome.live.integration) == (NextPoll(None), Integration.DISABLED_BY_OPERATOR)


def test_a_lost_job_is_logged_from_its_claim_on() -> None:
    outcome = judge_lost(plant(claimed_at=NOON - HOUR), poll_job(), NOON)
    assert outcome.log is not None
    assert (outcome.log.adapter_error_type, outcome.log.started_at, outcome.log.finished_at) == (PollError.WORKER_LOST, NOON - HOUR, NOON)
    assert outcome.next_poll == NextPoll(NOON)


@pytest.mark.parametrize(("losses", "minutes"), [(0, 0), (1, 0), (2, 10), (3, 20), (9, 60)])
def test_a_plant_that_is_lost_again_and_again_backs_off(losses: int, minutes: int) -> None:
    """PROTOCOL 20: at once the first two times, and longer and longer since it is handed out alone."""
    outcome = judge_lost(plant(active(losses=losses)), poll_job(), NOON)
    assert (outcome.live.losses, outcome.next_poll) == (losses + 1, NextPoll(NOON + timedelta(minutes=minutes)))


@pytest.mark.parametrize("result", [sees(), Failed(PollError.NETWORK_TIMEOUT)])
def test_a_worker_that_outlived_the_poll_ends_the_count_of_losses(result: Seen | Failed) -> None:
    assert close(plant(active(losses=5)), result).live.losses == 0


@pytest.mark.parametrize("error", [PollError.LOCKED, PollError.SUPERSEDED])
def test_what_is_no_loss_changes_no_count_and_waits_for_nothing(error: PollError) -> None:
    outcome = close(plant(active(losses=5)), Failed(error))
    assert (outcome.live.losses, outcome.next_poll) == (5, NextPoll(NOON))
