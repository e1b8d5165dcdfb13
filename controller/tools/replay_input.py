"""What `solarinvest replay` reads: a plant and its readings, in the formats of DOMAIN 9, turned into the values of judging.

Nothing is judged here. A value that is no usable number becomes NaN and an instant that is none lies in the far future: judging
refuses both by its own rules (DOMAIN 3).
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from uuid import NAMESPACE_URL, uuid5

import msgspec

from controller.domain.outcome import Failed, JobResult, Seen, SeenDays
from controller.domain.plant import PLANT_ID_BASE, Declaration, PollError
from controller.operator.resource import PlantResource, ResourceUnreadable, refusal
from integrations.contract import Alarm, AlarmList, Reading, Severity

UNUSABLE_NUMBER = math.nan
UNUSABLE_INSTANT = datetime.max.replace(tzinfo=UTC)
_EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
"""What is earlier has no local time in some zone: Python's calendar begins with the year 1."""
_NUMBERS = ("current_power_w", "today_energy_kwh", "total_energy_kwh", "grid_injection_power_w")
Choice = TypeVar("Choice", bound=StrEnum)


class ReplayError(Exception):
    """The plant or its readings cannot be replayed. The message says which line and why, for people."""


class ReplayPlant(msgspec.Struct, frozen=True):
    """A plant to replay. `created_at` is None where the file does not say: it was created with its first reading."""

    declaration: Declaration
    created_at: datetime | None


class Line(msgspec.Struct, frozen=True):
    """One line of the readings: what a job brought at an instant. `day` is the local day that it closes, for a daily job."""

    number: int
    at: datetime
    result: JobResult
    day: date | None = None


def read_plant(path: Path) -> ReplayPlant:
    """The plant of a JSON file of DOMAIN 9, or of a Plant manifest in YAML. Raises `ReplayError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror}") from error
    try:
        return parse_plant(_document(content))
    except ReplayError as error:
        raise ReplayError(f"{path}: {error}") from error


def parse_plant(body: object) -> ReplayPlant:
    """A plant from the JSON object of DOMAIN 9 or a Plant manifest. Raises `ReplayError`."""
    if not isinstance(body, dict):
        raise ReplayError("a plant is an object")
    is_manifest = "spec" in body or "kind" in body
    if is_manifest and body.get("kind") != "Plant":
        raise ReplayError(f"kind is {body.get('kind')!r}, not Plant")
    metadata = body.get("metadata") if is_manifest else {}
    spec = body.get("spec") if is_manifest else {key: value for key, value in body.items() if key != "createdAt"}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise ReplayError("metadata and spec are objects")
    created_at = metadata.get("creationTimestamp") if is_manifest else body.get("createdAt")
    created = None if created_at is None else _instant(created_at)
    if created_at is not None and created is None:
        raise ReplayError(f"createdAt: {_shown(created_at)} is no instant such as 2026-01-15T12:00:00Z")
    _check_spec(spec)
    resource = _resource(metadata, spec)
    problem = refusal(resource)
    if problem is not None:
        raise ReplayError(problem.message.removeprefix("spec."))
    return ReplayPlant(resource.declaration(recommended_min_interval_s=0), created)


def read_lines(lines: Iterable[str | bytes]) -> Iterator[Line]:
    """The readings one by one, empty lines left out. Raises `ReplayError` at the first that cannot be read or goes back in time."""
    last: datetime | None = None
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = _line(number, text)
        except ReplayError as error:
            raise ReplayError(f"line {number}: {error}") from error
        if last is not None and line.at < last:
            raise ReplayError(f"line {number}: its instant {_iso(line.at)} is before that of the line before it, {_iso(last)}")
        last = line.at
        yield line


def instant(text: str) -> datetime:
    """An ISO 8601 instant with its offset, in UTC. Raises `ReplayError`."""
    at = _instant(text)
    if at is None:
        raise ReplayError(f"{_shown(text)} is no instant such as 2026-01-15T12:00:00Z")
    return at


def _document(content: bytes) -> object:
    # YAML takes most JSON, but not one indented with tabs.
    decode = msgspec.json.decode if content.lstrip().startswith(b"{") else msgspec.yaml.decode
    try:
        return decode(content)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ReplayError(f"neither JSON nor one YAML document: {error}") from error


def _resource(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> PlantResource:
    """The resource as the API server would hand it over: a manifest has no uid and no version yet."""
    name = metadata.get("name", "plant")
    server_side = {
        "namespace": metadata.get("namespace", "default"),
        "name": name,
        "uid": str(uuid5(NAMESPACE_URL, f"{PLANT_ID_BASE}replay/{name}")),
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "1970-01-01T00:00:00Z",
    }
    try:
        return PlantResource.parse({"metadata": server_side, "spec": {key: value for key, value in spec.items() if value is not None}})
    except ResourceUnreadable as error:
        raise ReplayError(str(error)) from error


def _check_spec(spec: Mapping[str, Any]) -> None:
    """What the CRD sees to in a cluster, as far as it bears on judging."""
    capacity, location = spec.get("capacityKWp"), spec.get("location")
    if capacity is not None and not _number(capacity) > 0:
        raise ReplayError(f"capacityKWp: {_shown(capacity)} is no positive number")
    if isinstance(location, dict):
        for name, limit in (("latitude", 90), ("longitude", 180)):
            if not abs(_number(location.get(name))) <= limit:
                raise ReplayError(f"location.{name}: {_shown(location.get(name))} is no number from -{limit} to {limit}")


def _line(number: int, text: str | bytes) -> Line:
    body = _object(text)
    at, kind = _instant(body.get("at")), body.get("result")
    if at is None:
        raise ReplayError(f'"at" is {_shown(body.get("at"))}, no instant such as 2026-01-15T12:00:00Z')
    match kind:
        case "SUCCESS":
            return Line(number, at, _seen(body))
        case "ERROR":
            return Line(number, at, Failed(_choice(PollError, "error_type", body.get("error_type"))))
        case "DAYS":
            day = _date(body.get("date"))
            if day is None:
                raise ReplayError(f'"date" is {_shown(body.get("date"))}, no date such as 2026-01-15')
            return Line(number, at, _seen_days(body), day)
        case _:
            raise ReplayError(f'"result" is {_shown(kind)}, none of SUCCESS, ERROR, DAYS')


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        body = _json(text)
    except RecursionError as error:
        raise ReplayError("it is nested too deeply") from error
    except ValueError as error:
        raise ReplayError(f"it is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ReplayError("it is no JSON object")
    return body


def _json(text: str | bytes) -> object:
    """Strict JSON, but for the size of numbers: 1e999 is infinite. Raises ValueError, RecursionError."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        # All it checks without a type is the range of numbers.
        return json.loads(text, parse_int=float, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _seen(body: Mapping[str, Any]) -> Seen:
    values = body.get("reading")
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ReplayError('"reading" is no object')
    reading = Reading(
        sampled_at=_believable_instant(values.get("sampled_at")),
        last_seen_at=_believable_instant(values.get("last_seen_at")),
        **{name: None if values.get(name) is None else _number(values[name]) for name in _NUMBERS},
    )
    listed = body.get("alarms")
    if listed is None:
        # A missing list is a failed look-up (DOMAIN 6); the line may say how it failed.
        error = body.get("error_type")
        return Seen(reading, None, PollError.INVALID_DATA_FORMAT if error is None else _choice(PollError, "error_type", error))
    if not isinstance(listed, list):
        raise ReplayError('"alarms" is no list')
    alarms = tuple(_alarm(entry) for entry in listed)
    return Seen(reading, AlarmList(alarms, complete=body.get("alarms_complete") is True))


def _seen_days(body: Mapping[str, Any]) -> SeenDays:
    days = body.get("days")
    if not isinstance(days, dict):
        raise ReplayError('"days" is no object')
    # What is no date is a date that nobody asked for: ignored (DOMAIN 4).
    dated = ((_date(name), value) for name, value in days.items() if value is not None)
    return SeenDays({day: _number(value) for day, value in dated if day is not None})


def _alarm(entry: object) -> Alarm:
    if not isinstance(entry, dict):
        raise ReplayError("an alarm is no object")
    is_active = entry.get("is_active")
    if not isinstance(is_active, bool):
        raise ReplayError(f'"is_active" of an alarm is {_shown(is_active)}, neither true nor false')
    return Alarm(
        code=_name("code", entry.get("code")),
        device_sn=_name("device_sn", entry.get("device_sn")),
        severity=_choice(Severity, "severity", entry.get("severity")),
        message=str(entry.get("message") or ""),
        occurred_at=_instant(entry.get("occurred_at")),
        is_active=is_active,
    )


def _name(field: str, value: object) -> str | None:
    """A code or serial; an empty one is none, as adapters have it (DOMAIN 6)."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ReplayError(f'"{field}" of an alarm is {_shown(value)}, no text')


def _choice(choices: type[Choice], field: str, value: object) -> Choice:
    try:
        return choices(str(value))
    except ValueError as error:
        raise ReplayError(f'"{field}" is {_shown(value)}, none of {", ".join(choices)}') from error


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNUSABLE_NUMBER
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _believable_instant(value: object) -> datetime | None:
    if value is None:
        return None
    at = _instant(value)
    return UNUSABLE_INSTANT if at is None or at < _EARLIEST else at


def _instant(value: object) -> datetime | None:
    """An aware instant in UTC, or None. YAML has turned it into a datetime already."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if at is None or at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
