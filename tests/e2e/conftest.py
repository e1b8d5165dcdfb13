"""One cluster and one release for all tests here, in the order in which they build on each other; the destructive ones come last.

`make e2e` makes the cluster and names its kubeconfig in E2E_KUBECONFIG; without that, everything here is skipped. hack/e2e/cluster.py
refuses a kubeconfig that leads anywhere else.
"""

import os
import time
from pathlib import Path

import pytest

from hack.e2e.cluster import Cluster
from hack.e2e.install import commands
from tests.e2e.fleet import Fleet, declare
from tests.e2e.monitoring import Prometheus
from tests.e2e.product import NAMESPACE, Product
from tests.faults import audit

ROOT = Path(__file__).resolve().parents[2]
ORDER = (
    "test_install",
    "test_prometheus",
    "test_plants",
    "test_scenarios",
    "test_rights",
    "test_kubectl_solar",
    "test_network",
    "test_acceptance",
    "test_upgrade",
    "test_worker_killed",
    "test_alerting",
    "test_disruption",
    "test_copies",
    "test_uninstall",
)
"""Modules. A new one is named here, or pytest ends at once."""
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
FILLED_S = 180


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    places = {item: ORDER.index(item.path.stem) for item in items if item.path.parent == here}
    items.sort(key=lambda item: places.get(item, -1))


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    if not os.environ.get("E2E_KUBECONFIG"):
        pytest.skip("needs a cluster of its own: make e2e")
    return Cluster(Path(os.environ["E2E_KUBECONFIG"]))


@pytest.fixture(scope="session")
def install_seconds(cluster: Cluster) -> float:
    """Does what the README says, where Pod Security's level restricted is enforced, until the table is filled; how long that took."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
    began = time.monotonic()
    for command in commands(ROOT / "README.md"):
        print(f"$ {command}")
        print(cluster.run("bash", "-euc", command, bound_seconds=FILLED_S))
    Product(cluster).wait_shown("default", {"GREEN Reporting"}, FILLED_S, at_least=4)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def product(cluster: Cluster, install_seconds: float) -> Product:
    """The installed release. Its database writes down every claim from here on, for tests/faults/checker.py."""
    product = Product(cluster)
    with product.database() as url:
        audit.install(url)
    return product


@pytest.fixture(scope="session")
def prometheus(product: Product) -> Prometheus:
    return Prometheus(product.cluster).start()


@pytest.fixture(scope="session")
def fleet(product: Product) -> Fleet:
    """Plants of all brands in a namespace of their own, polled each minute."""
    return declare(product)
