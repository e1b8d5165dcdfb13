"""Whether the watch still hears: what it was told of is compared with what resync has listed.

A stream of events has no way to say that it has died; a fleet without changes and a watch without ears look the same. Pure.
"""

import threading
from enum import Enum, auto

DEAF_AFTER_S = 30.0
"""Longest that an event may take from the API server to us. An outage is none: then there is no list to compare with."""


class Verdict(Enum):
    HEARS = auto()
    """It has been told of the newest change there is."""
    WAITING = auto()
    """Something is still on its way."""
    DEAF = auto()
    """Something is overdue, and nothing else has come either."""


class Hearing:
    """What one watch has been told of. Instants are seconds of any clock that does not jump. Thread-safe."""

    def __init__(self, now: float, deaf_after_s: float = DEAF_AFTER_S) -> None:
        self._lock = threading.Lock()
        self._deaf_after_s = deaf_after_s
        self._heard, self._heard_at = 0, now
        self._awaited, self._awaited_at = 0, now

    def hear(self, resource_version: int, now: float) -> None:
        """An event of an object at this version has come."""
        with self._lock:
            self._heard, self._heard_at = max(self._heard, resource_version), now

    def compare(self, newest: int, now: float) -> Verdict:
        """`newest`: the newest resourceVersion among all objects of a list just read, 0 where there are none."""
        with self._lock:
            if newest <= self._heard:
                return Verdict.HEARS
            if self._awaited <= self._heard:
                self._awaited, self._awaited_at = newest, now
            # A large fleet's first list takes minutes: as long as events come, it is not deaf.
            silent_s = now - max(self._awaited_at, self._heard_at)
            return Verdict.DEAF if silent_s >= self._deaf_after_s else Verdict.WAITING
