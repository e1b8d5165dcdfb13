from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.kubectl_plugin.text import age, instant, one_line, printable, rfc3339

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (12_000, "3h20m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (446_400, "5d4h"),
        (691_200, "8d"),
        (63_071_999, "729d"),
        (63_072_000, "2y"),
        (94_694_400, "3y1d"),
        (252_288_000, "8y"),
    ],
)
def test_ages_are_written_as_kubectl_writes_them(seconds: int, shown: str) -> None:
    assert age(timedelta(seconds=seconds)) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert not set(shown) & set(BIDI)
    assert all(char >= " " and not "\x7f" <= char <= "\x9f" for char in shown)
    assert shown.encode().decode() == shown


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Sm", "Sc"])))
def test_what_people_write_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_an_escape_sequence_and_a_change_of_direction_become_harmless() -> None:
    assert printable("a\x1b[31mred\u202egnp.exe\x9b2J") == "a?[31mred?gnp.exe?2J"
    assert one_line(" two\n\tlines\u2028 ") == "two lines?"


def test_an_instant_is_read_in_any_zone_and_what_is_none_is_none() -> None:
    at = instant("2026-01-15T12:00:00.9-03:00")
    assert at is not None
    assert rfc3339(at) == "2026-01-15T15:00:00Z"
    for text in ("2026-01-15T12:00:00", "yesterday", "", None, 7, "0001-01-01T00:00:00+14:00"):
        assert instant(text) is None, text
