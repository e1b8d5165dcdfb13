"""Finding jobs whose worker died, and closing them as WORKER_LOST so that their plants are polled again (PROTOCOL 15 and 20).

`Recovery.sweep` is called every five seconds by the operator, in any number of copies: the fence lets only one close a job.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from controller.domain.judge import judge_lost
from controller.domain.outcome import Job, JobWhereabouts, Outcome
from controller.domain.plant import PlantContext
from controller.scheduling.ports import JobQueue, ScheduleStore

log = structlog.get_logger()

GRACE = timedelta(seconds=10)
"""A claim younger than this may still be on its way into the queue."""
PAGE = 500


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one sweep found: open claims looked at, and the outcomes of those that were lost."""

    checked: int = 0
    unknown: int = 0
    """The queue server is too young to tell about these."""
    recovered: tuple[Outcome, ...] = ()


class Recovery:
    """The recovering side of the protocol. Stateless."""

    def __init__(self, store: ScheduleStore, queue: JobQueue, clock: Callable[[], datetime], at: Callable[[str], None]) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock
        self._at = at

    def sweep(self) -> SweepReport:
        """All open claims older than the grace. Raises `StoreUnavailable`, `QueueUnavailable`, `EpochMissing`."""
        checked = unknown = 0
        recovered: list[Outcome] = []
        after: UUID | None = None
        claimed_before = self._clock() - GRACE
        while jobs := self._store.open_claims(claimed_before, PAGE, after):
            after = jobs[-1].plant_id
            found = self._queue.check(jobs)
            self._at("after-check")
            checked += len(jobs)
            unknown += sum(where is JobWhereabouts.UNKNOWN for where in found.values())
            recovered += self._close([job for job, where in found.items() if where is JobWhereabouts.LOST])
        return SweepReport(checked=checked, unknown=unknown, recovered=tuple(recovered))

    def _close(self, lost: Sequence[Job]) -> list[Outcome]:
        """Closes lost jobs. A plant that changed between read and write is found again by the next sweep, its barrier still up."""
        if not lost:
            return []
        jobs = {job.plant_id: job for job in lost}
        contexts = self._store.read(jobs)
        now = self._clock()
        still_held = {plant_id for plant_id, context in contexts.items() if context.holds_attempt(jobs[plant_id].attempt)}
        judged = (_judge_each(contexts[plant_id], jobs[plant_id], now) for plant_id in still_held)
        outcomes = [outcome for outcome in judged if outcome is not None]
        stored = self._store.write(outcomes) if outcomes else set()
        still_open = still_held - stored
        self._queue.lift_barriers([job for job in lost if job.plant_id not in still_open])
        return [outcome for outcome in outcomes if outcome.plant_id in stored]


def _judge_each(context: PlantContext, job: Job, now: datetime) -> Outcome | None:
    """`judge_lost` for one of many: a plant that judging cannot bear stays open and stops no other's recovery."""
    try:
        return judge_lost(context, job, now)
    except Exception:
        log.exception("judging_failed", plant_id=str(context.plant_id))
        return None
