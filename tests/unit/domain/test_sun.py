"""The sun over a plant: against astral's own heights, and at the ends of the earth and of the clock."""

from datetime import UTC, date, datetime, timedelta
from math import exp, radians, sin
from zoneinfo import ZoneInfo

import pytest
from astral import Observer
from astral.sun import elevation
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.schedule import day_bounds
from controller.domain.sun import Site, after_daylight, clear_sky_share, is_sun_up

SAO_PAULO = Site(-23.5, -46.6)
BRT = ZoneInfo("America/Sao_Paulo")
TROMSO = Site(69.65, 18.96)
OSLO = ZoneInfo("Europe/Oslo")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
SITES = st.builds(Site, st.floats(-90, 90), st.floats(-180, 180))
INSTANTS = st.integers(631_152_000, 2_840_140_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(st.builds(Site, st.floats(-89, 89), st.floats(-180, 180)), INSTANTS)
def test_the_sun_is_up_where_astral_has_it_above_the_horizon_of_sunrise(site: Site, at: datetime) -> None:
    at = at.replace(microsecond=0)
    height = elevation(Observer(site.latitude, site.longitude), at, with_refraction=False)
    if abs(height + 0.833) > 0.005:
        assert is_sun_up(site, at) is (height > -0.833)


def sunset_of(day: date) -> datetime:
    """Sao Paulo's, to the second, found without the product's tables."""
    low, high = datetime(day.year, day.month, day.day, 18, tzinfo=UTC), datetime(day.year, day.month, day.day, 23, tzinfo=UTC)
    while high - low > timedelta(microseconds=10):
        middle = low + (high - low) / 2
        low, high = (middle, high) if is_sun_up(SAO_PAULO, middle) else (low, middle)
    return (high + timedelta(seconds=0.5)).replace(microsecond=0)


def test_by_day_two_hours_of_daylight_are_two_hours() -> None:
    noon = datetime(2026, 1, 15, 15, 0, tzinfo=UTC)
    assert after_daylight(SAO_PAULO, noon, 2 * HOUR, DAY) == noon + 2 * HOUR


def test_the_night_does_not_count() -> None:
    sunset = sunset_of(date(2026, 1, 15))
    limit = after_daylight(SAO_PAULO, sunset - HOUR, 2 * HOUR, DAY)
    assert not is_sun_up(SAO_PAULO, limit - HOUR - timedelta(seconds=1))
    assert is_sun_up(SAO_PAULO, limit - HOUR + timedelta(seconds=1)), "an hour after sunrise"
    assert after_daylight(SAO_PAULO, sunset + HOUR, HOUR, DAY) == limit, "of a report in the night counts the next day alone"


def test_a_limit_used_up_exactly_at_sunset_passes_at_sunrise() -> None:
    sunset = sunset_of(date(2026, 1, 15))
    assert after_daylight(SAO_PAULO, sunset - 2 * HOUR - TICK, 2 * HOUR, DAY) == sunset - TICK
    sunrise = after_daylight(SAO_PAULO, sunset - 2 * HOUR, 2 * HOUR, DAY)
    assert sunrise - sunset > 9 * HOUR
    assert not is_sun_up(SAO_PAULO, sunrise - timedelta(seconds=1))
    assert is_sun_up(SAO_PAULO, sunrise + timedelta(seconds=1))


def test_in_the_polar_night_only_the_clock_is_left() -> None:
    at = datetime(2026, 12, 21, 12, 0, tzinfo=UTC)
    assert after_daylight(TROMSO, at, 2 * HOUR, DAY) == at + DAY
    assert clear_sky_share(TROMSO, date(2026, 12, 21), OSLO, at) is None
    assert not is_sun_up(TROMSO, at)


def test_on_the_polar_day_the_sun_counts_as_the_clock() -> None:
    at = datetime(2026, 6, 21, 23, 0, tzinfo=UTC)
    assert after_daylight(TROMSO, at, 2 * HOUR, DAY) == at + 2 * HOUR
    assert clear_sky_share(TROMSO, date(2026, 6, 21), OSLO, datetime(2026, 6, 21, 12, 0, tzinfo=OSLO)) == pytest.approx(0.46, abs=0.03)


@given(SITES, INSTANTS, st.integers(0, 14_400), st.integers(0, 14_400))
def test_more_daylight_never_ends_sooner_and_none_ends_before_the_clock(site: Site, since: datetime, some: int, more: int) -> None:
    first = after_daylight(site, since, timedelta(seconds=some), DAY)
    assert min(since + timedelta(seconds=some), since + DAY) <= first <= since + DAY
    assert first <= after_daylight(site, since, timedelta(seconds=some + more), DAY)


@pytest.mark.parametrize(("hour", "share"), [(0, 0.0), (5, 0.0), (19, 1.0), (23, 1.0)])
def test_nothing_has_come_before_sunrise_and_all_after_sunset(hour: int, share: float) -> None:
    assert clear_sky_share(SAO_PAULO, date(2026, 1, 15), BRT, datetime(2026, 1, 15, hour, tzinfo=BRT)) == share


def test_half_of_the_energy_has_come_at_solar_noon() -> None:
    noon = datetime(2026, 1, 15, 15, 15, 44, tzinfo=UTC)
    assert clear_sky_share(SAO_PAULO, date(2026, 1, 15), BRT, noon) == pytest.approx(0.5, abs=0.001)


def test_the_share_is_the_integral_of_haurwitz_s_irradiance() -> None:
    """Summed here by the second from astral's heights, without the product's tables."""
    start, end = day_bounds(date(2026, 8, 3), BRT)
    observer, at = Observer(-23.5, -46.6), datetime(2026, 8, 3, 9, 40, tzinfo=BRT)
    by_then = total = 0.0
    for number in range(int((end - start).total_seconds() // 60)):
        instant = start + timedelta(minutes=number, seconds=30)
        height = sin(radians(elevation(observer, instant, with_refraction=False)))
        irradiance = 1098.0 * height * exp(-0.059 / height) if height > 0 else 0.0
        total += irradiance
        by_then += irradiance if instant < at else 0.0
    assert clear_sky_share(SAO_PAULO, date(2026, 8, 3), BRT, at) == pytest.approx(by_then / total, abs=2e-4)


@settings(max_examples=60)
@given(SITES, st.sampled_from(["America/Sao_Paulo", "Pacific/Apia", "Europe/Berlin", "UTC"]), INSTANTS)
def test_a_share_rises_from_0_to_1_over_the_local_day(site: Site, name: str, at: datetime) -> None:
    zone = ZoneInfo(name)
    day = at.astimezone(zone).date()
    start, end = day_bounds(day, zone)
    shares = [clear_sky_share(site, day, zone, start + (end - start) * part / 8) for part in range(-1, 10)]
    if None in shares:
        assert set(shares) == {None}
        return
    known = [share for share in shares if share is not None]
    assert known == sorted(known)
    assert (known[0], known[-1]) == (0.0, 1.0)
