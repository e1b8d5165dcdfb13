"""What only a real Postgres shows: several at once, deadlocks, outages, partitions, notifications, HOT updates."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from controller.domain.errors import StoreRejected, StoreUnavailable
from controller.domain.judge import judge_clock, judge_declared, judge_job, judge_lost
from controller.domain.outcome import Job, Outcome, Seen
from controller.domain.plant import Declaration, plant_id_for
from controller.storage import queries
from controller.storage import store as storage
from controller.storage.changes import ChangeListener
from controller.storage.database import BoundedConnection, Database
from controller.storage.partitions import partition_name
from controller.storage.ports import ApplyResult, MirrorAck
from controller.storage.store import PostgresStore
from hack.devstack.postgres import Postgres
from hack.devstack.waiting import wait_until
from integrations.contract import Alarm, AlarmList, Brand, Reading, Severity

NOW = datetime(2026, 1, 15, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
BOUND_S = 30


@pytest.fixture
def db(database: str) -> Iterator[Database]:
    opened = Database(database, "test-storage", max_connections=8)
    yield opened
    opened.close()


@pytest.fixture
def store(db: Database) -> PostgresStore:
    return PostgresStore(db)


def declare(name: str, **changes: Any) -> Declaration:
    plain = Declaration(namespace="ns", name=name, uid=f"uid-{name}", generation=1, brand=Brand.SOLIS, vendor_plant_id=name)
    return msgspec.structs.replace(plain, **changes)


def apply(store: PostgresStore, *names: str) -> list[UUID]:
    ids = [plant_id_for("ns", Brand.SOLIS, name) for name in names]
    for plant_id, name in zip(ids, names, strict=True):
        assert store.apply(plant_id, declare(name), 10, NOW, judge_declared).result is ApplyResult.APPLIED
    return ids


def polled(store: PostgresStore, jobs: list[Job], now: datetime) -> list[Outcome]:
    contexts = store.read(job.plant_id for job in jobs)
    alarm = Alarm("1", "SN", Severity.HIGH, "Grid lost", None, is_active=True)
    reading = Reading(sampled_at=now, last_seen_at=now, current_power_w=500.0, today_energy_kwh=3.0, total_energy_kwh=1000.0)
    result = Seen(reading, AlarmList((alarm,), complete=True))
    return [judge_job(contexts[job.plant_id], contexts[job.plant_id], job, result, now, now + SECOND) for job in jobs]


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Results of `work(0)` … `work(count - 1)`, begun together in threads."""
    barrier = threading.Barrier(count, timeout=BOUND_S)

    def one(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def scalar(db: Database, statement: str) -> Any:
    row = db.run(lambda connection: connection.execute(statement).fetchone())
    assert row is not None
    return row[0]


# Several at once.


def test_claimers_at_once_share_the_due_plants_and_none_gets_one_twice(store: PostgresStore) -> None:
    ids = apply(store, *(f"p{number}" for number in range(60)))

    def claim_all(_: int) -> list[Job]:
        jobs: list[Job] = []
        while chunk := store.claim_polls(NOW, 7):
            jobs += chunk
        return jobs

    jobs = [job for claimed in at_once(4, claim_all) for job in claimed]
    # One that others had locked was skipped: it is due at the next tick.
    jobs += claim_all(0)
    assert sorted(job.plant_id for job in jobs) == sorted(ids)
    assert len({job.attempt for job in jobs}) == 60


def test_two_who_close_the_same_attempt_write_one_log(store: PostgresStore, db: Database) -> None:
    apply(store, *(f"p{number}" for number in range(20)))
    jobs = store.claim_polls(NOW, 100)
    outcomes = polled(store, jobs, NOW)
    lost = [judge_lost(outcome.before, job, NOW) for outcome, job in zip(outcomes, jobs, strict=True)]
    both = [outcomes, list(reversed(lost))]
    stored = at_once(2, lambda number: store.write(both[number]))
    assert sorted([*stored[0], *stored[1]]) == sorted(job.plant_id for job in jobs)
    assert scalar(db, "SELECT count(*) FROM poll_logs") == 20


def test_writers_of_the_same_plants_in_any_order_do_not_fail(store: PostgresStore) -> None:
    apply(store, *(f"p{number}" for number in range(30)))

    def judge_again(number: int) -> int:
        stored = 0
        for _ in range(10):
            contexts = list(store.read(ids).values())
            if number % 2:
                contexts.reverse()
            stored += len(store.write([judge_clock(context, NOW) for context in contexts]))
        return stored

    ids = [plant_id_for("ns", Brand.SOLIS, f"p{number}") for number in range(30)]
    before = {plant_id: context.version for plant_id, context in store.read(ids).items()}
    total = sum(at_once(4, judge_again))
    after = {plant_id: context.version for plant_id, context in store.read(ids).items()}
    assert sum(after.values()) - sum(before.values()) == total


@pytest.mark.parametrize("round_", range(5))
def test_operators_that_apply_the_same_new_plant_at_once_agree(store: PostgresStore, round_: int) -> None:
    plant_id = plant_id_for("ns", Brand.SOLIS, "roof")
    results = at_once(4, lambda _: store.apply(plant_id, declare("roof"), 10, NOW, judge_declared).result)
    assert sorted(results) == [ApplyResult.APPLIED, *[ApplyResult.UNCHANGED] * 3]
    assert store.read([plant_id])[plant_id].version == 1


@pytest.mark.parametrize("round_", range(5))
def test_old_and_new_events_of_one_plant_at_once_end_with_the_newest(store: PostgresStore, round_: int) -> None:
    """Its vendor id was set and its spec edited, and four operators see the events in any order."""
    uid = "9d0e3a3c-5a0e-4d3b-8d5f-0c1f6a4f0b11"
    pending = declare("roof", uid=uid, vendor_plant_id=None)
    steps = [(pending, 10), (msgspec.structs.replace(pending, vendor_plant_id="R1", generation=2), 11)]
    steps.append((msgspec.structs.replace(steps[1][0], generation=3), 12))
    ids = [UUID(uid), plant_id_for("ns", Brand.SOLIS, "R1")]

    def see(number: int) -> None:
        for step in range(3):
            declaration, version = steps[(step + number) % 3]
            store.apply(ids[declaration.vendor_plant_id is not None], declaration, version, NOW, judge_declared)

    at_once(4, see)
    contexts = store.read(ids)
    assert contexts[ids[1]].declaration == steps[2][0]
    assert [context.plant_id for context in contexts.values() if not context.deleted] == [ids[1]]


def test_two_plants_of_one_vendor_identity_at_once_one_is_refused(store: PostgresStore) -> None:
    plant_id = plant_id_for("ns", Brand.SOLIS, "X")
    names = ["a", "b"]
    results = at_once(
        2, lambda number: store.apply(plant_id, declare(names[number], vendor_plant_id="X"), 10 + number, NOW, judge_declared).result
    )
    assert sorted(results) == [ApplyResult.APPLIED, ApplyResult.DUPLICATE]


def test_a_row_in_other_hands_is_left_to_the_next_tick(store: PostgresStore, db: Database) -> None:
    first, second = apply(store, "a", "b")

    def holding(connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            connection.execute("SELECT 1 FROM plants WHERE plant_id = %s FOR UPDATE", (first,))
            assert [job.plant_id for job in store.claim_polls(NOW, 10)] == [second]
            assert [outcome.plant_id for outcome in store.judge_due(NOW + 25 * HOUR, 10, judge_clock)] == [second]
            assert store.lease_for_mirror(10, NOW, 30, store.untold(10, NOW)) == [second]

    db.run(holding)
    assert [job.plant_id for job in store.claim_polls(NOW, 10)] == [first]


# What goes wrong.


def test_a_deadlock_repeats_the_work(store: PostgresStore, db: Database) -> None:
    ids = apply(store, "a", "b")
    meeting = threading.Barrier(2, timeout=BOUND_S)
    tries = [0, 0]

    def lock_crosswise(number: int) -> None:
        def work(connection: psycopg.Connection[Any]) -> None:
            tries[number] += 1
            with connection.transaction():
                connection.execute("SET LOCAL deadlock_timeout = '50ms'")
                connection.execute("SELECT 1 FROM plants WHERE plant_id = %s FOR UPDATE", (ids[number],))
                if tries[number] == 1:
                    meeting.wait()
                connection.execute("SELECT 1 FROM plants WHERE plant_id = %s FOR UPDATE", (ids[1 - number],))

        db.run(work)

    at_once(2, lock_crosswise)
    assert min(tries) == 1
    assert max(tries) > 1


def test_a_lock_that_is_not_released_is_given_up(store: PostgresStore, db: Database, database: str) -> None:
    (plant_id,) = apply(store, "a")
    impatient = Database(f"{database}?options=-c%20lock_timeout%3D100ms", "impatient")

    def holding(connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            connection.execute("SELECT 1 FROM plants WHERE plant_id = %s FOR UPDATE", (plant_id,))
            with pytest.raises(StoreUnavailable, match="55P03"):
                PostgresStore(impatient).delete("ns", "a", "uid-a", 11, NOW)

    db.run(holding)
    impatient.close()


def test_rejected_values_are_in_no_message(store: PostgresStore) -> None:
    apply(store, "a")
    (outcome,) = polled(store, store.claim_polls(NOW, 1), NOW)
    secret = "customer-secret-" * 20
    for live in (
        msgspec.structs.replace(outcome.live, handled_poll_request=secret),
        msgspec.structs.replace(outcome.live, current_power_w=-1.0, explain=(secret,)),
        msgspec.structs.replace(outcome.live, current_power_w=2e9, explain=(secret,)),
    ):
        with pytest.raises(StoreRejected) as caught:
            store.write([msgspec.structs.replace(outcome, live=live)])
        assert "customer" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
    assert store.write([outcome]) == {outcome.plant_id}


def test_a_server_that_is_away_is_told_in_time_and_works_again_once_back(store: PostgresStore, postgres_server: Postgres) -> None:
    (plant_id,) = apply(store, "a")
    postgres_server.kill()
    begun = monotonic()
    with pytest.raises(StoreUnavailable):
        store.read([plant_id])
    assert monotonic() - begun < 10
    postgres_server.start()
    wait_until(lambda: readable(store, plant_id), BOUND_S, "the store reads again")
    assert store.read([plant_id])[plant_id].version == 1


def test_a_restart_between_two_calls_fails_neither(store: PostgresStore, postgres_server: Postgres) -> None:
    (plant_id,) = apply(store, "a")
    postgres_server.restart()
    assert readable(store, plant_id)


def test_a_frozen_server_is_given_up(store: PostgresStore, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers to no timeout of its own: the client has to."""
    (plant_id,) = apply(store, "a")
    monkeypatch.setattr(BoundedConnection, "frozen_after_s", 0.5)
    postgres_server.pause()
    try:
        begun = monotonic()
        with pytest.raises(StoreUnavailable):
            store.read([plant_id])
        assert monotonic() - begun < 10
    finally:
        postgres_server.resume()
    wait_until(lambda: readable(store, plant_id), BOUND_S, "the store reads again")


def readable(store: PostgresStore, plant_id: UUID) -> bool:
    try:
        return plant_id in store.read([plant_id])
    except StoreUnavailable:
        return False


# Partitions.


def test_a_claim_makes_the_partition_that_its_log_will_need(store: PostgresStore, db: Database) -> None:
    apply(store, "a")
    (job,) = store.claim_polls(datetime(2031, 5, 5, 23, 59, 59, tzinfo=UTC), 10)
    (outcome,) = polled(store, [job], datetime(2031, 5, 6, 0, 0, 5, tzinfo=UTC))
    assert store.write([outcome]) == {job.plant_id}
    assert scalar(db, "SELECT tableoid::regclass::text FROM poll_logs") == "poll_logs_20310505"


def test_retention_waits_for_the_log_of_an_open_claim(store: PostgresStore) -> None:
    apply(store, "a")
    old = datetime(2026, 1, 15, 15, tzinfo=UTC)
    (job,) = store.claim_polls(old, 10)
    names = {partition_name((old + timedelta(days=offset)).date()) for offset in (-1, 0, 1)}
    dropped = store.drop_partitions((old + timedelta(days=30)).date())
    assert names & set(dropped) == {"poll_logs_20260114"}
    context = store.read([job.plant_id])[job.plant_id]
    assert store.write([judge_lost(context, job, old + timedelta(days=40))]) == {job.plant_id}
    assert "poll_logs_20260115" in store.drop_partitions((old + timedelta(days=30)).date())


# Notifications.


def test_a_listener_hears_of_every_plant_written_and_of_nothing_else(store: PostgresStore, db: Database) -> None:
    ids = apply(store, *(f"p{number}" for number in range(250)))
    listener = ChangeListener(db)
    assert listener.wait_for_changes(0) is None
    jobs = store.claim_polls(NOW, 1000)
    store.acknowledge([MirrorAck(ids[0], 1, 11, "digest")], NOW)
    assert listener.wait_for_changes(0.05) == set()
    outcomes = polled(store, jobs, NOW)
    store.write(outcomes)
    assert store.write(outcomes) == set()
    heard: set[UUID] = set()
    deadline = monotonic() + BOUND_S
    while len(heard) < 250 and monotonic() < deadline:
        heard |= listener.wait_for_changes(1) or set()
    assert heard == set(ids)
    assert listener.wait_for_changes(0.05) == set()
    assert store.reset_mirror(ids[0], 12, "changed by hand", NOW)
    assert listener.wait_for_changes(BOUND_S) == {ids[0]}
    listener.close()


def test_a_listener_that_was_busy_hears_of_everything_and_lets_the_server_go_on(store: PostgresStore, db: Database) -> None:
    """Else its side of the connection waits in a transaction, and no dead row of any table is removed."""
    listener = ChangeListener(db)
    assert listener.wait_for_changes(0) is None
    (plant_id,) = apply(store, "a")
    others = [uuid4() for _ in range(200)]
    payload = ",".join(map(str, others))
    announce = "SELECT pg_notify('plant_changed', %s || ',' || md5(n::text)::uuid) FROM generate_series(1, 1500) AS n"
    db.run(lambda connection: connection.execute(announce, (payload,)))
    wait_until(lambda: scalar(db, LISTENERS_WAITING) == 1, BOUND_S, "the server to wait for its listener")
    heard = set().union(*(listener.wait_for_changes(0.1) or set() for _ in range(10)))
    assert {plant_id, *others} < heard
    assert len(heard) == 1500 + 200 + 1
    wait_until(lambda: scalar(db, LISTENERS_WAITING) == 0, BOUND_S, "the server to end its transaction")
    listener.close()


LISTENERS_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND wait_event = 'ClientWrite' AND xact_start IS NOT NULL"
)


def test_a_listener_that_lost_its_connection_asks_for_a_scan(db: Database, postgres_server: Postgres) -> None:
    listener = ChangeListener(db)
    assert listener.wait_for_changes(0) is None
    postgres_server.restart()
    with pytest.raises(StoreUnavailable):
        listener.wait_for_changes(5)
    assert listener.wait_for_changes(0) is None
    assert listener.wait_for_changes(0.05) == set()
    listener.close()


# Cost.


def test_a_close_and_a_mirrors_lease_are_hot_updates(store: PostgresStore, db: Database) -> None:
    """They write no index entry. A claim always does: `next_poll_at` is indexed."""
    apply(store, *(f"p{number}" for number in range(50)))
    # The first reading brings a nearer clock change: that one is indexed at once.
    store.write(polled(store, store.claim_polls(NOW, 100), NOW))
    # An autovacuum just then would keep dead rows from being pruned, and pages full.
    db.run(lambda connection: connection.execute("ALTER TABLE plants SET (autovacuum_enabled = false)"))
    db.run(lambda connection: connection.execute("VACUUM FULL plants"))
    store.write(polled(store, store.claim_polls(NOW + HOUR, 100), NOW + HOUR))
    outcomes = polled(store, store.claim_polls(NOW + 2 * HOUR, 100), NOW + 2 * HOUR)
    db.run(lambda connection: connection.execute("VACUUM plants"))

    assert scalar(db, "SELECT count(*) FROM plants WHERE clock_scan_at = clock_due_at") == 50, "the claim has carried it along"
    lease = {"until": NOW, "limit": 50, "now": NOW, "only": store.untold(50, NOW)}

    def updates(connection: psycopg.Connection[Any]) -> list[tuple[int, int]]:
        counts = [updates_in_session(connection)]
        assert len(storage._write(connection, outcomes)) == 50
        counts.append(updates_in_session(connection))
        assert connection.execute(queries.LEASE, lease).rowcount == 50
        counts.append(updates_in_session(connection))
        return counts

    start, closed, leased = db.run(updates)
    # Where a page is full of rows that all change at once, some go elsewhere; in a fleet they change at different times.
    assert closed[0] - start[0] == 50
    assert closed[1] - start[1] >= 40
    assert leased[0] - closed[0] == 50
    assert leased[1] - closed[1] >= 40


def updates_in_session(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    row = connection.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'plants'").fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def test_what_is_due_is_found_by_its_index_whatever_the_statistics_say(database: str) -> None:
    """A table of a page is read whole where the planner may choose. With 100,000 plants it chose so, too, minutes after an ANALYZE."""
    one = Database(database, "test-storage", max_connections=1)
    store = PostgresStore(one)
    apply(store, *(f"p{number}" for number in range(20)))

    def whole_reads() -> int:
        scalar(one, "SELECT pg_stat_force_next_flush()")
        return int(scalar(one, "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'plants'"))

    one.run(lambda connection: connection.execute("ANALYZE plants"))
    before = whole_reads()
    assert len(store.claim_polls(NOW, 100)) == 20
    assert store.claim_requested(NOW, 100) == []
    assert store.claim_days(NOW, 100) == []
    assert len(store.judge_due(NOW + 25 * HOUR, 100, judge_clock)) == 20
    assert whole_reads() == before
    one.close()
