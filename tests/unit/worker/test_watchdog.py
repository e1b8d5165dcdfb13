"""PROTOCOL 21: how long jobs may be held."""

from contextlib import suppress

from controller.worker.watchdog import Watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_jobs_may_be_held_for_twice_the_deadline_and_no_longer() -> None:
    clock = Clock()
    watchdog = Watchdog(10, clock)
    with watchdog.holding():
        clock.now += 20
        assert watchdog.is_in_time()
        clock.now += 0.1
        assert not watchdog.is_in_time()


def test_a_worker_without_jobs_is_in_time_for_ever() -> None:
    clock = Clock()
    watchdog = Watchdog(10, clock)
    with watchdog.holding():
        clock.now += 5
    clock.now += 1000
    assert watchdog.is_in_time()


def test_the_time_begins_anew_with_each_batch_also_after_an_error() -> None:
    clock = Clock()
    watchdog = Watchdog(10, clock)
    with suppress(LookupError), watchdog.holding():
        clock.now += 15
        raise LookupError
    with watchdog.holding():
        clock.now += 15
        assert watchdog.is_in_time()
