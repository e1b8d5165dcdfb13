"""What a worker remembers of a plant is what the store would tell it, whatever has happened to it: on memory and on a real Postgres."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from controller.domain.judge import judge_clock, judge_declared, judge_job
from controller.domain.outcome import Failed, Job, JobResult, Outcome, Seen, SeenDays
from controller.domain.plant import Declaration, HistoryPolicy, PlantContext, PollError, plant_id_for
from controller.domain.schedule import local_date
from controller.polling.plant_cache import ADMIT, PlantCache
from controller.storage.database import Database
from controller.storage.memory import MemoryStore
from controller.storage.ports import ApplyResult
from controller.storage.store import PostgresStore
from integrations.contract import Alarm, AlarmList, Brand, Reading, Severity

replace = msgspec.structs.replace
BEGINNING = datetime(2026, 1, 15, 15, tzinfo=UTC)
_numbers = count(1)


class CountedStore:
    """Counts which plants are read in full."""

    def __init__(self, store: MemoryStore | PostgresStore) -> None:
        self.real = store
        self.read_whole: list[UUID] = []

    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]:
        ids = list(plant_ids)
        self.read_whole += ids
        return self.real.read(ids)

    def reread(self, known: Collection[PlantContext]) -> dict[UUID, PlantContext]:
        return self.real.reread(known)

    def write(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        return self.real.write(outcomes)


class World:
    """One plant, a worker's cache of it, and others who write it past the cache."""

    def __init__(self, store: MemoryStore | PostgresStore) -> None:
        self.store = CountedStore(store)
        self.cache = PlantCache(self.store)
        self.now = BEGINNING
        self.generation = 0
        name = f"plant-{next(_numbers)}"
        self.declaration = Declaration(
            namespace="default", name=name, uid=f"uid-{name}", generation=1, brand=Brand.SOLIS, vendor_plant_id=name
        )
        self.plant_id = plant_id_for("default", Brand.SOLIS, name)
        self.declare()

    def declare(self, **changes: Any) -> None:
        self.generation += 1
        self.declaration = replace(self.declaration, generation=self.generation, **changes)
        applied = self.store.real.apply(self.plant_id, self.declaration, self.generation, self.now, judge_declared)
        assert applied.result is ApplyResult.APPLIED

    def claimed(self) -> Job | None:
        return next((job for job in self.store.real.claim_polls(self.now, 10) if job.plant_id == self.plant_id), None)

    def close(self, job: Job | None, result: JobResult, by: CountedStore | PlantCache | None = None) -> None:
        if job is None:
            return
        store = by or self.cache
        context = store.read([self.plant_id])[self.plant_id]
        assert store.write([judge_job(context, context, job, result, self.now, self.now + timedelta(seconds=1))]) == {self.plant_id}

    def assert_cache_is_right(self) -> None:
        """To the byte: also time zones and the order of alerts and days."""
        assert msgspec.json.encode(self.cache.read([self.plant_id])) == msgspec.json.encode(self.store.real.read([self.plant_id]))

    # What may happen to a plant.

    def poll(self, result: JobResult) -> None:
        self.close(self.claimed(), result)

    def poll_elsewhere(self, result: JobResult) -> None:
        self.close(self.claimed(), result, self.store)

    def claim_only(self, result: JobResult) -> None:
        job = self.claimed()
        self.assert_cache_is_right()
        self.close(job, result)

    def close_day(self, result: JobResult) -> None:
        jobs = self.store.real.claim_days(self.now + timedelta(days=1), 10)
        self.assert_cache_is_right()
        job = next((job for job in jobs if job.plant_id == self.plant_id), None)
        if job is not None:
            self.close(job, SeenDays({job.day: 7.5}) if job.day and isinstance(result, Seen) else Failed(PollError.NETWORK_TIMEOUT))

    def judge_by_clock(self, _: JobResult) -> None:
        self.store.real.judge_due(self.now + timedelta(days=1), 10, judge_clock)

    def edit(self, _: JobResult) -> None:
        self.declare(display_name=f"edit {self.generation}", poll_interval_s=600)

    def move(self, _: JobResult) -> None:
        self.declare(timezone="Asia/Tokyo" if self.declaration.timezone != "Asia/Tokyo" else "America/Sao_Paulo")

    def create_again(self, _: JobResult) -> None:
        """Deleted with its history where nothing is open, and declared anew: versions begin again."""
        self.declare(history_policy=HistoryPolicy.DELETE)
        self.generation += 1
        self.store.real.delete("default", self.declaration.name, self.declaration.uid, self.generation, self.now)
        self.assert_cache_is_right()
        self.store.real.purge(10)
        self.declare(uid=f"{self.declaration.uid}+")


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[MemoryStore | PostgresStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    database = Database(request.getfixturevalue("database"), "test-cache")
    yield PostgresStore(database)
    database.close()


def seen(at: datetime, hours_old: int = 0, power: float = 500.0, energy: float = 3.0, codes: Iterable[str] = ()) -> Seen:
    sampled = at - timedelta(hours=hours_old)
    reading = Reading(
        sampled_at=sampled, last_seen_at=sampled, current_power_w=power, today_energy_kwh=energy, total_energy_kwh=1000.0 + energy
    )
    alarms = tuple(Alarm(code, None, Severity.HIGH, f"alarm {code}", None, is_active=True) for code in codes)
    return Seen(reading, AlarmList(alarms, complete=True))


EVENTS = ("poll", "poll", "poll", "poll_elsewhere", "claim_only", "close_day", "judge_by_clock", "edit", "move", "create_again")
steps = st.tuples(
    st.sampled_from(EVENTS),
    st.sampled_from([10, 15, 60, 7 * 60, 25 * 60, 4 * 24 * 60]),
    st.one_of(
        st.just(None),
        st.tuples(st.integers(0, 30), st.floats(0, 9e5), st.floats(0, 90), st.lists(st.sampled_from(["1", "2", "3"]), unique=True)),
    ),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(life=st.lists(steps, min_size=3, max_size=15))
def test_what_is_remembered_is_what_would_be_read(store: MemoryStore | PostgresStore, life: list[tuple[str, int, Any]]) -> None:
    world = World(store)
    for what, minutes, brought in life:
        world.now += timedelta(minutes=minutes)
        result = Failed(PollError.NETWORK_TIMEOUT) if brought is None else seen(world.now, *brought)
        getattr(world, what)(result)
        world.store.read_whole.clear()
        world.assert_cache_is_right()
        event(f"{what}: {'read' if world.store.read_whole else 'remembered'}")


def test_a_plant_that_only_this_worker_polls_is_read_whole_once(store: MemoryStore | PostgresStore) -> None:
    world = World(store)
    for _ in range(5):
        world.poll(seen(world.now, codes=["1"]))
        world.now += timedelta(minutes=10)
    assert world.store.read_whole == [world.plant_id]


def test_another_life_of_a_plant_that_has_come_to_the_same_version_is_told_from_the_one_that_is_remembered(
    store: MemoryStore | PostgresStore,
) -> None:
    world = World(store)
    for _ in range(6):
        world.poll(seen(world.now))
        world.now += timedelta(minutes=10)
    remembered = world.cache.read([world.plant_id])[world.plant_id].version
    world.create_again(seen(world.now))
    while (version := store.read([world.plant_id])[world.plant_id].version) < remembered:
        world.now += timedelta(minutes=10)
        world.poll_elsewhere(seen(world.now, energy=9.0))
    assert version == remembered
    world.assert_cache_is_right()


@pytest.mark.parametrize("column", ["day_due_at", "clock_due_at"])
def test_an_instant_that_somebody_has_moved_in_the_database_is_seen(database: str, column: str) -> None:
    rows = Database(database, "test-cache")
    world = World(PostgresStore(rows))
    world.poll(seen(world.now))
    rows.run(lambda connection: connection.execute(f"UPDATE plants SET {column} = now()".encode()))
    world.assert_cache_is_right()
    rows.close()


def test_after_a_daily_job_its_days_are_read_anew(store: MemoryStore | PostgresStore) -> None:
    world = World(store)
    world.poll(seen(world.now))
    world.store.read_whole.clear()
    world.close_day(seen(world.now))
    world.assert_cache_is_right()
    assert world.store.read_whole.count(world.plant_id) >= 2
    assert local_date(world.now, world.declaration.zone) == world.cache.read([world.plant_id])[world.plant_id].days[0].date


def test_a_full_cache_keeps_most_of_what_it_has_and_makes_room_for_some() -> None:
    plants, most, rounds = 120, 40, 40
    store = CountedStore(MemoryStore())
    worlds = [World(store.real) for _ in range(plants)]
    cache = PlantCache(store, most)
    for world in worlds:
        world.cache, world.store = cache, store
    by_id = {world.plant_id: world for world in worlds}
    now, hits = BEGINNING, 0
    for _ in range(rounds):
        now += timedelta(hours=1)
        jobs = {job.plant_id: job for job in store.real.claim_polls(now, plants)}
        for plant_id, world in by_id.items():
            world.now = now
            store.read_whole.clear()
            world.close(jobs[plant_id], seen(now))
            hits += not store.read_whole
    # A third fits. Of a cache that keeps whatever came last, each would be gone just before its turn, and none be found.
    assert rounds * most * (1 - 4 * ADMIT) < hits < rounds * most
