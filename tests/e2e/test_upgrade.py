"""`helm upgrade` while polls go on, and everything more than once: each plant is polled in each of its minutes, exactly once."""

import os

from tests.e2e.fleet import Fleet, Slots, assert_promises_kept
from tests.e2e.product import BRANDS, NAMESPACE, RELEASE, Product

WORKERS = 3
OPERATORS = 2


def test_an_upgrade_loses_no_poll_and_repeats_none(product: Product, fleet: Fleet) -> None:
    tag = os.environ["E2E_UPGRADED_IMAGE"].rpartition(":")[2]
    slots = Slots(product)
    product.upgrade(f"image.tag={tag}")
    slots.wait_minutes(1)
    print(f"upgraded to {tag}: lost {slots.lost()}, missed {len(slots.missed())}, repeated {len(slots.repeated())}")
    assert {image for pod in product.pods("worker") for image in _images(pod)} == {os.environ["E2E_UPGRADED_IMAGE"]}
    assert (slots.missed(), slots.repeated(), slots.lost()) == ([], [], 0)
    assert_promises_kept(product)


def test_two_operators_and_three_workers_do_every_poll_once(product: Product, fleet: Fleet) -> None:
    product.upgrade(f"operator.replicas={OPERATORS}", f"workers.defaults.replicas={WORKERS}")
    assert len(product.pods("operator")) == OPERATORS
    assert [len(product.pods("worker", brand)) for brand in BRANDS] == [WORKERS] * len(BRANDS)
    slots = Slots(product)
    slots.wait_minutes(2)
    assert (slots.missed(), slots.repeated(), slots.lost()) == ([], [], 0)
    assert_promises_kept(product)


def test_each_revision_has_migrated(product: Product) -> None:
    history = len(product.cluster.helm("history", RELEASE, f"--namespace={NAMESPACE}").splitlines()) - 1
    jobs = {job["metadata"]["name"]: job["status"].get("succeeded") for job in product.cluster.items("jobs", f"--namespace={NAMESPACE}")}
    # Jobs are removed by their revision's end or their time to live; the newest is always there.
    assert jobs[f"solarinvest-migrate-{history}"] == 1


def _images(pod: dict[str, object]) -> list[str]:
    spec = pod["spec"]
    assert isinstance(spec, dict)
    return [container["image"] for container in spec["containers"]]
