"""One test a criterion of acceptance, on the product as installed in a cluster."""

import json
import re
import urllib.error
import urllib.request
from typing import Any, LiteralString
from urllib.parse import quote

import pytest

from hack.devstack.waiting import wait_until
from hack.image import IMAGE
from tests.e2e.connections import TABLES, remotes
from tests.e2e.fleet import SIZE, Fleet, Slots, assert_promises_kept
from tests.e2e.product import BRANDS, NAMESPACE, Left, Product, is_ready
from tests.e2e.test_scenarios import NAMESPACE as SCENARIOS
from tests.integration.test_secrets import hits

SHOWN_S = 60
LATE_S = 10
LOOKED_AT = 15
OWN = "acceptance"
"""Namespace of the Plants that only these tests declare."""
ALERTS: LiteralString = "SELECT type, state FROM alerts JOIN plants USING (plant_id) WHERE name = %(name)s AND namespace = %(namespace)s"
TODAY: LiteralString = """
SELECT p.name, s.today_energy_kwh FROM plants p
LEFT JOIN metric_snapshots s ON s.plant_id = p.plant_id AND s.date = (now() AT TIME ZONE p.timezone)::date
WHERE p.namespace = 'default' AND p.deleted_at IS NULL
"""


def test_1_workers_start_and_run_without_crashes(product: Product, fleet: Fleet) -> None:
    for brand in BRANDS:
        [worker] = product.pods("worker", brand)
        assert is_ready(worker)
        assert [state["restartCount"] for state in worker["status"]["containerStatuses"]] == [0]
    assert [name for name, text in product.logs().items() if "Traceback" in text] == []


def test_2_polls_run_on_schedule(product: Product, fleet: Fleet) -> None:
    slots = Slots(product, since=fleet.green_at)
    slots.settle(minutes=2)
    slots.assert_each_once()
    late = slots.latest_start_s()
    print(f"{SIZE} plants, each polled in its minute; the latest poll began {late:.1f} s after it was due")
    assert late < LATE_S


def test_3_snapshots_are_made_by_themselves(product: Product, fleet: Fleet) -> None:
    # After midnight in its zone a plant has no energy of the day until it is polled.
    for plant in product.plants("default"):
        poll(product, plant["metadata"]["name"], "for-today", "default")
    rows = product.rows(TODAY)
    shown = {plant["metadata"]["name"]: plant["status"]["today"]["energyKWh"] for plant in product.plants("default")}
    assert {name for name, _ in rows} == shown.keys()
    assert [name for name, energy in rows if energy is None] == []


def test_4_a_plant_goes_through_all_four_colours(product: Product) -> None:
    name = declare(product, "four-colours", 1, scenario="stale")
    product.wait_status(name, OWN, "YELLOW Stale", SHOWN_S)
    for scenario, told in (("fault", "RED CriticalAlert"), ("healthy", "GREEN Reporting")):
        play(product, name, scenario)
        product.wait_status(name, OWN, told, SHOWN_S)
    product.cluster.kubectl("patch", "plant", name, f"--namespace={OWN}", "--type=merge", '--patch={"spec":{"suspend":true}}')
    product.wait_status(name, OWN, "GREY DisabledByOperator", SHOWN_S)
    wanted = {("GREY", "YELLOW"), ("YELLOW", "RED"), ("RED", "GREEN"), ("GREEN", "GREY")}
    # An event follows its status.
    wait_until(lambda: Left(wanted - moves(product, name)), SHOWN_S, "every transition is an event", every_seconds=0.5)


def test_5_an_alert_is_opened_once_and_resolved(product: Product) -> None:
    name = declare(product, "one-alert", 2, scenario="fault")
    product.wait_status(name, OWN, "RED CriticalAlert", SHOWN_S)
    for turn in range(3):
        poll(product, name, f"again-{turn}")
    [alert] = product.plant(name, OWN)["status"]["alerts"]
    assert alerts(product, name) == [(alert["type"], "NEW")]
    play(product, name, "healthy")
    plant = product.wait_status(name, OWN, "GREEN Reporting", SHOWN_S)
    assert (plant["status"]["openAlerts"]["total"], plant["status"].get("alerts", [])) == (0, [])
    assert alerts(product, name) == [(alert["type"], "RESOLVED")]


def test_6_every_job_has_a_poll_log(product: Product, fleet: Fleet) -> None:
    assert_promises_kept(product)
    failed = product.rows(
        "SELECT DISTINCT p.name, l.adapter_error_type FROM plants p JOIN poll_logs l USING (plant_id)"
        " WHERE p.namespace = %(namespace)s AND l.status = 'ERROR' AND l.job_type = 'POLL'",
        namespace=SCENARIOS,
    )
    wanted = {
        ("auth-error", "AUTH_FAILED"),
        ("timeout", "NETWORK_TIMEOUT"),
        ("not-found", "PLANT_NOT_FOUND"),
        ("malformed", "INVALID_DATA_FORMAT"),
    }
    assert wanted <= set(failed)


def test_7_no_vendor_is_called(product: Product, fleet: Fleet) -> None:
    services = {service["metadata"]["name"]: service["spec"] for service in product.cluster.items("services", f"--namespace={NAMESPACE}")}
    dns = product.cluster.get("service", "kube-dns", "--namespace=kube-system")["spec"]["clusterIP"]
    known = {f"{services['solarinvest-postgres']['clusterIP']}:5432", f"{services['solarinvest-valkey']['clusterIP']}:6379", f"{dns}:53"}
    slots, seen = Slots(product), set[str]()

    def looked_while_polling() -> bool:
        for pod in product.pods("worker"):
            seen.update(remotes(product.execute(pod["metadata"]["name"], "cat", *TABLES)))
        return slots.polls() >= LOOKED_AT

    wait_until(looked_while_polling, 150, f"{LOOKED_AT} polls while their workers' connections are looked at")
    assert seen <= known
    # The look itself: a worker's connections to its own servers were seen.
    assert len(seen) >= 2


def test_8_no_secret_is_in_a_log_an_event_or_a_status(product: Product) -> None:
    secrets = {name: value for name, value in product.secrets().items() if len(value) >= 12}
    assert {"solarinvest-postgres/password", "solarinvest-jwt/secret"} <= secrets.keys()
    texts = product.logs()
    assert sum(map(len, texts.values())) > 1000
    texts["events"] = product.cluster.kubectl("get", "events", "--all-namespaces", "--output=yaml")
    texts["plants"] = product.cluster.kubectl("get", "plants", "--all-namespaces", "--output=yaml")
    texts["pods"] = product.cluster.kubectl("get", "pods,deployments,jobs,configmaps", f"--namespace={NAMESPACE}", "--output=yaml")
    assert hits(secrets, texts) == []


def test_9_the_api_returns_what_is_true_now(product: Product, fleet: Fleet) -> None:
    pod = product.one_pod("api")
    token = product.execute(pod, "solarinvest", "token", "--role", "ADMIN", "--subject", "e2e").strip()
    with product.cluster.forward(NAMESPACE, "service/solarinvest-api", 8080) as port:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(port, "/api/v1/plants", "no-token")
        sample = product.plant("quinta-do-vale", "default")
        poll(product, "quinta-do-vale", "for-the-api", "default")

        def differing() -> Left:
            shown = product.plant("quinta-do-vale", "default")["status"]
            rows = {row["name"]: row for row in ask(port, f"/api/v1/plants?limit=500&timezone={quote(sample['spec']['timezone'])}", token)}
            told = rows["quinta-do-vale"]
            pairs = [
                ("status", "health"),
                ("current_power_w", "currentPowerW"),
                ("last_poll_at", "lastPollTime"),
                ("last_seen_at", "lastSeenTime"),
            ]
            return Left(f"{field}: {told[field]} for {shown[name]}" for field, name in pairs if plain(told[field]) != plain(shown[name]))

        wait_until(differing, SHOWN_S, "the api and Kubernetes say the same", every_seconds=1)
        plants = {(row["namespace"], row["name"]) for row in ask(port, "/api/v1/plants?limit=500", token)}
        assert {("default", "quinta-do-vale"), (SCENARIOS, "fault")} <= plants


def test_10_everything_works_in_mock_mode_and_nothing_works_without(product: Product) -> None:
    for brand in BRANDS:
        [worker] = product.pods("worker", brand)
        env = {variable["name"]: variable.get("value") for variable in worker["spec"]["containers"][0]["env"]}
        assert env["INTEGRATION_MOCK_MODE"] == "true"
    servers = (("DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/x"), ("REDIS_URL", "redis://127.0.0.1:1/0"))
    code, told = product.run_pod("no-mock", "default", ["solarinvest", "worker", "--brand", "solis"], image=IMAGE, env=servers)
    assert code == 78
    assert "INTEGRATION_MOCK_MODE" in told


def declare(product: Product, name: str, number: int, *, scenario: str) -> str:
    """A Plant of HUAWEI, polled only when asked."""
    product.cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OWN}},
        {
            "apiVersion": "monitor.solarinvest.info/v1alpha1",
            "kind": "Plant",
            "metadata": {"name": name, "namespace": OWN, "annotations": {"monitor.solarinvest.info/mock-scenario": scenario}},
            "spec": {"brand": "HUAWEI", "vendorPlantId": f"NE={33990000 + number}", "timezone": "Europe/Lisbon", "pollInterval": "1h"},
        },
    )
    return name


def play(product: Product, name: str, scenario: str) -> None:
    product.annotate(name, OWN, mock_scenario=scenario)
    poll(product, name, f"to-{scenario}")


def poll(product: Product, name: str, token: str, namespace: str = OWN) -> None:
    """Requests a poll and waits until it is done."""
    product.annotate(name, namespace, poll_requested_at=token)
    handled = "lastHandledPollRequest"
    wait_until(
        lambda: product.plant(name, namespace)["status"].get(handled) == token,
        SHOWN_S,
        f"poll {token} of {name} is done",
        every_seconds=0.5,
    )


def moves(product: Product, name: str) -> set[tuple[str, ...]]:
    """Statuses from and to, as the plant's events tell."""
    selector = f"--field-selector=involvedObject.name={name},reason=HealthChanged"
    events = product.cluster.items("events", f"--namespace={OWN}", selector)
    return {match.groups() for event in events if (match := re.match(r"(\w+) to (\w+)", event["message"]))}


def alerts(product: Product, name: str) -> list[tuple[str, str]]:
    """Type and state of every alert the plant ever had."""
    return [(row[0], row[1]) for row in product.rows(ALERTS, name=name, namespace=OWN)]


def ask(port: int, path: str, token: str) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)


def plain(value: Any) -> Any:
    """Instants to the second, however they are spelt."""
    return re.sub(r"(\.\d+)?(Z|\+00:00)$", "", value) if isinstance(value, str) else value
