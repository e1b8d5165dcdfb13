"""A worker that is killed in the middle of a poll: the poll is found lost and done again.

The upgrade before has given SOLIS's workers exchanges that take a second each (`SLOW_SOLIS`).
"""

from typing import LiteralString

from hack.devstack.waiting import wait_until
from tests.e2e.fleet import Fleet, Slots, assert_promises_kept
from tests.e2e.product import NAMESPACE, Product

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
    slots.settle()
    assert slots.missed() == []
    assert_promises_kept(product)


def wait_mid_poll(product: Product) -> None:
    wait_until(lambda: product.rows(UNDER_WAY)[0][0] >= AT_ONCE, MET_S, "polls of SOLIS are under way")


def delete_worker(product: Product, *how: str) -> None:
    product.cluster.kubectl("delete", "pod", product.one_pod("worker", "solis"), f"--namespace={NAMESPACE}", *how)
