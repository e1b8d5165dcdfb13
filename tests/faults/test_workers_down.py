"""Fault 2: no worker for three intervals, two schedulers. A job that waits is neither lost nor queued twice."""

import json
from collections import Counter

import pytest

from tests.faults.checker import Kind, PromiseBroken, Violation
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import MINUTE, World

PLANTS = 200
ENTRIES_EXPIRE = Mutation(
    rule="PROTOCOL 9: waiting entries have no TTL",
    file="controller/queueing/scripts/enqueue.lua",
    old="  redis.call('HSET', KEYS[2 * brand], unpack(entries))\n",
    new="  redis.call('HSET', KEYS[2 * brand], unpack(entries))\n  redis.call('EXPIRE', KEYS[2 * brand], 2)\n",
)


def wrong_while_waiting(world: World) -> list[Violation]:
    """What must not be seen at any moment while nobody works."""
    messages = Counter(json.loads(message)["id"] for message in world.redis.lrange("huey.redis.queue:poll:solis", 0, -1))
    twice = [Violation(Kind.QUEUED_TWICE, f"{job_id}: {count}") for job_id, count in messages.items() if count > 1]
    return twice + [Violation(Kind.JOB_LOST, f"plant {log.plant_id}, attempt {log.attempt}") for log in world.lost()]


def starve(world: World, seconds: float) -> float:
    """No worker for so long; then one. Seconds that it takes to have polled all plants."""
    ids = world.seed(PLANTS, interval_s=MINUTE)
    world.scheduler()
    world.scheduler()
    world.until(lambda: world.waiting() == PLANTS, 60, "all jobs to wait")
    world.hold(lambda: wrong_while_waiting(world), seconds, "intervals without workers")
    assert world.waiting() == PLANTS
    began = boottime()
    world.worker()
    took = world.polled_again(ids, 0, since=began)
    world.settle_and_check(ids)
    assert not world.lost()
    return took


@pytest.mark.lasts(200)
@pytest.mark.fault
def test_jobs_that_wait_three_intervals_are_polled_once(world: World, measure: Measure) -> None:
    measure(f"3 intervals without workers, start of a worker to all {PLANTS} polled", starve(world, 3 * MINUTE), 60)


@pytest.mark.lasts(50)
@pytest.mark.fault
def test_control_entries_that_expire_lose_jobs(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        starve(make_world(ENTRIES_EXPIRE), 3 * MINUTE)
    assert Kind.JOB_LOST in broken.value.kinds
