"""Which of the vendor's values we believe (DOMAIN 3). Refused values count as missing, one by one; the rest of the reading stands."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import msgspec

from controller.domain.plant import LiveState
from integrations.contract import Reading

FUTURE_TOLERANCE = timedelta(minutes=5)
LIMIT = 1e9
"""Energy and power at and above this are no measurement. W and kWh."""
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
"""Before this an instant has no local time in every zone: calendars begin with the year 1."""
COUNTER_BASE_AFTER = timedelta(hours=24)


class Believed(msgspec.Struct, frozen=True):
    """The part of a reading that is believed, and the names of the fields that were refused.

    `counter_low_since` is the state of the falling-counter rule to keep (`LiveState.counter_low_since`).
    """

    reading: Reading
    refused: tuple[str, ...]
    counter_low_since: datetime | None


def believe(reading: Reading, live: LiveState, capacity_kwp: float | None, now: datetime) -> Believed:
    """The reading with its implausible values taken out (DOMAIN 3). `now` is the poll's instant."""
    refused: list[str] = []

    def number(name: str, value: float | None, limit: float = LIMIT) -> float | None:
        if value is None or _is_plausible(value, limit):
            return value
        refused.append(name)
        return None

    def instant(name: str, value: datetime | None) -> datetime | None:
        if value is None or EARLIEST <= value <= now:
            return value
        if now < value <= now + FUTURE_TOLERANCE:
            return now
        refused.append(name)
        return None

    last_seen_at = instant("last_seen_at", reading.last_seen_at)
    sampled_at = last_seen_at if reading.sampled_at is None else instant("sampled_at", reading.sampled_at)
    has_no_time = "sampled_at" in refused or (reading.sampled_at is None and "last_seen_at" in refused)
    believed = Reading(
        sampled_at=sampled_at,
        last_seen_at=last_seen_at,
        current_power_w=number("current_power_w", reading.current_power_w),
        today_energy_kwh=number("today_energy_kwh", reading.today_energy_kwh, _day_limit(capacity_kwp)),
        total_energy_kwh=number("total_energy_kwh", reading.total_energy_kwh),
        grid_injection_power_w=number("grid_injection_power_w", reading.grid_injection_power_w),
    )
    if has_no_time:
        believed = Reading(last_seen_at=last_seen_at)
    counter, low_since = _counter(believed.total_energy_kwh, live, sampled_at or now)
    if counter is None and believed.total_energy_kwh is not None:
        refused.append("total_energy_kwh")
        believed = msgspec.structs.replace(believed, total_energy_kwh=None)
    return Believed(believed, tuple(refused), low_since)


def believe_days(energy_kwh: Mapping[date, float], capacity_kwp: float | None) -> tuple[dict[date, float], tuple[str, ...]]:
    """The vendor's daily series without implausible days, and a refusal for each of those (DOMAIN 3)."""
    limit = _day_limit(capacity_kwp)
    believed = {day: energy for day, energy in energy_kwh.items() if _is_plausible(energy, limit)}
    return believed, ("today_energy_kwh",) * (len(energy_kwh) - len(believed))


def _is_plausible(value: float, limit: float) -> bool:
    return math.isfinite(value) and 0 <= value < LIMIT and value <= limit


@lru_cache(maxsize=4_096)
def _day_limit(capacity_kwp: float | None) -> float:
    """The most energy that a day can bring. kWh."""
    # As decimals: 6.6 kWp make 158.4 kWh at most, and not 158.39999999999998.
    return LIMIT if capacity_kwp is None else float(Decimal(repr(capacity_kwp)) * 24)


def _counter(value: float | None, live: LiveState, at: datetime) -> tuple[float | None, datetime | None]:
    """The lifetime counter to believe and since when it reads low: a fall counts only once it has lasted 24 h (a replaced inverter)."""
    if value is None:
        return None, live.counter_low_since
    if live.total_energy_kwh is None or value >= live.total_energy_kwh:
        return value, None
    low_since = live.counter_low_since or at
    if at - low_since >= COUNTER_BASE_AFTER:
        return value, None
    return None, low_since
