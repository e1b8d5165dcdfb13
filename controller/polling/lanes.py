"""The exchanges of one batch, side by side where vendors are slow.

A batch whose vendor answers in a millisecond is fastest on one thread: more would only fight for it. So there is one lane at first, and
another one each time that the lanes there are have begun but a few items in a step: a slow vendor has as many as the bound allows within a
second.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Generic, TypeVar

LANES = 32
"""At most so many exchanges of a batch at once: 250 plants that time out after 10 s are through with it in 80 s, of which a batch begins
what it can (PROTOCOL 14)."""
STEP_S = 0.02
"""After so long with work still waiting and few items begun, one lane more. Seconds."""
FEW = 10
"""A batch of 250 that begins as many each step is through in half a second."""
T = TypeVar("T")


class Lanes:
    """Runs one batch's work at a time, on threads that are kept. Owned by one thread."""

    def __init__(self, most: int = LANES, step_s: float = STEP_S) -> None:
        """`most` 1: everything on the caller's thread, one after the other."""
        self._most = most
        self._step_s = step_s
        self._pool = ThreadPoolExecutor(most, "lane") if most > 1 else None

    def run(self, items: Iterable[T], work: Callable[[T], None], meanwhile: Callable[[], None] = lambda: None) -> None:
        """`work` for each item, begun in their order. `meanwhile` is called on the caller's thread, now and then, while it waits.

        What `work` raises ends its lane and is raised here once all lanes have ended; so is what `meanwhile` raises.
        """
        source = Shared(items)
        if self._pool is None:
            for item in source:
                work(item)
            return
        running = {self._pool.submit(_lane, source, work)}
        lanes: list[Future[None]] = list(running)
        try:
            while running:
                running = wait(running, timeout=self._step_s).not_done
                if not running:
                    break
                if source.was_slow() and len(lanes) < self._most:
                    lane = self._pool.submit(_lane, source, work)
                    lanes.append(lane)
                    running = {*running, lane}
                meanwhile()
        finally:
            wait(running)
        for lane in lanes:
            lane.result()


class Shared(Generic[T]):
    """An iterator that several threads may draw from, and that knows when it is empty only once somebody has asked in vain."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._lock = Lock()
        self._is_empty = False
        self._drawn = 0

    def was_slow(self) -> bool:
        """Whether items are left, and few were drawn since this was last asked."""
        with self._lock:
            drawn, self._drawn = self._drawn, 0
            return not self._is_empty and drawn < FEW

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            try:
                item = next(self._items)
            except StopIteration:
                self._is_empty = True
                raise
            self._drawn += 1
            return item


def _lane(items: Iterable[T], work: Callable[[T], None]) -> None:
    for item in items:
        work(item)
