"""Fields of strangers into plain values: what the four `normalise.py` share. Pure, called by them and by `answers.py` only.

Vendors send numbers as text, "N/A" for nothing, and alarms' texts with control characters. A field that makes no sense becomes None and
the rest of the answer stands (DOMAIN 3).
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

Loose = Any
"""A field that vendors send now as a number, now as text, now as junk: read it with `number`, `text` or one of the instants."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""This and earlier instants mean that there is none."""
_END = datetime(9999, 1, 1, tzinfo=UTC)
"""Later instants cannot be shown in every zone without overflowing."""
_LAST_SECOND = _END.timestamp()
_EXACT = 1 << 53
"""Whole numbers up to this are the same as floats."""


def number(raw: Loose) -> float | None:
    """A finite number, sent as one or as text; anything else is None. Whether it is plausible is not asked here."""
    if type(raw) is float:
        return raw if math.isfinite(raw) else None
    if type(raw) is int:
        return float(raw) if -_EXACT < raw < _EXACT else _finite(raw)
    if type(raw) is str:
        # float() would take "1_000" and digits of other scripts.
        return _finite(raw) if len(raw) <= 40 and raw.isascii() and "_" not in raw else None
    return None


def _finite(raw: float | str) -> float | None:
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def whole(raw: Loose) -> int | None:
    """A whole number, sent as one, as 512.0 or as text."""
    if type(raw) is int and -_EXACT < raw < _EXACT:
        return raw
    value = number(raw)
    return int(value) if value is not None and value.is_integer() else None


def truth(raw: Loose) -> bool | None:
    """A flag, sent as one, as 1 or 0 or as text; None for what is none."""
    if type(raw) is bool:
        return raw
    return {"true": True, "1": True, "false": False, "0": False}.get((text(raw, 8) or "").lower())


WATTS: Mapping[str, float] = {"w": 1.0, "kw": 1e3, "mw": 1e6, "gw": 1e9, "W": 1.0, "kW": 1e3}
KILOWATT_HOURS: Mapping[str, float] = {"wh": 1e-3, "kwh": 1.0, "mwh": 1e3, "gwh": 1e6, "twh": 1e9, "kWh": 1.0, "MWh": 1e3}
"""Unit texts in lower case: vendors disagree on "kWh" and "KWh", and none reports milliwatts. The commonest also as they are written."""


def scaled(raw: Loose, unit: Loose, scales: Mapping[str, float], default_unit: str) -> float | None:
    """A number times what its unit text stands for.

    No text, or SolisCloud's "null", means the documented default; an unknown text makes the value unusable.
    """
    value = number(raw)
    if value is None:
        return None
    factor = scales.get(unit) if type(unit) is str else None
    if factor is None:
        name = default_unit if unit in (None, "", "null") else unit
        factor = scales.get(name.strip().lower()) if type(name) is str else None
    if factor is None:
        return None
    value *= factor
    return value if math.isfinite(value) else None


_WITH_UNIT = re.compile(r"\s*([+-]?\d{1,15}(?:\.\d{1,9})?)\s*\(?\s*([A-Za-z]{1,4})\s*\)?\s*", re.ASCII)


def measured(raw: Loose, scales: Mapping[str, float]) -> float | None:
    """A number whose unit stands in the same text (`"4200(W)"`, `"14.3kWh"`). Without one it is as documented: W or kWh."""
    match = _WITH_UNIT.fullmatch(raw) if type(raw) is str and len(raw) <= 40 else None
    return number(raw) if match is None else scaled(match[1], match[2], scales, "")


def total(values: Iterable[float | None]) -> float | None:
    """The sum of what is there; None when nothing is (a missing power is not 0)."""
    summed, is_known = 0.0, False
    for value in values:
        if value is not None:
            summed, is_known = summed + value, True
    return summed if is_known and math.isfinite(summed) else None


def complete_total(values: Iterable[float | None]) -> float | None:
    """The sum, if no part is missing: a counter must not fall because one device kept silent."""
    parts = list(values)
    return total(parts) if None not in parts else None


def export_only(power: float | None) -> float | None:
    """Grid power as export: import is 0, never negative (`Reading.grid_injection_power_w`)."""
    return None if power is None else max(0.0, power)


def text(raw: Loose, limit: int) -> str | None:
    """Printable text of at most `limit` characters, blanks collapsed; None for nothing. Whole numbers count as text (codes, ids)."""
    if type(raw) is int:
        raw = str(raw) if abs(raw) < 10**20 else None
    elif type(raw) is float:
        raw = str(int(raw)) if raw.is_integer() and abs(raw) < 1e15 else None
    if type(raw) is not str:
        return None
    if not raw.isprintable():
        # Mostly for a blank of another kind, such as a no-break space.
        raw = " ".join(raw[: 4 * limit].split())
        if not raw.isprintable():
            raw = "".join(character if character.isprintable() else " " for character in raw)
    if "  " in raw:
        raw = " ".join(raw.split())
    raw = raw.strip()
    return (raw if len(raw) <= limit else raw[:limit].rstrip()) or None


def absent(raw: Loose) -> bool:
    """Whether a text is how vendors write nothing: SolisCloud "null", FusionSolar "N/A"."""
    return type(raw) is str and raw.strip().lower() in ("null", "n/a")


def code(raw: Loose) -> str | None:
    """An alarm code or serial number: at most 64 characters, empty is None so that equal alarms have equal keys (DOMAIN 6)."""
    return None if absent(raw) else text(raw, 64)


def message(raw: Loose) -> str | None:
    """A text for people: at most 500 characters."""
    return None if absent(raw) else text(raw, 500)


def unnamed(vendor_code: str | None) -> str:
    """The message of an alarm that came without one."""
    return f"code {vendor_code}" if vendor_code else "alarm without code or text"


def same_id(raw: Loose, plant_id: str | None) -> bool:
    """Whether an answer's id is the plant's. An answer without an id, and a reader without a plant in mind, claim nothing.

    Ids of 19 digits are compared exactly: one that arrives as a float has lost its digits and is another.
    """
    if plant_id is None or raw is None or raw == "" or raw == plant_id:
        return True
    return type(raw) in (int, float) and text(raw, 64) == plant_id


def epoch_s(raw: Loose) -> datetime | None:
    """Seconds since 1970, as number or text, to UTC. 0 and less mean nothing; SOLARMAN mixes in milliseconds, told by their size."""
    return _epoch(raw)


def epoch_ms(raw: Loose) -> datetime | None:
    """Milliseconds since 1970, as number or text, to UTC. 0 and less mean nothing; seconds are told by their size."""
    return _epoch(raw)


def _epoch(raw: Loose) -> datetime | None:
    """Above 1e11 are milliseconds: as seconds it would be the year 5138, below it as milliseconds 1973."""
    value = number(raw)
    if value is None:
        return None
    seconds = value / 1000 if value > 1e11 else value
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LAST_SECOND else None


_LOCAL_TIME = re.compile(
    r"\s*(\d{1,4})\s*([/.-])\s*(\d{1,2})\s*\2\s*(\d{1,4})[\sT]+(\d{1,2})\s*:\s*(\d{1,2})\s*:\s*(\d{1,2})(?:\.\d{1,9})?\s*", re.ASCII
)


def us_time(raw: Loose, zone: tzinfo) -> datetime | None:
    """`MM/dd/yyyy HH:mm:ss` in a zone, to UTC; blanks within are forgiven (one real capture has "17: 06: 27")."""
    return _local_time(raw, zone, _MONTH_FIRST)


def local_time(raw: Loose, zone: tzinfo, date_format: str) -> datetime | None:
    """A local text in a zone, to UTC: a date in a format such as `dd/MM/yyyy` or `MM.dd.yyyy`, or with the year first, and `HH:mm:ss`."""
    letters = [letter for letter in dict.fromkeys(date_format) if letter in "yMd"]
    return _local_time(raw, zone, (letters.index("y"), letters.index("M"), letters.index("d")) if len(letters) == 3 else None)


_DateOrder = tuple[int, int, int]
"""Which of a date's three numbers is the year, the month, the day."""
_YEAR_FIRST: _DateOrder = (0, 1, 2)
_MONTH_FIRST: _DateOrder = (2, 0, 1)


def _local_time(raw: Loose, zone: tzinfo, order: _DateOrder | None) -> datetime | None:
    """With `order` None, only a date that begins with its year can be read."""
    match = _LOCAL_TIME.fullmatch(raw) if type(raw) is str and len(raw) <= 40 else None
    if match is None:
        return None
    first, _, second, third, hour, minute, seconds = match.groups()
    if len(first) > 2:
        order = _YEAR_FIRST
    if order is None:
        return None
    part, (year, month, day) = (int(first), int(second), int(third)), order
    try:
        moment = datetime(part[year], part[month], part[day], int(hour), int(minute), int(seconds), tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if _EPOCH < moment < _END else None


def iso_date(raw: Loose) -> date | None:
    """`yyyy-MM-dd`."""
    if type(raw) is not str or len(raw) != 10 or raw[4] != "-" or raw[7] != "-":
        return None
    try:
        return date.fromisoformat(raw)
    except ValueError:
        return None


def us_date(raw: Loose) -> date | None:
    """`MM/dd/yyyy`, alone or before a time of day."""
    match = _US_DATE.fullmatch(raw) if type(raw) is str and len(raw) <= 40 else None
    if match is None:
        return None
    month, day, year = map(int, match.groups())
    return calendar_date(year, month, day)


_US_DATE = re.compile(r"\s*(\d{1,2})/(\d{1,2})/(\d{4})(?:\s[\d:\s]*)?", re.ASCII)


def calendar_date(year: Loose, month: Loose, day: Loose) -> date | None:
    """A date in three fields."""
    if not (type(year) is type(month) is type(day) is int):
        year, month, day = whole(year), whole(month), whole(day)
        if year is None or month is None or day is None:
            return None
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return None


def newest(instants: Iterable[datetime | None]) -> datetime | None:
    """The latest of those that are there."""
    latest = None
    for instant in instants:
        if instant is not None and (latest is None or instant > latest):
            latest = instant
    return latest


def months(first: date, last: date) -> list[date]:
    """The first day of every month that first..last touches."""
    found = []
    month = first.replace(day=1)
    while month <= last:
        found.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    return found
