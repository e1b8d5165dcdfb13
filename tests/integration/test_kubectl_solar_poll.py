"""`kubectl solar` with the operator and a worker behind the API server: what people write is acted on, and they hear of it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from hack.devstack.control_plane import ControlPlane
from hack.devstack.postgres import Postgres
from hack.devstack.valkey import Valkey
from tests.integration.kubectl_solar import declare, resource, solar
from tests.stack import PLANTS, SolarProcess, wait_until

pytestmark = [pytest.mark.xdist_group("control-plane-kubectl-solar"), pytest.mark.lasts(110)]

START_S, SOON_S = 60.0, 30.0
WAIT = ("--wait", "--timeout", "40s")


@pytest.fixture(scope="module")
def system(
    control_plane: ControlPlane,
    operator_kubeconfig: Path,
    postgres_server: Postgres,
    migrated_template: str,
    valkey_server: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ControlPlane]:
    """An operator and a worker for SOLIS, for the whole module: each test has plants of its own."""
    control_plane.revive()
    with valkey_server.client() as client:
        client.flushall()
    name = f"test_{uuid4().hex}"
    common = {"DATABASE_URL": postgres_server.create_database(name, template=migrated_template), "REDIS_URL": valkey_server.url}
    folder = tmp_path_factory.mktemp("kubectl-solar")
    with ExitStack() as running:
        for role, env in (
            (["operator"], {"KUBECONFIG": str(operator_kubeconfig)}),
            (["worker", "--brand", "solis"], {"INTEGRATION_MOCK_MODE": "true"}),
        ):
            running.enter_context(SolarProcess(role, {**common, **env}, folder)).wait_ready(START_S)
        yield control_plane
    control_plane.request("DELETE", f"{PLANTS}/namespaces/default/plants")
    postgres_server.drop_database(name)


def reason_of(system: ControlPlane, name: str, kind: str) -> str | None:
    conditions = resource(system, name).get("status", {}).get("conditions", [])
    return next((condition["reason"] for condition in conditions if condition["type"] == kind), None)


def test_a_poll_is_waited_for_and_its_success_told(system: ControlPlane) -> None:
    declare(system, "polled")
    wait_until(lambda: reason_of(system, "polled", "Polled") == "PollSucceeded", SOON_S, "the first poll")
    before = resource(system, "polled")["status"]["lastPollTime"]
    # Instants of a status are whole seconds: the poll that is asked for shall have another.
    wait_until(lambda: solar(system.kubeconfig, "poll", "polled", *WAIT).returncode == 0 and later(system, before), SOON_S, "a later poll")
    (said,) = json.loads(solar(system.kubeconfig, "poll", "polled", *WAIT, "-o", "json").stdout)
    assert said["result"] == "Succeeded"
    assert resource(system, "polled")["status"]["lastHandledPollRequest"] == said["token"]


def later(system: ControlPlane, instant: str) -> bool:
    newest: str = resource(system, "polled")["status"]["lastPollTime"]
    return newest > instant


def test_a_poll_that_fails_fails_the_command(system: ControlPlane) -> None:
    declare(system, "unheard", annotations={"monitor.solarinvest.info/mock-scenario": "timeout"})
    done = solar(system.kubeconfig, "poll", "unheard", *WAIT)
    assert done.returncode == 1
    assert "default/unheard: the poll failed: NetworkTimeout" in done.stdout


def test_a_plant_that_is_not_polled_is_told_at_once_and_why(system: ControlPlane) -> None:
    declare(system, "suspended", spec={"suspend": True})
    declare(system, "refused", spec={"timezone": "Atlantis/Capital"})
    done = solar(system.kubeconfig, "poll", "suspended", "refused", *WAIT, "-o", "json")
    assert done.returncode == 1
    results = [(said["name"], said["result"], said["reason"]) for said in json.loads(done.stdout)]
    assert results == [("suspended", "NotPolled", "Suspended"), ("refused", "NotPolled", "InvalidTimezone")]


def test_a_poll_that_nobody_makes_times_out_with_a_code_of_its_own(system: ControlPlane) -> None:
    """There is no worker for this brand."""
    declare(system, "waiting", spec={"brand": "DELE", "vendorPlantId": "1000042"})
    done = solar(system.kubeconfig, "poll", "waiting", "--wait", "--timeout", "1s")
    assert done.returncode == 6
    assert "the request stands" in done.stdout


def test_an_acknowledged_alert_is_shown_as_acked_by_the_person(system: ControlPlane) -> None:
    declare(system, "faulty", annotations={"monitor.solarinvest.info/mock-scenario": "fault"})
    listed = wait_until(lambda: resource(system, "faulty").get("status", {}).get("alerts"), SOON_S, "an alert")
    assert solar(system.kubeconfig, "ack", "faulty", listed[0]["id"][:8]).returncode == 0

    def is_acked() -> bool:
        return any(alert["id"] == listed[0]["id"] and alert["state"] == "ACKED" for alert in resource(system, "faulty")["status"]["alerts"])

    wait_until(is_acked, SOON_S, "the alert to be ACKED")
    told = solar(system.kubeconfig, "explain", "faulty").stdout
    assert "faulty  SOLIS faulty  RED CriticalAlert" in told
    assert " ACKED MOCK_FAULT" in told


def test_suspended_plants_turn_grey_and_come_back(system: ControlPlane) -> None:
    declare(system, "paused")
    wait_until(lambda: resource(system, "paused").get("status", {}).get("health") == "GREEN", SOON_S, "GREEN")
    solar(system.kubeconfig, "suspend", "paused")
    wait_until(lambda: resource(system, "paused")["status"]["reason"] == "DisabledByOperator", SOON_S, "GREY")
    (row,) = [row for row in json.loads(solar(system.kubeconfig, "top", "-o", "json").stdout) if row["name"] == "paused"]
    assert (row["status"], row["reason"]) == ("GREY", "DisabledByOperator")
    solar(system.kubeconfig, "resume", "paused")
    wait_until(lambda: resource(system, "paused")["status"]["health"] == "GREEN", SOON_S, "GREEN again")
