"""The scheduler's side of the queue: what is claimed goes in, what got lost is found (PROTOCOL 11, 12, 15)."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from redis import Redis

from controller.domain.outcome import Job, JobWhereabouts
from controller.queueing.budget import BrandLimit, room
from controller.queueing.keys import BARRIER, BRANDS, ahead_key, brand_keys, list_key, promotions_key, waiting_key
from controller.queueing.messages import encode_named
from controller.queueing.server import Argument, QueueServer, Secret, connect
from integrations.contract import Brand

CHUNK = 500
"""Jobs a call: Lua can unpack less than 8,000 values, and a script holds up the whole server while it runs."""
LEASE_S = 30.0
"""L of the protocol: how long a worker's right to talk to vendors outlives its last heartbeat. Seconds."""
BARRIER_TTL_S = 86_400
"""Longer than any enqueue or return can be late; lifted as soon as the job is closed."""
PROMOTIONS_A_SECOND = 50
"""Of each brand, by all schedulers together: each costs a look along the brand's list."""
PROMOTIONS_AHEAD = 50
"""Of each brand: so many promoted jobs, and no more, may be ahead of what the others have been given meanwhile."""

NO_LIMITS: Mapping[Brand, BrandLimit] = MappingProxyType({})
_NUMBER = {brand: number for number, brand in enumerate(BRANDS, start=1)}
_KEYS = brand_keys()
T = TypeVar("T")


class RedisQueue:
    """Implements `scheduling.ports.JobQueue`. Threads may share one."""

    def __init__(self, server: Redis | str | Secret, lease_s: float = LEASE_S, limits: Mapping[Brand, BrandLimit] = NO_LIMITS) -> None:
        """`server`: a client made by `connect`, or the URL to make one of. `limits`: of the brands that have one."""
        self._server = QueueServer(connect(server))
        self._lease_ms = round(lease_s * 1000)
        self._limits = limits

    def open_epoch(self) -> bool:
        """Makes the server usable if its epoch is missing or foreign (PROTOCOL 11). True if it did. Raises `QueueUnavailable`."""
        return bool(self._server.call("open_epoch", _KEYS))

    def enqueue(self, jobs: Sequence[Job]) -> int:
        """Puts jobs into their brands' queues, each at most once; how many were new. May be repeated (PROTOCOL 12).

        Raises `QueueUnavailable`, `EpochMissing`.
        """
        return sum(self._enqueue(chunk) for chunk in _chunks(jobs))

    def promote(self, jobs: Sequence[Job]) -> set[Job]:
        """Moves waiting jobs to the front of their queues (PROTOCOL 16). Those that were moved; the others do not wait, or must wait on.

        Raises `QueueUnavailable`, `EpochMissing`.
        """
        moved: set[Job] = set()
        for brand in {job.brand for job in jobs}:
            mine = [job for job in jobs if job.brand is brand]
            args: list[Argument] = [PROMOTIONS_A_SECOND, PROMOTIONS_AHEAD]
            for job in mine:
                args += (job_id := job.id, job.attempt, encode_named(job, job_id))
            keys = (list_key(brand), waiting_key(brand), promotions_key(brand), ahead_key(brand))
            moved.update(job for job, how in zip(mine, self._server.call("promote", keys, args), strict=True) if how == b"PROMOTED")
        return moved

    def check(self, jobs: Sequence[Job]) -> dict[Job, JobWhereabouts]:
        """Where jobs are; each one found LOST gets a barrier (PROTOCOL 15). Raises `QueueUnavailable`, `EpochMissing`."""
        found: dict[Job, JobWhereabouts] = {}
        for chunk in _chunks(jobs):
            args: list[Argument] = [self._lease_ms, BARRIER_TTL_S * 1000]
            for job in chunk:
                args += (_NUMBER[job.brand], job.id, job.attempt)
            for job, where in zip(chunk, self._server.call("check", _KEYS, args), strict=True):
                found[job] = JobWhereabouts(where.decode())
        return found

    def lift_barriers(self, jobs: Sequence[Job]) -> None:
        """Removes the barriers of lost jobs once they are closed. Raises `QueueUnavailable`, `EpochMissing`."""
        for chunk in _chunks(jobs):
            args: list[Argument] = [BARRIER]
            for job in chunk:
                args += (str(job.plant_id), job.attempt)
            self._server.call("release", (), args)

    def room(self) -> Mapping[Brand, int]:
        """How many more jobs may be claimed of each brand that has a limit (DOMAIN 2). Raises `QueueUnavailable`."""
        return room(self._server, self._limits)

    def depths(self) -> Mapping[Brand, int]:
        """Messages waiting by brand. Raises `QueueUnavailable`, `EpochMissing`."""
        return dict(zip(BRANDS, self._server.call("depths", _KEYS), strict=True))

    def _enqueue(self, jobs: Sequence[Job]) -> int:
        args: list[Argument] = []
        for job in jobs:
            args += (_NUMBER[job.brand], job_id := job.id, job.attempt, encode_named(job, job_id))
        return int(self._server.call("enqueue", _KEYS, args))


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
