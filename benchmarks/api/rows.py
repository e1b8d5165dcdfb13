"""Rows of a large fleet, made by Postgres itself: plants, their days, alerts and job records, the same for the same numbers.

`fill` is used by the benchmark of the read API and, with fewer plants, by its tests.
"""

from datetime import date, datetime
from typing import Any

import psycopg

MANY_OWNER, FEW_OWNER = "owner-many", "owner-few"
"""The first has a tenth of all plants, the second three. Every third plant of the others has an owner of its own."""
RARE_ZONE = "Pacific/Chatham"
"""Three plants are there."""


def fill(connection: psycopg.Connection[Any], plants: int, days: int, logs: int, now: datetime) -> None:
    """Adds `plants` live plants with `days` days each, two alerts for every plant on average, and `logs` job records each.

    One plant in twenty is RED with an open CRITICAL alert. Needs the partitions of the poll logs of `now`'s day.
    """
    parameters = {"plants": plants, "days": days, "logs": logs, "now": now, "many": MANY_OWNER, "few": FEW_OWNER, "zone": RARE_ZONE}
    for statement in (_PLANTS, _DAYS, _ALERTS, _LOGS):
        connection.execute(statement, parameters)


def analyse(connection: psycopg.Connection[Any]) -> None:
    """What autovacuum does in time."""
    connection.execute("VACUUM ANALYZE plants, alerts, metric_snapshots, poll_logs")


def partition_day(now: datetime) -> date:
    return now.date()


_PLANTS = """
INSERT INTO plants (
    plant_id, namespace, name, uid, generation, brand, vendor_plant_id, display_name, owner_customer_id, timezone, capacity_kwp,
    poll_interval_s, suspend, status_policy, history_policy, scenario, integration, active_since, status, reason, status_since, explain,
    last_seen_at, sampled_at, current_power_w, grid_injection_power_w, total_energy_kwh, last_poll_at, last_success_at, created_at,
    resource_version, changed_at, next_poll_at, attempt, done_attempt, claimed_at, day_date, day_energy_kwh, open_alerts, open_critical,
    logged_at
)
SELECT
    md5('plant' || n)::uuid,
    'fleet',
    'plant-' || n,
    'uid-' || n,
    1,
    (ARRAY['SOLIS', 'HUAWEI', 'GOODWE', 'DELE'])[1 + n %% 4],
    'V' || n,
    'Roof number ' || n,
    CASE WHEN n <= 3 THEN %(few)s WHEN n %% 10 = 0 THEN %(many)s WHEN n %% 3 = 0 THEN 'owner-' || n END,
    CASE WHEN n BETWEEN 7 AND 9 THEN %(zone)s ELSE (ARRAY['America/Sao_Paulo', 'Europe/Lisbon', 'Asia/Kolkata'])[1 + n %% 3] END,
    5,
    600,
    false,
    'Strict',
    'Retain',
    'healthy',
    'ACTIVE',
    %(now)s::timestamptz - interval '90 days',
    CASE WHEN n %% 20 = 0 THEN 'RED' WHEN n %% 50 = 1 THEN 'YELLOW' ELSE 'GREEN' END,
    CASE WHEN n %% 20 = 0 THEN 'CriticalAlert' WHEN n %% 50 = 1 THEN 'Stale' ELSE 'Reporting' END,
    %(now)s::timestamptz - interval '3 days',
    ARRAY['The plant reports: its newest reading is of ' || %(now)s::timestamptz, 'Nothing else is known.'],
    %(now)s::timestamptz - interval '2 minutes',
    %(now)s::timestamptz - interval '2 minutes',
    1234.5678,
    234.5,
    10000.25 + n,
    %(now)s::timestamptz - interval '1 minute',
    %(now)s::timestamptz - interval '1 minute',
    %(now)s::timestamptz - interval '90 days',
    n,
    %(now)s,
    %(now)s::timestamptz + interval '9 minutes',
    n,
    n,
    %(now)s::timestamptz - interval '1 minute',
    (%(now)s::timestamptz AT TIME ZONE 'UTC')::date,
    12.34567,
    CASE WHEN n %% 20 = 0 THEN 1 ELSE 0 END,
    CASE WHEN n %% 20 = 0 THEN 1 ELSE 0 END,
    %(now)s::timestamptz - interval '1 minute'
FROM generate_series(1, %(plants)s) AS n
"""

# Day by day, as they come in real life: a plant's rows lie on as many pages.
_DAYS = """
INSERT INTO metric_snapshots (
    plant_id, date, timezone, today_energy_kwh, peak_power_w, current_power_w, total_energy_kwh, last_seen_at, source_sampled_at, backfilled
)
SELECT
    md5('plant' || n)::uuid,
    (%(now)s::timestamptz AT TIME ZONE 'UTC')::date - back,
    'America/Sao_Paulo',
    12.34567,
    3000,
    1234.5678,
    10000.25 + n,
    %(now)s,
    %(now)s,
    false
FROM generate_series(%(days)s - 1, 0, -1) AS back, generate_series(1, %(plants)s) AS n
"""

_ALERTS = """
INSERT INTO alerts (
    id, plant_id, type, severity, state, vendor_alarm_code, device_sn, message, opened_at, last_seen_at, acked_at, resolved_at
)
SELECT
    md5('alert' || n || '/' || past)::uuid,
    md5('plant' || n)::uuid,
    CASE WHEN past > 0 AND n %% 2 = 0 THEN 'OFFLINE' ELSE 'MOCK_FAULT' END,
    CASE WHEN past = 0 OR n %% 2 = 0 THEN 'CRITICAL' ELSE (ARRAY['LOW', 'MEDIUM', 'HIGH'])[1 + n %% 3] END,
    CASE WHEN past > 0 THEN 'RESOLVED' WHEN n %% 40 = 0 THEN 'ACKED' ELSE 'NEW' END,
    '1015',
    'INV-' || n,
    'Grid voltage was out of range for a while; the inverter went off and came back by itself.',
    %(now)s::timestamptz - interval '30 days' * ((n * 7919 + past * 104729) %% 100003) / 100003.0,
    %(now)s::timestamptz - interval '1 minute',
    CASE WHEN past = 0 AND n %% 40 = 0 THEN %(now)s::timestamptz - interval '1 hour' END,
    CASE WHEN past > 0 THEN %(now)s::timestamptz - interval '1 hour' END
FROM generate_series(1, %(plants)s) AS n, generate_series(0, 2) AS past
WHERE (past = 0 AND n %% 20 = 0) OR (past > 0 AND (n + past) %% 2 = 0) OR past = 2
"""

_LOGS = """
INSERT INTO poll_logs (
    plant_id, job_id, job_type, attempt, status, duration_ms, claimed_at, started_at, finished_at, previous_at
)
SELECT
    md5('plant' || n)::uuid,
    'poll:plant:' || md5('plant' || n)::uuid || ':latest',
    'POLL',
    n + back,
    'SUCCESS',
    12,
    at,
    at,
    at,
    CASE WHEN back < %(logs)s - 1 THEN at - interval '1 minute' END
FROM generate_series(%(logs)s - 1, 0, -1) AS back, generate_series(1, %(plants)s) AS n,
    LATERAL (SELECT %(now)s::timestamptz - interval '1 minute' * (back + 1) AS at) AS times
"""
