"""Sessions for reading only: the read API's way to Postgres. They fail at once where the database is away, and cannot write.

Composed in `cli`, used by `Reads`. The pool of `Database` waits for a connection that somebody else is making; here whoever needs one
makes it, and so hears within milliseconds that nobody listens.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from controller.domain.errors import StoreUnavailable
from controller.storage.database import BoundedConnection, Secret, configure, conninfo, translated_errors

log = structlog.get_logger()
T = TypeVar("T")

STATEMENT_TIMEOUT_S = 2
CONNECT_TIMEOUT_S = 2
"""libpq knows no shorter one."""
QUEUE_FOR_S = 1.0
"""Longest wait for one of the sessions: when all of them are busy for that long, waiting longer only makes the queue longer."""
AWAY_FOR_S = 1.0
"""After a connection that failed, nobody tries again for so long: requests are answered at once."""
TRIAL_S = 6.0
"""Longest that one attempt at a server that was away may last: to connect, and to answer."""
ANSWERED_FOR_S = 1.0
"""A database that has just answered somebody is taken for reachable for so long: probes by anybody cost it nothing."""
STALE_WITHIN_S = 0.5
"""An idle session that a restart of the server has ended fails within this; one that takes longer says that the server hangs."""

_OPTIONS = " ".join(
    f"-c {option}"
    for option in (
        "default_transaction_read_only=on",
        f"statement_timeout={STATEMENT_TIMEOUT_S}s",
        # A statement has one text for all filters and is planned for those that are set: only then their columns are looked up in an index.
        "plan_cache_mode=force_custom_plan",
        # Each statement has an index that bounds what it reads; a plan that reads a table through looks cheaper only to a guess.
        "enable_seqscan=off",
        "enable_bitmapscan=off",
        # Else the planner takes a row that was read once for cached, and prefers the small key to the index that holds the filters.
        "effective_cache_size=1MB",
    )
)


class ReadSession(BoundedConnection):
    """A connection that cannot write, on which no exchange lasts longer than a little more than the statement timeout."""

    frozen_after_s = STATEMENT_TIMEOUT_S + 1.0


class ReadSessions:
    """Up to `max_sessions` autocommit sessions on one database. Thread-safe. Opens them when they are needed, not before."""

    def __init__(self, url: str | Secret, application_name: str, max_sessions: int = 8) -> None:
        self._conninfo = _read_only(conninfo(url, application_name))
        self._idle: deque[ReadSession] = deque()
        self._places = threading.BoundedSemaphore(max_sessions)
        self._away_until = self._answered_until = 0.0
        self._is_failing = False

    def run(self, work: Callable[[ReadSession], T]) -> T:
        """What `work` returns, called with a session; again with a fresh one if the first had ended while it was idle.

        Raises `StoreUnavailable`, at once while the database is known to be away, and `StoreRejected`.
        """
        if time.monotonic() < self._away_until:
            raise StoreUnavailable("away a moment ago")
        if self._is_failing:
            # This one tries; the others shall not wait for the same.
            self._away_until = time.monotonic() + TRIAL_S
        if not self._places.acquire(timeout=QUEUE_FOR_S):
            raise StoreUnavailable("all sessions are busy")
        try:
            with translated_errors():
                found = self._on_some_session(work)
            self._answered_until = time.monotonic() + ANSWERED_FOR_S
            return found
        finally:
            self._places.release()

    def is_reachable(self) -> bool:
        """Whether the database answers a query, now or a moment ago."""
        if time.monotonic() < self._answered_until:
            return True
        try:
            self.run(lambda session: session.execute("SELECT 1"))
        except StoreUnavailable:
            return False
        return True

    def close(self) -> None:
        """Closes the idle sessions."""
        while (session := self._take_idle()) is not None:
            session.close()

    def _on_some_session(self, work: Callable[[ReadSession], T]) -> T:
        began = time.monotonic()
        idle = self._take_idle()
        if idle is not None:
            try:
                return self._on(idle, work)
            except psycopg.OperationalError:
                if not idle.closed:
                    raise
                # The others have most likely ended with it.
                self.close()
                if time.monotonic() - began > STALE_WITHIN_S:
                    self._note_away()
                    raise
        fresh = self._connect()
        try:
            return self._on(fresh, work)
        finally:
            if fresh.closed:
                self._note_away()

    def _on(self, session: ReadSession, work: Callable[[ReadSession], T]) -> T:
        try:
            return work(session)
        finally:
            if not session.closed:
                # Whatever it answered, it is there.
                self._is_failing, self._away_until = False, 0.0
                self._idle.append(session)

    def _take_idle(self) -> ReadSession | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self) -> ReadSession:
        try:
            session = ReadSession.connect(self._conninfo, autocommit=True)
        except psycopg.OperationalError:
            self._note_away()
            raise
        configure(session)
        return session

    def _note_away(self) -> None:
        log.warning("database_away", tried_again_in_s=AWAY_FOR_S)
        self._is_failing, self._answered_until = True, 0.0
        self._away_until = time.monotonic() + AWAY_FOR_S


def _read_only(text: str) -> str:
    """With our bounds after those that the url and `conninfo` set: the last one counts."""
    given = str(conninfo_to_dict(text).get("options", ""))
    return make_conninfo(text, options=f"{given} {_OPTIONS}", connect_timeout=CONNECT_TIMEOUT_S)
