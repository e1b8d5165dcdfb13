"""Requests of somebody who means ill, as data in tests/hostile: none may bring an error of ours, and none a word of anybody's plants.

tokens.jsonl has forged tokens, requests.jsonl requests with the good token of a customer who owns nothing, wires.jsonl bytes for a bare
socket. `{x*9}` in a text stands for nine of that character; texts are Latin-1, a byte a character.
"""

import json
import re
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from controller.api.roles import Role
from tests.api_client import claims, forged, token
from tests.integration import api_fleet
from tests.integration.api_fleet import OWNED, Served, id_of

pytestmark = [pytest.mark.xdist_group("read-api"), pytest.mark.lasts(80)]

FOLDER = Path(__file__).resolve().parents[1] / "hostile"
PATH = "/api/v1/plants"
AT_ONCE = 8
BOUND_S = 8.0
QUIET_S = 0.25
"""For so long nothing more must come, once all answers that are due have come."""
ANOTHER_SECRET = "another-secret-with-enough-bytes-in-it"
served = api_fleet.served


class HostileToken(msgspec.Struct, frozen=True):
    """A token. `claims` changes those of a good one: a number is seconds from now, `=` precedes JSON, "absent" leaves one out."""

    name: str
    header: Mapping[str, Any] | None = None
    claims: Mapping[str, int | str] = {}
    payload: str | None = None
    sign: str = "rightly"
    text: str | None = None


class HostileRequest(msgspec.Struct, frozen=True):
    """A request. Without `status` any but one of the server's errors is right."""

    name: str
    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    status: tuple[int, ...] = ()


class HostileWire(msgspec.Struct, frozen=True):
    """Bytes for a socket, with `{T}` for the line of a good token, and how many answers may come at most."""

    name: str
    raw: str
    answers: int
    status: tuple[int, ...] = ()


def corpus(name: str, kind: type[Any]) -> list[Any]:
    return [msgspec.json.decode(line, type=kind) for line in (FOLDER / name).read_text().splitlines()]


TOKENS: list[HostileToken] = corpus("tokens.jsonl", HostileToken)
REQUESTS: list[HostileRequest] = corpus("requests.jsonl", HostileRequest)
WIRES: list[HostileWire] = corpus("wires.jsonl", HostileWire)
SECRETS = [text.encode() for names in OWNED.values() for name in names for text in (name, str(id_of(name)))]


def own_token() -> str:
    """A good one, made when it is sent: it is good for a quarter of an hour, and a session may last longer."""
    return token(Role.CUSTOMER, "mallory")


def spread(text: str) -> str:
    return re.sub(r"\{([^{}])\*(\d+)\}", lambda found: found[1] * int(found[2]), text, flags=re.DOTALL)


def token_text(case: HostileToken) -> str:
    if case.text is not None:
        return spread(case.text)
    header = {"alg": "HS256", "typ": "JWT"} if case.header is None else json.loads(spread(json.dumps(case.header)))
    payload = claims_of(case) if case.payload is None else spread(case.payload).encode("latin-1", "replace")
    match case.sign:
        case "rightly":
            return forged(payload, header)
        case "another":
            return forged(payload, header, ANOTHER_SECRET)
        case "empty key":
            return forged(payload, header, "")
        case "public text":
            return forged(payload, header, "solarinvest-monitor")
        case "sha1" | "sha384" | "sha512":
            return forged(payload, header, digest=case.sign)
        case "nothing":
            return forged(payload, header).rpartition(".")[0] + "."
        case "half":
            return forged(payload, header)[:-20]
        case _:
            return forged(payload, header).rpartition(".")[0] + "." + "A" * 43


def claims_of(case: HostileToken) -> dict[str, Any]:
    found, now = claims(), int(time.time())
    for name, change in case.claims.items():
        if change == "absent":
            del found[name]
        elif isinstance(change, int):
            found[name] = now + change
        else:
            found[name] = json.loads(spread(change).removeprefix("="))
    return found


def request_bytes(case: HostileRequest, bearer: str) -> bytes:
    fields = dict(case.headers)
    lines = [f"{case.method} {spread(case.target)} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {bearer}"]
    lines += [f"{name}: {spread(value)}" for name, value in case.headers]
    body = spread(case.body).encode("latin-1", "replace")
    if body and "Content-Length" not in fields:
        lines.append(f"Content-Length: {len(body)}")
    if "Connection" not in fields:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Reply(msgspec.Struct, frozen=True):
    """What came back over a connection."""

    received: bytes
    statuses: list[int]
    bodies: list[bytes]


def exchange(port: int, sent: bytes, answers: int, method: str = "GET") -> Reply:
    """Sends and reads until the server ends the connection, or nothing more comes after the answers that are due."""
    received, deadline = b"", time.monotonic() + BOUND_S
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND_S) as connection:
        try:
            connection.sendall(sent)
            if not answers:
                connection.shutdown(socket.SHUT_WR)
            while time.monotonic() < deadline:
                is_done = len(parse(received, method).statuses) >= answers
                readable, _, _ = select.select([connection], [], [], QUIET_S if is_done else deadline - time.monotonic())
                if not readable:
                    break
                more = connection.recv(65_536)
                if not more:
                    break
                received += more
        except (ConnectionResetError, BrokenPipeError):
            pass  # It was cut off while we were still sending: what came until then counts.
    return parse(received, method)


class _Received:
    """Bytes as `HTTPResponse` reads them."""

    def __init__(self, stream: BytesIO) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._stream.getvalue()[self._stream.tell() :])


def parse(received: bytes, method: str) -> Reply:
    statuses, bodies, rest = [], [], received
    while rest.startswith(b"HTTP/1.1 ") and b"\r\n\r\n" in rest:
        if rest.startswith(b"HTTP/1.1 100"):
            rest = rest.partition(b"\r\n\r\n")[2]
            continue
        response = HTTPResponse(_Received(BytesIO(rest)), method=method)  # type: ignore[arg-type]  # it asks for no more of a socket
        response.begin()
        head = len(rest.partition(b"\r\n\r\n")[0]) + 4
        length = 0 if method == "HEAD" or response.status == 204 else int(response.headers["content-length"])
        if len(rest) < head + length:
            break
        statuses.append(response.status)
        bodies.append(rest[head : head + length])
        rest = rest[head + length :]
    return Reply(received, statuses, bodies)


def is_harmless(reply: Reply) -> bool:
    return all(status < 500 for status in reply.statuses) and not any(secret in reply.received for secret in SECRETS)


Case = TypeVar("Case", HostileToken, HostileRequest, HostileWire)


def at_once(cases: list[Case], work: Callable[[Case], Reply]) -> dict[str, Reply]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip((case.name for case in cases), pool.map(work, cases), strict=True))


@pytest.fixture(autouse=True)
def unharmed(served: Served) -> Iterator[None]:
    """After each test the API answers as before, and has not met a defect of its own."""
    yield
    assert len(served.admin.rows(PATH)) == sum(len(names) for names in OWNED.values())
    assert served.role.running
    log = served.role.log_text()
    assert "request_failed" not in log
    assert "Traceback" not in log


def test_the_corpus_is_large_and_each_case_has_a_name_of_its_own() -> None:
    names = [*(case.name for case in TOKENS), *(case.name for case in REQUESTS), *(case.name for case in WIRES)]
    assert len(set(names)) == len(names) >= 300


def test_the_ways_to_find_data_find_some(served: Served) -> None:
    """The control: with the token of an owner these very requests bring what none below may bring."""
    reply = exchange(served.port, request_bytes(HostileRequest("control", PATH), token(Role.CUSTOMER, "carla")), 1)
    assert reply.statuses == [200]
    assert not is_harmless(reply)
    assert not is_harmless(Reply(b"", [500], [b""]))


def test_no_forged_token_brings_anything_and_all_are_answered_alike(served: Served) -> None:
    replies = at_once(TOKENS, lambda case: exchange(served.port, request_bytes(HostileRequest("", PATH), _one_line(token_text(case))), 1))
    assert {name: reply.statuses for name, reply in replies.items() if reply.statuses != [401]} == {}
    assert len({body for reply in replies.values() for body in reply.bodies}) == 1
    assert [name for name, reply in replies.items() if not is_harmless(reply)] == []


def _one_line(text: str) -> str:
    return text.encode("utf-8").decode("latin-1") if not text.isascii() else text


def test_no_request_of_a_stranger_brings_an_error_or_data(served: Served) -> None:
    bearer = own_token()
    replies = at_once(REQUESTS, lambda case: exchange(served.port, request_bytes(case, bearer), 1, case.method))
    assert [name for name, reply in replies.items() if not is_harmless(reply)] == []
    wrong = {case.name: replies[case.name].statuses for case in REQUESTS if not _as_said(replies[case.name], case.status, 1)}
    assert wrong == {}


def test_no_bytes_bring_an_error_data_or_an_answer_too_many(served: Served) -> None:
    line = f"Authorization: Bearer {own_token()}\r\n"
    replies = at_once(WIRES, lambda case: exchange(served.port, spread(case.raw).replace("{T}", line).encode("latin-1"), case.answers))
    assert [name for name, reply in replies.items() if not is_harmless(reply)] == []
    wrong = {case.name: replies[case.name].statuses for case in WIRES if not _as_said(replies[case.name], case.status, case.answers)}
    assert wrong == {}
    assert all(body in (b"", b"[]") or b"about:blank" in body or b'"ok"' in body for reply in replies.values() for body in reply.bodies)


def _as_said(reply: Reply, status: tuple[int, ...], answers: int) -> bool:
    if len(reply.statuses) > answers:
        return False
    return all(found in status for found in reply.statuses) and len(reply.statuses) == answers if status else True
