"""Connections to Postgres: bounded in every wait, and the one place where psycopg's exceptions become ours.

Composed in `cli`, used by `PostgresStore` and `ChangeListener`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.array import ListBinaryDumper
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool

from controller.domain.errors import StoreRejected, StoreUnavailable

T = TypeVar("T")
Row = tuple[Any, ...]

CONNECT_TIMEOUT_S = 5
CHECKOUT_TIMEOUT_S = 5.0
"""Longest wait for a connection of the pool, a new one included."""
STATEMENT_TIMEOUT_S = 10
"""A batch of hundreds of plants takes tens of milliseconds; a statement that needs this long is in trouble."""
FROZEN_AFTER_S = 15.0
"""A stopped server answers to no timeout of its own: the client gives up, a little after the server should have."""
LOCK_TIMEOUT_S = 3
IDLE_IN_TRANSACTION_TIMEOUT_S = 5
"""Both from PROTOCOL 7."""
REPEATS = 4
"""How often a statement that lost a deadlock is tried (PROTOCOL 7)."""
_RECONNECT_FOR_S = 2.0
"""How long the pool tries by itself before it leaves the next attempt to the next caller: its own pauses grow, callers' do not."""

_SESSION = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s "
    f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_S}s "
    # Plans here are worth microseconds: compiling them costs more. Instants leave the server as UTC.
    "-c jit=off -c TimeZone=UTC"
)

_CAUSES = {
    "password authentication failed": "the server refuses this user or password",
    "no password supplied": "the server wants a password",
    "no pg_hba.conf entry": "the server does not let this user in from this address, or not without TLS",
    "does not exist": "the server has no such database or user",
    "connection refused": "nothing listens at this address",
    "name or service not known": "the host name is not known",
    "temporary failure in name resolution": "the host name cannot be looked up now",
    "could not translate host name": "the host name is not known",
    "timeout": "the server does not answer in time",
    "too many": "the server has no connection left",
    "starting up": "the server is still starting",
    "certificate": "the server's certificate is not accepted",
}
"""What libpq's messages come down to. Their own text stays here: it may quote what was given."""


class Secret(Protocol):
    """What pydantic's SecretStr offers: text that is not printed by accident."""

    def get_secret_value(self) -> str: ...


class BoundedConnection(psycopg.Connection[Row]):
    """A connection on which no single exchange with the server lasts longer than `frozen_after_s`; then it is closed."""

    frozen_after_s = FROZEN_AFTER_S

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval=interval, timeout=timeout)
        try:
            return super().wait(gen, interval=interval, timeout=self.frozen_after_s)
        except errors._WaitTimeout:  # noqa: SLF001 - "callers should handle it", says its docstring
            # The protocol is in the middle of a message: of no use to anybody any more.
            self.pgconn.finish()
            raise psycopg.OperationalError("no answer in time") from None


def conninfo(url: str | Secret, application_name: str) -> str:
    """libpq's form of `postgresql://…` or `postgresql+psycopg://…`, with keepalives and every session bound (PROTOCOL 7) added.

    Raises `ValueError`, without the url, where it is none.
    """
    text = url if isinstance(url, str) else url.get_secret_value()
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError("A database url begins with postgresql:// or postgresql+psycopg://")
    try:
        given = conninfo_to_dict(f"postgresql://{rest}")
    except psycopg.ProgrammingError:
        raise ValueError("The database url cannot be parsed") from None
    options = " ".join(part for part in (_SESSION, str(given.pop("options", "") or "")) if part)
    bounds: dict[str, Any] = {
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "client_encoding": "UTF8",
    }
    return make_conninfo("", **{**bounds, **given, "options": options})


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raises `StoreUnavailable` and `StoreRejected` for psycopg's exceptions, with nothing of their text: it quotes bound values."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise StoreRejected(_name(error)) from None
    except UnicodeEncodeError:
        raise StoreRejected("UnicodeEncodeError") from None
    except psycopg.Error as error:
        raise StoreUnavailable(_name(error)) from None


def _name(error: psycopg.Error) -> str:
    return type(error).__name__ if error.sqlstate is None else f"{type(error).__name__} ({error.sqlstate})"


def connect_cause(error: psycopg.Error) -> str:
    """Why no connection was made, in words of ours."""
    lowered = str(error).lower()
    return next((cause for words, cause in _CAUSES.items() if words in lowered), "the server cannot be reached")


class Database:
    """A pool of autocommit connections to one Postgres database. Thread-safe. Opens connections on first use, not before.

    `url` is `postgresql://…` or `postgresql+psycopg://…`; `application_name` is what pg_stat_activity shows.
    """

    def __init__(self, url: str | Secret, application_name: str, max_connections: int = 4) -> None:
        self._conninfo = conninfo(url, application_name)
        self._pool: ConnectionPool[BoundedConnection] = ConnectionPool(
            self._conninfo,
            connection_class=BoundedConnection,
            kwargs={"autocommit": True},
            min_size=0,
            max_size=max_connections,
            open=True,
            configure=configure,
            # A round trip more, so that a server's restart fails no statement that came after it.
            check=ConnectionPool.check_connection,
            timeout=CHECKOUT_TIMEOUT_S,
            reconnect_timeout=_RECONNECT_FOR_S,
            num_workers=1,
        )

    def run(self, work: Callable[[BoundedConnection], T]) -> T:
        """What `work` returns, called with a connection in autocommit; again, up to `REPEATS` times in all, after a deadlock.

        `work` opens its own transaction where it needs one. Raises `StoreUnavailable` and `StoreRejected`.
        """
        with translated_errors():
            for _ in range(REPEATS - 1):
                try:
                    return self._once(work)
                except (errors.DeadlockDetected, errors.SerializationFailure):
                    continue
            return self._once(work)

    def connect(self) -> BoundedConnection:
        """A connection outside the pool, for the caller to close. Raises `StoreUnavailable`."""
        with translated_errors():
            return BoundedConnection.connect(self._conninfo, autocommit=True)

    def is_reachable(self) -> bool:
        """Whether the database answers a query now, within the bounds of `run`."""
        try:
            self.run(lambda connection: connection.execute("SELECT 1"))
        except StoreUnavailable:
            return False
        return True

    def close(self) -> None:
        """Closes the pool. Running statements end by their own bounds."""
        self._pool.close(timeout=CHECKOUT_TIMEOUT_S)

    def _once(self, work: Callable[[BoundedConnection], T]) -> T:
        with self._pool.connection() as connection:
            return work(connection)


def configure(connection: BoundedConnection) -> None:
    """Prepares a new connection for statements that answer in JSON."""
    # Whole plants come back as one JSON text each: msgspec decodes them straight into structs, psycopg must not decode before.
    set_json_loads(_untouched, connection)
    # Hundreds of ids and instants a statement: as texts, each quoted in Python, they cost psycopg five times as much.
    connection.adapters.register_dumper(list, ListBinaryDumper)
    # Every statement is one of a few dozen constants: prepared at its first use.
    connection.prepare_threshold = 0


def _untouched(text: str | bytes) -> str | bytes:
    return text
