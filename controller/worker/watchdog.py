"""The bound on how long a worker may hold jobs (PROTOCOL 21).

A query to a frozen database can hang whatever timeouts are set. Past twice the deadline the heartbeat stops, so
that the jobs are found lost, and the process is ended by `main`, so that a fresh one takes over.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.queueing.lease import boottime

JOB_DEADLINE_S = 50.0
"""From TAKE to the last RELEASE of a batch: 10 s in which jobs may begin, the longest single job, and the write with its repetitions.
Twice this is still less than the TTL of the shortest lock, 120 s. Seconds."""


class Watchdog:
    """Since when jobs are held. Set by the worker's thread, read by the heartbeat's and the main one."""

    def __init__(self, deadline_s: float = JOB_DEADLINE_S, clock: Callable[[], float] = boottime) -> None:
        self._bound_s = 2 * deadline_s
        self._clock = clock
        self._held_since: float | None = None

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Around everything from TAKE to RELEASE."""
        self._held_since = self._clock()
        try:
            yield
        finally:
            self._held_since = None

    @property
    def held_s(self) -> float:
        """For how long jobs have been held; 0 where none are. Seconds."""
        since = self._held_since
        return 0.0 if since is None else self._clock() - since

    def is_in_time(self) -> bool:
        """Whether no job is held, or none for longer than twice the deadline."""
        since = self._held_since
        return since is None or self._clock() - since <= self._bound_s
