"""NETWORK_TIMEOUT is retried twice, after 1 s and 3 s, within the same job and PollLog (DOMAIN 2): together for all that timed out."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from controller.domain.outcome import PollLog, Seen
from controller.domain.plant import Integration, JobType, PollError, PollStatus
from integrations.errors import AdapterError, AdapterErrorType
from tests.unit.domain.cases import DAY, TODAY
from tests.unit.polling.world import ALARMS, SERIES, SUMMARY, World

pytestmark = pytest.mark.rule("D2.15")


def fails(times: int, error: AdapterErrorType = AdapterErrorType.NETWORK_TIMEOUT) -> Callable[[], None]:
    left = [error] * times

    def act() -> None:
        if left:
            raise AdapterError(left.pop(), "nothing came back")

    return act


def only_log(world: World, name: str) -> PollLog:
    (log,) = world.logs(name)
    return log


def ended(world: World, name: str) -> PollStatus | PollError:
    log = only_log(world, name)
    return log.adapter_error_type or log.status


def times_asked(world: World, name: str, path: str = SUMMARY) -> int:
    return world.vendor.exchanges.count((name, path))


@pytest.mark.parametrize(("timeouts", "asked", "seconds", "result"), [
    (0, 1, 0, PollStatus.SUCCESS),
    (1, 2, 1, PollStatus.SUCCESS),
    (2, 3, 4, PollStatus.SUCCESS),
    (3, 3, 4, PollError.NETWORK_TIMEOUT),
])  # fmt: skip
@pytest.mark.rule("D2.15")
def test_a_timeout_is_retried_twice_in_the_same_job_and_log(
    timeouts: int, asked: int, seconds: float, result: PollStatus | PollError
) -> None:
    world = World("a")
    world.vendor.before["a", SUMMARY] = fails(timeouts)
    report = world.run(world.claim())
    assert ended(world, "a") is result
    assert times_asked(world, "a") == asked
    assert sum(world.pauses) == seconds
    assert report.retries == asked - 1
    assert not world.plant("a").is_claimed


def test_a_batch_of_slow_plants_pauses_once_for_all_of_them() -> None:
    names = "abcdefghij"
    world = World(*names)
    for name in names:
        world.vendor.before[name, SUMMARY] = fails(3)
    world.run(world.claim())
    assert {ended(world, name) for name in names} == {PollError.NETWORK_TIMEOUT}
    assert {times_asked(world, name) for name in names} == {3}
    assert sum(world.pauses) == 4


def test_who_answers_does_not_wait_for_the_slow() -> None:
    """Closed before the pause: by the first retry, or the one after which it answered."""
    world = World("quick", "later", "never")
    world.vendor.before["later", SUMMARY] = fails(1)
    world.vendor.before["never", SUMMARY] = fails(3)
    closed_at: dict[float, list[str]] = {}

    def during_pause() -> None:
        names = [name for name in ("quick", "later", "never") if world.logs(name)]
        closed_at.setdefault(sum(world.pauses), names)

    world.during_pause = during_pause
    report = world.run(world.claim())
    assert closed_at[0.25] == ["quick"]
    assert closed_at[1.25] == ["quick", "later"]
    assert len(report.closed) == len({entry.job for entry in report.closed}) == 3


def test_the_log_tells_of_the_whole_job() -> None:
    world = World("a")
    world.vendor.before["a", SUMMARY] = fails(1)
    world.during_pause = lambda: world.pass_time(0.25)
    begun = world.now
    world.run(world.claim())
    log = only_log(world, "a")
    assert (log.started_at, log.finished_at) == (begun, begun + timedelta(seconds=1))


@pytest.mark.rule("D2.15")
def test_a_daily_job_is_retried_too() -> None:
    world = World("a")
    world.pass_time(DAY.total_seconds() / 2)
    world.vendor.days = {TODAY: 14.0}
    world.vendor.before["a", SERIES] = fails(2)
    world.run(world.claim(JobType.DAILY))
    assert ended(world, "a") is PollStatus.SUCCESS
    assert times_asked(world, "a", SERIES) == 3
    assert world.plant("a").days[0].today_energy_kwh == 14.0


@pytest.mark.rule("D2.16")
@pytest.mark.parametrize("error", sorted(set(AdapterErrorType) - {AdapterErrorType.NETWORK_TIMEOUT}))
@pytest.mark.rule("D2.14", "D2.16")
def test_no_other_error_is_retried(error: AdapterErrorType) -> None:
    world = World("a")
    world.vendor.before["a", SUMMARY] = fails(1, error)
    report = world.run(world.claim())
    assert ended(world, "a") == PollError(error.value)
    assert (times_asked(world, "a"), world.pauses, report.retries) == (1, [], 0)


def test_a_retry_that_meets_another_error_ends_with_that() -> None:
    world = World("a")
    errors = [AdapterErrorType.AUTH_FAILED, AdapterErrorType.NETWORK_TIMEOUT]

    def act() -> None:
        raise AdapterError(errors.pop(), "no")

    world.vendor.before["a", SUMMARY] = act
    world.run(world.claim())
    assert ended(world, "a") is PollError.AUTH_FAILED
    assert world.plant("a").live.integration is Integration.PAUSED_AUTH_ERROR
    assert times_asked(world, "a") == 2


@pytest.mark.rule("D2.17")
def test_a_timeout_of_the_alarm_lookup_is_recorded_and_not_retried() -> None:
    """The summary has decided the result; the next poll asks for the alarms anew."""
    world = World("a")
    world.vendor.before["a", ALARMS] = fails(1)
    report = world.run(world.claim())
    log = only_log(world, "a")
    assert (log.status, log.adapter_error_type) == (PollStatus.SUCCESS, PollError.NETWORK_TIMEOUT)
    assert (times_asked(world, "a"), times_asked(world, "a", ALARMS), world.pauses) == (1, 1, [])
    assert isinstance(report.closed[0].result, Seen)


def test_a_stop_cuts_the_pause_short_and_the_timeout_stands() -> None:
    world = World("a", "b")
    for name in "ab":
        world.vendor.before[name, SUMMARY] = fails(1)
    report = world.run(world.claim(), may_retry=lambda: len(world.pauses) < 2)
    assert [ended(world, name) for name in "ab"] == [PollError.NETWORK_TIMEOUT] * 2
    assert sum(world.pauses) == 0.5
    assert len(report.closed) == 2


def test_a_stop_between_two_retries_lets_the_other_timeout_stand() -> None:
    world = World("a", "b")
    for name in "ab":
        world.vendor.before[name, SUMMARY] = fails(1)
    jobs = world.claim()
    world.run(jobs, may_retry=lambda: len(world.vendor.exchanges) < 4)
    assert sorted(str(ended(world, name)) for name in "ab") == ["NETWORK_TIMEOUT", "SUCCESS"]


def test_no_retry_begins_once_the_lease_has_run_out() -> None:
    world = World("a", "b")
    world.vendor.before["a", SUMMARY] = fails(1)
    jobs = world.claim()

    def run_out() -> None:
        world.lease.held = False

    world.during_pause = run_out
    report = world.run(jobs)
    assert [job.plant_id for job in report.abandoned] == [world.plant("a").plant_id]
    assert world.plant("a").is_claimed, "recovery closes it"
    assert ended(world, "b") is PollStatus.SUCCESS
    assert times_asked(world, "a") == 1


def test_an_attempt_that_was_closed_during_the_pause_writes_nothing() -> None:
    world = World("a")
    world.vendor.before["a", SUMMARY] = fails(1)
    jobs = world.claim()

    def close() -> None:
        world.during_pause = lambda: None
        world.vendor.before.clear()
        assert world.run(jobs).closed

    world.during_pause = close
    report = world.run(jobs)
    assert (report.closed, report.dropped) == ((), tuple(jobs))
    assert len(world.logs("a")) == 1
