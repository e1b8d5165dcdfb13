"""Real servers and real processes for the tests: fixtures, `SolarProcess`, `wait_until`.

A plugin: tests/conftest.py names it in `pytest_plugins`. The servers start when a test first asks for them, once a session, and
with pytest-xdist once a worker: each has its own folder and ports. They die with the test process, however that ends.

| fixture | scope | gives |
|---|---|---|
| `postgres_server` | session | `Postgres`, without fsync |
| `database` | test | URL of a fresh, migrated database |
| `valkey_server` | session | `Valkey` |
| `valkey` | test | the same, running and empty |
| `control_plane` | session | `ControlPlane` with the resource definition and the operator's rights |
| `cluster` | test | the same, answering, and without Plants afterwards |
| `operator_kubeconfig` | session | kubeconfig of the operator's own service account |
| `launch` | test | starts `solarinvest` processes and kills them after the test |

A test may kill, stop or freeze a server: the next test that asks for `database`, `valkey` or `cluster` finds it alive again.
"""

import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import pytest

from hack.devstack.control_plane import ControlPlane, resources_in
from hack.devstack.ports import free_port
from hack.devstack.postgres import Postgres
from hack.devstack.program import Process, Program, tail
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import WaitTimeoutError, wait_until

__all__ = ["SolarProcess", "WaitTimeoutError", "operator_account", "wait_until"]

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"
TEMPLATE = "migrated"
PLANTS = "/apis/monitor.solarinvest.info/v1alpha1"
READY_SECONDS = 60
"""For a role of `solarinvest`: a cold import takes 3 s; several at once on a busy machine take longer."""


class SolarProcess:
    """`solarinvest ROLE ...` as a child, for tests that kill, freeze and restart it. As a context manager it is killed on exit.

    It gets exactly `env` (beside PATH and the like) and a port of its own for /metrics, /healthz and /readyz, which it keeps
    through `start` after `kill`. stdout and stderr are appended to `log`.
    """

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], folder: Path, name: str | None = None) -> None:
        self.name = name or "-".join(argument.strip("-") for argument in arguments)
        self.metrics_port = free_port()
        self.log = folder / f"{self.name}.log"
        environment = {"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(self.metrics_port), **env}
        command = (str(Path(sys.executable).parent / "solarinvest"), *arguments)
        self._process = Process(Program(self.name, command, folder=folder, log=self.log, env=environment))

    def start(self) -> Self:
        self._process.start()
        return self

    def wait_ready(self, bound_seconds: float = READY_SECONDS) -> Self:
        """Waits for /readyz. Raises `DevStackError` with the last log lines if it ends or the bound passes."""
        self._process.wait_ready(lambda: self.get("/readyz") is not None, bound_seconds)
        return self

    def kill(self) -> None:
        """SIGKILL; returns once it is gone."""
        self._process.kill()

    def stop_signal(self) -> None:
        """SIGSTOP: it freezes where it is."""
        self._process.pause()

    def cont(self) -> None:
        """SIGCONT."""
        self._process.resume()

    def terminate(self, bound_seconds: float = READY_SECONDS) -> int:
        """SIGTERM, then its exit code. Raises `WaitTimeoutError` (and kills it) if it does not end by itself."""
        self.signal_terminate()
        try:
            return self._process.wait(bound_seconds)
        except WaitTimeoutError:
            self.kill()
            raise

    def signal_terminate(self) -> None:
        """SIGTERM alone, for a test that looks at what happens meanwhile; end with `wait`."""
        self._process.terminate()

    def wait(self, bound_seconds: float) -> int:
        """The exit code once it has ended by itself, -N for signal N. Raises `WaitTimeoutError`."""
        return self._process.wait(bound_seconds)

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines: int = 30) -> str:
        return tail(self.log, lines)

    def get(self, path: str) -> str | None:
        """Body of a page of its probe port (/metrics, /healthz, /readyz); None unless it answers 200."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=2) as answer:
                body: bytes = answer.read()
                return body.decode()
        except OSError:
            return None

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()


@pytest.fixture(scope="session")
def stack_folder() -> Iterator[Path]:
    """Not below pytest's own temporary folder, which PostgreSQL's user (where we are root) may not enter."""
    folder = Path(tempfile.mkdtemp(prefix="solarinvest-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server(stack_folder: Path) -> Iterator[Postgres]:
    with Postgres(stack_folder / "postgres", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> str:
    """Name of a database that was migrated once, to copy from."""
    from controller.storage.migrate import upgrade

    upgrade(postgres_server.create_database(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(postgres_server: Postgres, migrated_template: str) -> Iterator[str]:
    revive(postgres_server)
    name = f"test_{uuid4().hex}"
    yield postgres_server.create_database(name, template=migrated_template)
    revive(postgres_server)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def valkey_server(stack_folder: Path) -> Iterator[Valkey]:
    with Valkey(stack_folder / "valkey") as server:
        yield server


@pytest.fixture
def valkey(valkey_server: Valkey) -> Valkey:
    revive(valkey_server)
    with valkey_server.client() as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def control_plane(stack_folder: Path) -> Iterator[ControlPlane]:
    with ControlPlane(stack_folder / "kubernetes") as started:
        started.apply(MANIFESTS / "crd", MANIFESTS / "rbac")
        yield started


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    control_plane.revive()
    yield control_plane
    control_plane.revive()
    for namespace in {item["metadata"]["namespace"] for item in control_plane.request("GET", f"{PLANTS}/plants")["items"]}:
        control_plane.request("DELETE", f"{PLANTS}/namespaces/{namespace}/plants")


@pytest.fixture(scope="session")
def operator_kubeconfig(control_plane: ControlPlane) -> Path:
    return control_plane.kubeconfig_for(*operator_account())


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., SolarProcess]]:
    """`launch("worker", "--brand", "solis", env={...}, name=None)`: started, not yet ready."""
    launched: list[SolarProcess] = []

    def start(*arguments: str, env: Mapping[str, str], name: str | None = None) -> SolarProcess:
        process = SolarProcess(arguments, env, tmp_path, name=name)
        launched.append(process)
        return process.start()

    yield start
    for process in launched:
        process.kill()


def operator_account() -> tuple[str, str]:
    """Name and namespace of the service account that manifests/rbac gives the operator."""
    account = next(a["metadata"] for a in resources_in(MANIFESTS / "rbac", kind="ServiceAccount") if "operator" in a["metadata"]["name"])
    return account["name"], account.get("namespace", "default")


def revive(server: Postgres | Valkey) -> None:
    """Undoes what a former test did to a server."""
    if server.running:
        server.resume()
    else:
        server.start()
