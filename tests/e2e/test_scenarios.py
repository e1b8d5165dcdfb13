"""manifests/scenarios: each shows what its annotation says, and a stranger finds out why with kubectl alone."""

import pytest

from hack.devstack.control_plane import resources_in
from hack.devstack.waiting import wait_until
from tests.e2e.conftest import ROOT
from tests.e2e.product import Left, Product

MANIFESTS = ROOT / "manifests" / "scenarios"
NAMESPACE = "scenarios"
EXPECTED = "demo.solarinvest.info/expected"
SHOWN_S = 90


def expected() -> dict[str, str]:
    """Health and reason of each scenario's Plant, by name."""
    plants = (plant["metadata"] for plant in resources_in(MANIFESTS, kind="Plant"))
    return {plant["name"]: plant["annotations"][EXPECTED] for plant in plants}


@pytest.fixture(scope="module")
def scenarios(product: Product) -> dict[str, str]:
    product.cluster.kubectl("apply", f"--filename={MANIFESTS}")

    def differing() -> Left:
        shown = product.shown(NAMESPACE)
        return Left(f"{name}: {shown.get(name)} for {told}" for name, told in expected().items() if shown.get(name) != told)

    wait_until(differing, SHOWN_S, "every scenario shows what it should", every_seconds=0.5)
    return expected()


def test_every_scenario_shows_its_colour_and_reason(product: Product, scenarios: dict[str, str]) -> None:
    assert product.shown(NAMESPACE) == scenarios
    assert {told.split()[0] for told in scenarios.values()} == {"GREEN", "YELLOW", "RED", "GREY"}


@pytest.mark.parametrize("health", ["GREEN", "YELLOW", "RED", "GREY"])
def test_a_field_selector_finds_exactly_the_plants_of_a_colour(product: Product, scenarios: dict[str, str], health: str) -> None:
    found = product.cluster.items("plants", "--all-namespaces", f"--field-selector=status.health={health}")
    plants = {(plant["metadata"]["namespace"], plant["metadata"]["name"]) for plant in found}
    assert {name for namespace, name in plants if namespace == NAMESPACE} == {
        name for name, told in scenarios.items() if told.startswith(health)
    }
    assert plants >= {("default", "padaria-sol-nascente")} or health != "GREEN"


@pytest.mark.parametrize(
    ("name", "causes"),
    [
        ("fault", ["CriticalAlert", "severity CRITICAL"]),
        ("offline", ["Offline", "24 h"]),
        ("stale", ["Stale", "2 h"]),
        ("auth-error", ["AuthFailed", "PausedAuthError"]),
        ("timeout", ["NetworkTimeout"]),
        ("not-found", ["PlantNotFound"]),
    ],
)
def test_kubectl_describe_alone_tells_why(product: Product, scenarios: dict[str, str], name: str, causes: list[str]) -> None:
    # A Plant is GREY before its first poll as after one that failed.
    def unsaid() -> Left:
        told = product.cluster.kubectl("describe", "plant", name, f"--namespace={NAMESPACE}")
        return Left(cause for cause in (scenarios[name].split()[1], *causes) if cause not in told)

    wait_until(unsaid, SHOWN_S, f"what `kubectl describe plant {name}` says", every_seconds=1)


def test_transitions_are_events(product: Product, scenarios: dict[str, str]) -> None:
    def missing() -> Left:
        events = product.cluster.items("events", f"--namespace={NAMESPACE}")
        seen = {(event["involvedObject"]["name"], event["reason"]) for event in events}
        wanted = {("fault", "HealthChanged"), ("fault", "AlertOpened"), ("timeout", "PollFailed"), ("offline", "HealthChanged")}
        return Left(wanted - seen)

    wait_until(missing, SHOWN_S, "events of the transitions", every_seconds=1)
