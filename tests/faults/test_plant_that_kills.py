"""PROTOCOL 20: a plant whose poll ends its worker, again and again, takes the others along twice, and then no more."""

from uuid import UUID

import pytest

from tests.faults.checker import Kind, PromiseBroken, Violation
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import Role, boottime
from tests.faults.world import DAY, FIRST_VENDOR_ID, World

pytestmark = pytest.mark.lasts(120)

PLANTS = 20
CULPRIT = 10
EACH_S = 75.0
"""A loss is found 30 to 35 s after the worker's death, and the next worker must be up."""
KILLS = Mutation(
    rule="one plant's answer ends the process that reads it",
    file="integrations/transport.py",
    old='        self._checkpoint("mid-exchange")\n',
    new='        self._checkpoint("mid-exchange")\n        if plant.vendor_plant_id == "'
    + str(FIRST_VENDOR_ID + CULPRIT)
    + '":\n            __import__("os")._exit(86)\n',
)
NEVER_ALONE = Mutation(
    rule="PROTOCOL 20: a plant lost twice running is handed out alone",
    file="controller/domain/schedule.py",
    old="    return losses >= ALONE_AFTER_LOSSES\n",
    new="    return False\n",
)


class Supervised:
    """A worker that is started again whenever it has died, as Kubernetes does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.worker: Role = world.worker()

    def look_after(self) -> None:
        if not self.worker.running:
            self.worker = self._world.worker()


def poll_with_a_culprit(world: World) -> float:
    """Seconds until all innocent plants were polled, the culprit having been lost three times."""
    ids = world.seed(PLANTS, interval_s=DAY)
    culprit = ids[CULPRIT]
    world.scheduler()
    world.until(lambda: world.waiting() == PLANTS, 60, "all jobs to wait")
    began = boottime()
    supervised = Supervised(world)

    def lost_three_times() -> bool:
        supervised.look_after()
        return sum(log.plant_id == culprit for log in world.lost()) >= 3

    world.expect(lost_three_times, 3 * EACH_S, Kind.NOT_RECOVERED, "the culprit to be lost three times")
    took = boottime() - began
    if found := _too_often(world, culprit):
        raise PromiseBroken(found)
    supervised.look_after()
    innocent = [plant_id for plant_id in ids if plant_id != culprit]
    world.polled_again(innocent, 0)
    assert world.value("SELECT next_poll_at > now() + interval '23 hours' FROM plants WHERE plant_id = %s", culprit), "it backs off"
    before, lost = world.last_attempt(), len(world.lost())
    world.make_due(innocent)
    world.polled_again(innocent, before)
    assert len(world.lost()) == lost
    world.settle_and_check(ids)
    return took


def _too_often(world: World, culprit: UUID) -> list[Violation]:
    times: dict[UUID, int] = {}
    for log in world.lost():
        times[log.plant_id] = times.get(log.plant_id, 0) + 1
    return [Violation(Kind.JOB_LOST, f"plant {plant}: {n} times") for plant, n in times.items() if n > 2 and plant != culprit]


@pytest.mark.fault
def test_it_takes_no_innocents_along(make_world: MakeWorld, measure: Measure) -> None:
    measure("a plant kills each worker that polls it: to its third loss, alone", poll_with_a_culprit(make_world(KILLS)), 3 * EACH_S)


@pytest.mark.fault
def test_control_never_alone_it_does(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        poll_with_a_culprit(make_world(KILLS, NEVER_ALONE))
    assert Kind.JOB_LOST in broken.value.kinds
