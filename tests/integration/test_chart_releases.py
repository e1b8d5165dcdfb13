"""The chart on a real API server, by Helm itself: installed, upgraded, rolled back, uninstalled, installed again. Nothing runs the pods."""

import base64
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import helm_python
import pytest

from hack.devstack.control_plane import ControlPlane
from hack.devstack.program import DevStackError
from tests.chart.rendering import CHART, RELEASE, render, value_sets

SETS = value_sets()
PLANTS = "/apis/monitor.solarinvest.info/v1alpha1"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KINDS = {
    "Secret": "/api/v1/namespaces/{}/secrets",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "CustomResourceDefinition": CRD,
}
PLANT = {"apiVersion": "monitor.solarinvest.info/v1alpha1", "kind": "Plant", "metadata": {"name": "roof"}, "spec": {"brand": "SOLIS"}}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without anything of ours in it."""
    with ControlPlane(tmp_path_factory.mktemp("bare")) as started:
        yield started


@pytest.fixture
def namespace(bare: ControlPlane) -> str:
    """A namespace that admits restricted pods only."""
    name = f"solar-{uuid4().hex[:8]}"
    enforced = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
    bare.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": enforced}})
    return name


@pytest.fixture
def helm(bare: ControlPlane, namespace: str) -> Iterator[helm_python.Config]:
    with helm_python.Config(kubeconfig_path=bare.kubeconfig, namespace=namespace) as config:
        yield config


class Cluster:
    """What of the release is in the namespace, or of no namespace."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._namespace = plane, namespace

    def objects(self) -> set[tuple[str, str]]:
        """Kind and name. What is being deleted is gone: no controller finishes it here."""
        return {
            (kind, one["metadata"]["name"])
            for kind, path in KINDS.items()
            for one in self._plane.request("GET", path.format(self._namespace))["items"]
            if one["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == RELEASE and "deletionTimestamp" not in one["metadata"]
        }

    def secret(self, name: str, key: str) -> str:
        found = self._plane.request("GET", f"{KINDS['Secret'].format(self._namespace)}/{name}")
        return base64.b64decode(found["data"][key]).decode()

    def passwords(self) -> list[str]:
        return [
            self.secret("solarinvest-postgres", "password"),
            self.secret("solarinvest-valkey", "password"),
            self.secret("solarinvest-jwt", "secret"),
        ]

    def jobs(self) -> set[str]:
        return {name for kind, name in self.objects() if kind == "Job"}


CRD_KEPT = ("CustomResourceDefinition", "plants.monitor.solarinvest.info")
DATA_KEPT = {("PersistentVolumeClaim", "solarinvest-postgres"), ("Secret", "solarinvest-postgres")}


@pytest.mark.lasts(25)
def test_a_release_lives_and_goes_and_leaves_plants_and_history(bare: ControlPlane, namespace: str, helm: helm_python.Config) -> None:
    cluster = Cluster(bare, namespace)
    demo = SETS["demo"]
    expected = {(one["kind"], one["metadata"]["name"]) for one in render(demo).objects if one["kind"] != "Pod"}

    helm.install(str(CHART), RELEASE, demo, namespace=namespace)
    assert cluster.objects() == expected
    first = cluster.passwords()
    bare.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{CRD_KEPT[1]}")
    bare.request("POST", f"{PLANTS}/namespaces/{namespace}/plants", PLANT)

    # An upgrade makes no password anew, and takes the Job of the revision before away.
    helm.upgrade(str(CHART), RELEASE, {**demo, "logLevel": "DEBUG"}, namespace=namespace)
    assert cluster.passwords() == first
    assert cluster.jobs() == {"solarinvest-migrate-2"}
    helm.rollback(RELEASE, version=1)
    assert cluster.passwords() == first
    assert cluster.jobs() == {"solarinvest-migrate-1"}

    helm.uninstall(RELEASE)
    assert cluster.objects() == {CRD_KEPT} | DATA_KEPT
    assert bare.request("GET", f"{PLANTS}/namespaces/{namespace}/plants/roof")["spec"]["brand"] == "SOLIS"

    # The same release takes up what it left; the password is still the one of the data.
    helm.install(str(CHART), RELEASE, demo, namespace=namespace)
    assert cluster.objects() == expected
    assert cluster.passwords()[0] == first[0]
    assert cluster.passwords()[1:] != first[1:]

    # Told to keep nothing, it leaves nothing.
    nothing = copy.deepcopy(demo) | {"crds": {"keep": False}}
    nothing["postgres"]["demo"]["persistence"] = {"keep": False}
    helm.upgrade(str(CHART), RELEASE, nothing, namespace=namespace)
    helm.uninstall(RELEASE)
    assert cluster.objects() == set()


@pytest.mark.parametrize("name", [name for name in SETS if name != "everything"])
def test_every_value_set_is_accepted_by_the_api_server(helm: helm_python.Config, namespace: str, name: str) -> None:
    release = helm.install(str(CHART), RELEASE, SETS[name], namespace=namespace, dry_run="server")
    assert release["name"] == RELEASE


@pytest.mark.parametrize("name", list(SETS))
def test_every_pod_is_admitted_where_restricted_is_enforced(bare: ControlPlane, namespace: str, priority_class: None, name: str) -> None:
    pods = dict(render(SETS[name]).workloads())
    assert pods
    for workload, pod in pods.items():
        _admit(bare, namespace, workload, pod["spec"])


def test_another_pod_would_not_be(bare: ControlPlane, namespace: str) -> None:
    pod = copy.deepcopy(dict(render(SETS["demo"]).workloads())["solarinvest-api"]["spec"])
    pod["securityContext"]["runAsNonRoot"] = False
    with pytest.raises(DevStackError, match="violates PodSecurity"):
        _admit(bare, namespace, "root", pod)


@pytest.fixture
def priority_class(bare: ControlPlane) -> Iterator[None]:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    bare.request("POST", path, {"metadata": {"name": "monitoring"}, "value": 1000})
    yield
    bare.request("DELETE", f"{path}/monitoring")


def _admit(plane: ControlPlane, namespace: str, name: str, spec: dict[str, Any]) -> None:
    """Raises `DevStackError` where the API server refuses the pod."""
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {**spec, "restartPolicy": "Never"}}
    plane.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", body)


def test_the_chart_is_packaged_without_its_tests(tmp_path: Path) -> None:
    with helm_python.Chart.load(CHART) as chart:
        archive = chart.save(tmp_path)
    with helm_python.Chart.load(archive) as packaged:
        names = {each["name"] for each in packaged.files}
        assert packaged.schema is not None
    assert {"README.md", "files/rbac.yaml", "files/alerts.yaml"} <= names
    assert not [name for name in names if name.startswith("ci/") or name.endswith(".test.yaml")]
