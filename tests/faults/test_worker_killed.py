"""Fault 1: kill -9 of a worker with 250 jobs in its hands, at every place on their way. Every plant is polled again within 60 s."""

import pytest

from tests.faults.checker import Kind, PromiseBroken
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import AGAIN_S, World

pytestmark = pytest.mark.lasts(55)

BATCH = 250
POINTS = ("after-take", "after-read", "mid-exchange", "before-close", "after-commit")
SWEEP_OFF = Mutation(
    rule="PROTOCOL 20: the sweep",
    file="controller/scheduling/recovery.py",
    old="        checked = unknown = 0\n",
    new="        return SweepReport()\n        checked = unknown = 0\n",
)


def kill_a_worker(world: World, point: str, plants: int) -> float:
    """Kills a worker that holds all plants' jobs at `point`; seconds until another has polled all of them again."""
    ids = world.seed(plants, interval_s=600)
    world.scheduler()
    world.until(lambda: world.waiting() == plants, 60, "all jobs to wait")
    doomed = world.worker(f"{point}:stop").wait_frozen()
    assert world.held() == plants
    before = world.last_attempt()
    killed_at = doomed.kill()
    if point == "after-commit":
        # These jobs are done and logged; what must not stand in the way of the next ones are the locks that nobody released.
        world.make_due(ids)
    world.worker()
    took = world.polled_again(ids, before, since=killed_at)
    world.settle_and_check(ids)
    lost = world.lost()
    assert len(lost) == (0 if point == "after-commit" else plants)
    return took


@pytest.mark.fault
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_workers_plants_are_polled_again(world: World, measure: Measure, point: str) -> None:
    took = kill_a_worker(world, point, BATCH)
    measure(f"kill -9 with {BATCH} taken, {point}, to all polled again", took, AGAIN_S)


def test_a_killed_workers_plants_are_polled_again_in_short(world: World, measure: Measure) -> None:
    took = kill_a_worker(world, "after-take", 10)
    measure("kill -9 with 10 taken, after-take, to all polled again", took, AGAIN_S)


@pytest.mark.fault
def test_control_without_the_sweep_they_are_not(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        kill_a_worker(make_world(SWEEP_OFF), "after-take", 10)
    assert broken.value.kinds == {Kind.NOT_RECOVERED}


def test_a_process_that_was_killed_is_known_to_be_dead(world: World) -> None:
    """The ledger's open ends rest on it."""
    role = world.scheduler()
    killed_at = role.kill()
    world.until(lambda: role.died_at is not None, 5, "the death to be noted")
    assert role.died_at is not None
    assert abs(role.died_at - killed_at) < 1
    assert boottime() >= role.died_at
