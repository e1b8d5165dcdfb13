"""When a plant is polled and when its days are closed. Pure arithmetic on instants (DOMAIN 2 and 4)."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from integrations.contract import VendorCapabilities

CLOSE_AT = time(23, 50)
CLOSE_SPREAD_S = 540
"""Daily jobs are spread over the nine minutes after 23:50 local, so that none falls into the next day (DOMAIN 4)."""
DAY_RETRY_MIN = timedelta(minutes=1)
DAY_RETRY_MAX = timedelta(hours=1)
BACKFILL_DAYS = 3
"""A day is open to samples and backfill until three local days later (DOMAIN 4)."""
ALONE_AFTER_LOSSES = 2
LOSS_PAUSE_MAX = timedelta(hours=1)
_PHASE_RANGE_S = 86_400 * 7


def effective_interval_s(declared_s: int, capabilities: VendorCapabilities) -> int:
    """Seconds between two polls (DOMAIN 2): never less than the vendor recommends."""
    return max(declared_s, capabilities.recommended_min_interval_seconds)


def lock_ttl_s(interval_s: int) -> int:
    """TTL of `lock:plant:{id}` (DOMAIN 1, locked): two intervals. Seconds."""
    return 2 * interval_s


def runs_alone(losses: int) -> bool:
    """Whether a plant that was lost so often running may be what ends its workers, so that it must take no other along (PROTOCOL 20)."""
    return losses >= ALONE_AFTER_LOSSES


def loss_pause(losses: int, interval_s: int) -> timedelta:
    """Until a lost poll is tried again: at once, but once it was lost alone, an interval, then two, four, and at most an hour or one."""
    if losses <= ALONE_AFTER_LOSSES:
        return timedelta(0)
    interval = timedelta(seconds=interval_s)
    return min(interval * (1 << min(losses - ALONE_AFTER_LOSSES - 1, 10)), max(LOSS_PAUSE_MAX, interval))


def phase_s(plant_id: UUID) -> int:
    """A number of seconds fixed by the plant's id, by which its polls and closes are shifted against other plants'."""
    return plant_id.int % _PHASE_RANGE_S


def next_slot(plant_id: UUID, interval_s: int, after: datetime) -> datetime:
    """The first instant of the plant's phase grid strictly after `after`."""
    phase = phase_s(plant_id) % interval_s
    passed = (int(after.timestamp()) - phase) // interval_s
    return datetime.fromtimestamp((passed + 1) * interval_s + phase, UTC)


def local_date(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def day_exists(day: date, zone: ZoneInfo) -> bool:
    """False for a day that a zone skipped as it crossed the date line (Pacific/Apia, 2011-12-30)."""
    return _exists(datetime.combine(day, time(12)), zone)


def following_day(day: date, zone: ZoneInfo) -> date:
    """The local day after `day` that exists."""
    return _next_existing(day, zone, timedelta(days=1))


def preceding_day(day: date, zone: ZoneInfo) -> date:
    """The local day before `day` that exists."""
    return _next_existing(day, zone, timedelta(days=-1))


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants at which the local day begins and ends: 23, 24, 25 hours apart, or otherwise. UTC."""
    # Local midnight in a gap, also in one of a whole day, maps to the instant at which the next day begins.
    begin, end = (datetime.combine(each, time(0), tzinfo=zone).astimezone(UTC) for each in (day, day + timedelta(days=1)))
    return begin, end


@lru_cache(maxsize=16_384)
def close_at(day: date, zone: ZoneInfo, phase: int) -> datetime:
    """When the daily job of `day` runs: 23:50 local plus the phase, or the end of the day where 23:50 does not exist (DOMAIN 4). UTC."""
    wall = datetime.combine(day, CLOSE_AT)
    if not _exists(wall, zone):
        # Local midnight after a gap maps to the instant at which the next day begins.
        return datetime.combine(day + timedelta(days=1), time(0), tzinfo=zone).astimezone(UTC)
    return wall.replace(tzinfo=zone).astimezone(UTC) + timedelta(seconds=phase % CLOSE_SPREAD_S)


def day_retry_at(day: date, zone: ZoneInfo, phase: int, now: datetime) -> datetime:
    """When a daily job that failed runs again: after as long as it is late already, so that the pauses double up to an hour.

    Never before the day's close, which a changed timezone may have moved ahead.
    """
    due = close_at(day, zone, phase)
    return max(due, now + min(max(now - due, DAY_RETRY_MIN), DAY_RETRY_MAX))


def _next_existing(day: date, zone: ZoneInfo, step: timedelta) -> date:
    candidate = day + step
    while not day_exists(candidate, zone):
        candidate += step
    return candidate


def _exists(wall: datetime, zone: ZoneInfo) -> bool:
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall
