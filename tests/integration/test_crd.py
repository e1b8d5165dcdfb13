"""The Plant resource as a real API server takes it: what it accepts, what it refuses and with which words, what it shows."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import yaml

from controller.domain.plant import Alert, AlertType, Declaration, Integration, LiveState, PlantContext, Reason, Snapshot, Status
from controller.operator.resource import PlantResource, Refusal, RefusalReason
from controller.operator.status_document import refused_document, status_document
from hack.devstack.control_plane import ControlPlane
from hack.devstack.program import DevStackError
from integrations.contract import Brand, Severity

MANIFESTS = Path(__file__).parents[2] / "manifests"
DEFINITION = yaml.safe_load((MANIFESTS / "crd/plants.monitor.solarinvest.info.yaml").read_text())
SPEC_FIELDS = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
SAMPLES = sorted((MANIFESTS / "samples").glob("*.yaml"))
SCENARIOS = sorted((MANIFESTS / "scenarios").glob("*.yaml"))
INVALID = sorted((MANIFESTS / "invalid").glob("*.yaml"))
NOW = datetime(2026, 1, 15, 15, 0, tzinfo=UTC)
OPERATOR = "system:serviceaccount:default:solarinvest-operator"
GROUPS = {"plants": "monitor.solarinvest.info", "customresourcedefinitions": "apiextensions.k8s.io"}


class Kubectl:
    """kubectl as a person uses it, in the namespace default. What ends with an error raises `DevStackError` with what it printed."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._cluster = cluster

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        return self._cluster.kubectl(*arguments, stdin=stdin)

    def read(self, *arguments: str, stdin: str | None = None) -> Any:
        return json.loads(self(*arguments, "--output", "json", stdin=stdin))

    def create(self, name: str, *options: str, status: dict[str, Any] | None = None, **spec: Any) -> Any:
        return self.read("create", "--filename", "-", *options, stdin=json.dumps(plant(name, status=status, **spec)))

    def patch(self, name: str, change: dict[str, Any], *options: str) -> Any:
        return self.read("patch", "plant", name, "--type", "merge", "--patch", json.dumps(change), *options)


def plant(name: str, *, status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    body = {
        "apiVersion": "monitor.solarinvest.info/v1alpha1",
        "kind": "Plant",
        "metadata": {"name": name},
        "spec": {"brand": "SOLIS"} | spec,
    }
    return body if status is None else body | {"status": status}


@pytest.fixture
def kubectl(cluster: ControlPlane) -> Kubectl:
    return Kubectl(cluster)


# What is accepted


def test_there_is_a_sample_of_every_brand() -> None:
    assert sorted(yaml.safe_load(path.read_text())["spec"]["brand"] for path in SAMPLES) == sorted(Brand)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_accepted(kubectl: Kubectl, path: Path) -> None:
    kubectl("apply", "--dry-run=server", "--filename", str(path))


def test_every_scenario_is_accepted_and_says_what_it_becomes(kubectl: Kubectl) -> None:
    namespace, *plants = SCENARIOS
    kubectl("apply", "--filename", str(namespace))
    for path in plants:
        kubectl("apply", "--dry-run=server", "--filename", str(path))
    expected = [yaml.safe_load(path.read_text())["metadata"]["annotations"]["demo.solarinvest.info/expected"] for path in plants]
    colours, reasons = zip(*(text.split() for text in expected), strict=True)
    assert set(colours) == set(Status)
    assert set(reasons) <= set(Reason)


@pytest.mark.parametrize(
    "spec",
    [
        {"pollInterval": "1m"},
        {"pollInterval": "60000ms"},
        {"pollInterval": "1h0m0s"},
        {"pollInterval": "1.5h"},
        {"pollInterval": "86400s"},
        {"pollInterval": "24h"},
        {"timezone": "UTC"},
        {"timezone": "Etc/GMT+3"},
        {"timezone": "America/Argentina/Buenos_Aires"},
        {"timezone": "America/Port-au-Prince"},
        {"vendorPlantId": "1" * 64},
        {"vendorPlantId": "NE=33550001"},
        {"location": {"latitude": -90, "longitude": 180}},
        {"capacityKWp": 0.001},
        {"capacityKWp": 1_000_000},
        {"displayName": "Padaria do João – 太陽光"},
        {"ownerCustomerId": "ana@example.com"},
        {"statusPolicy": "Daylight"},
        {"suspend": True, "historyPolicy": "Delete"},
    ],
    ids=json.dumps,
)
def test_what_lies_on_a_bound_is_accepted(kubectl: Kubectl, spec: dict[str, Any]) -> None:
    created = kubectl.create("bound", "--dry-run=server", **spec)
    assert spec.items() <= created["spec"].items()


def test_what_is_left_out_is_filled_in(kubectl: Kubectl) -> None:
    created = kubectl.create("defaults", "--dry-run=server")
    assert created["spec"] == {
        "brand": "SOLIS",
        "timezone": "America/Sao_Paulo",
        "pollInterval": "10m",
        "suspend": False,
        "statusPolicy": "Strict",
        "historyPolicy": "Retain",
    }


# What is refused


def test_each_file_of_the_impossible_says_what_to_expect() -> None:
    assert len(INVALID) >= 25
    assert [path.name for path in INVALID if not path.read_text().startswith("# expect: ")] == []


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_the_impossible_is_refused_in_words_that_help(kubectl: Kubectl, path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
    with pytest.raises(DevStackError) as refused:
        kubectl("create", "--dry-run=server", "--filename", str(path))
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("number", "expected"), [("NaN", "json parse error"), ("Infinity", "json parse error"), ("1e999", "cannot unmarshal number 1e999")]
)
def test_a_number_that_is_none_cannot_get_in(kubectl: Kubectl, tmp_path: Path, number: str, expected: str) -> None:
    body = json.dumps(plant("odd", capacityKWp=6.6)).replace("6.6", number)
    path = tmp_path / "plant.json"
    path.write_text(body)
    plants = "/apis/monitor.solarinvest.info/v1alpha1/namespaces/default/plants"
    with pytest.raises(DevStackError, match=expected):
        kubectl("create", "--raw", plants, "--filename", str(path))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"brand": "GOODWE"}, "brand cannot be changed"),
        ({"vendorPlantId": "2"}, "vendorPlantId cannot be changed or removed once set"),
        ({"vendorPlantId": None}, "vendorPlantId cannot be changed or removed once set"),
        ({"pollInterval": "30s"}, "pollInterval must be a duration from 1m to 24h"),
        ({"timezone": "Brasília"}, "timezone must be the IANA name"),
        ({"location": {"latitude": 1}}, "spec.location.longitude: Required value"),
    ],
    ids=json.dumps,
)
@pytest.mark.rule("D1.6")
def test_a_forbidden_change_is_refused(kubectl: Kubectl, fixed: str, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(DevStackError) as refused:
        kubectl.patch(fixed, {"spec": change})
    assert expected in str(refused.value)


@pytest.fixture
def fixed(kubectl: Kubectl) -> str:
    kubectl.create("fixed", vendorPlantId="1")
    return "fixed"


@pytest.mark.rule("D1.6")
def test_a_vendor_id_may_come_later_but_not_change_then(kubectl: Kubectl) -> None:
    kubectl.create("later")
    assert kubectl.patch("later", {"spec": {"vendorPlantId": "1298"}})["spec"]["vendorPlantId"] == "1298"
    with pytest.raises(DevStackError, match="cannot be changed or removed once set"):
        kubectl.patch("later", {"spec": {"vendorPlantId": "1299"}})


@pytest.mark.parametrize(
    "change",
    [
        {"timezone": "Europe/Lisbon"},
        {"pollInterval": "5m"},
        {"suspend": True},
        {"capacityKWp": 7},
        {"location": {"latitude": 1, "longitude": 2}},
        {"location": None},
        {"displayName": "Roof"},
        {"statusPolicy": "Daylight"},
        {"historyPolicy": "Delete"},
    ],
    ids=json.dumps,
)
def test_everything_else_may_change(kubectl: Kubectl, fixed: str, change: dict[str, Any]) -> None:
    changed = kubectl.patch(fixed, {"spec": change})["spec"]
    assert {name: value for name, value in change.items() if value is not None}.items() <= changed.items()


# The status


def full_status() -> dict[str, Any]:
    """Every field of the contract (docs/plant.md), and what the columns print."""
    at = "2026-01-15T15:00:00Z"
    return {
        "observedGeneration": 1,
        "health": "RED",
        "reason": "CriticalAlert",
        "since": at,
        "integrationStatus": "ACTIVE",
        "lastPollTime": at,
        "lastSuccessTime": at,
        "nextPollTime": at,
        "consecutiveFailures": 2,
        "lastHandledPollRequest": "by ana",
        "lastSeenTime": at,
        "currentPowerW": 4200.5,
        "today": {"date": "2026-01-15", "energyKWh": 14.3, "peakPowerW": 4250.4, "expectedKWh": 15.1, "specificYield": 2.167},
        "totalEnergyKWh": 12543.2,
        "display": {"power": "4.20kW", "today": "14.3kWh"},
        "openAlerts": {"total": 1, "critical": 1, "high": 0, "acked": 0},
        "alerts": [
            {
                "id": "8e8b40f5-59c8-5499-8387-a21ebf8de4a7",
                "type": "MOCK_FAULT",
                "severity": "CRITICAL",
                "state": "NEW",
                "vendorAlarmCode": "1015",
                "deviceSn": "10F0000000000001",
                "since": at,
                "message": "NO-Grid",
            }
        ],
        "explain": ["An alert of severity CRITICAL is active."],
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "observedGeneration": 1,
                "lastTransitionTime": at,
                "reason": "Monitored",
                "message": "All is well",
            }
            for kind in ("Accepted", "Polled", "DataFresh", "Producing", "Healthy", "Ready")
        ],
    }


def test_the_status_keeps_every_field_of_the_contract(kubectl: Kubectl) -> None:
    kubectl.create("whole")
    kubectl.patch("whole", {"status": full_status()}, "--subresource=status")
    assert kubectl.read("get", "plant", "whole")["status"] == full_status()


def plant_at_its_fullest(resource: PlantResource) -> PlantContext:
    alerts = tuple(
        Alert(
            id=uuid4(),
            type=AlertType.MOCK_FAULT,
            severity=Severity.CRITICAL,
            vendor_alarm_code="1" * 999,
            device_sn="2" * 999,
            message="m" * 9999,
            opened_at=NOW,
            last_seen_at=NOW,
        )
        for _ in range(30)
    )
    live = LiveState(
        integration=Integration.ACTIVE,
        status=Status.RED,
        reason=Reason.CRITICAL_ALERT,
        status_since=NOW,
        explain=("e" * 9999,) * 99,
        last_seen_at=NOW,
        current_power_w=999_999_999.94,
        total_energy_kwh=999_999_999.9994,
        last_poll_at=NOW,
        last_success_at=NOW,
        consecutive_failures=2**40,
        polled_generation=1,
        handled_poll_request="r" * 256,
    )
    declaration: Declaration = msgspec.structs.replace(resource.declaration(7200), capacity_kwp=0.001)
    day = Snapshot(date=NOW.date(), timezone="UTC", today_energy_kwh=0.024, peak_power_w=0.0)
    return PlantContext(plant_id=resource.plant_id, declaration=declaration, live=live, next_poll_at=NOW, alerts=alerts, days=(day,))


@pytest.mark.parametrize(
    "document",
    [
        lambda resource: status_document(plant_at_its_fullest(resource), resource, NOW),
        lambda resource: status_document(msgspec.structs.replace(plant_at_its_fullest(resource), live=LiveState()), resource, NOW),
        lambda resource: refused_document(Refusal(RefusalReason.INVALID_TIMEZONE, "t" * 9999), resource, NOW),
    ],
    ids=["fullest", "new", "refused"],
)
def test_what_the_operator_writes_is_kept_as_written(kubectl: Kubectl, document: Callable[[PlantResource], dict[str, Any]]) -> None:
    name = "written"
    written = document(PlantResource.parse(kubectl.create(name, vendorPlantId="1")))
    kubectl.patch(name, {"status": written}, "--subresource=status")
    assert kubectl.read("get", "plant", name)["status"] == written


def test_the_status_is_not_written_with_the_spec(kubectl: Kubectl) -> None:
    kubectl.create("claims", status={"health": "GREEN"})
    assert "status" not in kubectl.read("get", "plant", "claims")


# What a person sees


def header(table: str) -> list[str]:
    return table.splitlines()[0].split()


COLUMNS = ["NAME", "BRAND", "STATUS", "REASON", "POWER", "TODAY", "SEEN", "AGE"]
WIDE = [*COLUMNS, "READY", "ALERTS", "NEXT-POLL", "INTEGRATION", "VENDOR-ID"]


@pytest.fixture
def shown(kubectl: Kubectl) -> str:
    kubectl.create("shown", brand="HUAWEI", vendorPlantId="NE=1")
    kubectl.patch("shown", {"status": full_status()}, "--subresource=status")
    return "shown"


@pytest.mark.parametrize(("options", "columns"), [((), COLUMNS), (("--output", "wide"), WIDE)], ids=["plain", "wide"])
def test_the_table_has_its_columns(kubectl: Kubectl, shown: str, options: tuple[str, ...], columns: list[str]) -> None:
    assert header(kubectl("get", "plants", *options)) == columns


def test_the_row_of_a_filled_plant_has_a_word_in_every_column(kubectl: Kubectl, shown: str) -> None:
    row = dict(zip(WIDE, kubectl("get", "plant", shown, "--output", "wide", "--no-headers").split(), strict=True))
    del row["SEEN"], row["AGE"]
    assert row == {
        "NAME": "shown",
        "BRAND": "HUAWEI",
        "STATUS": "RED",
        "REASON": "CriticalAlert",
        "POWER": "4.20kW",
        "TODAY": "14.3kWh",
        "READY": "True",
        "ALERTS": "1",
        "NEXT-POLL": "2026-01-15T15:00:00Z",
        "INTEGRATION": "ACTIVE",
        "VENDOR-ID": "NE=1",
    }


@pytest.mark.parametrize("awaited", ["condition=Ready", "condition=Healthy=True", "jsonpath={.status.health}=RED"])
def test_one_can_wait_for_a_plant(kubectl: Kubectl, shown: str, awaited: str) -> None:
    kubectl("wait", f"--for={awaited}", f"plant/{shown}", "--timeout=10s")


@pytest.mark.parametrize("name", ["plants", "plant", "pl", "solar", "plants.monitor.solarinvest.info"])
@pytest.mark.rule("D1.1")
def test_a_plant_is_found_by_every_name_of_its_kind(kubectl: Kubectl, shown: str, name: str) -> None:
    assert shown in kubectl("get", name)


def names(listed: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def test_plants_are_selected_by_brand(kubectl: Kubectl, shown: str) -> None:
    kubectl.create("other", brand="DELE")
    assert names(kubectl.read("get", "plants", "--field-selector", "spec.brand=HUAWEI")) == [shown]
    assert names(kubectl.read("get", "plants", "--field-selector", "spec.brand=DELE")) == ["other"]


def test_plants_are_selected_by_health(kubectl: Kubectl, shown: str) -> None:
    assert shown in names(kubectl.read("get", "plants", "--field-selector", "status.health=RED"))
    assert names(kubectl.read("get", "plants", "--field-selector", "status.health=YELLOW")) == []


def test_explain_says_something_of_every_field(kubectl: Kubectl) -> None:
    page = kubectl("explain", "plant.spec")
    parts = re.split(r"^  (\w+)\t<.*$", page.split("FIELDS:")[1], flags=re.MULTILINE)
    texts = {
        name: [line for line in text.splitlines() if line.startswith("    ") and "<no description>" not in line]
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    assert texts.keys() == SPEC_FIELDS.keys()
    assert [name for name, lines in texts.items() if not lines] == []


# What the operator may do


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("list", "plants", True),
        ("watch", "plants", True),
        ("get", "plants", True),
        ("get", "plants/status", True),
        ("patch", "plants/status", True),
        ("patch", "plants", False),
        ("update", "plants", False),
        ("update", "plants/status", False),
        ("delete", "plants", False),
        ("create", "plants", False),
        ("get", "secrets", False),
        ("list", "namespaces", False),
        ("list", "customresourcedefinitions", False),
        ("create", "events", True),
        ("patch", "events", False),
        ("list", "events", False),
    ],
)
def test_the_operator_may_read_plants_write_their_status_post_events_and_nothing_else(
    cluster: ControlPlane, verb: str, what: str, allowed: bool
) -> None:
    resource, _, subresource = what.partition("/")
    asked = {"group": GROUPS.get(resource, ""), "resource": resource, "subresource": subresource, "verb": verb}
    spec = {"user": OPERATOR, "groups": ["system:serviceaccounts", "system:authenticated"], "resourceAttributes": asked}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert answer["status"]["allowed"] is allowed
