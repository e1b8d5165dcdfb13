"""Several crews in one worker process, each with batches, an incarnation and a lease of its own, so that slow vendors hold up one of them.

One crew at a time is at the front: it alone takes. Whoever has been at a batch for longer than a moment is relieved: the next free crew
goes to the front, and the slow batch ends in its own time. Where vendors are quick, one crew does everything, in full batches.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Event, Lock
from typing import Protocol

CREWS = 8
"""Batches that a process may have in hand at once. A crew that waits for vendors costs its threads' stacks."""
RELIEF_S = 0.3
"""How long a batch may last before the next crew goes to the front: a requested poll shall begin within a second. Seconds."""
STEP_S = 0.05
"""How often the one that waits looks whether it may go. Seconds."""


class Crew(Protocol):
    """`batches.Batches`."""

    @property
    def held_s(self) -> float:
        """For how long it has held jobs; 0 where it holds none. Seconds."""
        ...

    def turn(self, stop: Event, *, only_promoted: bool = False) -> None: ...


class Crews:
    """Shared by as many threads as there are crews; each calls `turn` again and again."""

    def __init__(self, relief_s: float = RELIEF_S) -> None:
        self._crews: list[Crew] = []
        self._relief_s = relief_s
        self._line = Lock()
        """Held by the one thread that waits to go to the front; the others queue behind it without looking."""
        self._changed = Condition()
        self._busy: set[Crew] = set()
        self._front: Crew | None = None
        self._is_alone = False

    def join(self, crew: Crew) -> None:
        """One crew more; before the first turn."""
        self._crews.append(crew)

    def turn(self, stop: Event) -> None:
        """One turn of the first crew that is free, as soon as it may go to the front; nothing where `stop` comes first.

        The last free crew is the reserve: it takes only what was promoted, so that there is always somebody for it (PROTOCOL 16).
        """
        with self._line:
            crew, is_reserve = self._next(stop)
        if crew is None:
            return
        try:
            crew.turn(stop, only_promoted=is_reserve)
        finally:
            with self._changed:
                self._busy.discard(crew)
                if self._front is crew:
                    self._front = None
                self._changed.notify_all()

    @contextmanager
    def alone(self, crew: Crew, may_wait: Callable[[], bool]) -> Iterator[None]:
        """Nobody takes meanwhile, and the others have let go of their jobs, or `may_wait` says that it took too long (PROTOCOL 20)."""
        with self._changed:
            self._is_alone = True
            while any(other.held_s for other in self._busy if other is not crew) and may_wait():
                self._changed.wait(STEP_S)
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()

    def _next(self, stop: Event) -> tuple[Crew | None, bool]:
        """The crew that goes to the front, and whether it is the last one that was free."""
        with self._changed:
            while not stop.is_set():
                free = [crew for crew in self._crews if crew not in self._busy]
                if free and not self._is_alone and (self._front is None or self._front.held_s > self._relief_s):
                    self._front = free[0]
                    self._busy.add(free[0])
                    return free[0], len(free) == 1 < len(self._crews)
                self._changed.wait(STEP_S)
            return None, False
