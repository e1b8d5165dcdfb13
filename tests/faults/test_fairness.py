"""Nobody's slowness is another's delay: plants that time out, a brand whose workers are gone, and more plants than workers can poll."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from threading import Event, Thread
from uuid import UUID

import pytest
from msgspec.structs import replace

from controller.domain.judge import judge_declared
from controller.domain.plant import Declaration, PollError, plant_id_for
from controller.polling.lanes import Lanes
from controller.polling.poll_plants import PollPlants
from controller.polling.ports import pass_by
from controller.queueing.huey import PollTasks
from controller.queueing.lease import Heartbeat
from controller.queueing.queue import RedisQueue
from controller.queueing.server import connect
from controller.queueing.worker_queue import WorkerQueue
from controller.scheduling.scheduler import Scheduler
from controller.storage.memory import MemoryStore
from controller.worker.batches import Batches
from controller.worker.crews import CREWS, Crews
from controller.worker.watchdog import Watchdog
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import wait_until
from integrations.contract import Brand, Exchange, PlantRef, VendorRequest, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.registry import ADAPTERS
from integrations.transport import FixtureTransport, default_fixtures
from tests.faults.checker import Kind, PromiseBroken, Violation
from tests.faults.conftest import Measure
from tests.faults.roles import boottime
from tests.faults.world import World
from tests.integration.test_worker import Heard, now

SLOW, GOOD = 1_000, 5_000
TIMEOUT_S = 1.0
"""A tenth of a real vendor's, and so is the interval: a minute stands for the usual ten."""
INTERVAL_S = 60.0


class SilentVendors:
    """The fixture transport, in which some plants' vendor never answers."""

    def __init__(self, silent: set[str]) -> None:
        self.silent = silent
        self.timeouts = 0
        self._fixtures = FixtureTransport(default_fixtures(), now)

    def for_plant(self, brand: Brand, scenario: str, plant: PlantRef, tag: Callable[[], str]) -> Exchange:
        return self._time_out if plant.vendor_plant_id in self.silent else self._fixtures.for_plant(brand, scenario, plant)

    def _time_out(self, request: VendorRequest) -> VendorResponse:
        time.sleep(TIMEOUT_S)  # what this vendor does, and nothing to wait for
        self.timeouts += 1
        raise AdapterError(AdapterErrorType.NETWORK_TIMEOUT, f"nothing came back from {request.path}")


class Stocked(MemoryStore):
    """Takes many plants at once: `apply` looks at all others for a namesake, which is work that grows with the square of the fleet."""

    def stock(self, declarations: Sequence[Declaration]) -> dict[str, UUID]:
        """The first is applied, the others are what it became, due a microsecond later each. Plant ids by vendor id."""
        ids = [plant_id_for(each.namespace, each.brand, str(each.vendor_plant_id)) for each in declarations]
        self.apply(ids[0], declarations[0], 1, now(), judge_declared)
        first = self._rows[ids[0]]
        assert first.next_poll_at is not None
        for later, (plant_id, each) in enumerate(zip(ids, declarations, strict=True)):
            due = first.next_poll_at + timedelta(microseconds=later)
            self._rows[plant_id] = replace(first, plant_id=plant_id, declaration=each, next_poll_at=due, alerts={}, days={})
        return {str(each.vendor_plant_id): plant_id for plant_id, each in zip(ids, declarations, strict=True)}


def _declaration(number: int) -> Declaration:
    name = f"plant-{number}"
    return Declaration(namespace="test", name=name, uid=name, generation=1, brand=Brand.SOLIS, vendor_plant_id=f"P{number}")


class Crewed:
    """A scheduler and one worker's crews in this process."""

    def __init__(self, server: Valkey, vendors: SilentVendors, crews: int, lanes: int) -> None:
        self.store = Stocked()
        self._open = ExitStack()
        client = self._open.enter_context(connect(server.url))
        self.queue = RedisQueue(client)
        self.queue.open_epoch()
        self._heartbeats = []
        self._crews, self._stop = Crews(), Event()
        queue = WorkerQueue(client, Brand.SOLIS)
        for _ in range(crews):
            watchdog = Watchdog()
            heartbeat = Heartbeat(queue, "solis", may_beat=watchdog.is_in_time)
            polls = PollPlants(self.store, vendors, ADAPTERS, now, time.sleep, lanes=Lanes(lanes))
            tasks = PollTasks(Brand.SOLIS, client)
            self._crews.join(Batches(queue, heartbeat, polls, tasks, watchdog, Heard(), alone=self._crews.alone))
            self._heartbeats.append(heartbeat)
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(crews)]

    def _work(self) -> None:
        while not self._stop.is_set():
            self._crews.turn(self._stop)

    def declare(self, count: int) -> dict[str, UUID]:
        """So many plants, due one after the other in their order; by vendor id."""
        return self.store.stock([_declaration(number) for number in range(count)])

    def start(self) -> None:
        Scheduler(self.store, self.queue, pass_by).tick(now())
        for heartbeat in self._heartbeats:
            heartbeat.start()
        for thread in self._threads:
            thread.start()

    def ended(self, error: PollError | None) -> dict[UUID, float]:
        """Plants whose poll has ended so, and when."""
        return {plant_id: log.finished_at.timestamp() for plant_id, log in list(self.store.logs) if log.adapter_error_type is error}

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        for heartbeat in self._heartbeats:
            heartbeat.stop(10)
        self._open.close()


def poll_among_silent_ones(server: Valkey, crews: int, lanes: int) -> Iterator[float]:
    """Good plants among many that time out, all due at once; yields after how many seconds the last good one was polled.

    Raises `PromiseBroken` where that is more than an interval. Then waits for the silent ones to be told so.
    """
    numbers = range(SLOW + GOOD)
    every = (SLOW + GOOD) // SLOW
    vendors = SilentVendors({f"P{number}" for number in numbers if number % every == 0})
    crewed = Crewed(server, vendors, crews, lanes)
    try:
        # In this order they are due and will be taken: every sixth is a silent one.
        plants = crewed.declare(SLOW + GOOD)
        silent = {plants[vendor_id] for vendor_id in vendors.silent}
        good = set(plants.values()) - silent
        assert (len(good), len(silent)) == (GOOD, SLOW)
        began = time.time()
        crewed.start()
        try:
            wait_until(lambda: good <= crewed.ended(None).keys(), INTERVAL_S, "all good plants to be polled", every_seconds=0.5)
        except TimeoutError as error:
            raise PromiseBroken([Violation(Kind.NOT_RECOVERED, str(error))]) from error
        yield max(crewed.ended(None)[plant_id] for plant_id in good) - began
        wait_until(lambda: silent <= crewed.ended(PollError.NETWORK_TIMEOUT).keys(), 120, "the silent ones to be told", every_seconds=0.5)
        assert len(crewed.store.logs) == SLOW + GOOD
        assert vendors.timeouts >= 2 * SLOW, "they were tried again"
        yield time.time() - began
    finally:
        crewed.close()


@pytest.mark.lasts(100)
@pytest.mark.fault
def test_plants_that_time_out_delay_the_others_by_less_than_an_interval(world: World, measure: Measure) -> None:
    took, all_took = poll_among_silent_ones(world.valkey, CREWS, 32)
    measure(f"{SLOW:,} plants time out among {GOOD:,}: the last good one polled (times ten, as timeout and interval)", took, INTERVAL_S)
    measure(f"{SLOW:,} plants time out: the last of them told (times ten)", all_took)


@pytest.mark.lasts(80)
@pytest.mark.fault
def test_control_one_after_the_other_they_do(world: World) -> None:
    with pytest.raises(PromiseBroken):
        next(poll_among_silent_ones(world.valkey, 1, 1))


@pytest.mark.fault
def test_a_brand_without_workers_delays_no_other(world: World, measure: Measure) -> None:
    dead, alive = world.seed(50, interval_s=60), world.seed(50, interval_s=60, brand=Brand.DELE)
    world.scheduler()
    world.worker(brand=Brand.DELE)
    world.polled_again(alive, 0)
    for _ in range(2):
        before, since = world.last_attempt(), boottime()
        world.make_due([*dead, *alive])
        measure("one brand has no worker: the other's plants due to all polled", world.polled_again(alive, before, since=since), 10)
        world.hold(lambda: _queued_twice(world, len(dead)), 1, "no plant has two messages")
    world.worker()
    world.polled_again(dead, 0)
    world.settle_and_check([*dead, *alive])
    assert not world.lost()


def _queued_twice(world: World, plants: int) -> list[Violation]:
    waiting = world.waiting()
    return [Violation(Kind.QUEUED_TWICE, f"{waiting} messages of {plants} plants")] if waiting > plants else []


@pytest.mark.fault
def test_with_too_few_workers_whoever_waits_longest_is_polled_first(world: World) -> None:
    """The plants of one minute are all handed out before those of the next, however many there are."""
    ids = world.seed(200, interval_s=600)
    world.execute(
        "UPDATE plants p SET next_poll_at = now() - make_interval(secs => t.number)"
        " FROM (SELECT plant_id, row_number() OVER (ORDER BY plant_id) AS number FROM plants) t WHERE t.plant_id = p.plant_id"
    )
    by_age = [plant_id for (plant_id,) in world.rows("SELECT plant_id FROM plants ORDER BY next_poll_at")]
    world.scheduler()
    world.until(lambda: world.waiting() == len(ids), 60, "all jobs to wait")
    world.worker("mid-exchange:sleep=0.01")
    world.polled_again(ids, 0)
    begun = list(dict.fromkeys(exchange.plant_id for exchange in world.exchanges()))
    # Several talk at once, so that neighbours may change places.
    assert max(abs(begun.index(plant_id) - place) for place, plant_id in enumerate(by_age)) <= 64
    world.settle_and_check(ids)
