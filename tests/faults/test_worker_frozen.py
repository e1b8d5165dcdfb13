"""Fault 5: a worker stopped for 60 s with a job in its hands, continued while the next attempt runs or after it has ended.

The lease keeps it from the vendor, the fence keeps it from the rows.
"""

import pytest

from tests.faults.checker import Kind, PromiseBroken
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import World, let_pass

pytestmark = pytest.mark.lasts(80)

FROZEN_S = 60.0
EXCHANGE_S = 8
"""Of the next attempt's worker: long enough for the first one to wake up in it."""
LEASE_OFF = Mutation(
    rule="PROTOCOL 22: the lease must hold before every exchange",
    file="controller/polling/poll_plants.py",
    old="            lease.assert_held()\n",
    new="",
)
FENCE_OFF = Mutation(
    rule="PROTOCOL 4: the close is fenced by the attempt, and by the version",
    file="controller/storage/queries.py",
    old="    WHERE p.version = i.version AND (i.attempt IS NULL OR (p.attempt = i.attempt AND p.done_attempt < i.attempt))\n",
    new="",
)


def freeze_a_worker(world: World, point: str, *, wake: str) -> float:
    """Seconds until the frozen worker's plant was polled again by another. `wake`: "mid-exchange" of the next attempt, or "after" it."""
    ids = world.seed(1, interval_s=600)
    world.scheduler()
    frozen = world.worker(f"{point}:stop").wait_frozen()
    frozen_at, attempt = boottime(), world.last_attempt()
    let_pass(FROZEN_S - 10, "the worker is stopped for 60 s")
    other = world.worker(f"mid-exchange:sleep={EXCHANGE_S}")
    if wake == "mid-exchange":
        world.until(lambda: any(exchange.attempt > attempt for exchange in world.exchanges()), 60, "the next attempt to begin")
    else:
        world.polled_again(ids, attempt)
    let_pass(max(0.0, FROZEN_S - (boottime() - frozen_at)), "the worker is stopped for 60 s")
    with frozen.proceed_for_good():
        world.polled_again(ids, attempt)
        world.until(lambda: frozen.has_started_afresh, 30, "the worker to start afresh")
        world.settle_and_check(ids)
    began = min(exchange.begin for exchange in world.exchanges() if exchange.attempt > attempt)
    assert other.running
    assert not [exchange for exchange in world.exchanges() if exchange.pid == frozen.pid and exchange.begin > frozen_at]
    return began - frozen_at


@pytest.mark.fault
@pytest.mark.parametrize("wake", ["mid-exchange", "after"])
@pytest.mark.parametrize("point", ["before-exchange", "before-close"])
@pytest.mark.rule("D1.10")
def test_a_worker_that_wakes_up_too_late_does_nothing(world: World, measure: Measure, point: str, wake: str) -> None:
    took = freeze_a_worker(world, point, wake=wake)
    measure(f"SIGSTOP for 60 s, {point}; polled by a worker started after 50 s", took)


@pytest.mark.fault
def test_a_stopped_workers_plant_is_polled_again(world: World, measure: Measure) -> None:
    ids = world.seed(10, interval_s=600)
    world.scheduler()
    frozen = world.worker("before-exchange:stop").wait_frozen()
    frozen_at, attempt = boottime(), world.last_attempt()
    world.worker()
    measure("SIGSTOP before-exchange, to all polled again", world.polled_again(ids, attempt, since=frozen_at), 60)
    with frozen.proceed_for_good():
        world.settle_and_check(ids)


@pytest.mark.fault
def test_control_without_the_lease_two_exchanges_meet(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        freeze_a_worker(make_world(LEASE_OFF), "before-exchange", wake="mid-exchange")
    assert Kind.TWO_EXCHANGES in broken.value.kinds


@pytest.mark.fault
def test_control_without_the_fence_a_claim_is_logged_twice(make_world: MakeWorld) -> None:
    world = make_world(FENCE_OFF)
    # The unique key is the second net: without the first one, it alone would hide what the late write does.
    world.execute_ddl("ALTER TABLE poll_logs DROP CONSTRAINT poll_logs_pkey")
    with pytest.raises(PromiseBroken) as broken:
        freeze_a_worker(world, "before-close", wake="after")
    assert Kind.TWO_LOGS in broken.value.kinds
    assert Kind.WENT_BACK in broken.value.kinds
