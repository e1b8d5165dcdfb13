"""Fault 7: one scheduler stopped between its two steps while the other goes on."""

import pytest

from tests.faults.checker import Kind, PromiseBroken
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import World, let_pass

pytestmark = pytest.mark.lasts(65)

PLANTS = 5
LEASE_S = 30.0
BARRIER_OFF = Mutation(
    rule="PROTOCOL 15: a lost job's lock becomes a barrier",
    file="controller/queueing/scripts/check.lua",
    old="    redis.call('SET', lock_key(plant_id), 'barrier|' .. attempt, 'PX', ARGV[2])\n",
    new="",
)


@pytest.mark.fault
def test_a_job_enqueued_after_it_was_closed_is_not_read(world: World, measure: Measure) -> None:
    """A is stopped after the claim's commit until B has closed the attempt and the next one is done."""
    ids = world.seed(PLANTS, interval_s=600)
    first = world.scheduler("after-claim-commit:stop").wait_frozen()
    frozen_at, attempt = boottime(), world.last_attempt()
    world.scheduler()
    worker = world.worker()
    measure("scheduler stopped after its claim's commit, to all polled", world.polled_again(ids, attempt, since=frozen_at), 60)
    assert len(world.lost()) == PLANTS
    with first.proceed_for_good():
        world.until(lambda: worker.metric("solarinvest_messages_dropped_total"), 10, "the late messages to be dropped")
        world.settle_and_check(ids)
    assert all(exchange.attempt > attempt for exchange in world.exchanges())


def enqueue_what_was_found_lost(world: World) -> float:
    """B is stopped after it found A's claims lost and before it closes them, while A enqueues them. Seconds until all are polled."""
    ids = world.seed(PLANTS, interval_s=600)
    first = world.scheduler("after-claim-commit:stop").wait_frozen()
    attempt = world.last_attempt()
    let_pass(LEASE_S + 1, "Redis must be older than L in its epoch for CHECK to answer")
    second = world.scheduler("after-check:stop").wait_frozen()
    with first.proceed_for_good():
        slow = world.worker("mid-exchange:sleep=10")
        world.until(lambda: "incarnation_begun" in slow.log_text(), 60, "the worker to be up")
        world.hold_until(world.exchanges, 8, "a job that was revived would be read within this")
        continued_at = boottime()
        with second.proceed_for_good():
            world.worker()
            took = world.polled_again(ids, attempt, since=continued_at)
            world.settle_and_check(ids)
    return took


@pytest.mark.fault
def test_a_job_found_lost_cannot_be_enqueued_any_more(world: World, measure: Measure) -> None:
    measure("scheduler stopped after CHECK while the other enqueues; continued to all polled", enqueue_what_was_found_lost(world), 60)
    assert len(world.lost()) == PLANTS


@pytest.mark.fault
def test_control_without_the_barrier_two_exchanges_meet(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        enqueue_what_was_found_lost(make_world(BARRIER_OFF))
    assert Kind.TWO_EXCHANGES in broken.value.kinds
