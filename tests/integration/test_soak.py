"""The simulated month on a real Postgres, three days of it: every claim closed with one PollLog, alerts and partitions come and go."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from benchmarks.soak import sizes
from benchmarks.soak.month import Month
from controller.storage.database import Database
from controller.storage.store import PostgresStore

START = datetime(2031, 3, 10, tzinfo=UTC)
PLANTS, KEPT_DAYS = 20, 1
STEP = timedelta(minutes=30)


@pytest.fixture
def store(database: str) -> Iterator[PostgresStore]:
    opened = Database(database, "test-soak")
    yield PostgresStore(opened)
    opened.close()


@pytest.fixture
def month(store: PostgresStore) -> Month:
    month = Month(store, PLANTS, START, STEP, KEPT_DAYS, lambda: None)
    month.begin()
    return month


def test_days_pass_with_every_job_closed_and_logged(month: Month, database: str) -> None:
    days = [month.day(START + timedelta(days=number)) for number in (1, 2, 3)]
    with psycopg.connect(database) as connection:
        tables, partitions = sizes.tables(connection), sizes.partitions(connection)
        logs = sizes.number(connection, "SELECT count(*) FROM poll_logs WHERE claimed_at >= %s", (START + timedelta(days=2),))
        assert sizes.number(connection, "SELECT count(*) FROM plants WHERE done_attempt < attempt") == 0
        alerts = sizes.number(connection, "SELECT count(DISTINCT state) FROM alerts")
    assert logs == days[2].jobs > days[2].polls >= PLANTS * 40
    assert tables["plants"].rows == PLANTS
    assert tables["metric_snapshots"].rows > PLANTS
    assert alerts == 2, "alerts open and resolve as scenarios change"
    # 2031-03-09 to 11 are past what is kept; the day of the last look, the next seven and what retention keeps are there.
    assert [name for day in days for name in day.dropped] == ["poll_logs_20310309", "poll_logs_20310310"]
    assert partitions == KEPT_DAYS + 1 + 7
    assert all(day.mirrored >= day.polls for day in days)


def test_plants_leave_and_come(store: PostgresStore, database: str) -> None:
    month = Month(store, 100, START, timedelta(hours=6), KEPT_DAYS, lambda: None)
    month.begin()
    assert month.day(START + timedelta(days=1)).purged == 1
    with psycopg.connect(database) as connection:
        assert sizes.number(connection, "SELECT count(*) FROM plants") == 100
        assert sizes.number(connection, "SELECT count(*) FROM plants WHERE name = 'plant-0000100'") == 1
