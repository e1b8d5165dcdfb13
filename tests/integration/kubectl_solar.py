"""`kubectl-solar` as a process: in a pipe, and on a terminal of its own."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hack.devstack.control_plane import ControlPlane
from hack.devstack.program import base_environment
from tests.stack import PLANTS, wait_until

PROGRAM = Path(sys.executable).parent / "kubectl-solar"
RUN_S = 90.0
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def solar(kubeconfig: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs it to its end, piped. Whatever it meets, it must say so in words."""
    environment = {**base_environment(), "KUBECONFIG": str(kubeconfig), **(env or {})}
    done = subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, timeout=RUN_S, check=False, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def declare(cluster: ControlPlane, name: str, namespace: str = "default", **fields: Any) -> None:
    """A Plant; `fields` are `labels`, `annotations`, `spec` and `status` (as only the operator may write it)."""
    metadata: dict[str, Any] = {"name": name, **{key: fields[key] for key in ("labels", "annotations") if key in fields}}
    spec = {"brand": "SOLIS", "vendorPlantId": name, **fields.get("spec", {})}
    body = {"apiVersion": "monitor.solarinvest.info/v1alpha1", "kind": "Plant", "metadata": metadata, "spec": spec}
    created = cluster.request("POST", f"{PLANTS}/namespaces/{namespace}/plants", body)
    if "status" in fields:
        cluster.request("PUT", f"{PLANTS}/namespaces/{namespace}/plants/{name}/status", {**created, "status": fields["status"]})


def resource(cluster: ControlPlane, name: str, namespace: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = cluster.request("GET", f"{PLANTS}/namespaces/{namespace}/plants/{name}")
    return found


def annotation(cluster: ControlPlane, name: str, key: str) -> str | None:
    annotations: dict[str, str] = resource(cluster, name)["metadata"].get("annotations", {})
    return annotations.get(f"monitor.solarinvest.info/{key}")


def user_with(cluster: ControlPlane, name: str, *roles: str) -> Path:
    """Kubeconfig of a new account that has these ClusterRoles everywhere. What is there already stays."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
    if name not in {item["metadata"]["name"] for item in cluster.request("GET", "/api/v1/namespaces/default/serviceaccounts")["items"]}:
        cluster.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        for role in roles:
            binding = {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": f"{name}-{role}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
            }
            cluster.request("POST", f"{RBAC}/clusterrolebindings", binding)
        # The authoriser learns of a binding by a watch.
        verbs = ["list", "patch"][: len(roles)]
        wait_until(lambda: all(may(cluster, name, verb) for verb in verbs), 15, f"the rights of {name}")
    return cluster.kubeconfig_for(name, "default")


def may(cluster: ControlPlane, account: str, verb: str) -> bool:
    """Whether an account of the namespace default may do this to Plants."""
    attributes = {"namespace": "default", "group": "monitor.solarinvest.info", "resource": "plants", "verb": verb}
    spec = {"user": f"system:serviceaccount:default:{account}", "resourceAttributes": attributes}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return bool(cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])


class Terminal:
    """The program on a pseudo-terminal of 20 lines and 160 columns. As a context manager it is killed on exit."""

    def __init__(self, kubeconfig: Path, arguments: Sequence[str]) -> None:
        self._environment = {
            **base_environment(),
            "KUBECONFIG": str(kubeconfig),
            "TERM": "xterm",
            "LINES": "20",
            "COLUMNS": "160",
        }
        self._arguments = arguments
        self._seen = b""
        self._from = 0

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [str(PROGRAM), *self._arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=self._environment, start_new_session=True
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(timeout=5)
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 65536)
            except OSError:
                # The other side has been closed: Linux says so by EIO.
                return
            if not chunk:
                return
            self._seen += chunk

    def shows(self, text: str, bound_seconds: float) -> str:
        """Waits until `text` is drawn, after what was waited for before. Returns what was drawn meanwhile."""

        def found() -> str | None:
            new = self._seen[self._from :]
            return new.decode(errors="replace") if text.encode() in new else None

        drawn = wait_until(found, bound_seconds, f"{text!r} on the terminal") or ""
        self._from = len(self._seen)
        return drawn

    def interrupt(self, bound_seconds: float = 20) -> int:
        """Ctrl-C; returns the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(bound_seconds)

    def wait(self, bound_seconds: float) -> int:
        return self._process.wait(bound_seconds)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def all_drawn(self) -> str:
        self._reader.join(timeout=5)
        return self._seen.decode(errors="replace")
