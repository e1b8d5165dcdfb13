"""Fault 3: FLUSHALL at any moment. Redis is transport and may be lost: the system is whole again within one interval, by itself."""

from uuid import UUID

import pytest

from tests.faults.checker import Kind, PromiseBroken
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import AGAIN_S, MINUTE, World, let_pass

PLANTS = 20
EXCHANGE_S = 12
"""Long enough to be running when claims older than the grace of 10 s are first looked for; twice it ends within the lease of 30 s."""
SLOW = "mid-exchange:sleep=0.05"
TICK_S = 5.0
NEVER_ASKED_LATER = Mutation(
    rule="PROTOCOL 15: ask later where Redis is younger than L in this epoch",
    file="controller/queueing/scripts/check.lua",
    old="local too_young = age < tonumber(ARGV[1])",
    new="local too_young = false",
)


def flush_mid_exchange(world: World) -> float:
    ids = world.seed(PLANTS, interval_s=600)
    world.scheduler()
    world.until(lambda: world.waiting() == PLANTS, 60, "all jobs to wait")
    slow = world.worker(f"mid-exchange:sleep={EXCHANGE_S}")
    world.until(world.exchanges, 60, "an exchange to begin")
    world.worker()
    world.redis.flushall()
    # It ends what it has begun, and leaves what is found lost to the other, which is quick.
    slow.terminate()
    took = world.polled_again(ids, 0)
    world.settle_and_check(ids)
    return took


@pytest.mark.lasts(45)
@pytest.mark.fault
def test_a_flush_mid_exchange_leads_to_no_second_exchange(world: World, measure: Measure) -> None:
    measure("FLUSHALL mid-exchange, to all polled", flush_mid_exchange(world), AGAIN_S)


@pytest.mark.lasts(45)
@pytest.mark.fault
def test_control_without_asking_later_two_exchanges_meet(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        flush_mid_exchange(make_world(NEVER_ASKED_LATER))
    assert Kind.TWO_EXCHANGES in broken.value.kinds


@pytest.mark.fault
@pytest.mark.rule("D2.3")
def test_a_flush_between_claim_and_enqueue_loses_no_job(world: World, measure: Measure) -> None:
    ids = world.seed(PLANTS, interval_s=600)
    scheduler = world.scheduler("after-claim-commit:stop").wait_frozen()
    world.redis.flushall()
    world.worker()
    with scheduler.proceed_for_good():
        measure("FLUSHALL after the claim's commit, to all polled", world.polled_again(ids, 0), AGAIN_S)
        world.settle_and_check(ids)
    assert not world.lost()


@pytest.mark.lasts(190)
@pytest.mark.fault
def test_a_flush_every_half_minute_is_outlived(world: World, measure: Measure) -> None:
    ids = world.seed(PLANTS, interval_s=MINUTE)
    world.scheduler()
    world.worker(SLOW)
    world.worker(SLOW)
    world.polled_again(ids, 0)
    for _ in range(4):
        let_pass(30, "a flush every 30 s")
        _flush_under_way(world, ids)
    flushed_at = boottime()
    took = world.polled_again(ids, world.last_attempt(), MINUTE + TICK_S, since=flushed_at)
    measure("FLUSHALL every 30 s, the last one to all polled again (interval 60 s)", took, MINUTE + TICK_S)
    world.settle_and_check(ids)


def _flush_under_way(world: World, ids: list[UUID]) -> None:
    """With everything due, so that the flush finds jobs on their way."""
    before = world.last_attempt()
    world.make_due(ids)
    world.until(lambda: world.last_attempt() > before, 10, "claims")
    world.redis.flushall()
