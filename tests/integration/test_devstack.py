"""The development stack keeps its promises (hack/devstack), on its real processes."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path

import psycopg
import pytest
import redis

from hack.devstack import binaries
from hack.devstack.binaries import Binaries, Report, control_plane_binaries
from hack.devstack.control_plane import ControlPlane
from hack.devstack.ports import free_ports
from hack.devstack.postgres import Postgres
from hack.devstack.program import DevStackError, Process, Program
from hack.devstack.supervision import Group, Supervisor
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import WaitTimeoutError, wait_until

BOUND = 15


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that every system user may enter."""
    with tempfile.TemporaryDirectory(prefix="solarinvest-test-") as path:
        yield Path(path)


def is_alive(pid: int) -> bool:
    """A process that has ended but was not yet waited for does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def program(folder: Path, code: str, name: str = "script") -> Program:
    return Program(name, (sys.executable, "-c", code), folder=folder, log=folder / f"{name}.log")


SLEEP = "import time; print('up', flush=True); time.sleep(600)"


# The control plane


def test_a_service_account_without_rights_is_refused_and_gets_exactly_what_it_is_bound_to(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "namespace", "rights")
    control_plane.kubectl("create", "serviceaccount", "reader", "--namespace=rights")
    reader = control_plane.kubeconfig_for("reader", "rights")

    with pytest.raises(DevStackError, match=r'system:serviceaccount:rights:reader" cannot list resource "configmaps"'):
        control_plane.kubectl("get", "configmaps", kubeconfig=reader)

    control_plane.kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps", "--namespace=rights")
    control_plane.kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=rights:reader", "--namespace=rights")

    def allowed() -> bool:  # the authoriser learns of a binding by a watch
        try:
            control_plane.kubectl("get", "configmaps", kubeconfig=reader)
        except DevStackError:
            return False
        return True

    wait_until(allowed, BOUND, "the binding to count")
    with pytest.raises(DevStackError, match=r'cannot list resource "secrets"'):
        control_plane.kubectl("get", "secrets", kubeconfig=reader)


def test_there_is_no_kubeconfig_for_an_account_that_does_not_exist(control_plane: ControlPlane) -> None:
    with pytest.raises(DevStackError, match="404"):
        control_plane.kubeconfig_for("nobody", "default")


def test_the_operator_may_read_plants_but_not_change_them(control_plane: ControlPlane, operator_kubeconfig: Path) -> None:
    control_plane.kubectl("get", "plants", "--all-namespaces", kubeconfig=operator_kubeconfig)
    with pytest.raises(DevStackError, match="forbidden"):
        control_plane.kubectl("delete", "plant", "any", kubeconfig=operator_kubeconfig)


def test_the_api_server_comes_back_at_the_same_address_with_the_same_data_and_identities(cluster: ControlPlane) -> None:
    cluster.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    cluster.kubectl("create", "serviceaccount", "kept")
    account = cluster.kubeconfig_for("kept", "default")

    cluster.stop_apiserver()
    with pytest.raises(OSError, match="refused"):
        cluster.request("GET", "/readyz")
    cluster.start_apiserver()

    assert "kept" in cluster.kubectl("get", "configmap", "--output=name")
    with pytest.raises(DevStackError, match="forbidden"):  # and not Unauthorized: its token is still good
        cluster.kubectl("get", "nodes", kubeconfig=account)


def test_what_holds_a_secret_is_readable_by_its_owner_only(control_plane: ControlPlane, valkey_server: Valkey) -> None:
    kubeconfig = control_plane.kubeconfig
    for secret in (
        kubeconfig,
        kubeconfig.parent / "tokens.csv",
        kubeconfig.parent / "service-account.key",
        valkey_server.folder / "valkey.conf",
    ):
        assert secret.stat().st_mode & 0o077 == 0, secret


def test_no_process_is_left_after_the_control_plane_stopped(folder: Path) -> None:
    with ControlPlane(folder) as started:
        pids = started.pids()
        assert [is_alive(pid) for pid in pids] == [True, True]
    assert [is_alive(pid) for pid in pids] == [False, False]


# Valkey and Postgres


def test_valkey_killed_and_started_again_keeps_its_address_and_forgets(folder: Path) -> None:
    with Valkey(folder) as server:
        server.client().set("a", "1")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            server.client().ping()
        server.start()
        assert server.client().get("a") is None
    assert not server.running


def test_a_persistent_valkey_remembers_what_it_wrote_down(folder: Path) -> None:
    with Valkey(folder, persistent=True) as server:
        server.client().set("a", "1")
        server.restart()
        assert server.client().get("a") == "1"


def test_valkey_goes_back_to_a_dump(folder: Path) -> None:
    with Valkey(folder) as server:
        server.client().set("a", "then")
        dump = server.dump(folder / "copy.rdb")
        server.client().set("a", "now")
        server.restore(dump)
        assert server.client().get("a") == "then"
        server.restart()
        assert server.client().get("a") is None


def test_a_frozen_valkey_hangs_until_it_is_resumed(folder: Path) -> None:
    with Valkey(folder) as server:
        server.pause()
        with pytest.raises(redis.TimeoutError):
            server.client().ping()
        server.resume()
        assert server.client().ping()


def test_postgres_killed_keeps_its_address_and_what_was_committed(folder: Path) -> None:
    with Postgres(folder, durable=False) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url, connect_timeout=2)
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
        server_pid = server.pid
    assert not is_alive(server_pid)


def test_postgres_stops_at_once_although_a_client_stays(folder: Path) -> None:
    with Postgres(folder, durable=False) as server, psycopg.connect(server.url) as connection:
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert "database system is shut down" in (folder / "postgres.log").read_text()  # by itself: it was not killed


def test_a_frozen_postgres_hangs_with_all_its_processes(postgres_server: Postgres) -> None:
    with psycopg.connect(postgres_server.url, autocommit=True) as connection, ThreadPoolExecutor(1) as pool:
        postgres_server.pause()
        try:
            answer = pool.submit(lambda: connection.execute("SELECT 1").fetchone())
            with pytest.raises(FutureTimeoutError):
                answer.result(timeout=1)
        finally:
            postgres_server.resume()
        assert answer.result(timeout=BOUND) == (1,)


def test_a_copy_of_a_database_has_its_rows_and_goes_its_own_way(postgres_server: Postgres) -> None:
    original = postgres_server.create_database("original")
    with psycopg.connect(original) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS one")
    copy = postgres_server.create_database("copied", template="original")
    with psycopg.connect(copy) as connection:
        connection.execute("UPDATE t SET one = 2")
    with psycopg.connect(original) as connection:
        assert connection.execute("SELECT one FROM t").fetchone() == (1,)
    for name in ("original", "copied"):
        postgres_server.drop_database(name)


def test_postgres_asks_for_its_password(postgres_server: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=postgres_server.port, user="postgres", password="wrong", connect_timeout=2)


# Processes and supervision


def test_a_child_dies_with_a_parent_that_was_killed(folder: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from hack.devstack.program import Process, Program
child = Process(Program("child", (sys.executable, "-c", {SLEEP!r}), folder=Path({str(folder)!r}), log=Path({str(folder / "child.log")!r})))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until(lambda: "up" in (folder / "child.log").read_text(), BOUND, "the child to run")
        parent.kill()
    wait_until(lambda: not is_alive(child), BOUND, "the child to end")


def test_a_program_that_ends_at_once_is_reported_with_its_last_words(folder: Path) -> None:
    process = Process(program(folder, "print('no such table'); raise SystemExit(3)"))
    process.start()
    with pytest.raises(DevStackError, match=r"ended with code 3[\s\S]*no such table"):
        process.wait_ready(lambda: False, BOUND)


def test_supervisord_starts_again_what_dies_and_leaves_nothing_when_it_ends(folder: Path) -> None:
    supervisor = Supervisor(folder)
    supervisor.launch([Group("all", [program(folder, SLEEP)])])
    try:
        supervisor.start("script", lambda: supervisor.state("script").state == "RUNNING", BOUND)
        first = supervisor.state("script").pid
        os.kill(first, 9)
        wait_until(lambda: supervisor.state("script").pid not in (0, first), BOUND, "a new process")
        second = supervisor.state("script").pid
        assert is_alive(second)
        # Between its fork and its exec it has its parent's environment.
        wait_until(lambda: second in supervisor.processes(), BOUND, "the new process to be found")
    finally:
        supervisor.shut_down()
    assert supervisor.processes() == []
    assert not is_alive(second)


def test_what_outlived_a_killed_supervisord_is_found_and_ended(folder: Path) -> None:
    supervisor = Supervisor(folder)
    supervisor.launch([Group("all", [program(folder, SLEEP)])])
    try:
        supervisor.start("script", lambda: "up" in supervisor.log_of("script").read_text(), BOUND)
        orphan = supervisor.state("script").pid
        os.kill(int((folder / "supervisord.pid").read_text()), 9)
        wait_until(lambda: not supervisor.alive(), BOUND, "supervisord to be gone")
        assert is_alive(orphan)
    finally:
        supervisor.shut_down()
    assert not is_alive(orphan)


def test_a_program_that_keeps_dying_fails_the_start_with_its_last_words(folder: Path) -> None:
    supervisor = Supervisor(folder)
    supervisor.launch([Group("all", [program(folder, "print('no such table'); raise SystemExit(3)")])])
    try:
        with pytest.raises(DevStackError, match=r"script keeps dying[\s\S]*no such table"):
            supervisor.start("script", lambda: False, 30)
    finally:
        supervisor.shut_down()


def test_a_folder_too_deep_for_a_socket_is_no_obstacle(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    supervisor = Supervisor(deep)
    supervisor.launch([Group("all", [program(deep, SLEEP)])])
    try:
        assert supervisor.alive()
    finally:
        supervisor.shut_down()


# Finding things


def test_ports_in_use_are_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("hack.devstack.ports.LOWEST", port)
        monkeypatch.setattr("hack.devstack.ports.HIGHEST", port + 1)
        with pytest.raises(OSError, match="no 1 free ports"):
            free_ports(1)


def test_assets_that_lack_a_program_are_named_and_nothing_else_is_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    with pytest.raises(DevStackError, match="KUBEBUILDER_ASSETS"):
        control_plane_binaries()


def test_cached_binaries_are_taken_without_network_or_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("PATH", "")
    cached = folder / f"kubernetes-{binaries.KUBERNETES}-etcd-{binaries.ETCD}"
    cached.mkdir()
    for name in ("etcd", "kube-apiserver"):
        (cached / name).touch(mode=0o755)
    assert control_plane_binaries(cache=folder) == Binaries(cached / "etcd", cached / "kube-apiserver")


def test_an_archive_with_another_checksum_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next way is taken, a build, for which this machine (an empty PATH) then lacks the compiler."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("PATH", "")
    said: list[str] = []

    def download(address: str, target: Path, report: Report) -> Path:
        target.write_bytes(b"not what was published")
        return target

    def report(message: str, share: float | None) -> None:
        said.append(message)

    monkeypatch.setattr(binaries, "_download", download)
    monkeypatch.setattr(binaries, "_published", lambda name: ("https://example.invalid/archive", "0" * 128))
    with pytest.raises(DevStackError, match="install Go"):
        control_plane_binaries(report, cache=folder)
    assert any("does not have its published SHA-512" in message for message in said)
    assert [entry.name for entry in folder.iterdir()] == [".lock"]


def test_a_wait_that_fails_says_what_it_waited_for_and_saw_last() -> None:
    with pytest.raises(WaitTimeoutError, match=r"a miracle: not within 0 s \(last seen: \[\]\)"):
        wait_until(list[int], 0, "a miracle")


def test_json_of_the_api_is_parsed(control_plane: ControlPlane) -> None:
    assert control_plane.request("GET", "/version") == json.loads(control_plane.kubectl("get", "--raw", "/version"))
