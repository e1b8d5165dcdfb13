"""Migrations on a real server: from nothing, again, several at once, and equal to the models."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from psycopg import sql

from controller.domain.errors import StoreUnavailable
from controller.storage import migrate, partitions
from controller.storage.tables import metadata
from hack.devstack.postgres import Postgres
from tests.stack import SolarProcess

COLUMNS = """
    SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
        col_description(c.oid, a.attnum)
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'alembic_version'
"""
CONSTRAINTS = """
    SELECT r.conrelid::regclass::text, r.conname, pg_get_constraintdef(r.oid)
    FROM pg_constraint r JOIN pg_class c ON c.oid = r.conrelid
    WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND c.relname <> 'alembic_version'
"""
INDEXES = """
    SELECT i.tablename, i.indexname, i.indexdef
    FROM pg_indexes i JOIN pg_class c ON c.relname = i.tablename
    WHERE i.schemaname = 'public' AND NOT c.relispartition AND i.tablename <> 'alembic_version'
"""
STORAGE = """
    SELECT c.relname, c.relkind::text, c.reloptions, pg_get_partkeydef(c.oid)
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'alembic_version'
"""
SEQUENCES = "SELECT sequencename, data_type::text, start_value, increment_by, cycle FROM pg_sequences WHERE schemaname = 'public'"


@pytest.fixture
def empty(postgres_server: Postgres) -> Iterator[str]:
    name = f"empty_{uuid4().hex}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


def rows(url: str, query: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {repr(row) for row in connection.execute(query)}


def test_an_empty_database_is_told_from_a_migrated_one(empty: str) -> None:
    assert migrate.current(empty) is None
    assert not migrate.is_current(empty)
    migrate.upgrade(empty)
    assert migrate.current(empty) == migrate.head()
    assert migrate.is_current(empty.replace("postgresql://", "postgresql+psycopg://"))


def test_migrating_again_changes_nothing(empty: str) -> None:
    migrate.upgrade(empty)
    before = rows(empty, COLUMNS) | rows(empty, CONSTRAINTS) | rows(empty, INDEXES)
    migrate.upgrade(empty)
    assert rows(empty, COLUMNS) | rows(empty, CONSTRAINTS) | rows(empty, INDEXES) == before


def test_several_may_migrate_at_once(empty: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate.upgrade, [empty] * 4))
    assert migrate.is_current(empty)
    assert len(rows(empty, "SELECT * FROM alembic_version")) == 1


@pytest.mark.parametrize(
    "catalogue", [COLUMNS, CONSTRAINTS, INDEXES, STORAGE, SEQUENCES], ids=["columns", "constraints", "indexes", "storage", "sequences"]
)
def test_the_models_are_what_the_migrations_build(database: str, empty: str, catalogue: str) -> None:
    engine = sa.create_engine(empty.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    metadata.create_all(engine)
    engine.dispose()
    built = rows(database, catalogue)
    assert built
    assert built == rows(empty, catalogue)


def test_the_coming_days_have_a_partition_once_migrated(database: str) -> None:
    names = rows(database, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'poll_logs'::regclass")
    today = datetime.now(UTC).date()
    assert len(names) >= 8
    for ahead in range(7):
        assert repr((partitions.partition_name(today + timedelta(days=ahead)),)) in names


def test_making_partitions_is_repeatable_and_several_may_at_once(database: str) -> None:
    now = datetime(2031, 5, 5, 12, tzinfo=UTC)

    def ensure(_: int) -> list[str]:
        with psycopg.connect(database, autocommit=True) as connection:
            return partitions.ensure_partitions(connection, now, days_ahead=2)

    with ThreadPoolExecutor(4) as pool:
        made = [name for names in pool.map(ensure, range(4)) for name in names]
    assert sorted(made) == ["poll_logs_20310504", "poll_logs_20310505", "poll_logs_20310506", "poll_logs_20310507"]
    assert ensure(0) == []


def test_old_partitions_are_dropped_by_day(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        partitions.ensure_partitions(connection, datetime(2020, 1, 2, tzinfo=UTC), days_ahead=1)
        assert partitions.drop_partitions(connection, date(2020, 1, 3)) == ["poll_logs_20200101", "poll_logs_20200102"]
        assert partitions.drop_partitions(connection, date(2020, 1, 3)) == []


def test_an_unreachable_server_is_told_as_such_without_its_password() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        migrate.upgrade("postgresql://user:s3cr3t@127.0.0.1:1/solar")
    assert "s3cr3t" not in repr(caught.value)
    assert caught.value.__suppress_context__


# Waiting, as pods of a cluster must


def test_a_database_of_a_later_version_is_left_as_it_is(empty: str) -> None:
    migrate.upgrade(empty)
    with psycopg.connect(empty) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    migrate.upgrade(empty)
    assert migrate.current(empty) == "9999"
    migrate.wait_until_current(empty, timeout_s=0)


def test_whoever_waits_goes_on_once_another_has_migrated(empty: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(migrate.wait_until_current, empty, timeout_s=30)
        migrate.upgrade(empty)
        waiting.result(timeout=30)


def test_whoever_waits_changes_nothing_and_says_what_is_missing(empty: str) -> None:
    with pytest.raises(TimeoutError, match=f"still at nothing, and this version needs {migrate.head()}"):
        migrate.wait_until_current(empty, timeout_s=0)
    assert migrate.current(empty) is None
    assert rows(empty, COLUMNS) == set()


def test_whoever_may_only_read_the_version_can_wait_for_it(empty: str) -> None:
    """Workers and api may have database users of their own (docs/security.md), granted once the tables are there."""
    migrate.upgrade(empty)
    user = f"reader_{uuid4().hex}"
    url = re.sub("//[^@]*@", f"//{user}:reading@", empty)
    with psycopg.connect(empty) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'reading'").format(sql.Identifier(user)))
    with pytest.raises(StoreUnavailable, match="InsufficientPrivilege"):
        migrate.wait_until_current(url, timeout_s=0)
    with psycopg.connect(empty) as connection:
        connection.execute(sql.SQL("GRANT SELECT ON alembic_version TO {}").format(sql.Identifier(user)))
    migrate.wait_until_current(url, timeout_s=0)
    with psycopg.connect(empty) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(user)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


def test_an_older_schema_is_not_current(empty: str) -> None:
    migrate.upgrade(empty)
    with psycopg.connect(empty) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    assert not migrate.is_current(empty)


def test_migrations_are_numbered_in_one_line_of_four_digits() -> None:
    """Which of two versions is the later is told by these numbers, also where one of them is not known here."""
    revisions = [script.revision for script in ScriptDirectory.from_config(migrate._config()).walk_revisions()]
    assert sorted(revisions, reverse=True) == revisions
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)


def test_a_server_that_comes_up_late_is_waited_for(tmp_path: Path) -> None:
    server = Postgres(tmp_path, durable=False)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(migrate.upgrade_when_reachable, server.url, timeout_s=60)
        with server:
            waiting.result(timeout=90)
            assert migrate.is_current(server.url)


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["migrate", "check"])
def test_the_command_says_in_one_line_that_the_wait_was_in_vain(launch: Callable[..., SolarProcess], options: tuple[str, ...]) -> None:
    command = launch("migrate", *options, "--timeout", "0", env={"DATABASE_URL": "postgresql://nobody:s3cr3t@127.0.0.1:9/none"})
    assert command.wait(bound_seconds=60) == 69
    assert "database_is_not_current" in command.log_text()
    assert "Traceback" not in command.log_text()
    assert "s3cr3t" not in command.log_text()


def test_the_command_checks_without_a_change(launch: Callable[..., SolarProcess], empty: str) -> None:
    assert launch("migrate", "--check", "--timeout", "0", env={"DATABASE_URL": empty}).wait(bound_seconds=60) == 69
    assert launch("migrate", env={"DATABASE_URL": empty}).wait(bound_seconds=60) == 0
    assert launch("migrate", "--check", "--timeout", "0", env={"DATABASE_URL": empty}).wait(bound_seconds=60) == 0
