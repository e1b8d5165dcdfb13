"""When silence is news: only after two hours in which the sun was up. Read by metrics, not by judging."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from controller.domain.status import was_day
from controller.domain.sun import Site

SAO_PAULO, ZONE = Site(-23.55, -46.63), ZoneInfo("America/Sao_Paulo")
TROMSO, NORWAY = Site(69.65, 18.96), ZoneInfo("Europe/Oslo")


def at(text: str, zone: ZoneInfo = ZONE) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("clock", "is_day"),
    [
        # The sun rises at 5:29 and sets at 18:58.
        ("2026-01-15T04:00", False),
        ("2026-01-15T07:25", False),
        ("2026-01-15T07:35", True),
        ("2026-01-15T12:00", True),
        ("2026-01-15T18:50", True),
        ("2026-01-15T19:05", False),
        ("2026-01-15T23:00", False),
    ],
)
def test_where_the_location_is_known_the_sun_decides(clock: str, is_day: bool) -> None:
    assert was_day(SAO_PAULO, ZONE, at(clock)) is is_day


@pytest.mark.parametrize(("month", "is_day"), [(6, True), (12, False)])
def test_beyond_the_polar_circle_noon_may_be_night(month: int, is_day: bool) -> None:
    assert was_day(TROMSO, NORWAY, at(f"2026-{month:02}-20T12:00", NORWAY)) is is_day


@pytest.mark.parametrize(("clock", "is_day"), [("08:59", False), ("09:00", True), ("14:59", True), ("15:00", False), ("02:00", False)])
def test_without_a_location_the_local_hour_does(clock: str, is_day: bool) -> None:
    assert was_day(None, ZONE, at(f"2026-01-15T{clock}")) is is_day
