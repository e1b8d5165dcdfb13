"""The fast lane over a store in memory (PROTOCOL 16)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from controller.domain.errors import EpochMissing
from controller.domain.outcome import Job
from controller.scheduling.fast_lane import FastLane, FastLaneReport
from integrations.contract import Brand
from tests.unit.polling.world import World, plant_id


class Lane:
    """Implements `UrgentQueue`. `refuses` says how many promotions are one too many."""

    def __init__(self) -> None:
        self.waiting: list[Job] = []
        self.refuses = 0
        self.is_flushed = False
        self.asked: list[list[Job]] = []

    def enqueue(self, jobs: Sequence[Job]) -> int:
        self.waiting += jobs
        return len(jobs)

    def promote(self, jobs: Sequence[Job]) -> set[Job]:
        self.asked.append(list(jobs))
        moved = [job for job in jobs if job in self.waiting]
        return set(moved[: len(moved) - self.refuses])

    def room(self) -> Mapping[Brand, int]:
        return {}

    def depths(self) -> Mapping[Brand, int]:
        if self.is_flushed:
            raise EpochMissing("flushed")
        return {}


class Stage(World):
    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.lane = Lane()
        self.fast_lane = FastLane(self.store, self.lane, self.passed.append)

    def request(self, name: str, **changes: Any) -> None:
        self.declare(name, poll_requested=f"request {self.version}", **changes)

    def tick(self) -> FastLaneReport:
        return self.fast_lane.tick(self.now)


def test_only_what_was_asked_for_is_claimed_and_promoted() -> None:
    stage = Stage("a", "b")
    stage.request("b")
    assert stage.tick() == FastLaneReport(claimed=1, promoted=1)
    assert [job.plant_id for job in stage.lane.waiting] == [plant_id("b")]
    assert not stage.plant("a").is_claimed


def test_a_job_that_waits_already_is_promoted_and_only_once() -> None:
    stage = Stage("a")
    stage.lane.waiting = stage.claim()
    stage.request("a")
    assert [stage.tick().promoted for _ in range(3)] == [1, 0, 0]
    assert stage.lane.asked == [stage.lane.waiting, [], []]


def test_what_is_refused_or_not_there_yet_is_tried_again() -> None:
    stage = Stage("a")
    stage.request("a")
    stage.lane.refuses = 1
    assert [stage.tick().promoted for _ in range(2)] == [0, 0]
    stage.lane.refuses = 0
    assert [stage.tick().promoted for _ in range(2)] == [1, 0]


def test_a_request_is_forgotten_once_a_poll_that_had_read_it_has_ended() -> None:
    stage = Stage("a")
    stage.request("a")
    stage.tick()
    stage.run(stage.lane.waiting)
    stage.lane.waiting.clear()
    assert stage.tick() == FastLaneReport()
    assert len(stage.logs("a")) == 1


def test_nothing_is_claimed_that_the_queue_could_not_take() -> None:
    stage = Stage("a")
    stage.request("a")
    stage.lane.is_flushed = True
    with pytest.raises(EpochMissing):
        stage.tick()
    assert not stage.plant("a").is_claimed
