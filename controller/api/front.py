"""What every request passes before it is routed: bounds on its size, and one count and one set of headers for every answer.

Pure ASGI, around the Litestar application. What it refuses costs nothing: it is answered before anything is parsed or looked up.
"""

import time
from http import HTTPStatus
from typing import cast

import structlog
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from controller.api.doors import Doors
from controller.api.problems import ProblemError, encoded, raw_headers, unavailable
from controller.metrics import Metrics

log = structlog.get_logger()

URL_MAX = 2_048
"""Bytes of path and query; the longest that makes sense has about 300."""
HEADERS_MAX, HEADERS_BYTES_MAX = 64, 8_192
"""How many, and all their bytes together."""
BODY_MAX = 16_384
"""Bytes that a request may announce: no route reads a body."""
AT_ONCE_MAX = 256
"""Requests in work; one more is told to come again, rather than to wait behind all of them."""

_SAFE = [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")]
_CLOSE = (b"connection", b"close")
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"})
OTHER = "other"


class Front:
    """Wraps `app`. `routes` are the paths by which requests are counted, as in /api/v1/plants/{plant_id}."""

    def __init__(self, app: ASGIApp, routes: tuple[str, ...], metrics: Metrics, doors: Doors) -> None:
        """`doors` tell `connections` whose requests are not to be read."""
        self.doors = doors
        self._app = app
        self._routes = [(route, route.split("/")) for route in routes]
        self._metrics = metrics
        self._at_once = 0

    def count_unread(self, status: int) -> None:
        """A request that was refused before it could be read: it has no route."""
        self._metrics.record_api_request(OTHER, OTHER, status, 0.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # uvicorn is told to speak HTTP only: no lifespan, no WebSockets.
        await self._answer(cast("HTTPScope", scope), receive, send)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        answer = _Answer(send, closes=_has_body(scope))
        self._at_once += 1
        try:
            refusal = _refusal(scope) or (unavailable(1, "Too many requests at once") if self._at_once > AT_ONCE_MAX else None)
            if refusal is None:
                await self._app(scope, receive, answer.send)
            else:
                await answer.refuse(refusal)
        except Exception:
            # The last resort: what gets here has passed every handler. It is told to the log, and the client learns nothing of it.
            log.exception("request_failed", path=scope["path"])
            if not answer.status:
                await answer.refuse(ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "The request could not be answered"))
        finally:
            self._at_once -= 1
            self._record(scope, answer.status, time.perf_counter() - began)

    def _record(self, scope: HTTPScope, status: int, seconds: float) -> None:
        parts = scope["path"].split("/")
        route = next((route for route, wanted in self._routes if _matches(parts, wanted)), OTHER)
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        self._metrics.record_api_request(route, method, status, seconds)


class _Answer:
    """The way back: adds what every answer carries, and keeps its status. 0: nothing was sent."""

    def __init__(self, send: Send, closes: bool) -> None:
        self._send = send
        self._closes = closes
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            added = [*_SAFE, _CLOSE] if self._closes else _SAFE
            message["headers"] = [*message["headers"], *added]
        await self._send(message)

    async def refuse(self, refusal: ProblemError) -> None:
        await self.send(
            {"type": "http.response.start", "status": refusal.problem.status, "headers": raw_headers(refusal.problem, refusal.headers)}
        )
        await self.send({"type": "http.response.body", "body": encoded(refusal.problem), "more_body": False})


def _refusal(scope: HTTPScope) -> ProblemError | None:
    """Why the request is refused unread, or None."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > URL_MAX:
        return ProblemError(HTTPStatus.REQUEST_URI_TOO_LONG, f"Path and query may have {URL_MAX} bytes")
    headers = list(scope["headers"])
    if len(headers) > HEADERS_MAX or sum(len(name) + len(value) for name, value in headers) > HEADERS_BYTES_MAX:
        text = f"A request may have {HEADERS_MAX} header fields, of {HEADERS_BYTES_MAX} bytes together"
        return ProblemError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
    lengths = [value for name, value in headers if name == b"content-length"]
    if lengths and any(name == b"transfer-encoding" for name, _ in headers):
        # Who reads which of the two is how requests are smuggled.
        return ProblemError(HTTPStatus.BAD_REQUEST, "A request has either Content-Length or Transfer-Encoding")
    if any(len(length) > 9 or int(length) > BODY_MAX for length in lengths):
        return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "No route of this API takes a body")
    return None


def _has_body(scope: HTTPScope) -> bool:
    """Then the connection ends with the answer: what is left of a body shall never be taken for the next request."""
    return any(name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")) for name, value in scope["headers"])


def _matches(parts: list[str], wanted: list[str]) -> bool:
    return len(parts) == len(wanted) and all(want in (part, "{plant_id}") for part, want in zip(parts, wanted, strict=True))
