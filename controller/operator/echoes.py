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

    def agrees(self, resource: PlantResource, declaration: Declaration) -> bool:
        """Whether an object says what its row says.

        Where it says something else, the event of that change may be overtaken by that of a patch of ours (of several changes the newest
        is delivered): then that event is no echo, and neither `expected` nor `note` are to be told of it.
        """
        capabilities = self._capabilities.get(resource.spec.brand)
        if capabilities is None or refusal(resource) is not None:
            return False
        return resource.declaration(capabilities.recommended_min_interval_seconds) == declaration

    @contextmanager
    def expected(self, declaration: Declaration, status: Mapping[str, Any]) -> Iterator[None]:
        """While the object of `declaration`, which agrees with it, is patched to show `status`."""
        with self._lock:
            self._expected[declaration.uid] = _Expected(declaration, status)
        try:
            yield
        finally:
            with self._lock:
                del self._expected[declaration.uid]

    def note(self, patched: int) -> None:
        """Our patch of an object that agrees with its row made resourceVersion `patched`."""
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
        if expected is None or body.get("status") != expected.status:
            return False
        try:
            resource = PlantResource.parse(body)
        except ResourceUnreadable:
            return False
        return self.agrees(resource, expected.declaration)
