"""PROTOCOL 16: a poll that somebody asks for begins within a second, however many wait and however slow the vendor is."""

import pytest

from tests.faults.checker import Kind, Observed, PromiseBroken, Violation, violations
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import World

pytestmark = pytest.mark.lasts(70)

PLANTS = 20_000
REQUESTS = 5
WITHIN_S = 1.0
SLOW_VENDOR = "mid-exchange:sleep=0.2"
"""250 polls, with two exchanges each, keep 32 lanes busy for three seconds: no batch is through within the second."""
NOT_PROMOTED = Mutation(
    rule="PROTOCOL 16: PROMOTE",
    file="controller/scheduling/fast_lane.py",
    old="        moved = self._queue.promote([job for job in jobs if job.attempt not in self._promoted]) if jobs else set()\n",
    new="        moved: set[Job] = set()\n",
)


def ask_for_polls(world: World) -> list[float]:
    """Requests for plants at the end of a full queue, one after the other; after how many seconds the poll of each began."""
    ids = world.multiply(world.seed(1, interval_s=600)[0], PLANTS)
    world.scheduler()
    world.until(lambda: world.waiting() == PLANTS, 120, "all jobs to wait")
    worker = world.worker(SLOW_VENDOR)
    world.until(lambda: world.ledger_file.exists() and world.ledger_file.stat().st_size > 0, 60, "an exchange to begin")
    last = [
        plant_id for (plant_id,) in world.rows("SELECT plant_id FROM plants WHERE done_attempt < attempt ORDER BY attempt DESC LIMIT 20")
    ]
    asked = {}
    for plant_id in last[:REQUESTS]:
        world.change(plant_id, generation=1, poll_requested="now")
        asked[plant_id] = boottime()
        world.hold_until(lambda plant_id=plant_id: _closed(world, plant_id), 2, "it is closed long before")  # type: ignore[misc]
    assert world.waiting() > PLANTS / 4, "the queue is still full"
    done = len(world.logs())
    world.until(lambda: len(world.logs()) > done, 20, "the others to go on")
    worker.kill()
    exchanges = world.exchanges()
    if found := violations(Observed(exchanges=exchanges)):
        raise PromiseBroken(found)
    begun = {plant_id: min((x.begin for x in exchanges if x.plant_id == plant_id), default=None) for plant_id in asked}
    late = [Violation(Kind.NOT_RECOVERED, f"plant {plant_id} was not polled") for plant_id, begin in begun.items() if begin is None]
    if late:
        raise PromiseBroken(late)
    assert len(ids) == PLANTS
    return [begin - asked[plant_id] for plant_id, begin in begun.items() if begin is not None]


def _closed(world: World, plant_id: object) -> bool:
    return bool(world.value("SELECT done_attempt = attempt FROM plants WHERE plant_id = %s", plant_id))


@pytest.mark.fault
def test_a_requested_poll_begins_within_a_second_behind_a_full_queue(world: World, measure: Measure) -> None:
    for took in ask_for_polls(world):
        measure(f"poll requested behind {PLANTS:,} jobs at a slow vendor, to its exchange", took, WITHIN_S)


@pytest.mark.fault
def test_control_without_promotion_it_waits_for_its_turn(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        ask_for_polls(make_world(NOT_PROMOTED))
    assert broken.value.kinds == {Kind.NOT_RECOVERED}
