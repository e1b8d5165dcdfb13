"""The probes over HTTP: alive while loops turn, ready while they succeed."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from controller import probes
from controller.probes import LoopHealth, ProbeServer, Progress, watch


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(probes, "_boottime", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def progress(clock: Clock) -> Progress:
    found = Progress()
    found.expect("tick", 10.0)
    found.expect("mirror", 60.0)
    return found


@pytest.fixture
def get(progress: Progress) -> Iterator[Callable[[str], tuple[int, str, str]]]:
    server = ProbeServer("127.0.0.1", 0, lambda: (b"metric 1\n", "text/plain; version=0.0.4"), progress)
    server.start()

    def ask(path: str) -> tuple[int, str, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()

    yield ask
    server.stop()


Get = Callable[[str], tuple[int, str, str]]


def test_a_process_that_has_just_begun_is_alive_and_not_ready(get: Get) -> None:
    assert get("/healthz")[0] == 200
    assert get("/readyz")[0] == 503


def test_a_process_that_has_no_loop_yet_is_alive_and_not_ready() -> None:
    starting = Progress()
    assert starting.is_healthy()
    assert not starting.is_ready()


def test_it_is_ready_once_every_loop_has_succeeded(get: Get, progress: Progress) -> None:
    progress.turned("tick")
    assert get("/readyz")[0] == 503
    progress.turned("mirror")
    status, content_type, body = get("/readyz")
    assert (status, content_type, json.loads(body)["ok"]) == (200, "application/json", True)


def test_turns_that_fail_keep_it_alive_and_make_it_unready(get: Get, progress: Progress, clock: Clock) -> None:
    progress.turned("tick")
    progress.turned("mirror")
    clock.now += 11
    progress.turned("tick", succeeded=False)
    assert (get("/healthz")[0], get("/readyz")[0]) == (200, 503)
    progress.turned("tick")
    assert get("/readyz")[0] == 200


@pytest.mark.parametrize(("age", "status"), [(10.0, 200), (10.1, 503)])
def test_a_loop_that_does_not_come_round_makes_it_unhealthy_and_is_named(get: Get, clock: Clock, age: float, status: int) -> None:
    clock.now += age
    found, _, body = get("/healthz")
    assert found == status
    tick = json.loads(body)["loops"]["tick"]
    assert (round(tick["turned_s"], 3), tick["succeeded_s"], tick["bound_s"]) == (age, None, 10.0)


def test_metrics_are_served_as_they_are(get: Get) -> None:
    assert get("/metrics") == (200, "text/plain; version=0.0.4", "metric 1\n")


@pytest.mark.parametrize("path", ["/", "/api/v1/plants", "/healthz/x"])
@pytest.mark.rule("D8.3")
def test_nothing_else_is_served(get: Get, path: str) -> None:
    assert get(path)[0] == 404


def test_one_slow_client_does_not_keep_the_others_waiting(progress: Progress) -> None:
    server = ProbeServer("127.0.0.1", 0, lambda: (b"", "text/plain"), progress)
    server.start()
    with (
        socket.create_connection(("127.0.0.1", server.port)),
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=4) as ok,
    ):
        assert ok.status == 200
    server.stop()


def test_a_server_that_never_started_can_be_stopped(progress: Progress) -> None:
    server = ProbeServer("127.0.0.1", 0, lambda: (b"", "text/plain"), progress)
    stopping = threading.Thread(target=server.stop, daemon=True)
    stopping.start()
    stopping.join(5)
    assert not stopping.is_alive()


def test_ages_are_of_the_last_turn_and_the_last_success(progress: Progress, clock: Clock) -> None:
    progress.turned("tick")
    clock.now += 3
    progress.turned("tick", succeeded=False)
    clock.now += 1
    assert progress.health()["tick"] == LoopHealth(1.0, 4.0, 10.0)


def test_the_watchdog_ends_a_process_whose_loop_hangs(progress: Progress, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr(probes, "_WATCH_EVERY_S", 0.01)
    stop = threading.Event()
    clock.now += 30.0
    thread = watch(progress, stop)
    assert not ended.wait(0.1), "within three times its bound it may still come round"
    clock.now += 0.1
    assert ended.wait(10)
    stop.set()
    thread.join(10)
    assert set(codes) == {probes.EXIT_HUNG}
