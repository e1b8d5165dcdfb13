"""Pods that go while polls go on: killed in the middle of one, told to stop, evicted, restarted. No poll is lost, and no status changes.

The upgrade before has given SOLIS's workers exchanges that take some seconds (`SLOW_SOLIS`).
"""

import json
from typing import LiteralString

from hack.devstack.waiting import wait_until
from tests.e2e.fleet import FLEET, Fleet, Slots, assert_promises_kept
from tests.e2e.product import NAMESPACE, Product, is_ready

UNDER_WAY: LiteralString = """
SELECT count(*) FROM plants
WHERE namespace = 'fleet' AND brand = 'SOLIS' AND claim_kind = 'POLL'
  AND done_attempt < attempt AND claimed_at < now() - interval '1 second'
"""
AT_ONCE = 3
"""Polls under way, of which each takes two seconds: whatever happens next, it meets one of them."""
MET_S = 90
BACK_S = 120


def test_a_worker_that_is_killed_in_the_middle_of_a_poll_loses_none(product: Product, fleet: Fleet) -> None:
    slots = Slots(product)
    wait_mid_poll(product)
    # From the node, without a word to the process: a deletion, even a forced one, gives it a second or two to finish.
    node = f"{product.cluster.name}-control-plane"
    product.cluster.run("docker", "exec", node, "pkill", "-KILL", "--full", "solarinvest worker --brand solis")
    delete_worker(product, "--grace-period=0", "--force")
    wait_until(lambda: slots.lost() > 0, BACK_S, "what it had begun is found lost", every_seconds=1)
    slots.wait_whole()
    assert slots.missed() == []
    assert_promises_kept(product)


def test_a_worker_told_to_stop_and_an_evicted_operator_lose_no_poll_and_repeat_none(product: Product, fleet: Fleet) -> None:
    slots = Slots(product)
    wait_mid_poll(product)
    delete_worker(product, "--wait=false")
    pod = product.one_pod("operator")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"--raw=/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    told = json.loads(product.cluster.kubectl("create", path, "--filename=-", stdin=json.dumps(eviction)))
    assert told["status"] == "Success"
    wait_until(lambda: _is_another(product, pod), BACK_S, "another operator is ready", every_seconds=1)
    slots.wait_whole()
    slots.assert_each_once()
    assert_promises_kept(product)


def test_a_restart_of_everything_changes_no_status(product: Product, fleet: Fleet) -> None:
    before = _since(product)
    for kind in ("deployment", "statefulset"):
        product.cluster.kubectl("rollout", "restart", kind, f"--namespace={NAMESPACE}")
    product.cluster.kubectl("rollout", "status", "statefulset/solarinvest-postgres", f"--namespace={NAMESPACE}", bound_seconds=BACK_S)
    product.wait_rolled_out()
    # The queue server came back empty: what was in flight is found lost, and each plant is polled again.
    Slots(product).wait_whole()
    assert _since(product) == before
    assert_promises_kept(product)


def wait_mid_poll(product: Product) -> None:
    wait_until(lambda: product.rows(UNDER_WAY)[0][0] >= AT_ONCE, MET_S, "polls of SOLIS are under way")


def delete_worker(product: Product, *how: str) -> None:
    product.cluster.kubectl("delete", "pod", product.one_pod("worker", "solis"), f"--namespace={NAMESPACE}", *how)


def _is_another(product: Product, gone: str) -> bool:
    return any(is_ready(pod) and pod["metadata"]["name"] != gone for pod in product.pods("operator"))


def _since(product: Product) -> dict[str, tuple[str, str]]:
    """Status of each Plant and since when."""
    plants = [plant for namespace in (FLEET, "default") for plant in product.plants(namespace)]
    return {plant["metadata"]["name"]: (plant["status"]["health"], plant["status"]["since"]) for plant in plants}
