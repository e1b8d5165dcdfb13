import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from controller.kubectl_plugin import main as entry
from controller.kubectl_plugin.connect import Cluster
from controller.kubectl_plugin.main import app
from controller.kubectl_plugin.troubles import Exit

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "kubectl-solar.md").read_text()
COMMANDS = {command.name or (command.callback and command.callback.__name__) for command in app.registered_commands}


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kubeconfig of a cluster that must not be asked."""
    content = {
        "clusters": [{"name": "a", "cluster": {"server": "https://nowhere.invalid"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a"}}],
        "current-context": "a",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    def asked(*_: Any) -> bytes:
        raise AssertionError("the API server was asked")

    monkeypatch.setattr(Cluster, "ask", asked)
    monkeypatch.setattr(Cluster, "lines", asked)


@pytest.mark.parametrize(
    "arguments",
    [
        ["suspend"],
        ["suspend", "roof", "-l", "a=b"],
        ["explain"],
        ["silence", "roof"],
        ["silence", "roof", "--for", "4h", "--off"],
        ["silence", "roof", "--for", "4h", "--until", "2100-01-01T00:00:00Z"],
        ["silence", "roof", "--for", "4 hours"],
        ["silence", "roof", "--until", "2020-01-01T00:00:00Z"],
        ["ack"],
        ["ack", "roof"],
        ["ack", "roof", "13d0", "--all"],
        ["poll", "roof", "--wait", "--timeout", "soon"],
        ["top", "-o", "yaml"],
        ["top", "--watch"],
        ["top", "--kubeconfig", "nowhere"],
        ["top", "--context", "nowhere"],
        ["top", "roof"],
        ["nap"],
    ],
)
def test_what_means_nothing_is_refused_before_anybody_is_asked(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == Exit.USAGE, done.output
    assert done.stderr
    assert not done.stdout


def test_the_help_needs_no_cluster_and_names_every_command() -> None:
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    for name in COMMANDS:
        assert name is not None
        assert f" {name} " in done.stdout
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_the_page_names_every_command_and_every_exit_code() -> None:
    for name in COMMANDS:
        assert f"`{name}" in PAGE, name
    for code in Exit:
        assert f"| {code.value} |" in PAGE, code


def test_the_page_names_every_option() -> None:
    options = {
        option
        for name in COMMANDS
        for word in CliRunner().invoke(app, [str(name), "--help"]).stdout.split()
        if (option := word.strip(",.│")).startswith("--") and len(option) > 2 and option != "--help"
    }
    assert {"--wait", "--all-namespaces", "--selector"} <= options
    assert {option for option in options if option not in PAGE} == set()


def test_help_is_read_by_people_and_completion_by_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    # main() keeps it from being imported; other tests of this process need it.
    monkeypatch.setitem(sys.modules, "kubernetes_validate", None)
    monkeypatch.setattr(entry, "app", lambda prog_name: names.append(prog_name))
    for arguments in (["top"], ["--show-completion", "bash"]):
        monkeypatch.setattr("sys.argv", ["kubectl-solar", *arguments])
        entry.main()
    assert names == ["kubectl solar", "kubectl-solar"]
