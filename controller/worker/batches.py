"""One turn of a worker: wait, TAKE, run the batch, let go, let Huey see it done (PROTOCOL 13, 14, 21 to 24).

Driven by Huey's consumer (`consumer.py`) in a thread of its own.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Event

import structlog

from controller.domain.errors import EpochMissing, IncarnationRetired, QueueUnavailable
from controller.domain.outcome import Job, Taken
from controller.polling.poll_plants import BatchReport, Closed
from controller.polling.ports import Checkpoint, pass_by
from controller.queueing.huey import PollTasks
from controller.queueing.lease import Heartbeat, Incarnation, boottime
from controller.queueing.worker_queue import MAX_WAIT_S, Catch, WorkerQueue
from controller.worker.ports import OK, WORKER_LOOP, RunsBatches, WorkerObserver
from controller.worker.watchdog import Watchdog

log = structlog.get_logger()

BATCH = 250
"""Jobs a TAKE. 100 was as fast when measured, 25 slower; more would only widen what one killed worker loses."""
LIMITED_BATCH = 10
"""Jobs a TAKE where the brand has a limit: what waits is shared among the workers, and hardly any of it must go back."""
BEGIN_WITHIN_S = 10.0
"""Jobs that have not begun by then go back, so that a slow vendor does not keep others' jobs in one worker (PROTOCOL 14). Seconds."""
RETRY_WITHIN_S = 35.0
"""Timeouts are retried until then (DOMAIN 2): an exchange of 10 s that begins last still ends before the deadline of 50 s, and the write
with it. A job that got fewer retries closes with the timeout that it had. Seconds from TAKE."""
NO_BUDGET_PAUSE_S = 1.0
"""After a batch that the brand's limits cut short: what it gave back is in front of the queue again. Seconds."""
RESERVE_PAUSE_S = 0.2
"""Of the reserve, where nothing was promoted. Seconds."""
LET_GO_ATTEMPTS = 3
BACK_OFF_S = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Pauses after failures in a row; the last one repeats. Seconds."""
_QUEUE_ERRORS = (QueueUnavailable, EpochMissing, IncarnationRetired)


def _unasked(_: "Batches", __: Callable[[], bool]) -> AbstractContextManager[None]:
    return nullcontext()


class Batches:
    """The worker's turns, or those of one of its crews. Used by one thread at a time."""

    def __init__(
        self,
        queue: WorkerQueue,
        heartbeat: Heartbeat,
        polls: RunsBatches,
        tasks: PollTasks,
        watchdog: Watchdog,
        observer: WorkerObserver,
        at: Checkpoint = pass_by,
        *,
        batch: int = BATCH,
        begin_within_s: float = BEGIN_WITHIN_S,
        wait_s: float = MAX_WAIT_S,
        clock: Callable[[], float] = boottime,
        alone: Callable[["Batches", Callable[[], bool]], AbstractContextManager[None]] = _unasked,
    ) -> None:
        """`alone`: entered around a job that must run with no other in the process (PROTOCOL 20)."""
        self._queue = queue
        self._heartbeat = heartbeat
        self._polls = polls
        self._tasks = tasks
        self._watchdog = watchdog
        self._observer = observer
        self._at = at
        self._batch = batch
        self._begin_within_s = begin_within_s
        self._wait_s = wait_s
        self._clock = clock
        self._alone = alone
        self._failures = 0
        self._rest_s = 0.0

    @property
    def held_s(self) -> float:
        """For how long it has held jobs; 0 where it holds none. Seconds."""
        return self._watchdog.held_s

    def turn(self, stop: Event, *, only_promoted: bool = False) -> None:
        """One turn; raises nothing. After a failure it ends with a pause, which `stop` cuts short."""
        started = self._clock()
        self._rest_s = 0.0
        try:
            incarnation = self._heartbeat.incarnation()
            result = self._take_and_run(incarnation, stop, only_promoted) if self._queue.wait_for_work(self._wait_s) else OK
        except _QUEUE_ERRORS as error:
            log.warning("queue_unusable", error=type(error).__name__, message=str(error))
            result = type(error).__name__
        self._observer.turned(WORKER_LOOP, result, self._clock() - started)
        if result == OK:
            self._failures = 0
            if self._rest_s:
                stop.wait(self._rest_s)
            return
        stop.wait(BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)])
        self._failures += 1

    def _take_and_run(self, incarnation: Incarnation, stop: Event, only_promoted: bool) -> str:
        """`OK`, or what went wrong with the batch. Raises what TAKE raises."""
        with self._watchdog.holding():
            catch = self._take(incarnation, only_promoted)
            self._at("after-take")
            if not catch.jobs:
                self._rest_s = RESERVE_PAUSE_S if only_promoted else 0.0
                return OK
            report = self._run(incarnation, catch, stop)
            if report is None:
                return "BatchFailed"
            let_go = self._let_go(incarnation, report)
        self._tell(report)
        if not let_go:
            return "LetGoFailed"
        if report.without_budget:
            self._rest_s = NO_BUDGET_PAUSE_S
            return "StoreUnavailable" if report.abandoned else OK
        # One that was to run alone and could not yet is no failure of anybody's.
        unread = report.not_begun and not report.closed and not stop.is_set() and not catch.jobs[0].alone
        return "StoreUnavailable" if report.abandoned or unread else OK

    def _take(self, incarnation: Incarnation, only_promoted: bool) -> Catch:
        try:
            catch = self._queue.take(incarnation.name, self._batch, only_promoted=only_promoted)
        except QueueUnavailable:
            # It may have taken jobs that nobody here knows of: only without a heartbeat are they found.
            incarnation.retire("take-unanswered")
            raise
        except EpochMissing:
            incarnation.retire("epoch")
            raise
        except IncarnationRetired:
            incarnation.retire("vanished")
            raise
        for reason, messages in catch.dropped.items():
            if messages:
                log.warning("messages_dropped", reason=reason, messages=messages)
                self._observer.dropped(reason, messages)
        return catch

    def _run(self, incarnation: Incarnation, catch: Catch, stop: Event) -> BatchReport | None:
        """The report; None where the use case broke: then nothing is known of the jobs, and recovery has to find them."""
        taken_at = self._clock()

        def is_within(seconds: float) -> bool:
            return not stop.is_set() and self._clock() < taken_at + seconds and incarnation.lease_left_s > 0

        def may_begin() -> bool:
            return is_within(self._begin_within_s)

        try:
            with self._alone(self, may_begin) if catch.jobs[0].alone else nullcontext():
                return self._polls.run(
                    [Taken(job, job in catch.locked) for job in catch.jobs],
                    incarnation,
                    may_begin,
                    lambda: is_within(RETRY_WITHIN_S),
                )
        except Exception:
            log.exception("batch_failed", jobs=len(catch.jobs))
            incarnation.retire("batch-failed")
            self._observer.abandoned(len(catch.jobs))
            return None

    def _let_go(self, incarnation: Incarnation, report: BatchReport) -> bool:
        """RETURN and RELEASE. Where the server does not answer, the incarnation ends: no lock of a living worker may stay behind.

        Jobs that were abandoned are released, too: no exchange of theirs runs any more, so they may be found lost.
        """
        done: tuple[Job, ...] = (*(entry.job for entry in report.closed), *report.dropped, *report.abandoned)
        for attempt in range(1, LET_GO_ATTEMPTS + 1):
            try:
                self._queue.give_back(incarnation.name, report.not_begun)
                self._queue.release(incarnation.name, done)
                return True
            except QueueUnavailable as error:
                log.warning("jobs_not_let_go", attempt=attempt, error=str(error))
            except EpochMissing:
                incarnation.retire("epoch")
                return False
        incarnation.retire("release-unanswered")
        return False

    def _tell(self, report: BatchReport) -> None:
        if report.dropped:
            self._observer.dropped("closed", len(report.dropped))
        if report.not_begun:
            self._observer.given_back(len(report.not_begun))
        if report.without_budget:
            self._observer.without_budget(report.without_budget)
        if report.retries:
            self._observer.retried(report.retries)
        if report.abandoned:
            log.warning("jobs_abandoned", jobs=len(report.abandoned))
            self._observer.abandoned(len(report.abandoned))
        for entry in report.closed:
            self._observer.closed(entry)
            self._tasks.replay(entry.job, _verdict(entry))


def _verdict(entry: Closed) -> str:
    """What Huey's task returns: SUCCESS, or the error's name."""
    closed = entry.outcome.log
    if closed is None:
        raise ValueError(f"the outcome of {entry.job.id} closes no job")
    return closed.adapter_error_type or closed.status
