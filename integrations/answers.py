"""Bytes of strangers into a judged answer: what the four `normalise.py` share. Pure, called by them only.

An answer whose shape makes no sense, or that reports an error, is one `AdapterError`; so is one about another plant.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from integrations.contract import VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.payload import Loose, same_id, text

MAX_BODY_BYTES = 1 << 20
"""Larger answers are refused unparsed. The largest real one (GoodWe, dozens of inverters) is near 100 KB."""

MAX_DEPTH = 32
"""Deeper answers are refused unparsed. The deepest real one (GoodWe, with its weather) has 7 levels."""

Answer = TypeVar("Answer")
Row = TypeVar("Row")


def decode(decoder: msgspec.json.Decoder[Answer], body: bytes) -> Answer:
    """Parses a body into the decoder's type. Raises AdapterError (INVALID_DATA_FORMAT) whatever is wrong with it.

    Numbers that JSON knows and no float holds (1e999), and NaN, which JSON does not know, must not cost the rest of the answer: the
    strict parser refuses them, so what it refuses is parsed once more by the lenient one.
    """
    if len(body) > MAX_BODY_BYTES:
        raise _invalid(f"the answer is larger than {MAX_BODY_BYTES} bytes")
    if _is_deep(body):
        raise _invalid("the answer is nested too deeply")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_leniently(decoder, body)
    except RecursionError as error:
        raise _invalid("the answer is nested too deeply") from error


_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Texts, also one that does not end: never given up once begun, so that no body takes longer than its length."""
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def _is_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than `MAX_DEPTH`. Of what is no JSON, the parser speaks."""
    # Arrays are rare: to split at them looks for the next, to count them would look at each byte.
    arrays = len(body.split(b"[", MAX_DEPTH + 1)) - 1
    if arrays + body.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _TEXTS.sub(b"", body).translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        outer = brackets.replace(b"[]", b"")  # without its innermost level
        if outer == brackets:
            return False
        brackets = outer
    return bool(brackets)


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


def open_answer(
    response: VendorResponse,
    vendor: str,
    typed: msgspec.json.Decoder[Answer],
    bare: msgspec.json.Decoder[Any],
    judge: Callable[[Any], None],
) -> Answer:
    """Parses an answer and lets `judge` raise what its envelope reports, whatever the HTTP status.

    Error answers often carry junk where the data would be. So when the whole does not parse, the envelope alone is judged first.
    """
    if not 200 <= response.status < 300:
        raise _http_error(response, vendor, bare, judge)
    try:
        answer = decode(typed, response.body)
    except AdapterError:
        judge(decode(bare, response.body))
        raise
    judge(answer)
    return answer


def wrapped(response: VendorResponse, envelope: Mapping[str, Loose], marks: Collection[str]) -> VendorResponse:
    """A response whose envelope somebody took off, in an envelope again: an object with one of `marks` and no field of an envelope."""
    if not 200 <= response.status < 300 or len(response.body) > MAX_BODY_BYTES or _is_deep(response.body):
        return response
    try:
        data = json.loads(response.body)
    except (ValueError, RecursionError):
        return response
    if not isinstance(data, dict) or not data.keys() & set(marks) or data.keys() & {*envelope, "data"}:
        return response
    return VendorResponse(status=response.status, body=json.dumps({**envelope, "data": data}).encode())


_STATUS_ERRORS = {
    401: AdapterErrorType.AUTH_FAILED,
    403: AdapterErrorType.AUTH_FAILED,
    429: AdapterErrorType.RATE_LIMIT_EXCEEDED,
}
"""Every other status outside 200..299 is VENDOR_ERROR."""


def _http_error(response: VendorResponse, vendor: str, bare: msgspec.json.Decoder[Any], judge: Callable[[Any], None]) -> AdapterError:
    """What the body of an HTTP error says, where it says more than the status: gateways explain themselves, a proxy's page does not."""
    by_status = AdapterError(
        _STATUS_ERRORS.get(response.status, AdapterErrorType.VENDOR_ERROR), f"{vendor} answered HTTP {response.status}"
    )
    try:
        judge(decode(bare, response.body))
    except AdapterError as said:
        vague = said.error_type is AdapterErrorType.VENDOR_ERROR and response.status in _STATUS_ERRORS
        return by_status if vague or said.error_type is AdapterErrorType.INVALID_DATA_FORMAT else said
    return by_status


def other_plant(vendor: str) -> AdapterError:
    """The error of an answer that speaks of a plant nobody asked for."""
    return AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, f"{vendor} answered about another plant")


def no_plant(vendor: str) -> AdapterError:
    """The error of an answer without the plant that was asked for."""
    return AdapterError(AdapterErrorType.PLANT_NOT_FOUND, f"{vendor} knows no such plant")


def several_plants(vendor: str, ids: Iterable[str]) -> AdapterError:
    """The error of an answer about several plants when nobody said which one is meant (`solarinvest normalise`)."""
    named = sorted(ids)
    shown = ", ".join(named[:10]) + (", …" if len(named) > 10 else "")
    return AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, f"{vendor} answered about several plants; --plant-id is needed: {shown}")


def of_plant(rows: Sequence[Row], id_of: Callable[[Row], Loose], plant_id: str | None, vendor: str) -> list[Row]:
    """The rows of one plant; rows without an id claim nothing.

    Raises AdapterError (INVALID_DATA_FORMAT) where all are about other plants, or, with no plant in mind, about several.
    """
    if plant_id is None:
        ids = {found for row in rows if (found := text(id_of(row), 64)) is not None}
        if len(ids) > 1:
            raise several_plants(vendor, ids)
        return list(rows)
    ours = [row for row in rows if (named := id_of(row)) is None or same_id(named, plant_id)]
    if rows and not ours:
        raise other_plant(vendor)
    return ours


def of_account(rows: Sequence[Row], id_of: Callable[[Row], Loose], plant_id: str | None, vendor: str) -> list[Row]:
    """The rows of one plant in a list of all that an account sees, at least one.

    Raises AdapterError: PLANT_NOT_FOUND where ours is not in it; INVALID_DATA_FORMAT, with no plant in mind, where there are several.
    """
    if plant_id is None:
        ours = of_plant(rows, id_of, None, vendor)
    else:
        ours = [row for row in rows if text(id_of(row), 64) is not None and same_id(id_of(row), plant_id)]
    if not ours:
        raise no_plant(vendor)
    return ours


def missing(vendor: str, field: str) -> AdapterError:
    """The error of an answer that lacks the list it is asked for."""
    return AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, f"{vendor} sent no {field}")


def _invalid(message: str) -> AdapterError:
    return AdapterError(AdapterErrorType.INVALID_DATA_FORMAT, message)
