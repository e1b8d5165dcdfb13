"""`poll`: asks the operator for a poll by an annotation, and waits for the echo in the status. Called by main."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from controller.kubectl_plugin.annotations import POLL_REQUESTED_AT, poll_token
from controller.kubectl_plugin.plants import Plant, Plants
from controller.kubectl_plugin.results import Said, Targets, print_all
from controller.kubectl_plugin.text import one_line
from controller.kubectl_plugin.troubles import Exit, Forbidden, Trouble, Unreachable

ASK_AGAIN_S = 0.5
"""Between two looks at whether a requested poll is done. Most are within a second or two."""


class _Pending(msgspec.Struct):
    name: str
    token: str
    last: Plant


def poll(plants: Plants, targets: Targets, *, wait_s: float | None, as_json: bool) -> Exit:
    """Asks for a poll of each plant; with `wait_s`, waits that long for all of them together and says what the polls brought."""
    end = time.monotonic() + (wait_s or 0)
    # All are asked first, so that they are polled side by side.
    requested = [(name, _requested(plants, targets.namespace, name, None if wait_s is None else end)) for name in targets.resolve(plants)]
    return print_all(targets.namespace, requested, as_json)


def _requested(plants: Plants, namespace: str, name: str, end: float | None) -> Callable[[], Said]:
    token = poll_token(datetime.now(UTC))
    try:
        plant = plants.patch(namespace, name, {"metadata": {"annotations": {POLL_REQUESTED_AT: token}}})
    except Trouble as trouble:
        return _raising(trouble)
    if end is None:
        document = {"namespace": namespace, "name": name, "token": token, "result": "Requested", "reason": None, "message": None}
        return lambda: Said(document, [f"{namespace}/{name}: poll requested"])
    return lambda: _outcome(plants, _Pending(name, token, plant), end)


def _raising(trouble: Trouble) -> Callable[[], Said]:
    def act() -> Said:
        raise trouble

    return act


def _outcome(plants: Plants, pending: _Pending, end: float) -> Said:
    """Waits until the operator has dealt with the request, at most until `end` of the monotonic clock."""
    away: Unreachable | None = None
    while True:
        said = _settled(pending)
        if said is not None:
            return said
        left = end - time.monotonic()
        if left <= 0:
            return _timed_out(pending, away)
        time.sleep(min(ASK_AGAIN_S, left))
        try:
            pending.last, away = plants.get(pending.last.metadata.namespace, pending.name), None
        except Unreachable as trouble:
            # The request is written; the answer will be there once the API server is back.
            away = trouble
        except Forbidden:
            # As it comes back, an API server may not have read its roles yet.
            if away is None:
                raise


def _settled(pending: _Pending) -> Said | None:
    """What the poll brought; None while that is open."""
    plant = pending.last
    status = plant.status
    accepted = status.condition("Accepted")
    if accepted is not None and accepted.status == "False" and status.observed_generation == plant.metadata.generation:
        return _said(pending, "NotPolled", accepted.reason, accepted.message, Exit.FAILED)
    written = (plant.metadata.annotations or {}).get(POLL_REQUESTED_AT)
    # Somebody else may have asked since: their request stands for ours, for a poll after theirs is one after ours.
    if status.last_handled_poll_request not in {pending.token, written} or written is None:
        return None
    polled = status.condition("Polled")
    if polled is None or polled.status == "Unknown":
        return _said(pending, "NotPolled", polled.reason if polled else "", polled.message if polled else "", Exit.FAILED)
    if polled.status == "False":
        return _said(pending, "Failed", polled.reason, polled.message, Exit.FAILED)
    return _said(pending, "Succeeded", polled.reason, polled.message, Exit.DONE)


_WORDS = {"Succeeded": "polled", "Failed": "the poll failed", "NotPolled": "not polled", "TimedOut": "not polled in time"}


def _said(pending: _Pending, result: str, reason: str, message: str, code: Exit) -> Said:
    plant = pending.last
    place = {"namespace": plant.metadata.namespace, "name": pending.name}
    document = {**place, "token": pending.token, "result": result, "reason": reason or None, "message": message or None}
    why = ", ".join(one_line(part) for part in (reason, message) if part)
    line = f"{plant.metadata.namespace}/{pending.name}: {_WORDS[result]}" + (f": {why}" if why else "")
    if result == "Succeeded":
        line += f"; {one_line(plant.status.health or '?')} {one_line(plant.status.reason or '')}"
    return Said(document, [line], code)


def _timed_out(pending: _Pending, away: Unreachable | None) -> Said:
    if away is not None:
        raise away
    message = "the request stands; is the operator running, and the worker of this brand?"
    return _said(pending, "TimedOut", "", message, Exit.TIMED_OUT)
