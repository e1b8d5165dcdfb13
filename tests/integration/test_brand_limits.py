"""A brand's limits hold across all its workers (DOMAIN 2): the budget on a real queue server, then two real workers under it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis

from controller.domain.errors import BudgetSpent
from controller.domain.judge import judge_declared
from controller.domain.outcome import Job
from controller.domain.plant import Declaration, JobType, plant_id_for
from controller.polling.ports import pass_by
from controller.queueing.budget import AHEAD, FIRST_GUESS, BrandBudget, BrandLimit, Share
from controller.queueing.keys import jobs_key, requests_key
from controller.queueing.queue import RedisQueue
from controller.queueing.server import connect
from controller.scheduling.recovery import Recovery
from controller.scheduling.scheduler import Scheduler
from controller.storage.database import Database
from controller.storage.store import PostgresStore
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import wait_until
from integrations.contract import Brand
from integrations.errors import AdapterError
from tests.faults import ledger
from tests.stack import SolarProcess

REQUESTS, JOBS = requests_key(Brand.SOLIS), jobs_key(Brand.SOLIS)
MINUTE_S = 60.0
MARGIN_S = 10.0
"""A test may take so long between two looks at the same minute."""


def job(plant_id: UUID | None = None) -> Job:
    return Job(plant_id or uuid4(), 1, JobType.POLL, Brand.SOLIS, 1200)


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Redis]:
    with connect(valkey.url, read_timeout_s=2.5) as connected:
        yield connected


@pytest.fixture
def worker(client: Redis) -> Callable[..., BrandBudget]:
    """One of several workers, each with a budget object of its own."""

    def make(per_minute: int | None = None, at_once: int | None = None, clock: Callable[[], float] = lambda: 0.0) -> BrandBudget:
        return BrandBudget(client, Brand.SOLIS, BrandLimit(per_minute, at_once), 10.0, clock)

    return make


def admitted(budget: BrandBudget, plant_id: UUID | None = None) -> Share:
    share = budget.reserve(job(plant_id))
    assert share is not None
    return share


def polled(budget: BrandBudget, requests: int, plant_id: UUID | None = None) -> None:
    share = admitted(budget, plant_id)
    for _ in range(requests):
        share.spend()
    share.settle()


def count(client: Any) -> int:
    """Requests that count now."""
    return int(client.zcard(REQUESTS))


def let_pass(client: Any, seconds: float) -> None:
    """Time for the budget: everything in it was so many seconds earlier."""
    for key in (REQUESTS, JOBS):
        for member in client.zrange(key, 0, -1):
            client.zincrby(key, -1000 * seconds, member)


@pytest.mark.rule("D2.18")
def test_requests_of_all_workers_count_for_a_minute_after_they_ended(client: Redis, worker: Callable[..., BrandBudget]) -> None:
    one, other = worker(per_minute=10), worker(per_minute=10)
    plant_id = uuid4()
    polled(one, 4)
    polled(other, 4)
    assert count(client) == 8
    assert one.reserve(job()) is None, "a job may need more than the two that are left"
    let_pass(client, MINUTE_S - MARGIN_S)
    assert other.reserve(job(plant_id)) is None
    let_pass(client, MARGIN_S + 0.1)
    polled(one, 2, plant_id)
    assert count(client) == 2


def test_what_was_set_aside_and_not_made_is_free_again(client: Redis, worker: Callable[..., BrandBudget]) -> None:
    budget = worker(per_minute=10)
    share = admitted(budget)
    assert count(client) == FIRST_GUESS
    share.spend()
    share.settle()
    assert count(client) == 1
    assert client.zcard(JOBS) == 0


def test_what_is_set_aside_nobody_else_gets(worker: Callable[..., BrandBudget]) -> None:
    one, other = worker(per_minute=10), worker(per_minute=10)
    shares = [admitted(one), admitted(other)]
    assert one.reserve(job()) is None
    shares[0].settle()
    assert other.reserve(job()) is not None


@pytest.mark.rule("D2.18")
def test_no_more_jobs_talk_to_the_vendor_at_once_than_requests_may(worker: Callable[..., BrandBudget]) -> None:
    one, other = worker(at_once=2), worker(at_once=2)
    first = admitted(one)
    admitted(other)
    assert one.reserve(job()) is None
    first.settle()
    assert other.reserve(job()) is not None


def test_a_plant_gets_what_it_needed_before(client: Redis, worker: Callable[..., BrandBudget]) -> None:
    budget = worker(per_minute=20)
    small, large = uuid4(), uuid4()
    polled(budget, 1, small)
    polled(budget, 7, large)
    assert count(client) == 8
    share = admitted(budget, small)
    assert count(client) == 9
    share.settle()
    admitted(budget, large)
    assert count(client) == 15


def test_a_job_that_needs_more_than_was_set_aside_gets_it_where_there_is_more(client: Redis, worker: Callable[..., BrandBudget]) -> None:
    polled(worker(per_minute=10), FIRST_GUESS + 3)
    assert count(client) == FIRST_GUESS + 3


def test_a_job_without_enough_goes_back_and_then_waits_for_all_that_it_needs(worker: Callable[..., BrandBudget], client: Redis) -> None:
    budget, plant_id = worker(per_minute=10), uuid4()
    polled(budget, 5)
    share = admitted(budget, plant_id)
    for _ in range(5):
        share.spend()
    with pytest.raises(BudgetSpent):
        share.spend()
    share.settle()
    assert count(client) == 10
    let_pass(client, MINUTE_S + 0.1)
    polled(budget, 5)
    assert budget.reserve(job(plant_id)) is None, "it is known to need six"


def test_a_job_that_no_minute_is_enough_for_is_told_so(worker: Callable[..., BrandBudget]) -> None:
    budget = worker(per_minute=10)
    share = admitted(budget)
    for _ in range(10):
        share.spend()
    with pytest.raises(AdapterError, match="more than the 10 requests a minute"):
        share.spend()


def test_the_share_of_a_worker_that_died_is_free_after_its_hold_and_a_minute(client: Redis, worker: Callable[..., BrandBudget]) -> None:
    budget = worker(per_minute=10, at_once=1)
    admitted(budget)
    assert budget.reserve(job()) is None
    let_pass(client, 30.1)
    admitted(budget)
    assert count(client) == 2 * FIRST_GUESS, "its requests may just have been made"
    let_pass(client, MINUTE_S - MARGIN_S)
    assert budget.reserve(job()) is None, "the first share counts for a minute after its hold"
    let_pass(client, MARGIN_S)
    admitted(budget)
    assert count(client) == 2 * FIRST_GUESS


def test_no_request_is_made_that_could_outlast_the_hold(worker: Callable[..., BrandBudget], client: Any) -> None:
    clock = 0.0
    budget = worker(per_minute=10, at_once=1, clock=lambda: clock)
    share = admitted(budget)
    share.spend()
    clock = 21.0
    let_pass(client, 21)
    share.spend()
    [(_, until_ms)] = client.zrange(JOBS, 0, -1, withscores=True)
    assert until_ms > 1000 * (now().timestamp() + 25), "the hold is a new one"
    share.settle()
    assert count(client) == 2


def test_a_flushed_server_begins_with_a_fresh_budget_and_what_runs_still_counts(client: Redis, worker: Callable[..., BrandBudget]) -> None:
    budget = worker(per_minute=10)
    share = admitted(budget)
    share.spend()
    client.flushall()
    polled(budget, 1)
    share.settle()
    assert count(client) == 2


def test_a_server_that_is_away_admits_nothing(valkey: Valkey, worker: Callable[..., BrandBudget]) -> None:
    budget = worker(per_minute=10)
    share = admitted(budget)
    valkey.kill()
    assert budget.reserve(job()) is None
    share.spend()
    share.settle()


def test_the_budget_leaves_no_key_for_ever(client: Any, worker: Callable[..., BrandBudget]) -> None:
    share = admitted(worker(per_minute=10, at_once=1))
    assert client.ttl(REQUESTS) > 0
    share.spend()
    client.expire(REQUESTS, int(MARGIN_S))
    share.settle()
    assert client.ttl(REQUESTS) > MINUTE_S - MARGIN_S, "nor is one gone while its requests count"
    admitted(worker(per_minute=10, at_once=1))
    assert [client.ttl(key) > 0 for key in client.keys("budget:*")] == [True] * 3


@pytest.mark.rule("D2.19")
def test_the_room_for_claims_is_what_budget_and_queue_leave(client: Redis, worker: Callable[..., BrandBudget]) -> None:
    limits = {Brand.SOLIS: BrandLimit(20), Brand.DELE: BrandLimit(requests_at_once=2), Brand.GOODWE: BrandLimit()}
    queue = RedisQueue(client, limits=limits)
    queue.open_epoch()
    assert queue.room() == {Brand.SOLIS: 20 // FIRST_GUESS, Brand.DELE: 2 * AHEAD}
    polled(worker(per_minute=20), 2)
    assert queue.room()[Brand.SOLIS] == 18 // 2, "a job is known to make two requests"
    queue.enqueue([job() for _ in range(4)])
    assert queue.room()[Brand.SOLIS] == 9 - 4
    let_pass(client, MINUTE_S + 0.1)
    assert queue.room()[Brand.SOLIS] == 10 - 4


@pytest.mark.rule("D2.20")
def test_without_limits_nobody_is_asked(valkey: Valkey) -> None:
    queue = RedisQueue(valkey.url)
    valkey.kill()
    assert queue.room() == {}


PER_MINUTE = 20
PLANTS = 15
"""At two requests a poll: ten of them use the first minute up, the others have to wait for it to pass."""
BOUND_S = 100.0


@pytest.mark.lasts(70)
@pytest.mark.rule("D2.18", "D2.20")
def test_two_workers_of_one_brand_keep_its_limits_together_and_lose_nothing(
    database: str, valkey: Valkey, launch: Callable[..., SolarProcess], tmp_path: Path
) -> None:
    ledger_file = tmp_path / "ledger.jsonl"
    env = {
        "DATABASE_URL": database,
        "REDIS_URL": valkey.url,
        "INTEGRATION_MOCK_MODE": "true",
        "INTEGRATION_LEDGER_FILE": str(ledger_file),
        "LIMIT_SOLIS_REQUESTS_PER_MINUTE": str(PER_MINUTE),
        "LIMIT_SOLIS_CONCURRENCY": "1",
        # Exchanges that last, so that two workers would be seen to talk at once.
        "FAIL": "mid-exchange:sleep=0.1",
    }
    queue = RedisQueue(valkey.url, limits={Brand.SOLIS: BrandLimit(PER_MINUTE, 1)})
    queue.open_epoch()
    workers = [launch("worker", "--brand", "solis", env=env, name=name) for name in ("one", "other")]
    for process in workers:
        process.wait_ready()
    rows = Database(database, "test-limits", max_connections=2)
    try:
        store = PostgresStore(rows)
        seed(store)
        scheduler, recovery = Scheduler(store, queue, pass_by), Recovery(store, queue, now, pass_by)
        most_waiting = 0

        def all_polled() -> bool:
            nonlocal most_waiting
            scheduler.tick(now())
            recovery.sweep()
            most_waiting = max(most_waiting, queue.depths()[Brand.SOLIS])
            return len({plant_id for plant_id, _, _ in logs(rows)}) == PLANTS

        wait_until(all_polled, BOUND_S, f"{PLANTS} plants to be polled", every_seconds=0.5)
        wait_until(lambda: not store.open_claims(datetime.max.replace(tzinfo=UTC), 1), 10, "claims to be closed")
        written = logs(rows)
    finally:
        rows.close()
    assert {(status, error) for _, status, error in written} == {("SUCCESS", None)}
    assert len(written) == PLANTS, "one PollLog a claim"
    exchanges = ledger.read(ledger_file, {})
    assert_limits_kept(exchanges)
    assert len(exchanges) == 2 * PLANTS, "nothing was asked twice"
    assert most_waiting <= PER_MINUTE // 2, "no more is claimed than the limit admits"
    for process in workers:
        assert took_part(process), f"{process.name} had no part in it"


def assert_limits_kept(exchanges: list[ledger.Exchange]) -> None:
    begins = [exchange.begin for exchange in exchanges]
    assert len(begins) > PER_MINUTE
    shortest = min(later - earlier for earlier, later in zip(begins, begins[PER_MINUTE:], strict=False))
    assert shortest >= MINUTE_S, f"{PER_MINUTE + 1} requests within {shortest:.3f} s"
    assert not any(earlier.overlaps(later) for earlier, later in pairwise(exchanges)), "two requests at once"


def took_part(process: SolarProcess) -> bool:
    """Whether it polled, or asked for budget in vain."""
    counted = ("solarinvest_polls_total{", "solarinvest_budget_refusals_total{")
    lines = (process.get("/metrics") or "").splitlines()
    return any(line.startswith(counted) and not line.endswith(" 0.0") for line in lines)


def now() -> datetime:
    return datetime.now(UTC)


def seed(store: PostgresStore) -> None:
    """Plants that are due now, and then not for a day."""
    for number in range(PLANTS):
        plant_id = plant_id_for("limits", Brand.SOLIS, f"P{number}")
        declaration = Declaration(
            namespace="limits",
            name=f"plant-{number}",
            uid=f"uid-{number}",
            generation=1,
            brand=Brand.SOLIS,
            vendor_plant_id=f"P{number}",
            poll_interval_s=86_400,
        )
        store.apply(plant_id, declaration, 1, now(), judge_declared)


def logs(rows: Database) -> list[tuple[UUID, str, str | None]]:
    statement = "SELECT plant_id, status, adapter_error_type FROM poll_logs WHERE job_type = 'POLL'"
    return rows.run(lambda connection: connection.execute(statement).fetchall())
