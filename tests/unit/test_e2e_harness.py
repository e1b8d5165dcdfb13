"""What the end-to-end run decides before it touches a cluster: whose it is, which commands README has, which tools there are."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.e2e.cluster import Cluster, ForeignClusterError, own_context
from hack.e2e.install import commands
from hack.e2e.tools import ToolsMissing, environment

ROOT = Path(__file__).resolve().parents[2]
OWN = "kind-solarinvest-e2e-0a1b2c"


def kubeconfig(folder: Path, *, name: str = OWN, server: str = "https://127.0.0.1:6443", more: dict[str, Any] | None = None) -> Path:
    content = {
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {}}],
        "current-context": name,
        **(more or {}),
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(content))
    return folder / "kubeconfig"


def test_a_cluster_of_a_run_is_our_own(tmp_path: Path) -> None:
    assert own_context(kubeconfig(tmp_path)) == OWN
    assert Cluster(kubeconfig(tmp_path)).name == OWN.removeprefix("kind-")


@pytest.mark.parametrize(
    "name", ["production", "kind-kind", "kind-solarinvest-e2e-", "kind-solarinvest-e2e-0a1b2c-x", "x-kind-solarinvest-e2e-0a1b2c"]
)
def test_a_context_of_another_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ForeignClusterError, match="nothing was done"):
        Cluster(kubeconfig(tmp_path, name=name))


def test_our_name_on_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignClusterError, match="nothing was done"):
        Cluster(kubeconfig(tmp_path, server="https://cluster.example.test:6443"))


def test_a_kubeconfig_with_another_cluster_beside_ours_is_refused(tmp_path: Path) -> None:
    both = [{"name": OWN, "context": {"cluster": OWN, "user": OWN}}, {"name": "production", "context": {"cluster": "p", "user": "p"}}]
    with pytest.raises(ForeignClusterError, match="nothing was done"):
        Cluster(kubeconfig(tmp_path, more={"contexts": both}))


def test_a_current_context_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignClusterError, match="nothing was done"):
        Cluster(kubeconfig(tmp_path, more={"current-context": "production"}))


@pytest.mark.parametrize("text", ["", "[]", "{", "contexts: 3"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(ForeignClusterError, match="nothing was done"):
        Cluster(tmp_path / "kubeconfig")


def test_a_kubeconfig_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignClusterError, match="nothing was done"):
        Cluster(tmp_path / "kubeconfig")


def test_the_readme_installs_the_chart_and_declares_plants() -> None:
    found = commands(ROOT / "README.md")
    assert [command.split()[:2] for command in found] == [["helm", "install"], ["kubectl", "apply"]]
    assert "--set postgres.demo.enabled=true" in found[0]


def test_commands_that_go_on_for_ever_and_those_that_make_the_cluster_are_left_out(tmp_path: Path) -> None:
    block = "kind create cluster\nhelm install x \\\n  y   # now\nkubectl get plants -w\n"
    page = f"# X\n\n## In a cluster\n\n```\n{block}```\n\n## Next\n\n```\nhelm delete x\n```\n"
    (tmp_path / "README.md").write_text(page)
    assert commands(tmp_path / "README.md") == ["helm install x y"]


@pytest.mark.parametrize("page", ["# X\n", "## In a cluster\n\nno code\n", "## In a cluster\n\n```\nkubectl get plants\n```\n"])
def test_a_readme_that_does_not_install_is_told(tmp_path: Path, page: str) -> None:
    (tmp_path / "README.md").write_text(page)
    with pytest.raises(ValueError, match=r"README\.md"):
        commands(tmp_path / "README.md")


def test_missing_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KIND_UP", "not-there")
    with pytest.raises(ToolsMissing, match="docker, kind, helm, kubectl"):
        environment(tmp_path)


def test_the_script_that_brings_the_tools_is_asked_and_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("docker", "kind", "helm", "kubectl"):
        (tools / tool).write_text("#!/bin/sh\n")
        (tools / tool).chmod(0o755)
    (tmp_path / "up").write_text(f"#!/bin/sh\necho 'export PATH={tools}:$PATH KIND_NODE_IMAGE=a-node:v1'\n")
    (tmp_path / "up").chmod(0o755)
    monkeypatch.setenv("KIND_UP", "up")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = environment(tmp_path)
    assert found["KIND_NODE_IMAGE"] == "a-node:v1"
    assert found["PATH"].startswith(str(tools))
