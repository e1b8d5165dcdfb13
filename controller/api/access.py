"""Who asks: every route but those marked `public` answers to a valid bearer token only, and to any other with one and the same 401."""

from http import HTTPStatus

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from controller.api.doors import Doors
from controller.api.problems import Problem, encoded, raw_headers
from controller.api.tokens import Caller, TokenChecker, TokenRefused

PUBLIC = {"public": True}
"""The `opt` of routes that need no token."""

_PROBLEM = Problem(HTTPStatus.UNAUTHORIZED.phrase, HTTPStatus.UNAUTHORIZED, "A valid bearer token is needed")
_BODY = encoded(_PROBLEM)
_HEADERS = raw_headers(_PROBLEM, {"WWW-Authenticate": 'Bearer realm="solarinvest-monitor"'})
"""No `error` among its parameters, which would say what is wrong with a token."""


class BearerAccess(ASGIMiddleware):
    """Puts the `Caller` where handlers find it, as `request.user`, or answers 401. It costs one signature, and no look at any server."""

    exclude_opt_key = "public"

    def __init__(self, tokens: TokenChecker, doors: Doors) -> None:
        """`doors` is told which address brought a good token."""
        self._tokens = tokens
        self._doors = doors

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        try:
            scope["user"] = self._caller(scope)
        except TokenRefused:
            await send({"type": "http.response.start", "status": HTTPStatus.UNAUTHORIZED, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": _BODY, "more_body": False})
            return
        if client := scope["client"]:
            self._doors.note_good(client[0])
        await next_app(scope, receive, send)

    def _caller(self, scope: Scope) -> Caller:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        # Two of them: somebody between us and the client may have read the other one.
        if len(given) != 1:
            raise TokenRefused
        scheme, _, token = given[0].partition(b" ")
        if scheme.lower() != b"bearer":
            raise TokenRefused
        return self._tokens.caller(token.strip(b" ").decode("latin-1"))
