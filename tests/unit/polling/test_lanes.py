"""Lanes: one where work is quick, more where it is slow, and nothing left out."""

from threading import Event, Lock, Thread, get_ident

import pytest

from controller.polling.lanes import FEW, Lanes, Shared
from hack.devstack.waiting import wait_until

BOUND_S = 20.0


class Gate:
    """Work that waits until it is let through, and knows how much of it is under way."""

    def __init__(self) -> None:
        self.open = Event()
        self.begun: list[int] = []
        self._lock = Lock()

    def work(self, item: int) -> None:
        with self._lock:
            self.begun.append(item)
        assert self.open.wait(BOUND_S)


def test_one_lane_works_on_the_callers_thread_in_order() -> None:
    done: list[tuple[int, int]] = []
    Lanes(1).run(range(5), lambda item: done.append((item, get_ident())))
    assert done == [(item, get_ident()) for item in range(5)]


def test_quick_work_stays_on_one_thread() -> None:
    threads: set[int] = set()
    Lanes(8, step_s=BOUND_S).run(range(500), lambda _: threads.add(get_ident()))
    assert len(threads) == 1
    assert get_ident() not in threads


def test_slow_work_gets_lanes_up_to_the_bound_and_the_rest_waits_its_turn() -> None:
    gate = Gate()
    lanes = Lanes(3, step_s=0.01)
    runner = Thread(target=lanes.run, args=(range(7), gate.work), daemon=True)
    runner.start()
    wait_until(lambda: len(gate.begun) == 3, BOUND_S, "three lanes")
    steps = Event()
    assert not steps.wait(0.1), "time in which a fourth would begin"
    assert sorted(gate.begun) == [0, 1, 2]
    gate.open.set()
    runner.join(BOUND_S)
    assert sorted(gate.begun) == list(range(7))


def test_a_lane_more_is_wanted_only_where_few_items_were_begun_since_it_was_last_asked() -> None:
    items = Shared(range(2 * FEW))
    assert items.was_slow()
    for _ in range(FEW - 1):
        next(items)
    assert items.was_slow()
    for _ in range(FEW):
        next(items)
    assert not items.was_slow()
    assert list(items) == [2 * FEW - 1]
    assert not items.was_slow(), "nothing is left"
    assert not items.was_slow()


def test_the_caller_is_told_to_go_on_with_other_things_meanwhile() -> None:
    gate = Gate()

    def meanwhile() -> None:
        gate.open.set()

    Lanes(2, step_s=0.01).run(range(2), gate.work, meanwhile)
    assert sorted(gate.begun) == [0, 1]


def test_what_breaks_is_told_once_everything_has_ended() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise RuntimeError("broken")
        done.append(item)

    lanes = Lanes(2, step_s=0.01)
    with pytest.raises(RuntimeError, match="broken"):
        lanes.run(range(3), work)
    lanes.run(range(3, 5), work)
    assert done[-2:] == [3, 4], "it can be used again"
