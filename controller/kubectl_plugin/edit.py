"""`ack`, `silence`, `suspend`, `resume`: what people write into a Plant. Called by main."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from controller.kubectl_plugin.annotations import ACK, SILENCE_UNTIL, Acknowledgement, add_to_ack, chosen_alerts
from controller.kubectl_plugin.plants import EDIT_TRIES, Metadata, Plant, Plants
from controller.kubectl_plugin.results import Said, Targets, each, print_all
from controller.kubectl_plugin.text import one_line, rfc3339
from controller.kubectl_plugin.troubles import BadUsage, Conflict, Exit


def ack(plants: Plants, namespace: str, name: str, asked: Sequence[str], *, every: bool, force: bool, as_json: bool) -> Exit:
    """Adds alerts to the annotation `ack`: those asked for, or every one that is listed as NEW."""
    if every == bool(asked):
        raise BadUsage("name one or more alerts by their ids, or all that are listed by --all")
    manager = plants.manager()

    def edit(plant: Plant) -> tuple[Mapping[str, str | None], Said]:
        listed = plant.status.alerts
        wanted = [alert.id for alert in listed if alert.state == "NEW"] if every else chosen_alerts(listed, asked, force)
        change = add_to_ack((plant.metadata.annotations or {}).get(ACK), wanted)
        return ({ACK: change.value} if change.added else {}), _acknowledged(plant, change)

    act = _editing(plants, namespace, name, manager, edit)
    return print_all(namespace, [(name, act)], as_json)


def _acknowledged(plant: Plant, change: Acknowledgement) -> Said:
    place = f"{plant.metadata.namespace}/{plant.metadata.name}"
    lines = [f"{place}: acknowledged {one_line(alert_id)}" for alert_id in change.added]
    lines += [f"{place}: acknowledged before: {one_line(alert_id)}" for alert_id in change.known]
    unlisted = plant.status.open_alerts.total - len(plant.status.alerts)
    if not lines:
        lines.append(f"{place}: no alert to acknowledge")
    if unlisted > 0:
        lines.append(f"{place}: {unlisted} more alerts are active that the status does not list")
    if change.dropped:
        lines.append(f"{place}: {change.dropped} of the oldest ids made room in the annotation; they stay acknowledged")
    document = {"acknowledged": list(change.added), "acknowledgedBefore": list(change.known), "unlistedAlerts": max(0, unlisted)}
    return Said({"namespace": plant.metadata.namespace, "name": plant.metadata.name, **document}, lines)


Edit = Callable[[Plant], tuple[Mapping[str, str | None], Said]]


def _editing(plants: Plants, namespace: str, name: str, manager: str, edit: Edit) -> Callable[[], Said]:
    """Reads the plant, writes the annotations that `edit` makes of it, and begins anew if it has changed in between."""

    def act() -> Said:
        for attempt in range(EDIT_TRIES):
            plant = plants.get(namespace, name)
            change, said = edit(plant)
            try:
                if change:
                    plants.annotate(_at(plant.metadata, namespace), change, manager)
            except Conflict:
                time.sleep(random.uniform(0, min(0.5, 0.02 * 2**attempt)))
                continue
            return said
        raise Conflict(f"{namespace}/{name} was changed {EDIT_TRIES} times between reading and writing it; try again")

    return act


def _at(metadata: Metadata, namespace: str) -> Metadata:
    return msgspec.structs.replace(metadata, namespace=metadata.namespace or namespace)


def silence(plants: Plants, targets: Targets, until: datetime | None, *, as_json: bool) -> Exit:
    """Writes `silence-until`; None ends a silence now."""
    value = None if until is None else rfc3339(until)

    def act(name: str) -> Said:
        plants.patch(targets.namespace, name, {"metadata": {"annotations": {SILENCE_UNTIL: value}}})
        line = f"{targets.namespace}/{name}: " + ("no longer silenced" if value is None else f"silenced until {value}")
        return Said({"namespace": targets.namespace, "name": name, "silencedUntil": value}, [line])

    return each(plants, targets, as_json, act)


def suspend(plants: Plants, targets: Targets, suspended: bool, *, as_json: bool) -> Exit:
    """Writes `spec.suspend`."""

    def act(name: str) -> Said:
        plants.patch(targets.namespace, name, {"spec": {"suspend": suspended}})
        line = f"{targets.namespace}/{name}: " + ("suspended" if suspended else "resumed")
        return Said({"namespace": targets.namespace, "name": name, "suspended": suspended}, [line])

    return each(plants, targets, as_json, act)
