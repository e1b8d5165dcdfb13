"""Who is at the front: one crew at a time, relieved when its batch takes long, and one kept for what was promoted."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest

from controller.worker.crews import Crews
from hack.devstack.waiting import wait_until

BOUND_S = 20.0


class FakeCrew:
    """A crew whose turn lasts until it is told to end."""

    def __init__(self) -> None:
        self.held_s = 0.0
        self.turns: list[bool] = []
        """Of each turn so far, whether it was for promoted jobs only."""
        self.is_turning = False
        self.end = Event()

    def turn(self, stop: Event, *, only_promoted: bool = False) -> None:
        self.turns.append(only_promoted)
        self.is_turning = True
        assert self.end.wait(BOUND_S)
        self.end.clear()
        self.is_turning, self.held_s = False, 0.0


class Team:
    """Crews, and as many threads that turn them."""

    def __init__(self, count: int) -> None:
        self.crews = Crews(relief_s=0.3)
        self.members = [FakeCrew() for _ in range(count)]
        for member in self.members:
            self.crews.join(member)
        self.stop = Event()
        self.threads = [Thread(target=self._work, daemon=True) for _ in range(count)]

    def _work(self) -> None:
        while not self.stop.is_set():
            self.crews.turn(self.stop)

    def turning(self) -> list[int]:
        return [number for number, member in enumerate(self.members) if member.is_turning]

    def wait_turning(self, *numbers: int) -> None:
        wait_until(lambda: self.turning() == list(numbers), BOUND_S, f"{numbers} to be at work")


@pytest.fixture
def team() -> Iterator[Team]:
    team = Team(3)
    for thread in team.threads:
        thread.start()
    yield team
    team.stop.set()
    for member in team.members:
        member.end.set()
    for thread in team.threads:
        thread.join(BOUND_S)
        assert not thread.is_alive(), "a stop ends everybody's waiting"


def test_one_crew_does_everything_while_batches_are_quick(team: Team) -> None:
    for turns in range(1, 6):
        wait_until(lambda turns=turns: len(team.members[0].turns) == turns, BOUND_S, "the next turn")  # type: ignore[misc]
        team.members[0].end.set()
    assert (team.members[1].turns, team.members[2].turns) == ([], [])


def test_a_crew_whose_batch_takes_long_is_relieved_and_comes_back(team: Team) -> None:
    team.wait_turning(0)
    team.members[0].held_s = 0.5
    team.wait_turning(0, 1)
    team.members[0].end.set()
    wait_until(lambda: not team.members[0].is_turning, BOUND_S, "the first crew to be done")
    for number in (1, 2):  # the third may be sooner than the first, which is about to be free
        team.members[number].held_s = 0.5
    wait_until(lambda: len(team.members[0].turns) == 2, BOUND_S, "the first crew to be at the front again")


def test_the_last_free_crew_takes_only_what_was_promoted(team: Team) -> None:
    team.wait_turning(0)
    for number in (0, 1):
        team.members[number].held_s = 0.5
        team.wait_turning(*range(number + 2))
    assert [member.turns for member in team.members] == [[False], [False], [True]]


def test_nobody_takes_while_a_job_runs_alone_which_waits_for_the_others(team: Team) -> None:
    """PROTOCOL 20."""
    team.wait_turning(0)
    team.members[0].held_s = 0.5
    team.wait_turning(0, 1)
    is_alone, may_end = Event(), Event()

    def run_alone() -> None:
        with team.crews.alone(team.members[1], lambda: True):
            is_alone.set()
            assert may_end.wait(BOUND_S)

    runner = Thread(target=run_alone, daemon=True)
    runner.start()
    team.members[1].held_s = 0.5
    assert not is_alone.wait(0.2), "the first crew still holds jobs"
    team.members[0].end.set()
    assert is_alone.wait(BOUND_S)
    assert team.turning() == [1]
    may_end.set()
    runner.join(BOUND_S)
    wait_until(lambda: 0 in team.turning(), BOUND_S, "the others to go on")


def test_whoever_is_to_run_alone_does_not_wait_for_ever(team: Team) -> None:
    team.wait_turning(0)
    team.members[0].held_s = 0.5
    team.wait_turning(0, 1)
    with team.crews.alone(team.members[1], lambda: False):
        assert team.turning() == [0, 1]


def test_a_single_crew_is_no_reserve() -> None:
    crews, crew = Crews(), FakeCrew()
    crews.join(crew)
    crew.end.set()
    crews.turn(Event())
    assert crew.turns == [False]
