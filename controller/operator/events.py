"""Which events a new status is worth, and how each reads (docs/plant.md): transitions only, each once.

Called by the mirror with the status that Kubernetes had been told before and the one that it now has, by reconcile with a refusal. Pure.
What stood in a status that somebody else has written is no transition: then there is nothing to compare with (`Before.of` is None).
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from controller.domain.plant import Alert, Integration, PlantContext, Status
from controller.operator.conditions import ConditionStatus, ConditionType
from controller.operator.digest import digest
from controller.operator.instants import rfc3339
from controller.operator.resource import PlantResource, Refusal
from controller.operator.status_document import ALERTS_MAX, worst_first
from controller.storage.ports import Told
from integrations.contract import Severity

MESSAGE_MAX = 1000
"""Characters; the newer event API, through which these can be read too, takes 1024."""
NAMED_MAX = ALERTS_MAX
"""Alerts that one change of status names one by one; the rest of them share an event."""
_TEXT_MAX = 500
_SHOWN_MAX = 60
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")
_NOT_POLLED = {
    Integration.PENDING_DOCS.value: "spec.vendorPlantId is not set yet",
    Integration.DISABLED_BY_OPERATOR.value: "spec.suspend is true",
}


class EventReason(StrEnum):
    """The closed list: `reason` of an event, and the label `reason` of `solarinvest_events_total`."""

    HEALTH_CHANGED = "HealthChanged"
    ALERT_OPENED = "AlertOpened"
    ALERT_RESOLVED = "AlertResolved"
    POLL_FAILED = "PollFailed"
    POLL_RECOVERED = "PollRecovered"
    POLL_REQUEST_HANDLED = "PollRequestHandled"
    REJECTED = "Rejected"


class PlantEvent(msgspec.Struct, frozen=True):
    """One thing that happened to a Plant, in words. `key`, with the reason and the Plant's uid, is what makes it this one and no other."""

    reason: EventReason
    message: str
    is_warning: bool
    key: str


class Before(msgspec.Struct, frozen=True):
    """What Kubernetes had been told of a Plant when something changed."""

    status: Mapping[str, Any]
    """As it stood, {} where nothing had been told yet."""
    alerts: frozenset[UUID] | None = frozenset()
    """The alerts active then; None where that is not known."""
    ended: tuple[Alert, ...] = ()
    """Those of them that are resolved by now."""

    @classmethod
    def of(cls, shown: Mapping[str, Any], told: Told) -> "Before | None":
        """`shown` is the status as it stands in Kubernetes. None where it is not what we wrote last: what it says never happened."""
        alerts = None if told.alerts is None else frozenset(told.alerts)
        if told.digest is None:
            return cls({}, alerts or frozenset(), told.ended) if not shown or _is_refused(shown) else None
        return cls(shown, alerts, told.ended) if digest(shown) == told.digest else None


def events_between(before: Before, status: Mapping[str, Any], plant: PlantContext, resource: PlantResource) -> tuple[PlantEvent, ...]:
    """What has happened between `before` and `status`, which shows `plant`. Nothing where the two say the same of these matters."""
    return (
        *_health(before.status, status),
        *_alerts(before, plant.alerts),
        *_polls(before.status, status),
        *_request(before.status, status, resource),
    )


def rejection(before: Mapping[str, Any], refusal: Refusal, generation: int) -> tuple[PlantEvent, ...]:
    """The event of a Plant that is refused, unless `before`, its status until now, has said so already."""
    if _is_refused(before) and _condition(before, ConditionType.ACCEPTED).get("reason") == refusal.reason:
        return ()
    message = f"Not monitored: {refusal.message}"
    return (_event(EventReason.REJECTED, message, f"{generation}|{refusal.reason}", is_warning=True),)


def _health(before: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[PlantEvent]:
    """A Plant of which nothing was told is GREY: so a new one makes no event until it is judged."""
    was, health = str(before.get("health", Status.GREY.value)), str(status["health"])
    if was == health:
        return
    warns = health in (Status.RED, Status.YELLOW) or status.get("integrationStatus") == Integration.PAUSED_AUTH_ERROR
    explained = next(iter(status.get("explain", ())), f"{health}: {status.get('reason')}")
    yield _event(EventReason.HEALTH_CHANGED, f"{was} to {explained}", f"{health}|{status.get('since')}", is_warning=warns)


def _alerts(before: Before, active: Sequence[Alert]) -> Iterator[PlantEvent]:
    if before.alerts is None:
        return
    known = before.alerts
    opened = [alert for alert in active if alert.id not in known]
    still = {alert.id for alert in active}
    ended = [alert for alert in before.ended if alert.id not in still]
    for alert in worst_first(opened)[:NAMED_MAX]:
        message = f"{_named(alert)} (alert {alert.id})"
        yield _event(EventReason.ALERT_OPENED, message, str(alert.id), is_warning=alert.severity is not Severity.LOW)
    yield from _rest(EventReason.ALERT_OPENED, "opened", worst_first(opened)[NAMED_MAX:], is_warning=True)
    for alert in worst_first(ended)[:NAMED_MAX]:
        message = f"{_named(alert)}, open since {rfc3339(alert.opened_at)} (alert {alert.id})"
        yield _event(EventReason.ALERT_RESOLVED, message, str(alert.id), is_warning=False)
    yield from _rest(EventReason.ALERT_RESOLVED, "resolved", worst_first(ended)[NAMED_MAX:], is_warning=False)


def _rest(reason: EventReason, verb: str, alerts: Sequence[Alert], *, is_warning: bool) -> Iterator[PlantEvent]:
    """One event for all that are not named."""
    if not alerts:
        return
    counts = {severity: sum(alert.severity is severity for alert in alerts) for severity in reversed(Severity)}
    listed = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    key = ",".join(sorted(str(alert.id) for alert in alerts))
    yield _event(reason, f"{len(alerts)} more alerts have been {verb}: {listed}", key, is_warning=is_warning)


def _polls(before: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[PlantEvent]:
    """The first failure of a run and its end. A run is told from another by the success before it."""
    was, polled = _condition(before, ConditionType.POLLED), _condition(status, ConditionType.POLLED)
    failed, fails = was.get("status") == ConditionStatus.FALSE, polled.get("status") == ConditionStatus.FALSE
    success = str(status.get("lastSuccessTime"))
    if fails and not (failed and before.get("lastSuccessTime") == status.get("lastSuccessTime")):
        yield _event(EventReason.POLL_FAILED, f"{polled.get('message')}", success, is_warning=True)
    if failed and polled.get("status") == ConditionStatus.TRUE:
        message = f"Polls bring readings again; they had failed since {was.get('lastTransitionTime')} ({was.get('reason')})"
        yield _event(EventReason.POLL_RECOVERED, message, success, is_warning=False)


def _request(before: Mapping[str, Any], status: Mapping[str, Any], resource: PlantResource) -> Iterator[PlantEvent]:
    was, handled = before.get("lastHandledPollRequest"), status.get("lastHandledPollRequest")
    if handled is None or handled == was:
        return
    if not before and handled != resource.poll_requested:
        return
    polled = _condition(status, ConditionType.POLLED)
    obstacle = _NOT_POLLED.get(str(status.get("integrationStatus")))
    outcome = f"Nothing was polled, for {obstacle}" if obstacle else f"Polled: {polled.get('message')}"
    message = f'{outcome} (request "{_fit(str(handled), _SHOWN_MAX)}")'
    warns = obstacle is not None or polled.get("status") == ConditionStatus.FALSE
    yield _event(EventReason.POLL_REQUEST_HANDLED, message, f"{was}|{handled}|{status.get('lastPollTime')}", is_warning=warns)


def _named(alert: Alert) -> str:
    """The alert by its severity, its key, and what is said of it."""
    code = f" {_fit(alert.vendor_alarm_code, _SHOWN_MAX)}" if alert.vendor_alarm_code else ""
    device = f" on {_fit(alert.device_sn, _SHOWN_MAX)}" if alert.device_sn else ""
    message = f": {_fit(alert.message, _TEXT_MAX)}" if alert.message else ""
    return f"{alert.severity} {alert.type}{code}{device}{message}"


def _event(reason: EventReason, message: str, key: str, *, is_warning: bool) -> PlantEvent:
    return PlantEvent(reason, _fit(message, MESSAGE_MAX), is_warning, key)


def _fit(text: str, length: int) -> str:
    """Foreign text as one bounded line."""
    line = _UNFIT.sub(" ", text[: length + 1])
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _is_refused(status: Mapping[str, Any]) -> bool:
    return _condition(status, ConditionType.ACCEPTED).get("status") == ConditionStatus.FALSE


def _condition(status: Mapping[str, Any], kind: ConditionType) -> Mapping[str, Any]:
    """{} where there is none, or none of the shape that ours have."""
    conditions: object = status.get("conditions")
    listed: Collection[object] = conditions if isinstance(conditions, list) else ()
    return next((entry for entry in listed if isinstance(entry, Mapping) and entry.get("type") == kind), {})
