"""What may be set, how a slip is told, and what is said after an installation."""

import json
import re
from collections.abc import Iterator
from typing import Any

import helm_python
import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from tests.chart.conftest import SETS
from tests.chart.rendering import CHART, NAMESPACE, ROOT, Rendered, render

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def test_helm_s_own_check_finds_nothing() -> None:
    for name, values in SETS.items():
        report = helm_python.lint(CHART, values, strict=True, kube_version="1.34.0")
        assert report["errors"] == [], name
        # An icon is all that may be missing.
        assert [each["error"] for each in report["messages"]] == ["icon is recommended"], name


# The schema


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"operators": {}}, "operators"),
        ({"workers": {"solis": {"replica": 2}}}, "/workers/solis"),
        ({"workers": {"fronius": {"enabled": True}}}, "/workers"),
        ({"operator": {"resources": {"limit": {}}}}, "/operator/resources"),
        ({"networkPolicy": {"database": {"cidr": "10.0.0.0/8"}}}, "/networkPolicy/database"),
        ({"image": {"tag": "latest"}}, "/image/tag"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
        ({"logLevel": "info"}, "/logLevel"),
        ({"operator": {"replicas": "2"}}, "/operator/replicas"),
        ({"operator": {"replicas": -1}}, "/operator/replicas"),
        ({"workers": {"defaults": {"terminationGracePeriodSeconds": 30}}}, "/workers/defaults/terminationGracePeriodSeconds"),
        ({"workers": {"dele": {"limits": {"requestsPerMinute": 9}}}}, "/workers/dele/limits/requestsPerMinute"),
        ({"api": {"service": {"port": 0}}}, "/api/service/port"),
        ({"podAnnotations": {"a": 1}}, "/podAnnotations/a"),
        ({"extraEnv": [{"name": "A", "valuefrom": {}}]}, "/extraEnv/0"),
        ({"extraVolumes": [{"emptyDir": {}}]}, "/extraVolumes/0"),
        ({"networkPolicy": {"metrics": {"from": [{"namespaces": {}}]}}}, "/networkPolicy/metrics/from/0"),
        ({"networkPolicy": {"redis": {"cidrs": ["redis.example"]}}}, "/networkPolicy/redis/cidrs/0"),
        ({"monitoring": {"podMonitor": {"interval": "30"}}}, "/monitoring/podMonitor/interval"),
        ({"postgres": {"demo": {"enabled": True, "persistence": {"size": "2 GB"}}}}, "/postgres/demo/persistence/size"),
        ({"postgres": None}, "postgres"),
    ],
)
def test_a_slip_is_refused_with_its_path(values: dict[str, Any], path: str) -> None:
    with pytest.raises(helm_python.HelmValuesError) as caught:
        render({**SETS["demo"], **values})
    assert path in str(caught.value)


def test_every_value_set_is_accepted_by_another_reader_of_the_schema_too() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


def test_no_mapping_of_ours_takes_an_unknown_key() -> None:
    open_ones = [path for path, each in mappings(SCHEMA, "") if each.get("additionalProperties") is not False]
    assert open_ones == ["/global"]


def mappings(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if schema.get("type") == "object":
        yield path, schema
    for key, each in schema.get("properties", {}).items():
        yield from mappings(each, f"{path}/{key}")


def test_a_chart_that_has_this_one_as_a_dependency_may_hand_down_what_is_global() -> None:
    render({**SETS["demo"], "global": {"region": "south"}})


# What is missing


def test_what_is_missing_is_told_all_at_once_with_what_to_do() -> None:
    with pytest.raises(helm_python.HelmRenderError) as caught:
        render({})
    message = str(caught.value)
    for value in ("database.existingSecret", "redis.existingSecret", "api.jwt.existingSecret"):
        assert f"{value} is missing" in message
        assert f"--set {value}=" in message
    assert message.count(f"kubectl -n {NAMESPACE} create secret generic") == 3
    assert "--set postgres.demo.enabled=true" in message


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"redis": {"existingSecret": "r"}, "api": {"enabled": False}}, ["database.existingSecret"]),
        ({"database": {"existingSecret": "d"}, "redis": {"existingSecret": "r"}}, ["api.jwt.existingSecret"]),
        ({"postgres": {"demo": {"enabled": True}}}, ["redis.existingSecret"]),
    ],
)
def test_what_is_there_is_not_asked_for(given: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(helm_python.HelmRenderError) as caught:
        render(given)
    assert re.findall(r"- (\S+) is missing", str(caught.value)) == told


@pytest.mark.parametrize("extra", [{"database": {"existingSecret": "d"}}, {"redis": {"existingSecret": "r"}}])
def test_two_servers_for_one_thing_are_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmRenderError, match="are both set: choose one"):
        render({**SETS["demo"], **extra})


# What the READMEs say


def installations() -> list[tuple[str, dict[str, Any]]]:
    """Page and values of every `helm install` and `helm upgrade` of this chart on our pages that sets values."""
    return [
        (page.name, helm_python.parse_set_string(",".join(re.findall(r"--set (\S+)", line))))
        for page in (ROOT / "README.md", CHART / "README.md", ROOT / "docs" / "kubernetes.md")
        for line in re.findall(r"^helm (?:install|upgrade) .*--set .*$", page.read_text(), re.MULTILINE)
    ]


def test_the_commands_of_our_pages_render() -> None:
    assert {page for page, _ in installations()} == {"README.md", "kubernetes.md"}
    for page, values in installations():
        render(values if page == "README.md" else _merged(SETS["demo"], values))


def test_the_values_of_the_chart_s_readme_render() -> None:
    [text] = re.findall(r"```yaml\n# my-values\.yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    made = render(yaml.safe_load(text))
    assert made.of("PodMonitor")
    assert made.of("Secret") == []


def test_the_readme_says_where_values_may_stand_for_one_role() -> None:
    """Its sentence counts the keys."""
    groups = re.findall(r"\{.*\bgroup: pod\b.*\}\n(\w+):", (CHART / "values.yaml").read_text())
    assert len(groups) == 10
    assert groups[0] == "podAnnotations"
    assert [key for key in SCHEMA["properties"] if key != "global"][-10:] == groups


def _merged(one: Any, other: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return one | {key: _merged(one.get(key), value) for key, value in other.items()}


# After an installation


def test_the_notes_give_the_next_three_commands(rendered: Rendered) -> None:
    commands = re.findall(r"^\d\. .*\n\n   (kubectl \S+.*)$", rendered.notes, re.MULTILINE)
    assert len(commands) == 3
    assert "wait deployment" in commands[0]
    assert commands[1].startswith("kubectl apply")
    assert commands[2] == "kubectl get plants -A -w"


def test_the_plant_of_the_notes_is_one(demo: Rendered) -> None:
    [text] = re.findall(r"<<'EOF'\n(.*?)\n   EOF", demo.notes, re.DOTALL)
    plant = yaml.safe_load(text)
    assert plant["kind"] == "Plant"
    [version] = demo.of("CustomResourceDefinition")[0]["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(plant["spec"]) <= set(spec["properties"])
    # Kubernetes' schemas are of draft 4: exclusiveMinimum is a boolean.
    jsonschema.Draft4Validator(spec).validate(plant["spec"])


def test_the_notes_say_loudly_what_is_for_trying_out_only(rendered: Rendered) -> None:
    is_demo = "postgres" in rendered.values
    assert ("FOR TRYING OUT ONLY" in rendered.notes) == is_demo


def test_the_notes_hold_no_secret(demo: Rendered) -> None:
    assert "password@" not in demo.notes
    assert not [each for one in demo.of("Secret") for each in one["data"].values() if each in demo.notes]


def test_rendering_again_changes_nothing_where_no_secret_is_made(external: Rendered) -> None:
    assert render(SETS["external"]).texts == external.texts
