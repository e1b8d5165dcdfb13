"""The query parameters of each route, as data: what parses them, what names them in errors, and what the schema says of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec

from controller.api.cursors import ALERT_CURSOR, PLANT_CURSOR, parse_alert_cursor, parse_plant_cursor
from controller.api.problems import InvalidParameter, ParametersRefused, shown
from controller.domain.plant import AlertState, AlertType, Status
from integrations.contract import Brand, Severity

LIMIT_DEFAULT, LIMIT_MAX = 100, 500
UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
ZONE_PATTERN = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"
ZONE_MAX = 64


class Parameter(msgspec.Struct, frozen=True):
    """One parameter. `parse` raises `ValueError` for what is not allowed; `schema` says the same to readers of the OpenAPI document."""

    name: str
    description: str
    allowed: str
    schema: Mapping[str, Any]
    parse: Callable[[str], Any]


def _one_of(name: str, description: str, choices: type[StrEnum]) -> Parameter:
    values = [choice.value for choice in choices]
    return Parameter(name, description, f"one of {', '.join(values)}", {"type": "string", "enum": values}, choices)


def parse_uuid(text: str) -> UUID:
    """As it is written in answers, and in no other form. Raises `ValueError`."""
    if re.fullmatch(UUID_PATTERN, text) is None:
        raise ValueError("no id")
    return UUID(text)


def _parse_zone(text: str) -> str:
    if len(text) > ZONE_MAX or re.fullmatch(ZONE_PATTERN, text) is None:
        raise ValueError("no zone")
    return text


def _parse_limit(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,2}", text) is None or int(text) > LIMIT_MAX:
        raise ValueError("no limit")
    return int(text)


def _cursor(pattern: str, parse: Callable[[str], Any]) -> Parameter:
    return Parameter(
        "cursor",
        "Where the page begins: from the Link header of the page before it.",
        "the cursor of a Link header of this route",
        {"type": "string", "pattern": pattern},
        parse,
    )


LIMIT = Parameter(
    "limit",
    "Rows a page.",
    f"a whole number from 1 to {LIMIT_MAX}",
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    _parse_limit,
)
PLANT_ID = Parameter(
    "plant_id", "Of this plant.", "a plant's id, as in answers", {"type": "string", "format": "uuid", "pattern": UUID_PATTERN}, parse_uuid
)
TIMEZONE = Parameter(
    "timezone",
    "In this time zone.",
    "the name of an IANA time zone, as in America/Sao_Paulo",
    {"type": "string", "pattern": ZONE_PATTERN, "maxLength": ZONE_MAX},
    _parse_zone,
)
PLANT_PARAMETERS = (
    _one_of("brand", "Of this brand.", Brand),
    _one_of("status", "Of this status.", Status),
    TIMEZONE,
    LIMIT,
    _cursor(PLANT_CURSOR, parse_plant_cursor),
)
ALERT_PARAMETERS = (
    _one_of("type", "Of this type.", AlertType),
    _one_of("severity", "Of this severity.", Severity),
    _one_of("state", "In this state.", AlertState),
    PLANT_ID,
    LIMIT,
    _cursor(ALERT_CURSOR, parse_alert_cursor),
)
NONE: tuple[Parameter, ...] = ()

_NOTHING_GIVEN: Mapping[str, Any] = MappingProxyType({})


def parse_query(query: bytes, parameters: Sequence[Parameter]) -> Mapping[str, Any]:
    """Parsed values by name; what was not given is absent.

    Raises `ParametersRefused`, which names each one that is unknown, given twice or wrong: a misspelt filter that were ignored would
    show everything.
    """
    if not query:
        return _NOTHING_GIVEN
    known = {parameter.name: parameter for parameter in parameters}
    found: dict[str, Any] = {}
    invalid: list[InvalidParameter] = []
    for part in query.split(b"&"):
        name, text = _name_and_value(part)
        parameter = known.get(name)
        if parameter is None or text is None:
            allowed = f"one of {', '.join(known)}" if known else "no parameter at all"
            invalid.append(InvalidParameter(shown(name), shown(text or ""), allowed if parameter is None else parameter.allowed))
        elif name in found:
            invalid.append(InvalidParameter(name, shown(text), f"given once; {parameter.allowed}"))
        else:
            try:
                found[name] = parameter.parse(text)
            except ValueError:
                invalid.append(InvalidParameter(name, shown(text), parameter.allowed))
    if invalid:
        raise ParametersRefused(invalid)
    return found


def _name_and_value(part: bytes) -> tuple[str, str | None]:
    """Decoded; the value is None where it is no UTF-8, and a name that is none stays as it was sent."""
    name, _, value = part.partition(b"=")
    try:
        decoded = _decoded(name)
    except UnicodeDecodeError:
        decoded = name.decode("ascii", "replace")
    try:
        return decoded, _decoded(value)
    except UnicodeDecodeError:
        return decoded, None


def _decoded(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode()
