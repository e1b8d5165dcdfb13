"""Fault 4: Redis restored from a dump of before, with messages, locks and heartbeats that were true once."""

import pytest

from tests.faults.checker import Kind, PromiseBroken
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import AGAIN_S, DAY, World, let_pass

PLANTS = 20
LEASE_S = 30.0
EXCHANGE_S = 12
"""Long enough to be running when claims are looked for after the restore; both exchanges of a poll end within the lease."""
EPOCH_OFF = Mutation(
    rule="PROTOCOL 11: scripts refuse an epoch of another server",
    file="controller/queueing/scripts/common.lua",
    old="  if string.sub(stored, 1, #run_id + 1) ~= run_id .. '|' then return nil end\n",
    new="",
)


@pytest.mark.fault
def test_what_waited_in_the_dump_and_was_done_since_is_not_done_again(world: World, measure: Measure) -> None:
    ids = world.seed(PLANTS, interval_s=DAY)
    world.scheduler()
    world.until(lambda: world.waiting() == PLANTS, 60, "all jobs to wait")
    dump = world.valkey.dump(world.folder / "waiting.rdb")
    world.worker()
    world.polled_again(ids, 0)
    world.until(lambda: not world.keys_left(), 10, "all to be let go")
    world.valkey.restore(dump)
    restored_at, attempt = boottime(), world.last_attempt()
    world.make_due(ids)
    took = world.polled_again(ids, attempt, since=restored_at)
    measure("Redis restored with messages of before, to all polled again", took, AGAIN_S)
    world.settle_and_check(ids)
    assert not [exchange for exchange in world.exchanges() if exchange.begin > restored_at and exchange.attempt <= attempt]
    assert len(world.logs()) == 2 * PLANTS


def restore_mid_exchange(world: World) -> float:
    """The dump knows nothing of the worker whose exchanges run when it is restored. Seconds until all plants are polled."""
    ids = world.seed(PLANTS, interval_s=DAY)
    world.scheduler()
    world.until(lambda: world.waiting() == PLANTS, 60, "all jobs to wait")
    let_pass(LEASE_S + 1, "the epoch in the dump must be older than L, or CHECK would ask later for that reason alone")
    dump = world.valkey.dump(world.folder / "before.rdb")
    slow = world.worker(f"mid-exchange:sleep={EXCHANGE_S}")
    world.until(world.exchanges, 60, "an exchange to begin")
    world.worker()
    world.valkey.restore(dump)
    # It ends what it has begun, and leaves the rest to the other, which is quick.
    slow.terminate()
    restored_at = boottime()
    took = world.polled_again(ids, 0, since=restored_at)
    world.settle_and_check(ids)
    return took


@pytest.mark.lasts(60)
@pytest.mark.fault
def test_a_restore_mid_exchange_leads_to_no_second_exchange(world: World, measure: Measure) -> None:
    measure("Redis restored mid-exchange, to all polled", restore_mid_exchange(world), AGAIN_S)


@pytest.mark.lasts(60)
@pytest.mark.fault
def test_control_with_the_epoch_of_another_server_two_exchanges_meet(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        restore_mid_exchange(make_world(EPOCH_OFF))
    assert Kind.TWO_EXCHANGES in broken.value.kinds
