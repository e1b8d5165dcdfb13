"""What falls due, claimed and handed out: polls, daily jobs, and statuses that the clock alone changes (PROTOCOL 17 to 19).

`Scheduler.tick` is called every second by the operator, in any number of copies: they share the work by SKIP LOCKED.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from controller.domain.errors import EpochMissing, QueueUnavailable
from controller.domain.judge import judge_clock
from controller.domain.outcome import Job, Outcome
from controller.domain.plant import JobType, PlantContext
from controller.scheduling.ports import JobQueue, ScheduleStore
from integrations.contract import Brand

log = structlog.get_logger()

CHUNK = 500
"""Plants claimed per transaction: row locks stay short, and larger chunks gained nothing when measured."""
ROUNDS_PER_TICK = 40
"""At most 20,000 claims a tick, so that a tick ends and the other duties get their turn."""


class TickReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one tick did, for metrics and log."""

    epoch_opened: bool = False
    queue_reachable: bool = True
    polls_claimed: int = 0
    days_claimed: int = 0
    enqueued: int = 0
    judged: tuple[Outcome, ...] = ()
    """Plants whose status the clock changed."""


class Scheduler:
    """The claiming side of the protocol. Owned by one thread; keeps only the claims whose enqueueing is still to be repeated."""

    def __init__(self, store: ScheduleStore, queue: JobQueue, at: Callable[[str], None], chunk: int = CHUNK) -> None:
        self._store = store
        self._queue = queue
        self._at = at
        self._chunk = chunk
        self._unsent: list[Job] = []
        self._days_first = False

    def tick(self, now: datetime) -> TickReport:
        """Everything that is due at `now`. Raises `StoreUnavailable`; an unreachable queue only stops the claims."""
        judged = self._judge_clock(now)
        try:
            opened = self._queue.open_epoch()
            enqueued = self._send_again()
            room = dict(self._queue.room())
            # Where a brand's limit leaves too little for all that is due, polls and daily jobs come first by turns.
            kinds = [JobType.POLL, JobType.DAILY]
            if self._days_first:
                kinds.reverse()
            self._days_first = bool(room) and not self._days_first
            claimed = {kind: self._claim(kind, now, room) for kind in kinds}
        except (QueueUnavailable, EpochMissing) as error:
            log.warning("queue_unusable", error=type(error).__name__, unsent=len(self._unsent))
            return TickReport(queue_reachable=False, judged=judged)
        return TickReport(
            epoch_opened=opened,
            polls_claimed=claimed[JobType.POLL][0],
            days_claimed=claimed[JobType.DAILY][0],
            enqueued=enqueued + sum(sent for _, sent in claimed.values()),
            judged=judged,
        )

    def _judge_clock(self, now: datetime) -> tuple[Outcome, ...]:
        judged: list[Outcome] = []
        for _ in range(ROUNDS_PER_TICK):
            chunk = self._store.judge_due(now, self._chunk, _judge_each)
            judged += chunk
            if len(chunk) < self._chunk:
                break
        return tuple(judged)

    def _claim(self, kind: JobType, now: datetime, room: dict[Brand, int]) -> tuple[int, int]:
        """Claims chunk by chunk, each committed before it is enqueued; a process killed in between leaves the rest to recovery.

        How many were claimed and enqueued. `room` is what the limits admit of their brands, and shrinks by what is claimed.
        """
        claim = self._store.claim_polls if kind is JobType.POLL else self._store.claim_days
        claimed = enqueued = 0
        for _ in range(ROUNDS_PER_TICK):
            self._unsent = list(claim(now, self._chunk, room))
            self._at("after-claim-commit")
            for job in self._unsent:
                if job.brand in room:
                    room[job.brand] -= 1
            claimed += len(self._unsent)
            full = len(self._unsent) >= self._chunk
            enqueued += self._send_again()
            if not full:
                break
        return claimed, enqueued

    def _send_again(self) -> int:
        """Enqueues what is claimed and perhaps not enqueued yet; a repetition after a lost reply does no harm (PROTOCOL 12)."""
        enqueued = self._queue.enqueue(self._unsent) if self._unsent else 0
        self._unsent = []
        return enqueued


def _judge_each(context: PlantContext, now: datetime) -> Outcome:
    """`judge_clock` for one of many. A plant that judging cannot bear is left as it is, and is not due again by the clock."""
    try:
        return judge_clock(context, now)
    except Exception:
        log.exception("judging_failed", plant_id=str(context.plant_id))
        return Outcome(before=context, live=msgspec.structs.replace(context.live, clock_due_at=None))
