"""Two operators, three workers of one brand and two of each other: an upgrade to them and their work lose no poll and do none twice."""

from datetime import UTC, datetime, timedelta

from tests.e2e.fleet import Fleet, Slots, assert_promises_kept
from tests.e2e.product import BRANDS, Product

WORKERS = dict.fromkeys(BRANDS, 2) | {"solis": 3}
"""By brand. More would show no more, and take two cores longer to start."""
OPERATORS = 2


def test_two_operators_and_several_workers_do_every_poll_once(product: Product, fleet: Fleet) -> None:
    slots = Slots(product)
    copies = [f"workers.{brand}.replicas={replicas}" for brand, replicas in WORKERS.items()]
    product.upgrade(f"operator.replicas={OPERATORS}", *copies, "workers.solis.extraEnv=null")
    assert len(product.pods("operator")) == OPERATORS
    assert {brand: len(product.pods("worker", brand)) for brand in BRANDS} == WORKERS
    # A whole minute of work together, beside those of the upgrade.
    slots.settle(minutes=(datetime.now(UTC) - slots.since) / timedelta(minutes=1) + 1)
    slots.assert_each_once()
    assert_promises_kept(product)
