"""Requests about many plants, side by side: called by the mirror, which owns the threads."""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from controller.operator.kubernetes_api import KubernetesRefused, KubernetesUnavailable


class Round:
    """Plants that several threads work off together, each taking the next one when it is done with its last."""

    def __init__(self, plants: Sequence[UUID], work: Callable[[UUID], Any], is_over: Callable[[], bool]) -> None:
        self.ended: SimpleQueue[tuple[UUID, Any] | None] = SimpleQueue()
        """What each has come to, and None for each thread that is done."""
        self.outage: Exception | None = None
        self._lock = threading.Lock()
        self._rest = list(reversed(plants))
        self._first = len(plants)
        self._work = work
        self._is_over = is_over

    def work_off(self) -> None:
        """One thread's share. Raises nothing: an outage is kept for who waits, what else a plant brings is `ended`."""
        try:
            while (plant_id := self._next()) is not None:
                self._work_on(plant_id)
        finally:
            self.ended.put(None)

    def end(self) -> None:
        """No further plant is begun."""
        with self._lock:
            self._rest.clear()

    def _work_on(self, plant_id: UUID) -> None:
        try:
            self.ended.put((plant_id, self._work(plant_id)))
        except (KubernetesUnavailable, KubernetesRefused) as error:
            self.outage = error
            self.end()
        except Exception as error:  # noqa: BLE001 handed on
            self.ended.put((plant_id, error))

    def _next(self) -> UUID | None:
        """The first one always, so that every round brings something."""
        with self._lock:
            if not self._rest or (len(self._rest) < self._first and self._is_over()):
                return None
            return self._rest.pop()
