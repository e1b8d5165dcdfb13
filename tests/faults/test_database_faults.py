"""Fault 12: the database frozen, cut off at the commit, in a deadlock, refusing one plant's data, and midnight UTC between two closes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from hack.devstack.postgres import Postgres
from tests.faults.checker import Kind, PromiseBroken
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.lost_replies import LostReplies
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.test_servers_restart import PLANTS, put_under_load
from tests.faults.world import AGAIN_S, DAY, World, let_pass

FROZEN_S = 30.0
A_CLOSE = b'"finished_at"'
"""Text that every close sends, and nothing else does."""
NOT_HALVED = Mutation(
    rule="PROTOCOL 24: data that is refused is halved down to the plant it is of",
    file="controller/polling/close_jobs.py",
    old="        if len(outcomes) == 1:\n",
    new="        if outcomes:\n",
)


@pytest.mark.lasts(60)
@pytest.mark.fault
def test_postgres_frozen_with_full_batches(make_world: MakeWorld, own_postgres: Postgres, measure: Measure) -> None:
    world = make_world(postgres=own_postgres)
    ids = put_under_load(world)
    own_postgres.pause()
    let_pass(FROZEN_S, "the database does not answer for 30 s")
    own_postgres.resume()
    measure(f"Postgres frozen for 30 s with {PLANTS} polls on their way, back to all polled", world.polled_again(ids, PLANTS), AGAIN_S)
    world.settle_and_check(ids)


@pytest.mark.fault
def test_a_connection_cut_at_the_commit_stores_every_outcome_once(make_world: MakeWorld, own_postgres: Postgres, measure: Measure) -> None:
    world = make_world(postgres=own_postgres)
    ids = world.seed(50, interval_s=DAY)
    with LostReplies(own_postgres.port) as proxy:
        world.scheduler()
        world.worker(DATABASE_URL=world.database_url.replace(f":{own_postgres.port}/", f":{proxy.port}/"))
        world.polled_again(ids, 0)
        before, since = world.last_attempt(), boottime()
        proxy.lose(A_CLOSE, 2)
        world.make_due(ids)
        measure("connection cut at two commits, to all polled", world.polled_again(ids, before, since=since), 10)
        world.settle_and_check(ids)
        assert proxy.lost == 2
    assert not world.lost()


@pytest.mark.fault
def test_a_deadlock_is_repeated(make_world: MakeWorld, own_postgres: Postgres, measure: Measure) -> None:
    """Somebody locks two plants against the order of ids (PROTOCOL 7), while a worker's batch closes both."""
    world = make_world(postgres=own_postgres)
    ids = sorted(world.seed(2, interval_s=DAY))
    world.scheduler()
    worker = world.worker("before-close:stop").wait_frozen()
    began = boottime()
    with psycopg.connect(world.database_url, connect_timeout=5) as other:
        # Who waits longest looks for a deadlock first, and is the victim: not this one.
        other.execute("SET deadlock_timeout = '20s'")
        _lock(other, ids[1])
        worker.proceed()
        world.until(lambda: _waits(world), 10, "the worker's close to wait for the second plant")
        _lock(other, ids[0])
        other.rollback()
    with worker.proceed_for_good():
        measure("deadlock, to both plants closed", world.polled_again(ids, 0, since=began), 20)
        world.settle_and_check(ids)
    assert world.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 1
    assert not world.lost()


def _lock(connection: "psycopg.Connection[tuple[object, ...]]", plant_id: UUID) -> None:
    connection.execute("SELECT 1 FROM plants WHERE plant_id = %s FOR UPDATE", (plant_id,))


def _waits(world: World) -> bool:
    return bool(world.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"))


def poison_one(world: World) -> float:
    """One plant of a batch has data that the database refuses; seconds until all others were polled."""
    ids = world.seed(PLANTS, interval_s=DAY)
    world.execute_ddl("CREATE TABLE poisoned (plant_id uuid PRIMARY KEY)")
    world.execute("INSERT INTO poisoned VALUES (%s)", ids[100])
    world.execute_ddl(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT FROM poisoned p WHERE p.plant_id = NEW.plant_id) THEN RAISE check_violation; END IF; RETURN NEW; END $$"
    )
    world.execute_ddl("CREATE TRIGGER refuse BEFORE INSERT ON metric_snapshots FOR EACH ROW EXECUTE FUNCTION refuse()")
    world.scheduler()
    world.until(lambda: world.waiting() == PLANTS, 60, "all jobs to wait")
    world.worker()
    took = world.polled_again([plant_id for plant_id in ids if plant_id != ids[100]], 0)
    world.settle_and_check(ids)
    assert {log.plant_id for log in world.logs() if log.error} == {ids[100]}
    assert {log.error for log in world.logs() if log.error} == {"UNKNOWN_ERROR"}
    return took


@pytest.mark.fault
def test_a_poisoned_plant_fails_by_itself(world: World, measure: Measure) -> None:
    measure(f"one plant of {PLANTS} refused by the database, to all others polled", poison_one(world), AGAIN_S)


@pytest.mark.lasts(90)
@pytest.mark.fault
def test_control_without_halving_the_batch_is_lost_with_it(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        poison_one(make_world(NOT_HALVED))
    assert Kind.NOT_RECOVERED in broken.value.kinds


@pytest.mark.lasts(50)
@pytest.mark.fault
def test_a_late_success_and_a_loss_on_two_sides_of_midnight_are_one_log(world: World) -> None:
    """The claim's instant decides the partition, whoever closes it and when (PROTOCOL 5)."""
    ids = world.seed(1, interval_s=DAY)
    world.scheduler()
    world.until(lambda: world.waiting() == 1, 60, "the job to wait")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with world.store() as store:
        store.ensure_partitions(midnight - timedelta(days=1))
    world.execute("UPDATE plants SET claimed_at = %s WHERE plant_id = ANY(%s)", midnight - timedelta(seconds=1), ids)
    frozen = world.worker("before-close:stop").wait_frozen()
    attempt = world.last_attempt()
    world.until(world.lost, AGAIN_S, "the job to be found lost")
    world.worker()
    world.polled_again(ids, attempt)
    with frozen.proceed_for_good():
        world.until(lambda: frozen.has_started_afresh, 30, "the worker to start afresh")
        world.settle_and_check(ids)
    assert [log.attempt for log in world.logs()].count(attempt) == 1
    assert world.value("SELECT claimed_at::date FROM poll_logs WHERE attempt = %s", attempt) == (midnight - timedelta(days=1)).date()
