"""Strangers' fields into plain values."""

import math
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import payload


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (4.2, 4.2),
        (7, 7.0),
        ("4.2", 4.2),
        (" 4.2 ", 4.2),
        ("-1e3", -1000.0),
        ("", None),
        ("N/A", None),
        ("null", None),
        ("nan", None),
        ("Infinity", None),
        ("1e999", None),
        ("1_000", None),
        ("٣", None),
        ("1" * 41, None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        (True, None),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_a_number_is_finite_or_none(raw: Any, value: float | None) -> None:
    assert payload.number(raw) == value


@given(st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none(), st.booleans(), st.lists(st.integers())))
def test_no_field_whatever_it_holds_raises(raw: Any) -> None:
    number = payload.number(raw)
    assert number is None or math.isfinite(number)
    for read in (payload.epoch_s, payload.epoch_ms, lambda value: payload.us_time(value, ZoneInfo("Asia/Tokyo"))):
        instant = read(raw)
        assert instant is None or instant.tzinfo is UTC
    found = payload.text(raw, 10)
    assert found is None or (0 < len(found) <= 10 and found.isprintable() and found == found.strip())
    assert payload.iso_date(raw) is None or isinstance(raw, str)
    assert payload.whole(raw) is None or isinstance(raw, int | float | str)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("W03\u00a0Grid_Warning", "W03 Grid_Warning"),
        ("a\nb\x00c", "a b c"),
        ("\ud800", None),
        ("  ", None),
        (512, "512"),
        (512.0, "512"),
        (0.5, None),
        (True, None),
        ("数据异常", "数据异常"),
        ("x" * 100, "x" * 64),
    ],
)
def test_codes_are_printable_trimmed_and_short(raw: Any, found: str | None) -> None:
    assert payload.code(raw) == found


def test_instants_are_aware_utc() -> None:
    noon = datetime(2026, 1, 15, 15, tzinfo=UTC)

    assert payload.epoch_ms("1768489200000") == noon
    assert payload.epoch_s(1768489200.0) == noon
    assert payload.epoch_s(1768489200000) == noon
    assert payload.us_time("01/15/2026 12: 00: 00", ZoneInfo("America/Sao_Paulo")) == noon
    assert payload.us_time("15/01/2026 12:00:00", UTC) is None


def test_dates_are_dates_of_the_calendar() -> None:
    assert payload.iso_date("2026-01-15") == date(2026, 1, 15)
    assert payload.iso_date("2026-W03-4") is None
    assert payload.iso_date("2026-02-30") is None
    assert payload.calendar_date(2026.0, "1", 15) == date(2026, 1, 15)
    assert payload.calendar_date(2026, 13, 1) is None
    assert payload.calendar_date(10**30, 1, 1) is None


def test_months_are_those_a_span_touches() -> None:
    assert payload.months(date(2025, 12, 31), date(2026, 2, 1)) == [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]
    assert payload.months(date(2026, 1, 5), date(2026, 1, 5)) == [date(2026, 1, 1)]


def test_a_sum_of_nothing_is_nothing_and_a_complete_one_needs_every_part() -> None:
    assert payload.total([]) is None
    assert payload.total([None, 2.0]) == 2.0
    assert payload.total([1e308, 1e308]) is None
    assert payload.complete_total([1.0, 2.0]) == 3.0
    assert payload.complete_total([1.0, None]) is None
    assert payload.complete_total([]) is None


@pytest.mark.parametrize(
    ("raw", "date_format"),
    [
        ("01/15/2026 12:00:00", "MM/dd/yyyy"),
        ("15/01/2026 12:00:00", "dd/MM/yyyy"),
        ("01.15.2026 12: 00: 00", "MM.dd.yyyy"),
        ("15-1-2026 12:00:00", "dd-MM-yyyy"),
        ("2026-01-15 12:00:00", "MM/dd/yyyy"),
        ("2026-01-15T12:00:00.000", ""),
    ],
)
def test_a_local_time_is_read_by_the_format_of_its_date(raw: str, date_format: str) -> None:
    assert payload.local_time(raw, ZoneInfo("America/Sao_Paulo"), date_format) == datetime(2026, 1, 15, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "date_format"),
    [
        ("01/15/2026 12:00:00", "dd/MM/yyyy"),
        ("01/15/2026 12:00:00", ""),
        ("01/15-2026 12:00:00", "MM/dd/yyyy"),
        ("01/15/2026", "MM/dd/yyyy"),
    ],
)
def test_a_local_time_of_another_format_is_none(raw: str, date_format: str) -> None:
    assert payload.local_time(raw, UTC, date_format) is None


@pytest.mark.parametrize(
    ("raw", "watts"),
    [
        ("4200(W)", 4200.0),
        ("4.2 kW", 4200.0),
        ("-7W", -7.0),
        (3, 3.0),
        ("3", 3.0),
        ("4200(V)", None),
        ("(W)", None),
        ("--", None),
        (None, None),
    ],
)
def test_a_text_may_carry_its_unit(raw: Any, watts: float | None) -> None:
    assert payload.measured(raw, payload.WATTS) == watts


@pytest.mark.parametrize(
    ("raw", "flag"), [(True, True), (False, False), (1, True), ("true", True), ("FALSE", False), (None, None), ("yes", None), ([], None)]
)
def test_a_flag_may_be_text(raw: Any, flag: bool | None) -> None:
    assert payload.truth(raw) is flag


def test_seconds_and_milliseconds_are_told_apart_by_their_size() -> None:
    noon = datetime(2026, 1, 15, 15, tzinfo=UTC)

    assert payload.epoch_ms(1768489200000) == payload.epoch_ms("1768489200") == payload.epoch_s(1768489200.0) == noon


@pytest.mark.parametrize(
    ("raw", "plant_id", "same"),
    [
        (None, "7", True),
        ("", "7", True),
        (7, "7", True),
        (7.0, "7", True),
        (7, "07", False),
        ("8", "7", False),
        (True, "True", False),
        (1298491919448000001, "1298491919448000001", True),
        (float(1298491919448000001), "1298491919448000001", False),
        ([["7"]], "7", False),
        ("7", None, True),
    ],
)
def test_ids_are_compared_exactly(raw: Any, plant_id: str | None, same: bool) -> None:
    assert payload.same_id(raw, plant_id) is same
