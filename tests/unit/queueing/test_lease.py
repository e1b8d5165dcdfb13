"""PROTOCOL 21 and 22: when a lease ends, and what retires an incarnation."""

from threading import Event

import pytest

from controller.domain.errors import EpochMissing, IncarnationRetired, LeaseLost, QueueUnavailable
from controller.queueing.lease import Heartbeat, Incarnation


class Beats:
    """A queue server that answers heartbeats as told, on a clock that a test moves."""

    def __init__(self) -> None:
        self.lease_s = 30.0
        self.now = 1000.0
        self.takes_s = 0.0
        self.answer: Exception | None = None
        self.alive: set[str] = set()
        self.beaten = Event()

    def clock(self) -> float:
        return self.now

    def begin(self, incarnation: str) -> None:
        self._answer()
        self.alive.add(incarnation)

    def beat(self, incarnation: str) -> None:
        self._answer()
        self.beaten.set()

    def retire(self, incarnation: str) -> None:
        self._answer()
        self.alive.discard(incarnation)

    def _answer(self) -> None:
        self.now += self.takes_s
        if self.answer is not None:
            raise self.answer


@pytest.fixture
def beats() -> Beats:
    return Beats()


@pytest.fixture
def incarnation(beats: Beats) -> Incarnation:
    return Incarnation(beats, "w1", beats.clock)


def test_a_lease_ends_thirty_seconds_after_the_last_confirmed_beat(beats: Beats, incarnation: Incarnation) -> None:
    beats.now += 20
    assert incarnation.beat()
    beats.now += 29
    incarnation.assert_held()
    beats.now += 1
    with pytest.raises(LeaseLost):
        incarnation.assert_held()


def test_a_lease_counts_from_before_the_beat_was_sent(beats: Beats, incarnation: Incarnation) -> None:
    beats.now += 10
    beats.takes_s = 4
    assert incarnation.beat()
    assert incarnation.lease_left_s == 26


def test_the_first_beat_too_counts_from_before_it_was_sent(beats: Beats) -> None:
    beats.takes_s = 4
    assert Incarnation(beats, "w1", beats.clock).lease_left_s == 26


def test_an_unanswered_beat_neither_retires_nor_renews(beats: Beats, incarnation: Incarnation) -> None:
    beats.answer = QueueUnavailable("away")
    beats.now += 10
    assert not incarnation.beat()
    assert incarnation.retired is None
    assert incarnation.lease_left_s == 20


def test_a_late_beat_retires_even_if_the_server_would_confirm_it(beats: Beats, incarnation: Incarnation) -> None:
    beats.now += 30
    assert not incarnation.beat()
    assert incarnation.retired == "late"
    assert not beats.beaten.is_set()


@pytest.mark.parametrize(("answer", "reason"), [(IncarnationRetired("gone"), "vanished"), (EpochMissing("none"), "epoch")])
def test_a_refused_beat_retires_but_the_lease_lasts_until_its_end(
    beats: Beats, incarnation: Incarnation, answer: Exception, reason: str
) -> None:
    beats.now += 10
    beats.answer = answer
    assert not incarnation.beat()
    assert incarnation.retired == reason
    incarnation.assert_held()
    beats.now += 20
    with pytest.raises(LeaseLost):
        incarnation.assert_held()


def test_a_retired_incarnation_beats_no_more(beats: Beats, incarnation: Incarnation) -> None:
    incarnation.retire("take unanswered")
    assert not incarnation.beat()
    assert not beats.beaten.is_set()


def test_the_first_reason_for_retiring_stands(incarnation: Incarnation) -> None:
    incarnation.retire("late")
    incarnation.retire("other")
    assert incarnation.retired == "late"


def test_a_new_incarnation_has_a_new_name_and_ends_the_old_heartbeat(beats: Beats) -> None:
    reasons: list[str] = []
    heartbeat = Heartbeat(beats, "solis", on_retired=reasons.append, clock=beats.clock)
    first = heartbeat.incarnation()
    assert heartbeat.incarnation() is first
    first.retire("late")
    second = heartbeat.incarnation()
    assert second.name != first.name
    assert beats.alive == {second.name}
    assert reasons == ["late"]


def test_an_incarnation_whose_lease_has_run_out_is_not_used_again(beats: Beats) -> None:
    heartbeat = Heartbeat(beats, "solis", clock=beats.clock)
    first = heartbeat.incarnation()
    beats.now += 30
    assert heartbeat.incarnation() is not first
    assert first.retired == "late"


def test_a_name_whose_first_beat_had_no_answer_is_not_used_again(beats: Beats) -> None:
    heartbeat = Heartbeat(beats, "solis", clock=beats.clock)
    beats.answer = QueueUnavailable("away")
    with pytest.raises(QueueUnavailable):
        heartbeat.incarnation()
    beats.answer = None
    assert beats.alive == set()
    assert {heartbeat.incarnation().name} == beats.alive


def test_the_thread_beats_while_it_may(beats: Beats) -> None:
    confirmed = Event()
    heartbeat = Heartbeat(beats, "solis", beat_s=0.01, on_turn=lambda ok: confirmed.set() if ok else None, clock=beats.clock)
    heartbeat.incarnation()
    heartbeat.start()
    assert confirmed.wait(5)
    heartbeat.stop(5)
    assert beats.alive == set()


def test_the_thread_does_not_beat_when_the_watchdog_forbids_it(beats: Beats) -> None:
    asked = Event()

    def never() -> bool:
        asked.set()
        return False

    heartbeat = Heartbeat(beats, "solis", beat_s=0.01, may_beat=never, clock=beats.clock)
    heartbeat.incarnation()
    heartbeat.start()
    assert asked.wait(5)
    heartbeat.stop(5)
    assert not beats.beaten.is_set()
