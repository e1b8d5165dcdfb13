"""A brand's limits as a batch meets them (DOMAIN 2): what may not be asked goes back, without a PollLog, and its claim stands."""

from collections.abc import Callable

import pytest

from controller.domain.errors import BudgetSpent
from controller.domain.outcome import Job
from controller.domain.plant import PollError, PollStatus
from integrations.errors import AdapterError, AdapterErrorType
from tests.unit.polling.world import SUMMARY, World

pytestmark = pytest.mark.rule("D2.18", "D2.19")


class Budget:
    """So many jobs are admitted, each with so many requests. Implements `RequestBudget` and `Allowance`."""

    def __init__(self, jobs: int, requests: int = 10) -> None:
        self.jobs = jobs
        self.requests = requests
        self.left = 0
        self.asked: list[Job] = []
        self.settled: list[int] = []
        self.on_spent: Callable[[], Exception] = BudgetSpent

    def reserve(self, job: Job) -> "Budget | None":
        self.asked.append(job)
        if not self.jobs:
            return None
        self.jobs -= 1
        self.left = self.requests
        return self

    def spend(self) -> None:
        if not self.left:
            raise self.on_spent()
        self.left -= 1

    def settle(self) -> None:
        self.settled.append(self.left)


@pytest.mark.rule("D2.19")
def test_what_the_budget_does_not_admit_goes_back_in_its_order_and_unasked() -> None:
    world = World("a", "b", "c", "d")
    jobs = world.claim()
    budget = Budget(jobs=2)
    report = world.run(jobs, budget=budget)
    assert [entry.job for entry in report.closed] == jobs[:2]
    assert (report.not_begun, report.without_budget) == (tuple(jobs[2:]), 2)
    assert len(world.store.logs) == 2
    assert all(world.store.read([job.plant_id])[job.plant_id].is_claimed for job in jobs[2:])
    assert len(budget.asked) == 3, "one refusal tells for the rest of the batch"


def test_every_share_is_settled_with_what_it_did_not_use() -> None:
    world = World("a", "b")
    world.vendor.before["a", SUMMARY] = fails_once(AdapterErrorType.VENDOR_ERROR)
    jobs = world.claim()
    budget = Budget(jobs=2, requests=4)
    world.run(jobs, budget=budget)
    assert sorted(budget.settled) == [2, 3], "an error ends a job after its first request"


@pytest.mark.rule("D2.19")
def test_a_job_whose_budget_ends_on_its_way_goes_back_whole() -> None:
    world = World("a")
    jobs = world.claim()
    report = world.run(jobs, budget=Budget(jobs=1, requests=1))
    assert (report.not_begun, report.without_budget, report.closed) == (tuple(jobs), 1, ())
    assert world.store.logs == []
    assert world.plant("a").live.last_seen_at is None
    assert world.run(jobs, budget=Budget(jobs=1)).closed[0].job == jobs[0], "and is polled with the next budget"


def test_a_job_that_no_budget_is_enough_for_ends_as_rate_limited() -> None:
    world = World("a")
    budget = Budget(jobs=1, requests=0)
    budget.on_spent = lambda: AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, "needs more than its brand may ask")
    world.run(world.claim(), budget=budget)
    (log,) = world.logs("a")
    assert (log.status, log.adapter_error_type) == (PollStatus.ERROR, PollError.RATE_LIMIT_EXCEEDED)


def test_jobs_without_an_exchange_take_nothing_of_the_budget() -> None:
    world = World("a", "b")
    jobs = world.claim()
    world.delete("a")
    budget = Budget(jobs=0)
    report = world.run([job for job in jobs if job.plant_id != world.plant("b").plant_id], budget=budget)
    assert len(report.closed) == 1
    assert budget.asked == []


def test_a_retry_asks_for_budget_anew_and_without_it_the_timeout_stands() -> None:
    world = World("a", "b")
    for name in "ab":
        world.vendor.before[name, SUMMARY] = fails_once(AdapterErrorType.NETWORK_TIMEOUT)
    jobs = world.claim()
    budget = Budget(jobs=3)
    report = world.run(jobs, budget=budget)
    assert (len(report.closed), report.not_begun, report.retries) == (2, (), 1)
    assert sorted(str(log.adapter_error_type or log.status) for _, log in world.store.logs) == ["NETWORK_TIMEOUT", "SUCCESS"]
    assert budget.jobs == 0
    assert len(budget.settled) == 3


def test_a_lost_lease_settles_its_share() -> None:
    world = World("a")
    world.lease.held = False
    budget = Budget(jobs=1)
    assert len(world.run(world.claim(), budget=budget).abandoned) == 1
    assert len(budget.settled) == 1


def fails_once(error: AdapterErrorType) -> Callable[[], None]:
    left = [error]

    def act() -> None:
        if left:
            raise AdapterError(left.pop(), "no")

    return act
