"""Claiming, handing out and recovering (PROTOCOL 12, 15 and 17 to 20) over a `MemoryStore` and a queue that can be away."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from controller.domain.errors import EpochMissing, QueueUnavailable, StoreUnavailable
from controller.domain.outcome import Job, JobWhereabouts, Outcome
from controller.domain.plant import AlertType, JobType, PlantContext, PollError, Reason, Status
from controller.scheduling import recovery, scheduler
from controller.scheduling.recovery import GRACE, Recovery
from controller.scheduling.scheduler import Scheduler, TickReport
from integrations.contract import Brand
from tests.unit.domain.cases import DAY, HOUR, TICK
from tests.unit.polling.world import World, plant_id


class Queue:
    """What the scheduler knows of Redis: entries by job id, barriers, and an epoch that a flush ends."""

    def __init__(self) -> None:
        self.has_epoch = True
        self.is_away = False
        self.lose_replies = 0
        self.entries: dict[str, int] = {}
        self.messages: list[Job] = []
        self.barriers: dict[str, int] = {}
        self.whereabouts: dict[str, JobWhereabouts] = {}
        self.limits: dict[Brand, int] = {}
        """How many jobs may wait, of brands that have a limit."""

    def open_epoch(self) -> bool:
        self._answer(needs_epoch=False)
        if self.has_epoch:
            return False
        self.entries.clear()
        self.messages.clear()
        self.has_epoch = True
        return True

    def enqueue(self, jobs: Sequence[Job]) -> int:
        self._answer()
        new = [job for job in jobs if max(self.entries.get(job.id, 0), self.barriers.get(job.id, 0)) < job.attempt]
        self.entries |= {job.id: job.attempt for job in new}
        self.messages += new
        if self.lose_replies:
            self.lose_replies -= 1
            raise QueueUnavailable("the reply was lost")
        return len(new)

    def check(self, jobs: Sequence[Job]) -> dict[Job, JobWhereabouts]:
        self._answer()
        found = {job: self.whereabouts.get(job.id, self._seen(job)) for job in jobs}
        self.barriers |= {job.id: job.attempt for job, where in found.items() if where is JobWhereabouts.LOST}
        return found

    def lift_barriers(self, jobs: Sequence[Job]) -> None:
        self._answer()
        for job in jobs:
            self.barriers.pop(job.id, None)

    def room(self) -> Mapping[Brand, int]:
        self._answer()
        return {brand: max(0, most - self.depths()[brand]) for brand, most in self.limits.items()}

    def depths(self) -> Mapping[Brand, int]:
        return {brand: sum(job.brand is brand for job in self.messages) for brand in Brand}

    def _seen(self, job: Job) -> JobWhereabouts:
        return JobWhereabouts.WAITING if self.entries.get(job.id) == job.attempt else JobWhereabouts.LOST

    def _answer(self, needs_epoch: bool = True) -> None:
        if self.is_away:
            raise QueueUnavailable("away")
        if needs_epoch and not self.has_epoch:
            raise EpochMissing("flushed")


class Stage(World):
    """The world with a scheduler and a recovery over it. `passed` lists the checkpoints."""

    def __init__(self, *names: str, chunk: int = 500) -> None:
        super().__init__(*names)
        self.queue = Queue()
        self.scheduler = Scheduler(self.store, self.queue, self.passed.append, chunk)
        self.recovery = Recovery(self.store, self.queue, lambda: self.now, self.passed.append)

    def tick(self) -> TickReport:
        return self.scheduler.tick(self.now)

    def work(self) -> None:
        """A worker that takes and closes all that waits."""
        jobs, self.queue.messages = list(self.queue.messages), []
        self.queue.entries.clear()
        self.run(jobs)


def test_due_plants_are_claimed_and_enqueued_by_id_and_attempt() -> None:
    stage = Stage("a", "b")
    report = stage.tick()
    assert (report.polls_claimed, report.enqueued, report.queue_reachable) == (2, 2, True)
    assert {job.id for job in stage.queue.messages} == {f"poll:plant:{plant_id(name)}:latest" for name in "ab"}
    assert all(stage.plant(name).is_claimed for name in "ab")


def test_a_plant_is_polled_once_an_interval() -> None:
    stage = Stage("a")
    for _ in range(60):
        stage.tick()
        stage.work()
        stage.pass_time(60)
    assert 6 <= len(stage.logs("a")) <= 8


def test_a_plant_whose_slot_is_open_is_not_claimed_again_but_moves_on_its_grid() -> None:
    stage = Stage("a")
    stage.tick()
    for _ in range(3):
        stage.pass_time(600)
        assert stage.tick().polls_claimed == 0
    due = stage.plant("a").next_poll_at
    assert due is not None
    assert due > stage.now
    assert len(stage.queue.messages) == 1


# Brand limits


@pytest.mark.rule("D2.19")
def test_no_more_of_a_brand_is_claimed_than_its_limit_admits() -> None:
    stage = Stage("a", "b", "c", "d", "e", chunk=2)
    stage.queue.limits = {Brand.SOLIS: 3}
    assert stage.tick().polls_claimed == 3
    assert stage.tick().polls_claimed == 0, "what waits will use the limit up"
    stage.work()
    assert stage.tick().polls_claimed == 2
    assert sum(stage.plant(name).is_claimed for name in "abcde") == 2


@pytest.mark.rule("D2.20")
def test_a_limit_holds_up_no_other_brand() -> None:
    stage = Stage("a", "b", "c")
    stage.declare("d", brand=Brand.DELE)
    stage.queue.limits = {Brand.SOLIS: 0}
    stage.tick()
    assert [job.brand for job in stage.queue.messages] == [Brand.DELE]


@pytest.mark.rule("D2.19")
def test_polls_and_daily_jobs_share_the_limit_and_come_first_by_turns() -> None:
    names = [f"p{number}" for number in range(12)]
    stage = Stage(*names)
    stage.tick()
    stage.work()
    stage.pass_time(DAY.total_seconds() / 2)
    stage.queue.limits = {Brand.SOLIS: 2}
    claimed = []
    for _ in range(4):
        report = stage.tick()
        claimed.append((report.polls_claimed, report.days_claimed))
        stage.work()
    assert claimed == [(2, 0), (0, 2), (2, 0), (0, 2)]


def test_a_queue_that_does_not_tell_its_room_stops_the_claims() -> None:
    stage = Stage("a")
    stage.queue.limits = {Brand.SOLIS: 5}

    def away() -> Mapping[Brand, int]:
        raise QueueUnavailable("away")

    stage.queue.room = away  # type: ignore[method-assign]
    report = stage.tick()
    assert (report.queue_reachable, report.polls_claimed) == (False, 0)
    assert not stage.plant("a").is_claimed


def test_claims_are_made_chunk_by_chunk_each_committed_before_it_is_enqueued() -> None:
    stage = Stage("a", "b", "c", "d", "e", chunk=2)
    at_commit: list[tuple[int, int]] = []

    def at(point: str) -> None:
        claims = sum(stage.plant(name).is_claimed for name in "abcde")
        at_commit.append((claims, len(stage.queue.messages)))

    report = Scheduler(stage.store, stage.queue, at, 2).tick(stage.now)
    assert report.polls_claimed == report.enqueued == 5
    assert at_commit[:3] == [(2, 0), (4, 2), (5, 4)]


def test_a_due_day_is_claimed_and_stays_due_until_it_is_closed() -> None:
    stage = Stage("a")
    stage.tick()
    stage.work()
    stage.pass_time(12 * 3600)
    due = stage.plant("a").live.day_due_at
    report = stage.tick()
    # The poll is due too and comes first: a plant has one claim slot.
    assert (report.polls_claimed, report.days_claimed) == (1, 0)
    stage.work()
    stage.pass_time(1)
    assert stage.tick().days_claimed == 1
    assert stage.plant("a").live.day_due_at == due
    assert stage.queue.messages[0].kind is JobType.DAILY
    stage.work()
    after = stage.plant("a").live.day_due_at
    assert due is not None
    assert after is not None
    assert after > stage.now


def test_without_a_queue_nothing_is_claimed_and_the_clock_still_judges() -> None:
    stage = Stage("a")
    stage.tick()
    stage.work()
    stage.queue.is_away = True
    stage.pass_time(2 * 3600 + 1)
    report = stage.tick()
    assert not report.queue_reachable
    assert [outcome.transition for outcome in report.judged] == [(Status.GREEN, Status.YELLOW)]
    assert not stage.plant("a").is_claimed


def test_claims_that_could_not_be_enqueued_are_sent_at_the_next_tick() -> None:
    stage = Stage("a")
    failing: list[str] = []

    def at(point: str) -> None:
        if point == "after-claim-commit" and not failing:
            failing.append(point)
            stage.queue.is_away = True

    scheduler = Scheduler(stage.store, stage.queue, at)
    assert not scheduler.tick(stage.now).queue_reachable
    assert (stage.plant("a").is_claimed, stage.queue.messages) == (True, [])
    stage.queue.is_away = False
    stage.pass_time(1)
    assert scheduler.tick(stage.now).enqueued == 1
    assert [job.attempt for job in stage.queue.messages] == [stage.plant("a").attempt]
    stage.pass_time(1)
    assert scheduler.tick(stage.now).enqueued == 0


def test_an_enqueue_whose_reply_is_lost_is_repeated_and_queues_once() -> None:
    stage = Stage("a", "b")
    stage.queue.lose_replies = 1
    assert not stage.tick().queue_reachable
    assert stage.tick().enqueued == 0
    assert len(stage.queue.messages) == 2


@pytest.mark.rule("D2.3")
def test_a_flushed_queue_is_opened_anew_before_anything_is_claimed() -> None:
    stage = Stage("a")
    stage.queue.has_epoch = False
    report = stage.tick()
    assert (report.epoch_opened, report.enqueued) == (True, 1)


def test_an_unreachable_store_is_the_callers_to_handle_and_loses_no_claim() -> None:
    stage = Stage("a")
    stage.store.claim_days = raising  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreUnavailable):
        stage.tick()
    assert len(stage.queue.messages) == 1


def raising(*_: object) -> list[Job]:
    raise StoreUnavailable("away")


@pytest.mark.rule("D5.8")
def test_the_clock_turns_a_silent_plant_yellow_and_red_right_after_its_instants() -> None:
    stage = Stage("a")
    stage.tick()
    stage.work()
    seen = stage.now
    for instant, status in ((seen + 2 * HOUR, Status.YELLOW), (seen + DAY, Status.RED)):
        stage.now = instant
        assert stage.tick().judged == (), "at exactly the boundary the old status holds"
        stage.queue.messages.clear()
        stage.now = instant + TICK
        (outcome,) = stage.tick().judged
        assert outcome.live.status is status
        assert outcome.log is None
    assert [entry.type for entry in stage.plant("a").alerts] == [AlertType.OFFLINE]
    assert stage.plant("a").live.reason is Reason.OFFLINE


def test_the_clock_judges_every_due_plant_however_many_chunks_they_are() -> None:
    stage = Stage("a", "b", "c", "d", "e", chunk=2)
    stage.tick()
    stage.work()
    stage.pass_time(2 * 3600 + 1)
    assert len(stage.tick().judged) == 5


def unbearable(monkeypatch: pytest.MonkeyPatch, module: ModuleType, judge: str, name: str) -> None:
    """Judging fails for one plant, as it would for one whose zone has gone from the zone database."""
    sound = getattr(module, judge)

    def judging(context: PlantContext, *rest: Any) -> Outcome:
        if context.plant_id == plant_id(name):
            raise LookupError("no such zone")
        return sound(context, *rest)  # type: ignore[no-any-return]

    monkeypatch.setattr(module, judge, judging)


def test_a_plant_that_judging_cannot_bear_does_not_stop_the_clock_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("a", "b")
    stage.tick()
    stage.work()
    unbearable(monkeypatch, scheduler, "judge_clock", "a")
    stage.pass_time(2 * 3600 + 1)
    report = stage.tick()
    assert (stage.plant("a").live.status, stage.plant("b").live.status) == (Status.GREEN, Status.YELLOW)
    assert report.polls_claimed == 2, "and polling goes on for both"


# Recovery


def test_a_plant_that_judging_cannot_bear_does_not_stop_the_recovery_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("a", "b")
    stage.tick()
    lose(stage, "a", "b")
    unbearable(monkeypatch, recovery, "judge_lost", "a")
    stage.pass_time(GRACE.total_seconds() + 1)
    assert [outcome.plant_id for outcome in stage.recovery.sweep().recovered] == [plant_id("b")]
    assert stage.plant("a").is_claimed
    assert stage.queue.barriers == {f"poll:plant:{plant_id('a')}:latest": stage.plant("a").attempt}


def lose(stage: Stage, *names: str) -> None:
    for name in names:
        stage.queue.whereabouts[f"poll:plant:{plant_id(name)}:latest"] = JobWhereabouts.LOST


@pytest.mark.rule("D2.6")
def test_a_lost_job_is_closed_as_worker_lost_and_its_plant_due_at_once() -> None:
    stage = Stage("a")
    stage.tick()
    lose(stage, "a")
    stage.pass_time(GRACE.total_seconds() + 1)
    report = stage.recovery.sweep()
    assert (report.checked, len(report.recovered)) == (1, 1)
    assert [log.adapter_error_type for log in stage.logs("a")] == [PollError.WORKER_LOST]
    assert (stage.plant("a").is_claimed, stage.plant("a").next_poll_at) == (False, stage.now)
    assert stage.queue.barriers == {}
    assert stage.tick().polls_claimed == 1


@pytest.mark.parametrize("where", [JobWhereabouts.WAITING, JobWhereabouts.RUNNING, JobWhereabouts.UNKNOWN])
def test_jobs_that_wait_or_run_or_of_which_nothing_is_known_are_left_alone(where: JobWhereabouts) -> None:
    stage = Stage("a")
    stage.tick()
    stage.queue.whereabouts[stage.queue.messages[0].id] = where
    stage.pass_time(3600)
    report = stage.recovery.sweep()
    assert (report.checked, report.unknown, report.recovered) == (1, int(where is JobWhereabouts.UNKNOWN), ())
    assert stage.plant("a").is_claimed
    assert stage.logs("a") == []


@pytest.mark.parametrize(("age", "checked"), [(GRACE, 0), (GRACE + TICK, 1)])
def test_young_claims_are_not_looked_at(age: timedelta, checked: int) -> None:
    stage = Stage("a")
    stage.tick()
    stage.pass_time(age.total_seconds())
    assert stage.recovery.sweep().checked == checked


def test_a_sweep_pages_through_all_open_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PAGE", 2)
    stage = Stage("a", "b", "c", "d", "e")
    stage.tick()
    lose(stage, "a", "b", "c", "d", "e")
    # The last page has a job that still runs: it must neither hide the others nor be found for ever.
    stage.queue.whereabouts[f"poll:plant:{plant_id('c')}:latest"] = JobWhereabouts.RUNNING
    stage.pass_time(60)
    report = stage.recovery.sweep()
    assert (report.checked, len(report.recovered)) == (5, 4)
    assert stage.recovery.sweep().checked == 1


def test_a_sweep_looks_at_each_claim_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PAGE", 2)
    stage = Stage("a", "b", "c", "d", "e")
    stage.tick()
    stage.pass_time(60)
    assert stage.recovery.sweep().checked == 5


def test_a_claim_that_never_reached_the_queue_is_found() -> None:
    stage = Stage("a")
    stage.store.claim_polls(stage.now, 10)
    stage.pass_time(60)
    assert len(stage.recovery.sweep().recovered) == 1


def test_a_lost_daily_job_is_due_again_after_a_pause_with_its_day() -> None:
    stage = Stage("a")
    stage.tick()
    stage.work()
    stage.now = stage.plant("a").live.day_due_at or stage.now
    (job,) = stage.store.claim_days(stage.now, 10)
    stage.pass_time(60)
    stage.recovery.sweep()
    live = stage.plant("a").live
    assert (live.day_due_date, live.day_due_at) == (job.day, stage.now + timedelta(seconds=60))


@pytest.mark.parametrize("meanwhile", ["closed", "gone"])
def test_a_job_that_was_closed_meanwhile_is_not_closed_twice(meanwhile: str) -> None:
    stage = Stage("a")
    stage.tick()
    lose(stage, "a")
    job = stage.queue.messages[0]
    stage.pass_time(60)
    close: Callable[[str], None] = {"closed": lambda _: stage.work(), "gone": lambda _: stage.store._rows.clear()}[meanwhile]
    report = Recovery(stage.store, stage.queue, lambda: stage.now, close).sweep()
    assert report.recovered == ()
    assert len(stage.logs("a")) == (1 if meanwhile == "closed" else 0)
    assert job.id not in stage.queue.barriers


def test_a_plant_that_changed_during_its_recovery_keeps_its_barrier_for_the_next_sweep() -> None:
    stage = Stage("a")
    stage.tick()
    lose(stage, "a")
    job = stage.queue.messages[0]
    stage.pass_time(60)
    stage.store.before_write = lambda: stage.declare("a", display_name=str(stage.version))
    assert stage.recovery.sweep().recovered == ()
    assert stage.queue.barriers == {job.id: job.attempt}
    stage.store.before_write = lambda: None
    assert len(stage.recovery.sweep().recovered) == 1
    assert stage.queue.barriers == {}


def test_a_suspended_plant_whose_job_was_lost_is_logged_and_not_due() -> None:
    stage = Stage("a")
    stage.tick()
    lose(stage, "a")
    stage.declare("a", suspend=True)
    stage.pass_time(60)
    stage.recovery.sweep()
    assert [log.adapter_error_type for log in stage.logs("a")] == [PollError.WORKER_LOST]
    assert stage.plant("a").next_poll_at is None
