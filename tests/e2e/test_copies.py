"""Two operators and three workers a brand: an upgrade to them and their work lose no poll and do none twice."""

from datetime import UTC, datetime, timedelta

from tests.e2e.fleet import Fleet, Slots, assert_promises_kept
from tests.e2e.product import BRANDS, Product

WORKERS = 3
OPERATORS = 2


def test_two_operators_and_three_workers_do_every_poll_once(product: Product, fleet: Fleet) -> None:
    slots = Slots(product)
    product.upgrade(f"operator.replicas={OPERATORS}", f"workers.defaults.replicas={WORKERS}", "workers.solis.extraEnv=null")
    assert len(product.pods("operator")) == OPERATORS
    assert [len(product.pods("worker", brand)) for brand in BRANDS] == [WORKERS] * len(BRANDS)
    # A whole minute of work together, beside those of the upgrade.
    slots.settle(minutes=(datetime.now(UTC) - slots.since) / timedelta(minutes=1) + 1)
    slots.assert_each_once()
    assert_promises_kept(product)
