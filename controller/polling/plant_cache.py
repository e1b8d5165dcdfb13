"""What a worker still knows of the plants it polled last: most polls then read the claim alone, and not nine days and all alerts again.

Nothing here is trusted for its age: the store says of each whether anybody has written the plant since (its version and last closed
attempt), and a write is fenced by the version as ever (PROTOCOL 4).
"""

from collections.abc import Iterable, Sequence
from random import random
from threading import Lock
from uuid import UUID

from controller.domain.outcome import Outcome
from controller.domain.plant import JobType, PlantContext
from controller.polling.ports import RereadStore

MOST = 10_000
"""Plants kept, of some 3 KB each (docs/performance.md)."""
ADMIT = 1 / 16
"""The share of new plants that are kept once the cache is full, each in the place of the one kept longest. Plants come round in turn: if
all were kept, each would go just before it is wanted."""


class PlantCache:
    """A `PlantStore` in front of another. Thread-safe; shared by the crews of a process."""

    def __init__(self, store: RereadStore, most: int = MOST) -> None:
        self._store = store
        self._most = most
        self._kept: dict[UUID, PlantContext] = {}
        self._changing = Lock()

    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]:
        ids = set(plant_ids)
        known = [context for plant_id in ids if (context := self._kept.get(plant_id)) is not None]
        found = self._store.reread(known) if known else {}
        unknown = ids - found.keys()
        return found | self._store.read(unknown) if unknown else found

    def write(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        stored = self._store.write(outcomes)
        with self._changing:
            for outcome in outcomes:
                if outcome.plant_id in stored:
                    self._keep(outcome)
        return stored

    def _keep(self, outcome: Outcome) -> None:
        plant_id, log = outcome.plant_id, outcome.log
        # A daily job has read other days than a poll does.
        if log is None or log.job_type is JobType.DAILY:
            self._kept.pop(plant_id, None)
        elif plant_id in self._kept or len(self._kept) < self._most:
            self._kept[plant_id] = outcome.after
        elif random() < ADMIT:
            del self._kept[next(iter(self._kept))]
            self._kept[plant_id] = outcome.after
