"""One batch of jobs from taken to closed: one read, the exchanges of each plant by itself, one write (PROTOCOL 22 to 24).

Called by the worker with what one TAKE brought. The way of one poll: `run` ▶ `_attempt` ▶ `ask_vendor` ▶ `close_jobs` ▶ `judge_job`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from controller.domain.errors import LeaseLost, StoreUnavailable
from controller.domain.judge import is_pollable
from controller.domain.outcome import Failed, Job, JobResult, Outcome, Taken
from controller.domain.plant import PlantContext, PollError
from controller.polling.close_jobs import Finished, close_jobs
from controller.polling.exchanges import ask_vendor, plant_ref
from controller.polling.ports import Checkpoint, Lease, PlantStore, Transport, pass_by
from controller.polling.repeat import Pause, repeated
from integrations.contract import Brand, Exchange, VendorAdapter, VendorRequest, VendorResponse

log = structlog.get_logger()


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
    """To be given back to the queue."""
    abandoned: tuple[Job, ...] = ()
    """Begun, but not closed: the lease or the database went away. Recovery will find them."""


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
    ) -> None:
        self._store = store
        self._transport = transport
        self._adapters = adapters
        self._clock = clock
        self._pause = pause
        self._at = at

    def run(self, taken: Sequence[Taken], lease: Lease, may_begin: Callable[[], bool]) -> BatchReport:
        """Runs the jobs to their end. `may_begin` is asked before each plant: False gives the rest back.

        Raises nothing of the store's or the vendors': what could not be done is in the report.
        """
        try:
            contexts = repeated(lambda: self._store.read({item.job.plant_id for item in taken}), self._pause)
        except StoreUnavailable:
            log.warning("batch_not_read", jobs=len(taken))
            return BatchReport(not_begun=tuple(item.job for item in taken))
        self._at("after-read")
        finished: list[Finished] = []
        dropped: list[Job] = []
        not_begun: list[Job] = []
        abandoned: list[Job] = []
        for item in taken:
            context = contexts.get(item.job.plant_id)
            if context is None or not context.holds_attempt(item.job.attempt):
                dropped.append(item.job)
            elif not may_begin():
                not_begun.append(item.job)
            else:
                try:
                    finished.append(self._attempt(item, context, lease))
                except LeaseLost:
                    abandoned.append(item.job)
        self._at("before-close")
        closed = self._close(finished)
        self._at("after-commit")
        done = {entry.job for entry in closed}
        left = [item.job for item in finished if item.job not in done]
        lost = self._still_open(left)
        return BatchReport(
            closed=closed,
            dropped=(*dropped, *(job for job in left if job not in lost)),
            not_begun=tuple(not_begun),
            abandoned=(*abandoned, *lost),
        )

    def _attempt(self, item: Taken, context: PlantContext, lease: Lease) -> Finished:
        """One plant's exchanges, or the reason why there are none. Raises `LeaseLost`."""
        started_at = self._clock()
        if item.locked:
            result: JobResult = Failed(PollError.LOCKED, "another holder has the plant's lock")
        elif not is_pollable(context):
            result = Failed(PollError.CANCELLED, "the plant was deleted or suspended before the job began")
        else:
            result = self._ask(item.job, context, lease, started_at)
        return Finished(job=item.job, read=context, result=result, started_at=started_at, finished_at=self._clock())

    def _ask(self, job: Job, context: PlantContext, lease: Lease, now: datetime) -> JobResult:
        """What the vendor says. A plant that cannot even be asked (this build knows not its zone, say) fails by itself."""
        try:
            plant, adapter, exchange = plant_ref(context), self._adapters[job.brand], self._exchange(job, context, lease)
        except Exception as error:
            log.exception("plant_cannot_be_asked", plant_id=str(job.plant_id), brand=job.brand)
            return Failed(PollError.UNKNOWN_ERROR, f"unexpected {type(error).__name__} before the first exchange")
        return ask_vendor(job, plant, adapter, exchange, now)

    def _exchange(self, job: Job, context: PlantContext, lease: Lease) -> Exchange:
        """The plant's way to the vendor, open only while the lease holds (PROTOCOL 22)."""
        tag = f"{job.plant_id}|{job.attempt}"
        send = self._transport.for_plant(job.brand, context.declaration.scenario, plant_ref(context), tag)

        def guarded(request: VendorRequest) -> VendorResponse:
            self._at("before-exchange")
            lease.assert_held()
            return send(request)

        return guarded

    def _close(self, finished: Iterable[Finished]) -> tuple[Closed, ...]:
        by_plant: dict[UUID, Finished] = {item.job.plant_id: item for item in finished}
        outcomes = close_jobs(self._store, by_plant, self._pause)
        return tuple(Closed(by_plant[plant_id].job, outcome, by_plant[plant_id].result) for plant_id, outcome in outcomes.items())

    def _still_open(self, jobs: Sequence[Job]) -> set[Job]:
        """Those of `jobs` whose attempt nobody has closed, as far as the database tells."""
        if not jobs:
            return set()
        try:
            contexts = self._store.read({job.plant_id for job in jobs})
        except StoreUnavailable:
            return set(jobs)
        return {job for job in jobs if job.plant_id in contexts and contexts[job.plant_id].holds_attempt(job.attempt)}
