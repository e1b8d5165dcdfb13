"""Loops: a turn that fails is counted and the loop goes on; one that hangs is told by its age."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from controller.domain.errors import StoreUnavailable
from controller.metrics import Metrics
from controller.operator.loops import AFTER_FAILURE_S, Loop, join_loops, start_loops
from controller.probes import Progress

BOUND_S = 10.0
LONG_S = 0.05


class Running:
    """Loops that end with the test."""

    def __init__(self) -> None:
        self.stop, self.progress, self.metrics = threading.Event(), Progress(), Metrics()
        self.threads: list[threading.Thread] = []

    def start(self, action: Callable[[], object], period_s: float = 0.0, bound_s: float = 60.0) -> None:
        self.threads += start_loops([Loop("work", action, period_s, bound_s)], self.stop, self.progress, self.metrics)

    def turns(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("solarinvest_loop_turns_total", {"loop": "work", "result": result}) or 0.0


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop.set()
    assert join_loops(running.threads, BOUND_S) == []


class Action:
    """Does what it is told, turn by turn, and says when a number of turns have begun."""

    def __init__(self, *results: Exception | None) -> None:
        self._results = list(results)
        self.done = threading.Event()

    def __call__(self) -> None:
        result = self._results.pop(0) if self._results else None
        if not self._results:
            self.done.set()
        if result is not None:
            raise result


def test_a_loop_goes_on_after_a_server_was_away_and_after_a_defect(running: Running) -> None:
    action = Action(StoreUnavailable("away"), ValueError("defect"), None, None)
    running.start(action)
    assert action.done.wait(BOUND_S)
    running.stop.set()
    assert join_loops(running.threads, BOUND_S) == []
    assert (running.turns("StoreUnavailable"), running.turns("ValueError")) == (1, 1)
    assert running.turns("ok") >= 1


def test_a_failing_loop_is_alive_but_not_ready(running: Running) -> None:
    again = threading.Semaphore(0)

    def fail() -> None:
        again.release()
        raise StoreUnavailable("away")

    running.start(fail)
    # Once the second turn has begun, the first is noted.
    assert again.acquire(timeout=BOUND_S)
    assert again.acquire(timeout=BOUND_S)
    health = running.progress.health()["work"]
    assert health.is_turning
    assert not health.is_succeeding


def test_a_loop_without_a_pace_does_not_spin_where_a_server_refuses_at_once(running: Running) -> None:
    again = threading.Semaphore(0)

    def fail() -> None:
        again.release()
        raise StoreUnavailable("refused")

    running.start(fail)
    assert again.acquire(timeout=BOUND_S)
    assert not again.acquire(timeout=AFTER_FAILURE_S / 2), "the next turn follows at once"
    assert again.acquire(timeout=BOUND_S)


def test_a_loop_that_hangs_is_told_by_its_age(running: Running) -> None:
    let_go = threading.Event()
    began = threading.Event()

    def hang() -> None:
        began.set()
        let_go.wait(BOUND_S)

    running.start(hang, bound_s=0.0)
    assert began.wait(BOUND_S)
    assert not running.progress.is_healthy()
    running.stop.set()
    assert join_loops(running.threads, 0.01) == ["work"], "whoever stops is told what is left"
    let_go.set()


def test_a_long_turn_is_followed_by_a_longer_rest_and_is_not_taken_for_hung_in_it(running: Running) -> None:
    began: list[float] = []
    second = threading.Event()

    def work() -> None:
        began.append(time.monotonic())
        if len(began) == 2:
            second.set()
        threading.Event().wait(LONG_S)

    loop = Loop("work", work, period_s=0.0, bound_s=1.0, rest=5.0)
    running.threads += start_loops([loop], running.stop, running.progress, running.metrics)
    assert second.wait(BOUND_S)
    assert began[1] - began[0] >= 6 * LONG_S
    assert running.progress.health()["work"].bound_s >= 1.0 + 5 * LONG_S
