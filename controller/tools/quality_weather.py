"""Simulated weather for `solarinvest quality`: the irradiance on flat ground at a place, by published stochastic models.

- The day's clearness: V. A. Graham, K. G. T. Hollands, T. E. Unny, "A time series model for Kt with application to global synthetic weather
  generation", Solar Energy 40 (1988) 83-92: an AR(1) process with coefficient 0.29 in a Gaussian variable, mapped to the distribution of
  P. Bendt, M. Collares-Pereira, A. Rabl, "The frequency distribution of daily insolation values", Solar Energy 27 (1981) 1-5. Its lower end
  is 0.05; its upper end is that of K. G. T. Hollands, R. G. Huget, Solar Energy 30 (1983) 195-209; its parameter is solved for the mean.
- The hours of a day: R. Aguiar, M. Collares-Pereira, "TAG: a time-dependent, autoregressive, Gaussian model for generating synthetic hourly
  radiation", Solar Energy 49 (1992) 167-174, then scaled so that the hours bring what the day's clearness says.
- The sun: J. W. Spencer, "Fourier series representation of the position of the sun", Search 2 (1971) 172.

Nothing here is shared with the sun of `controller.domain`, which the rules that are measured use. Called by `quality_corpus`.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from math import cos, exp, expm1, log1p, pi, radians, sin, sqrt
from random import Random
from statistics import NormalDist

import msgspec

SOLAR_CONSTANT = 1361.0
"""W/m2."""
DAY_TO_DAY = 0.29
"""Graham, Hollands and Unny: the same everywhere."""
CLEARNESS_MIN = 0.05
_NORMAL = NormalDist()


class Climate(msgspec.Struct, frozen=True):
    """The mean clearness of each month at a place, as one wave a year: `mean` +- `swing`, clearest in `clearest_month` (1 to 12)."""

    mean: float
    swing: float
    clearest_month: int

    def clearness(self, month: int) -> float:
        return self.mean + self.swing * cos(2 * pi * (month - self.clearest_month) / 12)


class Sky:
    """The simulated sky over a place (degrees), always the same for a seed. Instants may be asked for in any order within the days."""

    def __init__(self, latitude: float, longitude: float, climate: Climate, first: date, days: int, seed: str) -> None:
        self._sin, self._cos = sin(radians(latitude)), cos(radians(latitude))
        self._longitude = longitude
        chance = Random(seed)
        # A day more at either end: the sun's days are not those of a zone.
        dates = [first + timedelta(days=number) for number in range(-1, days + 1)]
        self._hours = {
            day: self._clearness_of_hours(day, clearness, chance)
            for day, clearness in zip(dates, daily_clearness(climate, dates, chance), strict=True)
        }

    def irradiance(self, at: datetime) -> float:
        """On flat ground. W/m2."""
        day, hour = self._solar(at)
        hours = self._hours.get(day)
        return 0.0 if hours is None else hours[int(hour)] * self._outside(day, hour)

    def sin_elevation(self, at: datetime) -> float:
        """Of the sun's centre, without the bending of light by the air."""
        return self._sin_at(*self._solar(at))

    def _solar(self, at: datetime) -> tuple[date, float]:
        """The day and hour (0 to 24) of the sun: it is highest at 12."""
        moved = at.astimezone(UTC) + timedelta(minutes=4 * self._longitude + _equation_min(_angle(at.date())))
        return moved.date(), moved.hour + moved.minute / 60 + moved.second / 3600

    def _sin_at(self, day: date, hour: float) -> float:
        declination = _declination(_angle(day))
        return self._sin * sin(declination) + self._cos * cos(declination) * cos((hour - 12) * pi / 12)

    def _outside(self, day: date, hour: float) -> float:
        """On a flat surface outside the air. W/m2."""
        return SOLAR_CONSTANT * (1 + 0.033 * cos(_angle(day))) * max(0.0, self._sin_at(day, hour))

    def _clearness_of_hours(self, day: date, clearness: float, chance: Random) -> list[float]:
        """TAG: the clearness of each solar hour of a day whose clearness is known."""
        k = clearness
        base = -0.19 + 1.12 * k + 0.24 * exp(-8 * k)
        rise = 0.32 - 1.6 * (k - 0.5) ** 2
        depth = 0.19 + 2.27 * k**2 - 2.51 * k**3
        spread, growth = 0.14 * exp(-20 * (k - 0.35) ** 2), 3 * (k - 0.45) ** 2 + 16 * k**5
        memory = 0.38 + 0.06 * cos(7.4 * k - 2.5)
        hours, state = [], chance.gauss(0, 1)
        for hour in range(24):
            state = memory * state + sqrt(1 - memory**2) * chance.gauss(0, 1)
            height = self._sin_at(day, hour + 0.5)
            if height <= 0:
                hours.append(k)
                continue
            drawn = base + rise * exp(-depth / height) + spread * exp(growth * (1 - height)) * state
            # A clear hour lets through no more.
            hours.append(min(max(drawn, 0.0), 0.88 * cos(pi * (hour - 11.5) / 30)))
        outside = [self._outside(day, hour + 0.5) for hour in range(24)]
        brought = sum(map(float.__mul__, hours, outside))
        return [hour * k * sum(outside) / brought for hour in hours] if brought > 0 else hours


def daily_clearness(climate: Climate, dates: list[date], chance: Random) -> Iterator[float]:
    """The clearness of each day: what reaches the ground of what comes in outside the air."""
    state = chance.gauss(0, 1)
    for day in dates:
        state = DAY_TO_DAY * state + sqrt(1 - DAY_TO_DAY**2) * chance.gauss(0, 1)
        yield clearness_at(_NORMAL.cdf(state), climate.clearness(day.month))


def clearness_at(quantile: float, mean: float) -> float:
    """The clearness below which this share of the days of a month lies whose mean is `mean` (Bendt et al.)."""
    most = 0.6313 + 0.267 * mean - 11.9 * (mean - 0.75) ** 8
    slope = _slope((mean - CLEARNESS_MIN) / (most - CLEARNESS_MIN))
    return CLEARNESS_MIN + (most - CLEARNESS_MIN) * log1p(quantile * expm1(slope)) / slope


def _slope(mean: float) -> float:
    """The exponent (not 0) with which an exponential distribution on 0 to 1 has this mean."""
    low, high = -200.0, 200.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        if middle == 0:
            middle = 1e-9
        if -1 / expm1(-middle) - 1 / middle < mean:
            low = middle
        else:
            high = middle
    return high or 1e-9


def _angle(day: date) -> float:
    return 2 * pi * (day.timetuple().tm_yday - 1) / 365


def _declination(angle: float) -> float:
    return (
        0.006918
        - 0.399912 * cos(angle)
        + 0.070257 * sin(angle)
        - 0.006758 * cos(2 * angle)
        + 0.000907 * sin(2 * angle)
        - 0.002697 * cos(3 * angle)
        + 0.00148 * sin(3 * angle)
    )


def _equation_min(angle: float) -> float:
    """The equation of time. Minutes."""
    return 229.18 * (0.000075 + 0.001868 * cos(angle) - 0.032077 * sin(angle) - 0.014615 * cos(2 * angle) - 0.04089 * sin(2 * angle))
