"""Brings a database to the schema of this version: `solarinvest migrate`, the test stack, and the checks of readyz and doctor."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from controller.domain.errors import StoreUnavailable
from controller.storage.database import BoundedConnection, Secret, connect_cause, conninfo, translated_errors
from controller.storage.partitions import ensure_partitions

ADVISORY_LOCK = 0x501A_0001
"""Held while migrating, so that several may start at once: one works, the others find nothing left to do."""
WAIT_FOR_OTHERS_S = 120
LOCK_TIMEOUT_S = 5
"""Longest wait for a table lock: a migration must not queue up in front of the whole fleet's statements."""
STATEMENT_TIMEOUT_S = 300
RETRY_EVERY_S = 1.0

log = structlog.get_logger()


class _Connection(BoundedConnection):
    frozen_after_s = STATEMENT_TIMEOUT_S + 15.0


def upgrade(database_url: str | Secret) -> None:
    """Runs what is missing, in order, and makes the partitions of the coming days. Idempotent; may run several times at once.

    A schema of a later version is left as it is: migrations only expand what this version uses, so a rollback needs none.
    Raises `StoreUnavailable` and `StoreRejected`.
    """
    with translated_errors(), _connection(database_url) as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        with raw.transaction():
            raw.execute(f"SET LOCAL lock_timeout = '{WAIT_FOR_OTHERS_S}s'")
            raw.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        is_done = _is_at_least(_revision(connection), head())
        connection.rollback()
        if not is_done:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        connection.commit()
        ensure_partitions(raw, datetime.now(UTC))
        raw.commit()


def upgrade_when_reachable(database_url: str | Secret, timeout_s: float) -> None:
    """`upgrade`, tried again for up to `timeout_s` while the database is not up yet or a table is locked.

    Raises the last `StoreUnavailable`, and `StoreRejected` at once.
    """

    def upgraded() -> bool:
        upgrade(database_url)
        return True

    _retried(upgraded, timeout_s)


def wait_until_current(database_url: str | Secret, timeout_s: float) -> None:
    """Returns once the schema is at least this version's, and changes nothing.

    Raises `TimeoutError` where the database answers and its schema is still older, else the last `StoreUnavailable`.
    """
    if not _retried(lambda: is_current(database_url), timeout_s):
        raise TimeoutError(f"the schema is still at {current(database_url) or 'nothing'}, and this version needs {head()}")


def current(database_url: str | Secret) -> str | None:
    """The revision that the database has, None before the first. Raises `StoreUnavailable`."""
    with translated_errors(), _connection(database_url) as connection:
        return _revision(connection)


def is_current(database_url: str | Secret) -> bool:
    """Whether the database has this version's schema or a later one. Raises `StoreUnavailable`."""
    return _is_at_least(current(database_url), head())


def head() -> str:
    """The newest revision that this version knows."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _is_at_least(revision: str | None, needed: str) -> bool:
    """Revisions are numbers of four digits, in one line: a later version's is told by its number, also where we do not know it."""
    return revision is not None and int(revision) >= int(needed)


def _retried(attempt: Callable[[], bool], timeout_s: float) -> bool:
    """What the last attempt returned: the first that was true, or the first after the deadline. Raises what that one raised."""
    deadline = time.monotonic() + timeout_s
    told: str | None = None
    while True:
        last = time.monotonic() >= deadline
        try:
            if attempt():
                return True
            if last:
                return False
            waits_for = "migrations of this version"
        except StoreUnavailable as error:
            if last:
                raise
            waits_for = str(error)
        if waits_for != told:
            told = waits_for
            log.warning("waiting_for_the_database", waits_for=waits_for, timeout_s=timeout_s)
        time.sleep(RETRY_EVERY_S)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@contextmanager
def _connection(database_url: str | Secret) -> Iterator[sa.Connection]:
    """A connection of its own, whose end releases the advisory lock. SQLAlchemy's wrapping of psycopg's errors is taken off again."""
    text = conninfo(database_url, "solarinvest-migrate")
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _connect(text),
        poolclass=sa.NullPool,
        hide_parameters=True,
    )
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from None
        raise
    finally:
        engine.dispose()


def _connect(text: str) -> "_Connection":
    try:
        return _Connection.connect(text, options=_options(text))
    except psycopg.Error as error:
        raise StoreUnavailable(connect_cause(error)) from None


def _options(text: str) -> str:
    given = psycopg.conninfo.conninfo_to_dict(text).get("options", "")
    return f"{given} -c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s"
