"""How our last patches have left their objects: with it, the next patch of the same plant takes no reading of the object (PROTOCOL 27)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from controller.operator.conditions import Standing

KEPT = 200_000
"""Plants remembered. At some 300 bytes each; those forgotten cost a read of their object."""


class Standings:
    """By plant. Used by several threads: each step is one of a dict, and a lost entry costs a read."""

    def __init__(self) -> None:
        self._by_plant: dict[int, Standing] = {}

    def note(self, plant_id: UUID, resource_version: int, status: Mapping[str, Any]) -> None:
        """Our patch has made the object show `status`, with this resourceVersion."""
        standing = Standing.of(resource_version, status)
        if standing is None:
            self.forget(plant_id)
            return
        if len(self._by_plant) >= KEPT:
            # Mostly plants that are no more. Anew is simpler than in an order, and costs each plant one read.
            self._by_plant.clear()
        self._by_plant[plant_id.int] = standing

    def forget(self, plant_id: UUID) -> None:
        self._by_plant.pop(plant_id.int, None)

    def at(self, plant_id: UUID, resource_version: int) -> Standing | None:
        """How the object stands at this resourceVersion, if our last patch of it made that."""
        standing = self._by_plant.get(plant_id.int)
        return standing if standing is not None and standing.resource_version == resource_version else None
