"""A plain Prometheus finds every pod by its annotations, understands every metric and loads every rule."""

import yaml

from hack.devstack.waiting import wait_until
from tests.e2e.fleet import Fleet
from tests.e2e.monitoring import RULES, Prometheus
from tests.e2e.product import BRANDS, Left, Product

SCRAPED_S = 60
RISE = 10


def test_every_pod_of_every_role_is_scraped(product: Product, prometheus: Prometheus) -> None:
    def missing() -> Left:
        up = {series["metric"]["pod"] for series in prometheus.query("up == 1")}
        pods = [pod["metadata"]["name"] for role in ("operator", "worker", "api") for pod in product.pods(role)]
        return Left(pod for pod in pods if pod not in up)

    wait_until(missing, SCRAPED_S, "every pod is scraped", every_seconds=1)
    wait_until(lambda: prometheus.query("up == 0") == [], SCRAPED_S, "none is scraped in vain", every_seconds=1)


def test_every_process_says_its_role_brand_and_version(product: Product, prometheus: Prometheus) -> None:
    wait_until(lambda: len(prometheus.query("solarinvest_build_info")) >= 6, SCRAPED_S, "six processes tell of themselves", every_seconds=1)
    told = {
        (series["metric"]["role"].lower(), series["metric"].get("brand", "").lower())
        for series in prometheus.query("solarinvest_build_info")
    }
    assert {brand for role, brand in told if role == "worker"} == set(BRANDS)
    assert {role for role, _ in told} == {"operator", "worker", "api"}


def test_the_number_of_polls_rises(product: Product, prometheus: Prometheus, fleet: Fleet) -> None:
    polls = 'sum(solarinvest_polls_total{result="success"})'
    before = prometheus.value(polls)
    wait_until(lambda: prometheus.value(polls) >= before + RISE, 120, f"{RISE} more polls than {before}", every_seconds=2)


def test_the_fleet_is_counted(product: Product, prometheus: Prometheus, fleet: Fleet) -> None:
    green = 'sum(max by (brand) (solarinvest_plants{status="GREEN"}))'
    wait_until(lambda: prometheus.value(green) >= len(fleet.names), SCRAPED_S, "the fleet is GREEN in Prometheus", every_seconds=1)


def test_every_rule_is_loaded_and_evaluates(product: Product, prometheus: Prometheus) -> None:
    written = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule}
    wait_until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), SCRAPED_S, "every rule was evaluated", every_seconds=1)
    assert {rule["name"] for rule in prometheus.rules()} == written
