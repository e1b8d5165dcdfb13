"""docker, kind, helm and kubectl: on the PATH, or brought by a script that prints the settings to use. Called by the run."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hack.devstack.binaries import kubectl

NEEDED = ("docker", "kind", "helm", "kubectl")
KIND_UP = Path("../shared/kind/up")
KIND_UP_SECONDS = 3600
"""It may compile Kubernetes, once."""
DOCKER_SECONDS = 30


class ToolsMissing(Exception):
    """The tests in a cluster cannot run here; the message says why."""


def environment(root: Path) -> dict[str, str]:
    """The environment in which all four tools work. Where some do not, the script $KIND_UP is asked first. Raises `ToolsMissing`."""
    env = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    missing = _missing(env)
    script = root / (env.get("KIND_UP") or KIND_UP)
    if missing and script.is_file():
        env |= _exported_by(script, env)
        missing = _missing(env)
    if missing == ["kubectl"]:
        env["PATH"] = f"{kubectl().parent}{os.pathsep}{env['PATH']}"
        missing = _missing(env)
    if missing:
        raise ToolsMissing(f"{', '.join(missing)} not found or not running")
    return env


def _missing(env: Mapping[str, str]) -> list[str]:
    missing = [tool for tool in NEEDED if shutil.which(tool, path=env["PATH"]) is None]
    return missing if "docker" in missing or _docker_runs(env) else ["the docker daemon", *missing]


def _docker_runs(env: Mapping[str, str]) -> bool:
    command = ["docker", "version", "--format={{.Server.Version}}"]
    try:
        return subprocess.run(command, env=env, capture_output=True, timeout=DOCKER_SECONDS, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _exported_by(script: Path, env: Mapping[str, str]) -> dict[str, str]:
    """What a shell has in its environment after `eval "$(script)"`."""
    print(f"asking {script.name} for docker, kind, helm and kubectl", flush=True)
    command = ["bash", "-euc", 'eval "$("$0")"; env -0', str(script)]
    try:
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, timeout=KIND_UP_SECONDS, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ToolsMissing(f"{script.name} failed: {error}") from error
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
