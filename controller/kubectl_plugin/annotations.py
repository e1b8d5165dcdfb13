"""The annotations by which people speak to the operator: what to write into them. Pure.

Formats are those that controller/operator/resource.py reads (docs/plant.md, section 2). That module stands beside this one and cannot
be imported; tests hold the names and bounds equal, and let it read what is written here.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from controller.domain.duration import InvalidDuration, parse_duration
from controller.kubectl_plugin.plants import Alert
from controller.kubectl_plugin.text import instant, printable, rfc3339
from controller.kubectl_plugin.troubles import BadUsage, NotFound

PREFIX = "monitor.solarinvest.info/"
POLL_REQUESTED_AT = PREFIX + "poll-requested-at"
ACK = PREFIX + "ack"
SILENCE_UNTIL = PREFIX + "silence-until"
ACK_MAX = 500
"""Entries of the annotation that the operator reads."""
PREFIX_MIN = 4
"""Characters by which an alert's id may be shortened: fewer would be a slip of the finger."""


class Acknowledgement(msgspec.Struct, frozen=True):
    """The annotation to write, and what is new in it."""

    value: str
    added: tuple[str, ...]
    known: tuple[str, ...]
    """Asked for, and there already."""
    dropped: int = 0
    """Oldest entries that made room: past 500 none is read. What they acknowledged stays so without them."""


def add_to_ack(present: str | None, wanted: Iterable[str]) -> Acknowledgement:
    """The annotation with `wanted` added behind what it holds. Entries that are no ids are somebody's, and stay as they are."""
    entries = [entry for entry in ((part.strip()) for part in (present or "").split(",")) if entry]
    held = {entry.lower() for entry in entries}
    asked = tuple(dict.fromkeys(alert_id.lower() for alert_id in wanted))
    added = tuple(alert_id for alert_id in asked if alert_id not in held)
    if not added:
        return Acknowledgement(present or "", (), asked)
    every = [*entries, *added]
    kept = every[-ACK_MAX:]
    known = tuple(alert_id for alert_id in asked if alert_id in held)
    return Acknowledgement(",".join(kept), added, known, len(every) - len(kept))


def chosen_alerts(alerts: Sequence[Alert], asked: Sequence[str], force: bool) -> list[str]:
    """The ids that `asked` names: each an id, or its beginning, of a listed alert; with `force` also any other whole id.

    Raises `NotFound` for one that is not listed, `BadUsage` for one that is no id or begins several.
    """
    return list(dict.fromkeys(_chosen(alerts, text.strip().lower(), force) for text in asked))


def _chosen(alerts: Sequence[Alert], text: str, force: bool) -> str:
    listed = [alert.id.lower() for alert in alerts]
    if text in listed:
        return text
    if force and _is_id(text):
        return text
    if len(text) < PREFIX_MIN:
        raise BadUsage(f"{printable(text)!r} is too short for the id of an alert; name at least its first {PREFIX_MIN} characters")
    begun = [alert_id for alert_id in listed if alert_id.startswith(text)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise BadUsage(f"{printable(text)} begins {len(begun)} alerts: {', '.join(begun)}")
    hint = " (--force acknowledges an alert that is not among the 10 listed)" if _is_id(text) else ""
    known = ", ".join(listed) or "none"
    raise NotFound(f"no active alert {printable(text)}{hint}; listed are: {known}")


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def poll_token(now: datetime) -> str:
    """A new value of poll-requested-at: when, for people who read the annotation, and a part that no two requests share."""
    return f"{now.astimezone(UTC).isoformat(timespec='milliseconds')}/{uuid4().hex[:8]}"


def silence_end(now: datetime, duration: str | None, until: str | None) -> datetime:
    """When a silence ends, cut to whole seconds: `duration` from now (4h, 1h30m) or at the instant `until`. Raises `BadUsage`."""
    end = _after(now, duration) if duration is not None else instant(until)
    if end is None:
        raise BadUsage(f"--until {printable(str(until))!r} is no instant as in RFC 3339, such as 2026-01-31T18:00:00Z")
    if end <= now:
        raise BadUsage(f"the silence would end at {rfc3339(end)}, which has passed; --off ends one now")
    return end


def _after(now: datetime, duration: str) -> datetime:
    try:
        span = parse_duration(duration)
        if span < timedelta(seconds=1):
            raise BadUsage(f"--for {printable(duration)}: a silence lasts at least 1s; --off ends one now")
        return now + span
    except (InvalidDuration, OverflowError):
        raise BadUsage(f"--for {printable(duration)!r} is no duration such as 4h, 90m or 1h30m") from None
