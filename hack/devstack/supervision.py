"""The demo's processes under supervisord (the package `supervisor`), which starts them again when they die, as Kubernetes would.

Called by hack/demo.py only. Everything lies in one folder, and every process carries that folder's path in its environment
(`MARK`), so that also what outlived a killed supervisord is found and ended, and nothing else is.
"""

import contextlib
import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.devstack.control_plane import write_private
from hack.devstack.program import DevStackError, Program, base_environment, send, tail
from hack.devstack.waiting import WaitTimeoutError, wait_until

MARK = "SOLARINVEST_DEMO"
STOP_SECONDS = 15
"""What each program gets to finish in before SIGKILL: a worker finishes the polls it has taken."""
START_SECONDS = 15
CALL_SECONDS = 5
TRIES = 60
"""Restarts in a row of a program that dies at once; supervisord waits a second longer before each, so this is half an hour."""
GIVE_UP_AFTER = 3
"""While starting, a program that died this often is taken for broken, and said so at once."""
SOCKET_PATH_MAX = 100
"""Unix allows 107 bytes for a socket's path."""


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says of a program. `state` is one of its own words (RUNNING, BACKOFF, FATAL, ...)."""

    name: str
    state: str
    pid: int
    started_at: float
    description: str


@dataclass(frozen=True)
class Group:
    """Programs that are stopped together; groups stop one after the other, the last first."""

    name: str
    programs: Sequence[Program]


class Supervisor:
    """supervisord in `folder`, whether it runs or not: several of these may look at the same one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self._address = folder / "supervisor.address"
        """Holds the socket's path, which is elsewhere when this folder's path is too long for a socket."""
        self._launched: subprocess.Popen[bytes] | None = None
        """supervisord, if it is our child; it goes on when we end."""

    # Life

    def launch(self, groups: Sequence[Group]) -> None:
        """Starts supervisord itself; of the programs none runs until `start`. Raises `DevStackError` if it does not answer."""
        self.logs.mkdir(mode=0o700, exist_ok=True)
        socket_path = self.folder / "supervisor.sock"
        if len(os.fsencode(socket_path)) > SOCKET_PATH_MAX:
            socket_path = Path(tempfile.mkdtemp(prefix="solarinvest-demo-")) / "supervisor.sock"
        write_private(self._address, str(socket_path))
        configuration = self.folder / "supervisord.conf"
        write_private(configuration, self._configuration(groups, socket_path))
        log = self.logs / "supervisord.log"
        with log.open("ab") as output:
            self._launched = process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(configuration)],
                cwd=self.folder,
                env={**base_environment(), MARK: str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C and a closed terminal are not for it
            )
        try:
            wait_until(lambda: process.poll() is not None or self.alive(), START_SECONDS, "supervisord to answer")
        except WaitTimeoutError as error:
            raise DevStackError(f"{error}. Last lines of its log:\n{tail(log)}") from error
        if process.poll() is not None:
            raise DevStackError(f"supervisord ended with code {process.returncode}. Last lines of its log:\n{tail(log)}")

    def alive(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def start(self, name: str, is_ready: Callable[[], bool], bound_seconds: float) -> None:
        """`begin` and `wait_ready`."""
        self.begin(name)
        self.wait_ready(name, is_ready, bound_seconds)

    def begin(self, name: str) -> None:
        """Starts a program and does not wait."""
        self._call("startProcess", self._full_name(name), False)

    def wait_ready(self, name: str, is_ready: Callable[[], bool], bound_seconds: float) -> None:
        """Waits until `is_ready`. Raises `DevStackError` with the program's last log lines if that does not come about."""
        deaths: set[float] = set()

        def settled() -> bool:
            state = self.state(name)
            if state.state in ("BACKOFF", "FATAL", "EXITED"):
                deaths.add(state.started_at)
            return len(deaths) >= GIVE_UP_AFTER or state.state == "FATAL" or (state.state in ("STARTING", "RUNNING") and is_ready())

        try:
            wait_until(settled, bound_seconds, f"{name} to become ready", every_seconds=0.1)
        except WaitTimeoutError as error:
            raise DevStackError(f"{error}. Last lines of {self.log_of(name)}:\n{tail(self.log_of(name))}") from error
        if len(deaths) >= GIVE_UP_AFTER or self.state(name).state == "FATAL":
            raise DevStackError(f"{name} keeps dying. Last lines of {self.log_of(name)}:\n{tail(self.log_of(name))}")

    def states(self) -> list[ProgramState]:
        """Of every program. Raises `DevStackError` if supervisord does not answer."""
        try:
            answers = self._call("getAllProcessInfo")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise DevStackError(f"supervisord does not answer: {error}") from error
        return [ProgramState(str(a["name"]), str(a["statename"]), int(a["pid"]), float(a["start"]), str(a["description"])) for a in answers]

    def state(self, name: str) -> ProgramState:
        return next(state for state in self.states() if state.name == name)

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def shut_down(self) -> None:
        """Ends every program and supervisord, by asking, then by force. Raises `DevStackError` if something is left even so."""
        if self.alive():
            groups = len({state["group"] for state in self._call("getAllProcessInfo")})
            self._call("shutdown")
            with contextlib.suppress(WaitTimeoutError):  # what is left is ended by force below
                wait_until(lambda: not self.processes(), (groups + 1) * STOP_SECONDS, "the demo's processes to end", every_seconds=0.2)
        for _ in range(5):  # a killed parent may have had a child that we did not see yet
            for pid in self.processes():
                send(pid, signal.SIGKILL)
            try:
                wait_until(lambda: not self.processes(), 2, "killed processes to be gone")
                break
            except WaitTimeoutError:
                continue
        if left := self.processes():
            raise DevStackError(f"these processes of the demo cannot be ended: {left}")
        if self._launched is not None:
            self._launched.wait(timeout=5)
        self._remove_socket_folder()

    def processes(self) -> list[int]:
        """Every living process of this demo, whoever its parent is now."""
        own = os.getpid()
        return [
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != own and self._owns(entry)
        ]

    def _owns(self, entry: Path) -> bool:
        try:
            if f"{MARK}={self.folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                return True
            # PostgreSQL writes its title over its environment, but works in its data folder.
            return (entry / "comm").read_text().startswith("postgres") and (entry / "cwd").readlink().is_relative_to(self.folder)
        except OSError:  # ended meanwhile, or another user's
            return False

    def _remove_socket_folder(self) -> None:
        if not self._address.exists():
            return
        socket_path = Path(self._address.read_text())
        socket_path.unlink(missing_ok=True)
        if socket_path.parent != self.folder and socket_path.parent.exists():
            socket_path.parent.rmdir()

    # supervisord's interfaces

    def _full_name(self, name: str) -> str:
        return next(f"{answer['group']}:{name}" for answer in self._call("getAllProcessInfo") if answer["name"] == name)

    def _call(self, method: str, *arguments: object) -> Any:
        if not self._address.exists():
            raise ConnectionRefusedError(f"no supervisord in {self.folder}")
        with xmlrpc.client.ServerProxy("http://supervisor", transport=_UnixTransport(self._address.read_text())) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _configuration(self, groups: Sequence[Group], socket_path: Path) -> str:
        sections = [
            f"[unix_http_server]\nfile={_escaped(str(socket_path))}\nchmod=0600\n",
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
            "[supervisord]\n"
            f"logfile={_escaped(str(self.logs / 'supervisord.log'))}\n"
            f"pidfile={_escaped(str(self.folder / 'supervisord.pid'))}\n"
            f"childlogdir={_escaped(str(self.logs))}\n"
            "silent=true\n"  # its log has it all; else stdout would bring every line there a second time
            "umask=077\n" + ("user=root\n" if os.geteuid() == 0 else ""),
        ]
        for number, group in enumerate(groups):
            names = ",".join(program.name for program in group.programs)
            sections.append(f"[group:{group.name}]\nprograms={names}\npriority={number}\n")
            sections.extend(self._section(program) for program in group.programs)
        return "\n".join(sections)

    def _section(self, program: Program) -> str:
        environment = ",".join(f'{name}="{_escaped(value)}"' for name, value in program.env.items())
        if environment.count('"') != 2 * len(program.env):
            raise DevStackError(f"supervisord takes no quotation marks in an environment, and {program.name} has one")
        settings = {
            "command": _escaped(shlex.join(program.argv)),
            "directory": _escaped(str(program.folder)),
            "environment": environment,
            "stdout_logfile": _escaped(str(self.log_of(program.name))),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "1",
            "redirect_stderr": "true",
            "autostart": "false",
            "autorestart": "true",
            "startsecs": "1",
            "startretries": str(TRIES),
            "stopsignal": program.stop_signal.name.removeprefix("SIG"),
            "stopwaitsecs": str(STOP_SECONDS),
            "killasgroup": "true",
            **({"user": program.user} if program.user else {}),
        }
        return f"[program:{program.name}]\n" + "".join(f"{key}={value}\n" for key, value in settings.items() if value)


def _escaped(value: str) -> str:
    """supervisord expands % in its configuration, and takes what follows a blank and ; or # for a comment."""
    if "\n" in value or " ;" in value or " #" in value:
        raise DevStackError(f"supervisord cannot take this in its configuration, use another folder: {value!r}")
    return value.replace("%", "%%")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("supervisor", timeout=CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CALL_SECONDS)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        self.sock = connection


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket, with a bound; supervisor's own transport waits for ever."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = (None, connection)  # where `close` looks for it
        return connection
