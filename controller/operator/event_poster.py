"""Posts events on a thread of its own, so that announcing never holds up what it announces: bounded in number, in pace and in time.

Mirror and reconcile hand events over once the API server has taken the status that they follow from; that happens to one replica only.
An event is posted at most once: its name follows from what it tells, so that trying again after a lost answer meets the first one.
What does not find room, is refused, or is still waiting when the process ends, is lost and counted; a killed process loses what it had.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from threading import Lock
from typing import Any

import msgspec
import structlog

from controller.metrics import Metrics
from controller.operator.events import EventReason, PlantEvent
from controller.operator.instants import rfc3339
from controller.operator.kubernetes_api import GROUP, VERSION, EventsApi, KubernetesRefused, KubernetesUnavailable
from controller.operator.resource import PlantResource

log = structlog.get_logger()

SOURCE = "solarinvest-operator"
WAITING_MAX = 2_000
"""Events that may wait, a kilobyte each. A brand that dies with 10,000 plants tells of the first few thousand; metrics tell of all."""
PER_TURN = 50
"""Events a turn, and a turn a second."""
TURN_S = 0.2
"""Longest that a turn begins another request: a fifth of the time, however slow core and API server are. Statuses need them more."""
_NAME_MAX = 200
"""Characters of a Plant's name within an event's, of which Kubernetes allows 253."""


class EventResult(StrEnum):
    """What became of an event: the label `result` of `solarinvest_events_total`."""

    POSTED = "posted"
    SILENCED = "silenced"
    """The Plant's silence had not ended (DOMAIN 6)."""
    DUPLICATE = "duplicate"
    """It is there already: a former try had come through."""
    REFUSED = "refused"
    """The API server will not take it: its namespace is going, or rights are missing. Lost."""
    DROPPED = "dropped"
    """There was no room, or the process ended before. Lost."""


class _Waiting(msgspec.Struct, frozen=True):
    reason: EventReason
    namespace: str
    body: dict[str, Any]


class EventPoster:
    """`announce` may be called from any thread; `turn` and `close` from one."""

    def __init__(self, api: EventsApi, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._metrics = metrics
        self._clock = clock
        self._lock = Lock()
        self._waiting: deque[_Waiting] = deque()
        self._dropped = 0

    def announce(self, resource: PlantResource, events: Sequence[PlantEvent]) -> None:
        """Takes the events of one Plant, to be posted soon. Neither waits nor raises. A silenced Plant's are counted and forgotten."""
        now = self._clock()
        silent = resource.silence_until is not None and now < resource.silence_until
        for event in events:
            if silent:
                self._metrics.record_event(event.reason, EventResult.SILENCED)
                continue
            with self._lock:
                fits = len(self._waiting) < WAITING_MAX
                if fits:
                    self._waiting.append(_Waiting(event.reason, resource.namespace, event_body(resource, event, now)))
                else:
                    self._dropped += 1
            if not fits:
                self._metrics.record_event(event.reason, EventResult.DROPPED)

    def turn(self) -> None:
        """Posts up to `PER_TURN` of those that wait, oldest first. While the API server is away or asks for less, they go on waiting."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("events_dropped", count=dropped, room=WAITING_MAX)
        self._post(PER_TURN, TURN_S)

    def close(self, within_s: float) -> None:
        """Posts what is left, as far as that goes within a moment, and counts the rest as lost."""
        self._post(WAITING_MAX, within_s)
        lost = 0
        while (event := self._next()) is not None:
            self._metrics.record_event(event.reason, EventResult.DROPPED)
            lost += 1
        if lost:
            log.warning("events_dropped", count=lost)

    def _post(self, most: int, within_s: float) -> None:
        until = time.monotonic() + within_s
        for _ in range(most):
            event = self._next()
            if event is None:
                return
            try:
                result = self._posted(event)
            except KubernetesUnavailable as error:
                with self._lock:
                    self._waiting.appendleft(event)
                self._metrics.record_event_wait()
                log.warning("events_wait", error=type(error).__name__, message=str(error), count=len(self._waiting))
                return
            self._metrics.record_event(event.reason, result)
            if time.monotonic() >= until:
                return

    def _posted(self, event: _Waiting) -> EventResult:
        try:
            return EventResult.POSTED if self._api.create(event.namespace, event.body) else EventResult.DUPLICATE
        except KubernetesRefused as error:
            log.warning("event_refused", event_name=event.body["metadata"]["name"], namespace=event.namespace, message=str(error))
            return EventResult.REFUSED

    def _next(self) -> _Waiting | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None


def event_body(resource: PlantResource, event: PlantEvent, now: datetime) -> dict[str, Any]:
    """A core/v1 Event about the Plant, which `kubectl describe` finds by its uid and sorts by its instant.

    Not events.k8s.io/v1: that has no lastTimestamp, by which `kubectl describe` and `kubectl get events` sort.
    """
    at = rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(resource, event), "namespace": resource.namespace},
        "involvedObject": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Plant",
            "namespace": resource.namespace,
            "name": resource.name,
            "uid": resource.uid,
            "resourceVersion": str(resource.resource_version),
        },
        "type": "Warning" if event.is_warning else "Normal",
        "reason": event.reason.value,
        "message": event.message,
        "source": {"component": SOURCE},
        "reportingComponent": SOURCE,
        "reportingInstance": "",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def event_name(resource: PlantResource, event: PlantEvent) -> str:
    """The same for the same event of the same object, whoever posts it."""
    digest = hashlib.sha256(f"{resource.uid}|{event.reason}|{event.key}".encode()).hexdigest()[:16]
    return f"{resource.name[:_NAME_MAX].rstrip('.-')}.{digest}"
