"""`kubectl solar` as a person uses it, found by kubectl on the PATH."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hack.devstack.waiting import wait_until
from hack.e2e.cluster import CommandError
from tests.e2e.product import Product
from tests.e2e.test_scenarios import NAMESPACE

NAMED = f"--namespace={NAMESPACE}"
SHOWN_S = 30


def solar(product: Product, *arguments: str) -> str:
    return product.cluster.run("kubectl", "solar", *arguments)


def test_top_shows_the_fleet_with_the_worst_first(product: Product) -> None:
    found: list[dict[str, Any]] = json.loads(solar(product, "top", "--all-namespaces", "--output=json"))
    ranks = [["RED", "YELLOW", "GREY", "GREEN"].index(row["status"]) for row in found]
    assert ranks == sorted(ranks)
    assert ranks[0] == 0
    assert ranks[-1] == 3
    assert "padaria-sol-nascente" in solar(product, "top", "--namespace=default")


def test_explain_says_what_is_wrong_and_what_to_do(product: Product) -> None:
    told = solar(product, "explain", "fault", NAMED)
    assert "RED" in told
    assert "CRITICAL" in told


def test_poll_waits_for_the_outcome(product: Product) -> None:
    before = product.plant("healthy", NAMESPACE)["status"]["lastPollTime"]
    # Instants of a status are whole seconds: the poll that is asked for shall have another.
    wait_until(lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" > before, SHOWN_S, "the next second")
    solar(product, "poll", "healthy", "--wait", NAMED)
    assert product.plant("healthy", NAMESPACE)["status"]["lastPollTime"] > before
    with pytest.raises(CommandError, match="exit code 1"):
        solar(product, "poll", "not-found", "--wait", NAMED)


def test_suspend_and_resume(product: Product) -> None:
    solar(product, "suspend", "healthy", NAMED)
    product.wait_status("healthy", NAMESPACE, "GREY DisabledByOperator", SHOWN_S)
    solar(product, "resume", "healthy", NAMED)
    product.wait_status("healthy", NAMESPACE, "GREEN Reporting", SHOWN_S)


def test_an_acknowledged_alert_is_acked_and_the_plant_stays_red(product: Product) -> None:
    [alert] = product.plant("fault", NAMESPACE)["status"]["alerts"]
    solar(product, "ack", "fault", alert["id"], NAMED)
    wait_until(lambda: _alert(product)["state"] == "ACKED", SHOWN_S, "the alert is acked")
    assert product.shown(NAMESPACE)["fault"] == "RED CriticalAlert"


def test_silence_is_an_annotation_and_ends(product: Product) -> None:
    annotation = "monitor.solarinvest.info/silence-until"
    solar(product, "silence", "minor-fault", "--for=4h", NAMED)
    assert annotation in product.plant("minor-fault", NAMESPACE)["metadata"]["annotations"]
    solar(product, "silence", "minor-fault", "--off", NAMED)
    assert annotation not in product.plant("minor-fault", NAMESPACE)["metadata"]["annotations"]


def _alert(product: Product) -> dict[str, Any]:
    found: list[dict[str, Any]] = product.plant("fault", NAMESPACE)["status"]["alerts"]
    return found[0]
