"""Fault 10: the plant changes while its vendor is being asked. What was read of it as it was is never kept as a reading of what it is."""

from collections.abc import Callable
from uuid import UUID

import pytest

from controller.domain.plant import HistoryPolicy
from tests.faults.checker import Kind, PromiseBroken, Violation
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation
from tests.faults.roles import boottime
from tests.faults.world import DAY, World

SUPERSEDED_OFF = Mutation(
    rule="PROTOCOL 23: a reading whose basis has changed is discarded",
    file="controller/domain/judge.py",
    old="    if changed and not (isinstance(result, Failed) and result.error.is_ours):\n",
    new="    if False:\n",
)


def change_mid_exchange(
    world: World, change: Callable[[UUID], object], *, basis: bool = True, history_policy: HistoryPolicy = HistoryPolicy.RETAIN
) -> tuple[UUID, int]:
    """A worker that is stopped in the exchange of one plant, which `change` then befalls. The plant, and the attempt at which it was.

    `basis`: whether the change is one of what a reading rests on.
    """
    (plant_id,) = world.seed(1, interval_s=DAY, history_policy=history_policy)
    world.scheduler()
    worker = world.worker("mid-exchange:stop").wait_frozen()
    attempt = world.last_attempt()
    change(plant_id)
    with worker.proceed_for_good():
        world.until(lambda: attempt in {log.attempt for log in world.logs()}, 30, "the job to be closed")
        # What follows from it, follows at once.
        world.until(lambda: not world.open_claims() and not _is_due(world), 30, "the plant to be at peace")
        world.settle_and_check([plant_id], more=_kept(world, attempt) if basis else ())
    worker.kill()
    return plant_id, attempt


def _is_due(world: World) -> bool:
    return bool(world.value("SELECT count(*) FROM plants WHERE next_poll_at <= now()"))


def _kept(world: World, attempt: int) -> list[Violation]:
    kept = [log for log in world.logs() if log.attempt == attempt and log.status == "SUCCESS"]
    return [Violation(Kind.STALE_READING, f"plant {log.plant_id}, attempt {log.attempt}") for log in kept]


def _ends(world: World) -> list[str]:
    return [log.error or log.status for log in world.logs()]


@pytest.mark.fault
def test_a_changed_timezone_discards_the_reading_and_polls_at_once(world: World, measure: Measure) -> None:
    began = boottime()
    change_mid_exchange(world, lambda plant_id: world.change(plant_id, timezone="Asia/Kolkata"))
    measure("timezone changed mid-exchange, to the next poll's end", boottime() - began)
    assert _ends(world) == ["SUPERSEDED", "SUCCESS"]


@pytest.mark.fault
def test_a_suspended_plant_is_polled_no_more(world: World) -> None:
    plant_id, attempt = change_mid_exchange(world, lambda plant_id: world.change(plant_id, suspend=True))
    assert _ends(world) == ["SUPERSEDED"]
    assert world.rows("SELECT next_poll_at, attempt FROM plants") == [(None, attempt)]
    assert world.rows("SELECT count(*) FROM metric_snapshots WHERE plant_id = %s", plant_id) == [(0,)]


@pytest.mark.fault
def test_a_deleted_plant_keeps_nothing_that_was_read_of_it(world: World) -> None:
    change_mid_exchange(world, world.delete)
    assert _ends(world) == ["SUPERSEDED"]
    assert world.rows("SELECT count(*) FROM metric_snapshots") == [(0,)]


@pytest.mark.fault
def test_a_plant_that_was_made_anew_is_polled_as_the_new_one(world: World) -> None:
    def make_anew(plant_id: UUID) -> None:
        world.delete(plant_id)
        world.change(plant_id, uid="another", generation=1, timezone="Asia/Kolkata")

    change_mid_exchange(world, make_anew)
    assert _ends(world) == ["SUPERSEDED", "SUCCESS"]


def purge_mid_exchange(world: World) -> None:
    """Deleted together with its history, while it is read; then purged, and made anew."""
    purged: list[list[UUID]] = []

    def delete(plant_id: UUID) -> None:
        world.delete(plant_id)
        purged.append(world.purge())
        if purged[-1]:
            raise PromiseBroken([Violation(Kind.CLAIM_WITHOUT_LOG, f"plant {plant_id} was purged while it was read")])

    plant_id, attempt = change_mid_exchange(world, delete, history_policy=HistoryPolicy.DELETE)
    assert world.purge() == [plant_id]
    world.worker()
    assert world.seed(1, interval_s=DAY) == [plant_id]
    world.polled_again([plant_id], attempt)
    # What the purge took is no longer there to be compared.
    world.execute("DELETE FROM fault_audit WHERE attempt <= %s", attempt)
    world.settle_and_check([plant_id])


@pytest.mark.fault
def test_a_purge_waits_for_the_exchange_and_numbers_are_not_used_again(world: World) -> None:
    purge_mid_exchange(world)
    assert _ends(world)[-1] == "SUCCESS"


@pytest.mark.fault
def test_a_request_that_came_too_late_for_this_poll_gets_another(world: World) -> None:
    change_mid_exchange(world, lambda plant_id: world.change(plant_id, generation=1, poll_requested="now"), basis=False)
    assert _ends(world) == ["SUCCESS", "SUCCESS"]
    assert world.value("SELECT handled_poll_request FROM plants") == "now"


@pytest.mark.fault
def test_control_a_reading_of_what_the_plant_was_is_kept(make_world: MakeWorld) -> None:
    world = make_world(SUPERSEDED_OFF)
    with pytest.raises(PromiseBroken) as broken:
        change_mid_exchange(world, lambda plant_id: world.change(plant_id, timezone="Asia/Kolkata"))
    assert Kind.STALE_READING in broken.value.kinds
