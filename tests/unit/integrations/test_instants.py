"""Moving recorded times: wall clocks that skip and repeat, and the formats of four vendors."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.instants import MOVERS, move_date, utc_of_wall

LISBON = ZoneInfo("Europe/Lisbon")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
LATE = datetime(2099, 1, 1, tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_time_that_comes_twice_is_the_second_once_that_has_come() -> None:
    repeated = wall("2026-10-25 01:30")

    assert utc_of_wall(repeated, LISBON, LATE) == utc("2026-10-25 01:30")
    assert utc_of_wall(repeated, LISBON, utc("2026-10-25 01:29")) == utc("2026-10-25 00:30")


@pytest.mark.parametrize(
    ("zone", "skipped", "change"),
    [
        ("Europe/Lisbon", "2026-03-29 01:30", "2026-03-29 01:00"),
        ("America/Sao_Paulo", "2018-11-04 00:00", "2018-11-04 03:00"),
        ("America/Sao_Paulo", "2018-11-04 00:59:59", "2018-11-04 03:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30"),
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00"),
    ],
)
def test_a_time_that_is_skipped_is_the_change_itself(zone: str, skipped: str, change: str) -> None:
    assert utc_of_wall(wall(skipped), ZoneInfo(zone), LATE) == utc(change)


@given(
    zone=st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
    seconds=st.integers(1_104_537_600, 2_145_830_400),
    later=st.integers(0, 7200),
)
def test_time_never_runs_backwards_for_a_later_wall_clock(zone: str, seconds: int, later: int) -> None:
    first = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)

    assert utc_of_wall(first, ZoneInfo(zone), LATE) <= utc_of_wall(first + timedelta(seconds=later), ZoneInfo(zone), LATE)


@pytest.mark.parametrize(
    ("name", "recorded", "moved"),
    [
        # 12:00 in Sao Paulo on 15 January, to 12:00 in Lisbon (UTC+1) ten days after 1 July.
        ("epoch_s", 1768489200, 1783767600),
        ("epoch_s", 1768489200.0, 1783767600.0),
        ("epoch_s_text", "1768489200", "1783767600"),
        ("epoch_ms", 1768489200000, 1783767600000),
        ("epoch_ms_text", "1768489200000", "1783767600000"),
        ("local MM/dd/yyyy HH:mm:ss", "01/15/2026 12:00:00", "07/11/2026 12:00:00"),
        ("local dd/MM/yyyy HH:mm:ss", "15/01/2026 12:00:00", "11/07/2026 12:00:00"),
        ("utc+8 MM/dd/yyyy HH:mm:ss", "01/15/2026 23:00:00", "07/11/2026 19:00:00"),
        ("iso", "2026-01-15T12:00:00-03:00", "2026-07-11T12:00:00+01:00"),
        ("iso", "2026-01-15T12:00:00", "2026-07-11T12:00:00"),
    ],
)
def test_every_format_keeps_its_wall_time_and_its_type(name: str, recorded: Any, moved: Any) -> None:
    def shift(instant: datetime) -> datetime:
        return utc_of_wall(instant.astimezone(SAO_PAULO).replace(tzinfo=None) + timedelta(days=177), LISBON, LATE)

    found = MOVERS[name](recorded, shift, LISBON, SAO_PAULO)

    assert (found, type(found)) == (moved, type(recorded))


@pytest.mark.parametrize("name", list(MOVERS))
@pytest.mark.parametrize("value", [None, "", "N/A", 0, -1, True, [], {}, "soon"])
def test_what_is_no_instant_stays(name: str, value: Any) -> None:
    assert MOVERS[name](value, lambda instant: instant + timedelta(days=1), LISBON, SAO_PAULO) == value


@pytest.mark.parametrize(
    ("layout", "recorded", "moved"),
    [
        ("yyyy-MM-dd", "2026-01-30", "2026-02-02"),
        ("MM/dd/yyyy", "01/30/2026", "02/02/2026"),
        ("year month day", {"year": 2026, "month": 1, "day": 30, "x": 1}, {"year": 2026, "month": 2, "day": 2, "x": 1}),
        ("year month day", {"year": None}, {"year": None}),
        ("year month day", 7, 7),
        ("yyyy-MM-dd", "never", "never"),
        ("yyyy-MM-dd", None, None),
    ],
)
def test_local_dates_move_by_whole_days(layout: str, recorded: Any, moved: Any) -> None:
    assert move_date(recorded, layout, 3) == moved
