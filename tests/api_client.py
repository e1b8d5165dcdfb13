"""The read API as tests reach it: a running role, tokens for it, and answers as they came over the wire."""

import hmac
import http.client
import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlencode

import msgspec
from pydantic import SecretStr

from controller.api.roles import Role
from controller.api.tokens import mint
from hack.devstack.ports import free_port

SECRET = "a-secret-of-the-tests-with-many-bytes"
PREVIOUS_SECRET = "the-secret-before-it-has-many-bytes-too"
BOUND_S = 15


class Answer(msgspec.Struct, frozen=True):
    """One answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def next(self) -> str | None:
        """The path of the next page."""
        found = re.fullmatch(r'<([^>]+)>; rel="next"', self.headers.get("link", ""))
        return None if found is None else found[1]


class Client:
    """A caller with a token, on one connection that is made anew when it has ended."""

    def __init__(self, port: int, token: str | None) -> None:
        self.port = port
        self.token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND_S)

    def get(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None, **query: Any
    ) -> Answer:
        given = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        target = f"{path}?{urlencode(query)}" if query else path
        every = {**given, **(headers or {})}
        try:
            try:
                answer = self._exchange(method, target, body, every)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # The connection was idle for longer than the server keeps one.
                self._connection.close()
                answer = self._exchange(method, target, body, every)
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except BaseException:
            self._connection.close()
            raise

    def _exchange(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        self._connection.request(method, target, body, headers)
        return self._connection.getresponse()

    def pages(self, path: str, **query: Any) -> list[list[Any]]:
        """The rows of every page, following the links."""
        answer = self.get(path, **query)
        pages = [answer.json]
        while answer.next is not None:
            answer = self.get(answer.next)
            pages.append(answer.json)
        return pages

    def rows(self, path: str, **query: Any) -> list[Any]:
        return [row for page in self.pages(path, **query) for row in page]

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def token(role: Role = Role.ADMIN, subject: str = "somebody", age: timedelta = timedelta(), secret: str = SECRET) -> str:
    return mint(SecretStr(secret), role, subject, datetime.now(UTC) - age)


def claims(**changes: Any) -> dict[str, Any]:
    """Of a good token, with these changes; None leaves one out."""
    now = int(time.time())
    plain = {"sub": "ana", "role": "ADMIN", "iat": now, "exp": now + 900, "iss": "solarinvest-monitor", "aud": "solarinvest-monitor"}
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


def forged(payload: object, header: object = None, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token made by hand: signed as `digest` says, whatever its header claims. Objects become JSON, bytes stay as they are."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signed = ".".join(_base64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (head, payload))
    return f"{signed}.{_base64(hmac.digest(secret.encode(), signed.encode(), digest))}"


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def environment(database: str, port: int | None = None, **more: str) -> dict[str, str]:
    """Of the api role, on a free port unless one is named."""
    return {"DATABASE_URL": database, "JWT_SECRET": SECRET, "API_PORT": str(port or free_port()), "LOG_LEVEL": "DEBUG", **more}
