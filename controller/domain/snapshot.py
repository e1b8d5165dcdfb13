"""The local days of a plant: how samples and the vendor's daily series make and raise them (DOMAIN 4, locked)."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from controller.domain.plant import Snapshot
from controller.domain.schedule import BACKFILL_DAYS, day_exists, local_date, preceding_day
from integrations.contract import Reading


def merge_sample(days: Collection[Snapshot], reading: Reading, zone: ZoneInfo, now: datetime) -> Snapshot | None:
    """The row that a believed reading makes or changes, or None where it changes none.

    The day is the local day of the sample, not of the clock. Samples older than D-3 are ignored; no energy makes no row.
    """
    if reading.sampled_at is None:
        return None
    day = local_date(reading.sampled_at, zone)
    if day < local_date(now, zone) - timedelta(days=BACKFILL_DAYS):
        return None
    row = row_of(days, day)
    if row is None:
        return None if reading.today_energy_kwh is None else _new_row(day, reading, zone)
    return _merged(row, reading, lambda: row_of(days, preceding_day(day, zone)))


def row_of(days: Iterable[Snapshot], day: date) -> Snapshot | None:
    """The row of `day`, if there is one. Days come newest first, so that a poll's is found at once."""
    for row in days:
        if row.date == day:
            return row
    return None


def merge_series(days: Iterable[Snapshot], energy_kwh: Mapping[date, float], closing: date, zone: ZoneInfo) -> tuple[Snapshot, ...]:
    """The rows that the vendor's daily series makes or raises when the day `closing` is closed: D-3..D-0, never lowered.

    A 0 for a day without a row is no data, and so is a day that the zone skipped. Made rows are `backfilled` and have no peak.
    """
    by_date = {row.date: row for row in days}
    changed = []
    for back in range(BACKFILL_DAYS, -1, -1):
        day = closing - timedelta(days=back)
        energy, row = energy_kwh.get(day), by_date.get(day)
        if energy is None or not day_exists(day, zone):
            continue
        if row is None and energy > 0:
            changed.append(Snapshot(date=day, timezone=zone.key, today_energy_kwh=energy, backfilled=True))
        elif row is not None and energy > row.today_energy_kwh:
            changed.append(msgspec.structs.replace(row, today_energy_kwh=energy, energy_raised=True))
    return tuple(changed)


def _new_row(day: date, reading: Reading, zone: ZoneInfo) -> Snapshot:
    assert reading.today_energy_kwh is not None
    return Snapshot(
        date=day,
        timezone=zone.key,
        today_energy_kwh=reading.today_energy_kwh,
        peak_power_w=reading.current_power_w,
        current_power_w=reading.current_power_w,
        total_energy_kwh=reading.total_energy_kwh,
        grid_injection_power_w=reading.grid_injection_power_w,
        last_seen_at=reading.last_seen_at,
        source_sampled_at=reading.sampled_at,
        sampled_energy_kwh=reading.today_energy_kwh,
    )


def _merged(row: Snapshot, reading: Reading, find_yesterday: Callable[[], Snapshot | None]) -> Snapshot | None:
    """`find_yesterday` is called only where the energy has fallen: which local day preceded is dear to know."""
    merged = _with_energy(row, reading.today_energy_kwh, find_yesterday)
    peak_power_w = _greater(row.peak_power_w, reading.current_power_w)
    if row.source_sampled_at is None or (reading.sampled_at is not None and reading.sampled_at >= row.source_sampled_at):
        merged = msgspec.structs.replace(
            merged,
            peak_power_w=peak_power_w,
            current_power_w=reading.current_power_w,
            # A falling counter was refused before, or is the new base after an inverter was replaced (DOMAIN 3).
            total_energy_kwh=row.total_energy_kwh if reading.total_energy_kwh is None else reading.total_energy_kwh,
            grid_injection_power_w=reading.grid_injection_power_w,
            last_seen_at=reading.last_seen_at or row.last_seen_at,
            source_sampled_at=reading.sampled_at,
        )
    else:
        merged = msgspec.structs.replace(merged, peak_power_w=peak_power_w)
    return None if merged == row else merged


def _with_energy(row: Snapshot, energy: float | None, find_yesterday: Callable[[], Snapshot | None]) -> Snapshot:
    """The day's energy only rises, unless it merely repeats yesterday's final value because the vendor resets late (DOMAIN 4)."""
    if energy is None:
        return row
    if energy < row.today_energy_kwh:
        if not _repeats(row, find_yesterday()):
            return msgspec.structs.replace(row, sampled_energy_kwh=_greater(row.sampled_energy_kwh, energy))
        return msgspec.structs.replace(row, today_energy_kwh=energy, sampled_energy_kwh=energy)
    return msgspec.structs.replace(
        row,
        today_energy_kwh=energy,
        sampled_energy_kwh=_greater(row.sampled_energy_kwh, energy),
        energy_raised=row.energy_raised or energy > row.today_energy_kwh,
    )


def _repeats(row: Snapshot, yesterday: Snapshot | None) -> bool:
    """Whether all that is known of the day is yesterday's final value: as its samples named it, or as the series has raised it since."""
    if yesterday is None or row.backfilled or row.energy_raised:
        return False
    return row.today_energy_kwh in (yesterday.today_energy_kwh, yesterday.sampled_energy_kwh)


def _greater(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return a if b is None else b
    return max(a, b)
