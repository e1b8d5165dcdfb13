"""Metrics are found by a plain Prometheus and by the Prometheus operator; rules and dashboards ship as they stand in files/."""

import json

import yaml

from tests.chart.conftest import SETS
from tests.chart.rendering import CHART, COMPONENT, Rendered, labels, render, selects

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
SCRAPED = {"operator", "worker", "api"}


def test_pods_say_where_their_metrics_are(demo: Rendered) -> None:
    found = {labels(pod)[COMPONENT]: pod["metadata"].get("annotations", {}) for _, pod in demo.workloads()}
    annotated = {name: each for name, each in found.items() if "prometheus.io/scrape" in each}
    assert annotated.keys() == SCRAPED
    for each in annotated.values():
        assert (each["prometheus.io/scrape"], each["prometheus.io/port"], each["prometheus.io/path"]) == ("true", "9100", "/metrics")


def test_pods_say_nothing_where_they_shall_not(rendered: Rendered) -> None:
    is_on = rendered.values.get("monitoring", {}).get("annotations", True)
    for _, pod in rendered.workloads():
        expected = is_on and labels(pod)[COMPONENT] in SCRAPED
        assert ("prometheus.io/scrape" in pod["metadata"].get("annotations", {})) == expected


def test_a_pod_monitor_finds_every_role(everything: Rendered) -> None:
    [monitor] = everything.of("PodMonitor")
    found = {labels(pod)[COMPONENT] for _, pod in everything.workloads() if selects(monitor["spec"]["selector"], labels(pod))}
    assert found == SCRAPED
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "metrics", "interval": "30s"}]
    assert labels(monitor)["release"] == "prometheus"


def test_a_service_monitor_finds_every_role(everything: Rendered) -> None:
    [monitor] = everything.of("ServiceMonitor")
    services = [one for one in everything.of("Service") if selects(monitor["spec"]["selector"], labels(one))]
    assert {labels(one)[COMPONENT] for one in services} == SCRAPED
    for one in services:
        assert [port["port"] for port in one["spec"]["ports"] if port["name"] == "metrics"] == [9100]


def test_rules_ship_as_they_stand(everything: Rendered) -> None:
    source = ALERTS.read_text()
    assert everything.one("ConfigMap", "solar-alerts")["data"] == {"alerts.yaml": source}
    [rule] = everything.of("PrometheusRule")
    assert rule["spec"] == yaml.safe_load(source)
    assert rule["spec"]["groups"]


def test_dashboards_ship_as_they_stand(everything: Rendered) -> None:
    assert DASHBOARDS
    for path in DASHBOARDS:
        made = everything.one("ConfigMap", f"solar-dashboard-{path.stem}")
        assert made["data"] == {path.name: path.read_text()}
        assert json.loads(made["data"][path.name])["title"]
        assert labels(made)["grafana_dashboard"] == "1"
        assert made["metadata"]["annotations"] == {"grafana_folder": "Solar"}


def test_nothing_that_needs_another_operator_is_made_by_default(demo: Rendered) -> None:
    assert demo.of("PodMonitor", "ServiceMonitor", "PrometheusRule", "ConfigMap") == []


def test_a_label_can_be_replaced() -> None:
    made = render({**SETS["demo"], "monitoring": {"dashboards": {"enabled": True, "labels": {"grafana_dashboard": None, "folder": "x"}}}})
    for one in made.of("ConfigMap"):
        assert "grafana_dashboard" not in labels(one)
        assert labels(one)["folder"] == "x"
