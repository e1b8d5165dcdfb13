"""The plants that every subject polls: rows as a fleet leaves them that has been watched for nine days. Called by `bench`."""

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from controller.domain.plant import plant_id_for
from integrations.contract import Brand

NAMESPACE = "bench"
HISTORY_DAYS = 9
"""Days with a row, today's included."""
OLD_LOGS = 10
"""PollLogs of yesterday a plant."""
INTERVAL_S = 315_360_000
"""Ten years: whatever a poll sets as its next slot, none falls due again while the bench runs."""


class Make(NamedTuple):
    """What the recordings of a brand are of: ids that its adapter accepts, size, and a clear day's energy."""

    first_id: int
    id_format: str
    capacity_kwp: float
    day_kwh: float


MAKES = {
    Brand.SOLIS: Make(1298491919448100000, "{}", 6.6, 39.1),
    Brand.HUAWEI: Make(33560000, "NE={}", 8.2, 48.28),
    Brand.GOODWE: Make(555555560000, "11111111-2222-4333-8444-{}", 5.2, 31.9),
    Brand.DELE: Make(61100000, "{}", 10.4, 59.64),
}
PLACES = (
    ("America/Sao_Paulo", -23.5, -46.6),
    ("Europe/Lisbon", 38.7, -9.1),
    ("Asia/Kolkata", 22.6, 88.4),
    ("Pacific/Auckland", -36.8, 174.8),
)
SCENARIOS = ("fault", "fault", "low-generation", *["healthy"] * 17)
"""One plant in ten has an alarm that lasts, one in twenty makes too little."""

_PLANTS = """
COPY plants (
    plant_id, namespace, name, uid, generation, brand, vendor_plant_id, timezone, latitude, longitude, capacity_kwp, poll_interval_s,
    suspend, status_policy, history_policy, scenario, integration, active_since, status, reason, status_since, explain, last_seen_at,
    sampled_at, current_power_w, last_poll_at, last_success_at, polled_generation, created_at, resource_version, version, changed_at
) FROM STDIN
"""

# Day by day, as they were written: a plant's days do not lie together.
_DAYS = """
INSERT INTO metric_snapshots (
    plant_id, date, timezone, today_energy_kwh, peak_power_w, current_power_w, total_energy_kwh, last_seen_at, source_sampled_at,
    backfilled, sampled_energy_kwh
)
SELECT
    p.plant_id, (now() AT TIME ZONE p.timezone)::date - back, p.timezone, e.kwh, e.kwh * 140, 0, NULL, now() - back * interval '1 day',
    now() - back * interval '1 day', false, e.kwh
FROM generate_series(%(days)s - 1, 0, -1) AS back
CROSS JOIN plants p
CROSS JOIN LATERAL (SELECT CASE WHEN back = 0 THEN 0 ELSE p.capacity_kwp * (5 + (hashtext(p.name || back) & 1023) / 1023.0) END AS kwh) AS e
ORDER BY back DESC, p.name
"""

_ALERTS = """
INSERT INTO alerts (id, plant_id, type, severity, state, vendor_alarm_code, device_sn, message, opened_at, last_seen_at, resolved_at)
SELECT
    gen_random_uuid(), p.plant_id, 'MOCK_FAULT', 'MEDIUM', CASE WHEN number = 1 THEN 'NEW' ELSE 'RESOLVED' END, 'B' || number, 'SN-1',
    'Grid voltage out of range', now() - number * interval '1 day', now() - number * interval '1 day' + interval '1 hour',
    CASE WHEN number > 1 THEN now() - number * interval '1 day' + interval '1 hour' END
FROM generate_series(3, 1, -1) AS number CROSS JOIN plants p
ORDER BY number DESC, p.name
"""

_LOGS = """
INSERT INTO poll_logs (plant_id, job_id, job_type, attempt, status, duration_ms, claimed_at, started_at, finished_at)
SELECT
    p.plant_id, 'poll:plant:' || p.plant_id || ':latest', 'POLL', nextval('plant_attempts'), 'SUCCESS', 1, at, at, at
FROM generate_series(1, %(logs)s) AS number
CROSS JOIN plants p
CROSS JOIN LATERAL (SELECT date_trunc('day', now(), 'UTC') - number * interval '10 minutes' AS at) AS instants
"""


def seed(connection: psycopg.Connection[Any], count: int, now: datetime) -> None:
    """Fills a migrated, empty database with `count` plants of all brands and zones. None is due yet."""
    with connection.cursor().copy(_PLANTS) as copy:
        for row in _rows(count, now):
            copy.write_row(row)
    connection.execute(_DAYS, {"days": HISTORY_DAYS})
    connection.execute(_ALERTS)
    connection.execute(_LOGS, {"logs": OLD_LOGS})
    connection.commit()


def plant_name(number: int) -> str:
    """Names sort as the plants were made: the pgbench script takes them in runs."""
    return f"plant-{number:07}"


def _rows(count: int, now: datetime) -> Iterator[tuple[object, ...]]:
    scattered = random.Random(count)
    for number in range(count):
        brand, (zone, latitude, longitude) = list(Brand)[number % 4], PLACES[number // 4 % 4]
        make = MAKES[brand]
        vendor_id = make.id_format.format(make.first_id + number)
        plant_id: UUID = plant_id_for(NAMESPACE, brand, vendor_id)
        yield (
            *(plant_id, NAMESPACE, plant_name(number), f"uid-{number}", 1, brand.value, vendor_id, zone),
            *(latitude + scattered.uniform(-2, 2), longitude + scattered.uniform(-2, 2), make.capacity_kwp, INTERVAL_S, False),
            *("Strict", "Retain", SCENARIOS[number // 16 % len(SCENARIOS)], "ACTIVE", now, "GREEN", "Reporting", now, ["GREEN: seeded."]),
            *(now, now, 0.0, now, now, 1, now, 1, 1, now),
        )
