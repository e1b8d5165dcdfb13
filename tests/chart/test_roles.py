"""Each role is started as its command line wants it, with the settings it reads, and watched by the probes it serves."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
import typer.main

from controller import settings as conf
from controller.cli import WorkerBrand, app
from tests.chart.conftest import SETS
from tests.chart.rendering import BRAND, BRANDS, COMPONENT, ROOT, Object, Rendered, labels, render

SECTIONS: Mapping[str, tuple[type[conf.Section], ...]] = {
    "operator": (
        conf.CommonSettings,
        conf.DatabaseSettings,
        conf.RedisSettings,
        conf.KubernetesSettings,
        conf.RetentionSettings,
        conf.LimitSettings,
    ),
    "worker": (conf.CommonSettings, conf.DatabaseSettings, conf.RedisSettings, conf.IntegrationSettings, conf.LimitSettings),
    "api": (conf.CommonSettings, conf.DatabaseSettings, conf.RedisSettings, conf.ApiSettings, conf.TokenSettings),
    "migrate": (conf.CommonSettings, conf.DatabaseSettings),
}
SECRETS = {"DATABASE_URL": "postgresql://u:p@h/d", "REDIS_URL": "redis://h", "JWT_SECRET": "k" * 32, "JWT_SECRET_PREVIOUS": "l" * 32}
GIVEN = {"HTTPS_PROXY"}
"""Variables of extraEnv in the value sets that are not ours."""
MOUNTED = {"INTEGRATION_FIXTURES_DIR": str(ROOT / "fixtures")}
"""What a volume brings in the cluster, and is looked for when settings are read."""


def known_variables() -> set[str]:
    sections = [each for each in vars(conf).values() if isinstance(each, type) and issubclass(each, conf.Section)]
    return {str(field.validation_alias) for each in sections for field in each.model_fields.values()}


def ours(rendered: Rendered) -> list[tuple[str, Object, Object]]:
    """Component, pod and container of each that runs our image as a role, those that wait included."""
    return [
        (labels(pod)[COMPONENT], pod, container)
        for _, pod in rendered.workloads()
        if labels(pod)[COMPONENT] in SECTIONS
        for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
    ]


def environment(container: Object) -> dict[str, str]:
    return {each["name"]: each["value"] if "value" in each else SECRETS.get(each["name"], "") for each in container["env"]}


def of_role(rendered: Rendered, component: str, brand: str | None = None) -> tuple[Object, Object]:
    """The Deployment's spec and its main container."""
    [found] = [one for one in rendered.of("Deployment") if labels(one)[COMPONENT] == component and labels(one).get(BRAND) == brand]
    return found["spec"], found["spec"]["template"]["spec"]["containers"][0]


# Settings


def test_every_variable_is_one_that_the_product_reads(rendered: Rendered) -> None:
    for component, _, container in ours(rendered):
        names = [each["name"] for each in container["env"]]
        assert set(names) - GIVEN <= known_variables(), component


def test_every_role_can_read_its_settings(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_variables():
        monkeypatch.delenv(name, raising=False)
    for component, _, container in ours(rendered):
        with monkeypatch.context() as patched:
            for name, value in {**environment(container), **MOUNTED}.items():
                patched.setenv(name, value)
            for section in SECTIONS["migrate" if container["args"][0] == "migrate" else component]:
                conf.read(section)


def test_a_worker_starts_in_mock_mode_only_as_values_say() -> None:
    _, container = of_role(render(SETS["demo"]), "worker", "solis")
    assert environment(container)["INTEGRATION_MOCK_MODE"] == "true"
    _, container = of_role(render({**SETS["demo"], "integration": {"mockMode": False}}), "worker", "solis")
    assert environment(container)["INTEGRATION_MOCK_MODE"] == "false"


def test_limits_are_the_same_for_the_operator_and_every_worker(everything: Rendered) -> None:
    def limits(container: Object) -> list[tuple[str, str]]:
        chart_s = container["env"][: len(container["env"])]
        return sorted({each["name"]: each["value"] for each in chart_s if each["name"].startswith("LIMIT_")}.items())

    wanted = [
        ("LIMIT_GOODWE_REQUESTS_PER_MINUTE", "1000000"),
        ("LIMIT_SOLIS_CONCURRENCY", "20"),
        ("LIMIT_SOLIS_REQUESTS_PER_MINUTE", "600"),
    ]
    for brand in BRANDS:
        assert limits(of_role(everything, "worker", brand)[1]) == wanted
    # The operator's extraEnv comes last, and wins.
    assert limits(of_role(everything, "operator")[1]) == [wanted[0], ("LIMIT_SOLIS_CONCURRENCY", "5"), wanted[2]]


def test_nothing_is_limited_unless_asked_for(demo: Rendered) -> None:
    assert [each["name"] for _, _, container in ours(demo) for each in container["env"] if each["name"].startswith("LIMIT_")] == []


def test_roles_listen_where_probes_and_services_reach_them(rendered: Rendered) -> None:
    for component, _, container in ours(rendered):
        found = environment(container)
        assert found["METRICS_HOST"] == "0.0.0.0"
        if "ports" in container:
            ports = {each["name"]: each["containerPort"] for each in container["ports"]}
            assert found["METRICS_PORT"] == str(ports["metrics"])
            if component == "api":
                assert (found["API_HOST"], found["API_PORT"]) == ("0.0.0.0", str(ports["http"]))


def test_each_role_may_have_a_database_user_of_its_own(external: Rendered) -> None:
    def key(container: Object) -> str:
        [found] = [each["valueFrom"]["secretKeyRef"] for each in container["env"] if each["name"] == "DATABASE_URL"]
        assert found["name"] == "solar-database"
        return str(found["key"])

    found = {(component, container["args"][0]): key(container) for component, _, container in ours(external)}
    assert found == {
        ("operator", "operator"): "operator",
        ("operator", "migrate"): "operator",
        ("worker", "worker"): "worker",
        ("worker", "migrate"): "worker",
        ("api", "api"): "reader",
        ("api", "migrate"): "reader",
        ("migrate", "migrate"): "owner",
    }


def test_the_key_of_tokens_can_be_changed_without_refusing_those_that_are_out(external: Rendered) -> None:
    _, container = of_role(external, "api")
    keys = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if each["name"].startswith("JWT_")}
    assert keys == {
        "JWT_SECRET": {"name": "solar-jwt", "key": "current"},
        "JWT_SECRET_PREVIOUS": {"name": "solar-jwt", "key": "previous"},
    }


def test_services_of_the_namespace_set_no_variables(rendered: Rendered) -> None:
    """A Service named `api` would set API_PORT to a URL."""
    assert all(pod["spec"]["enableServiceLinks"] is False for _, pod in rendered.workloads())


# Commands


def test_every_command_is_one_that_the_product_has(rendered: Rendered) -> None:
    group = typer.main.get_command(app)
    for component, _, container in ours(rendered):
        command, *options = container["args"]
        parsed = group.commands[command].make_context(command, list(options))  # type: ignore[attr-defined]
        assert "command" not in container
        if component == "worker" and command == "worker":
            assert parsed.params["brand"] in set(WorkerBrand)


def test_every_brand_has_its_worker(demo: Rendered) -> None:
    assert {brand.value for brand in WorkerBrand} == set(BRANDS)
    for brand in BRANDS:
        _, container = of_role(demo, "worker", brand)
        assert container["args"] == ["worker", "--brand", brand]


def test_a_brand_can_be_left_out() -> None:
    made = render({**SETS["demo"], "workers": {"solis": {"enabled": False}}})
    assert {labels(one)[BRAND] for one in made.of("Deployment") if BRAND in labels(one)} == {"huawei", "goodwe", "dele"}
    assert "worker-solis" not in str(made.objects)


def test_the_api_can_be_left_out() -> None:
    made = render({**SETS["demo"], "api": {"enabled": False}})
    assert not [one for one in made.objects if labels(one).get(COMPONENT) in ("api", "jwt")]


def test_every_role_waits_for_the_schema_and_only_the_job_changes_it(rendered: Rendered) -> None:
    for one in rendered.of("Deployment"):
        [waiting] = one["spec"]["template"]["spec"]["initContainers"]
        assert waiting["args"] == ["migrate", "--check", "--timeout", "300"]
    [job] = rendered.of("Job")
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["migrate", "--timeout", "300"]


# Life


def test_a_rollout_first_adds_and_then_takes_away(rendered: Rendered) -> None:
    for one in rendered.of("Deployment"):
        assert one["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_roles_have_the_time_to_stop_that_they_need(rendered: Rendered) -> None:
    seconds = {
        labels(one)[COMPONENT]: one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for one in rendered.of("Deployment")
    }
    assert seconds["operator"] == 30
    assert seconds["worker"] == 60
    assert seconds.get("api", 30) == 30


def test_every_server_has_its_probes(rendered: Rendered) -> None:
    for name, pod in rendered.workloads():
        if labels(pod)[COMPONENT] in ("migrate", "test"):
            continue
        [container] = pod["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), name
        if labels(pod)[COMPONENT] in SECTIONS:
            # Liveness asks for progress alone: a database that is away is no reason to be killed.
            assert container["startupProbe"]["httpGet"] == container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
            assert container["readinessProbe"]["httpGet"]["path"] in ("/readyz", "/api/v1/health")


def test_copies_are_spread_over_nodes_unless_told_otherwise(demo: Rendered) -> None:
    for one in demo.of("Deployment"):
        [constraint] = one["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert constraint["topologyKey"] == "kubernetes.io/hostname"
        assert constraint["labelSelector"] == one["spec"]["selector"]
    spec, _ = of_role(render(SETS["ha"]), "operator")
    [constraint] = spec["template"]["spec"]["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "topology.kubernetes.io/zone"


# Values for all pods, for all workers, for one


def test_a_brand_may_differ_from_the_others() -> None:
    made = render(SETS["ha"])
    assert of_role(made, "worker", "solis")[0]["replicas"] == 3
    assert of_role(made, "worker", "dele")[0]["replicas"] == 2
    assert of_role(made, "operator")[0]["replicas"] == 2


def test_lists_are_joined_mappings_merged_and_single_values_replaced(everything: Rendered) -> None:
    spec, container = of_role(everything, "worker", "solis")
    pod = spec["template"]
    assert [each["key"] for each in pod["spec"]["tolerations"]] == ["dedicated", "egress"]
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux", "example.org/egress": "true"}
    assert [each["name"] for each in pod["spec"]["volumes"]] == ["tmp", "authorities", "recordings"]
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/tmp", "/etc/authorities", "/recordings"]
    assert [each["name"] for each in container["env"]][-2:] == ["HTTPS_PROXY", "INTEGRATION_FIXTURES_DIR"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert spec["replicas"] == 4
    other, _ = of_role(everything, "worker", "dele")
    assert other["template"]["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert other["replicas"] == 2
    operator, _ = of_role(everything, "operator")
    assert (
        operator["template"]["metadata"]["annotations"] | {"example.org/owner": "energy", "example.org/role": "operator"}
        == (operator["template"]["metadata"]["annotations"])
    )
    [job] = everything.of("Job")
    assert labels(job["spec"]["template"]).items() >= {"example.org/kind": "migration", "example.org/team": "energy"}.items()
    assert job["metadata"]["annotations"] == {"example.org/kind": "migration"}


def test_every_pod_of_ours_gets_what_holds_for_all(everything: Rendered) -> None:
    for name, pod in everything.workloads():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}], name
        if labels(pod)[COMPONENT] in (*SECTIONS, "test"):
            assert pod["spec"]["priorityClassName"] == "monitoring", name
            assert "nodeAffinity" in pod["spec"]["affinity"], name


def test_big_numbers_are_written_out(everything: Rendered) -> None:
    assert "e+0" not in "".join(text for path, text in everything.texts.items() if path.endswith(("workers.yaml", "operator.yaml")))


# Trying out


def test_the_demo_s_servers_run_as_the_users_of_their_images(demo: Rendered) -> None:
    for name in ("postgres", "valkey"):
        pod: Any = demo.one("StatefulSet", f"solarinvest-{name}")["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsUser"] == 999
        password = base64.b64decode(demo.one("Secret", f"solarinvest-{name}")["data"]["password"]).decode()
        assert password not in str(pod)
