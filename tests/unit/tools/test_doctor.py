"""The doctor without servers: what it makes of what servers say, and how it prints it."""

import io
import json
import threading
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from controller.operator import rights
from controller.queueing import health as queue_health
from controller.queueing.health import QueueHealth
from controller.storage import health as database_health
from controller.storage.health import DatabaseHealth
from controller.tools.doctor import Finding, Report, State, Subject, examine, print_json, print_report
from integrations.contract import Brand
from integrations.transport import default_fixtures

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests"
DATABASE = DatabaseHealth("18.0", 18, False, False, 0.0, 0.001, "0004", "0004", {"operator": (), "worker": ()})
QUEUE = QueueHealth("Valkey", "9.1", False, False, "noeviction", None, 0.0, 0.001, "open", {"queue:poll:solis": 3}, {}, [])


def subject(**fields: object) -> Subject:
    return Subject(**{"version": "1.2.3", "fixtures": default_fixtures(), "is_in_mock_mode": True, **fields})  # type: ignore[arg-type]


def states(report: Report) -> dict[str, State]:
    return {finding.check: finding.state for finding in report.checks}


@pytest.fixture
def of_servers(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the servers say: put another answer, or an exception, in its place."""
    answers: dict[str, object] = {"database": DATABASE, "queue server": QUEUE}

    def say(name: str) -> object:
        said = answers[name]
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(database_health, "examine", lambda _: say("database"))
    monkeypatch.setattr(queue_health, "examine", lambda _: say("queue server"))
    return answers


BOTH = {"database_url": SecretStr("postgresql://u:hunter2@db/solar"), "redis_url": SecretStr("redis://:hunter3@queue")}


def test_what_is_not_configured_is_skipped_with_the_reason_and_fails_nothing() -> None:
    report = examine(subject())
    skipped = {finding.check: finding.said for finding in report.checks if finding.state is State.SKIPPED}
    assert report.ok
    assert skipped.keys() == {"database", "queue server", "kubernetes"}
    assert ("DATABASE_URL" in skipped["database"], "REDIS_URL" in skipped["queue server"]) == (True, True)
    assert "KUBECONFIG" in skipped["kubernetes"]


@pytest.mark.usefixtures("of_servers")
def test_two_servers_that_are_well_are_ok() -> None:
    assert {state for check, state in states(examine(subject(**BOTH))).items() if check != "kubernetes"} == {State.OK}


@pytest.mark.parametrize(
    ("field", "value", "check", "state"),
    [
        ("major", 14, "database", State.FAILED),
        ("is_standby", True, "database", State.FAILED),
        ("clock_ahead_s", 0.9, "clock of the database", State.OK),
        ("clock_ahead_s", -2.0, "clock of the database", State.WARNING),
        ("clock_ahead_s", 60.0, "clock of the database", State.FAILED),
        ("revision", None, "migrations", State.FAILED),
        ("revision", "0003", "migrations", State.FAILED),
        ("revision", "0005", "migrations", State.OK),
        ("missing", {"operator": ("CREATE on the schema",), "worker": ()}, "database rights", State.WARNING),
        ("missing", {"operator": ("CREATE on the schema",), "worker": ("SELECT on plants",)}, "database rights", State.FAILED),
    ],
)
def test_each_fault_of_the_database_is_told(of_servers: dict[str, object], field: str, value: object, check: str, state: State) -> None:
    of_servers["database"] = DatabaseHealth(**{**{name: getattr(DATABASE, name) for name in DATABASE.__struct_fields__}, field: value})
    assert states(examine(subject(**BOTH)))[check] is state


@pytest.mark.parametrize(
    ("field", "value", "check", "state"),
    [
        ("version", "7.2.4", "queue server", State.FAILED),
        ("is_replica", True, "queue server", State.FAILED),
        ("is_cluster", True, "queue server", State.FAILED),
        ("eviction", "volatile-lru", "queue memory", State.FAILED),
        ("memory_share", 0.5, "queue memory", State.OK),
        ("memory_share", 0.9, "queue memory", State.WARNING),
        ("clock_ahead_s", -60.0, "clock of the queue server", State.FAILED),
        ("epoch", "missing", "queue epoch", State.WARNING),
        ("epoch", "foreign", "queue epoch", State.WARNING),
        ("wrong_types", {"waiting:solis": "string"}, "queue names", State.FAILED),
    ],
)
def test_each_fault_of_the_queue_server_is_told(of_servers: dict[str, object], field: str, value: object, check: str, state: State) -> None:
    of_servers["queue server"] = QueueHealth(**{**{name: getattr(QUEUE, name) for name in QUEUE.__struct_fields__}, field: value})
    assert states(examine(subject(**BOTH)))[check] is state


def test_a_slow_way_to_a_server_is_no_wrong_clock(of_servers: dict[str, object]) -> None:
    values = {name: getattr(QUEUE, name) for name in QUEUE.__struct_fields__}
    of_servers["queue server"] = QueueHealth(**{**values, "clock_ahead_s": 1.9, "took_s": 2.0})
    assert states(examine(subject(**BOTH)))["clock of the queue server"] is State.OK


def test_a_check_that_breaks_is_a_finding_without_secrets_and_hides_no_other(of_servers: dict[str, object]) -> None:
    of_servers["database"] = RuntimeError("with hunter2 and \x1b[31m")
    report = examine(subject(**BOTH))
    (finding,) = [finding for finding in report.checks if finding.check == "database"]
    assert (finding.state, "hunter2" in finding.said) == (State.FAILED, False)
    assert finding.said.isprintable()
    assert states(report)["queue server"] is State.OK


def test_a_check_that_never_ends_costs_no_more_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(queue_health, "examine", lambda _: ended.wait(60))
    report = examine(subject(**BOTH), within_s=0.1)
    ended.set()
    assert [finding.said for finding in report.checks if finding.check == "queue server"] == ["no answer within 0.1 s"]


def test_wrong_settings_and_misspelt_ones_are_told() -> None:
    report = examine(subject(wrong_settings=["METRICS_PORT is 'x'"], misspelt={"LOGLEVEL": "LOG_LEVEL"}, is_in_mock_mode=False))
    told = [(finding.state, finding.said) for finding in report.checks if finding.check == "settings"]
    assert not report.ok
    assert [state for state, _ in told] == [State.FAILED, State.WARNING, State.WARNING]
    assert ("METRICS_PORT" in told[0][1], "LOGLEVEL" in told[1][1], "INTEGRATION_MOCK_MODE" in told[2][1]) == (True, True, True)


# Fixtures


def test_a_folder_that_is_not_there_fails(tmp_path: Path) -> None:
    assert states(examine(subject(fixtures=tmp_path / "absent")))["fixtures"] is State.FAILED


def test_a_brand_without_the_recording_that_all_play_fails(tmp_path: Path) -> None:
    said = [finding.said for finding in examine(subject(fixtures=tmp_path)).checks if finding.state is State.FAILED]
    assert [line.partition(" ")[0] for line in said] == [brand.slug for brand in Brand]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"brand":"SOLIS"}', b"\xff", b"9" * 5000], ids=repr)
def test_a_broken_recording_is_told_by_its_name(tmp_path: Path, content: bytes) -> None:
    for brand in Brand:
        (tmp_path / brand.slug).mkdir()
        (tmp_path / brand.slug / "healthy.json").write_bytes((Path(str(default_fixtures())) / brand.slug / "healthy.json").read_bytes())
    (tmp_path / "dele" / "mine.json").write_bytes(content)
    (failed,) = [finding for finding in examine(subject(fixtures=tmp_path)).checks if finding.state is State.FAILED]
    assert failed.said.startswith("dele/mine.json: ")


# Printing

REPORT = Report(False, "1.2.3", [Finding("one", State.OK, "well"), Finding("another", State.FAILED, "[red]not[/red] well", "mend it")])


def test_plain_lines_are_aligned_and_say_what_to_do() -> None:
    out = io.StringIO()
    print_report(REPORT, out)
    assert out.getvalue().splitlines() == [
        "ok       one      well",
        "failed   another  [red]not[/red] well",
        "                  > mend it",
        "failed: 1 ok, 1 failed (solarinvest 1.2.3)",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_is_a_table_that_takes_no_orders_from_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    print_report(REPORT, out)
    assert "[red]not[/red] well" in out.getvalue()
    assert "\x1b[" in out.getvalue()


def test_without_colours_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    print_report(REPORT, out)
    assert "\x1b[3" not in out.getvalue()


def test_as_json_it_is_one_object() -> None:
    out = io.StringIO()
    print_json(REPORT, out)
    assert json.loads(out.getvalue()) == {
        "ok": False,
        "version": "1.2.3",
        "checks": [
            {"check": "one", "state": "ok", "said": "well"},
            {"check": "another", "state": "failed", "said": "[red]not[/red] well", "advice": "mend it"},
        ],
    }


def test_the_rights_asked_for_are_those_that_the_manifest_gives() -> None:
    documents = list(yaml.safe_load_all((MANIFESTS / "rbac" / "operator.yaml").read_text()))
    (role,) = [document for document in documents if document["kind"] == "ClusterRole"]
    given = {
        rights.Right(verb, group, resource)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert set(rights.NEEDED) == given
