"""The daily partitions of `poll_logs`: made ahead, dropped by retention. A partition holds the claims of one UTC day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

_LOCK = 0x501A_0002
_PREFIX = "poll_logs_"


def partition_name(day: date) -> str:
    return f"{_PREFIX}{day:%Y%m%d}"


def ensure_partitions(connection: psycopg.Connection[Any], now: datetime, days_ahead: int = 7) -> list[str]:
    """Makes the partitions from yesterday to `days_ahead` days after `now` that are missing, and returns their names.

    Yesterday's is among them for a claim just before midnight UTC by a clock that is a little behind. Safe for several at once.
    """
    today = now.astimezone(UTC).date()
    wanted = [today + timedelta(days=offset) for offset in range(-1, days_ahead + 1)]
    if not _missing(connection, wanted):
        return []
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        missing = _missing(connection, wanted)
        for day in missing:
            _create(connection, day)
    return [partition_name(day) for day in missing]


def drop_partitions(connection: psycopg.Connection[Any], before: date) -> list[str]:
    """Drops the partitions of days before `before` and returns their names.

    Never one that an open claim still needs for its log, however old (PROTOCOL 3).
    """
    row = connection.execute("SELECT min(claimed_at) FROM plants WHERE done_attempt < attempt").fetchone()
    oldest = None if row is None or row[0] is None else row[0].astimezone(UTC).date()
    limit = before if oldest is None else min(before, oldest)
    names = [name for name in sorted(_existing(connection)) if name < partition_name(limit)]
    for name in names:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
    return names


def _existing(connection: psycopg.Connection[Any]) -> set[str]:
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'poll_logs'::regclass"
    )
    return {row[0] for row in rows}


def _missing(connection: psycopg.Connection[Any], wanted: list[date]) -> list[date]:
    existing = _existing(connection)
    return [day for day in wanted if partition_name(day) not in existing]


def _create(connection: psycopg.Connection[Any], day: date) -> None:
    """By way of ATTACH, which lets others write to the table meanwhile; CREATE … PARTITION OF would lock them out."""
    name = sql.Identifier(partition_name(day))
    start = datetime.combine(day, time(0), UTC)
    connection.execute(sql.SQL("CREATE TABLE {} (LIKE poll_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(name))
    connection.execute(
        sql.SQL("ALTER TABLE poll_logs ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            name, sql.Literal(start.isoformat()), sql.Literal((start + timedelta(days=1)).isoformat())
        )
    )


def delete_logs(connection: psycopg.Connection[Any], plant_ids: list[UUID]) -> None:
    """Deletes the logs of purged plants, a partition a statement: their key begins with the instant, so each is read through."""
    for name in sorted(_existing(connection)):
        statement = sql.SQL("DELETE FROM {} WHERE plant_id = ANY(%s)").format(sql.Identifier(name))
        connection.execute(statement, (plant_ids,))
