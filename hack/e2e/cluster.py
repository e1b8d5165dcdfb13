"""A kind cluster of one run, and the only way to it. Called by the run and by tests/e2e.

Every command names the kubeconfig file and the context, and `Cluster` refuses a file that leads anywhere but to a cluster which a run
made: a test that deletes things must not do so in somebody's production.
"""

import json
import os
import re
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from hack.devstack.ports import free_port
from hack.devstack.waiting import wait_until

PREFIX = "solarinvest-e2e-"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
CREATE_SECONDS = 420
LOAD_SECONDS = 300
DELETE_SECONDS = 120
COMMAND_SECONDS = 60
FORWARD_SECONDS = 30


class ForeignClusterError(Exception):
    """A kubeconfig leads to a cluster that no run of ours made; nothing was done there."""


class CommandError(Exception):
    """A command failed or did not end in time; the message has it and what it wrote."""


class Cluster:
    """One cluster by its kubeconfig file."""

    def __init__(self, kubeconfig: Path, env: Mapping[str, str] | None = None) -> None:
        """`env` has the tools on its PATH; default: ours. Raises `ForeignClusterError`."""
        self.kubeconfig = kubeconfig
        self.context = own_context(kubeconfig)
        self.name = self.context.removeprefix("kind-")
        self.env = {**(os.environ if env is None else env), "KUBECONFIG": str(kubeconfig)}

    def kubectl(self, *arguments: str, stdin: str | None = None, bound_seconds: float = COMMAND_SECONDS) -> str:
        """What it prints. Raises `CommandError`."""
        return self.run("kubectl", f"--context={self.context}", *arguments, stdin=stdin, bound_seconds=bound_seconds)

    def helm(self, *arguments: str, bound_seconds: float = 2 * COMMAND_SECONDS) -> str:
        """What it prints. Raises `CommandError`."""
        return self.run("helm", f"--kube-context={self.context}", *arguments, bound_seconds=bound_seconds)

    def run(self, *command: str, stdin: str | None = None, bound_seconds: float = COMMAND_SECONDS) -> str:
        """What any command prints that finds the cluster by KUBECONFIG. Raises `CommandError`."""
        return run(*command, env=self.env, stdin=stdin, bound_seconds=bound_seconds)

    def get(self, *what: str) -> dict[str, Any]:
        """`kubectl get WHAT` as JSON. Raises `CommandError`."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *what, "--output=json"))
        return found

    def items(self, *what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(*what)["items"]
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    @contextmanager
    def forward(self, namespace: str, target: str, port: int | str) -> Iterator[int]:
        """A port of 127.0.0.1 that leads to `target` (as in `service/x`). Raises `WaitTimeoutError`, or `CommandError` if it ends."""
        local = free_port()
        command = ("kubectl", f"--context={self.context}", "port-forward", f"--namespace={namespace}", "--address=127.0.0.1", target)
        with subprocess.Popen([*command, f"{local}:{port}"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: _listens(process, local), FORWARD_SECONDS, f"a way to {target}")
                yield local
            finally:
                process.terminate()


def create(folder: Path, env: Mapping[str, str]) -> Cluster:
    """A new cluster with a name of its own; its kubeconfig is a file in `folder`, never the user's. Raises `CommandError`.

    KIND_NODE_IMAGE names another node image than kind's own. What a failed start leaves, `delete` takes away.
    """
    name = PREFIX + secrets.token_hex(3)
    kubeconfig = folder / "kubeconfig"
    (folder / "name").write_text(name)
    image = [f"--image={env['KIND_NODE_IMAGE']}"] if env.get("KIND_NODE_IMAGE") else []
    command = ("kind", "create", "cluster", f"--name={name}", f"--kubeconfig={kubeconfig}", "--wait=180s", *image)
    run(*command, env=env, bound_seconds=CREATE_SECONDS)
    return Cluster(kubeconfig, env)


def delete(folder: Path, env: Mapping[str, str]) -> None:
    """Takes away the cluster that `create` made, or began to make, with this folder. Raises `CommandError`."""
    name = (folder / "name").read_text()
    # In a session of its own: a second Ctrl-C must not stop the cleaning up.
    run("kind", "delete", "cluster", f"--name={name}", f"--kubeconfig={folder / 'kubeconfig'}", env=env, bound_seconds=DELETE_SECONDS)


def load(cluster: Cluster, *images: str) -> None:
    """Puts images of this machine into the cluster. Raises `CommandError`."""
    cluster.run("kind", "load", "docker-image", f"--name={cluster.name}", *images, bound_seconds=LOAD_SECONDS)


def own_context(kubeconfig: Path) -> str:
    """The context of a kubeconfig that a run of ours wrote. Raises `ForeignClusterError` for any other, also for one with more in it."""
    try:
        content = yaml.safe_load(kubeconfig.read_text())
        [context], [server] = content["contexts"], content["clusters"]
        names = {content["current-context"], context["name"], context["context"]["cluster"], server["name"]}
        host = urlsplit(server["cluster"]["server"]).hostname
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError) as error:
        raise ForeignClusterError(f"{kubeconfig} is not the kubeconfig of a run of ours ({error!r}); nothing was done") from error
    if len(names) != 1 or not re.fullmatch(f"kind-{PREFIX}[0-9a-f]{{6}}", context["name"]) or host not in LOOPBACK:
        raise ForeignClusterError(f"context {context['name']} at {host} is not a cluster that a run of ours made; nothing was done")
    return str(context["name"])


def run(*command: str, env: Mapping[str, str], stdin: str | None = None, bound_seconds: float = COMMAND_SECONDS) -> str:
    """What a command prints. Raises `CommandError`."""
    shown = " ".join(command)[:300]
    try:
        done = subprocess.run(
            command, env=env, input=stdin, capture_output=True, text=True, timeout=bound_seconds, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{shown}\ndid not end within {bound_seconds:g} s") from error
    if done.returncode != 0:
        raise CommandError(f"{shown}\nended with exit code {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    if process.poll() is not None:
        raise CommandError(f"{process.args!r}\nended with exit code {process.returncode}")
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
