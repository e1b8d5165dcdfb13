"""Moving recorded times to another day: wall clocks, zones and the formats vendors write. Pure; called by `transport.py`."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

Shift = Callable[[datetime], datetime]
"""A recorded instant to today's."""

Mover = Callable[[Any, Shift, ZoneInfo, ZoneInfo], Any]
"""A field's value, the shift, the plant's zone and the recorded one, to today's value in the same format. What is no instant stays."""

_CHINA = timezone(timedelta(hours=8))
_US = "%m/%d/%Y %H:%M:%S"
_EUROPE = "%d/%m/%Y %H:%M:%S"


def utc_of_wall(wall: datetime, zone: ZoneInfo, until: datetime) -> datetime:
    """A naive local time as an instant. A time that a clock change skips is the change itself; one that comes twice is the second, unless
    that is later than `until`."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if early < late:
        return late if late <= until else early
    if early > late:
        return _change_between(late, early, zone)
    return early


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the zone's offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _epoch(per_second: int) -> Mover:
    def move(value: Any, shift: Shift, zone: ZoneInfo, recorded_zone: ZoneInfo) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            return value
        moved = shift(datetime.fromtimestamp(value / per_second, UTC)).timestamp() * per_second
        return round(moved) if isinstance(value, int) else round(moved, 3)

    return move


def _epoch_text(per_second: int) -> Mover:
    number = _epoch(per_second)

    def move(value: Any, shift: Shift, zone: ZoneInfo, recorded_zone: ZoneInfo) -> Any:
        if not isinstance(value, str) or not re.fullmatch(r"\d{1,15}", value, re.ASCII):
            return value
        return str(number(int(value), shift, zone, recorded_zone))

    return move


def _written(layout: str, fixed: tzinfo | None = None) -> Mover:
    """A local text: the plant's own time, or that of a fixed zone."""

    def move(value: Any, shift: Shift, zone: ZoneInfo, recorded_zone: ZoneInfo) -> Any:
        try:
            recorded = datetime.strptime(value, layout).replace(tzinfo=fixed or recorded_zone)
        except (TypeError, ValueError):
            return value
        return shift(recorded).astimezone(fixed or zone).strftime(layout)

    return move


def _iso(value: Any, shift: Shift, zone: ZoneInfo, recorded_zone: ZoneInfo) -> Any:
    try:
        recorded = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    if recorded.tzinfo is None:
        return shift(recorded.replace(tzinfo=recorded_zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None).isoformat()
    return shift(recorded.astimezone(UTC)).astimezone(zone).isoformat()


MOVERS: dict[str, Mover] = {
    "epoch_s": _epoch(1),
    "epoch_s_text": _epoch_text(1),
    "epoch_ms": _epoch(1000),
    "epoch_ms_text": _epoch_text(1000),
    "local MM/dd/yyyy HH:mm:ss": _written(_US),
    "local dd/MM/yyyy HH:mm:ss": _written(_EUROPE),
    "local MM/dd/yyyy HH: mm: ss": _written("%m/%d/%Y %H: %M: %S"),
    "utc+8 MM/dd/yyyy HH:mm:ss": _written(_US, _CHINA),
    "iso": _iso,
}
"""The formats a recording may name in `instants`."""


DATE_LAYOUTS = {"yyyy-MM-dd": "%Y-%m-%d", "MM/dd/yyyy": "%m/%d/%Y", "year month day": ""}
"""The formats a recording may name in `local_dates`; the last is an object with these three fields."""


def move_date(value: Any, layout: str, days: int) -> Any:
    """A local date in one of `DATE_LAYOUTS`, some days later. What is no date stays."""
    if layout == "year month day":
        if not isinstance(value, dict):
            return value
        try:
            moved = date(value["year"], value["month"], value["day"]) + timedelta(days=days)
        except (KeyError, TypeError, ValueError, OverflowError):
            return value
        return {**value, "year": moved.year, "month": moved.month, "day": moved.day}
    pattern = DATE_LAYOUTS[layout]
    try:
        return (datetime.strptime(value, pattern).replace(tzinfo=UTC) + timedelta(days=days)).strftime(pattern)
    except (TypeError, ValueError, OverflowError):
        return value
