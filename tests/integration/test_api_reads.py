"""What the read API's statements do on a real Postgres: read only, few of them, bounded pages, and no customer's rows for another."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest

from benchmarks.api.rows import FEW_OWNER, MANY_OWNER, RARE_ZONE, analyse, fill
from controller.domain.errors import StoreUnavailable
from controller.domain.judge import judge_declared, judge_job
from controller.domain.outcome import Seen, SeenDays
from controller.domain.plant import AlertState, AlertType, Declaration, JobType, Status, plant_id_for
from controller.storage import reads
from controller.storage.database import Database
from controller.storage.read_sessions import ReadSession, ReadSessions
from controller.storage.reads import AlertFilter, AlertKey, PlantFilter, Reads
from controller.storage.store import PostgresStore
from hack.devstack.postgres import Postgres
from integrations.contract import Alarm, AlarmList, Brand, Reading, Severity
from tests.stack import wait_until

pytestmark = [pytest.mark.xdist_group("read-api"), pytest.mark.lasts(80)]

NOW = datetime(2026, 1, 15, 15, 0, 0, 123456, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
BUFFERS_MAX = 2_000
"""Of 8 kB each: the most that a page may read, whatever is asked for."""
replace = msgspec.structs.replace


@pytest.fixture
def store(database: str) -> Iterator[PostgresStore]:
    opened = Database(database, "test-api-store")
    yield PostgresStore(opened)
    opened.close()


@pytest.fixture
def sessions(database: str) -> Iterator[ReadSessions]:
    opened = ReadSessions(database, "test-api-reads")
    yield opened
    opened.close()


@pytest.fixture
def read(sessions: ReadSessions) -> Reads:
    return Reads(sessions)


def declare(store: PostgresStore, name: str, owner: str | None = None, version: int = 10, now: datetime = NOW, **changes: Any) -> UUID:
    declaration = Declaration(
        namespace="ns", name=name, uid=f"uid-{name}", generation=version, brand=Brand.SOLIS, vendor_plant_id=name, owner_customer_id=owner
    )
    plant_id = plant_id_for("ns", Brand.SOLIS, name)
    store.apply(plant_id, replace(declaration, **changes), version, now, judge_declared)
    return plant_id


def poll(store: PostgresStore, now: datetime, *alarms: Alarm, energy_kwh: float = 3.0) -> None:
    """Every plant that is due."""
    for job in store.claim_polls(now, 100):
        context = store.read([job.plant_id])[job.plant_id]
        reading = Reading(sampled_at=now, last_seen_at=now, current_power_w=512.34, today_energy_kwh=energy_kwh, total_energy_kwh=1000.0)
        outcome = judge_job(context, context, job, Seen(reading, AlarmList(alarms, complete=True)), now, now + SECOND)
        assert store.write([outcome]) == {job.plant_id}


FAULT = Alarm("1015", "SN-1", Severity.CRITICAL, "Grid lost", None, is_active=True)
DIP = Alarm("2000", "SN-1", Severity.HIGH, "Grid low", None, is_active=True)


# Read only


def test_a_session_of_the_api_cannot_write(sessions: ReadSessions) -> None:
    for statement in (
        "DELETE FROM plants",
        "CREATE TABLE mine (x int)",
        "SELECT nextval('plant_attempts')",
        "UPDATE plants SET name = 'x'",
    ):
        with pytest.raises(StoreUnavailable, match=r"ReadOnlySqlTransaction \(25006\)"):
            sessions.run(lambda session, statement=statement: session.execute(statement))  # type: ignore[misc]
    assert sessions.is_reachable()


def test_a_statement_that_takes_too_long_is_ended_by_the_server(sessions: ReadSessions) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="QueryCanceled"):
        sessions.run(lambda session: session.execute("SELECT pg_sleep(30)"))
    assert 1.5 < time.monotonic() - began < 10
    assert sessions.is_reachable(), "its session goes on"


def test_a_url_cannot_take_the_bounds_off(database: str) -> None:
    loose = ReadSessions(f"{database}?options=-c%20default_transaction_read_only%3Doff%20-c%20statement_timeout%3D0", "test-api")
    shown = loose.run(
        lambda session: [session.execute(f"SHOW {name}").fetchone() for name in ("transaction_read_only", "statement_timeout")]
    )
    assert shown == [("on",), ("2s",)]
    loose.close()


# The database away


def test_a_database_that_is_down_is_told_at_once(postgres_server: Postgres, read: Reads) -> None:
    assert read.plants(None, PlantFilter(), 10, NOW).rows == []
    postgres_server.kill()
    for _ in range(5):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            read.plants(None, PlantFilter(), 10, NOW)
        assert time.monotonic() - began < 1
    postgres_server.start()
    wait_until(lambda: _answers(read), 10, "the database to be read again")


def test_a_restart_between_two_questions_fails_neither(postgres_server: Postgres, read: Reads) -> None:
    assert read.plants(None, PlantFilter(), 10, NOW).rows == []
    postgres_server.kill()
    postgres_server.start()
    assert read.plants(None, PlantFilter(), 10, NOW).rows == [], "the session that ended was found out, and another made"


def test_a_database_that_is_frozen_is_given_up_within_its_bound(postgres_server: Postgres, read: Reads) -> None:
    assert read.plants(None, PlantFilter(), 10, NOW).rows == []
    postgres_server.pause()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        read.plants(None, PlantFilter(), 10, NOW)
    assert time.monotonic() - began < ReadSession.frozen_after_s + 1
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="a moment ago"):
        read.plants(None, PlantFilter(), 10, NOW)
    assert time.monotonic() - began < 0.5, "who asks next is told at once"
    with ThreadPoolExecutor(6) as pool:
        took: list[float] = []

        def one_tries() -> bool:
            took[:] = pool.map(lambda _: _seconds(read), range(6))
            return max(took) > 1

        wait_until(one_tries, 15, "somebody to try again")
        assert sum(seconds > 0.5 for seconds in took) == 1, "the others are told at once meanwhile"
    postgres_server.resume()
    wait_until(lambda: _answers(read), 10, "the database to be read again")


def _seconds(read: Reads) -> float:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        read.plants(None, PlantFilter(), 10, NOW)
    return time.monotonic() - began


def _answers(read: Reads) -> bool:
    try:
        read.plants(None, PlantFilter(), 10, NOW)
    except StoreUnavailable:
        return False
    return True


# What is shown


def test_a_polled_plant_shows_what_the_poll_brought(store: PostgresStore, read: Reads) -> None:
    plant_id = declare(store, "roof", owner="carla")
    poll(store, NOW + MINUTE, FAULT, DIP, energy_kwh=3.14159)
    (plant,) = read.plants(None, PlantFilter(), 10, NOW + 2 * MINUTE).rows
    assert (plant.plant_id, plant.status, plant.current_power_w, plant.today_energy_kwh) == (plant_id, Status.RED, 512.3, 3.142)
    assert plant.last_seen_at == datetime(2026, 1, 15, 15, 1, tzinfo=UTC), "cut to the second, as in the resource"
    assert msgspec.structs.astuple(plant.open_alerts) == (2, 1, 1, 0)
    poll(store, NOW + 20 * MINUTE, DIP)
    (plant,) = read.plants(None, PlantFilter(), 10, NOW + 21 * MINUTE).rows
    assert msgspec.structs.astuple(plant.open_alerts) == (1, 0, 1, 0), "what was resolved is open no more"


def test_an_acknowledged_alert_is_counted_as_such(store: PostgresStore, read: Reads) -> None:
    declare(store, "roof")
    poll(store, NOW + MINUTE, FAULT)
    (alert,) = read.alerts(None, AlertFilter(), 10).rows
    declare(store, "roof", version=11, now=NOW + 2 * MINUTE, acked=(alert.id,), acked_by="ana")
    (plant,) = read.plants(None, PlantFilter(), 10, NOW + 3 * MINUTE).rows
    assert msgspec.structs.astuple(plant.open_alerts) == (1, 1, 0, 1)
    assert [found.state for found in read.alerts(None, AlertFilter(state=AlertState.ACKED), 10).rows] == [AlertState.ACKED]


def test_yesterdays_energy_is_not_shown_as_todays(store: PostgresStore, read: Reads) -> None:
    declare(store, "roof", timezone="Asia/Tokyo")
    poll(store, NOW, energy_kwh=5.0)  # 0:00 of the 16th in Tokyo
    assert read.plants(None, PlantFilter(), 10, NOW + MINUTE).rows[0].today_energy_kwh == 5.0
    assert read.plants(None, PlantFilter(), 10, NOW + DAY).rows[0].today_energy_kwh is None
    assert read.plants(None, PlantFilter(), 10, NOW - MINUTE).rows[0].today_energy_kwh is None, "nor tomorrow's"


def test_a_day_ahead_that_a_changed_timezone_left_is_not_shown_as_today(store: PostgresStore, read: Reads) -> None:
    declare(store, "roof", timezone="Asia/Tokyo")
    poll(store, NOW, energy_kwh=5.0)  # the 16th
    declare(store, "roof", version=11, timezone="America/Sao_Paulo", now=NOW + MINUTE)
    assert read.plants(None, PlantFilter(), 10, NOW + MINUTE).rows[0].today_energy_kwh is None
    poll(store, NOW + 20 * MINUTE, energy_kwh=2.0)  # the 15th
    assert read.plants(None, PlantFilter(), 10, NOW + 21 * MINUTE).rows[0].today_energy_kwh == 2.0


def test_the_detail_has_days_alerts_jobs_and_reasons(store: PostgresStore, read: Reads) -> None:
    plant_id = declare(store, "roof")
    for number in range(12):
        poll(store, NOW + number * 10 * MINUTE + MINUTE, FAULT)
    detail = read.plant(None, plant_id, NOW + 120 * MINUTE)
    assert detail is not None
    assert [snapshot.date.isoformat() for snapshot in detail.snapshots] == ["2026-01-15"]
    assert [alert.vendor_alarm_code for alert in detail.alerts] == ["1015"]
    assert any("1015" in sentence or "Grid lost" in sentence for sentence in detail.explain)
    assert len(detail.poll_logs) == reads.POLL_LOGS
    assert [log.started_at for log in detail.poll_logs] == sorted((log.started_at for log in detail.poll_logs), reverse=True)
    newest = detail.poll_logs[0]
    assert (newest.job_id, newest.status, newest.started_at) == (f"poll:plant:{plant_id}:latest", "SUCCESS", _second(NOW + 111 * MINUTE))


def test_a_daily_job_stands_among_the_job_records(store: PostgresStore, read: Reads) -> None:
    plant_id = declare(store, "roof")
    poll(store, NOW + MINUTE)
    late = NOW + 14 * timedelta(hours=1)
    (job,) = store.claim_days(late, 10)
    context = store.read([plant_id])[plant_id]
    store.write([judge_job(context, context, job, SeenDays({}), late, late + SECOND)])
    detail = read.plant(None, plant_id, late + MINUTE)
    assert detail is not None
    assert [log.job_type for log in detail.poll_logs] == [JobType.DAILY, JobType.POLL]


def test_a_detail_ends_with_the_thirtieth_day(database: str, read: Reads) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection, plants=1, days=40, logs=3, now=now)
    (plant,) = read.plants(None, PlantFilter(), 10, now).rows
    detail = read.plant(None, plant.plant_id, now)
    assert detail is not None
    assert len(detail.snapshots) == 30
    assert len(detail.poll_logs) == 3
    assert detail.snapshots[0].date > detail.snapshots[-1].date


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


# Whose it is


def test_an_alert_follows_its_plant_to_another_owner_and_out_of_sight(store: PostgresStore, read: Reads) -> None:
    def seen_by(owner: str | None) -> int:
        return len(read.alerts(owner, AlertFilter(), 10).rows)

    declare(store, "roof", owner="carla")
    poll(store, NOW + MINUTE, FAULT)
    assert (seen_by("carla"), seen_by("otto"), seen_by(None)) == (1, 0, 1)
    declare(store, "roof", owner="otto", version=11, now=NOW + 2 * MINUTE)
    assert (seen_by("carla"), seen_by("otto"), seen_by(None)) == (0, 1, 1)
    declare(store, "roof", owner=None, version=12, now=NOW + 3 * MINUTE)
    assert (seen_by("carla"), seen_by("otto"), seen_by(None)) == (0, 0, 1)
    declare(store, "roof", owner="carla", version=13, now=NOW + 4 * MINUTE)
    store.delete("ns", "roof", "uid-roof", 14, NOW + 5 * MINUTE)
    assert (seen_by("carla"), seen_by(None)) == (0, 0), "a deleted plant's alerts are kept and not shown"
    declare(store, "roof", owner="carla", version=15, now=NOW + 6 * MINUTE)
    assert (seen_by("carla"), seen_by(None)) == (1, 1), "back with its history"


def test_a_plant_is_seen_by_its_owner_and_by_whoever_sees_all(store: PostgresStore, read: Reads) -> None:
    plant_id = declare(store, "roof", owner="carla")
    for owner, is_seen in (("carla", True), ("otto", False), ("", False), (None, True)):
        assert bool(read.plants(owner, PlantFilter(), 10, NOW).rows) is is_seen
        assert (read.plant(owner, plant_id, NOW) is not None) is is_seen
    store.delete("ns", "roof", "uid-roof", 14, NOW + MINUTE)
    assert read.plant(None, plant_id, NOW + MINUTE) is None
    assert read.plants(None, PlantFilter(), 10, NOW + MINUTE).rows == []


# Statements and buffers


def test_each_question_is_one_statement(store: PostgresStore, read: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_id = declare(store, "roof")
    poll(store, NOW + MINUTE, FAULT)
    executed: list[str] = []
    original = ReadSession.execute

    def counted(session: ReadSession, query: Any, *arguments: Any, **named: Any) -> Any:
        executed.append(query)
        return original(session, query, *arguments, **named)

    monkeypatch.setattr(ReadSession, "execute", counted)
    for question in (
        lambda: read.plants("carla", PlantFilter(brand=Brand.SOLIS), 500, NOW),
        lambda: read.plant(None, plant_id, NOW + 2 * MINUTE),
        lambda: read.alerts(None, AlertFilter(plant_id=plant_id), 500),
    ):
        executed.clear()
        question()
        assert len(executed) == 1


@pytest.fixture(scope="module")
def fleet(postgres_server: Postgres, migrated_template: str) -> Iterator[str]:
    """50,000 plants with alerts, and a day each."""
    url = postgres_server.create_database("fleet_of_the_read_api", template=migrated_template)
    with psycopg.connect(url, autocommit=True) as connection:
        fill(connection, plants=50_000, days=1, logs=1, now=datetime.now(UTC))
        analyse(connection)
    yield url
    postgres_server.drop_database("fleet_of_the_read_api")


OWNERS = (None, MANY_OWNER, FEW_OWNER, "owner-21", "nobody")
PLANT_FILTERS = (
    PlantFilter(),
    *(PlantFilter(brand=brand) for brand in Brand),
    *(PlantFilter(status=status) for status in Status),
    PlantFilter(timezone=RARE_ZONE),
    PlantFilter(timezone="Etc/Nowhere"),
    PlantFilter(brand=Brand.SOLIS, status=Status.GREY),
    PlantFilter(brand=Brand.DELE, status=Status.RED, timezone="Asia/Kolkata"),
)
ALERT_FILTERS = (
    AlertFilter(),
    *(AlertFilter(type=kind) for kind in AlertType),
    *(AlertFilter(severity=severity) for severity in Severity),
    *(AlertFilter(state=state) for state in AlertState),
    AlertFilter(type=AlertType.OFFLINE, severity=Severity.LOW, state=AlertState.NEW),
    AlertFilter(type=AlertType.OFFLINE, severity=Severity.LOW, state=AlertState.RESOLVED),
    AlertFilter(plant_id=UUID(int=1)),
)


@pytest.mark.parametrize("limit", [100, 500])
def test_no_page_of_plants_reads_more_than_its_bound(fleet: str, limit: int) -> None:
    sessions = ReadSessions(fleet, "test-api-plans")
    for owner in OWNERS:
        for wanted in PLANT_FILTERS:
            for after in (UUID(int=0), UUID(int=2**127), UUID(int=2**128 - 2**120)):
                parameters = {"owner": owner, **msgspec.structs.asdict(wanted), "after": after, "limit": limit + 1}
                assert buffers(sessions, reads.PLANTS, parameters) <= BUFFERS_MAX, (owner, wanted, after)
    sessions.close()


@pytest.mark.parametrize("limit", [100, 500])
def test_no_page_of_alerts_reads_more_than_its_bound(fleet: str, limit: int) -> None:
    sessions, now = ReadSessions(fleet, "test-api-plans"), datetime.now(UTC)
    for owner in OWNERS:
        for wanted in ALERT_FILTERS:
            for after in (now + DAY, now - 15 * DAY, now - 29 * DAY):
                key = {"after_opened_at": after, "after_id": UUID(int=5)}
                parameters = {"owner": owner, **msgspec.structs.asdict(wanted), **key, "limit": limit + 1}
                assert buffers(sessions, reads.ALERTS, parameters) <= BUFFERS_MAX, (owner, wanted, after)
    sessions.close()


def test_a_detail_reads_little(fleet: str) -> None:
    sessions, now = ReadSessions(fleet, "test-api-plans"), datetime.now(UTC)
    (plant,) = Reads(sessions).plants(FEW_OWNER, PlantFilter(), 1, now).rows
    parameters = {
        "owner": None,
        "plant_id": plant.plant_id,
        "snapshots": reads.SNAPSHOT_DAYS,
        "since_day": now.date() - 31 * DAY,
        "logs": reads.POLL_LOGS,
        "since": now - reads.POLL_LOGS_BACK,
        "until": now + DAY,
    }
    assert buffers(sessions, reads.PLANT, parameters) < 200
    sessions.close()


def test_deep_pages_go_on_where_the_page_before_ended(fleet: str) -> None:
    sessions = ReadSessions(fleet, "test-api-plans")
    read, now = Reads(sessions), datetime.now(UTC)
    ids = collect(lambda after: read.plants(MANY_OWNER, PlantFilter(status=Status.RED), 500, now, after), lambda plant: plant.plant_id)
    assert len(ids) == len(set(ids)) == 2_500
    alerts = collect(lambda after: read.alerts(MANY_OWNER, AlertFilter(), 500, after), lambda alert: (alert.opened_at, alert.id))
    assert len(alerts) == len(set(alerts)) > 5_000
    assert [at for at, _ in alerts] == sorted((at for at, _ in alerts), reverse=True)
    sessions.close()


def collect(page: Callable[[Any], Any], key: Callable[[Any], Any]) -> list[Any]:
    found: list[Any] = []
    after: UUID | AlertKey | None = None
    while True:
        got = page(after)
        found += [key(row) for row in got.rows]
        if got.next is None:
            return found
        after = got.next


def buffers(sessions: ReadSessions, statement: str, parameters: dict[str, Any]) -> int:
    """Pages of the database that a statement touched, wherever they were."""
    explained = sessions.run(
        lambda session: session.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON, TIMING OFF) {statement}", parameters).fetchall()
    )
    plan = msgspec.json.decode(explained[0][0])[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
