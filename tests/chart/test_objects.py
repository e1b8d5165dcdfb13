"""What the chart makes, whatever the values: valid, labelled, found by its selectors, restricted, without a secret in plain sight."""

import base64
import copy
import re
import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from controller import settings
from controller.operator.kubernetes_api import GROUP
from tests.chart.conftest import SETS
from tests.chart.pod_security import violations
from tests.chart.rendering import (
    BRAND,
    BRANDS,
    CHART,
    COMPONENT,
    INSTANCE,
    NAME,
    NAMESPACE,
    RELEASE,
    ROOT,
    WORKLOADS,
    Object,
    Rendered,
    labels,
    render,
    selects,
)

KUBERNETES = "1.34"
OF_THE_PROMETHEUS_OPERATOR = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


def test_the_value_sets_are_those_that_must_work() -> None:
    assert set(SETS) == {"demo", "minimal", "external", "ha", "everything"}


def test_every_object_is_valid(rendered: Rendered) -> None:
    for one in rendered.objects:
        if one["kind"] not in OF_THE_PROMETHEUS_OPERATOR:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_found(demo: Rendered) -> None:
    wrong = copy.deepcopy(demo.one("Deployment", "solarinvest-api"))
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 5
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_no_object_stands_twice(rendered: Rendered) -> None:
    keys = [(one["kind"], one["metadata"]["name"]) for one in rendered.objects]
    assert len(keys) == len(set(keys))


def test_every_object_lies_in_the_namespace_of_the_release(rendered: Rendered) -> None:
    wrong = [
        one["metadata"]["name"]
        for one in rendered.objects
        if one["metadata"].get("namespace") != (None if one["kind"] in CLUSTER_WIDE else NAMESPACE)
    ]
    assert wrong == []


# Labels and selectors


def test_every_object_and_every_pod_says_what_it_belongs_to(rendered: Rendered) -> None:
    for one in rendered.objects:
        assert labels(one)[NAME] == "solarinvest-monitor"
        assert labels(one)[INSTANCE] == RELEASE
        assert labels(one)["app.kubernetes.io/managed-by"] == "Helm"
        assert labels(one)["app.kubernetes.io/version"] == "0.1.0"
    for name, pod in rendered.workloads():
        assert labels(pod)[NAME] == "solarinvest-monitor", name
        assert labels(pod)[COMPONENT], name


def test_selectors_find_the_pods_they_mean_and_no_others(rendered: Rendered) -> None:
    pods = dict(rendered.workloads())
    for one in rendered.of("Deployment", "StatefulSet", "Service", "PodDisruptionBudget"):
        selector = one["spec"]["selector"]
        found = [
            name for name, pod in pods.items() if selects(selector if "matchLabels" in selector else {"matchLabels": selector}, labels(pod))
        ]
        assert found == [one["metadata"]["name"]]


def test_selectors_never_change(tmp_path: Path) -> None:
    """A Deployment with another selector would be refused, and the release could not be upgraded any more."""
    later = tmp_path / "solarinvest-monitor"
    shutil.copytree(CHART, later)
    text = (later / "Chart.yaml").read_text().replace("0.1.0", "9.9.9")
    (later / "Chart.yaml").write_text(text)
    before = render(SETS["demo"])
    after = render({**SETS["everything"], "fullnameOverride": ""}, chart=later, revision=7)
    assert "9.9.9" in str(after.objects)
    for kind in ("Deployment", "StatefulSet"):
        for one in before.of(kind):
            assert after.one(kind, one["metadata"]["name"])["spec"]["selector"] == one["spec"]["selector"]
            assert set(one["spec"]["selector"]["matchLabels"]) <= {NAME, INSTANCE, COMPONENT, BRAND}


def test_a_job_is_never_changed_but_made_anew_with_each_revision() -> None:
    names = [render(SETS["demo"], revision=revision).of("Job")[0]["metadata"]["name"] for revision in (1, 2)]
    assert names == ["solarinvest-migrate-1", "solarinvest-migrate-2"]


def test_names_begin_with_the_release_and_stay_short() -> None:
    def names(**values: Any) -> set[str]:
        made = render({**SETS["demo"], **values.pop("values", {})}, **values)
        return {one["metadata"]["name"] for one in made.of("Deployment")}

    assert names() == {"solarinvest-operator", "solarinvest-api", *(f"solarinvest-worker-{brand}" for brand in BRANDS)}
    assert "sun-solarinvest-monitor-operator" in names(name="sun")
    assert "a-operator" in names(values={"fullnameOverride": "a"})
    assert max(len(name) for name in names(name="s" * 53)) <= 63


# Images


def test_images_are_told_by_a_version_or_a_digest(rendered: Rendered) -> None:
    for name, container in rendered.containers():
        image = container["image"]
        assert re.fullmatch(r"[^\s:@]+(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})", image), name


def test_a_digest_wins_over_the_tag(everything: Rendered) -> None:
    [image] = {container["image"] for name, container in everything.containers() if name.startswith("solar-worker")}
    assert image == f"registry.example/solar/monitor@sha256:{'0123456789abcdef' * 4}"


def test_the_chart_installs_the_version_it_comes_with(demo: Rendered) -> None:
    version = metadata.version("solarinvest-monitor")
    assert {container["image"] for name, container in demo.containers() if "worker" in name} == {f"solarinvest-monitor:{version}"}


# Pod Security


def test_every_pod_is_restricted(rendered: Rendered) -> None:
    assert {name: found for name, pod in rendered.workloads() if (found := violations(pod["spec"]))} == {}


def test_no_container_writes_into_its_image(rendered: Rendered) -> None:
    for name, container in rendered.containers():
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name


def _volume(pod: Object, kind: str) -> None:
    pod["volumes"].append({"name": "x", kind: {}})


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda pod: pod["securityContext"].pop("runAsNonRoot"), "worker: may run as root"),
        (lambda pod: pod["securityContext"].update(runAsUser=0), "worker: runs as root"),
        (lambda pod: pod["securityContext"].pop("seccompProfile"), "worker: has no seccomp profile"),
        (lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"), "worker: does not drop ALL capabilities"),
        (lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"), "worker: may escalate privileges"),
        (lambda pod: pod["containers"][0]["securityContext"].update(privileged=True), "worker: privileged"),
        (lambda pod: pod.update(hostNetwork=True), "hostNetwork"),
        (lambda pod: _volume(pod, "hostPath"), "volume x is a hostPath"),
    ],
)
def test_a_pod_that_is_not_restricted_would_be_found(demo: Rendered, spoil: Callable[[Object], object], found: str) -> None:
    pod = copy.deepcopy(demo.one("Deployment", "solarinvest-worker-solis")["spec"]["template"]["spec"])
    spoil(pod)
    assert found in violations(pod)


def test_only_the_operator_has_a_token_and_rights(rendered: Rendered) -> None:
    operators = {name for name, pod in rendered.workloads() if labels(pod)[COMPONENT] == "operator"}
    accounts = {
        name: (pod["spec"]["serviceAccountName"], pod["spec"]["automountServiceAccountToken"]) for name, pod in rendered.workloads()
    }
    assert {name for name, (_, mounts) in accounts.items() if mounts} == operators
    [operator] = {accounts[name][0] for name in operators}
    assert operator not in {account for name, (account, _) in accounts.items() if name not in operators}
    for binding in rendered.of("ClusterRoleBinding", "RoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": operator, "namespace": NAMESPACE}]
    for account in rendered.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_the_operator_may_what_manifests_say_and_no_more(demo: Rendered) -> None:
    documents = [one for path in (ROOT / "manifests" / "rbac").glob("*.yaml") for one in yaml.safe_load_all(path.read_text())]
    wanted = {one["metadata"]["name"]: one["rules"] for one in documents if one["kind"] == "ClusterRole"}
    assert {one["metadata"]["name"]: one["rules"] for one in demo.of("ClusterRole")} == wanted
    assert "solarinvest-operator" in wanted
    assert demo.of("Role") == []


# Secrets


def secret_variables() -> set[str]:
    sections = [each for each in vars(settings).values() if isinstance(each, type) and issubclass(each, settings.Section)]
    return {
        str(field.validation_alias) for each in sections for field in each.model_fields.values() if "SecretStr" in str(field.annotation)
    }


def test_secrets_are_named_and_never_written_out(rendered: Rendered) -> None:
    assert secret_variables() >= {"DATABASE_URL", "REDIS_URL", "JWT_SECRET"}
    for name, container in rendered.containers():
        for variable in container.get("env", []):
            if variable["name"] in secret_variables():
                assert list(variable["valueFrom"]) == ["secretKeyRef"], name
    for one in rendered.objects:
        if one["kind"] != "Secret":
            assert re.search(r"\w+://[^\s'\"]*:[^\s'\"/]*@", yaml.safe_dump(one)) is None, one["metadata"]["name"]


def test_secrets_are_made_for_trying_out_only(external: Rendered, demo: Rendered) -> None:
    assert external.of("Secret") == []
    assert {one["metadata"]["name"] for one in demo.of("Secret")} == {"solarinvest-postgres", "solarinvest-valkey", "solarinvest-jwt"}


def test_generated_secrets_are_long_and_never_the_same_twice(demo: Rendered) -> None:
    def generated(made: Rendered) -> Iterator[tuple[str, str]]:
        for one in made.of("Secret"):
            for key in {"password", "secret"} & one["data"].keys():
                yield one["metadata"]["name"], base64.b64decode(one["data"][key]).decode()

    first, second = dict(generated(demo)), dict(generated(render(SETS["demo"])))
    assert len(first) == 3
    assert set(first.values()) & set(second.values()) == set()
    # Letters and digits: nothing to be escaped in a URL.
    assert all(re.fullmatch(r"[A-Za-z0-9]{40}", each) for each in first.values())
    assert all(len(each) >= settings.JWT_SECRET_MIN_BYTES for each in first.values())


def test_the_demo_s_urls_and_its_servers_have_the_same_password(demo: Rendered) -> None:
    postgres = {key: base64.b64decode(value).decode() for key, value in demo.one("Secret", "solarinvest-postgres")["data"].items()}
    valkey = {key: base64.b64decode(value).decode() for key, value in demo.one("Secret", "solarinvest-valkey")["data"].items()}
    assert postgres["url"] == f"postgresql://solarinvest:{postgres['password']}@solarinvest-postgres:5432/solarinvest"
    assert valkey["url"] == f"redis://:{valkey['password']}@solarinvest-valkey:6379/0"
    assert f"\nrequirepass {valkey['password']}\n" in valkey["valkey.conf"]
    assert "\nmaxmemory-policy noeviction\n" in valkey["valkey.conf"]


# Staying up, and going


def test_an_eviction_is_never_refused_for_ever(rendered: Rendered) -> None:
    budgets = {one["metadata"]["name"]: one["spec"] for one in rendered.of("PodDisruptionBudget")}
    for budget in budgets.values():
        assert (budget["maxUnavailable"], "minAvailable" in budget) == (1, False)
    enabled = rendered.values.get("podDisruptionBudgets", {}).get("enabled", True)
    assert set(budgets) == ({one["metadata"]["name"] for one in rendered.of("Deployment")} if enabled else set())


def test_uninstalling_waits_for_nothing(rendered: Rendered) -> None:
    """No finalizer, and no hook but the test, which runs when it is asked for."""
    for one in rendered.objects:
        assert "finalizers" not in one["metadata"]
        hook = one["metadata"].get("annotations", {}).get("helm.sh/hook")
        assert hook == ("test" if one["kind"] == "Pod" else None)


def test_what_holds_data_is_kept_when_the_release_goes() -> None:
    def kept(*values: dict[str, Any]) -> set[tuple[str, str]]:
        merged: dict[str, Any] = {}
        for each in values:
            merged |= each
        found = render(merged)
        return {
            (one["kind"], one["metadata"]["name"])
            for one in found.objects
            if one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
        }

    demo = SETS["demo"]
    crd = ("CustomResourceDefinition", f"plants.{GROUP}")
    data = {("PersistentVolumeClaim", "solarinvest-postgres"), ("Secret", "solarinvest-postgres")}
    assert kept(demo) == {crd} | data
    assert kept(demo, {"crds": {"keep": False}}) == data
    assert kept(demo, {"postgres": {"demo": {"enabled": True, "persistence": {"keep": False}}}}) == {crd}
    assert kept(demo, {"postgres": {"demo": {"enabled": True, "persistence": {"enabled": False}}}}) == {crd}


def test_the_resource_definition_is_the_one_of_manifests(rendered: Rendered) -> None:
    found = rendered.of("CustomResourceDefinition")
    if not rendered.values.get("crds", {}).get("install", True):
        assert found == []
        return
    [made] = found
    source = yaml.safe_load((ROOT / "manifests" / "crd" / f"plants.{GROUP}.yaml").read_text())
    assert made["metadata"]["name"] == source["metadata"]["name"]
    assert made["spec"] == source["spec"]


def test_nothing_else_makes_pods(rendered: Rendered) -> None:
    assert {one["kind"] for one in rendered.objects if "template" in one.get("spec", {})} <= set(WORKLOADS)
