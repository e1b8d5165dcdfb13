"""Fault 11: operators stopped between reading and patching, old events, stale lists, re-creation, a status wiped by hand.

With a real API server: Kubernetes never goes back in time.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from hack.devstack.control_plane import ControlPlane
from tests.faults.audit import Change
from tests.faults.checker import Kind, PromiseBroken, Violation
from tests.faults.conftest import MakeWorld, Measure
from tests.faults.mutants import Mutation, mutant
from tests.faults.plants import Plants
from tests.faults.roles import Role, boottime
from tests.faults.world import World

pytestmark = [pytest.mark.fault, pytest.mark.xdist_group("control-plane-1"), pytest.mark.lasts(250)]

START_S = 60.0
"""Until operator and worker are up on a busy machine, and have polled and mirrored for the first time."""
LEASE_S = 30.0
"""A plant that a stopped mirror holds is free for others after this."""
SHOWN_S = 10.0
PATCH_WITHOUT_VERSION = Mutation(
    rule="PROTOCOL 27: patch with the resourceVersion that was read",
    file="controller/operator/kubernetes_api.py",
    old='        body = {"metadata": {"uid": uid, "resourceVersion": resource_version}, "status": status}\n',
    new='        body = {"metadata": {"uid": uid}, "status": status}\n',
)
STOP_ITSELF = "__import__('os').kill(__import__('os').getpid(), 19)\n"
STOP_BEFORE_APPLYING_GENERATION_2 = Mutation(
    rule="no rule: adds a place to stop, between an event and its application",
    file="controller/operator/reconcile.py",
    old="        refused = refusal(resource)\n",
    new=f"        if resource.generation == 2:\n            {STOP_ITSELF}        refused = refusal(resource)\n",
)
STOP_AFTER_LIST = Mutation(
    rule="no rule: adds a place to stop, between the list and the set difference",
    file="controller/operator/resync.py",
    old="            listed_at = page.resource_version\n",
    new=f"            listed_at = page.resource_version\n            {STOP_ITSELF}",
)


@pytest.fixture
def plants(cluster: ControlPlane, tmp_path: Path) -> Plants:
    return Plants(cluster, tmp_path)


def is_green(plants: Plants, number: int = 1) -> Callable[[], bool]:
    return lambda: plants.status(number).get("health") == "GREEN"


def patch_with_an_old_row(world: World, plants: Plants, kubeconfig: Path) -> float:
    """Seconds until another operator shows the newer row, from the moment the first one stopped with the old one in its hands."""
    plant_id = plants.declare()
    stopped = world.operator(kubeconfig, "after-row-read:stop").wait_frozen()
    stopped_at = boottime()
    world.worker()
    world.operator(kubeconfig)
    world.until(is_green(plants), START_S + LEASE_S, "the newer row to be shown")
    took = boottime() - stopped_at
    with plants.watched() as seen, stopped.proceed_for_good():
        world.until(lambda: _has_patched(stopped), 30, "the stopped operator to send its patch")
        world.hold(seen.violations, 5, "an old status would show itself now")
    _assert_shown(world, plants)
    world.settle_and_check([plant_id])
    return took


def _has_patched(operator: Role) -> bool:
    return operator.metric("solarinvest_status_patch_conflicts_total") + operator.metric("solarinvest_status_patches_total") > 0


def _assert_shown(world: World, plants: Plants) -> None:
    world.expect(lambda: world.shown() == plants.shown(), SHOWN_S, Kind.STATUS_DIFFERS, "rows and statuses to agree")


def test_a_mirror_stopped_with_an_old_row_patches_nothing(
    world: World, plants: Plants, operator_kubeconfig: Path, measure: Measure
) -> None:
    measure("mirror stopped after-row-read, to the newer row shown by another", patch_with_an_old_row(world, plants, operator_kubeconfig))


def test_control_without_resource_version_the_status_goes_back(make_world: MakeWorld, plants: Plants, operator_kubeconfig: Path) -> None:
    with pytest.raises(PromiseBroken) as broken:
        patch_with_an_old_row(make_world(PATCH_WITHOUT_VERSION), plants, operator_kubeconfig)
    assert Kind.STATUS_WENT_BACK in broken.value.kinds


def test_an_old_event_changes_nothing(world: World, plants: Plants, operator_kubeconfig: Path, tmp_path: Path, measure: Measure) -> None:
    plant_id = plants.declare(timezone="America/Sao_Paulo")
    late = world.operator(operator_kubeconfig, code=mutant(tmp_path / "mutant", STOP_BEFORE_APPLYING_GENERATION_2))
    world.until(lambda: _timezone(world) == "America/Sao_Paulo", START_S, "the plant to be declared")
    plants.change(timezone="Europe/Lisbon")
    late.wait_frozen()
    world.operator(operator_kubeconfig)
    world.until(lambda: _timezone(world) == "Europe/Lisbon", START_S, "the first change")
    plants.change(timezone="Asia/Tokyo")
    world.until(lambda: _timezone(world) == "Asia/Tokyo", SHOWN_S, "the second change")
    proceeded_at = boottime()
    with late.proceed_for_good():
        world.until(lambda: late.metric("solarinvest_reconciles_total", result="stale"), 30, "the old event to be handled")
        measure("old event handled", boottime() - proceeded_at)
        world.hold(lambda: _went_back(world.changes()), 3, "an old declaration would show itself now")
    world.worker()
    world.settle_and_check([plant_id])


def _timezone(world: World) -> str | None:
    rows = world.rows("SELECT timezone FROM plants")
    return str(rows[0][0]) if rows else None


def _went_back(changes: list[Change]) -> list[Violation]:
    return [
        Violation(Kind.WENT_BACK, f"generation from {change.generation_before} to {change.generation}")
        for change in changes
        if change.generation < change.generation_before
    ]


def test_a_stale_list_deletes_nothing(world: World, plants: Plants, operator_kubeconfig: Path, tmp_path: Path) -> None:
    late = world.operator(operator_kubeconfig, code=mutant(tmp_path / "mutant", STOP_AFTER_LIST)).wait_frozen()
    world.operator(operator_kubeconfig)
    plant_id = plants.declare()
    world.until(lambda: world.rows("SELECT 1 FROM plants"), START_S, "the plant to be declared")
    with late.proceed_for_good():
        world.until(lambda: late.metric("solarinvest_loop_turns_total", loop="resync"), 30, "the stale turn to end")
    assert not world.rows("SELECT 1 FROM plants WHERE deleted_at IS NOT NULL")
    assert not _deletions(world), "not even for a moment"
    world.worker()
    world.settle_and_check([plant_id])


def _deletions(world: World) -> int:
    """Plants that the set difference found gone, as its log tells."""
    return sum(role.log_text().count("plant_gone") for role in world.roles)


def test_a_plant_created_again_has_its_history_and_its_status(
    world: World, plants: Plants, operator_kubeconfig: Path, measure: Measure
) -> None:
    plant_id = plants.declare()
    world.operator(operator_kubeconfig)
    world.worker()
    world.until(is_green(plants), START_S, "the first status")
    logs, uid = len(world.logs()), plants.uid()
    plants.delete()
    plants.declare()
    created_at = boottime()
    assert plants.uid() != uid
    world.until(is_green(plants), SHOWN_S, "the new object's status")
    measure("Plant deleted and created again, to its status", boottime() - created_at, SHOWN_S)
    world.until(lambda: len(world.logs()) > logs, SHOWN_S, "a poll of the new object")
    assert {log.plant_id for log in world.logs()} == {plant_id}
    world.settle_and_check([plant_id])
    _assert_shown(world, plants)


def test_a_status_wiped_by_hand_comes_back(world: World, plants: Plants, operator_kubeconfig: Path, measure: Measure) -> None:
    plant_id = plants.declare()
    world.operator(operator_kubeconfig)
    world.worker()
    world.until(is_green(plants), START_S, "the first status")
    logs = len(world.logs())
    plants.wipe_status()
    wiped_at = boottime()
    world.until(is_green(plants), SHOWN_S, "the status to be back")
    measure("status wiped by hand, to its return", boottime() - wiped_at, SHOWN_S)
    assert len(world.logs()) == logs, "without a poll"
    world.settle_and_check([plant_id])
