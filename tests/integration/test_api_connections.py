"""Connections of the read API at their bounds, with the bounds made short: clients that send slowly, read slowly, or hold many."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from controller.api import connections
from controller.api.connections import BoundedProtocol
from controller.api.doors import Doors
from controller.api.front import AT_ONCE_MAX, Front
from controller.metrics import Metrics, ProcessRole
from hack.devstack.waiting import wait_until

SHORT_S = 0.4
BOUND_S = 10.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = 30_000_000
"""Bytes: more than sockets hold for a client that does not read."""


class Served:
    """A server on a thread, around an application that answers as its path says."""

    def __init__(self) -> None:
        # Its clock stands: nothing comes back while a test runs.
        self.doors = Doors(lambda: 1000.0)
        self.asked = 0
        config = uvicorn.Config(
            Front(self._app, (), Metrics(ProcessRole.API), self.doors),
            port=0,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            h11_max_incomplete_event_size=connections.HEAD_BYTES_MAX,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.held = threading.Event()
        self._thread.start()
        wait_until(lambda: self._server.started, BOUND_S, "the server")
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]

    @property
    def open(self) -> int:
        return len(self._server.server_state.connections)

    def stop(self) -> None:
        self.held.set()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(BOUND_S)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._server.serve())

    async def _app(self, scope: Any, _: Any, send: Any) -> None:
        self.asked += 1
        if scope["path"] == "/defect":
            raise RuntimeError("a defect of ours with hunter2 in its text")
        if scope["path"] == "/held":
            await asyncio.to_thread(self.held.wait, BOUND_S)
        body = b"x" * LARGE if scope["path"] == "/large" else b"fine"
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(connections, "REQUEST_WITHIN_S", SHORT_S)
    monkeypatch.setattr(connections, "READ_WITHIN_S", SHORT_S)
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 4)
    opened = Served()
    yield opened
    opened.stop()


def connect(served: Served, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=BOUND_S, source_address=(source, 0))


def everything(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65_536):
            received += more
    return received


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", GET + b"GET / HT"], ids=["nothing", "line", "header", "second"]
)
def test_a_request_that_does_not_come_to_its_end_is_cut_off(served: Served, sent: bytes) -> None:
    with connect(served) as connection:
        began = time.monotonic()
        connection.sendall(sent)
        received = everything(connection)
        assert SHORT_S * 0.9 <= time.monotonic() - began < BOUND_S / 2
        assert received.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")


def test_bytes_that_drip_in_do_not_put_the_end_off(served: Served) -> None:
    with connect(served) as connection:
        began = time.monotonic()
        connection.settimeout(SHORT_S / 10)
        wait_until(lambda: _has_ended_after(connection, b"G"), BOUND_S, "the end of the connection")
        assert time.monotonic() - began < BOUND_S / 2


def _has_ended_after(connection: socket.socket, sent: bytes) -> bool:
    try:
        connection.sendall(sent)
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except (ConnectionResetError, BrokenPipeError):
        return True


@pytest.mark.parametrize("asks_for_more", [False, True])
def test_a_client_that_does_not_read_is_cut_off(served: Served, asks_for_more: bool) -> None:
    large = GET.replace(b" / ", b" /large ")
    with connect(served) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(large)
        wait_until(lambda: served.open == 1, BOUND_S, "the connection")

        def has_ended() -> bool:
            if asks_for_more:
                with contextlib.suppress(OSError):
                    connection.send(large)
            return served.open == 0

        wait_until(has_ended, BOUND_S, "the end of it")


def test_a_request_that_is_long_in_work_is_not_cut_off(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(GET.replace(b" / ", b" /held "))
        threading.Timer(3 * SHORT_S, served.held.set).start()
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_the_connection_that_was_idle_longest_makes_room_for_a_new_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_WITHIN_S", BOUND_S)
    held = []
    for number in range(4):
        held.append(connect(served))
        wait_until(lambda number=number: served.open == number + 1, BOUND_S, "the connection")  # type: ignore[misc]
    with connect(served) as fifth:
        fifth.sendall(GET.replace(b"Host", b"Connection: close\r\nHost"))
        assert everything(fifth).startswith(b"HTTP/1.1 200")
    wait_until(lambda: served.open == 3, BOUND_S, "the fifth and one other to end")
    assert everything(held[0]) == b""
    held[1].sendall(GET)
    assert held[1].recv(15) == b"HTTP/1.1 200 OK"
    for connection in held:
        connection.close()


def test_where_all_connections_are_in_work_one_more_is_refused(served: Served) -> None:
    held = [connect(served) for _ in range(4)]
    for connection in held:
        connection.sendall(GET.replace(b" / ", b" /held "))
    wait_until(lambda: served.open == 4, BOUND_S, "four connections")
    with connect(served) as fifth:
        received = everything(fifth)
    assert received.startswith(b"HTTP/1.1 503 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["status"] == 503
    served.held.set()
    assert [connection.recv(15) for connection in held] == [b"HTTP/1.1 200 OK"] * 4
    for connection in held:
        connection.close()


def test_a_header_that_is_too_long_is_refused_before_its_end(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 2 * connections.HEAD_BYTES_MAX)
        received = everything(connection)
    assert received.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in received


def test_a_defect_of_ours_is_a_problem_that_says_nothing_of_it(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(GET.replace(b" / ", b" /defect ").replace(b"Host", b"Connection: close\r\nHost"))
        received = everything(connection)
    assert received.startswith(b"HTTP/1.1 500 ")
    assert b"application/problem+json" in received
    assert b"hunter2" not in received
    assert b"RuntimeError" not in received


def test_more_requests_at_once_than_there_may_be_are_told_to_come_again() -> None:
    async def storm() -> list[int]:
        statuses: list[int] = []
        release = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        front = Front(app, (), Metrics(ProcessRole.API), Doors(time.monotonic))
        scope: Any = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE_MAX + 3):
                tasks.create_task(front(dict(scope), None, send))  # type: ignore[arg-type]  # nothing is received
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            release.set()
        return statuses

    statuses = asyncio.run(storm())
    assert (statuses.count(503), statuses.count(200)) == (3, AT_ONCE_MAX)


# A flood of bad tokens


def flood(served: Served, address: str) -> None:
    """As many requests as an address may send without a good token."""
    while served.doors.admits(address):
        pass


def answer(connection: socket.socket) -> tuple[bytes, bytes]:
    """One answer's head and body, of a connection that may stay."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return head, body


def test_an_address_that_brings_bad_tokens_only_is_refused_unread(served: Served) -> None:
    flood(served, "127.0.0.2")
    with connect(served, "127.0.0.2") as connection:
        for _ in range(3):
            connection.sendall(GET)
            head, body = answer(connection)
            assert head.startswith(b"HTTP/1.1 429 ")
            assert b"\r\nretry-after: 1" in head.lower()
            assert json.loads(body)["status"] == 429
    assert served.asked == 0


@pytest.mark.parametrize(
    "sent",
    [
        GET + GET,
        GET.replace(b"\r\n", b"\n") + GET,
        GET.replace(b"GET", b"HEAD"),
        GET.replace(b"Host", b"Content-Length: 5\r\nHost"),
        GET.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost"),
        GET[:-2],
    ],
    ids=["two", "two by other line ends", "head", "length", "chunks", "half"],
)
def test_where_the_next_request_begins_is_never_guessed(served: Served, sent: bytes) -> None:
    flood(served, "127.0.0.2")
    with connect(served, "127.0.0.2") as connection:
        connection.sendall(sent)
        assert everything(connection).count(b"HTTP/1.1 ") <= 1
    assert served.asked == 0


def test_a_connection_is_good_again_once_its_address_is(served: Served) -> None:
    flood(served, "127.0.0.2")
    with connect(served, "127.0.0.2") as connection:
        connection.sendall(GET)
        assert answer(connection)[0].startswith(b"HTTP/1.1 429 ")
        served.doors.note_good("127.0.0.2")
        connection.sendall(GET)
        assert answer(connection)[0].startswith(b"HTTP/1.1 200 ")
    assert served.asked == 1


def test_a_refused_connection_that_falls_silent_is_cut_off(served: Served) -> None:
    flood(served, "127.0.0.2")
    with connect(served, "127.0.0.2") as connection:
        connection.sendall(GET)
        assert everything(connection).startswith(b"HTTP/1.1 429 ")


def test_other_addresses_are_served_meanwhile(served: Served) -> None:
    flood(served, "127.0.0.2")
    with connect(served, "127.0.0.3") as connection:
        connection.sendall(GET)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_connection_that_was_open_before_the_flood_is_refused_as_well(served: Served) -> None:
    with connect(served, "127.0.0.2") as connection:
        connection.sendall(GET)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        flood(served, "127.0.0.2")
        connection.sendall(GET)
        assert b"HTTP/1.1 429 " in everything(connection)
    assert served.asked == 1


def test_an_answer_that_is_owed_still_comes(served: Served) -> None:
    with connect(served, "127.0.0.2") as connection:
        connection.sendall(GET.replace(b" / ", b" /held "))
        wait_until(lambda: served.asked == 1, BOUND_S, "the request to be in work")
        flood(served, "127.0.0.2")
        connection.sendall(GET)
        served.held.set()
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
