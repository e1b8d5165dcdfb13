"""What becomes of a plant whose cloud refuses, by the recorded scenarios and the real adapters of every brand (DOMAIN 2)."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from controller.domain.judge import judge_declared
from controller.domain.outcome import PollLog, Taken
from controller.domain.plant import Integration, JobType, PlantContext, PollError, PollStatus, Reason, Status, plant_id_for
from controller.polling.poll_plants import PollPlants
from controller.storage.memory import MemoryStore
from integrations.contract import Brand, Exchange, PlantRef, VendorRequest, VendorResponse
from integrations.registry import ADAPTERS
from integrations.transport import FixtureTransport, default_fixtures
from tests.unit.domain.cases import DAY, HOUR, NOON, declared

VENDOR_IDS = {
    Brand.SOLIS: "1298491919448000007",
    Brand.HUAWEI: "NE=33550007",
    Brand.GOODWE: "11111111-2222-4333-8444-555555555557",
    Brand.DELE: "61094327",
}
pytestmark = pytest.mark.parametrize("brand", list(Brand))


class Vendor:
    """The fixture transport, counting what it was asked."""

    def __init__(self, life: "Life") -> None:
        self._fixtures = FixtureTransport(default_fixtures(), lambda: life.now)
        self.asked: list[str] = []

    def for_plant(self, brand: Brand, scenario: str, plant: PlantRef, tag: Callable[[], str]) -> Exchange:
        send = self._fixtures.for_plant(brand, scenario, plant, tag)

        def counted(request: VendorRequest) -> VendorResponse:
            self.asked.append(request.path)
            return send(request)

        return counted


class Life:
    """One plant of a brand, through jobs and changes of its declaration."""

    def __init__(self, brand: Brand, scenario: str) -> None:
        self.now = NOON
        self.pauses: list[float] = []
        self.vendor = Vendor(self)
        self.store = MemoryStore()
        self.declaration = declared(brand=brand, vendor_plant_id=VENDOR_IDS[brand], timezone="America/Sao_Paulo")
        self.plant_id: UUID = plant_id_for("default", brand, VENDOR_IDS[brand])
        self.version = 0
        self.declare(scenario=scenario)
        self.polls = PollPlants(self.store, self.vendor, ADAPTERS, lambda: self.now, self.pauses.append)

    def declare(self, **changes: object) -> None:
        self.version += 1
        self.declaration = declared(**{field: getattr(self.declaration, field) for field in self.declaration.__struct_fields__} | changes)
        self.store.apply(self.plant_id, self.declaration, self.version, self.now, judge_declared)

    def job(self, kind: JobType = JobType.POLL) -> PollLog | None:
        """The due job, run; None where none is due."""
        jobs = (self.store.claim_polls if kind is JobType.POLL else self.store.claim_days)(self.now, 10)
        if not jobs:
            return None
        self.vendor.asked.clear()
        self.polls.run([Taken(job) for job in jobs], _Held(), lambda: True)
        return self.store.logs[-1][1]

    @property
    def plant(self) -> PlantContext:
        return self.store.read([self.plant_id])[self.plant_id]


class _Held:
    def assert_held(self) -> None: ...


def ended(log: PollLog | None) -> PollStatus | PollError:
    assert log is not None
    return log.adapter_error_type or log.status


@pytest.mark.rule("D2.15")
@pytest.mark.parametrize("kind", list(JobType))
def test_a_silent_cloud_is_asked_three_times_a_job(brand: Brand, kind: JobType) -> None:
    life = Life(brand, "healthy")
    life.job()
    life.now += DAY
    life.declare(scenario="timeout")
    if kind is JobType.DAILY:
        life.now += HOUR
    logs = len(life.store.logs)
    assert ended(life.job(kind)) is PollError.NETWORK_TIMEOUT
    assert len(life.vendor.asked) == 3
    assert len(set(life.vendor.asked)) == 1
    assert sum(life.pauses) == 4
    assert len(life.store.logs) == logs + 1
    assert life.plant.live.integration is Integration.ACTIVE


@pytest.mark.rule("D2.14")
def test_a_cloud_that_has_had_enough_is_left_alone_for_longer_each_time(brand: Brand) -> None:
    life = Life(brand, "healthy")
    life.job()
    seen = life.plant.live.last_seen_at
    life.declare(scenario="rate-limit")
    waits: list[timedelta] = []
    for _ in range(4):
        assert ended(life.job()) is PollError.RATE_LIMIT_EXCEEDED
        assert len(life.vendor.asked) == 1, "it is not retried"
        due = life.plant.next_poll_at
        assert due is not None
        waits.append(due - life.now)
        life.now = due
    assert waits == sorted(waits)
    assert waits[-1] > 2 * timedelta(seconds=life.declaration.poll_interval_s)
    assert life.plant.live.last_seen_at == seen
    life.declare(scenario="healthy")
    assert ended(life.job()) is PollStatus.SUCCESS
    after = life.plant
    assert after.live.consecutive_failures == 0
    assert after.next_poll_at is not None
    assert after.next_poll_at <= life.now + timedelta(seconds=life.declaration.poll_interval_s), "back on its grid"


@pytest.mark.rule("D2.13")
def test_refused_credentials_pause_the_plant_until_something_changes(brand: Brand) -> None:
    life = Life(brand, "auth-error")
    assert ended(life.job()) is PollError.AUTH_FAILED
    assert len(life.vendor.asked) == 1
    live = life.plant.live
    assert (live.integration, live.status, live.reason) == (Integration.PAUSED_AUTH_ERROR, Status.GREY, Reason.PAUSED_AUTH_ERROR)
    life.now += 3 * DAY
    assert (life.job(), life.job(JobType.DAILY)) == (None, None), "a paused plant runs no jobs"
    life.declare(poll_requested="please")
    assert ended(life.job()) is PollError.AUTH_FAILED
    assert life.plant.live.integration is Integration.PAUSED_AUTH_ERROR
    assert life.job() is None
    life.declare(scenario="healthy")
    assert ended(life.job()) is PollStatus.SUCCESS
    assert (life.plant.live.integration, life.plant.live.status) == (Integration.ACTIVE, Status.GREEN)
