"""`make demo`, `make demo-status`, `make demo-down`: a whole running system on this machine, in the background.

    python -m hack.demo up|status|down [--folder .demo]

`up` starts, step by step: control plane, Postgres, Valkey, migrations, resource definition and rights, operator, a worker a brand,
api; then it applies manifests/samples and waits until all of them are GREEN, and manifests/scenarios until each shows its colour. What
runs, runs under supervisord (devstack/supervision.py).
All state lies in the folder: configuration, logs, data, and `env`, which a shell sources to reach everything.
DATABASE_URL and REDIS_URL, if set, name real servers to use instead of the demo's own.
"""

import argparse
import contextlib
import fcntl
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hack.devstack.binaries import Binaries, kubectl
from hack.devstack.control_plane import READY_SECONDS as CONTROL_PLANE_SECONDS
from hack.devstack.control_plane import ControlPlane, resources_in, write_private
from hack.devstack.ports import free_port, free_ports
from hack.devstack.postgres import READY_SECONDS as POSTGRES_SECONDS
from hack.devstack.postgres import Postgres
from hack.devstack.program import DevStackError, Program, base_environment, tail
from hack.devstack.progress import shown_binaries
from hack.devstack.supervision import MARK, Group, Supervisor
from hack.devstack.valkey import READY_SECONDS as VALKEY_SECONDS
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import WaitTimeoutError, wait_until

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "manifests"
PLANTS = "/apis/monitor.solarinvest.info/v1alpha1/plants"
BRANDS = ("solis", "huawei", "goodwe", "dele")

MIGRATE_SECONDS = 120
ROLE_SECONDS = 60
"""For a role to become ready: a cold import of the Kubernetes client alone takes 3 s, and six roles start at once."""
GREEN_SECONDS = 60
SCENARIO_SECONDS = 60
EXPECTED = "demo.solarinvest.info/expected"
"""Annotation of manifests/scenarios: the status and its reason that the scenario makes of a plant."""
NEVER_POLLED = ("PENDING_DOCS", "DISABLED_BY_OPERATOR")
HANDOVER_SECONDS = 90
"""For a `make demo` that is still starting to clean up after `make demo-down` told it to end."""

console = Console(highlight=False)


@dataclass(frozen=True)
class Role:
    """A process of ours: `solarinvest ARGUMENTS`, with what it needs beyond the settings all roles share."""

    name: str
    arguments: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Servers:
    """What the roles connect to. Where the user brought a server of their own, ours is None."""

    control_plane: ControlPlane
    postgres: Postgres | None
    valkey: Valkey | None
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)


class Interrupted(KeyboardInterrupt):
    """The demo was told to end (a signal) while it was starting."""


# The three commands


def up(folder: Path) -> int:
    """Starts the demo, unless it runs already. Returns the exit code; a failed or interrupted start leaves no process behind."""
    supervisor = Supervisor(folder)
    with _alone(folder, bound_seconds=0) as alone:
        if not alone:
            console.print("Another `make demo` is starting right now. See it with: make demo-status")
            return 1
        if (folder / "ready").exists() and supervisor.alive():
            console.print("The demo runs already.")
            _print_how_to_use(folder)
            return 0
        began = time.monotonic()
        started = False
        try:
            with _signals_interrupt():
                _clean_up_stale(folder, supervisor)
                _start(folder, supervisor)
            started = True
        except DevStackError as error:
            console.print(f"\n[bold red]The demo did not start:[/] {escape(str(error))}", soft_wrap=True)
            return 1
        except KeyboardInterrupt:
            console.print("\nInterrupted.")
            return 130
        finally:
            if not started:
                _undo(folder, supervisor)
        console.print(f"\nThe demo runs, after {time.monotonic() - began:.0f} s.")
        _print_how_to_use(folder)
        return 0


def status(folder: Path) -> int:
    """Shows the processes and the plants. Returns 0 only if all of them run."""
    supervisor = Supervisor(folder)
    if not supervisor.alive():
        console.print("The demo does not run. Start it with: make demo")
        return 3
    states = supervisor.states()
    table = Table("process", "state", "", box=None, header_style="bold")
    for state in sorted(states, key=lambda state: state.started_at):
        table.add_row(state.name, state.state, state.description)
    console.print(table)
    console.print(f" logs: {supervisor.logs}/", soft_wrap=True)
    if not (folder / "ready").exists():
        console.print("\nIt is still starting.")
        return 3
    console.print()
    sys.stdout.flush()
    shown = subprocess.run([str(kubectl()), f"--kubeconfig={_kubeconfig(folder)}", "get", "plants", "-A"], timeout=30, check=False)
    _print_how_to_use(folder)
    return 0 if shown.returncode == 0 and all(state.state == "RUNNING" for state in states) else 3


def down(folder: Path) -> int:
    """Ends every process of the demo and removes its folder. In bounded time, and also where a part is dead or frozen."""
    supervisor = Supervisor(folder)
    if not folder.exists():
        console.print("The demo does not run.")
        return 0
    _interrupt_starting(folder)
    with _alone(folder, bound_seconds=HANDOVER_SECONDS) as alone:
        if not alone:
            console.print(f"A `make demo` that is starting did not end within {HANDOVER_SECONDS} s.")
            return 1
        with console.status("ending the demo's processes"):
            supervisor.shut_down()
        if folder.exists():
            shutil.rmtree(folder)
    console.print("The demo is down: no process is left, its data is removed.")
    return 0


# Starting, step by step


def _start(folder: Path, supervisor: Supervisor) -> None:
    folder.mkdir(mode=0o700)
    write_private(folder / "starting.pid", str(os.getpid()))
    began = time.monotonic()
    binaries = shown_binaries(console)
    _print_step("control plane binaries", time.monotonic() - began)
    with _step("prepare servers"):
        servers = _prepare_servers(folder, binaries)
        roles = _roles(servers, _new_secret(folder))
        ports = dict(zip((role.name for role in roles), free_ports(len(roles)), strict=True))
        supervisor.launch(_groups(folder, servers, roles, ports))
        supervisor.begin("etcd")
        supervisor.begin("kube-apiserver")  # the slowest: waited for once the others are there
    _start_stores(supervisor, servers)
    with _step("migrate the database"):
        _migrate(supervisor, servers)
    with _step("Kubernetes API server"):
        supervisor.wait_ready("kube-apiserver", servers.control_plane.is_ready, CONTROL_PLANE_SECONDS)
    with _step("resource definition, rights"):
        servers.control_plane.apply(MANIFESTS / "crd", MANIFESTS / "rbac")
        _operator_identity(servers.control_plane)
    _write_env(folder, servers, roles, ports)
    for role in roles:
        supervisor.begin(role.name)
    for role in roles:
        with _step(role.name):
            supervisor.wait_ready(role.name, partial(_answers, f"http://127.0.0.1:{ports[role.name]}/readyz"), ROLE_SECONDS)
    with _step("samples until GREEN"):
        servers.control_plane.apply(MANIFESTS / "samples")
        _wait_for_green(servers.control_plane)
    with _step("scenarios until as told"):
        servers.control_plane.apply(MANIFESTS / "scenarios")
        _wait_for_scenarios(servers.control_plane)
    (folder / "starting.pid").unlink()
    (folder / "ready").touch()
    console.print()
    console.print(servers.control_plane.kubectl("get", "plants", "-A"), markup=False, soft_wrap=True, end="")


def _prepare_servers(folder: Path, binaries: Binaries) -> Servers:
    database_url, redis_url = _own_server("DATABASE_URL"), _own_server("REDIS_URL")
    postgres = None if database_url else Postgres(folder / "postgres")
    valkey = None if redis_url else Valkey(folder / "valkey")
    return Servers(
        ControlPlane(folder / "kubernetes", binaries),
        postgres,
        valkey,
        database_url or (postgres.url if postgres else ""),
        redis_url or (valkey.url if valkey else ""),
    )


def _own_server(name: str) -> str | None:
    """The user's server, if set. A shell that sourced some demo's env has the demo's in there, which is none of theirs."""
    value = os.environ.get(name)
    return None if value == os.environ.get(f"DEMO_{name}") else value or None


def _roles(servers: Servers, jwt_secret: str) -> list[Role]:
    """Every process of ours, each with only what it needs: workers have no Kubernetes rights, and only the api checks tokens."""
    operator = Role("operator", ("operator",), {"KUBECONFIG": str(_operator_kubeconfig(servers.control_plane.folder))})
    workers = [Role(f"worker-{brand}", ("worker", "--brand", brand)) for brand in BRANDS]
    api = Role("api", ("api",), {"JWT_SECRET": jwt_secret, "API_HOST": "127.0.0.1", "API_PORT": str(free_port())})
    return [operator, *workers, api]


def _groups(folder: Path, servers: Servers, roles: list[Role], ports: Mapping[str, int]) -> list[Group]:
    """In the order of their start; they end the other way round, so that a worker can still write down what it finishes."""
    etcd, apiserver = servers.control_plane.programs()
    stores = [etcd, *(server.program() for server in (servers.postgres, servers.valkey) if server)]
    programs = [_program(folder, servers, role, ports[role.name]) for role in roles]
    return [Group("stores", stores), Group("kubernetes", [apiserver]), Group("solarinvest", programs)]


def _program(folder: Path, servers: Servers, role: Role, port: int) -> Program:
    env = {**_shared_settings(servers), "METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(port), **role.env}
    return Program(role.name, (str(_solarinvest()), *role.arguments), folder=folder, log=folder / "logs" / f"{role.name}.log", env=env)


def _shared_settings(servers: Servers) -> dict[str, str]:
    return {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "INTEGRATION_MOCK_MODE": "true",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
    }


def _start_stores(supervisor: Supervisor, servers: Servers) -> None:
    with _step("Postgres") as note:
        if servers.postgres:
            supervisor.start("postgres", servers.postgres.is_ready, POSTGRES_SECONDS)
            servers.postgres.ensure_database()
        else:
            note(f"yours, at {_place(servers.database_url)}")
    with _step("Valkey") as note:
        if servers.valkey:
            supervisor.start("valkey", servers.valkey.is_ready, VALKEY_SECONDS)
        else:
            note(f"yours, at {_place(servers.redis_url)}")


def _migrate(supervisor: Supervisor, servers: Servers) -> None:
    log = supervisor.log_of("migrate")
    env = {**base_environment(), **_shared_settings(servers), MARK: str(supervisor.folder)}
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                # Postgres was waited for before; a server of the user's answers at once or not at all.
                [str(_solarinvest()), "migrate", "--timeout", "5"],
                cwd=supervisor.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=MIGRATE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DevStackError(f"migrate took more than {MIGRATE_SECONDS} s. Last lines of {log}:\n{tail(log)}") from error
    if done.returncode != 0:
        raise DevStackError(f"migrate ended with code {done.returncode}. Last lines of {log}:\n{tail(log)}")


def _operator_identity(control_plane: ControlPlane) -> None:
    """The operator acts as the service account that manifests/rbac gives it, with exactly those rights."""
    accounts = resources_in(MANIFESTS / "rbac", kind="ServiceAccount")
    account = next((a["metadata"] for a in accounts if "operator" in a["metadata"]["name"]), None)
    if account is None:
        raise DevStackError(f"{MANIFESTS / 'rbac'} has no service account for the operator")
    made = control_plane.kubeconfig_for(account["name"], account.get("namespace", "default"))
    made.replace(_operator_kubeconfig(control_plane.folder))


def _wait_for_green(control_plane: ControlPlane) -> None:
    """Raises `DevStackError` with what the samples are instead."""
    wanted = {sample["metadata"]["name"] for sample in resources_in(MANIFESTS / "samples", kind="Plant")}
    seen: dict[str, str] = {}

    def all_green() -> bool:
        items = control_plane.request("GET", PLANTS)["items"]
        seen.update({item["metadata"]["name"]: item.get("status", {}).get("health", "-") for item in items})
        return all(seen.get(name) == "GREEN" for name in wanted)

    try:
        wait_until(all_green, GREEN_SECONDS, "every sample to be GREEN", every_seconds=0.5)
    except WaitTimeoutError as error:
        raise DevStackError(f"not every sample is GREEN after {GREEN_SECONDS} s: {seen}") from error


def _wait_for_scenarios(control_plane: ControlPlane) -> None:
    """Raises `DevStackError` with what those are that are not what their annotation says."""
    wanted = {_identity(plant): plant["metadata"]["annotations"][EXPECTED] for plant in resources_in(MANIFESTS / "scenarios", kind="Plant")}
    wrong: dict[str, str] = {}

    def all_as_expected() -> bool:
        shown = {_identity(item): _shown(item.get("status", {})) for item in control_plane.request("GET", PLANTS)["items"]}
        wrong.clear()
        wrong.update({name: shown.get(name, "-") for name, expected in wanted.items() if shown.get(name) != expected})
        return not wrong

    try:
        wait_until(all_as_expected, SCENARIO_SECONDS, "every scenario to show its colour", every_seconds=0.5)
    except WaitTimeoutError as error:
        raise DevStackError(f"not every scenario shows its colour after {SCENARIO_SECONDS} s: {wrong}") from error


def _identity(plant: Mapping[str, Any]) -> str:
    return f"{plant['metadata']['namespace']}/{plant['metadata']['name']}"


def _shown(status: Mapping[str, Any]) -> str:
    """Status and reason, once the plant has been polled, if it ever is."""
    polled = "lastPollTime" in status or status.get("integrationStatus") in NEVER_POLLED
    return f"{status.get('health')} {status.get('reason')}" if polled else "not polled"


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):  # not listening yet, or not ready
        return False


# Files


def _new_secret(folder: Path) -> str:
    secret = secrets.token_urlsafe(48)
    write_private(folder / "jwt-secret", secret)
    return secret


def _write_env(folder: Path, servers: Servers, roles: list[Role], ports: Mapping[str, int]) -> None:
    """For `. .demo/env`, in any POSIX shell. Readable by us only, as it holds the servers' passwords."""
    api_port = next(role.env["API_PORT"] for role in roles if role.name == "api")
    values = {
        "KUBECONFIG": str(servers.control_plane.kubeconfig),
        "KUBECACHEDIR": str(folder / "kubernetes" / "kubectl-cache"),
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "API_URL": f"http://127.0.0.1:{api_port}",
        "METRICS_URLS": " ".join(f"http://127.0.0.1:{ports[role.name]}/metrics" for role in roles),
    }
    # With these a later `make demo` from the same shell knows that the two above are not the user's own servers.
    if servers.postgres:
        values["DEMO_DATABASE_URL"] = servers.database_url
    if servers.valkey:
        values["DEMO_REDIS_URL"] = servers.redis_url
    secret = shlex.quote(str(folder / "jwt-secret"))
    lines = [
        "# Written by `make demo`. Source it: it holds passwords, and mints an API token that is good for 15 minutes.",
        *(f"export {name}={shlex.quote(value)}" for name, value in values.items()),
        # Beside solarinvest lies the kubectl of the development requirements.
        f'export PATH={shlex.quote(str(_solarinvest().parent))}:"$PATH"',
        f'API_TOKEN="$(JWT_SECRET="$(cat {secret})" {shlex.quote(str(_solarinvest()))} token --role ADMIN --subject demo)"',
        "export API_TOKEN",
    ]
    write_private(folder / "env", "\n".join(lines) + "\n")


def _solarinvest() -> Path:
    return Path(sys.executable).parent / "solarinvest"


def _kubeconfig(folder: Path) -> Path:
    return folder / "kubernetes" / "admin.kubeconfig"


def _operator_kubeconfig(control_plane_folder: Path) -> Path:
    return control_plane_folder / "operator.kubeconfig"


# Ending


def _clean_up_stale(folder: Path, supervisor: Supervisor) -> None:
    """What a demo left that was killed, or rebooted away, or did not finish starting."""
    if not folder.exists():
        return
    with _step("clean up a former demo"):
        supervisor.shut_down()
        shutil.rmtree(folder)


def _undo(folder: Path, supervisor: Supervisor) -> None:
    """Ends what was started and keeps its logs. Not to be interrupted itself: it takes bounded time."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with console.status("ending what was started"):
        supervisor.shut_down()
    for entry in folder.iterdir() if folder.exists() else ():
        if entry == supervisor.logs:
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    console.print(f"No process is left. Logs: {supervisor.logs}", soft_wrap=True)


def _interrupt_starting(folder: Path) -> None:
    """Tells a `make demo` that is still at it to end, and to clean up. Its number may by now be some other process's."""
    try:
        pid = int((folder / "starting.pid").read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    if any(argument.endswith((b"hack.demo", b"demo.py")) for argument in arguments):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@contextlib.contextmanager
def _alone(folder: Path, bound_seconds: float) -> Iterator[bool]:
    """Whether we are the only one that starts or ends this demo. The lock is on the folder above, as the demo's own comes and goes;
    the kernel drops it when its holder dies."""
    descriptor = os.open(folder.parent, os.O_RDONLY)

    def taken() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        try:
            yield wait_until(taken, bound_seconds, "another make demo to end", every_seconds=0.2)
        except WaitTimeoutError:
            yield False
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal end a start as Ctrl-C does: with everything cleaned up. Ctrl-C itself too where it came ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# What a person sees


@contextlib.contextmanager
def _step(what: str) -> Iterator[Callable[[str], None]]:
    """Shows what is going on, and then how long it took. A note given replaces the duration."""
    notes: list[str] = []
    began = time.monotonic()
    with console.status(what):
        yield notes.append
    _print_step(what, time.monotonic() - began, *notes)


def _print_step(what: str, seconds: float, note: str | None = None) -> None:
    console.print(f"[green]✓[/] {what:<32} {escape(note) if note else f'{seconds:5.1f} s'}")


def _place(url: str) -> str:
    """Host and port of a URL, without its password."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _print_how_to_use(folder: Path) -> None:
    env = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    console.print(
        f"\n  . {shlex.quote(str(env / 'env'))}               then: kubectl get plants -w"
        "\n  make demo-status          processes, plants, logs"
        "\n  make demo-down            end it, remove its data",
        markup=False,
        soft_wrap=True,
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.demo", description="A whole running system on this machine.")
    parser.add_argument("command", choices=("up", "status", "down"))
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="where its state lies (default: .demo in the checkout)")
    chosen = parser.parse_args(arguments)
    commands = {"up": up, "status": status, "down": down}
    try:
        return commands[chosen.command](chosen.folder.resolve())
    except DevStackError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
