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
KINDS = "deployments,statefulsets,jobs,pods,services,networkpolicies,poddisruptionbudgets,serviceaccounts,roles,rolebindings"
CRD = "plants.monitor.solarinvest.info"


def test_plants_and_history_stay_and_are_taken_up_again(product: Product) -> None:
    declared = {plant["metadata"]["name"]: plant["metadata"]["uid"] for plant in product.plants("default")}
    snapshots = product.rows("SELECT count(*) FROM metric_snapshots")
    uninstall(product)
    assert {plant["metadata"]["name"]: plant["metadata"]["uid"] for plant in product.plants("default")} == declared
    [install] = [command for command in commands(ROOT / "README.md") if command.startswith("helm install")]
    product.cluster.run("bash", "-euc", install, bound_seconds=FILLED_S)
    product.wait_rolled_out()
    before = product.plant("quinta-do-vale", "default")["status"]["lastPollTime"]
    wait_until(
        lambda: product.plant("quinta-do-vale", "default")["status"]["lastPollTime"] > before, FILLED_S, "polled again", every_seconds=1
    )
    assert product.rows("SELECT count(*) FROM metric_snapshots") >= snapshots


def test_a_plant_that_is_deleted_while_nothing_runs_is_gone_at_once(product: Product) -> None:
    uninstall(product)
    product.cluster.kubectl("delete", "plant", "quinta-do-vale", "--namespace=default", bound_seconds=20)
    assert "quinta-do-vale" not in {plant["metadata"]["name"] for plant in product.plants("default")}


def test_with_the_documented_flags_nothing_stays(product: Product) -> None:
    [install] = [command for command in commands(ROOT / "README.md") if command.startswith("helm install")]
    product.cluster.run("bash", "-euc", install, bound_seconds=FILLED_S)
    product.upgrade("crds.keep=false", "postgres.demo.persistence.keep=false")
    uninstall(product)
    assert product.cluster.items("persistentvolumeclaims", f"--namespace={NAMESPACE}") == []
    assert product.secrets() == {}
    with pytest.raises(CommandError, match="NotFound"):
        product.cluster.get("crd", CRD)
    roles = product.cluster.items("clusterroles,clusterrolebindings", f"--selector=app.kubernetes.io/instance={RELEASE}")
    assert [role["metadata"]["name"] for role in roles] == []


def test_the_namespace_may_go_first(product: Product) -> None:
    """Whatever the order: the namespace with everything in it, then what Helm left elsewhere, and a release that is half gone."""
    [install] = [command for command in commands(ROOT / "README.md") if command.startswith("helm install")]
    product.cluster.run("bash", "-euc", install, bound_seconds=FILLED_S)
    product.cluster.kubectl("apply", "--filename=manifests/samples")
    began = time.monotonic()
    product.cluster.kubectl("delete", "namespace", NAMESPACE, bound_seconds=GONE_S)
    product.cluster.kubectl("delete", "crd", CRD, bound_seconds=GONE_S)
    print(f"gone after {time.monotonic() - began:.0f} s")
    with pytest.raises(CommandError, match="not found"):
        product.cluster.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}")


def uninstall(product: Product) -> None:
    """`helm uninstall`, and everything that runs is gone within the bound."""
    product.cluster.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", f"--timeout={GONE_S}s", bound_seconds=GONE_S + 10)

    def left() -> Left:
        found = product.cluster.items(KINDS, f"--namespace={NAMESPACE}", f"--selector=app.kubernetes.io/instance={RELEASE}")
        return Left(f"{item['kind']} {item['metadata']['name']}" for item in found)

    wait_until(left, GONE_S, "nothing of the release is left", every_seconds=1)
