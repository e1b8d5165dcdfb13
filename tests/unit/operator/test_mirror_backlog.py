"""What a mirror that is behind tells next: it looks at all plants now and then, and not every turn, and what is notable goes first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest

from controller.domain.judge import judge_declared
from controller.domain.outcome import Outcome, PollLog
from controller.domain.plant import Declaration, PollStatus, Status, plant_id_for
from controller.metrics import Metrics
from controller.operator import mirror
from controller.operator.kubernetes_api import PlantsApi
from controller.operator.mirror import BATCH, SCAN_EVERY, Mirror
from controller.storage.changes import ChangeListener
from controller.storage.memory import MemoryStore
from controller.storage.ports import MirrorAck
from integrations.contract import Brand
from tests.unit.operator.plants import NOW

SECOND = timedelta(seconds=1)
PLANTS = 2 * BATCH + 100


class Counted(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.scans = 0

    def untold(self, limit: int, now: datetime) -> list[UUID]:
        self.scans += 1
        return super().untold(limit, now)


class Hints:
    """Says what it is given, once."""

    def __init__(self) -> None:
        self.told: set[UUID] | None = set()

    def wait_for_changes(self, timeout_s: float) -> set[UUID] | None:
        told, self.told = self.told, set()
        return told


class World:
    """A mirror that needs no API server: it acknowledges what it has leased, or what it has the time for."""

    def __init__(self) -> None:
        self.now, self.store, self.hints = NOW, Counted(), Hints()
        changes, api = cast(ChangeListener, self.hints), cast(PlantsApi, None)
        self.mirror = Mirror(self.store, changes, api, Metrics(), lambda: self.now, lambda _: None, lambda *_: None)
        self.mirror._mirror = self._patched  # type: ignore[method-assign]
        self.turns: list[Sequence[UUID]] = []
        self.has_time_for = BATCH
        self.ids = [self._declared(number) for number in range(PLANTS)]

    def turn(self) -> Sequence[UUID]:
        """Whom a turn has leased."""
        self.now += SECOND
        turns = len(self.turns)
        self.mirror.turn()
        return self.turns[-1] if len(self.turns) > turns else []

    def turn_red(self, plant_id: UUID) -> None:
        before = self.store.read([plant_id])[plant_id]
        live = msgspec.structs.replace(before.live, status=Status.RED, status_since=self.now)
        self.store.write([Outcome(before=before, live=live)])

    def poll_all(self) -> None:
        """A poll of each, in their order, that finds nothing notable."""
        for number, job in enumerate(sorted(self.store.claim_polls(self.now, PLANTS), key=lambda job: self.ids.index(job.plant_id))):
            before = self.store.read([job.plant_id])[job.plant_id]
            ended = self.now + number * timedelta(milliseconds=1)
            log = PollLog(
                job_id=job.id,
                job_type=job.kind,
                attempt=job.attempt,
                claimed_at=self.now,
                started_at=self.now,
                finished_at=ended,
                status=PollStatus.SUCCESS,
            )
            self.store.write([Outcome(before=before, live=msgspec.structs.replace(before.live, total_energy_kwh=1.0), log=log)])

    def _declared(self, number: int) -> UUID:
        plant_id = plant_id_for("ns", Brand.SOLIS, str(number))
        name = f"p{number}"
        declared = Declaration(namespace="ns", name=name, uid=f"uid-{name}", generation=1, brand=Brand.SOLIS, vendor_plant_id=str(number))
        self.store.apply(plant_id, declared, 10, NOW + number * timedelta(milliseconds=1), judge_declared)
        return plant_id

    def _patched(self, ids: Sequence[UUID], until: datetime) -> set[UUID]:
        self.turns.append(ids)
        done = ids[: self.has_time_for]
        rows: dict[UUID, Any] = dict(self.store.read(done))
        self.store.acknowledge([MirrorAck(plant_id, rows[plant_id].version, 11, "digest") for plant_id in done], self.now)
        left = set(ids) - set(done)
        self.store.release(left)
        return left


@pytest.fixture
def world() -> World:
    return World()


def test_one_look_at_all_plants_is_worth_several_turns(world: World) -> None:
    told = [plant_id for _ in range(3) for plant_id in world.turn()]
    assert told == world.ids
    assert world.store.scans == 1
    assert world.turn() == []
    assert world.store.scans == 1
    world.now += SCAN_EVERY
    world.turn()
    assert world.store.scans == 2


def test_what_turns_notable_meanwhile_goes_first(world: World) -> None:
    for _ in range(3):
        world.turn()
    world.poll_all()
    world.now += SCAN_EVERY
    assert world.turn() == world.ids[:BATCH]
    last = world.ids[-1]
    world.turn_red(last)
    world.hints.told = {last}
    assert world.turn()[0] == last
    assert world.store.scans == 2


def test_what_a_turn_was_too_short_for_is_the_next_ones(world: World) -> None:
    world.has_time_for = 10
    assert world.turn() == world.ids[:BATCH]
    assert world.turn() == world.ids[10 : BATCH + 10]
    assert world.store.scans == 1


def test_more_hints_than_a_turn_can_bear_are_not_lost(world: World) -> None:
    told: set[UUID] = {plant_id for _ in range(3) for plant_id in world.turn()}
    for plant_id in world.ids:
        world.turn_red(plant_id)
    world.hints.told = set(world.ids)
    told = {plant_id for _ in range(3) for plant_id in world.turn()}
    assert told == set(world.ids)
    assert world.store.scans == 1


def test_a_scan_that_names_as_many_as_it_may_is_followed_by_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "SCAN", BATCH)
    told = [plant_id for _ in range(3) for plant_id in world.turn()]
    assert told == world.ids
    assert world.store.scans == 3


def test_lost_hints_are_made_good_by_a_look_at_all(world: World) -> None:
    for _ in range(3):
        world.turn()
    world.turn_red(world.ids[5])
    assert world.turn() == []
    world.hints.told = None
    assert world.turn() == [world.ids[5]]


def test_a_turn_that_fails_forgets_nothing(world: World) -> None:
    def fails(ids: Sequence[UUID], until: datetime) -> set[UUID]:
        raise OSError

    patched, world.mirror._mirror = world.mirror._mirror, fails  # type: ignore[method-assign]
    with pytest.raises(OSError):
        world.turn()
    world.mirror._mirror = patched  # type: ignore[method-assign]
    world.now += timedelta(seconds=mirror.LEASE_S)
    assert [plant_id for _ in range(3) for plant_id in world.turn()] == world.ids
