"""Every error answer: problem details as RFC 9457 has them, `application/problem+json`, with nothing of the inside in them."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType

import msgspec

MEDIA_TYPE = "application/problem+json"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
SHOWN_MAX = 100
"""Characters of a refused value that are echoed."""


class InvalidParameter(msgspec.Struct, frozen=True):
    """One parameter that was refused: what came, and what is allowed."""

    parameter: str
    value: str
    allowed: str


class Problem(msgspec.Struct, frozen=True):
    """The body of an error answer. Its `type` is about:blank: the status says which kind of problem it is."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    invalid_parameters: Sequence[InvalidParameter] | msgspec.UnsetType = msgspec.UNSET


class ProblemError(Exception):
    """The request is to be answered with this problem."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(detail)
        self.problem = Problem(status.phrase, status, detail)
        self.headers = headers


class ParametersRefused(ProblemError):
    """400: parameters that are unknown, repeated or not among what is allowed; each is named."""

    def __init__(self, invalid: Sequence[InvalidParameter]) -> None:
        names = ", ".join(dict.fromkeys(entry.parameter for entry in invalid))
        super().__init__(HTTPStatus.BAD_REQUEST, f"These parameters are not as they must be: {names}")
        self.problem = msgspec.structs.replace(self.problem, invalid_parameters=tuple(invalid))


def shown(text: str) -> str:
    """As much of what a client sent as is shown to it again."""
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


def not_found() -> ProblemError:
    """404: for what is not there, and for what is somebody else's."""
    return ProblemError(HTTPStatus.NOT_FOUND, "There is no such resource, or it is not yours to see")


def unavailable(retry_after_s: int, detail: str = "The data cannot be read just now") -> ProblemError:
    """503, and when to ask again."""
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": str(retry_after_s)})


def encoded(problem: Problem) -> bytes:
    """The body. Text that is no Unicode (a lone surrogate) never gets here: parameters are decoded strictly."""
    return msgspec.json.encode(problem)


def raw_headers(problem: Problem, headers: Mapping[str, str] = NO_HEADERS) -> list[tuple[bytes, bytes]]:
    """Of an answer whose body is `encoded(problem)`, as ASGI and h11 take them."""
    length = str(len(encoded(problem)))
    every = {"Content-Type": MEDIA_TYPE, "Content-Length": length, "Cache-Control": "no-store", **headers}
    return [(name.lower().encode(), value.encode()) for name, value in every.items()]
