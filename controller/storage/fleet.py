"""Numbers over the whole fleet, for metrics: plain passes over `plants`, which wake nobody and lock nothing. Called by `PostgresStore`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from controller.domain.plant import Status
from controller.domain.schedule import BACKFILL_DAYS, local_date
from controller.domain.status import OFFLINE_AFTER
from controller.domain.sun import Site
from controller.storage.ports import Fleet, SilentPlant
from controller.storage.queries import MIRROR_DUE_AT
from integrations.contract import Brand

Connection = psycopg.Connection[Any]

FLEET = (
    """
SELECT
    brand,
    status,
    count(*),
    count(*) FILTER (WHERE silence_until > %(now)s),
    count(*) FILTER (WHERE integration = 'PAUSED_AUTH_ERROR' AND (silence_until IS NULL OR silence_until <= %(now)s)),
    min(next_poll_at) FILTER (WHERE next_poll_at <= %(now)s AND done_attempt = attempt),
    min(claimed_at) FILTER (WHERE done_attempt < attempt),
    min("""
    + MIRROR_DUE_AT
    + """) FILTER (WHERE version > mirrored_version)
FROM plants
WHERE deleted_at IS NULL
GROUP BY brand, status
"""
)

SILENT = """
SELECT plant_id, brand, timezone, latitude, longitude
FROM plants
WHERE deleted_at IS NULL AND integration = 'ACTIVE' AND status <> 'RED' AND last_seen_at < %(seen_before)s
    AND (silence_until IS NULL OR silence_until <= %(now)s) AND plant_id > %(after)s
ORDER BY plant_id
LIMIT %(limit)s
"""

ZONES = "SELECT DISTINCT timezone FROM plants WHERE deleted_at IS NULL"

# Days come as parameters, for Postgres may not know each zone that we know. Both look-ups go by the primary key; the first ends at one row.
GAPS = """
SELECT p.brand, count(*)
FROM plants p
JOIN unnest(%(zones)s::varchar[], %(days)s::date[]) AS z (timezone, today) ON z.timezone = p.timezone
WHERE p.deleted_at IS NULL AND p.integration = 'ACTIVE' AND p.last_seen_at >= %(seen_since)s
    AND (p.silence_until IS NULL OR p.silence_until <= %(now)s)
    AND EXISTS (SELECT FROM metric_snapshots s WHERE s.plant_id = p.plant_id AND s.date < z.today - %(back)s::integer)
    AND %(back)s::integer > (
        SELECT count(*)
        FROM metric_snapshots s
        WHERE s.plant_id = p.plant_id AND s.date >= z.today - %(back)s::integer AND s.date < z.today
    )
GROUP BY p.brand
"""


def count_fleet(connection: Connection, now: datetime) -> Fleet:
    rows = connection.execute(FLEET, {"now": now}).fetchall()
    schedule_lag_s, claim_age_s, paused = dict.fromkeys(Brand, 0.0), dict.fromkeys(Brand, 0.0), dict.fromkeys(Brand, 0)
    for name, _, _, _, refused, due_since, claimed_since, _ in rows:
        brand = Brand(name)
        schedule_lag_s[brand] = max(schedule_lag_s[brand], _age_s(due_since, now))
        claim_age_s[brand] = max(claim_age_s[brand], _age_s(claimed_since, now))
        paused[brand] += refused
    return Fleet(
        plants={(Brand(brand), Status(status)): count for brand, status, count, *_ in rows},
        silenced={(Brand(brand), Status(status)): silent for brand, status, _, silent, *_ in rows},
        paused=paused,
        schedule_lag_s=schedule_lag_s,
        claim_age_s=claim_age_s,
        mirror_lag_s=max((_age_s(due_at, now) for *_, due_at in rows), default=0.0),
    )


def silent_plants(connection: Connection, seen_before: datetime, now: datetime, limit: int, after: UUID | None) -> list[SilentPlant]:
    parameters = {"seen_before": seen_before, "now": now, "limit": limit, "after": after or UUID(int=0)}
    return [
        SilentPlant(plant_id, Brand(brand), timezone, None if latitude is None else Site(latitude, longitude))
        for plant_id, brand, timezone, latitude, longitude in connection.execute(SILENT, parameters)
    ]


def count_gaps(connection: Connection, now: datetime) -> Mapping[Brand, int]:
    zones = [zone for (zone,) in connection.execute(ZONES)]
    parameters = {
        "zones": zones,
        "days": [local_date(now, ZoneInfo(zone)) for zone in zones],
        "seen_since": now - OFFLINE_AFTER,
        "now": now,
        "back": BACKFILL_DAYS,
    }
    found = {Brand(brand): count for brand, count in connection.execute(GAPS, parameters)}
    return {brand: found.get(brand, 0) for brand in Brand}


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since) / timedelta(seconds=1))
