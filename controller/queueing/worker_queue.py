"""The worker's side of the queue: taking jobs under an incarnation's name, and letting go of them (PROTOCOL 13, 14, 21)."""

from collections.abc import Iterator, Sequence

import msgspec
from redis import Redis

from controller.domain.outcome import Job
from controller.queueing.keys import ahead_key, heartbeat_key, list_key, waiting_key
from controller.queueing.messages import TASK_NAME, MalformedMessage, decode_job, encode_named, lock_fields
from controller.queueing.queue import LEASE_S
from controller.queueing.server import Argument, QueueServer
from integrations.contract import Brand

MAX_WAIT_S = 2.0
"""How long one wait for work may last: shorter than the socket's timeout, and a stop is heard after it. Seconds."""


class Catch(msgspec.Struct, frozen=True):
    """What one TAKE brought. `locked` are those of `jobs` whose plant somebody else has locked; they hold no lock of ours.

    The numbers count messages that were dropped: undecodable, without their waiting entry, or for an attempt that has been overtaken.
    """

    jobs: tuple[Job, ...] = ()
    locked: frozenset[Job] = frozenset()
    malformed: int = 0
    stale: int = 0
    overtaken: int = 0

    @property
    def dropped(self) -> dict[str, int]:
        """Messages dropped, by reason."""
        return {"malformed": self.malformed, "stale": self.stale, "overtaken": self.overtaken}


class WorkerQueue:
    """One brand's queue as its workers use it. Threads may share one.

    Every method raises `QueueUnavailable` (the call may or may not have happened), and all but `wait_for_work` and `retire` raise
    `EpochMissing`.
    """

    def __init__(self, client: Redis, brand: Brand, lease_s: float = LEASE_S) -> None:
        self.brand = brand
        self.lease_s = lease_s
        self._server = QueueServer(client)
        self._list, self._waiting = list_key(brand), waiting_key(brand)

    def wait_for_work(self, timeout_s: float = MAX_WAIT_S) -> bool:
        """Whether a message waits, after up to `timeout_s` of waiting for one. It stays where it is."""
        return self._server.wait_at_right_end(self._list, min(timeout_s, MAX_WAIT_S))

    def take(self, incarnation: str, limit: int, *, only_promoted: bool = False) -> Catch:
        """Up to `limit` jobs from the front, each locked in the same call (PROTOCOL 13); one that is to run alone by itself (PROTOCOL 20).

        `only_promoted`: nothing, unless something was promoted (PROTOCOL 16). Raises `IncarnationRetired`.

        After `QueueUnavailable` the incarnation must be retired: it may hold jobs that it does not know of.
        """
        keys = (self._list, self._waiting, heartbeat_key(incarnation), ahead_key(self.brand))
        malformed, stale, overtaken, *taken = self._server.call("take", keys, (incarnation, limit, TASK_NAME, int(only_promoted)))
        jobs: list[Job] = []
        locked: set[Job] = set()
        unreadable: list[tuple[str, int]] = []
        for message, state in zip(taken[::2], taken[1::2], strict=True):
            try:
                job = decode_job(message, self.brand)
            except MalformedMessage:
                # Well formed enough for the script, which has locked it, yet no job: such as the 31st of February.
                unreadable.append(lock_fields(message))
                continue
            jobs.append(job)
            if state == b"LOCKED":
                locked.add(job)
        self._release(incarnation, unreadable)
        return Catch(tuple(jobs), frozenset(locked), malformed + len(unreadable), stale, overtaken)

    def release(self, incarnation: str, jobs: Sequence[Job]) -> None:
        """Deletes the locks that are still the incarnation's. May be repeated (PROTOCOL 14)."""
        self._release(incarnation, [(str(job.plant_id), job.attempt) for job in jobs])

    def give_back(self, incarnation: str, jobs: Sequence[Job]) -> int:
        """Puts jobs, in the order they were taken, back to the front of the queue, where their locks are still the incarnation's.

        How many went back. May be repeated (PROTOCOL 14, RETURN).
        """
        args: list[Argument] = [incarnation]
        for job in jobs:
            args += (job_id := job.id, job.attempt, encode_named(job, job_id))
        return int(self._server.call("give_back", (self._list, self._waiting), args)) if jobs else 0

    def begin(self, incarnation: str) -> None:
        """The first heartbeat of a new name. Raises `IncarnationRetired` where the name is known already."""
        self._beat(incarnation, "first")

    def beat(self, incarnation: str) -> None:
        """Another heartbeat. Raises `IncarnationRetired` where the one before has expired or belongs to another epoch (PROTOCOL 21)."""
        self._beat(incarnation, "next")

    def retire(self, incarnation: str) -> None:
        """Ends an incarnation's heartbeat, so that what it may still hold is found lost at once. Only when no exchange of its runs."""
        self._server.delete(heartbeat_key(incarnation))

    def _beat(self, incarnation: str, which: str) -> None:
        self._server.call("beat", (heartbeat_key(incarnation),), (which, round(self.lease_s * 1000)))

    def _release(self, incarnation: str, locks: Sequence[tuple[str, int]]) -> None:
        if locks:
            self._server.call("release", (), (incarnation, *_flat(locks)))


def _flat(locks: Sequence[tuple[str, int]]) -> Iterator[Argument]:
    for plant_id, attempt in locks:
        yield plant_id
        yield attempt
