"""Words for a terminal: ages, powers, and foreign text made harmless. Pure."""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

NOTHING = "-"
"""A cell without a value. Not empty: the columns are to be counted."""
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3_600, 86_400, 31_536_000


def printable(text: str) -> str:
    """Text of vendors and of people without what a terminal would obey: control characters, escape sequences' begin, marks that
    change the direction of writing or are invisible, line and paragraph separators. Each becomes `?`; tabs and line ends a space."""
    return "".join(" " if char in "\t\n\r" else "?" if _is_harmful(char) else char for char in text)


def one_line(text: str) -> str:
    """Foreign text of several lines in one, printable."""
    return " ".join(printable(text).split())


def instant(text: object) -> datetime | None:
    """An RFC 3339 instant in UTC; None where it is none. Anybody with the right may have written a status by hand."""
    try:
        at: datetime = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
        return at.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return None


def rfc3339(at: datetime) -> str:
    """In UTC, cut to whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(span: timedelta) -> str:
    """As kubectl writes ages: 45s, 5m30s, 50m, 3h20m, 30h, 5d4h, 90d, 3y. A span below zero (two clocks disagree) is 0s."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return _two(seconds, _MINUTE, "m", 1, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two(seconds, _HOUR, "h", _MINUTE, "m")
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two(seconds, _DAY, "d", _HOUR, "h")
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    return _two(seconds, _YEAR, "y", _DAY, "d") if seconds < 8 * _YEAR else f"{seconds // _YEAR}y"


def age_of(at: datetime | None, now: datetime) -> str:
    return NOTHING if at is None else age(now - at)


def _two(seconds: int, unit: int, name: str, small: int, small_name: str) -> str:
    left = seconds % unit // small
    return f"{seconds // unit}{name}" + (f"{left}{small_name}" if left else "")


def _is_harmful(char: str) -> bool:
    # Cc: controls, ESC and C1 among them; Cf: bidi marks, zero-width characters; Cs: half of a pair; Zl, Zp: separators.
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
