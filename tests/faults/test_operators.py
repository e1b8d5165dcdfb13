"""Operators on a real API server that goes away, that are down themselves, or that are two."""

from pathlib import Path

import pytest

from hack.devstack.control_plane import ControlPlane
from tests.faults.checker import Kind, PromiseBroken, Violation, acknowledged_twice
from tests.faults.conftest import Measure
from tests.faults.plants import Plants
from tests.faults.roles import boottime
from tests.faults.world import World, let_pass

pytestmark = [pytest.mark.fault, pytest.mark.xdist_group("control-plane-2"), pytest.mark.lasts(180)]

PLANTS = 20
START_S = 60.0
OUTAGE_S = 30.0
CATCH_UP_S = 30.0


@pytest.fixture
def plants(cluster: ControlPlane, tmp_path: Path) -> Plants:
    return Plants(cluster, tmp_path)


def all_shown(world: World, plants: Plants) -> bool:
    """Every object shows its row's newest state, and that it does is noted: noting says, too, when its slot ends."""
    behind = world.rows("SELECT 1 FROM plants WHERE version > mirrored_version AND deleted_at IS NULL")
    return not behind and world.shown() == plants.shown()


def test_polling_goes_on_without_the_api_server_and_the_mirror_catches_up(
    world: World, cluster: ControlPlane, plants: Plants, operator_kubeconfig: Path, measure: Measure
) -> None:
    ids = plants.declare_many(range(PLANTS))
    operator = world.operator(operator_kubeconfig)
    world.worker()
    world.polled_again(ids, 0, START_S)
    world.until(lambda: all_shown(world, plants), CATCH_UP_S, "the first statuses")
    cluster.stop_apiserver()
    stopped_at = boottime()
    let_pass(OUTAGE_S / 3, "the API server is away for 30 s")
    before = world.last_attempt()
    world.make_due(ids)
    measure("API server away, polls due to all polled", world.polled_again(ids, before), 10)
    let_pass(max(0.0, OUTAGE_S - (boottime() - stopped_at)), "the API server is away for 30 s")
    started_at = boottime()
    cluster.start_apiserver()
    world.until(lambda: all_shown(world, plants), CATCH_UP_S, "the mirror to catch up")
    measure("API server started again, to all statuses current", boottime() - started_at, CATCH_UP_S)
    # The watch works again, too.
    plants.change(timezone="Asia/Tokyo", number=0)
    changed_at = boottime()
    world.until(lambda: world.rows("SELECT 1 FROM plants WHERE timezone = 'Asia/Tokyo'"), CATCH_UP_S, "a change to be seen")
    measure("API server back, a changed spec to its row", boottime() - changed_at, CATCH_UP_S)
    assert operator.running
    world.settle_and_check(ids)


def test_a_plant_deleted_while_the_operator_is_down_is_polled_no_more(
    world: World, plants: Plants, operator_kubeconfig: Path, measure: Measure
) -> None:
    ids = plants.declare_many([1, 2])
    gone, stays = ids
    operator = world.operator(operator_kubeconfig)
    world.worker()
    world.polled_again(ids, 0, START_S)
    operator.kill()
    plants.delete(1)
    started_at = boottime()
    world.operator(operator_kubeconfig)
    world.until(
        lambda: world.rows("SELECT 1 FROM plants WHERE plant_id = %s AND deleted_at IS NOT NULL", gone),
        START_S,
        "the deletion to be found",
    )
    found_at, before = boottime(), world.last_attempt()
    measure("operator started again, to a missed deletion found", found_at - started_at)
    world.make_due([stays])
    world.polled_again([stays], before)
    world.make_due([stays])
    world.polled_again([stays], world.last_attempt())
    late = [exchange for exchange in world.exchanges() if exchange.plant_id == gone and exchange.begin > found_at]
    world.settle_and_check([stays], more=[Violation(Kind.EXCHANGE_AFTER_DELETION, str(exchange)) for exchange in late])
    assert world.value("SELECT next_poll_at IS NULL FROM plants WHERE plant_id = %s", gone)


def test_two_operators_mirror_each_version_once_and_none_backwards(
    world: World, plants: Plants, operator_kubeconfig: Path, measure: Measure
) -> None:
    operators = [world.operator(operator_kubeconfig), world.operator(operator_kubeconfig)]
    world.worker()
    world.worker()
    ids = plants.declare_many(range(PLANTS))
    with plants.watched() as seen:
        world.polled_again(ids, 0, START_S)
        world.until(lambda: all_shown(world, plants), CATCH_UP_S, "the first statuses")
        for _ in range(3):
            before, due_at = world.last_attempt(), boottime()
            # Spread over some ticks, so that both find something to do.
            world.make_due(ids, within_s=10)
            world.polled_again(ids, before)
            world.until(lambda: all_shown(world, plants), CATCH_UP_S, "all to be shown")
            measure(f"two operators, {PLANTS} polls due within 10 s, to all statuses current", boottime() - due_at, CATCH_UP_S)
        found = [*seen.violations(), *acknowledged_twice(world.changes())]
    world.settle_and_check(ids, more=found)
    acknowledged = sum(change.is_acknowledgement for change in world.changes())
    patches = sum(operator.metric("solarinvest_status_patches_total") for operator in operators)
    if patches > acknowledged:
        raise PromiseBroken([Violation(Kind.MIRRORED_TWICE, f"{patches:g} patches for {acknowledged} versions")])
    assert all(operator.metric("solarinvest_claims_total", kind="POLL") > 0 for operator in operators), "both worked"
