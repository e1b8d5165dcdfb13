"""Fault 9: the clock changes a plant's status while a worker holds the plant as it read it, and while an operator is stopped in between."""

from functools import partial

import pytest

from hack.devstack.waiting import wait_until
from tests.faults.checker import Kind, PromiseBroken, Violation
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import Role, boottime
from tests.faults.world import World

CLOCK_S = 10.0
"""[10]: status is right within 10 s of its instant."""
AHEAD_S = 6
"""The instant at which the clock turns the status lies so far ahead: time for the worker to take and read the plant."""
VERSION_OFF = Mutation(
    rule="PROTOCOL 4: the close is fenced by the version",
    file="controller/storage/queries.py",
    old="    WHERE p.version = i.version AND (i.attempt IS NULL",
    new="    WHERE (i.attempt IS NULL",
)


def race_the_clock(world: World, hours: int) -> float:
    """A worker that has read the plant sleeps over the instant at which it was not seen for so long. Seconds the clock was late."""
    ids = world.seed(1, interval_s=600)
    world.put_off(ids)
    world.scheduler()
    worker = world.worker("after-read:stop")
    world.until(lambda: "incarnation_begun" in worker.log_text(), 60, "the worker to be up")
    turns_at = boottime() + AHEAD_S
    world.last_seen(ids, hours=hours, seconds_left=AHEAD_S)
    world.make_due(ids)
    worker.wait_frozen()
    assert boottime() < turns_at, "the worker read the plant too late for this test"
    expected = {2: "YELLOW", 24: "RED"}[hours]
    world.until(lambda: world.status(ids[0]) == expected, AHEAD_S + CLOCK_S, f"the clock to turn it {expected}")
    late = boottime() - turns_at
    with worker.proceed_for_good():
        world.polled_again(ids, 0)
        assert world.status(ids[0]) == "GREEN"
        world.settle_and_check(ids, more=_stale_alerts(world))
    return late


def _stale_alerts(world: World) -> list[Violation]:
    stale = world.rows(
        "SELECT a.plant_id, a.state FROM alerts a JOIN plants p USING (plant_id)"
        " WHERE a.type = 'OFFLINE' AND a.state <> 'RESOLVED' AND p.last_seen_at > now() - interval '24 hours'"
    )
    return [Violation(Kind.STALE_ALERT, f"plant {plant_id}: OFFLINE is {state}") for plant_id, state in stale]


@pytest.mark.fault
@pytest.mark.parametrize("hours", [2, 24])
def test_a_reading_and_the_clock_come_to_one_state(world: World, measure: Measure, hours: int) -> None:
    measure(f"{hours} h pass while a worker sleeps, instant to status", race_the_clock(world, hours), CLOCK_S)


@pytest.mark.fault
def test_control_without_the_version_an_alert_outlives_its_condition(make_world: MakeWorld) -> None:
    with pytest.raises(PromiseBroken) as broken:
        race_the_clock(make_world(VERSION_OFF), 24)
    assert Kind.STALE_ALERT in broken.value.kinds


@pytest.mark.fault
def test_an_operator_stopped_inside_a_transaction_holds_nobody_up(world: World, measure: Measure) -> None:
    ids = world.seed(1, interval_s=600)
    world.put_off(ids)
    schedulers = [world.scheduler(), world.scheduler()]
    for role in schedulers:
        world.until(partial(world.sessions, role), 60, "both schedulers to be up")
    turns_at = boottime() + 2
    world.last_seen(ids, hours=24, seconds_left=2)
    # Its write must lock this table; until then it holds the plant's row, so that we find it inside its transaction.
    with world.table_locked("metric_snapshots"):
        frozen = _blocked(world, schedulers)
        frozen.freeze()
    world.until(lambda: world.status(ids[0]) == "RED", CLOCK_S + 5, "the other scheduler to judge the plant")
    measure("operator stopped inside a transaction, instant to status", boottime() - turns_at, CLOCK_S)
    frozen.proceed()
    world.settle_and_check(ids)


def _blocked(world: World, schedulers: list[Role]) -> Role:
    """The scheduler that waits for a lock, as soon as one does."""

    def blocked() -> list[Role]:
        waiting = {pid for (pid,) in world.rows("SELECT pid FROM pg_locks WHERE NOT granted")}
        return [role for role in schedulers if world.sessions(role) & waiting]

    return wait_until(blocked, 10, "a scheduler in the middle of its transaction", every_seconds=0.02)[0]
