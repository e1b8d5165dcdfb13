"""The worker's turns when vendors do not answer, or may not be asked: over a real queue server, as in test_worker.py."""

from collections.abc import Iterator
from threading import Event

import pytest
from redis import Redis

from controller.domain.plant import PollError, PollStatus
from controller.polling.poll_plants import PollPlants
from controller.queueing.budget import BrandBudget, BrandLimit
from controller.queueing.lease import boottime
from controller.queueing.server import connect
from controller.worker.batches import BEGIN_WITHIN_S, NO_BUDGET_PAUSE_S, RETRY_WITHIN_S, Batches
from controller.worker.watchdog import Watchdog
from hack.devstack.valkey import Valkey
from integrations.contract import Brand
from integrations.errors import AdapterError, AdapterErrorType
from integrations.registry import ADAPTERS
from tests.integration.test_worker import Worker, now


class Rests(Event):
    """A stop flag that notes for how long somebody wanted to wait for it, and does not let them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        return self.is_set()


class Slow(Worker):
    """A worker whose vendor does not answer, at the price of `costs_s` by the worker's own clock."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.costs_s = 0.0
        self.passed_s = 0.0
        self.stop = self.rests = Rests()
        self.vendors.during = self.time_out
        self.batches = Batches(
            self.worker_queue,
            self.heartbeat,
            self.polls,
            self.tasks,
            Watchdog(),
            self.heard,
            self.at,
            wait_s=0.05,
            clock=lambda: boottime() + self.passed_s,
        )

    def time_out(self) -> None:
        self.passed_s += self.costs_s
        raise AdapterError(AdapterErrorType.NETWORK_TIMEOUT, "nothing came back")


@pytest.fixture
def worker(valkey: Valkey) -> Iterator[Slow]:
    with connect(valkey.url, read_timeout_s=2.5) as client:
        slow = Slow(client)
        yield slow
        slow.heartbeat.stop(0)


@pytest.mark.rule("D2.15")
def test_what_timed_out_is_asked_twice_more_and_told(worker: Slow) -> None:
    worker.enqueue(2)
    assert worker.turn() == "ok"
    assert worker.results() == [PollError.NETWORK_TIMEOUT] * 2
    assert len(worker.vendors.exchanges) == 6
    assert worker.heard.told == [("retried", 4)]
    worker.assert_at_rest()


def test_a_job_that_has_begun_is_retried_when_no_other_may_begin_any_more(worker: Slow) -> None:
    jobs = worker.enqueue(2)
    worker.costs_s = BEGIN_WITHIN_S + 1
    worker.turn()
    assert worker.waiting() == jobs[1:]
    assert len(worker.vendors.exchanges) == 3


def test_no_retry_begins_that_might_outlast_the_jobs_deadline(worker: Slow) -> None:
    worker.enqueue(1)
    worker.costs_s = RETRY_WITHIN_S - 1
    worker.turn()
    assert len(worker.vendors.exchanges) == 2
    assert worker.results() == [PollError.NETWORK_TIMEOUT]


def test_a_stop_lets_timeouts_stand(worker: Slow) -> None:
    jobs = worker.enqueue(2)

    def stop() -> None:
        worker.stop.set()
        worker.time_out()

    worker.vendors.during = stop
    worker.turn()
    assert worker.results() == [PollError.NETWORK_TIMEOUT]
    assert len(worker.vendors.exchanges) == 1
    assert worker.waiting() == jobs[1:]


@pytest.mark.rule("D2.19")
def test_a_worker_without_budget_gives_back_rests_and_stays_ready(worker: Slow) -> None:
    worker.vendors.during = lambda: None
    budget = BrandBudget(worker.client, Brand.SOLIS, BrandLimit(requests_per_minute=10), 10.0)
    polls = PollPlants(worker.store, worker.vendors, ADAPTERS, now, lambda _: None, budget=budget)
    worker.batches = Batches(worker.worker_queue, worker.heartbeat, polls, worker.tasks, Watchdog(), worker.heard, wait_s=0.05)
    jobs = worker.enqueue(6)
    assert worker.turn() == "ok"
    # Two requests each, and four set aside for a plant that is not known yet.
    assert worker.results() == [PollStatus.SUCCESS] * 4
    assert worker.waiting() == jobs[4:]
    assert worker.heard.told == [("given back", 2), ("without budget", 2)]
    assert worker.rests.asked == [NO_BUDGET_PAUSE_S]
    assert worker.turn() == "ok", "nor does a turn without any poll count as a failure"
    assert worker.waiting() == jobs[4:]
    assert len(worker.store.open_claims(now(), 10)) == 2, "the claims stand"
