"""Which events are the echo of our own status patches: they say nothing that their rows do not say already.

At one patch a plant and interval they are nearly all events there are. Filled by the mirror, asked by the watch. Thread-safe.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from controller.domain.plant import Declaration
from controller.operator.resource import PlantResource, ResourceUnreadable, refusal
from integrations.contract import Brand, VendorCapabilities

KEPT = 10_000
"""Patches remembered: an event comes within moments of its patch."""


class _Expected(msgspec.Struct, frozen=True):
    """What a patch under way makes of its object."""

    declaration: Declaration
    status: Mapping[str, Any]


class Echoes:
    """What our newest patches have made, and what those under way will: an event is often here before the patch's own answer."""

    def __init__(self, capabilities: Mapping[Brand, VendorCapabilities]) -> None:
        self._capabilities = capabilities
        self._lock = threading.Lock()
        self._expected: dict[str, _Expected] = {}
        self._order: deque[int] = deque()
        self._versions: set[int] = set()

    @contextmanager
    def expected(self, resource: PlantResource, declaration: Declaration, status: Mapping[str, Any]) -> Iterator[None]:
        """While `resource`, as read before, is patched to show `status`, and its row has `declaration`."""
        if not self._says(resource, declaration):
            yield
            return
        with self._lock:
            self._expected[resource.uid] = _Expected(declaration, status)
        try:
            yield
        finally:
            with self._lock:
                del self._expected[resource.uid]

    def note(self, resource: PlantResource, declaration: Declaration, patched: int) -> None:
        """Our patch of `resource`, as read before, made resourceVersion `patched`; its row has `declaration`.

        Where the object says something else than its row, the event of that change may have been overtaken by the patch's own (of
        several changes the newest is delivered): then it is no echo.
        """
        if not self._says(resource, declaration):
            return
        with self._lock:
            self._versions.add(patched)
            self._order.append(patched)
            if len(self._order) > KEPT:
                self._versions.discard(self._order.popleft())

    def is_echo(self, body: Mapping[str, Any]) -> bool:
        """Whether an object is as a patch of ours left it, and says what its row says."""
        metadata = body["metadata"]
        with self._lock:
            if int(metadata["resourceVersion"]) in self._versions:
                return True
            expected = self._expected.get(metadata["uid"])
        if expected is None:
            return False
        try:
            resource = PlantResource.parse(body)
        except ResourceUnreadable:
            return False
        return resource.status == expected.status and self._says(resource, expected.declaration)

    def _says(self, resource: PlantResource, declaration: Declaration) -> bool:
        capabilities = self._capabilities.get(resource.spec.brand)
        if capabilities is None or refusal(resource) is not None:
            return False
        return resource.declaration(capabilities.recommended_min_interval_seconds) == declaration
