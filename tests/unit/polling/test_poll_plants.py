"""A batch of jobs from taken to closed (PROTOCOL 22 to 25): what the rows hold afterwards, whatever happened on the way."""

import math
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from controller.domain.judge import judge_lost
from controller.domain.outcome import Job
from controller.domain.plant import Integration, JobType, PollError, PollStatus, Status
from controller.polling.close_jobs import ROUNDS
from controller.polling.poll_plants import BatchReport
from controller.polling.repeat import PAUSES_S
from integrations.contract import Brand
from integrations.errors import AdapterError, AdapterErrorType
from tests.unit.domain.cases import DAY, TODAY, reading
from tests.unit.polling.world import ALARMS, SERIES, SUMMARY, World, plant_id


def raises(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def ended(world: World, name: str) -> tuple[PollStatus, PollError | None]:
    (log,) = world.logs(name)
    return log.status, log.adapter_error_type


def fates(report: BatchReport) -> tuple[set[Job], set[Job], set[Job], set[Job]]:
    return {entry.job for entry in report.closed}, set(report.dropped), set(report.not_begun), set(report.abandoned)


def test_a_batch_polls_each_plant_once_and_stores_it_in_one_write() -> None:
    world = World("a", "b", "c")
    jobs = world.claim()
    report = world.run(jobs)
    assert fates(report) == (set(jobs), set(), set(), set())
    assert sorted(world.vendor.exchanges) == [(name, path) for name in "abc" for path in (ALARMS, SUMMARY)]
    assert len(world.store.writes) == 1
    for name in "abc":
        assert ended(world, name) == (PollStatus.SUCCESS, None)
        assert (world.plant(name).live.status, world.plant(name).days[0].today_energy_kwh) == (Status.GREEN, 12.5)
        assert not world.plant(name).is_claimed
    assert world.passed.count("before-exchange") == 6
    assert [point for point in world.passed if point != "before-exchange"] == ["after-read", "before-close", "after-commit"]


def test_a_daily_job_asks_for_its_day_and_the_three_before() -> None:
    world = World("a")
    world.pass_time(DAY.total_seconds() / 2)
    (job,) = world.claim(JobType.DAILY)
    world.vendor.days = {TODAY: 14.0, TODAY - DAY: 9.0}
    world.run([job])
    assert world.vendor.exchanges == [("a", SERIES)]
    assert {day.date: day.today_energy_kwh for day in world.plant("a").days} == world.vendor.days
    assert world.logs("a")[0].job_type is JobType.DAILY


# Jobs without an exchange


@pytest.mark.rule("D2.7")
def test_a_locked_plant_is_not_read_and_due_again() -> None:
    world = World("a")
    world.run(world.claim(), locked=True)
    assert ended(world, "a") == (PollStatus.ERROR, PollError.LOCKED)
    assert world.vendor.exchanges == []
    assert world.plant("a").next_poll_at == world.now


@pytest.mark.parametrize(
    "stop", [lambda world: world.delete("a"), lambda world: world.declare("a", suspend=True)], ids=["deleted", "suspended"]
)
@pytest.mark.rule("D2.9")
def test_a_plant_that_was_stopped_before_its_job_began_is_not_read(stop: Callable[[World], None]) -> None:
    world = World("a")
    jobs = world.claim()
    stop(world)
    world.run(jobs)
    assert ended(world, "a") == (PollStatus.ERROR, PollError.CANCELLED)
    assert world.vendor.exchanges == []
    assert world.plant("a").next_poll_at is None


def test_a_job_that_somebody_else_has_closed_is_dropped_without_an_exchange() -> None:
    world = World("a")
    jobs = world.claim()
    world.run(jobs)
    report = world.run(jobs)
    assert fates(report) == (set(), set(jobs), set(), set())
    assert len(world.logs("a")) == 1
    assert len(world.vendor.exchanges) == 2


def test_a_job_of_an_older_attempt_is_dropped() -> None:
    world = World("a")
    old = world.claim()
    world.run(old)
    world.pass_time(600)
    world.claim()
    assert world.run(old).dropped == tuple(old)
    assert world.plant("a").is_claimed


def test_a_job_of_a_plant_that_is_gone_is_dropped() -> None:
    world = World("a")
    other = World("b")
    (job,) = other.claim()
    assert world.run([job]).dropped == (job,)


def test_what_may_not_begin_is_given_back_untouched() -> None:
    world = World("a", "b", "c")
    jobs = world.claim()
    answers = iter([True, False, False])
    report = world.run(jobs, may_begin=lambda: next(answers))
    assert report.not_begun == tuple(jobs[1:])
    assert len(world.store.logs) == 1
    assert all(world.store.read([job.plant_id])[job.plant_id].is_claimed for job in jobs[1:])


# Errors of the vendor


@pytest.mark.parametrize("error", list(AdapterErrorType))
def test_an_adapter_error_ends_in_the_log_of_its_plant_only(error: AdapterErrorType) -> None:
    world = World("a", "b")
    world.vendor.before["a", SUMMARY] = raises(AdapterError(error, "no"))
    world.run(world.claim())
    assert ended(world, "a") == (PollStatus.ERROR, PollError(error.value))
    assert ended(world, "b") == (PollStatus.SUCCESS, None)


def test_an_adapter_that_breaks_its_contract_fails_its_plant_only() -> None:
    world = World("a", "b")
    world.vendor.before["a", SUMMARY] = raises(KeyError("boom"))
    world.run(world.claim())
    assert ended(world, "a") == (PollStatus.ERROR, PollError.UNKNOWN_ERROR)
    assert ended(world, "b") == (PollStatus.SUCCESS, None)


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (AdapterError(AdapterErrorType.VENDOR_ERROR, "no"), PollError.VENDOR_ERROR),
        (KeyError("boom"), PollError.UNKNOWN_ERROR),
    ],
)
@pytest.mark.rule("D2.17")
def test_an_alarm_lookup_may_fail_however_it_likes_and_the_reading_stands(error: Exception, logged: PollError) -> None:
    world = World("a")
    world.vendor.before["a", ALARMS] = raises(error)
    world.run(world.claim())
    assert ended(world, "a") == (PollStatus.SUCCESS, logged)
    assert world.plant("a").live.status is Status.GREEN


def test_the_wish_of_a_rate_limit_at_the_alarms_is_heard() -> None:
    world = World("a")
    world.vendor.before["a", ALARMS] = raises(AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, "slow down", 7200.0))
    world.run(world.claim())
    due = world.plant("a").next_poll_at
    assert due is not None
    assert (due - world.now).total_seconds() == 7200


def test_a_plant_that_cannot_even_be_asked_fails_by_itself() -> None:
    world = World("a", "b")
    world.vendor.unreachable.add("a")
    world.run(world.claim())
    assert ended(world, "a") == (PollStatus.ERROR, PollError.UNKNOWN_ERROR)
    assert ended(world, "b") == (PollStatus.SUCCESS, None)


def test_a_brand_that_this_worker_does_not_know_fails_by_itself() -> None:
    world = World("a", "b")
    a, b = world.claim()
    world.run([replace(a, brand=Brand.DELE), b])
    assert sorted(log.adapter_error_type or "" for _, log in world.store.logs) == ["", PollError.UNKNOWN_ERROR]


# The lease


def test_no_exchange_begins_once_the_lease_is_lost() -> None:
    world = World("a", "b", "c")
    jobs = world.claim()
    world.vendor.before[name_of(jobs[1]), SUMMARY] = lambda: setattr(world.lease, "held", False)
    report = world.run(jobs)
    assert {entry.job for entry in report.closed} == {jobs[0]}
    assert set(report.abandoned) == set(jobs[1:])
    # The second was in the middle of its first exchange; its second one and the third plant's never began.
    assert [path for name, path in world.vendor.exchanges if name == name_of(jobs[1])] == [SUMMARY]
    assert name_of(jobs[2]) not in {name for name, _ in world.vendor.exchanges}
    assert len(world.store.logs) == 1


def name_of(job: Job) -> str:
    return next(name for name in ("a", "b", "c") if plant_id(name) == job.plant_id)


# The database


def test_a_store_that_comes_back_costs_only_the_pauses() -> None:
    world = World("a")
    jobs = world.claim()
    world.store.away = 3
    report = world.run(jobs)
    assert len(report.closed) == 1
    assert world.pauses == list(PAUSES_S[:3])


def test_a_store_that_stays_away_before_the_read_gives_the_batch_back() -> None:
    world = World("a")
    jobs = world.claim()
    world.store.away = 1_000
    report = world.run(jobs)
    assert fates(report) == (set(), set(), set(jobs), set())
    assert world.vendor.exchanges == []
    assert world.pauses == list(PAUSES_S)


def test_a_store_that_stays_away_after_the_exchanges_leaves_the_jobs_to_recovery() -> None:
    world = World("a")
    jobs = world.claim()
    world.vendor.before["a", ALARMS] = lambda: setattr(world.store, "away", 1_000)
    report = world.run(jobs)
    assert fates(report) == (set(), set(), set(), set(jobs))
    world.store.away = 0
    assert world.plant("a").is_claimed
    assert world.logs("a") == []


def test_a_write_whose_reply_is_lost_is_repeated_and_logged_once() -> None:
    world = World("a")
    jobs = world.claim()
    world.store.lose_replies = 1
    world.run(jobs)
    assert ended(world, "a") == (PollStatus.SUCCESS, None)
    assert not world.plant("a").is_claimed


@pytest.mark.parametrize("poisoned", [{"a"}, {"c"}, {"a", "c"}, {"a", "b", "c"}], ids=sorted)
def test_a_poisoned_plant_closes_alone_without_data(poisoned: set[str]) -> None:
    world = World("a", "b", "c")
    ids = {plant_id(name) for name in poisoned}
    world.store.refused = lambda outcome: outcome.plant_id in ids and bool(outcome.days)
    report = world.run(world.claim())
    assert len(report.closed) == 3
    for name in "abc":
        assert ended(world, name) == ((PollStatus.ERROR, PollError.UNKNOWN_ERROR) if name in poisoned else (PollStatus.SUCCESS, None))
        assert bool(world.plant(name).days) is (name not in poisoned)


def test_a_plant_that_cannot_be_stored_at_all_harms_no_other() -> None:
    world = World("a", "b")
    world.store.refused = lambda outcome: outcome.plant_id == plant_id("a")
    report = world.run(world.claim())
    assert [entry.job.plant_id for entry in report.closed] == [plant_id("b")]
    assert [job.plant_id for job in report.abandoned] == [plant_id("a")]
    assert ended(world, "b") == (PollStatus.SUCCESS, None)


def test_a_reading_that_judging_cannot_bear_closes_its_plant_as_unknown_error() -> None:
    world = World("a", "b")
    world.vendor.readings["a"] = reading(current_power_w="much")
    world.run(world.claim())
    assert ended(world, "a") == (PollStatus.ERROR, PollError.UNKNOWN_ERROR)
    assert ended(world, "b") == (PollStatus.SUCCESS, None)


def test_implausible_values_are_no_error() -> None:
    world = World("a")
    world.vendor.readings["a"] = reading(today_energy_kwh=math.inf)
    (closed,) = world.run(world.claim()).closed
    assert (ended(world, "a"), closed.outcome.refusals) == ((PollStatus.SUCCESS, None), ("today_energy_kwh",))


# What changes meanwhile


def test_a_plant_whose_version_moved_is_judged_anew_on_the_fresh_row() -> None:
    world = World("a")
    jobs = world.claim()
    world.vendor.before["a", SUMMARY] = lambda: world.declare("a", display_name="Roof")
    report = world.run(jobs)
    assert len(report.closed) == 1
    assert ended(world, "a") == (PollStatus.SUCCESS, None)
    after = world.plant("a")
    assert (after.declaration.display_name, after.days[0].today_energy_kwh) == ("Roof", 12.5)
    assert (after.live.polled_generation, after.next_poll_at) == (1, world.now), "the change itself is polled at once"


@pytest.mark.rule("D2.8")
def test_a_reading_of_a_changed_timezone_is_superseded() -> None:
    world = World("a")
    jobs = world.claim()
    world.vendor.before["a", SUMMARY] = lambda: world.declare("a", timezone="Asia/Tokyo")
    world.run(jobs)
    assert ended(world, "a") == (PollStatus.ERROR, PollError.SUPERSEDED)
    assert (world.plant("a").days, world.plant("a").next_poll_at) == ((), world.now)


@pytest.mark.parametrize("answer", [lambda: None, raises(AdapterError(AdapterErrorType.VENDOR_ERROR, "no"))], ids=["reading", "error"])
def test_a_plant_suspended_during_its_exchange_stays_suspended(answer: Callable[[], None]) -> None:
    world = World("a")
    jobs = world.claim()

    def suspend() -> None:
        world.declare("a", suspend=True)
        answer()

    world.vendor.before["a", SUMMARY] = suspend
    world.run(jobs)
    assert ended(world, "a") == (PollStatus.ERROR, PollError.SUPERSEDED)
    after = world.plant("a")
    assert (after.live.integration, after.live.status, after.next_poll_at) == (Integration.DISABLED_BY_OPERATOR, Status.GREY, None)


def test_a_plant_deleted_during_its_exchange_gets_its_log_and_nothing_else() -> None:
    world = World("a")
    jobs = world.claim()
    world.vendor.before["a", SUMMARY] = lambda: world.delete("a")
    world.run(jobs)
    assert ended(world, "a") == (PollStatus.ERROR, PollError.SUPERSEDED)
    assert (world.plant("a").days, world.plant("a").next_poll_at, world.plant("a").is_claimed) == ((), None, False)


def test_a_plant_created_anew_during_its_exchange_is_polled_again_at_once() -> None:
    world = World("a")
    jobs = world.claim()

    def recreate() -> None:
        world.delete("a")
        world.declare("a", uid="uid-second")

    world.vendor.before["a", SUMMARY] = recreate
    world.run(jobs)
    assert len(world.logs("a")) == 1
    after = world.plant("a")
    assert (after.live.polled_generation, after.next_poll_at, after.is_claimed) == (0, world.now, False)


def test_a_request_that_comes_during_the_exchange_is_polled_at_once_and_then_echoed() -> None:
    world = World("a")
    jobs = world.claim()
    world.vendor.before["a", SUMMARY] = lambda: world.declare("a", poll_requested="again", generation=1)
    world.run(jobs)
    assert (world.plant("a").live.handled_poll_request, world.plant("a").next_poll_at) == (None, world.now)
    world.vendor.before.clear()
    world.run(world.claim())
    assert world.plant("a").live.handled_poll_request == "again"


def test_a_plant_that_changes_at_every_write_is_left_to_recovery_after_some_rounds() -> None:
    world = World("a")
    jobs = world.claim()
    world.store.before_write = lambda: world.declare("a", display_name=str(world.version))
    report = world.run(jobs)
    assert report.abandoned == tuple(jobs)
    assert len(world.store.writes) == ROUNDS


def test_a_job_that_recovery_closed_during_the_exchange_writes_nothing() -> None:
    world = World("a")
    jobs = world.claim()
    world.vendor.before["a", ALARMS] = lambda: rob(world, jobs[0])
    report = world.run(jobs)
    assert report.dropped == tuple(jobs)
    assert ended(world, "a") == (PollStatus.ERROR, PollError.WORKER_LOST)
    assert world.plant("a").days == ()


def rob(world: World, job: Job) -> None:
    world.store.write([judge_lost(world.plant("a"), job, world.now)])
