"""Mock mode (DOMAIN 8): without it no worker starts; in it nobody speaks with anybody but Postgres, Redis and the API server."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from hack.devstack.control_plane import ControlPlane
from hack.devstack.postgres import Postgres
from hack.devstack.program import Process, Program, base_environment
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import wait_until
from integrations.contract import Brand
from tests.integration import egress_guard
from tests.integration.connections import remotes
from tests.integration.every_scenario import EveryScenario, scenarios
from tests.stack import SolarProcess

EXIT_CONFIGURATION = 78
BOUND_S = 60
NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}

# Refusal


@pytest.mark.rule("D8.2")
@pytest.mark.parametrize(
    ("brand", "mode"), [*((brand, None) for brand in Brand), (Brand.SOLIS, ""), (Brand.SOLIS, "false"), (Brand.SOLIS, "perhaps")]
)
def test_a_worker_that_is_not_in_mock_mode_ends_and_says_what_to_set(
    launch: Callable[..., SolarProcess], brand: Brand, mode: str | None
) -> None:
    worker = launch("worker", "--brand", brand.slug, env=NOWHERE if mode is None else {**NOWHERE, "INTEGRATION_MOCK_MODE": mode})
    assert worker.wait(BOUND_S) == EXIT_CONFIGURATION
    assert "INTEGRATION_MOCK_MODE" in worker.log_text()
    assert "set INTEGRATION_MOCK_MODE=true" in worker.log_text()
    assert "Traceback" not in worker.log_text()


# No way out


class Guard:
    """The environment of processes whose Python sockets reach `allowed` alone, and what they tried beyond that."""

    def __init__(self, folder: Path, allowed: set[str]) -> None:
        self.allowed = allowed
        self._record = folder / "egress"
        self._folder = folder / "guard"
        self._folder.mkdir()
        shutil.copy(egress_guard.__file__, self._folder / "sitecustomize.py")

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(self._folder), "EGRESS_ALLOWED": " ".join(sorted(self.allowed)), "EGRESS_RECORD": str(self._record)}

    def refused(self) -> list[str]:
        return self._record.read_text().splitlines() if self._record.exists() else []


class Elsewhere:
    """A TCP server that is none of ours: whoever reaches it has left."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    @property
    def was_reached(self) -> bool:
        try:
            caller, _ = self._socket.accept()
        except BlockingIOError:
            return False
        caller.close()
        return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    yield made
    made.close()


TRIES = {
    "socket.connect": "socket.create_connection(('127.0.0.1', {port}), timeout=5)",
    "socket.sendto": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "socket.getaddrinfo": "socket.getaddrinfo('vendor.invalid', 443)",
    "socket.gethostbyname": "socket.gethostbyname('vendor.invalid')",
}


@pytest.mark.parametrize("event", TRIES)
def test_the_guard_refuses_and_records(tmp_path: Path, elsewhere: Elsewhere, event: str) -> None:
    """The control of the test below: a process that tries to leave cannot, and even one that keeps silent about it is found out."""
    guard = Guard(tmp_path, {"127.0.0.1:1"})
    code = f"import socket\ntry: {TRIES[event].format(port=elsewhere.port)}\nexcept PermissionError: raise SystemExit(3)"
    environment = {**base_environment(), **guard.environment}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, timeout=BOUND_S, check=False)
    assert ended.returncode == 3
    assert not elsewhere.was_reached
    assert [event in line for line in guard.refused()] == [True]


def test_without_the_guard_the_same_process_leaves(elsewhere: Elsewhere) -> None:
    code = "import socket\n" + TRIES["socket.connect"].format(port=elsewhere.port)
    subprocess.run([sys.executable, "-c", code], env=base_environment(), timeout=BOUND_S, check=True)
    assert elsewhere.was_reached


def test_a_role_that_is_sent_elsewhere_is_found_out(launch: Callable[..., SolarProcess], tmp_path: Path, elsewhere: Elsewhere) -> None:
    guard = Guard(tmp_path, {"127.0.0.1:9"})
    env = {**NOWHERE, "REDIS_URL": f"redis://127.0.0.1:{elsewhere.port}/0", "INTEGRATION_MOCK_MODE": "true", **guard.environment}
    launch("worker", "--brand", "solis", env=env)
    wait_until(guard.refused, BOUND_S, "the guard to refuse the worker's queue")
    assert f"('127.0.0.1', {elsewhere.port})" in guard.refused()[0]
    assert not elsewhere.was_reached


def test_connections_of_code_in_c_are_seen(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """libpq's, which no audit hook sees: the server here never answers, so that the connection stays."""
    code = f"import psycopg\npsycopg.connect('postgresql://nobody@127.0.0.1:{elsewhere.port}/none?connect_timeout=30&sslmode=disable')"
    client = Process(Program("client", (sys.executable, "-c", code), folder=tmp_path, log=tmp_path / "client.log"))
    client.start()
    try:
        seen = wait_until(lambda: remotes(client.pid), BOUND_S, "the connection to be seen")
        assert seen == {f"127.0.0.1:{elsewhere.port}"}
    finally:
        client.kill()


@pytest.mark.lasts(50)
@pytest.mark.rule("D8.1")
def test_nobody_speaks_with_anybody_but_the_three_servers_whatever_the_scenario(
    tmp_path: Path,
    control_plane: ControlPlane,
    operator_kubeconfig: Path,
    postgres_server: Postgres,
    migrated_template: str,
    valkey: Valkey,
) -> None:
    control_plane.revive()
    name = f"test_{uuid4().hex}"
    database_url = postgres_server.create_database(name, template=migrated_template)
    servers = {_place(url) for url in (database_url, valkey.url, control_plane.url)}
    guard = Guard(tmp_path, servers)
    environment = {"DATABASE_URL": database_url, "REDIS_URL": valkey.url, "JWT_SECRET": "x" * 32, **guard.environment}
    spoken_with: set[str] = set()
    with EveryScenario(tmp_path, control_plane, operator_kubeconfig, database_url, environment) as everything:

        def look() -> None:
            for role in everything.roles:
                spoken_with.update(remotes(role.pid))

        everything.play(look)
        polled = {plant for (plant,) in everything.rows("SELECT name FROM plants WHERE last_poll_at IS NOT NULL")}
    postgres_server.drop_database(name)
    assert polled == {f"{brand.slug}-{scenario}" for brand, scenario in scenarios()}
    assert guard.refused() == []
    assert spoken_with == servers


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"
