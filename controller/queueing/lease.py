"""A worker's incarnation: the name under which it takes jobs, and the lease that its heartbeat keeps up (PROTOCOL 21 and 22).

The lease guards the vendor: it ends L seconds after the last beat that the server confirmed, counted from before that beat was sent,
so it has always ended before the server lets the heartbeat expire and the jobs are found lost.
"""

import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Protocol
from uuid import uuid4

import structlog

from controller.domain.errors import EpochMissing, IncarnationRetired, LeaseLost, QueueUnavailable

log = structlog.get_logger()

BEAT_S = 5.0
"""Pause between two heartbeats: five may fail before the lease of 30 s ends. Seconds."""


class HeartbeatQueue(Protocol):
    """The part of `WorkerQueue` that keeps an incarnation alive."""

    @property
    def lease_s(self) -> float: ...

    def begin(self, incarnation: str) -> None: ...

    def beat(self, incarnation: str) -> None: ...

    def retire(self, incarnation: str) -> None: ...


def boottime() -> float:
    """Seconds that also pass while the machine sleeps or the process is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Incarnation:
    """One name, from its first heartbeat until it is retired. Beaten by the heartbeat's thread, used by the worker's."""

    def __init__(self, queue: HeartbeatQueue, name: str, clock: Callable[[], float] = boottime) -> None:
        """Begins the incarnation. Raises `QueueUnavailable`, `EpochMissing`, `IncarnationRetired`; then the name is used up."""
        self.name = name
        self._queue = queue
        self._clock = clock
        self._retiring = Lock()
        self._retired: str | None = None
        started = clock()
        queue.begin(name)
        self._last_beat = started

    @property
    def retired(self) -> str | None:
        """Why no more jobs may be taken under this name; None while they may."""
        return self._retired

    @property
    def lease_left_s(self) -> float:
        """Seconds for which exchanges may still begin; negative once the lease has run out."""
        return self._last_beat + self._queue.lease_s - self._clock()

    def assert_held(self) -> None:
        """Raises `LeaseLost`. A retired incarnation may finish what it holds while the lease lasts: nobody finds it lost before."""
        if self.lease_left_s <= 0:
            raise LeaseLost

    def beat(self) -> bool:
        """One heartbeat; whether the server confirmed it. Retires the incarnation where its heartbeat is missing or late."""
        if self._retired:
            return False
        if self.lease_left_s <= 0:
            self.retire("late")
            return False
        started = self._clock()
        try:
            self._queue.beat(self.name)
        except QueueUnavailable as error:
            log.warning("heartbeat_unanswered", incarnation=self.name, error=str(error))
            return False
        except EpochMissing:
            self.retire("epoch")
            return False
        except IncarnationRetired:
            self.retire("vanished")
            return False
        self._last_beat = started
        return True

    def retire(self, reason: str) -> None:
        """Ends this incarnation's takes and heartbeats, for good. The first reason stands."""
        with self._retiring:
            if self._retired is None:
                self._retired = reason
                log.warning("incarnation_retired", incarnation=self.name, reason=reason)


class Heartbeat:
    """The worker's heartbeat: a thread that beats for the current incarnation, and the place where a new one is begun."""

    def __init__(
        self,
        queue: HeartbeatQueue,
        prefix: str,
        *,
        beat_s: float = BEAT_S,
        may_beat: Callable[[], bool] = lambda: True,
        on_turn: Callable[[bool], None] = lambda _: None,
        on_retired: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = boottime,
    ) -> None:
        """`may_beat` is asked before each beat: False lets the lease run out (the watchdog's doing). `on_turn` hears from the thread,
        each time it comes round, whether the server confirmed a beat; `on_retired` hears the reason, from the worker's thread.
        """
        self._queue = queue
        self._prefix = prefix
        self._beat_s = beat_s
        self._may_beat = may_beat
        self._on_turn = on_turn
        self._on_retired = on_retired
        self._clock = clock
        self._current: Incarnation | None = None
        self._stop = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ends the thread and the incarnation. Only when no exchange runs. An unreachable server is left to the heartbeat's TTL."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._end_current()

    def incarnation(self) -> Incarnation:
        """The current incarnation, or a new one where that is retired. Called by the worker between two batches, when no exchange runs.

        Raises `QueueUnavailable`, `EpochMissing`, `IncarnationRetired`.
        """
        if self._current is not None:
            if self._current.lease_left_s <= 0:
                self._current.retire("late")
            if self._current.retired is None:
                return self._current
        self._end_current()
        self._current = Incarnation(self._queue, f"{self._prefix}-{uuid4().hex}", self._clock)
        log.info("incarnation_begun", incarnation=self._current.name)
        return self._current

    def _end_current(self) -> None:
        ended, self._current = self._current, None
        if ended is None:
            return
        if ended.retired is not None:
            self._on_retired(ended.retired)
        try:
            self._queue.retire(ended.name)
        except QueueUnavailable as error:
            log.warning("heartbeat_left_to_expire", incarnation=ended.name, error=str(error))

    def _run(self) -> None:
        while not self._stop.wait(self._beat_s):
            current = self._current
            self._on_turn(current is not None and self._may_beat() and current.beat())
