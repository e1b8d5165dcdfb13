"""`kubectl solar explain`: what is known of one plant, put in order for somebody who wants to do something about it. Pure.

What the operator wrote is repeated, not judged again; added are which conditions are not as they should be, what is overdue, and what
to do next.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from rich.text import Text

from controller.kubectl_plugin.plants import Alert, Condition, Event, Plant
from controller.kubectl_plugin.render import COLOURS
from controller.kubectl_plugin.text import NOTHING, age_of, instant, one_line, rfc3339

EVENTS_SHOWN = 10
OVERDUE_AFTER = timedelta(minutes=2)
"""A poll is claimed within a second or two of its instant and takes up to a minute; what is later than this waits for somebody."""
ADVICE: Mapping[str, str | None] = {
    "PendingDocs": "Set spec.vendorPlantId as soon as the vendor has given one; polling begins by itself.",
    "DisabledByOperator": "Nothing, or let it go on: kubectl solar resume {plant}",
    "PausedAuthError": "Have the vendor's credentials renewed, then try them: kubectl solar poll {plant} --wait",
    "AwaitingFirstReading": "Wait for its first report, at most 24 h, or ask now: kubectl solar poll {plant} --wait",
    "NeverSeen": "Check spec.vendorPlantId and whether the plant's logger has ever been connected.",
    "Offline": "Have somebody look at the plant's internet connection and logger; its vendor has heard nothing of it.",
    "CriticalAlert": "See to the alerts above. Tell others that you do: kubectl solar ack {plant} {alert}",
    "Stale": "Wait for its next report, or check the plant's internet connection.",
    "LowGeneration": "Look for shade, dirt or a dead string.",
    "Reporting": None,
    "InvalidTimezone": "Correct spec.timezone.",
    "InvalidPollInterval": "Correct spec.pollInterval.",
    "DuplicateVendorPlant": "Delete one of the two Plants.",
}
"""What to do about each reason of a status; None: nothing. Tests hold it complete."""
_REMARKS = frozenset({"IntervalRaised", "DaylightNeedsLocation", "AnnotationIgnored", "ValuesRefused"})
"""Reasons of a condition that is True and says something nevertheless."""
_NORMAL = frozenset({("Producing", "Night"), ("Producing", "SunUnknown")})
"""Not True, and as it should be."""


class Explanation(msgspec.Struct, frozen=True):
    """One plant's case. `no_events`: why there are none to show, where the user may not read them."""

    plant: Plant
    events: Sequence[Event]
    no_events: str | None
    unmet: Sequence[Condition]
    next_steps: Sequence[str]


def explained(plant: Plant, events: Sequence[Event], no_events: str | None, now: datetime) -> Explanation:
    unmet = [condition for condition in plant.status.conditions if _is_remarkable(condition)]
    return Explanation(plant, events[:EVENTS_SHOWN], no_events, unmet, [*_next_steps(plant, now)] or ["Nothing."])


def _is_remarkable(condition: Condition) -> bool:
    if condition.status == "True":
        return condition.reason in _REMARKS
    return (condition.type, condition.reason) not in _NORMAL


def _next_steps(plant: Plant, now: datetime) -> Iterator[str]:
    status, name = plant.status, f"{plant.metadata.name} -n {plant.metadata.namespace}"
    if status.health is None:
        yield "The operator has not written a status yet. Is it running? kubectl get pods -A -l app.kubernetes.io/component=operator"
        return
    if status.observed_generation < plant.metadata.generation:
        yield (
            f"This status speaks of generation {status.observed_generation} of the spec, which is at {plant.metadata.generation} by now: "
            "wait some seconds, or see whether the operator runs."
        )
    new = next((alert.id for alert in status.alerts if alert.state == "NEW"), None)
    if status.reason == "CriticalAlert" and new is None:
        yield "See to the alerts above; they are acknowledged."
    elif advice := ADVICE.get(status.reason or ""):
        yield advice.format(plant=name, alert=one_line(new or ""))
    due = instant(status.next_poll_time)
    if due is not None and now - due > OVERDUE_AFTER:
        brand = one_line(plant.spec.brand).lower()
        yield (
            f"Its poll is overdue by {age_of(due, now)}: is the worker of {plant.spec.brand} running? "
            f"kubectl get pods -A -l monitor.solarinvest.info/brand={brand}"
        )


def json_explanation(case: Explanation, now: datetime) -> dict[str, Any]:
    """A plant as `explain -o json` lists it (docs/kubectl-solar.md). What is not known is null."""
    plant, status = case.plant, case.plant.status
    return {
        "namespace": plant.metadata.namespace,
        "name": plant.metadata.name,
        "brand": plant.spec.brand,
        "vendorPlantId": plant.spec.vendor_plant_id,
        "status": status.health,
        "reason": status.reason,
        "since": status.since,
        "explain": status.explain,
        "lastSeenTime": status.last_seen_time,
        "lastPollTime": status.last_poll_time,
        "lastSuccessTime": status.last_success_time,
        "nextPollTime": status.next_poll_time,
        "consecutiveFailures": status.consecutive_failures,
        "alerts": msgspec.to_builtins(status.alerts),
        "unmetConditions": msgspec.to_builtins(case.unmet),
        "events": [
            {"time": event.at or None, "type": event.type, "reason": event.reason, "message": event.message} for event in case.events
        ],
        "eventsUnavailable": case.no_events,
        "nextSteps": list(case.next_steps),
        "asOf": rfc3339(now),
    }


def lines(case: Explanation, now: datetime) -> Iterator[Text]:
    """The case for people, a section where there is something to say."""
    plant, status = case.plant, case.plant.status
    yield _title(plant, now)
    yield from _section("Why", [Text(one_line(sentence)) for sentence in status.explain])
    yield from _section(_alerts_title(plant), [line for alert in status.alerts for line in _alert(alert, now)])
    yield from _section("Not as it should be", [_condition(condition, now) for condition in case.unmet])
    yield from _section("Polls", [Text(_polls(plant, now))] if status.health else [])
    yield from _section("Events", [Text(f"not shown: {case.no_events}", "dim")] if case.no_events else _events(case.events, now))
    yield from _section("What to do", [Text(one_line(step)) for step in case.next_steps])


def _section(title: str, body: Sequence[Text]) -> Iterator[Text]:
    if body:
        yield Text()
        yield Text(title, "bold")
        yield from (Text("  ").append_text(line) for line in body)


def _title(plant: Plant, now: datetime) -> Text:
    status, metadata, spec = plant.status, plant.metadata, plant.spec
    title = Text(f"{metadata.namespace}/{metadata.name}", "bold")
    title.append(f"  {one_line(spec.brand)} {one_line(spec.vendor_plant_id or '(no vendorPlantId yet)')}", "not bold")
    if spec.display_name:
        title.append(f'  "{one_line(spec.display_name)}"', "not bold")
    if status.health is None:
        return title.append("  no status yet", "not bold")
    title.append("  ").append(one_line(status.health), COLOURS.get(status.health, ""))
    since = instant(status.since)
    title.append(f" {one_line(status.reason or NOTHING)}", "not bold")
    return title.append(f" for {age_of(since, now)} (since {rfc3339(since)})" if since else "", "not bold")


def _alerts_title(plant: Plant) -> str:
    counts = plant.status.open_alerts
    more = f", {len(plant.status.alerts)} of them shown" if counts.total > len(plant.status.alerts) else ""
    return f"Alerts ({counts.total} active, {counts.acked} acknowledged{more})"


def _alert(alert: Alert, now: datetime) -> Iterator[Text]:
    what = " ".join(one_line(part) for part in (alert.type, alert.vendor_alarm_code or "") if part)
    device = f" on {one_line(alert.device_sn)}" if alert.device_sn else ""
    message = f': "{one_line(alert.message)}"' if alert.message else ""
    line = Text(one_line(alert.severity), "red" if alert.severity == "CRITICAL" else "yellow")
    yield line.append(f" {one_line(alert.state)} {what}{device} for {age_of(instant(alert.since), now)}{message}", "default")
    yield Text(f"  id {one_line(alert.id)}")


def _condition(condition: Condition, now: datetime) -> Text:
    since = age_of(instant(condition.last_transition_time), now)
    message = f": {one_line(condition.message)}" if condition.message else ""
    return Text(f"{one_line(condition.type)} is {one_line(condition.status)}, {one_line(condition.reason)} for {since}{message}")


def _polls(plant: Plant, now: datetime) -> str:
    status = plant.status
    last, success, due = instant(status.last_poll_time), instant(status.last_success_time), instant(status.next_poll_time)
    parts = ["not polled yet" if last is None else f"last {age_of(last, now)} ago"]
    if last is not None and success != last:
        parts.append("never with success" if success is None else f"last success {age_of(success, now)} ago")
    if status.consecutive_failures:
        parts.append(f"failed {status.consecutive_failures} times in a row")
    if due is None:
        parts.append("none is planned")
    else:
        parts.append(f"next in {age_of(now, due)} ({rfc3339(due)})" if due > now else f"next due since {age_of(due, now)}")
    return ", ".join(parts)


def _events(events: Sequence[Event], now: datetime) -> list[Text]:
    return [
        Text(f"{age_of(instant(event.at), now)} ago  {one_line(event.reason)}{_times(event)}: {one_line(event.message or '')}")
        for event in events
    ]


def _times(event: Event) -> str:
    return f" (x{event.count})" if event.count and event.count > 1 else ""
