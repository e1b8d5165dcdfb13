"""Strangers' bytes into an answer that is whole, judged, and about our plant."""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import answers, payload
from integrations.errors import AdapterError, AdapterErrorType


class Thing(msgspec.Struct):
    value: Any = None


DECODER = msgspec.json.Decoder(Thing)


@pytest.mark.parametrize("body", [b'{"value":NaN}', b'{"value":-Infinity}', b'{"value":1e999}', b'\xef\xbb\xbf{"value":null}'])
def test_what_only_a_lenient_parser_takes_costs_one_field_and_not_the_answer(body: bytes) -> None:
    assert payload.number(answers.decode(DECODER, body).value) is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"value":' + b"9" * 5000 + b"}", b"[" * 200_000, b'{"x":' * 200_000, b'"\xff"', b" " * ((1 << 20) + 1)]
)
def test_what_is_no_answer_is_one_error(body: bytes) -> None:
    with pytest.raises(AdapterError) as caught:
        answers.decode(DECODER, body)

    assert caught.value.error_type is AdapterErrorType.INVALID_DATA_FORMAT


@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_value_or_an_adapter_error(body: bytes) -> None:
    try:
        assert isinstance(answers.decode(DECODER, body), Thing)
    except AdapterError as error:
        assert error.error_type is AdapterErrorType.INVALID_DATA_FORMAT  # noqa: PT017


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"value":', b"}"), (b'[{"value":', b"}]")])
def test_depth_is_bounded_and_brackets_within_texts_do_not_count(brackets: tuple[bytes, bytes]) -> None:
    start, end = brackets
    levels = start.count(b"[") + start.count(b"{")

    def nested(depth: int) -> bytes:
        times = (depth - 1) // levels
        return b'{"value":' + start * times + (b"1" if start != b"[" else b"") + end * times + b"}"

    answers.decode(DECODER, nested(answers.MAX_DEPTH - 1))
    with pytest.raises(AdapterError) as caught:
        answers.decode(DECODER, nested(answers.MAX_DEPTH + 2))
    assert caught.value.message == "the answer is nested too deeply"
    answers.decode(DECODER, b'{"value":"' + b'[{\\"' * 100 + b'"}')


@pytest.mark.parametrize("end", [b"", b"\\", b'"', b"]"])
def test_no_body_takes_long_to_refuse(end: bytes) -> None:
    """Half a million quotes, none of which ends a text: looked at once each, not once for every other."""
    body = b"[" * 40 + b'\\"' * 500_000 + end
    began = time.process_time()

    with pytest.raises(AdapterError):
        answers.decode(DECODER, body)
    assert time.process_time() - began < 2.0


class Row(msgspec.Struct):
    id: Any = None


def rows(*ids: Any) -> list[Row]:
    return [Row(found) for found in ids]


def ids_of(found: list[Row]) -> list[Any]:
    return [row.id for row in found]


def test_rows_of_a_plant_are_picked_and_rows_without_an_id_claim_nothing() -> None:
    assert ids_of(answers.of_plant(rows("7", "8", None, 7), lambda row: row.id, "7", "V")) == ["7", None, 7]
    assert answers.of_plant([], lambda row: row.id, "7", "V") == []
    with pytest.raises(AdapterError) as caught:
        answers.of_plant(rows("8"), lambda row: row.id, "7", "V")
    assert caught.value.error_type is AdapterErrorType.INVALID_DATA_FORMAT


def test_with_no_plant_in_mind_one_is_enough_and_several_are_named() -> None:
    assert ids_of(answers.of_plant(rows("7", None, 7), lambda row: row.id, None, "V")) == ["7", None, 7]
    with pytest.raises(AdapterError) as caught:
        answers.of_plant(rows(*range(20)), lambda row: row.id, None, "V")
    assert caught.value.message == "V answered about several plants; --plant-id is needed: 0, 1, 10, 11, 12, 13, 14, 15, 16, 17, …"


def test_a_plant_that_an_account_does_not_see_is_not_found() -> None:
    assert ids_of(answers.of_account(rows(None, "7"), lambda row: row.id, "7", "V")) == ["7"]
    for found in (rows("8", "9"), rows(None), []):
        with pytest.raises(AdapterError) as caught:
            answers.of_account(found, lambda row: row.id, "7", "V")
        assert caught.value.error_type is AdapterErrorType.PLANT_NOT_FOUND
