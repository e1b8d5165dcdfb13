"""One batch of jobs from taken to closed: one read, the exchanges of each plant by itself, one write (PROTOCOL 22 to 24).

Called by the worker with what one TAKE brought. The way of one poll: `run` ▶ `_attempt` ▶ `ask_vendor` ▶ `close_jobs` ▶ `judge_job`.
Plants whose vendor did not answer wait together: the others are closed first, then there is one pause for all of them (DOMAIN 2).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

import msgspec
import structlog

from controller.domain.errors import BudgetSpent, LeaseLost, StoreUnavailable
from controller.domain.judge import is_pollable
from controller.domain.outcome import Failed, Job, JobResult, Outcome, Taken
from controller.domain.plant import PlantContext, PollError
from controller.polling.close_jobs import Finished, close_jobs
from controller.polling.exchanges import ask_vendor, plant_ref
from controller.polling.lanes import Lanes
from controller.polling.ports import Allowance, Checkpoint, Lease, PlantStore, RequestBudget, Transport, Unlimited, pass_by
from controller.polling.repeat import Pause, repeated
from integrations.contract import Brand, Exchange, VendorAdapter, VendorRequest, VendorResponse

log = structlog.get_logger()

RETRY_PAUSES_S = (1.0, 3.0)
"""Before the first and the second retry after NETWORK_TIMEOUT (DOMAIN 2). Seconds."""
CLOSE_WITHIN = timedelta(seconds=0.5)
"""What is finished waits no longer for the others of its batch."""
_STEP_S = 0.25
"""A pause is made of steps, between which a stop is heard. Seconds."""


class Closed(msgspec.Struct, frozen=True):
    """A job with the outcome that was stored for it, and what the vendor's answer amounted to."""

    job: Job
    outcome: Outcome
    result: JobResult


class BatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each taken job; every one is in exactly one list."""

    closed: tuple[Closed, ...] = ()
    dropped: tuple[Job, ...] = ()
    """Closed by somebody else, or of a plant that no longer exists: nothing to do."""
    not_begun: tuple[Job, ...] = ()
    """To be given back to the queue. Also a job whose brand's budget ended on its way: what it has read so far is discarded."""
    abandoned: tuple[Job, ...] = ()
    """Begun, but not closed: the lease or the database went away. Recovery will find them."""
    without_budget: int = 0
    """How many of `not_begun` go back because the brand's limits admit no more now (DOMAIN 2)."""
    retries: int = 0
    """Attempts that were made again after NETWORK_TIMEOUT."""


class _Batch:
    """A batch on its way: where each job has got to."""

    def __init__(self) -> None:
        self.finished: dict[UUID, Finished] = {}
        """After their last exchange, not closed yet."""
        self.closed: list[Closed] = []
        self.dropped: list[Job] = []
        self.not_begun: list[Job] = []
        self.abandoned: list[Job] = []
        self.without_budget = 0
        self.retries = 0
        self.counting = Lock()
        """Held to raise a number, which lanes do side by side."""

    def give_back_without_budget(self, job: Job) -> None:
        self.not_begun.append(job)
        with self.counting:
            self.without_budget += 1

    def report(self) -> BatchReport:
        return BatchReport(
            closed=tuple(self.closed),
            dropped=tuple(self.dropped),
            not_begun=tuple(self.not_begun),
            abandoned=tuple(self.abandoned),
            without_budget=self.without_budget,
            retries=self.retries,
        )


class PollPlants:
    """The use case, composed in `cli` with its ports. Stateless between batches; used by one thread at a time."""

    def __init__(
        self,
        store: PlantStore,
        transport: Transport,
        adapters: Mapping[Brand, VendorAdapter],
        clock: Callable[[], datetime],
        pause: Pause,
        at: Checkpoint = pass_by,
        budget: RequestBudget | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        """`budget`: the brand's, where it has limits. `lanes`: for exchanges side by side, where vendors are slow; else one by one."""
        self._store = store
        self._transport = transport
        self._adapters = adapters
        self._clock = clock
        self._pause = pause
        self._at = at
        self._budget: RequestBudget = budget or Unlimited()
        self._lanes = lanes or Lanes(1)

    def run(
        self, taken: Sequence[Taken], lease: Lease, may_begin: Callable[[], bool], may_retry: Callable[[], bool] = lambda: True
    ) -> BatchReport:
        """Runs the jobs to their end. `may_begin` is asked before each plant: False gives the rest back. `may_retry` is asked before
        each retry and during the pauses for them: False lets the timeouts stand.

        Raises nothing of the store's or the vendors': what could not be done is in the report.
        """
        try:
            contexts = repeated(lambda: self._store.read({item.job.plant_id for item in taken}), self._pause)
        except StoreUnavailable:
            log.warning("batch_not_read", jobs=len(taken))
            return BatchReport(not_begun=tuple(item.job for item in taken))
        self._at("after-read")
        batch = _Batch()

        def begin(item: Taken) -> None:
            context = contexts.get(item.job.plant_id)
            if context is None or not context.holds_attempt(item.job.attempt):
                batch.dropped.append(item.job)
            elif batch.without_budget:
                batch.give_back_without_budget(item.job)
            elif not may_begin():
                batch.not_begun.append(item.job)
            else:
                self._begin(batch, item, context, lease)

        self._lanes.run(_slow_last(taken, contexts), begin, lambda: self._close_quick(batch))
        self._retry_timeouts(batch, lease, may_retry)
        self._close(batch, list(batch.finished))
        return batch.report()

    def _begin(self, batch: _Batch, item: Taken, context: PlantContext, lease: Lease) -> None:
        try:
            batch.finished[item.job.plant_id] = self._attempt(item, context, lease)
        except LeaseLost:
            batch.abandoned.append(item.job)
        except BudgetSpent:
            batch.give_back_without_budget(item.job)

    def _close_quick(self, batch: _Batch) -> None:
        """While others still talk to their vendor: what is finished is closed, but timeouts, which are tried again; some at a time."""
        quick = [plant_id for plant_id, item in list(batch.finished.items()) if not _timed_out(item)]
        if quick and self._clock() - batch.finished[quick[0]].finished_at >= CLOSE_WITHIN:
            self._close(batch, quick)

    def _retry_timeouts(self, batch: _Batch, lease: Lease, may_retry: Callable[[], bool]) -> None:
        """Twice, all that timed out together. Whatever else is finished by then is closed first: it does not wait for slow vendors."""
        for seconds in RETRY_PAUSES_S:
            slow = {plant_id for plant_id, item in batch.finished.items() if _timed_out(item)}
            if not slow or not may_retry():
                return
            if others := [plant_id for plant_id in batch.finished if plant_id not in slow]:
                self._close(batch, others)
            self._wait(seconds, may_retry)

            def retry(item: Finished) -> None:
                if may_retry():
                    self._retry(batch, item, lease)

            self._lanes.run([item for plant_id, item in batch.finished.items() if plant_id in slow], retry)
            if not may_retry():
                return

    def _wait(self, seconds: float, may_go_on: Callable[[], bool]) -> None:
        """Pauses for so long, unless `may_go_on` ends it before."""
        for _ in range(round(seconds / _STEP_S)):
            if not may_go_on():
                return
            self._pause(_STEP_S)

    def _retry(self, batch: _Batch, item: Finished, lease: Lease) -> None:
        """The same attempt and PollLog, with the vendor asked once more. Without budget its timeout stands."""
        try:
            result = self._ask(item.job, item.read, lease, self._clock())
        except LeaseLost:
            del batch.finished[item.job.plant_id]
            batch.abandoned.append(item.job)
        except BudgetSpent:
            log.info("retry_without_budget", plant_id=str(item.job.plant_id))
        else:
            with batch.counting:
                batch.retries += 1
            batch.finished[item.job.plant_id] = msgspec.structs.replace(item, result=result, finished_at=self._clock())

    def _attempt(self, item: Taken, context: PlantContext, lease: Lease) -> Finished:
        """One plant's exchanges, or the reason why there are none. Raises `LeaseLost`, `BudgetSpent`."""
        started_at = self._clock()
        if item.locked:
            result: JobResult = Failed(PollError.LOCKED, "another holder has the plant's lock")
        elif not is_pollable(context):
            result = Failed(PollError.CANCELLED, "the plant was deleted or suspended before the job began")
        else:
            result = self._ask(item.job, context, lease, started_at)
        return Finished(job=item.job, read=context, result=result, started_at=started_at, finished_at=self._clock())

    def _ask(self, job: Job, context: PlantContext, lease: Lease, now: datetime) -> JobResult:
        """What the vendor says. A plant that cannot even be asked (this build knows not its zone, say) fails by itself.

        Raises `LeaseLost`, `BudgetSpent`.
        """
        try:
            plant, adapter = plant_ref(context), self._adapters[job.brand]
            send = self._transport.for_plant(job.brand, context.declaration.scenario, plant, lambda: f"{job.plant_id}|{job.attempt}")
        except Exception as error:
            log.exception("plant_cannot_be_asked", plant_id=str(job.plant_id), brand=job.brand)
            return Failed(PollError.UNKNOWN_ERROR, f"unexpected {type(error).__name__} before the first exchange")
        allowance = self._budget.reserve(job)
        if allowance is None:
            raise BudgetSpent
        try:
            return ask_vendor(job, plant, adapter, self._guarded(send, lease, allowance), now)
        finally:
            allowance.settle()

    def _guarded(self, send: Exchange, lease: Lease, allowance: Allowance) -> Exchange:
        """The plant's way to the vendor, open only while the budget lasts and the lease holds (PROTOCOL 22)."""

        def guarded(request: VendorRequest) -> VendorResponse:
            self._at("before-exchange")
            allowance.spend()
            lease.assert_held()
            return send(request)

        return guarded

    def _close(self, batch: _Batch, plant_ids: Sequence[UUID]) -> None:
        """Judges and stores what is finished of these plants; each of them then is where the report will name it."""
        self._at("before-close")
        finished = {plant_id: batch.finished.pop(plant_id) for plant_id in plant_ids}
        stored = close_jobs(self._store, finished, self._pause)
        self._at("after-commit")
        batch.closed += (Closed(finished[plant_id].job, outcome, finished[plant_id].result) for plant_id, outcome in stored.items())
        left = [item.job for plant_id, item in finished.items() if plant_id not in stored]
        still_open = self._still_open(left)
        batch.dropped += (job for job in left if job not in still_open)
        batch.abandoned += still_open

    def _still_open(self, jobs: Sequence[Job]) -> set[Job]:
        """Those of `jobs` whose attempt nobody has closed, as far as the database tells."""
        if not jobs:
            return set()
        try:
            contexts = self._store.read({job.plant_id for job in jobs})
        except StoreUnavailable:
            return set(jobs)
        return {job for job in jobs if job.plant_id in contexts and contexts[job.plant_id].holds_attempt(job.attempt)}


def _slow_last(taken: Sequence[Taken], contexts: Mapping[UUID, PlantContext]) -> list[Taken]:
    """Plants that timed out the last time come last, so that they keep nobody waiting."""

    def was_slow(item: Taken) -> bool:
        context = contexts.get(item.job.plant_id)
        return context is not None and context.live.last_error is PollError.NETWORK_TIMEOUT

    return sorted(taken, key=was_slow)


def _timed_out(item: Finished) -> bool:
    return isinstance(item.result, Failed) and item.result.error is PollError.NETWORK_TIMEOUT
