"""Hints of changed plants, as they are committed (NOTIFY). The mirror's loop waits on them; a scan is the net under them (PROTOCOL 27)."""

from collections.abc import Iterator
from itertools import chain
from uuid import UUID

import psycopg

from controller.storage.database import BoundedConnection, Database, translated_errors

CHANNEL = "plant_changed"
READS = 1_000
"""At most so many reads for one answer: some 16 MB, or the changes of 400,000 plants."""


class ChangeListener:
    """Waits for changes on a connection of its own. For one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: BoundedConnection | None = None

    def wait_for_changes(self, timeout_s: float) -> set[UUID] | None:
        """The plants whose change was announced within `timeout_s`, as soon as there are any; an empty set when the time is up.

        None: announcements may have been missed (a new connection, or an unreadable one): scan. Raises `StoreUnavailable`; the next call
        connects anew.
        """
        if self._connection is None:
            self._connection = self._listening()
            return None
        try:
            with translated_errors():
                payloads = _payloads(self._connection, timeout_s)
        except BaseException:
            self.close()
            raise
        try:
            return {UUID(text) for payload in payloads for text in payload.split(",")}
        except ValueError:
            return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listening(self) -> BoundedConnection:
        connection = self._database.connect()
        with translated_errors():
            try:
                connection.execute(f"LISTEN {CHANNEL}")
            except BaseException:
                connection.close()
                raise
        return connection


def _payloads(connection: BoundedConnection, timeout_s: float) -> list[str]:
    """What arrives until something has arrived, and all that is there by then.

    A read brings 16 KB or so. What stays unread fills the connection, until the server's side of it waits to send: in a transaction, for
    whose sake no dead row of any table is removed.
    """
    first = [notification.payload for notification in connection.notifies(timeout=timeout_s, stop_after=1)]
    if not first and connection.closed:
        raise psycopg.OperationalError("the connection was closed")
    return first + list(chain.from_iterable(_reads(connection))) if first else []


def _reads(connection: BoundedConnection) -> Iterator[list[str]]:
    """What is there, read by read."""
    for _ in range(READS):
        payloads = [notification.payload for notification in connection.notifies(timeout=0)]
        if not payloads:
            return
        yield payloads
