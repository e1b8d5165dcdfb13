"""What the commands say of themselves, and what they refuse before they begin."""

import json
import os
import re
import socket
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
import structlog
import typer
from pydantic import SecretStr
from typer.core import TyperGroup
from typer.testing import CliRunner

from controller import cli
from controller.cli import EXITS, WorkerBrand, _start_probes, app, main
from controller.logs import Redaction
from controller.metrics import Metrics, ProcessRole
from controller.operator.kubernetes_api import KubernetesRefused, load_configuration
from controller.probes import Progress
from controller.settings import CommonSettings, ConfigurationError, read
from hack import cli_page
from integrations.contract import Brand

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.mark.rule("D8.2")
@pytest.mark.parametrize("value", [None, "false", "0", "1", "yes", "perhaps", ""])
def test_a_worker_refuses_to_start_unless_in_mock_mode(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:password@localhost/solar")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.delenv("INTEGRATION_MOCK_MODE", raising=False)
    if value is not None:
        monkeypatch.setenv("INTEGRATION_MOCK_MODE", value)
    result = CliRunner().invoke(app, ["worker", "--brand", "solis"])
    assert isinstance(result.exception, ConfigurationError)
    assert "INTEGRATION_MOCK_MODE" in str(result.exception)


def test_brands_on_the_command_line_are_all_brands() -> None:
    assert [brand.value for brand in WorkerBrand] == [brand.slug for brand in Brand]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(("--timezone", "Mars/Olympus"), "Mars/Olympus"), (("--now", "noon"), "noon"), (("--http-status", "9"), "--http-status")],
)
def test_a_wrong_argument_of_normalise_is_named(wrong: tuple[str, str], said: str) -> None:
    result = CliRunner().invoke(app, ["normalise", "--brand", "SOLIS", "--path", "/v1/api/stationDetail", *wrong, "-"], input="{}")
    assert result.exit_code == 2
    assert said in result.output


def test_normalise_prints_one_json_object() -> None:
    result = CliRunner().invoke(app, ["normalise", "--brand", "DELE", "--path", "/station/latest", "-"], input="no JSON")
    assert result.exit_code == 0
    assert json.loads(result.output)["error"] == "INVALID_DATA_FORMAT"


# Help, version, completion


GROUP = typer.main.get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"{metadata.version('solarinvest-monitor')}\n"


def test_help_names_every_command_with_a_line_that_is_not_cut_off() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    for name, command in COMMANDS.items():
        assert f"{name} {command.short_help}" in shown
    assert "..." not in shown.partition("Commands:")[2].partition("Examples:")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_stay_as_they_are(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    _, found, examples = result.output.partition("Examples:\n")
    assert (result.exit_code, found) == (0, "Examples:\n")
    assert all(line.startswith("    ") for line in examples.splitlines())
    assert name in examples
    assert result.output.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name: str) -> None:
    assert [parameter.name for parameter in COMMANDS[name].params if not getattr(parameter, "help", "")] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_options_that_exist(name: str) -> None:
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    lines = [line for line in (COMMANDS[name].epilog or "").splitlines() if f"solarinvest {name}" in line]
    used = {option for line in lines for option in re.findall(r"--[a-z-]+", line.partition(f"solarinvest {name}")[2].partition("|")[0])}
    assert lines
    assert used <= known


@pytest.mark.parametrize(("words", "offered"), [("solarinvest do", {"doctor"}), ("solarinvest worker --brand ", set(WorkerBrand))])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_values(shell: str, words: str, offered: set[str]) -> None:
    env = {
        "_SOLARINVEST_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    shown = CliRunner().invoke(app, [], env=env, prog_name="solarinvest").output
    assert offered <= set(re.findall(r"[a-z-]+", shown))
    assert "operator" not in shown


def test_without_a_command_it_helps_and_says_that_it_did_nothing() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "Commands:" in result.output


# The page


def test_the_page_is_what_the_commands_say() -> None:
    assert (DOCS / "cli.md").read_text() == cli_page.page(), "run: make generate"


def test_the_page_has_every_command_and_every_exit_code() -> None:
    page = (DOCS / "cli.md").read_text()
    assert re.findall(r"^## solarinvest (\w+)$", page, re.MULTILINE) == list(COMMANDS)
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == list(EXITS)


def test_every_exit_code_of_the_product_is_explained() -> None:
    named = re.compile(r"^_?EXIT_\w+ = (\d+)", re.MULTILINE)
    # Another command has a page of its own, and production has no failpoints.
    sources = [path for path in (ROOT / "controller").rglob("*.py") if "kubectl_plugin" not in path.parts and path.stem != "failpoints"]
    assert {int(code) for path in sources for code in named.findall(path.read_text())} <= EXITS.keys()


@pytest.mark.parametrize(
    ("command", "read", "not_read"),
    [
        ("operator", {"KUBECONFIG", "REDIS_URL", "LIMIT_SOLIS_CONCURRENCY"}, {"JWT_SECRET", "INTEGRATION_MOCK_MODE"}),
        ("worker", {"INTEGRATION_MOCK_MODE", "LIMIT_DELE_CONCURRENCY", "DATABASE_URL"}, {"JWT_SECRET", "KUBECONFIG", "API_PORT"}),
        ("api", {"JWT_SECRET", "JWT_SECRET_PREVIOUS", "API_PORT"}, {"KUBECONFIG", "INTEGRATION_MOCK_MODE"}),
        ("token", {"JWT_SECRET"}, {"DATABASE_URL", "LOG_LEVEL"}),
        ("replay", set(), {"LOG_LEVEL", "DATABASE_URL"}),
    ],
)
def test_the_page_knows_which_variables_a_command_reads(command: str, read: set[str], not_read: set[str]) -> None:
    found = set(cli_page.variables(command))
    assert read <= found
    assert not found & not_read


# What goes wrong before anything runs


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["solarinvest", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_wrong_setting_ends_with_78_and_names_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("METRICS_PORT", "postgresql://u:hunter2@h/d")
    assert run_main(monkeypatch, "operator") == 78
    assert capsys.readouterr().err == (
        "solarinvest: configuration error\nMETRICS_PORT is 'postgresql://u:[redacted]@h/d': allowed is a whole number from 0 to 65535\n"
    )


def test_a_port_that_is_taken_is_told_with_the_variables_that_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("METRICS_PORT", str(taken.getsockname()[1]))
        common = read(CommonSettings)
        with pytest.raises(ConfigurationError, match=r"METRICS_HOST is '127.0.0.1' and METRICS_PORT \d+: cannot listen there"):
            _start_probes(common, Metrics(ProcessRole.API), Progress())


@pytest.mark.parametrize("content", [b"", b"[1]", b"text hunter2", b"\x00\xff", b"users: [{user: {token: hunter2}\n :::", b"contexts: 5"])
def test_a_file_that_is_no_kubeconfig_is_told_without_what_is_in_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config").write_bytes(content)
    with pytest.raises(KubernetesRefused) as caught:
        load_configuration(tmp_path / "config")
    assert str(tmp_path / "config") in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_variable_that_looks_misspelt_is_a_warning_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "configure", lambda *_: Redaction())
    monkeypatch.setenv("LIMIT_SOLIS_CONCURENCY", "3")
    with structlog.testing.capture_logs() as told:
        cli._begin_logging(read(CommonSettings))
    assert {
        "event": "variable_unknown",
        "name": "LIMIT_SOLIS_CONCURENCY",
        "nearest": "LIMIT_SOLIS_CONCURRENCY",
        "log_level": "warning",
    } in told


SECRETS = {
    "DATABASE_URL": "postgresql://u:canary-of-the-database@h/d",
    "REDIS_URL": "redis://:canary-of-the-queue@h",
    "JWT_SECRET": "canary-that-signs-tokens-today-and-on",
    "JWT_SECRET_PREVIOUS": "canary-that-signed-tokens-until-today",
}


class Stop(Exception):
    """Far enough."""


@pytest.mark.parametrize("command", ["operator", "worker", "api", "migrate"])
def test_a_role_tells_logging_of_every_secret_that_it_reads(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    read, told = set(cli_page.variables(command)), set[str]()

    def configure(_: str, secrets: Iterable[SecretStr]) -> Redaction:
        told.update(secret.get_secret_value() for secret in secrets)
        raise Stop

    monkeypatch.setattr(cli, "configure", configure)
    for name, value in {**SECRETS, "INTEGRATION_MOCK_MODE": "true"}.items():
        monkeypatch.setenv(name, value)
    options = ["--brand", "solis"] if command == "worker" else []
    assert isinstance(CliRunner().invoke(app, [command, *options]).exception, Stop)
    assert told == {SECRETS[name] for name in SECRETS if name in read}


def test_the_doctors_exit_code_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith(("DATABASE_", "REDIS_", "KUBECONFIG", "INTEGRATION_")):
            monkeypatch.delenv(name)
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1:1/d")
    result = CliRunner().invoke(app, ["doctor", "--output", "json"])
    assert (result.exit_code, json.loads(result.output)["ok"]) == (1, False)
