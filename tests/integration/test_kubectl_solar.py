"""`kubectl solar` against a real API server, each with no more than the user's own rights."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from controller.kubectl_plugin import plants as plants_module
from controller.kubectl_plugin.connect import connect
from controller.kubectl_plugin.plants import Plants
from controller.operator.resource import PlantResource
from hack.devstack.binaries import kubectl
from hack.devstack.control_plane import ControlPlane
from hack.devstack.program import base_environment
from tests.integration.kubectl_solar import PROGRAM, Terminal, annotation, declare, resource, solar, user_with
from tests.stack import MANIFESTS, PLANTS, wait_until

pytestmark = [pytest.mark.xdist_group("control-plane-kubectl-solar"), pytest.mark.lasts(110)]

DRAWN_S = 60.0
"""Until a change is on a terminal, on a busy machine; an API server that was away is asked again after 5 s at most."""


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(health: str, reason: str, **fields: Any) -> dict[str, Any]:
    return {"health": health, "reason": reason, "since": ago(hours=3), "observedGeneration": 1, **fields}


def alert(alert_id: str, message: str = "Grid overvoltage", **fields: Any) -> dict[str, Any]:
    what = {"type": "MOCK_FAULT", "severity": "CRITICAL", "state": "NEW", "since": ago(hours=3)}
    return {"id": alert_id, **what, "message": message, **fields}


@pytest.fixture
def admin(cluster: ControlPlane) -> Path:
    return cluster.kubeconfig


@pytest.fixture
def viewer(cluster: ControlPlane) -> Path:
    return user_with(cluster, "ana-views", "solarinvest-plants-viewer")


@pytest.fixture
def editor(cluster: ControlPlane) -> Path:
    return user_with(cluster, "eva-edits", "solarinvest-plants-viewer", "solarinvest-plants-editor")


@pytest.fixture
def stranger(cluster: ControlPlane) -> Path:
    return user_with(cluster, "nobody-yet")


# top


def test_the_fleet_is_listed_worst_first(cluster: ControlPlane, viewer: Path) -> None:
    declare(cluster, "well", status=status("GREEN", "Reporting", display={"power": "4.20kW", "today": "14.3kWh"}))
    declare(cluster, "critical", status=status("RED", "CriticalAlert", openAlerts={"total": 3, "critical": 1, "high": 0, "acked": 1}))
    declare(cluster, "long-offline", namespace="kube-public", status=status("RED", "Offline", since=ago(days=5, hours=4, minutes=1)))
    declare(cluster, "unseen")
    listed = solar(viewer, "top", "-A")
    assert listed.returncode == 0
    lines = listed.stdout.splitlines()
    assert lines[0] == "4 plants: 2 RED, 0 YELLOW, 0 GREY, 1 without a status, 1 GREEN"
    assert [line.split()[:2] for line in lines[2:]] == [
        ["kube-public", "long-offline"],
        ["default", "critical"],
        ["default", "unseen"],
        ["default", "well"],
    ]
    assert lines[2].split() == ["kube-public", "long-offline", "SOLIS", "RED", "Offline", "5d4h", "-", "-", "-", "-", "-"]
    assert lines[3].split()[-2:] == ["3", "2"]
    assert "\x1b" not in listed.stdout
    one = solar(viewer, "top", "-n", "kube-public", "--no-headers", env={"FORCE_COLOR": "1"})
    assert one.stdout.split()[0] == "long-offline"
    assert "\x1b" not in one.stdout


def test_kubectl_finds_it_as_its_own_command(cluster: ControlPlane, admin: Path) -> None:
    declare(cluster, "well", status=status("GREEN", "Reporting"))
    environment = {**base_environment(), "KUBECONFIG": str(admin), "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [str(kubectl()), "solar", "top", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert [plant["name"] for plant in json.loads(done.stdout)] == ["well"]


def test_an_empty_fleet_is_no_error(cluster: ControlPlane, viewer: Path) -> None:
    assert solar(viewer, "top").stdout == "0 plants: 0 RED, 0 YELLOW, 0 GREY, 0 GREEN\n"
    assert json.loads(solar(viewer, "top", "-o", "json").stdout) == []


def test_a_reader_that_goes_away_is_no_error_worth_a_traceback(cluster: ControlPlane, admin: Path) -> None:
    declare(cluster, "well")
    environment = {**base_environment(), "KUBECONFIG": str(admin)}
    done = subprocess.run(["sh", "-c", f"{PROGRAM} top | true"], capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.stderr == ""


def test_a_fleet_larger_than_a_page_is_read_whole(cluster: ControlPlane, admin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"plant-{number}" for number in range(7)]
    for name in names:
        declare(cluster, name)
    monkeypatch.setattr(plants_module, "PAGE", 3)
    plants = Plants(connect(admin, None, None))
    assert [len(page.items) for page in plants.pages("default", None)] == [3, 3, 1]
    assert sorted(row.metadata.name for row in plants.read_all("default", None).items) == names


def test_the_live_table_outlives_an_api_server_that_goes_away(cluster: ControlPlane, viewer: Path) -> None:
    declare(cluster, "first", status=status("GREEN", "Reporting"))
    with Terminal(viewer, ["top", "--watch"]) as terminal:
        terminal.shows("1 GREEN", DRAWN_S)
        declare(cluster, "second", status=status("RED", "Offline"))
        assert "\x1b[1;31mRED" in terminal.shows("second", DRAWN_S)
        cluster.stop_apiserver()
        drawn = terminal.shows("API server away, this is how it was", DRAWN_S)
        assert "second" in drawn + terminal.shows("second", DRAWN_S), "what was known stays"
        cluster.start_apiserver()
        terminal.shows("live; Ctrl-C ends", DRAWN_S)
        cluster.request("DELETE", f"{PLANTS}/namespaces/default/plants/second")
        terminal.shows("1 plant:", DRAWN_S)
        assert terminal.interrupt() == 0
        assert "1 plant: 0 RED" in terminal.all_drawn().rpartition("\x1b[?1049l")[2], "what was seen last stays on the normal screen"


def test_the_live_table_begins_while_the_api_server_is_away(cluster: ControlPlane, viewer: Path) -> None:
    declare(cluster, "first")
    cluster.stop_apiserver()
    with Terminal(viewer, ["top", "--watch"]) as terminal:
        terminal.shows("nothing known yet", DRAWN_S)
        cluster.start_apiserver()
        terminal.shows("1 without a status", DRAWN_S)


def test_the_live_table_ends_where_waiting_is_of_no_use(stranger: Path) -> None:
    with Terminal(stranger, ["top", "--watch"]) as terminal:
        assert terminal.wait(DRAWN_S) == 4
        assert "may not list plants in namespace default" in terminal.all_drawn()


def test_the_live_table_needs_a_terminal(viewer: Path) -> None:
    done = solar(viewer, "top", "--watch")
    assert done.returncode == 2
    assert "terminal" in done.stderr


def test_a_shell_completes_commands_and_names_of_plants(cluster: ControlPlane, viewer: Path, stranger: Path) -> None:
    declare(cluster, "roof")
    declare(cluster, "rooftop", namespace="kube-public")
    declare(cluster, "shed")

    def completed(kubeconfig: Path, line: str) -> list[str]:
        words = line.split(" ")
        asked = {"_KUBECTL_SOLAR_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        done = solar(kubeconfig, env=asked)
        assert done.stderr == ""
        return done.stdout.split()

    assert completed(viewer, "kubectl-solar sus") == ["suspend"]
    assert completed(viewer, "kubectl-solar explain ro") == ["roof"]
    assert completed(viewer, "kubectl-solar explain -n kube-public ro") == ["rooftop"]
    assert completed(stranger, "kubectl-solar explain ro") == []


# explain


def test_a_plant_is_explained_with_its_own_events_and_without_what_a_terminal_obeys(cluster: ControlPlane, admin: Path) -> None:
    alert_id = str(uuid4())
    declare(
        cluster,
        "roof",
        status=status(
            "RED",
            "CriticalAlert",
            explain=["RED: an alert of severity CRITICAL is active."],
            openAlerts={"total": 1, "critical": 1, "high": 0, "acked": 0},
            alerts=[alert(alert_id, "over\x1b]0;owned\x07voltage\u202e")],
        ),
    )
    uid = resource(cluster, "roof")["metadata"]["uid"]
    for number, (of, reason) in enumerate(((uid, "HealthChanged"), (str(uuid4()), "OfAnotherRoof"))):
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"roof.{number}", "namespace": "default"},
            "involvedObject": {"apiVersion": "monitor.solarinvest.info/v1alpha1", "kind": "Plant", "name": "roof", "namespace": "default"},
            "type": "Warning",
            "reason": reason,
            "message": "from GREEN to RED",
            "lastTimestamp": ago(minutes=30),
        }
        event["involvedObject"]["uid"] = of  # type: ignore[index]  # a mapping in a mapping
        cluster.request("POST", "/api/v1/namespaces/default/events", event)
    told = solar(admin, "explain", "roof")
    assert told.returncode == 0
    assert "30m ago  HealthChanged: from GREEN to RED" in told.stdout
    assert "OfAnotherRoof" not in told.stdout
    assert 'CRITICAL NEW MOCK_FAULT for 3h: "over?]0;owned?voltage?"' in told.stdout
    assert f"kubectl solar ack roof -n default {alert_id}" in told.stdout
    (case,) = json.loads(solar(admin, "explain", "roof", "-o", "json").stdout)
    assert [event["reason"] for event in case["events"]] == ["HealthChanged"]
    cluster.request("DELETE", "/api/v1/namespaces/default/events")


# Rights


EDITS = [["ack", "roof", "--all"], ["poll", "roof"], ["silence", "roof", "--for", "4h"], ["suspend", "roof"], ["resume", "roof"]]


def test_a_viewer_reads_and_an_editor_edits(cluster: ControlPlane, viewer: Path, editor: Path, stranger: Path) -> None:
    declare(cluster, "roof", status=status("RED", "CriticalAlert", alerts=[alert(str(uuid4()))]))
    assert solar(viewer, "top").returncode == 0
    told = solar(viewer, "explain", "roof")
    assert told.returncode == 0
    assert "may not list events in namespace default" in told.stdout
    before = resource(cluster, "roof")["metadata"]["resourceVersion"]
    for edit in EDITS:
        refused = solar(viewer, *edit)
        assert refused.returncode == 4, edit
        assert 'user "system:serviceaccount:default:ana-views" may not patch plants in namespace default' in refused.stderr
        assert "solarinvest-plants-editor" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert resource(cluster, "roof")["metadata"]["resourceVersion"] == before
    for edit in EDITS:
        done = solar(editor, *edit)
        assert (done.returncode, done.stderr) == (0, ""), edit
    for command in (["top"], ["explain", "roof"], ["ack", "roof", "--all"]):
        nobody = solar(stranger, *command)
        assert nobody.returncode == 4
        assert "solarinvest-plants-viewer" in nobody.stderr


def test_a_token_that_the_api_server_does_not_know_is_said(cluster: ControlPlane, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    lines = cluster.kubeconfig.read_text().splitlines()
    spoilt.write_text("\n".join(f"{line}x" if line.strip().startswith("token:") else line for line in lines))
    refused = solar(spoilt, "top")
    assert refused.returncode == 4
    assert "does not accept your credentials (401)" in refused.stderr


# What is not there


def test_what_is_not_there_is_named(cluster: ControlPlane, editor: Path) -> None:
    declare(cluster, "roof")
    for command in (["explain", "shed"], ["ack", "shed", "--all"], ["poll", "shed", "--wait"], ["suspend", "shed"]):
        done = solar(editor, *command, "-n", "default")
        assert done.returncode == 3
        assert done.stderr == "Error: there is no plant shed in namespace default\n"
    unknown = str(uuid4())
    done = solar(editor, "ack", "roof", unknown)
    assert done.returncode == 3
    assert f"no active alert {unknown}" in done.stderr
    done = solar(editor, "suspend", "-l", "site=nowhere")
    assert done.returncode == 3
    assert "has the labels site=nowhere" in done.stderr


def test_a_cluster_without_the_chart_is_told_from_a_plant_that_is_not_there(cluster: ControlPlane, admin: Path) -> None:
    name = "plants.monitor.solarinvest.info"
    definition = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    cluster.request("DELETE", definition)
    try:
        cluster.kubectl("wait", "--for=delete", f"crd/{name}", "--timeout=30s")
        wait_until(lambda: solar(admin, "top").returncode == 3, DRAWN_S, "the API server to forget Plants")
        for command in (["top"], ["explain", "roof"], ["suspend", "roof"]):
            assert solar(admin, *command).stderr.splitlines() == [
                "Error: this cluster knows no plants (monitor.solarinvest.info/v1alpha1); is the chart solarinvest-monitor installed?"
            ]
    finally:
        cluster.apply(MANIFESTS / "crd")
        wait_until(lambda: solar(admin, "top").returncode == 0, DRAWN_S, "Plants to be served again")


def test_an_api_server_that_is_away_is_one_line(cluster: ControlPlane, admin: Path) -> None:
    cluster.stop_apiserver()
    for command in (["top"], ["ack", "roof", "--all"], ["poll", "roof"]):
        done = solar(admin, *command)
        assert done.returncode == 5
        assert done.stderr == f"Error: the API server at {cluster.url} is not reachable (Connection refused)\n"


def test_an_api_server_that_is_frozen_is_not_waited_for(cluster: ControlPlane, admin: Path) -> None:
    cluster.pause()
    done = solar(admin, "top")
    assert done.returncode == 5
    assert "does not answer" in done.stderr


def test_a_stranger_in_the_api_servers_place_is_not_believed(cluster: ControlPlane, tmp_path: Path) -> None:
    text = "\n".join(line for line in cluster.kubeconfig.read_text().splitlines() if "certificate-authority-data" not in line)
    (tmp_path / "untrusting").write_text(text)
    done = solar(tmp_path / "untrusting", "top")
    assert done.returncode == 5
    assert "no safe connection" in done.stderr
    assert "certificate verify failed" in done.stderr


# ack


def test_acknowledgements_of_several_people_at_once_are_all_kept(cluster: ControlPlane, editor: Path) -> None:
    ids = [str(uuid4()) for _ in range(8)]
    before = str(uuid4())
    alerts = [alert(alert_id) for alert_id in ids]
    declare(cluster, "roof", annotations={"monitor.solarinvest.info/ack": before}, status=status("RED", "CriticalAlert", alerts=alerts))

    def as_the_operator_does(number: int) -> None:
        patch = json.dumps({"status": {"consecutiveFailures": number}})
        cluster.kubectl("patch", "plant", "roof", "--subresource=status", "--type=merge", f"--patch={patch}")

    with ThreadPoolExecutor(12) as pool:
        writes = [pool.submit(as_the_operator_does, number) for number in range(20)]
        runs = [pool.submit(solar, editor, "ack", "roof", alert_id) for alert_id in ids]
        done = [run.result() for run in runs]
        for write in writes:
            write.result()
    assert [run.returncode for run in done] == [0] * len(ids), [run.stderr for run in done]
    acked = PlantResource.parse(resource(cluster, "roof"))
    assert str(acked.acked[0]) == before
    assert sorted(map(str, acked.acked[1:])) == sorted(ids)
    assert acked.acked_by == "kubectl-solar:system:serviceaccount:default:eva-edits"


def test_all_that_the_status_lists_are_acknowledged_and_what_it_does_not_list_is_said(cluster: ControlPlane, editor: Path) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    listed = [alert(ids[0]), alert(ids[1], state="ACKED"), alert(ids[2])]
    counts = {"total": 7, "critical": 3, "high": 0, "acked": 1}
    declare(cluster, "roof", status=status("RED", "CriticalAlert", alerts=listed, openAlerts=counts))
    (said,) = json.loads(solar(editor, "ack", "roof", "--all", "-o", "json").stdout)
    assert said["acknowledged"] == [ids[0], ids[2]]
    assert said["unlistedAlerts"] == 4
    assert annotation(cluster, "roof", "ack") == f"{ids[0]},{ids[2]}"
    again = solar(editor, "ack", "roof", ids[0])
    assert again.returncode == 0
    assert "acknowledged before" in again.stdout
    unlisted = str(uuid4())
    assert solar(editor, "ack", "roof", unlisted, "--force").returncode == 0
    assert annotation(cluster, "roof", "ack") == f"{ids[0]},{ids[2]},{unlisted}"


# silence, suspend, resume


def test_plants_are_silenced_and_suspended_by_name_or_by_label(cluster: ControlPlane, editor: Path) -> None:
    for name in ("north-1", "north-2", "south"):
        declare(cluster, name, labels={"site": name.partition("-")[0]})
    assert solar(editor, "suspend", "-l", "site=north").returncode == 0
    suspended = {name: resource(cluster, name)["spec"]["suspend"] for name in ("north-1", "north-2", "south")}
    assert suspended == {"north-1": True, "north-2": True, "south": False}
    assert solar(editor, "resume", "north-1", "north-2").returncode == 0
    assert not resource(cluster, "north-2")["spec"]["suspend"]

    (said,) = json.loads(solar(editor, "silence", "south", "--for", "1h30m", "-o", "json").stdout)
    silenced = PlantResource.parse(resource(cluster, "south"))
    assert silenced.silence_until is not None
    assert not silenced.ignored
    assert said["silencedUntil"] == annotation(cluster, "south", "silence-until")
    assert timedelta(minutes=88) < silenced.silence_until - datetime.now(UTC) <= timedelta(minutes=90)
    assert solar(editor, "silence", "south", "--off").stdout == "default/south: no longer silenced\n"
    assert annotation(cluster, "south", "silence-until") is None


def test_one_plant_that_fails_stops_none_of_the_others(cluster: ControlPlane, editor: Path) -> None:
    declare(cluster, "roof")
    done = solar(editor, "suspend", "shed", "roof", "-o", "json")
    assert done.returncode == 3
    failed, suspended = json.loads(done.stdout)
    assert failed["error"] == "there is no plant shed in namespace default"
    assert suspended == {"namespace": "default", "name": "roof", "suspended": True}


def test_a_selector_that_the_api_server_cannot_read_is_refused_in_its_words(cluster: ControlPlane, editor: Path) -> None:
    done = solar(editor, "suspend", "-l", "!!")
    assert done.returncode == 1
    assert "unable to parse requirement" in done.stderr
