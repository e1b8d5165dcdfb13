"""Brings a database to the schema of this version: `solarinvest migrate`, the test stack, and the checks of readyz and doctor."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from controller.storage.database import BoundedConnection, Secret, conninfo, translated_errors
from controller.storage.partitions import ensure_partitions

ADVISORY_LOCK = 0x501A_0001
"""Held while migrating, so that several may start at once: one works, the others find nothing left to do."""
WAIT_FOR_OTHERS_S = 120
LOCK_TIMEOUT_S = 5
"""Longest wait for a table lock: a migration must not queue up in front of the whole fleet's statements."""
STATEMENT_TIMEOUT_S = 300


class _Connection(BoundedConnection):
    frozen_after_s = STATEMENT_TIMEOUT_S + 15.0


def upgrade(database_url: str | Secret) -> None:
    """Runs what is missing, in order, and makes the partitions of the coming days. Idempotent; may run several times at once.

    Raises `StoreUnavailable` and `StoreRejected`.
    """
    with translated_errors(), _connection(database_url) as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        with raw.transaction():
            raw.execute(f"SET LOCAL lock_timeout = '{WAIT_FOR_OTHERS_S}s'")
            raw.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
        ensure_partitions(raw, datetime.now(UTC))
        raw.commit()


def current(database_url: str | Secret) -> str | None:
    """The revision that the database has, None before the first. Raises `StoreUnavailable`."""
    with translated_errors(), _connection(database_url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_current(database_url: str | Secret) -> bool:
    """Whether the database has this version's schema. Raises `StoreUnavailable`."""
    return current(database_url) == head()


def head() -> str | None:
    """The newest revision that this version knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


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
        creator=lambda: _Connection.connect(text, options=_options(text)),
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


def _options(text: str) -> str:
    given = psycopg.conninfo.conninfo_to_dict(text).get("options", "")
    return f"{given} -c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s"
