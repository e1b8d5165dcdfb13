"""Durations as Kubernetes users write them: Go's notation, 10m or 1h30m. Used for `spec.pollInterval` and by `kubectl solar`."""

import re
from datetime import timedelta


class InvalidDuration(ValueError):
    """No duration such as 10m, 90s or 1h30m."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is no duration such as 10m, 90s or 1h30m")


_UNIT_NS = {"ns": 1, "us": 10**3, "\u00b5s": 10**3, "\u03bcs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_MAX_LENGTH = 64
_GO_MAX_NS = 2**63 - 1


def parse_duration(text: str) -> timedelta:
    """Go's `time.ParseDuration` without a sign, rounded down to whole microseconds. Raises `InvalidDuration`.

    The CRD takes only h, m, s and ms; Go's other units cost nothing here, and an object may be older than the rule.
    """
    if text == "0":
        return timedelta(0)
    if not 0 < len(text) <= _MAX_LENGTH:
        raise InvalidDuration(text[:_MAX_LENGTH])
    total, at = 0, 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or not (part["whole"] or part["fraction"]):
            raise InvalidDuration(text)
        total += _nanoseconds(part["whole"] or "0", part["fraction"] or "", _UNIT_NS[part["unit"]])
        at = part.end()
    if total > _GO_MAX_NS:
        raise InvalidDuration(text)
    return timedelta(microseconds=total // 1000)


def format_duration(seconds: int) -> str:
    """Whole seconds in the shortest form that `parse_duration` reads back: 600 is 10m, 5400 is 1h30m."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{value}{unit}" for value, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if value]
    return "".join(parts) or "0s"


def _nanoseconds(whole: str, fraction: str, unit: int) -> int:
    """Integer arithmetic, for 0.1 h has no exact float."""
    return int(whole) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
