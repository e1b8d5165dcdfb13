"""The simulated month: the product's scheduler, use case, mirror statements and maintenance by a clock that jumps. Called by `soak`.

What runs in operator and workers as loops runs here in turn, in one process, on the product's own store. Left out are Redis, Kubernetes
and the network; the vendors are the product's recordings, which follow the plants' local day.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from benchmarks.fleet import MAKES, PLACES, plant_name
from controller.domain.judge import judge_declared
from controller.domain.outcome import Job, JobWhereabouts, Taken
from controller.domain.plant import Declaration, HistoryPolicy, JobType, plant_id_for
from controller.polling.poll_plants import PollPlants
from controller.polling.ports import pass_by
from controller.scheduling.scheduler import Scheduler
from controller.storage.ports import ApplyResult, MirrorAck
from controller.storage.store import PostgresStore
from integrations.contract import Brand
from integrations.registry import ADAPTERS
from integrations.transport import FixtureTransport, default_fixtures

NAMESPACE = "soak"
INTERVAL_S = 600
BATCH = 250
"""As many as a worker takes at once."""
MIRROR_LEASE_S = 30.0
TROUBLES = ("fault", "low-generation", "offline", "stale", "gap", "rate-limit", "timeout")
TROUBLED = 0.2
"""The share of plants that have another day than a healthy one; each day others."""
CHURN = 0.01
"""The share of plants that are deleted with their history each day, and of those that are new."""
MAINTENANCE_EVERY = timedelta(hours=1)


class Broken(Exception):
    """The month did not do what it must: every claim closed, one PollLog each."""


class VirtualClock:
    """Stands still until it is moved. Pauses move it, too: nobody waits."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def move_to(self, instant: datetime) -> None:
        self.now = max(self.now, instant)


class Handover:
    """The queue of one process: what is enqueued is taken in the next breath. Implements `scheduling.ports.JobQueue`."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()

    def take(self, limit: int) -> list[Taken]:
        return [Taken(self._waiting.popleft()) for _ in range(min(limit, len(self._waiting)))]

    def open_epoch(self) -> bool:
        return False

    def enqueue(self, jobs: Sequence[Job]) -> int:
        self._waiting.extend(jobs)
        return len(jobs)

    def check(self, jobs: Sequence[Job]) -> dict[Job, JobWhereabouts]:
        return dict.fromkeys(jobs, JobWhereabouts.WAITING)

    def lift_barriers(self, jobs: Sequence[Job]) -> None: ...

    def room(self) -> Mapping[Brand, int]:
        return {}

    def depths(self) -> Mapping[Brand, int]:
        return {}


class AlwaysHeld:
    """The lease of a worker that cannot freeze. Implements `polling.ports.Lease`."""

    def assert_held(self) -> None: ...


class DayCounts(NamedTuple):
    """What one simulated day did. `jobs` are polls and daily jobs together, each with its PollLog."""

    polls: int
    jobs: int
    judged_by_clock: int
    mirrored: int
    purged: int
    dropped: tuple[str, ...]
    """Partitions."""


class Month:
    """A fleet and its days. `step` is how far the clock jumps: what falls due within it is polled together, as a scheduler's tick does."""

    def __init__(
        self, store: PostgresStore, plants: int, start: datetime, step: timedelta, poll_log_days: int, vacuum: Callable[[], None]
    ) -> None:
        """`vacuum` is called once a simulated hour."""
        self._store = store
        self._vacuum = vacuum
        self._size = plants
        self._step = step
        self._poll_log_days = poll_log_days
        self._clock = VirtualClock(start)
        self._queue = Handover()
        self._scheduler = Scheduler(store, self._queue, pass_by)
        transport = FixtureTransport(default_fixtures(), self._clock)
        self._polling = PollPlants(store, transport, ADAPTERS, self._clock, self._clock.pause)
        self._plants: dict[int, Declaration] = {}
        self._made = 0
        self._resource_version = 0
        self._chance = random.Random(plants)

    @property
    def now(self) -> datetime:
        return self._clock.now

    def begin(self) -> None:
        """Declares the fleet, and drops the partitions of the real today."""
        self._store.ensure_partitions(self.now)
        self._store.drop_partitions(self.now.date() - timedelta(days=1))
        for _ in range(self._size):
            self._declare_new()

    def day(self, until: datetime) -> DayCounts:
        """Goes on until `until`. Raises `Broken`."""
        polls = jobs = judged = mirrored = purged = 0
        dropped: list[str] = []
        self._change_fleet()
        maintained = self.now - MAINTENANCE_EVERY
        while self.now < until:
            if self.now - maintained >= MAINTENANCE_EVERY:
                maintained = self.now
                names, plants = self._maintain()
                dropped += names
                purged += plants
                self._vacuum()
            judged += len(self._scheduler.tick(self.now).judged)
            done = self._work_off()
            polls += sum(job.kind is JobType.POLL for job in done)
            jobs += len(done)
            mirrored += self._mirror()
            self._clock.move_to(next_step(self.now, self._step))
        return DayCounts(polls, jobs, judged, mirrored, purged, tuple(dropped))

    def _work_off(self) -> list[Job]:
        done: list[Job] = []
        while taken := self._queue.take(BATCH):
            report = self._polling.run(taken, AlwaysHeld(), lambda: True)
            if len(report.closed) != len(taken):
                raise Broken(f"at {self.now}: of {len(taken)} jobs {len(report.closed)} closed, {len(report.abandoned)} abandoned")
            done += (closed.job for closed in report.closed)
        return done

    def _mirror(self) -> int:
        """What the operator's mirror does to the rows: lease, read, acknowledge."""
        mirrored = 0
        while leased := self._store.lease_for_mirror(BATCH, self.now, MIRROR_LEASE_S, self._store.untold(BATCH, self.now)):
            contexts = self._store.read(leased)
            self._store.told(leased)
            acks = [
                MirrorAck(
                    plant_id, context.version, self._next_version(), f"{context.version:064x}", tuple(alert.id for alert in context.alerts)
                )
                for plant_id, context in contexts.items()
            ]
            self._store.acknowledge(acks, self.now)
            mirrored += len(acks)
        return mirrored

    def _maintain(self) -> tuple[list[str], int]:
        """As the operator's maintenance, and what it measures of the whole fleet."""
        self._store.ensure_partitions(self.now)
        dropped = self._store.drop_partitions((self.now - timedelta(days=self._poll_log_days)).date())
        purged = self._store.purge(1000)
        self._store.fleet(self.now)
        self._store.plants_with_gaps(self.now)
        return dropped, len(purged)

    def _change_fleet(self) -> None:
        """Some plants leave for good, as many come, and some have another kind of day than yesterday."""
        leaving = self._chance.sample(sorted(self._plants), round(CHURN * self._size))
        for number in leaving:
            plant = self._plants.pop(number)
            self._store.delete(plant.namespace, plant.name, plant.uid, self._next_version(), self.now)
            self._declare_new()
        for number, plant in self._plants.items():
            scenario = self._chance.choice(TROUBLES) if self._chance.random() < TROUBLED else "healthy"
            if scenario != plant.scenario:
                self._declare(number, msgspec.structs.replace(plant, scenario=scenario, generation=plant.generation + 1))

    def _declare_new(self) -> None:
        number = self._made
        self._made += 1
        brand, (zone, latitude, longitude) = list(Brand)[number % 4], PLACES[number // 4 % 4]
        make = MAKES[brand]
        self._declare(
            number,
            Declaration(
                namespace=NAMESPACE,
                name=plant_name(number),
                uid=f"uid-{number}",
                generation=1,
                brand=brand,
                vendor_plant_id=make.id_format.format(make.first_id + number),
                owner_customer_id=f"customer-{number % 50}",
                timezone=zone,
                latitude=latitude,
                longitude=longitude,
                capacity_kwp=make.capacity_kwp,
                poll_interval_s=INTERVAL_S,
                history_policy=HistoryPolicy.DELETE,
            ),
        )

    def _declare(self, number: int, plant: Declaration) -> None:
        assert plant.vendor_plant_id is not None
        plant_id = plant_id_for(plant.namespace, plant.brand, plant.vendor_plant_id)
        applied = self._store.apply(plant_id, plant, self._next_version(), self.now, judge_declared)
        if applied.result is not ApplyResult.APPLIED:
            raise Broken(f"{plant.name} was not applied: {applied.result}")
        self._plants[number] = plant

    def _next_version(self) -> int:
        self._resource_version += 1
        return self._resource_version


def next_step(now: datetime, step: timedelta) -> datetime:
    """The first multiple of `step` after `now`, counted from midnight UTC."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + ((now - midnight) // step + 1) * step
