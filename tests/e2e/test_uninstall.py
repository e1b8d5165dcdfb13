"""Taken away: Plants and history stay and are taken up again, or nothing stays where that was asked for, and nothing ever hangs.

The last tests: nothing is installed afterwards.
"""

import time

import pytest

from hack.devstack.waiting import wait_until
from hack.e2e.cluster import CommandError
from hack.e2e.install import commands
from tests.e2e.conftest import FILLED_S, ROOT
from tests.e2e.product import NAMESPACE, RELEASE, Left, Product

GONE_S = 120
AT_ONCE_S = 20
KINDS = "deployments,statefulsets,jobs,pods,services,networkpolicies,poddisruptionbudgets,serviceaccounts,roles,rolebindings"
CRD = "plants.monitor.solarinvest.info"
GOES, STAYS = "tea-house-pune", "quinta-do-vale"


def test_plants_and_history_stay_and_are_taken_up_again(product: Product) -> None:
    declared = {plant["metadata"]["name"]: plant["metadata"]["uid"] for plant in product.plants("default")}
    days = product.rows("SELECT count(*) FROM metric_snapshots")
    uninstall(product)
    assert {plant["metadata"]["name"]: plant["metadata"]["uid"] for plant in product.plants("default")} == declared
    # While nothing runs, a Plant is deleted as at any time: nobody has to let go of it.
    product.cluster.kubectl("delete", "plant", GOES, "--namespace=default", bound_seconds=AT_ONCE_S)
    before = product.plant(STAYS, "default")["status"]["lastPollTime"]
    install(product)
    wait_until(lambda: product.plant(STAYS, "default")["status"]["lastPollTime"] > before, FILLED_S, "polled again", every_seconds=1)
    assert product.rows("SELECT count(*) FROM metric_snapshots") >= days
    wait_until(
        lambda: product.rows("SELECT deleted_at IS NOT NULL FROM plants WHERE name = %(name)s", name=GOES) == [(True,)],
        FILLED_S,
        "missed deletion",
    )


def test_with_the_documented_flags_nothing_stays(product: Product) -> None:
    product.upgrade("crds.keep=false", "postgres.demo.persistence.keep=false")
    uninstall(product)
    assert product.cluster.items("persistentvolumeclaims", f"--namespace={NAMESPACE}") == []
    assert product.secrets() == {}
    wait_until(lambda: not _has_plants(product), GONE_S, "the resource is gone", every_seconds=1)
    roles = product.cluster.items("clusterroles,clusterrolebindings", f"--selector=app.kubernetes.io/instance={RELEASE}")
    assert [role["metadata"]["name"] for role in roles] == []


def test_whatever_goes_first_nothing_hangs(product: Product) -> None:
    """The namespace with everything in it, then the resource with every Plant, then the release, of which nothing is left."""
    install(product, wait=False)
    product.cluster.kubectl("apply", "--filename=manifests/samples")
    began = time.monotonic()
    product.cluster.kubectl("delete", "crd", CRD, bound_seconds=GONE_S)
    product.cluster.kubectl("delete", "namespace", NAMESPACE, bound_seconds=GONE_S)
    print(f"gone after {time.monotonic() - began:.0f} s")
    with pytest.raises(CommandError, match="not found"):
        product.cluster.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}")


def install(product: Product, *, wait: bool = True) -> None:
    """As README says, or without waiting until everything runs."""
    [command] = [command for command in commands(ROOT / "README.md") if command.startswith("helm install")]
    product.cluster.run("bash", "-euc", command if wait else command.removesuffix(" --wait"), bound_seconds=FILLED_S)


def uninstall(product: Product) -> None:
    """`helm uninstall`, and everything that runs is gone within the bound."""
    product.cluster.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", f"--timeout={GONE_S}s", bound_seconds=GONE_S + 10)

    def left() -> Left:
        found = product.cluster.items(KINDS, f"--namespace={NAMESPACE}", f"--selector=app.kubernetes.io/instance={RELEASE}")
        return Left(f"{item['kind']} {item['metadata']['name']}" for item in found)

    wait_until(left, GONE_S, "nothing of the release is left", every_seconds=1)


def _has_plants(product: Product) -> bool:
    return CRD in {found["metadata"]["name"] for found in product.cluster.items("crds")}
