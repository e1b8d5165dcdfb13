"""Where the sun stands over a plant: how long it has been up, and which share of a clear day's energy it has brought.

The sun's declination and the equation of time are astral's (Meeus, as NOAA publishes them); the clear sky is Haurwitz's:
B. Haurwitz, "Insolation in Relation to Cloudiness and Cloud Density", Journal of Meteorology 2 (1945) 154-166, in the form and with the
constants of `pvlib.clearsky.haurwitz`. Called by `status` (statusPolicy Daylight), `generation` and the operator's conditions.
Where the sun does not rise, nothing here fails: it is never up, and no share is known.
"""

from array import array
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from math import cos, exp, radians, sin
from zoneinfo import ZoneInfo

import msgspec
from astral.julian import julianday_to_juliancentury
from astral.sun import eq_of_time, sun_declination

from controller.domain.schedule import day_bounds

UP = sin(radians(-0.833))
"""Sine of the geometric elevation of the sun's centre at sunrise and sunset (DOMAIN 5)."""
STEP_S = 600
"""Between the nodes of a day's tables. Crossings are found exactly, integrals to 1e-4 of the day."""
_DAY_S = 86_400
_UNIX_EPOCH_JD = 2_440_587.5
_POLE = 89.8
"""At the poles themselves there is no noon; astral stops here, too."""


class Site(msgspec.Struct, frozen=True):
    """Where a plant stands, in degrees; south and west are negative."""

    latitude: float
    longitude: float


def is_sun_up(site: Site, at: datetime) -> bool:
    """Whether the sun is above -0.833 degrees."""
    return _sin_elevation(site, at.timestamp()) > UP


def after_daylight(site: Site, since: datetime, daylight: timedelta, at_most: timedelta) -> datetime:
    """The last instant at which no more than `daylight` with the sun up has passed `since`; `since + at_most` if that comes first.

    Daylight that is used up exactly at sunset has not passed before sunrise: the instant is then the sunrise (DOMAIN 5).
    """
    end, left = since + at_most, daylight
    day = since.astimezone(UTC).date()
    while day <= end.astimezone(UTC).date():
        for rise, sunset in _sunlit(site, day):
            lit = sunset - max(rise, since)
            if left < lit:
                return min(end, max(rise, since) + left)
            left -= max(lit, timedelta())
        day += timedelta(days=1)
    return end


def clear_sky_share(site: Site, day: date, zone: ZoneInfo, at: datetime) -> float | None:
    """The share (0 to 1) of the energy of local `day` under a clear sky that has come by `at`. None where the sun stays down all day."""
    start_s, cumulated = _clear_day(site, day, zone)
    total = cumulated[-1]
    if total <= 0:
        return None
    at_s = at.timestamp()
    node = int((at_s - start_s) // STEP_S)
    if node < 0:
        return 0.0
    if node >= len(cumulated) - 1:
        return 1.0
    node_s = start_s + node * STEP_S
    since_node = (at_s - node_s) * (_irradiance(_sin_elevation(site, node_s)) + _irradiance(_sin_elevation(site, at_s))) / 2
    return min(1.0, (cumulated[node] + since_node) / total)


@lru_cache(maxsize=32_768)
def _clear_day(site: Site, day: date, zone: ZoneInfo) -> tuple[float, "array[float]"]:
    """When the local day begins (Unix seconds) and the energy (J/m2) that has come by each node of it. 1 KB and some 0.1 ms a day."""
    start, end = (bound.timestamp() for bound in day_bounds(day, zone))
    heights = _sin_elevations(site, start, -int((start - end) // STEP_S) + 1)
    irradiances = [_irradiance(height) for height in heights]
    steps = ((before + now) / 2 * STEP_S for before, now in pairwise(irradiances))
    return start, array("d", accumulate(steps, initial=0.0))


@lru_cache(maxsize=32_768)
def _sunlit(site: Site, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """The spans of a UTC day during which the sun is up, in order. A night over midnight UTC parts two spans, a day does not."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    start_s = start.timestamp()
    edges: list[float] = []
    heights = _sin_elevations(site, start_s, _DAY_S // STEP_S + 1)
    was_up = heights[0] > UP
    if was_up:
        edges.append(0.0)
    for node_s, height in zip(range(STEP_S, _DAY_S + 1, STEP_S), heights[1:], strict=True):
        up = height > UP
        if up is not was_up:
            edges.append(_crossing(site, start_s, node_s - STEP_S, node_s, up))
        was_up = up
    if was_up:
        edges.append(float(_DAY_S))
    instants = [start + timedelta(seconds=edge) for edge in edges]
    return tuple(zip(instants[::2], instants[1::2], strict=True))


def _crossing(site: Site, start_s: float, low_s: float, high_s: float, rises: bool) -> float:
    """Seconds after `start_s` at which the sun rises or sets: whole ones, as the air bends its light by more than that."""
    while high_s - low_s > 0.01:
        middle_s = (low_s + high_s) / 2
        if (_sin_elevation(site, start_s + middle_s) > UP) is rises:
            high_s = middle_s
        else:
            low_s = middle_s
    return float(round(high_s))


def _irradiance(height: float) -> float:
    """Global horizontal irradiance under a clear sky (Haurwitz) by the sine of the sun's elevation. W/m2."""
    # Below this the exponential is 0, and 1 / height may not be a number.
    return 1098.0 * height * exp(-0.059 / height) if height > 1e-4 else 0.0


def _sin_elevation(site: Site, at_s: float) -> float:
    """Sine of the geometric elevation of the sun's centre at a Unix instant."""
    return _sin_elevations(site, at_s, 1)[0]


def _sin_elevations(site: Site, start_s: float, count: int) -> list[float]:
    """The sines at a Unix instant and each `STEP_S` after it. The orbit is taken as straight within a UTC day: 0.001 deg."""
    longitude, latitude = site.longitude, radians(min(max(site.latitude, -_POLE), _POLE))
    sin_latitude, cos_latitude = sin(latitude), cos(latitude)
    sines, begun = [], None
    for number in range(count):
        day, second = divmod(start_s + number * STEP_S, _DAY_S)
        if day != begun:
            begun = day
            (sin_0, cos_0, eq_0), (sin_1, cos_1, eq_1) = _orbit(int(day)), _orbit(int(day) + 1)
        part = second / _DAY_S
        hour_angle = radians((second / 60 + (eq_0 + (eq_1 - eq_0) * part)) / 4 + longitude - 180)
        sine = sin_latitude * (sin_0 + (sin_1 - sin_0) * part)
        sines.append(sine + cos_latitude * (cos_0 + (cos_1 - cos_0) * part) * cos(hour_angle))
    return sines


@lru_cache(maxsize=1_024)
def _orbit(day: int) -> tuple[float, float, float]:
    """Sine and cosine of the declination, and the equation of time in minutes, at 0:00 UTC of a Unix day."""
    century = julianday_to_juliancentury(_UNIX_EPOCH_JD + day)
    declination = radians(sun_declination(century))
    return sin(declination), cos(declination), eq_of_time(century)
