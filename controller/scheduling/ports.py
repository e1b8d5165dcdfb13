"""What scheduling needs from the store and the queue: implemented by `storage` and `queueing`, composed in `cli`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from controller.domain.judge import JudgeClock
from controller.domain.outcome import Job, JobWhereabouts, Outcome, Requests
from controller.domain.plant import PlantContext
from integrations.contract import Brand


class ScheduleStore(Protocol):
    """Plants as rows that fall due. Every method raises `StoreUnavailable`."""

    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]: ...

    def write(self, outcomes: Sequence[Outcome]) -> set[UUID]: ...

    def claim_polls(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = ...) -> list[Job]:
        """Claims up to `limit` due polls, oldest first, and commits (PROTOCOL 17).

        `at_most` bounds the claims of brands that have a limit (DOMAIN 2); they come after those of the others. A plant whose claim slot is
        open is not claimed; its `next_poll_at` moves to the next slot of its phase grid all the same.
        """
        ...

    def claim_days(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = ...) -> list[Job]:
        """Claims up to `limit` due daily jobs and commits; `at_most` as for polls.

        `day_due_at` stays: only the job's outcome moves it (PROTOCOL 18).
        """
        ...

    def judge_due(self, now: datetime, limit: int, judge: JudgeClock) -> list[Outcome]:
        """Locks up to `limit` rows whose `clock_due_at` has passed, judges and stores them in one transaction (PROTOCOL 19)."""
        ...

    def open_claims(self, claimed_before: datetime, limit: int, after: UUID | None = None) -> list[Job]:
        """Jobs whose claim is open and older than `claimed_before`, in the order of plant ids, those beyond `after` only (paging)."""
        ...


class JobQueue(Protocol):
    """The transport of jobs. Every method raises `QueueUnavailable`, and all but `open_epoch` raise `EpochMissing`."""

    def open_epoch(self) -> bool:
        """Makes the server usable if its epoch is missing or foreign: empties lists and waiting entries (PROTOCOL 11). True if it did."""
        ...

    def enqueue(self, jobs: Sequence[Job]) -> int:
        """Puts jobs into their brands' queues, each at most once; how many were new. May be repeated (PROTOCOL 12)."""
        ...

    def check(self, jobs: Sequence[Job]) -> dict[Job, JobWhereabouts]:
        """Where jobs are. One found LOST gets a barrier, so that a late enqueue or return cannot revive it (PROTOCOL 15)."""
        ...

    def lift_barriers(self, jobs: Sequence[Job]) -> None:
        """Removes the barriers of lost jobs once they are closed."""
        ...

    def room(self) -> Mapping[Brand, int]:
        """How many jobs may be claimed now of each brand that has a limit (DOMAIN 2); the others are absent."""
        ...

    def depths(self) -> Mapping[Brand, int]:
        """Messages waiting by brand."""
        ...


class RequestStore(Protocol):
    """Plants whose poll was asked for (PROTOCOL 16). Every method raises `StoreUnavailable`."""

    def requests(self, now: datetime, limit: int) -> Requests:
        """Up to `limit` requests that wait for their answer, those due first come first; one look along an index."""
        ...

    def claim_requested(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = ...) -> list[Job]:
        """`ScheduleStore.claim_polls`, of plants with such a request only."""
        ...


class UrgentQueue(Protocol):
    """The transport of jobs, as the fast lane uses it. Every method raises `QueueUnavailable`, `EpochMissing`."""

    def enqueue(self, jobs: Sequence[Job]) -> int: ...

    def promote(self, jobs: Sequence[Job]) -> set[Job]:
        """Moves waiting jobs to the front. Those that were moved; the others do not wait, or not now (PROTOCOL 16)."""
        ...

    def room(self) -> Mapping[Brand, int]: ...

    def depths(self) -> Mapping[Brand, int]: ...
