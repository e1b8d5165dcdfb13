from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.duration import InvalidDuration, format_duration, parse_duration

_UNITS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("1h30m", 5400),
        ("1h0m0s", 3600),
        ("90s", 90),
        ("1.5h", 5400),
        (".5h", 1800),
        ("1.h", 3600),
        ("60000ms", 60),
        ("60000000us", 60),
        ("60000000\u00b5s", 60),
        ("60000000\u03bcs", 60),
        ("60000000000ns", 60),
        ("30m1h", 5400),
        ("0", 0),
        ("0s", 0),
        ("0.1h", 360),
        ("1.025h", 3690),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "10", "m", "1d", "10 m", "10m ", "-10m", "+10m", ".m", "1e3s", "1_0m", "\u0661m", "1mm", "1h30", "9" * 20 + "h", "1m" * 40],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidDuration):
        parse_duration(text)


@given(st.lists(st.tuples(st.integers(0, 99_999), st.sampled_from(sorted(_UNITS))), min_size=1, max_size=6))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{value}{unit}" for value, unit in parts)
    assert parse_duration(text) == timedelta(milliseconds=sum(value * _UNITS[unit] for value, unit in parts))


@given(st.integers(0, 10_000_000))
def test_a_written_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == timedelta(seconds=seconds)


@given(st.text(max_size=100))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with suppress(InvalidDuration):
        assert parse_duration(text) >= timedelta(0)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (60, "1m"), (90, "1m30s"), (600, "10m"), (5400, "1h30m"), (86400, "24h")])
def test_a_duration_is_written_in_its_shortest_form(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text
