"""`helm upgrade` while polls go on, and everything more than once: each plant is polled in each of its minutes, exactly once."""

import os

from tests.e2e.fleet import Fleet, Slots, assert_promises_kept
from tests.e2e.product import NAMESPACE, RELEASE, SLOW_SOLIS, Product


def test_an_upgrade_loses_no_poll_and_repeats_none(product: Product, fleet: Fleet) -> None:
    upgraded = os.environ["E2E_UPGRADED_IMAGE"]
    slots = Slots(product)
    # The modules that disturb workers need polls that take their time: this upgrade brings them, too.
    product.upgrade(f"image.tag={upgraded.rpartition(':')[2]}", SLOW_SOLIS)
    assert {container["image"] for pod in product.pods("worker") for container in pod["spec"]["containers"]} == {upgraded}
    slots.settle()
    slots.assert_each_once()
    assert_promises_kept(product)


def test_each_revision_has_migrated(product: Product) -> None:
    revision = len(product.cluster.helm("history", RELEASE, f"--namespace={NAMESPACE}").splitlines()) - 1
    job = product.cluster.get("job", f"solarinvest-migrate-{revision}", f"--namespace={NAMESPACE}")
    assert revision == 2
    assert job["status"]["succeeded"] == 1
