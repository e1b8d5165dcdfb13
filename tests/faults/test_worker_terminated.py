"""SIGTERM of a worker under load: it ends what it has begun, gives back the rest, and no job is lost."""

from tests.faults.conftest import Measure
from tests.faults.roles import boottime
from tests.faults.world import World

PLANTS = 250
STOP_S = 15.0
"""Begun exchanges are of milliseconds here; a cold process still needs its time to end."""


def test_a_terminated_worker_loses_no_job(world: World, measure: Measure) -> None:
    ids = world.seed(PLANTS, interval_s=600)
    world.scheduler()
    world.until(lambda: world.waiting() == PLANTS, 60, "all jobs to wait")
    worker = world.worker("mid-exchange:sleep=0.02")
    world.until(lambda: len(world.exchanges()) > 20, 60, "exchanges")
    worker.terminate()
    told_at = boottime()
    code = worker.wait(STOP_S)
    stopped_at = boottime()
    measure("SIGTERM of a worker with 250 jobs, to its end", stopped_at - told_at, STOP_S)
    assert code == 0
    assert world.held() == 0, "no lock stays behind"
    done = len(world.logs())
    assert 0 < done < PLANTS
    assert world.waiting() == PLANTS - done, "what was not begun is back in the queue"
    world.worker()
    measure("start of the next worker to all polled", world.polled_again(ids, 0), 60)
    # On a busy machine a plant may have come to its next slot by now; that none was polled twice in one is the checker's.
    world.settle_and_check(ids)
    assert not world.lost()
    assert {log.plant_id for log in world.logs()} == set(ids)
