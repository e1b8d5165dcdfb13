"""Which events are the echo of our own status patches: they say nothing that their rows do not say already.

At one patch a plant and interval they are nearly all events there are. Filled by the mirror, asked by the watch. Thread-safe.
"""

import threading
from collections import deque
from collections.abc import Mapping

from controller.domain.plant import Declaration
from controller.operator.resource import PlantResource, refusal
from integrations.contract import Brand, VendorCapabilities

KEPT = 10_000
"""Patches remembered: an event comes within moments of its patch."""


class Echoes:
    """The resourceVersions that our newest patches made."""

    def __init__(self, capabilities: Mapping[Brand, VendorCapabilities]) -> None:
        self._capabilities = capabilities
        self._lock = threading.Lock()
        self._order: deque[int] = deque()
        self._versions: set[int] = set()

    def note(self, resource: PlantResource, declaration: Declaration, patched: int) -> None:
        """Our patch of `resource`, as read before, made resourceVersion `patched`; its row has `declaration`.

        Where the object says something else than its row, the event of that change may have been overtaken by the patch's own (of
        several changes the newest is delivered): then it is no echo.
        """
        minimum_s = self._capabilities[resource.spec.brand].recommended_min_interval_seconds
        if refusal(resource) is not None or resource.declaration(minimum_s) != declaration:
            return
        with self._lock:
            self._versions.add(patched)
            self._order.append(patched)
            if len(self._order) > KEPT:
                self._versions.discard(self._order.popleft())

    def is_ours(self, resource_version: int) -> bool:
        """Whether an object at this resourceVersion is as a patch of ours left it, and its row as its declaration has it."""
        with self._lock:
            return resource_version in self._versions
