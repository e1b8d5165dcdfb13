"""A few plants in a `MemoryStore`, a vendor that says what a case tells it to, and a batch run over them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from controller.domain.errors import LeaseLost, StoreRejected, StoreUnavailable
from controller.domain.judge import judge_declared
from controller.domain.outcome import Job, Outcome, PollLog, Taken
from controller.domain.plant import JobType, PlantContext, plant_id_for
from controller.polling.poll_plants import BatchReport, PollPlants
from controller.polling.ports import RequestBudget
from controller.storage.memory import MemoryStore
from integrations.contract import AlarmList, Brand, Exchange, PlantRef, Reading, VendorCapabilities, VendorRequest, VendorResponse
from tests.unit.domain.cases import NOON, declared, listed, reading

SUMMARY, ALARMS, SERIES = "/summary", "/alarms", "/series"


def plant_id(name: str) -> UUID:
    return plant_id_for("default", Brand.SOLIS, name)


class Vendor:
    """An adapter and its transport. `before` runs ahead of each exchange of a plant, and may change the world or raise."""

    brand = Brand.SOLIS
    capabilities = VendorCapabilities(recommended_min_interval_seconds=60, timeout_seconds=5.0)

    def __init__(self) -> None:
        self.exchanges: list[tuple[str, str]] = []
        self.readings: dict[str, Reading] = {}
        self.before: dict[tuple[str, str], Callable[[], None]] = {}
        self.days: dict[date, float] = {}
        self.unreachable: set[str] = set()

    def for_plant(self, brand: Brand, scenario: str, plant: PlantRef, tag: Callable[[], str]) -> Exchange:
        if plant.vendor_plant_id in self.unreachable:
            raise RuntimeError("no way to this plant")

        def exchange(request: VendorRequest) -> VendorResponse:
            name = plant.vendor_plant_id
            self.exchanges.append((name, request.path))
            self.before.get((name, request.path), lambda: None)()
            return VendorResponse(200, b"")

        return exchange

    def read_summary(self, plant: PlantRef, exchange: Exchange, now: datetime) -> Reading:
        exchange(VendorRequest(SUMMARY, {}))
        return self.readings.get(plant.vendor_plant_id, reading(now))

    def read_alarms(self, plant: PlantRef, exchange: Exchange, now: datetime) -> AlarmList:
        exchange(VendorRequest(ALARMS, {}))
        return listed()

    def read_daily_energy(self, plant: PlantRef, exchange: Exchange, first: date, last: date, now: datetime) -> Mapping[date, float]:
        exchange(VendorRequest(SERIES, {"first": first, "last": last}))
        return self.days


class Store(MemoryStore):
    """A memory store that can be away, can refuse rows, and can change under a reader."""

    def __init__(self) -> None:
        super().__init__()
        self.away = 0
        """How many calls fail before the store is back."""
        self.refused: Callable[[Outcome], bool] = lambda _: False
        self.before_write: Callable[[], None] = lambda: None
        self.lose_replies = 0
        """How many writes are done, and not heard of."""
        self.writes: list[list[UUID]] = []

    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]:
        self._answer()
        return super().read(plant_ids)

    def write(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        self._answer()
        self.before_write()
        self.writes.append([outcome.plant_id for outcome in outcomes])
        if any(self.refused(outcome) for outcome in outcomes):
            raise StoreRejected("refused")
        stored = super().write(outcomes)
        if self.lose_replies:
            self.lose_replies -= 1
            raise StoreUnavailable("the reply was lost")
        return stored

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")


class Lease:
    def __init__(self) -> None:
        self.held = True

    def assert_held(self) -> None:
        if not self.held:
            raise LeaseLost("ran out")


class World:
    def __init__(self, *names: str) -> None:
        self.now = NOON
        self.store = Store()
        self.vendor = Vendor()
        self.lease = Lease()
        self.pauses: list[float] = []
        self.during_pause: Callable[[], None] = lambda: None
        self.passed: list[str] = []
        self.version = 0
        for name in names:
            self.declare(name)

    def declare(self, name: str, **changes: object) -> None:
        self.version += 1
        declaration = declared(**{"name": name, "uid": f"uid-{name}", "vendor_plant_id": name, "generation": self.version, **changes})
        self.store.apply(plant_id(name), declaration, self.version, self.now, judge_declared)

    def delete(self, name: str) -> None:
        self.version += 1
        self.store.delete("default", name, f"uid-{name}", self.version, self.now)

    def claim(self, kind: JobType = JobType.POLL) -> list[Job]:
        return (self.store.claim_polls if kind is JobType.POLL else self.store.claim_days)(self.now, 100)

    def run(
        self,
        jobs: Sequence[Job],
        may_begin: Callable[[], bool] = lambda: True,
        locked: bool = False,
        may_retry: Callable[[], bool] = lambda: True,
        budget: RequestBudget | None = None,
    ) -> BatchReport:
        use_case = PollPlants(self.store, self.vendor, {Brand.SOLIS: self.vendor}, lambda: self.now, self.pause, self.passed.append, budget)
        return use_case.run([Taken(job, locked) for job in jobs], self.lease, may_begin, may_retry)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.during_pause()

    def plant(self, name: str) -> PlantContext:
        return self.store.read([plant_id(name)])[plant_id(name)]

    def logs(self, name: str) -> list[PollLog]:
        return [log for owner, log in self.store.logs if owner == plant_id(name)]

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
