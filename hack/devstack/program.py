"""One process of the stack: how it is described (`Program`) and run as a child (`Process`).

Called by control_plane, postgres and valkey, and by tests/stack.py for `solarinvest` itself. The demo hands the same `Program`s
to supervisord instead (supervision.py).
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hack.devstack.waiting import wait_until


class DevStackError(Exception):
    """A part of the stack could not do what was asked; the message says which, why, and what a person can do."""


@dataclass(frozen=True)
class Program:
    """What to run. `folder` is the working directory; stdout and stderr are appended to `log`."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added to `base_environment()`: nothing else is inherited. Carries passwords, hence not in repr."""
    user: str | None = None
    """System user to run as (only where we are root and the program refuses to be)."""
    stop_signal: signal.Signals = signal.SIGTERM


def base_environment() -> dict[str, str]:
    """The little that every program inherits. Proxies, tokens and settings of the caller's shell stay out: a run is the same
    on every machine. TZ is UTC because Huey uses naive times."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    return {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1", **kept}


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, or a note that there is none."""
    if not log.exists():
        return f"(no log at {log})"
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 200 * lines))
        return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])


def family(pid: int) -> list[int]:
    """`pid` and its living descendants, parents first. Read from /proc: PostgreSQL's processes each lead a process group of
    their own, so a signal to the group would miss them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    members = [pid]
    for member in members:  # grows while it is walked: breadth first
        members.extend(children.get(member, ()))
    return members


def _parent(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text(errors="replace")
    except OSError:  # ended meanwhile
        return None
    return int(stat.rpartition(")")[2].split()[1])


def send(pid: int, number: signal.Signals) -> None:
    """Signals a process; one that has ended already is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


class Process:
    """A `Program` run as our child, in a session of its own. Not thread safe.

    It dies with us, also when we are killed: a test run leaves no server behind. (The kernel ties this to the *thread* that
    called `start`, so start from one that lasts.)
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Raises `DevStackError` before the first `start`."""
        if self._popen is None:
            raise DevStackError(f"{self.program.name} was not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """None while it runs (and before), -N when signal N ended it."""
        return None if self._popen is None else self._popen.poll()

    def start(self) -> None:
        if self.running:
            raise DevStackError(f"{self.program.name} runs already")
        program = self.program
        identity = pwd.getpwnam(program.user) if program.user else None
        with program.log.open("ab") as log:
            self._popen = subprocess.Popen(
                _dying_with_parent(program),
                cwd=program.folder,
                env={**base_environment(), **program.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=identity.pw_uid if identity else None,
                group=identity.pw_gid if identity else None,
                extra_groups=[] if identity else None,
            )

    def wait_ready(self, is_ready: Callable[[], bool], bound_seconds: float) -> None:
        """Waits until `is_ready`. Raises `DevStackError` with the last log lines if the program ends or the bound passes."""
        name = self.program.name
        try:
            wait_until(lambda: not self.running or is_ready(), bound_seconds, f"{name} to become ready")
        except TimeoutError as error:
            raise DevStackError(f"{error}. Last lines of its log:\n{tail(self.program.log)}") from error
        if not self.running:
            raise DevStackError(f"{name} ended with code {self.returncode}. Last lines of its log:\n{tail(self.program.log)}")

    def wait(self, bound_seconds: float) -> int:
        """The exit code, once it has ended by itself. Raises `WaitTimeoutError`."""
        wait_until(lambda: not self.running, bound_seconds, f"{self.program.name} to end")
        return self._popen.returncode if self._popen else 0

    def terminate(self) -> None:
        """Asks it to end, in its own way, and does not wait."""
        self.resume()  # a frozen process would not hear
        send(self.pid, self.program.stop_signal)

    def stop(self, bound_seconds: float = 20) -> None:
        """Asks it to end and kills it after `bound_seconds`."""
        if not self.running:
            return
        self.terminate()
        try:
            self.wait(bound_seconds)
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, to it and its descendants: what a machine does that runs out of memory."""
        if self._popen is None:
            return
        if self.running:
            for pid in family(self.pid):
                send(pid, signal.SIGKILL)
        self._popen.wait(timeout=10)

    def pause(self) -> None:
        """Freezes it with its descendants (SIGSTOP), itself first so that it makes no more of them."""
        send(self.pid, signal.SIGSTOP)
        for pid in family(self.pid)[1:]:
            send(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in reversed(family(self.pid)):
            send(pid, signal.SIGCONT)


def _dying_with_parent(program: Program) -> list[str]:
    """The command, through util-linux's setpriv where there is one: the kernel then sends the stop signal when we end, however.
    (In the child before exec, by `preexec_fn`, it could deadlock once we have threads.)"""
    setpriv = shutil.which("setpriv")
    return [*([setpriv, f"--pdeathsig={program.stop_signal.name}", "--"] if setpriv else []), *program.argv]
