"""Hints of changed plants, as they are committed (NOTIFY). The mirror's loop waits on them; a scan is the net under them (PROTOCOL 27)."""

from uuid import UUID

import psycopg

from controller.storage.database import BoundedConnection, Database, translated_errors

CHANNEL = "plant_changed"


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
    """What arrives until something has arrived, and whatever has arrived with it."""
    first = [notification.payload for notification in connection.notifies(timeout=timeout_s, stop_after=1)]
    if not first and connection.closed:
        raise psycopg.OperationalError("the connection was closed")
    return first + [notification.payload for notification in connection.notifies(timeout=0)] if first else []
