"""Bytes of strangers into plain values: what the four `normalise.py` share. Pure, called by them only.

Vendors send numbers as text, "N/A" for nothing, alarms' texts with control characters, and now and then no JSON at all. A field that
makes no sense becomes None and the rest of the answer stands (DOMAIN 3); an answer whose shape makes no sense is one `AdapterError`.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, TypeVar

import msgspec

from integrations.errors import AdapterError, AdapterErrorType

Loose = Any
"""A field that vendors send now as a number, now as text, now as junk: read it with `number`, `text` or one of the instants."""

MAX_BODY_BYTES = 1 << 20
"""Larger answers are refused unparsed. The largest real one (GoodWe, dozens of inverters) is near 100 KB."""

_LAST_INSTANT = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
"""Later instants cannot be shown in every zone without overflowing."""

Answer = TypeVar("Answer")


def decode(decoder: msgspec.json.Decoder[Answer], body: bytes) -> Answer:
    """Parses a body into the decoder's type. Raises AdapterError (INVALID_DATA_FORMAT) whatever is wrong with it.

    Numbers that JSON knows and no float holds (1e999), and NaN, which JSON does not know, must not cost the rest of the answer: the
    strict parser refuses them, so what it refuses is parsed once more by the lenient one.
    """
    if len(body) > MAX_BODY_BYTES:
        raise _invalid(f"the answer is larger than {MAX_BODY_BYTES} bytes")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_leniently(decoder, body)
    except RecursionError as error:
        raise _invalid("the answer is nested too deeply") from error


def _decode_leniently(decoder: msgspec.json.Decoder[Answer], body: bytes) -> Answer:
    try:
        value: Answer = msgspec.convert(json.loads(body), decoder.type)
    except msgspec.ValidationError as error:
        raise _invalid(f"the answer has another shape than documented: {error}") from error
    except RecursionError as error:
        raise _invalid("the answer is nested too deeply") from error
    except ValueError as error:
        raise _invalid("the answer is no JSON") from error
    return value


def open_answer(body: bytes, typed: msgspec.json.Decoder[Answer], bare: msgspec.json.Decoder[Any], judge: Callable[[Any], None]) -> Answer:
    """Parses an answer and lets `judge` raise what its envelope reports.

    Error answers often carry junk where the data would be. So when the whole does not parse, the envelope alone is judged first.
    """
    try:
        answer = decode(typed, body)
    except AdapterError:
        judge(decode(bare, body))
        raise
    judge(answer)
    return answer


def refuse_http_errors(status: int, vendor: str) -> None:
    """Raises the AdapterError of an HTTP status outside 200..299, for answers whose body says nothing better."""
    if 200 <= status < 300:
        return
    if status in (401, 403):
        raise AdapterError(AdapterErrorType.AUTH_FAILED, f"{vendor} answered HTTP {status}")
    if status == 429:
        raise AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, f"{vendor} answered HTTP 429")
    raise AdapterError(AdapterErrorType.VENDOR_ERROR, f"{vendor} answered HTTP {status}")


def other_plant(vendor: str) -> AdapterError:
    """The error of an answer that speaks of a plant nobody asked for."""
    return AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, f"{vendor} answered about another plant")


def no_plant(vendor: str) -> AdapterError:
    """The error of an answer without the plant that was asked for."""
    return AdapterError(AdapterErrorType.PLANT_NOT_FOUND, f"{vendor} knows no such plant")


def missing(vendor: str, field: str) -> AdapterError:
    """The error of an answer that lacks the list it is asked for."""
    return AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, f"{vendor} sent no {field}")


def _invalid(message: str) -> AdapterError:
    return AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, message)


def number(raw: Loose) -> float | None:
    """A finite number, sent as one or as text; anything else is None. Whether it is plausible is not asked here."""
    if type(raw) is float:
        return raw if math.isfinite(raw) else None
    if type(raw) is int:
        return _finite(raw)
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
    value = number(raw)
    return int(value) if value is not None and value.is_integer() else None


WATTS: Mapping[str, float] = {"w": 1.0, "kw": 1e3, "mw": 1e6, "gw": 1e9}
KILOWATT_HOURS: Mapping[str, float] = {"wh": 1e-3, "kwh": 1.0, "mwh": 1e3, "gwh": 1e6}
"""Unit texts in lower case: vendors disagree on "kWh" and "KWh", and none reports milliwatts."""


def scaled(raw: Loose, unit: Loose, scales: Mapping[str, float], default_unit: str) -> float | None:
    """A number times what its unit text stands for. No text means the documented default; an unknown text makes the value unusable."""
    value = number(raw)
    if value is None:
        return None
    name = default_unit if unit is None or unit == "" else unit
    factor = scales.get(name.strip().lower()) if type(name) is str else None
    return None if factor is None else _finite(value * factor)


def total(values: Iterable[float | None]) -> float | None:
    """The sum of what is there; None when nothing is (a missing power is not 0)."""
    known = [value for value in values if value is not None]
    return _finite(sum(known)) if known else None


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
        raw = "".join(character if character.isprintable() else " " for character in raw[: 4 * limit])
    if "  " in raw:
        raw = " ".join(raw.split())
    return raw.strip()[:limit].rstrip() or None


def code(raw: Loose) -> str | None:
    """An alarm code or serial number: at most 64 characters, empty is None so that equal alarms have equal keys (DOMAIN 6)."""
    return text(raw, 64)


def message(raw: Loose) -> str | None:
    """A text for people: at most 500 characters."""
    return text(raw, 500)


def unnamed(vendor_code: str | None) -> str:
    """The message of an alarm that came without one."""
    return f"code {vendor_code}" if vendor_code else "alarm without code or text"


def same_id(raw: Loose, plant_id: str | None) -> bool:
    """Whether an answer's id is the plant's. An answer without an id, and a reader without a plant in mind, claim nothing."""
    return plant_id is None or raw is None or raw == plant_id or str(raw) == plant_id


def epoch_s(raw: Loose) -> datetime | None:
    """Seconds since 1970, as number or text, to UTC. 0 and less mean nothing; SOLARMAN mixes in milliseconds, told by their size."""
    value = number(raw)
    if value is None:
        return None
    return _instant(value / 1000 if value > 1e11 else value)


def epoch_ms(raw: Loose) -> datetime | None:
    """Milliseconds since 1970, as number or text, to UTC. 0 and less mean nothing."""
    value = number(raw)
    return None if value is None else _instant(value / 1000)


def _instant(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LAST_INSTANT else None


_US_TIME = re.compile(r"\s*(\d{1,2})\s*/\s*(\d{1,2})\s*/\s*(\d{4})\s+(\d{1,2})\s*:\s*(\d{1,2})\s*:\s*(\d{1,2})\s*", re.ASCII)


def us_time(raw: Loose, zone: tzinfo) -> datetime | None:
    """`MM/dd/yyyy HH:mm:ss` in a zone, to UTC; blanks within are forgiven (one real capture has "17: 06: 27")."""
    match = _US_TIME.fullmatch(raw) if type(raw) is str and len(raw) <= 40 else None
    if match is None:
        return None
    month, day, year, hour, minute, second = map(int, match.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if 0 < moment.timestamp() < _LAST_INSTANT else None


def iso_date(raw: Loose) -> date | None:
    """`yyyy-MM-dd`."""
    if type(raw) is not str or len(raw) != 10 or raw[4] != "-" or raw[7] != "-":
        return None
    try:
        return date.fromisoformat(raw)
    except ValueError:
        return None


def calendar_date(year: Loose, month: Loose, day: Loose) -> date | None:
    """A date in three fields."""
    parts = whole(year), whole(month), whole(day)
    if None in parts:
        return None
    try:
        return date(*parts)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None


def newest(instants: Iterable[datetime | None]) -> datetime | None:
    """The latest of those that are there."""
    return max((instant for instant in instants if instant is not None), default=None)


def months(first: date, last: date) -> list[date]:
    """The first day of every month that first..last touches."""
    found = []
    month = first.replace(day=1)
    while month <= last:
        found.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    return found
