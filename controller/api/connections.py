"""Connections of the read API: bounded in number, in what may be sent before a request is complete, and in how long anything may take.

uvicorn's own HTTP/1.1 protocol, with what it leaves open: it waits for ever for a request line, and for a client that does not read.
"""

import asyncio
import sys
from collections.abc import Mapping
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from controller.api.front import Front
from controller.api.problems import NO_HEADERS, Problem, encoded, raw_headers

CONNECTIONS_MAX = 512
"""Each may hold up to 80 kB of what was sent; the usual bound on open files is 1,024."""
REQUEST_WITHIN_S = 10.0
"""From the connection, or the first byte of the next request, to the end of its header: slow clients hold a place no longer."""
READ_WITHIN_S = 30.0
"""Longest that a client may take to read an answer after it was written."""
HEAD_BYTES_MAX = 16_384
"""Of request line and header together; within it, `front` says which of both is too long."""
_BAD_TOKENS, _COME_AGAIN = "Too many bad tokens from this address", {"Retry-After": "1"}
_TOO_MANY = Problem(HTTPStatus.TOO_MANY_REQUESTS.phrase, HTTPStatus.TOO_MANY_REQUESTS, _BAD_TOKENS)
_UNREAD = b"\r\n".join(
    (
        b"HTTP/1.1 429 Too Many Requests",
        *(name + b": " + value for name, value in raw_headers(_TOO_MANY, _COME_AGAIN)),
        b"",
        encoded(_TOO_MANY),
    )
)


class BoundedProtocol(H11Protocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None
    quiet_since = 0.0
    """When it was made, or its last answer was written, in the loop's time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.quiet_since = self.loop.time()
        if len(self.connections) > CONNECTIONS_MAX and not self._make_room():
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections")
            return
        self._within(REQUEST_WITHIN_S)

    def data_received(self, data: bytes) -> None:
        if isinstance(self.config.app, Front) and self._is_refused_unread(self.config.app):
            self._refuse_unread(self.config.app, data)
            return
        super().data_received(data)
        if self.is_answering:
            # While an answer before it has not been read, more bytes do not put the end off.
            if self.transport.get_write_buffer_size() == 0:
                self._within(None)
        elif self._deadline is None and not self.transport.is_closing():
            self._within(REQUEST_WITHIN_S)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.quiet_since = self.loop.time()
        if self.transport.is_closing() or self.transport.get_write_buffer_size() > 0:
            self._within(READ_WITHIN_S)
        elif self.conn.trailing_data[0] and not self.is_answering:
            # The next request has begun already.
            self._within(REQUEST_WITHIN_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Called where h11 refuses what came; the error on its way says with which status."""
        error = sys.exc_info()[1]
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else HTTPStatus.BAD_REQUEST
        # An encoding that h11 does not know is its 501; nothing of ours has failed.
        self._refuse(HTTPStatus(hint) if hint < HTTPStatus.INTERNAL_SERVER_ERROR else HTTPStatus.BAD_REQUEST, msg)

    @property
    def is_answering(self) -> bool:
        """Whether a request of this connection is in work."""
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> bool:
        """Ends the connection that has asked for nothing for the longest time, so that nobody keeps others out by holding connections."""
        others = (other for other in self.connections if isinstance(other, BoundedProtocol) and other is not self)
        idle = min((other for other in others if not other.is_answering), key=lambda other: other.quiet_since, default=None)
        if idle is None:
            return False
        idle.transport.abort()
        return True

    def _within(self, seconds: float | None) -> None:
        """The connection is cut off after so long; None: no more."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)

    def _is_refused_unread(self, front: Front) -> bool:
        """Not while a request that came before is in work: its answer is owed."""
        return not self.is_answering and self.client is not None and not front.doors.admits(self.client[0])

    def _refuse_unread(self, front: Front, data: bytes) -> None:
        """429 at a fraction of what parsing costs. The connection stays where that is safe: a new one costs the most."""
        may_stay = _is_one_plain_get(data) and self.conn.our_state is h11.IDLE and not self.conn.trailing_data[0]
        if not may_stay or self.transport.get_write_buffer_size() > 0:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, _BAD_TOKENS, _COME_AGAIN)
            return
        self.transport.write(_UNREAD)
        front.count_unread(HTTPStatus.TOO_MANY_REQUESTS)
        self.quiet_since = self.loop.time()
        self._within(REQUEST_WITHIN_S)

    def _refuse(self, status: HTTPStatus, detail: str, more: Mapping[str, str] = NO_HEADERS) -> None:
        """An answer and the end of the connection. Where another answer is on its way, only the end."""
        if isinstance(self.config.app, Front):
            self.config.app.count_unread(status)
        if self.is_answering:
            self.cycle.disconnected = True
        elif self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            problem = Problem(status.phrase, status, detail)
            headers = [*raw_headers(problem, more), (b"connection", b"close")]
            events = (h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()), h11.Data(encoded(problem)))
            for event in (*events, h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._within(READ_WITHIN_S)


def _is_one_plain_get(data: bytes) -> bool:
    """Whether these bytes are one whole request without a body, told without parsing; when in doubt, no."""
    if not (data.startswith(b"GET ") and data.endswith(b"\r\n\r\n") and data.count(b"\n\r\n") == 1 and b"\n\n" not in data):
        return False
    lower = data.lower()
    return b"content-length" not in lower and b"transfer-encoding" not in lower
