"""Pods that go while polls go on: told to stop, evicted, restarted. No poll is lost, and no status changes."""

import json

from hack.devstack.waiting import wait_until
from tests.e2e.fleet import FLEET, Fleet, Slots, assert_promises_kept
from tests.e2e.product import NAMESPACE, Product, is_ready
from tests.e2e.test_worker_killed import delete_worker, wait_mid_poll

BACK_S = 120


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
    slots.settle()
    slots.assert_each_once()
    assert_promises_kept(product)


def test_a_restart_of_everything_changes_no_status(product: Product, fleet: Fleet) -> None:
    before, slots = _since(product), Slots(product)
    for kind in ("deployment", "statefulset"):
        product.cluster.kubectl("rollout", "restart", kind, f"--namespace={NAMESPACE}")
    product.cluster.kubectl("rollout", "status", "statefulset/solarinvest-postgres", f"--namespace={NAMESPACE}", bound_seconds=BACK_S)
    product.wait_rolled_out()
    # The queue server came back empty: what was in flight is found lost, and each plant is polled again.
    slots.settle()
    assert _since(product) == before
    assert_promises_kept(product)


def _is_another(product: Product, gone: str) -> bool:
    return any(is_ready(pod) and pod["metadata"]["name"] != gone for pod in product.pods("operator"))


def _since(product: Product) -> dict[str, tuple[str, str]]:
    """Status of each Plant and since when."""
    plants = [plant for namespace in (FLEET, "default") for plant in product.plants(namespace)]
    return {plant["metadata"]["name"]: (plant["status"]["health"], plant["status"]["since"]) for plant in plants}
