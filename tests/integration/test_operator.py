"""The operator as its users have it: `solarinvest operator` under its own service account, workers, a real API server, Postgres, Valkey.

The roles run once for the module, so each test has a Plant of its own name and vendor identity.
"""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from hack.devstack.control_plane import ControlPlane
from tests.integration import operator_fleet
from tests.integration.operator_fleet import API, NEXT_RESYNC_S, RESYNC_S, SOON_S, START_S, Fleet, id_of
from tests.stack import operator_account, wait_until

pytestmark = [pytest.mark.xdist_group("control-plane-operator"), pytest.mark.lasts(120)]

fleet = operator_fleet.fleet


@pytest.fixture
def timed(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Notes how long it was since an instant of `time.monotonic`."""

    def note(what: str, began: float) -> None:
        took = round(time.monotonic() - began, 2)
        record_property(what, took)
        print(f"measured: {what}: {took} s")

    return note


Timed = Callable[[str, float], None]


def test_an_applied_plant_becomes_green(fleet: Fleet, timed: Timed) -> None:
    began = time.monotonic()
    status = fleet.green("applied")
    timed("applied to GREEN", began)
    assert status["observedGeneration"] == 1
    assert status["reason"] == "Reporting"
    wait_until(lambda: fleet.condition("applied", "Ready") == ("True", "Monitored"), SOON_S, "Ready")
    assert fleet.condition("applied", "Accepted") == ("True", "Accepted")


def test_an_edited_timezone_acts_within_seconds(fleet: Fleet, timed: Timed) -> None:
    fleet.green("edited", timezone="America/Sao_Paulo")
    polls, began = fleet.polls(id_of("edited")), time.monotonic()
    fleet.edit("edited", timezone="Asia/Tokyo")
    wait_until(lambda: fleet.value("SELECT timezone FROM plants WHERE name = 'edited'") == "Asia/Tokyo", SOON_S, "the row")
    timed("timezone edited to its row", began)
    wait_until(lambda: fleet.polls(id_of("edited")) > polls, SOON_S, "a poll under the new timezone")
    wait_until(lambda: fleet.condition("edited", "Ready") == ("True", "Monitored"), SOON_S, "Ready")
    wait_until(lambda: fleet.status("edited")["observedGeneration"] == 2, SOON_S, "the new generation to be shown")
    timed("timezone edited, polled and shown", began)


def test_a_suspended_plant_is_grey_and_polled_no_more_until_it_is_resumed(fleet: Fleet, timed: Timed) -> None:
    fleet.green("suspended", pollInterval="1m")
    began = time.monotonic()
    fleet.edit("suspended", suspend=True)
    status = fleet.becomes("suspended", "GREY")
    timed("suspended to GREY", began)
    assert (status["reason"], status["integrationStatus"]) == ("DisabledByOperator", "DISABLED_BY_OPERATOR")
    assert fleet.condition("suspended", "Ready") == ("True", "Suspended")
    assert "nextPollTime" not in status
    assert fleet.value("SELECT next_poll_at FROM plants WHERE name = 'suspended'") is None
    polls, began = fleet.polls(id_of("suspended")), time.monotonic()
    fleet.edit("suspended", suspend=False)
    fleet.becomes("suspended", "GREEN")
    timed("resumed to GREEN", began)
    wait_until(lambda: fleet.polls(id_of("suspended")) > polls, SOON_S, "a poll")


def test_a_deleted_plant_is_polled_no_more_and_one_created_again_adopts_its_history(fleet: Fleet, timed: Timed) -> None:
    plant_id = id_of("came-back")
    before = fleet.green("came-back")
    uid = fleet.resource("came-back")["metadata"]["uid"]
    wait_until(lambda: fleet.level(plant_id), SOON_S, "the mirror to be level")
    alert_id, began = add_alert(fleet, plant_id), time.monotonic()
    fleet.delete("came-back")
    wait_until(lambda: fleet.is_deleted(plant_id), SOON_S, "the row to be marked")
    timed("deleted to row marked", began)
    days, polls = fleet.value("SELECT count(*) FROM metric_snapshots WHERE plant_id = %s", plant_id), fleet.polls(plant_id)
    fleet.declare("came-back")
    began = time.monotonic()
    status = fleet.becomes("came-back", "YELLOW")
    timed("created again to its history shown", began)
    assert fleet.resource("came-back")["metadata"]["uid"] != uid
    assert [alert["id"] for alert in status["alerts"]] == [alert_id]
    assert status["lastSeenTime"] >= before["lastSeenTime"]
    wait_until(lambda: fleet.polls(plant_id) > polls, SOON_S, "a poll of the new object")
    assert fleet.value("SELECT count(*) FROM metric_snapshots WHERE plant_id = %s", plant_id) >= days > 0


def add_alert(fleet: Fleet, plant_id: UUID) -> str:
    """An alert that outlives polls: LOW_GENERATION ends by the verdict about a day. Its id."""
    inserted = (
        "INSERT INTO alerts (id, plant_id, type, severity, state, message, opened_at, last_seen_at)"
        " VALUES (gen_random_uuid(), %s, 'LOW_GENERATION', 'HIGH', 'NEW', 'little sun', now(), now()) RETURNING id"
    )
    return str(fleet.value(inserted, plant_id))


def test_the_same_name_with_another_vendor_identity_starts_afresh(fleet: Fleet) -> None:
    fleet.green("renamed", vendor_plant_id="renamed-1")
    add_alert(fleet, id_of("renamed-1"))
    fleet.delete("renamed")
    fleet.declare("renamed", vendor_plant_id="renamed-2")
    status = fleet.becomes("renamed", "GREEN")
    assert status["openAlerts"]["total"] == 0
    wait_until(lambda: fleet.is_deleted(id_of("renamed-1")), SOON_S, "the former row to be marked")
    assert fleet.polls(id_of("renamed-1")) == 1, "history stays with the vendor identity"


def test_a_second_plant_of_a_vendor_identity_is_refused_until_the_first_is_gone(fleet: Fleet, timed: Timed) -> None:
    fleet.green("twin-1", vendor_plant_id="twin")
    fleet.declare("twin-2", vendor_plant_id="twin")
    fleet.accepted("twin-2", "DuplicateVendorPlant")
    assert fleet.condition("twin-2", "Accepted") == ("False", "DuplicateVendorPlant")
    assert fleet.condition("twin-2", "Ready") == ("False", "DuplicateVendorPlant")
    assert (fleet.status("twin-2")["health"], fleet.status("twin-1")["health"]) == ("GREY", "GREEN")
    assert fleet.value("SELECT name FROM plants WHERE plant_id = %s", id_of("twin")) == "twin-1", "never mixed"
    began = time.monotonic()
    fleet.delete("twin-1")
    fleet.becomes("twin-2", "GREEN", NEXT_RESYNC_S)
    timed(f"first of two deleted to the second accepted and GREEN, resync every {RESYNC_S} s", began)
    assert fleet.condition("twin-2", "Accepted") == ("True", "Accepted")


def test_an_unknown_timezone_is_refused_and_accepted_once_corrected(fleet: Fleet) -> None:
    fleet.declare("astray", timezone="America/Sao_Paolo")
    fleet.accepted("astray", "InvalidTimezone")
    messages = [c["message"] for c in fleet.status("astray")["conditions"] if c["type"] == "Accepted"]
    assert "America/Sao_Paulo" in messages[0], "it says what was meant"
    assert not fleet.rows("SELECT 1 FROM plants WHERE name = 'astray'")
    fleet.edit("astray", timezone="America/Sao_Paulo")
    fleet.becomes("astray", "GREEN")
    fleet.edit("astray", timezone="Mars/Olympus_Mons")
    fleet.accepted("astray", "InvalidTimezone")
    assert fleet.is_deleted(id_of("astray")), "what ran under its name stops"


@pytest.mark.parametrize("written", [None, {"health": "RED", "currentPowerW": 1, "explain": ["by hand"]}])
def test_a_status_changed_by_hand_is_put_right(fleet: Fleet, timed: Timed, written: Mapping[str, Any] | None) -> None:
    name = "wiped" if written is None else "forged"
    plant_id = id_of(name)
    fleet.green(name)
    wait_until(lambda: fleet.level(plant_id), SOON_S, "the mirror to be level")
    status, polls, began = fleet.status(name), fleet.polls(plant_id), time.monotonic()
    fleet.write_status(name, written)
    wait_until(lambda: timeless(fleet.status(name)) == timeless(status), NEXT_RESYNC_S, "the status to be as it was")
    timed(f"status {name} by hand to put right", began)
    assert fleet.polls(plant_id) == polls, "without a poll"


def timeless(status: Mapping[str, Any]) -> dict[str, Any]:
    """Without the times of transitions: nobody else keeps them."""
    conditions = [{**condition, "lastTransitionTime": None} for condition in status.get("conditions", [])]
    return {**status, "conditions": conditions}


def test_a_requested_poll_is_made_at_once_and_echoed(fleet: Fleet, timed: Timed) -> None:
    fleet.green("asked")
    polls, began = fleet.polls(id_of("asked")), time.monotonic()
    fleet.annotate("asked", poll_requested_at="now-please")
    wait_until(lambda: fleet.status("asked").get("lastHandledPollRequest") == "now-please", SOON_S, "the echo")
    timed("poll requested to its echo", began)
    assert fleet.polls(id_of("asked")) == polls + 1


def test_an_annotation_that_means_nothing_is_told_long_before_the_next_poll_and_no_more_once_it_means_something(fleet: Fleet) -> None:
    fleet.green("polled-daily", pollInterval="24h")
    fleet.annotate("polled-daily", silence_until="tomorrow")
    fleet.accepted("polled-daily", "AnnotationIgnored")
    fleet.annotate("polled-daily", silence_until="2099-01-01T00:00:00Z")
    fleet.accepted("polled-daily", "Accepted")


def test_a_scenario_that_does_not_exist_is_a_failed_poll(fleet: Fleet) -> None:
    fleet.green("dreaming")
    fleet.annotate("dreaming", mock_scenario="no-such-scenario")
    wait_until(lambda: fleet.condition("dreaming", "Polled") == ("False", "VendorError"), SOON_S, "the failed poll to be shown")
    assert fleet.status("dreaming")["health"] == "GREEN", "it was seen a moment ago"


def test_the_poll_of_a_slot_is_one_patch_of_two_operators_and_another_poll_or_an_idle_plant_none(fleet: Fleet) -> None:
    fleet.cluster.request("DELETE", API)
    wait_until(lambda: not fleet.rows("SELECT 1 FROM plants WHERE deleted_at IS NULL"), NEXT_RESYNC_S, "all rows to be marked")
    fleet.green("counted")
    plant_id = id_of("counted")
    wait_until(lambda: fleet.level(plant_id), SOON_S, "the mirror to be level")
    began, patched = datetime.now(UTC), fleet.metric("solarinvest_status_patches_total")
    version = fleet.value("SELECT version FROM plants WHERE plant_id = %s", plant_id)
    seen = [fleet.status("counted")["lastPollTime"]]
    for _ in range(5):
        # Times are shown in whole seconds: two polls within one may show the same, and then there is nothing to patch.
        wait_until(lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" > seen[-1], SOON_S, "the next second")
        polls = fleet.polls(plant_id)
        fleet.make_due(plant_id)
        wait_until(lambda before=polls: fleet.polls(plant_id) > before, SOON_S, "a poll")  # type: ignore[misc]
        wait_until(lambda: fleet.level(plant_id), SOON_S, "the mirror to be level")
        seen.append(fleet.status("counted")["lastPollTime"])
    assert seen == sorted(set(seen)), "each is newer than the one before"
    versions = fleet.value("SELECT version FROM plants WHERE plant_id = %s", plant_id) - version
    assert fleet.value("SELECT count(*) FROM poll_logs WHERE finished_at > %s", began) == versions == 5
    assert fleet.metric("solarinvest_status_patches_total") - patched == 5, "of two operators, one patches"
    fleet.poll_again(plant_id)
    wait_until(lambda: fleet.polls(plant_id) > polls + 1, SOON_S, "a poll")
    idle_since, patched = fleet.resource("counted")["metadata"]["resourceVersion"], fleet.metric("solarinvest_status_patches_total")
    turns = fleet.metric("solarinvest_loop_turns_total", loop="resync")
    wait_until(lambda: fleet.metric("solarinvest_loop_turns_total", loop="resync") >= turns + 4, 4 * NEXT_RESYNC_S, "two resyncs of each")
    assert fleet.resource("counted")["metadata"]["resourceVersion"] == idle_since
    assert fleet.metric("solarinvest_status_patches_total") == patched


def test_a_deletion_while_the_operators_are_down_is_noticed_when_they_start(fleet: Fleet, timed: Timed) -> None:
    fleet.green("forgotten")
    for operator in fleet.operators:
        operator.kill()
    fleet.delete("forgotten")
    began = time.monotonic()
    for operator in fleet.operators:
        operator.start()
    wait_until(lambda: fleet.is_deleted(id_of("forgotten")), START_S, "the row to be marked")
    timed("operators started to the missed deletion found", began)
    for operator in fleet.operators:
        operator.wait_ready(START_S)


def test_the_operators_report_a_healthy_watch_and_nothing_broken(fleet: Fleet) -> None:
    for operator in fleet.operators:
        wait_until(lambda operator=operator: operator.get("/readyz"), START_S, "readiness")  # type: ignore[misc]
        health = wait_until(lambda operator=operator: operator.get("/healthz"), SOON_S, "its health")  # type: ignore[misc]
        assert {"watch", "events"} <= json.loads(health or "{}")["loops"].keys()
        text = operator.log_text()
        assert "turn_broke" not in text
        assert "plant_broke" not in text
        assert "Traceback" not in text
        assert "OS signals" not in text


ALLOWED = (
    {("monitor.solarinvest.info", "plants", verb) for verb in ("get", "list", "watch")}
    | {("monitor.solarinvest.info", "plants/status", verb) for verb in ("get", "patch")}
    | {("", "events", "create")}
)
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    ("monitor.solarinvest.info", "plants"),
    ("monitor.solarinvest.info", "plants/status"),
    ("monitor.solarinvest.info", "plants/finalizers"),
    ("", "secrets"),
    ("", "configmaps"),
    ("", "events"),
    ("events.k8s.io", "events"),
    ("", "pods"),
    ("", "pods/exec"),
    ("", "namespaces"),
    ("", "nodes"),
    ("", "serviceaccounts/token"),
    ("apps", "deployments"),
    ("batch", "jobs"),
    ("coordination.k8s.io", "leases"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("kopf.dev", "kopfpeerings"),
)


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_the_operator_may_read_plants_patch_their_status_post_events_and_nothing_else(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.revive()
    asked = {(group, resource, verb) for group, resource in RESOURCES for verb in VERBS}
    assert {right for right in asked if may(control_plane, namespace, *right)} == ALLOWED


def may(cluster: ControlPlane, namespace: str, group: str, resource: str, verb: str) -> bool:
    """What `kubectl auth can-i` says of the operator's service account."""
    account, home = operator_account()
    name, _, subresource = resource.partition("/")
    wanted = {"namespace": namespace, "group": group, "resource": name, "subresource": subresource, "verb": verb}
    spec = {
        "user": f"system:serviceaccount:{home}:{account}",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated"],
        "resourceAttributes": wanted,
    }
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
