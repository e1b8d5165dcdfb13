"""Polls that somebody asked for (the annotation poll-requested-at): claimed at once and put in front of whatever waits (PROTOCOL 16).

`FastLane.tick` is called several times a second by the operator, in any number of copies, beside the scheduler: a request does not wait
for a tick that hands out thousands. The queue bounds promotions, so that the lane starves nobody.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from controller.domain.outcome import Job
from controller.scheduling.ports import RequestStore, UrgentQueue

AT_ONCE = 200
"""Requests looked at in one turn: as many as four brands may promote in a second."""


class FastLaneReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn did."""

    claimed: int = 0
    promoted: int = 0


class FastLane:
    """The urgent side of the scheduler. Owned by one thread; keeps only which attempts it has promoted already."""

    def __init__(self, store: RequestStore, queue: UrgentQueue, at: Callable[[str], None]) -> None:
        self._store = store
        self._queue = queue
        self._at = at
        self._promoted: frozenset[int] = frozenset()

    def tick(self, now: datetime) -> FastLaneReport:
        """Every request that waits at `now`. Raises `StoreUnavailable`, `QueueUnavailable`, `EpochMissing`.

        A process killed between claim and enqueue leaves the job to recovery, as the scheduler does.
        """
        requests = self._store.requests(now, AT_ONCE)
        claimed: Sequence[Job] = ()
        if requests.due:
            claimed = self._claim(now)
        jobs = (*requests.handed_out, *claimed)
        moved = self._queue.promote([job for job in jobs if job.attempt not in self._promoted]) if jobs else set()
        still_there = self._promoted & {job.attempt for job in jobs}
        self._promoted = still_there | {job.attempt for job in moved}
        return FastLaneReport(claimed=len(claimed), promoted=len(moved))

    def _claim(self, now: datetime) -> Sequence[Job]:
        # Asked first: where the queue is away or in no epoch, nothing is claimed that could not be handed out.
        self._queue.depths()
        claimed = self._store.claim_requested(now, AT_ONCE, self._queue.room())
        self._at("after-urgent-claim")
        if claimed:
            self._queue.enqueue(claimed)
        return claimed
