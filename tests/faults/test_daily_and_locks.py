"""Fault 8: daily job and poll due in the same second, and a lock that is not ours. One claim slot a plant: they never meet."""

from datetime import date

import pytest

from tests.faults.checker import Kind, PromiseBroken, Violation
from tests.faults.conftest import Measure
from tests.faults.roles import boottime
from tests.faults.world import World

PLANTS = 50
QUIET_S = 30
"""A daily job that came to nothing is due again after at least a minute: half of it must be quiet."""


@pytest.mark.fault
def test_a_daily_job_and_a_poll_due_at_once_do_not_meet(world: World, measure: Measure) -> None:
    ids = world.seed(PLANTS, interval_s=600)
    world.make_days_due(ids)
    began = boottime()
    world.scheduler()
    world.worker("mid-exchange:sleep=0.01")
    world.worker("mid-exchange:sleep=0.01")

    def all_done() -> bool:
        done = {(log.plant_id, log.job_type) for log in world.logs() if log.status == "SUCCESS"}
        return done == {(plant_id, job_type) for plant_id in ids for job_type in ("POLL", "DAILY")}

    world.until(all_done, 60, "a poll and a daily job of every plant")
    measure(f"{PLANTS} polls and {PLANTS} daily jobs due in one second, to all done", boottime() - began, 60)
    world.settle_and_check(ids)


@pytest.mark.lasts(45)
@pytest.mark.fault
def test_a_foreign_lock_is_respected_and_the_day_closed_later(world: World, measure: Measure) -> None:
    ids = world.seed(1, interval_s=600)
    plant_id = ids[0]
    world.scheduler()
    world.worker()
    world.polled_again(ids, 0)
    world.put_off(ids)
    world.until(lambda: not world.keys_left(), 10, "the first poll's lock to be released")
    world.redis.set(f"lock:plant:{plant_id}", "somebody else")
    world.make_days_due(ids)
    day, _ = _next_day(world)
    world.until(lambda: _ends(world)[1:] == ["DAILY LOCKED"], 10, "the lock to be met")
    world.hold(lambda: _more(world), QUIET_S, "LOCKED is logged once, not over and over")
    if world.redis.get(f"lock:plant:{plant_id}") != "somebody else":
        raise PromiseBroken([Violation(Kind.LOCK_TAKEN, str(plant_id))])
    assert _next_day(world) == (day, True), "the same day is tried again, and after a pause"
    world.redis.delete(f"lock:plant:{plant_id}")
    world.execute("UPDATE plants SET day_due_at = now(), version = version + 1")  # the pause, up to an hour, is over
    began = boottime()
    world.until(lambda: _ends(world)[2:] == ["DAILY SUCCESS"], 10, "the day to be closed")
    measure("foreign lock gone and the pause over, to the day closed", boottime() - began, 10)
    locked = next(log.attempt for log in world.logs() if log.error == "LOCKED")
    assert locked not in {exchange.attempt for exchange in world.exchanges()}
    world.settle_and_check(ids)


def _next_day(world: World) -> tuple[date, bool]:
    """The day to be closed next, and whether its job is to wait for more than half a minute."""
    return world.rows("SELECT day_due_date, day_due_at > now() + interval '20 seconds' FROM plants")[0]


def _ends(world: World) -> list[str]:
    """How each job ended."""
    return [f"{log.job_type} {log.error or log.status}" for log in world.logs()]


def _more(world: World) -> list[Violation]:
    return [Violation(Kind.LOGGED_TOO_OFTEN, end) for end in _ends(world)[2:]]
