"""The chart as Helm renders it, in this process and without a cluster. Used by all tests of the chart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "solarinvest-monitor"
RELEASE, NAMESPACE = "solarinvest", "solar"
BRANDS = ("solis", "huawei", "goodwe", "dele")
NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
BRAND = "monitor.solarinvest.info/brand"
WORKLOADS = ("Deployment", "StatefulSet", "Job")

Object = dict[str, Any]


def value_sets() -> dict[str, dict[str, Any]]:
    """Name to values, of charts/solarinvest-monitor/ci."""
    return {path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text()) for path in sorted((CHART / "ci").glob("*.yaml"))}


@dataclass(frozen=True)
class Rendered:
    """What one installation of the chart would put into a cluster."""

    values: Mapping[str, Any]
    texts: Mapping[str, str] = field(repr=False)

    @cached_property
    def notes(self) -> str:
        return self.texts["solarinvest-monitor/templates/NOTES.txt"]

    @cached_property
    def objects(self) -> list[Object]:
        files = (text for path, text in self.texts.items() if not path.endswith("NOTES.txt"))
        return [one for text in files for one in yaml.safe_load_all(text) if one]

    def of(self, *kinds: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] in kinds]

    def one(self, kind: str, name: str) -> Object:
        """Raises `ValueError` unless there is exactly one."""
        [found] = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        return found

    def workloads(self) -> Iterator[tuple[str, Object]]:
        """Name and pod template (metadata, spec) of everything that makes pods, the test's pod too."""
        for one in self.of(*WORKLOADS):
            yield one["metadata"]["name"], one["spec"]["template"]
        for one in self.of("Pod"):
            yield one["metadata"]["name"], one

    def containers(self) -> Iterator[tuple[str, Object]]:
        """`workload/container` and its specification, waiting ones too."""
        for name, pod in self.workloads():
            for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
                yield f"{name}/{container['name']}", container


def render(values: Mapping[str, Any], *, revision: int = 1, name: str = RELEASE, chart: Path = CHART) -> Rendered:
    """Raises helm_python's errors: `HelmValuesError` by the schema, `HelmRenderError` by a template."""
    with helm_python.Chart.load(chart) as loaded:
        texts = loaded.render(dict(values), name=name, namespace=NAMESPACE, revision=revision, is_upgrade=revision > 1)
    return Rendered(values, texts)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """As Kubernetes reads a label selector; an empty one selects everything. Knows the one operator that the chart uses."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def labels(one: Object) -> dict[str, str]:
    found: dict[str, str] = one["metadata"].get("labels", {})
    return found
