"""Migrations on a real server: from nothing, again, several at once, and equal to the models."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from controller.domain.errors import StoreUnavailable
from controller.storage import migrate, partitions
from controller.storage.tables import metadata
from hack.devstack.postgres import Postgres

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
