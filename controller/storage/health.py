"""What `solarinvest doctor` asks of Postgres: one connection, a few reads, each bounded. Changes nothing."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg

from controller.domain.errors import StoreUnavailable
from controller.storage.database import BoundedConnection, Secret, connect_cause, conninfo, translated_errors
from controller.storage.migrate import head

WITHIN_S = 5
"""Seconds for the connection, and for each statement."""
OLDEST_VERSION = 15
"""Unique indexes in which nulls are equal came with it; migrations make one."""
_TABLES = ("plants", "alerts", "metric_snapshots", "poll_logs", "alembic_version")
_READ, _WRITE = ("SELECT",), ("SELECT", "INSERT", "UPDATE")
_NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "worker": {
        "plants": ("SELECT", "UPDATE"),
        "alerts": _WRITE,
        "metric_snapshots": _WRITE,
        "poll_logs": ("INSERT",),
        "alembic_version": _READ,
    },
    "api": dict.fromkeys(_TABLES, _READ),
}
"""As docs/security.md grants them. Operator and migrate own the tables instead: they make and drop partitions."""

_SERVER = """
SELECT current_setting('server_version'), current_setting('server_version_num')::integer / 10000, pg_is_in_recovery(),
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), clock_timestamp(),
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
"""
_RIGHTS = """
SELECT wanted.name, c.oid IS NOT NULL, coalesce(pg_has_role(c.relowner, 'USAGE'), false),
    ARRAY(SELECT verb FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) verb WHERE has_table_privilege(c.oid, verb))
FROM unnest(%s::text[]) WITH ORDINALITY wanted (name, place) LEFT JOIN pg_class c ON c.oid = to_regclass(wanted.name)
ORDER BY wanted.place
"""


class DatabaseHealth(msgspec.Struct, frozen=True):
    """What the server says of itself and of what we may do there."""

    version: str
    major: int
    is_standby: bool
    is_superuser: bool
    clock_ahead_s: float
    """The server's clock minus ours, measured in the middle of one exchange of `took_s`."""
    took_s: float
    revision: str | None
    """Of the schema; None before the first migration, or where `alembic_version` may not be read."""
    newest_revision: str
    missing: dict[str, tuple[str, ...]]
    """By role of ours, what its database user would lack: `SELECT on plants`, `CREATE on the schema`, `ownership of plants`."""


class _Connection(BoundedConnection):
    frozen_after_s = WITHIN_S + 1.0


def examine(database_url: str | Secret) -> DatabaseHealth:
    """Raises `StoreUnavailable` with the cause in words, never with what was given."""
    text = conninfo(database_url, "solarinvest-doctor")
    try:
        connection = _Connection.connect(text, autocommit=True)
    except psycopg.Error as error:
        raise StoreUnavailable(connect_cause(error)) from None
    with translated_errors(), connection:
        connection.execute(f"SET statement_timeout = '{WITHIN_S}s'")
        return _read(connection)


def _read(connection: psycopg.Connection[tuple[Any, ...]]) -> DatabaseHealth:
    began, before = datetime.now(UTC), time.monotonic()
    row = connection.execute(_SERVER).fetchone()
    took_s = time.monotonic() - before
    assert row is not None
    version, major, is_standby, is_superuser, clock, may_create = row
    rights = {name: (exists, owns, set(verbs)) for name, exists, owns, verbs in connection.execute(_RIGHTS, (list(_TABLES),))}
    return DatabaseHealth(
        version=version,
        major=major,
        is_standby=is_standby,
        is_superuser=is_superuser,
        clock_ahead_s=(clock - began).total_seconds() - took_s / 2,
        took_s=took_s,
        revision=_revision(connection),
        newest_revision=head(),
        missing=_missing(may_create, rights),
    )


def _revision(connection: psycopg.Connection[tuple[Any, ...]]) -> str | None:
    known = connection.execute("SELECT has_table_privilege(to_regclass('alembic_version'), 'SELECT')").fetchone()
    if known is None or not known[0]:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _missing(may_create: bool, rights: dict[str, tuple[bool, bool, set[str]]]) -> dict[str, tuple[str, ...]]:
    there = {name: (owns, verbs) for name, (exists, owns, verbs) in rights.items() if exists}

    def lacking(needs: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(f"{verb} on {name}" for name, (_, held) in there.items() for verb in needs[name] if verb not in held)

    owner: tuple[str, ...] = () if may_create else ("CREATE on the schema",)
    foreign = [name for name, (owns, _) in there.items() if not owns]
    if foreign:
        owner += ("ownership of the tables",) if len(foreign) == len(there) else (f"ownership of {', '.join(foreign)}",)
    return {"operator": owner, "worker": lacking(_NEEDS["worker"]), "api": lacking(_NEEDS["api"]), "migrate": owner}
