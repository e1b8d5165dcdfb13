"""A Kubernetes control plane as two processes: etcd and kube-apiserver, with RBAC on.

Called by tests/stack.py and by the demo. There are no controllers and no nodes: resources are stored, validated, watched and
authorised as in any cluster, but nothing makes pods of them. Ready about 5 s after start, 330 MB of memory.
"""

import base64
import json
import os
import secrets
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hack.devstack.binaries import Binaries, control_plane_binaries, kubectl
from hack.devstack.ports import free_ports
from hack.devstack.program import DevStackError, Process, Program
from hack.devstack.waiting import wait_until

READY_SECONDS = 60
"""5 s on an idle machine; a compile beside it makes it 20."""
REQUEST_SECONDS = 10
COME_AGAIN_SECONDS = 30
TOKEN_SECONDS = 365 * 24 * 3600
"""A demo may run for weeks, and nobody renews its service accounts' tokens (in a pod the kubelet does)."""
ISSUER = "https://kubernetes.default.svc.cluster.local"


class ComeAgainError(DevStackError):
    """The API server is too busy, or a part of it still starts."""


class ControlPlane:
    """One control plane in `folder` (made if missing), on ports of its own, with data that outlives a restart.

    As a context manager it starts on entry and stops on exit. `kubeconfig` is the administrator's and exists once it is ready.
    """

    def __init__(self, folder: Path, binaries: Binaries | None = None) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self._binaries = binaries
        self._admin_token = secrets.token_urlsafe(32)
        etcd_client, etcd_peer, self._port = free_ports(3)
        self._etcd_url, self._etcd_peer_url = f"http://127.0.0.1:{etcd_client}", f"http://127.0.0.1:{etcd_peer}"
        self.url = f"https://127.0.0.1:{self._port}"
        self._etcd: Process | None = None
        self._apiserver: Process | None = None

    # Life

    def programs(self) -> tuple[Program, Program]:
        """etcd and kube-apiserver, to be started in this order; writes the files they need. Nobody but us may read these."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        binaries = self._binaries or control_plane_binaries()
        tokens, key = self.folder / "tokens.csv", self.folder / "service-account.key"
        write_private(tokens, f"{self._admin_token},admin,admin,system:masters\n")
        if not key.exists():
            write_private(key, _new_private_key())
        etcd = (
            str(binaries.etcd),
            "--name=solar",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={self._etcd_peer_url}",
            f"--initial-advertise-peer-urls={self._etcd_peer_url}",
            f"--initial-cluster=solar={self._etcd_peer_url}",
            "--unsafe-no-fsync",  # nothing here must outlive the machine
            "--quota-backend-bytes=8589934592",  # 100,000 Plants with their history until it is compacted outgrow the usual 2 GB
            "--log-level=warn",
        )
        apiserver = (
            str(binaries.kube_apiserver),
            f"--etcd-servers={self._etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self.folder / 'tls'}",  # it signs a certificate for itself there, once
            "--endpoint-reconciler-type=none",  # there is no pod network in which to announce itself
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
            f"--token-auth-file={tokens}",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",  # nobody makes tokens for pods here
        )
        return (
            Program("etcd", etcd, folder=self.folder, log=self.folder / "etcd.log"),
            Program("kube-apiserver", apiserver, folder=self.folder, log=self.folder / "kube-apiserver.log"),
        )

    def start(self) -> Self:
        """Starts both and waits until the API answers. Raises `DevStackError` with the last log lines if it does not."""
        etcd, apiserver = self.programs()
        self._etcd, self._apiserver = Process(etcd), Process(apiserver)
        try:
            self._etcd.start()
            self.start_apiserver()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        for process in (self._apiserver, self._etcd):
            if process is not None:
                process.stop(bound_seconds=10)

    def start_apiserver(self) -> None:
        """The API server alone: on the same port, with the same data and identities as before `stop_apiserver`."""
        apiserver = self._running(self._apiserver)
        apiserver.start()
        apiserver.wait_ready(self.is_ready, READY_SECONDS)

    def stop_apiserver(self) -> None:
        """Connections are refused from here on; etcd goes on."""
        self._running(self._apiserver).stop(bound_seconds=10)

    def restart_apiserver(self) -> None:
        self.stop_apiserver()
        self.start_apiserver()

    def pause(self) -> None:
        """Freezes the API server: connections hang instead of being refused."""
        self._running(self._apiserver).pause()

    def resume(self) -> None:
        self._running(self._apiserver).resume()

    def revive(self) -> None:
        """Undoes `stop_apiserver` and `pause`."""
        apiserver = self._running(self._apiserver)
        if apiserver.running:
            apiserver.resume()
        else:
            self.start_apiserver()

    def pids(self) -> list[int]:
        return [process.pid for process in (self._etcd, self._apiserver) if process is not None]

    def _running(self, process: Process | None) -> Process:
        if process is None:
            raise DevStackError("the control plane was not started")
        return process

    def is_ready(self) -> bool:
        """Whether the API serves (and its bootstrap, RBAC's roles among it, is done). Writes `kubeconfig` the first time."""
        if not self._certificate.exists():
            return False
        try:
            self._call("GET", "/readyz", None, seconds=2)
        except (OSError, DevStackError):
            return False
        if not self.kubeconfig.exists():
            self._write_kubeconfig(self.kubeconfig, "admin", self._admin_token, "default")
        return True

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # Use

    def request(self, method: str, path: str, body: object | None = None) -> Any:
        """One call of the API as administrator; parsed JSON. Raises `DevStackError` with the server's message.

        While the server asks to come again (429, a resource's storage still starts), it does, for up to 30 s.
        """

        def answered() -> bytes | None:
            try:
                return self._call(method, path, body, seconds=REQUEST_SECONDS)
            except ComeAgainError:
                return None

        return json.loads(wait_until(answered, COME_AGAIN_SECONDS, f"the API server to accept {method} {path}") or b"null")

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """What kubectl prints. Raises `DevStackError` with what it complains about."""
        command = [str(kubectl()), f"--kubeconfig={kubeconfig or self.kubeconfig}", *arguments]
        # Its caches are kept per server address, and ports come back with another server behind them.
        environment = {**os.environ, "KUBECACHEDIR": str(self.folder / "kubectl-cache")}
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=True, env=environment)
        except subprocess.CalledProcessError as error:
            raise DevStackError(f"kubectl {' '.join(arguments)}: {error.stderr.strip()}") from error
        except subprocess.TimeoutExpired as error:
            raise DevStackError(f"kubectl {' '.join(arguments)}: no answer within 60 s") from error
        return done.stdout

    def apply(self, *paths: Path) -> None:
        """`kubectl apply` of files and folders, one after the other; waits until new resource kinds can be used."""
        for path in paths:
            self.kubectl("apply", "--recursive", "-f", str(path))
            for definition in resources_in(path, kind="CustomResourceDefinition"):
                self.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{definition['metadata']['name']}")

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """A kubeconfig that acts as an existing service account, by a token the API server issues for it.

        The file is readable by us only and named after the account. Raises `DevStackError` if there is no such account.
        """
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": TOKEN_SECONDS}}
        answer = self.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token", wanted)
        target = self.folder / f"{namespace}.{service_account}.kubeconfig"
        self._write_kubeconfig(target, service_account, answer["status"]["token"], namespace)
        return target

    def _call(self, method: str, path: str, body: object | None, *, seconds: float) -> bytes:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._admin_token}", "Content-Type": "application/json"},
        )
        trust = ssl.create_default_context(cafile=str(self._certificate))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
        try:
            with opener.open(request, timeout=seconds) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            kind = ComeAgainError if error.code == HTTPStatus.TOO_MANY_REQUESTS else DevStackError
            with error:
                raise kind(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from error

    @property
    def _certificate(self) -> Path:
        """The server's certificate followed by the authority that signed it."""
        return self.folder / "tls" / "apiserver.crt"

    def _write_kubeconfig(self, target: Path, user: str, token: str, namespace: str) -> None:
        authority = base64.b64encode(self._certificate.read_bytes()).decode()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "solar", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "solar", "context": {"cluster": "solar", "user": user, "namespace": namespace}}],
            "current-context": "solar",
        }
        write_private(target, yaml.safe_dump(content))


def write_private(target: Path, content: str) -> None:
    """Writes a file that only we can read, whole or not at all."""
    half = target.with_name(f".{target.name}.new")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as out:
        out.write(content)
    half.replace(target)


def resources_in(path: Path, kind: str) -> list[dict[str, Any]]:
    """The resources of one kind in a manifest, or in all manifests below a folder."""
    return [document for document in _documents(path) if document.get("kind") == kind]


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    files: Iterable[Path] = sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")]) if path.is_dir() else [path]
    for file in files:
        yield from (document for document in yaml.safe_load_all(file.read_text()) if document)


def _new_private_key() -> str:
    """The key with which the API server signs and checks service accounts' tokens, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return pem.decode()
