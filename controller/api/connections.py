"""Connections of the read API: bounded in number, in what may be sent before a request is complete, and in how long anything may take.

uvicorn's own HTTP/1.1 protocol, with what it leaves open: it waits for ever for a request line, and for a client that does not read.
"""

import asyncio
import sys
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from controller.api.front import Front
from controller.api.problems import Problem, encoded, raw_headers

CONNECTIONS_MAX = 512
"""Each may hold up to 80 kB of what was sent; the usual bound on open files is 1,024."""
REQUEST_WITHIN_S = 10.0
"""From the connection, or the first byte of the next request, to the end of its header: slow clients hold a place no longer."""
READ_WITHIN_S = 30.0
"""Longest that a client may take to read an answer after it was written."""
HEAD_BYTES_MAX = 16_384
"""Of request line and header together; within it, `front` says which of both is too long."""


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

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """An answer and the end of the connection. Where another answer is on its way, only the end."""
        if isinstance(self.config.app, Front):
            self.config.app.count_unread(status)
        if self.is_answering:
            self.cycle.disconnected = True
        elif self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            problem = Problem(status.phrase, status, detail)
            headers = [*raw_headers(problem), (b"connection", b"close")]
            events = (h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()), h11.Data(encoded(problem)))
            for event in (*events, h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._within(READ_WITHIN_S)
