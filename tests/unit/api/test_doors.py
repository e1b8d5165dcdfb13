"""Which addresses are refused unread: those that send bad tokens and no good one, faster than anybody does by mistake."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from controller.api import doors
from controller.api.app import build_app
from controller.api.doors import BAD_AT_ONCE, BAD_PER_S, GOOD_FOR_S, Doors, network_of
from controller.api.front import Front
from controller.api.roles import Role
from controller.api.routes import Routes
from controller.api.tokens import TokenChecker, mint
from controller.metrics import Metrics, ProcessRole

SECRET = SecretStr("a-secret-of-the-tests-with-many-bytes")
ADDRESS = "192.0.2.1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def flooded(clock: Clock, address: str = ADDRESS) -> Doors:
    opened = Doors(clock)
    assert [opened.admits(address) for _ in range(BAD_AT_ONCE)] == [True] * BAD_AT_ONCE
    return opened


def test_an_address_is_read_until_it_has_sent_too_much_without_a_good_token(clock: Clock) -> None:
    assert not flooded(clock).admits(ADDRESS)


def test_no_other_address_suffers(clock: Clock) -> None:
    assert flooded(clock).admits("192.0.2.2")


def test_some_are_read_each_second_so_that_a_good_one_may_be_among_them(clock: Clock) -> None:
    opened = flooded(clock)
    read = 0
    for _ in range(1000):
        clock.now += 1 / 1024
        read += opened.admits(ADDRESS)
    assert read == int(1000 / 1024 * BAD_PER_S)


def test_a_good_token_opens_its_address_for_a_while_and_gives_it_its_budget_back(clock: Clock) -> None:
    opened = flooded(clock)
    opened.note_good(ADDRESS)
    clock.now += GOOD_FOR_S - 0.1
    assert all(opened.admits(ADDRESS) for _ in range(2 * BAD_AT_ONCE))
    clock.now += 0.1
    assert all(opened.admits(ADDRESS) for _ in range(BAD_AT_ONCE))
    assert not opened.admits(ADDRESS)


def test_a_quiet_address_gets_its_whole_budget_back_and_no_more(clock: Clock) -> None:
    opened = flooded(clock)
    clock.now += 3600.0
    assert all(opened.admits(ADDRESS) for _ in range(BAD_AT_ONCE))
    assert not opened.admits(ADDRESS)


def test_whoever_has_one_address_of_an_ipv6_network_has_them_all(clock: Clock) -> None:
    opened = flooded(clock, "2001:db8:0:1::1")
    assert not opened.admits("2001:db8:0:1:ffff::2")
    assert opened.admits("2001:db8:0:2::1")


@pytest.mark.parametrize(
    ("address", "network"), [(ADDRESS, ADDRESS), ("fe80::1%eth0", "fe80::/64"), ("a:b", "a:b"), ("", "")], ids=["v4", "v6", "none", "empty"]
)
def test_what_is_counted_together(address: str, network: str) -> None:
    assert network_of(address) == network


def test_addresses_remembered_are_bounded_and_the_oldest_go_first(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "ADDRESSES_MAX", 2)
    opened = flooded(clock)
    opened.admits("192.0.2.2")
    assert not opened.admits(ADDRESS)
    opened.admits("192.0.2.3")
    opened.admits("192.0.2.4")
    assert opened.admits(ADDRESS), "it is not known any more"


# Who tells: the whole application, without a server


@pytest.fixture
def front() -> Front:
    nothing: Any = None
    return build_app(Routes(nothing, nothing, lambda: datetime.now(UTC), b"{}"), TokenChecker((SECRET,)), Metrics(ProcessRole.API))


def ask(front: Front, path: str, token: str | None, times: int) -> set[int]:
    statuses: set[int] = set()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.add(int(message["status"]))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def every() -> None:
        headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        for _ in range(times):
            scope: Any = {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "root_path": "",
                "query_string": b"",
                "headers": headers,
                "client": (ADDRESS, 1),
                "server": ("192.0.2.9", 80),
            }
            await front(scope, receive, send)

    asyncio.run(every())
    return statuses


def refuse(front: Front) -> None:
    while front.doors.admits(ADDRESS):
        pass


@pytest.mark.parametrize(
    ("path", "token", "status"), [("/api/v1/plants", None, 401), ("/api/v1/plants", "forged", 401), ("/schema", None, 200)]
)
def test_what_has_no_good_token_opens_nothing(front: Front, path: str, token: str | None, status: int) -> None:
    refuse(front)
    assert ask(front, path, token, 1) == {status}
    # Some may come back meanwhile, as on any other day.
    assert sum(front.doors.admits(ADDRESS) for _ in range(BAD_AT_ONCE)) < BAD_AT_ONCE


def test_a_good_token_opens_its_address_whatever_becomes_of_its_request(front: Front) -> None:
    refuse(front)
    assert ask(front, "/api/v1/plants", mint(SECRET, Role.ADMIN, "somebody", datetime.now(UTC)), 1) == {500}, "nothing is behind the routes"
    assert all(front.doors.admits(ADDRESS) for _ in range(2 * BAD_AT_ONCE))
