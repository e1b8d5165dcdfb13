"""The worker's turns over a real queue server, real adapters and fixtures; the store is in memory, for it is not what is tested here."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest
from redis import Redis

from controller.domain.errors import QueueUnavailable, StoreUnavailable
from controller.domain.judge import judge_declared
from controller.domain.outcome import Job, JobWhereabouts
from controller.domain.plant import Declaration, JobType, PlantContext, PollError, PollStatus, plant_id_for
from controller.polling.poll_plants import Closed, PollPlants
from controller.polling.ports import pass_by
from controller.queueing.huey import PollTasks
from controller.queueing.keys import list_key, lock_key
from controller.queueing.lease import Heartbeat, boottime
from controller.queueing.queue import RedisQueue
from controller.queueing.server import connect
from controller.queueing.worker_queue import Catch, WorkerQueue
from controller.scheduling.scheduler import Scheduler
from controller.storage.memory import MemoryStore
from controller.worker.batches import Batches
from controller.worker.main import EXIT_HUNG
from controller.worker.watchdog import Watchdog
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import wait_until
from integrations.contract import Brand, Exchange, PlantRef, VendorRequest, VendorResponse
from integrations.registry import ADAPTERS
from integrations.transport import FixtureTransport, default_fixtures

CHECKOUT = Path(__file__).resolve().parents[2]
LOST = JobWhereabouts.LOST
LIST = list_key(Brand.SOLIS)


def now() -> datetime:
    return datetime.now(UTC)


class Vendors:
    """The fixture transport, with a word in each exchange."""

    def __init__(self) -> None:
        self.exchanges: list[str] = []
        self.during: Callable[[], object] = lambda: None
        self._fixtures = FixtureTransport(default_fixtures(), now)

    def for_plant(self, brand: Brand, scenario: str, plant: PlantRef, tag: Callable[[], str]) -> Exchange:
        exchange = self._fixtures.for_plant(brand, scenario, plant)

        def observed(request: VendorRequest) -> VendorResponse:
            self.exchanges.append(tag())
            self.during()
            return exchange(request)

        return observed


class Heard:
    """What a worker said, as a `WorkerObserver`."""

    def __init__(self) -> None:
        self.turns: list[str] = []
        self.told: list[tuple[str, int]] = []
        self.retirements: list[str] = []
        self.done: list[Closed] = []

    def turned(self, loop: str, result: str, seconds: float) -> None:
        self.turns.append(result)

    def dropped(self, reason: str, messages: int) -> None:
        self.told.append((reason, messages))

    def closed(self, closed: Closed) -> None:
        self.done.append(closed)

    def given_back(self, jobs: int) -> None:
        self.told.append(("given back", jobs))

    def without_budget(self, jobs: int) -> None:
        self.told.append(("without budget", jobs))

    def retried(self, attempts: int) -> None:
        self.told.append(("retried", attempts))

    def abandoned(self, jobs: int) -> None:
        self.told.append(("abandoned", jobs))

    def retired(self, reason: str) -> None:
        self.retirements.append(reason)


class Stumbling(WorkerQueue):
    """A queue whose calls are executed, and whose replies can get lost."""

    lose_take = False
    lose_release = False

    def take(self, incarnation: str, limit: int, *, only_promoted: bool = False) -> Catch:
        catch = super().take(incarnation, limit, only_promoted=only_promoted)
        if self.lose_take:
            raise QueueUnavailable("reply lost")
        return catch

    def release(self, incarnation: str, jobs: object) -> None:
        if self.lose_release:
            raise QueueUnavailable("no answer")
        super().release(incarnation, jobs)  # type: ignore[arg-type]


class Shaky(MemoryStore):
    """A store that can be away."""

    away = False

    def read(self, plant_ids: object) -> dict[UUID, PlantContext]:
        if self.away:
            raise StoreUnavailable
        return super().read(plant_ids)  # type: ignore[arg-type]


def age_epoch(client: Redis) -> None:
    """Moves the epoch's beginning an hour back, as if the server had been up for long."""
    epoch: object = client.get("epoch")
    assert isinstance(epoch, bytes)
    run_id, _, since = epoch.decode().partition("|")
    client.set("epoch", f"{run_id}|{int(since) - 3_600_000}")


class Worker:
    """Scheduler, queue and worker of one brand in this process; the worker turns when it is told to."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.queue = RedisQueue(client)
        self.vendors = Vendors()
        self.store = Shaky()
        self.heard = Heard()
        self.stop = Event()
        self.worker_queue = Stumbling(client, Brand.SOLIS)
        self.late_s = 0.0
        self.checkpoints: dict[str, Callable[[], None]] = {}
        self.heartbeat = Heartbeat(self.worker_queue, "solis", on_retired=self.heard.retired, clock=lambda: boottime() + self.late_s)
        self.tasks = PollTasks(Brand.SOLIS, client)
        self.polls = PollPlants(self.store, self.vendors, ADAPTERS, now, lambda _: None, self.at)
        self.batches = self.with_bounds()
        self.queue.open_epoch()
        age_epoch(client)

    def at(self, point: str) -> None:
        self.checkpoints.get(point, lambda: None)()

    def with_bounds(self, begin_within_s: float = 60.0, batch: int = 250) -> Batches:
        return Batches(
            self.worker_queue,
            self.heartbeat,
            self.polls,
            self.tasks,
            Watchdog(),
            self.heard,
            self.at,
            batch=batch,
            begin_within_s=begin_within_s,
            wait_s=0.05,
        )

    def enqueue(self, plants: int) -> list[Job]:
        """So many new plants, declared, claimed and enqueued; their jobs in the order of the queue."""
        for number in range(plants):
            plant_id = plant_id_for("test", Brand.SOLIS, f"P{number}")
            declaration = Declaration(
                namespace="test", name=f"plant-{number}", uid=f"uid-{number}", generation=1, brand=Brand.SOLIS, vendor_plant_id=f"P{number}"
            )
            self.store.apply(plant_id, declaration, 1, now(), judge_declared)
        assert Scheduler(self.store, self.queue, pass_by).tick(now()).enqueued == plants
        return [job for job in self.waiting() if job.kind is JobType.POLL]

    def waiting(self) -> list[Job]:
        jobs = {job.id: job for job in self.store.open_claims(datetime.max.replace(tzinfo=UTC), 1000)}
        return [jobs[task.id] for task in self.tasks.huey.pending()]

    def turn(self) -> str:
        self.batches.turn(self.stop)
        return self.heard.turns[-1]

    def results(self) -> list[PollStatus | PollError]:
        return [log.adapter_error_type or log.status for _, log in self.store.logs]

    def assert_at_rest(self) -> None:
        keys = {str(key, "utf-8") for key in self.client.keys("*") if isinstance(key, bytes)}
        assert {key for key in keys if not key.startswith("worker:")} == {"epoch"}


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Redis]:
    with connect(valkey.url, read_timeout_s=2.5) as connected:
        yield connected


@pytest.fixture
def worker(client: Redis) -> Iterator[Worker]:
    worker = Worker(client)
    yield worker
    worker.heartbeat.stop(0)


def test_a_turn_polls_what_waits_and_leaves_nothing_behind(worker: Worker) -> None:
    worker.enqueue(5)
    assert worker.turn() == "ok"
    assert worker.results() == [PollStatus.SUCCESS] * 5
    assert len(worker.heard.done) == 5
    worker.assert_at_rest()


def test_a_turn_without_work_ends_by_itself(worker: Worker) -> None:
    assert worker.turn() == "ok"
    assert worker.results() == []


def test_a_batch_has_its_size(worker: Worker) -> None:
    jobs = worker.enqueue(5)
    worker.batches = worker.with_bounds(batch=3)
    worker.turn()
    assert [entry.job for entry in worker.heard.done] == jobs[:3]
    assert worker.waiting() == jobs[3:]


def test_huey_sees_a_job_done_only_after_its_commit(worker: Worker) -> None:
    worker.enqueue(2)
    seen: list[tuple[str, str, int]] = []
    worker.tasks.huey.signal()(lambda signal, task: seen.append((signal, task.id, len(worker.store.logs))))
    worker.turn()
    ids = [entry.job.id for entry in worker.heard.done]
    assert seen == [(signal, job_id, 2) for job_id in ids for signal in ("executing", "complete")]


def test_a_failed_poll_is_done_for_huey_too(worker: Worker) -> None:
    worker.enqueue(1)
    returned: list[object] = []
    worker.tasks.huey.post_execute("seen")(lambda task, value, error: returned.append((value, error)))

    def breaks() -> None:
        raise LookupError

    worker.vendors.during = breaks
    worker.turn()
    assert worker.results() == [PollError.UNKNOWN_ERROR]
    assert returned == [("UNKNOWN_ERROR", None)]


def test_jobs_that_do_not_begin_in_time_go_back_in_their_order(worker: Worker) -> None:
    jobs = worker.enqueue(4)
    worker.batches = worker.with_bounds(begin_within_s=0)
    worker.turn()
    assert worker.results() == []
    assert worker.waiting() == jobs
    assert worker.heard.told == [("given back", 4)]
    assert worker.client.keys("lock:*") == []


def test_a_stop_lets_the_job_at_hand_end_and_gives_the_rest_back(worker: Worker) -> None:
    jobs = worker.enqueue(4)
    worker.vendors.during = worker.stop.set
    assert worker.turn() == "ok"
    assert [entry.job for entry in worker.heard.done] == jobs[:1]
    assert worker.waiting() == jobs[1:]


def test_after_a_stop_nothing_is_taken(worker: Worker) -> None:
    jobs = worker.enqueue(1)
    worker.stop.set()
    worker.turn()
    assert worker.waiting() == jobs


def test_a_foreign_lock_closes_the_job_as_locked_and_survives(worker: Worker) -> None:
    (job,) = worker.enqueue(1)
    worker.client.set(lock_key(job.plant_id), "by hand")
    worker.turn()
    assert worker.results() == [PollError.LOCKED]
    assert worker.vendors.exchanges == []
    assert worker.client.get(lock_key(job.plant_id)) == b"by hand"


def test_a_broken_message_is_counted_and_harms_no_other(worker: Worker) -> None:
    worker.enqueue(2)
    worker.client.rpush(LIST, b"\x80\x05not json")
    assert worker.turn() == "ok"
    assert worker.results() == [PollStatus.SUCCESS] * 2
    assert worker.heard.told == [("malformed", 1)]


def test_a_job_that_was_closed_meanwhile_is_dropped_and_its_lock_released(worker: Worker) -> None:
    (job,) = worker.enqueue(1)
    worker.turn()
    worker.client.hset("waiting:solis", job.id, str(job.attempt))
    worker.client.lpush(LIST, worker.tasks.huey.serialize_task(worker.tasks.task_for(job)))
    worker.turn()
    assert worker.results() == [PollStatus.SUCCESS]
    assert worker.heard.told == [("closed", 1)]
    worker.assert_at_rest()


class TestQueueAway:
    def test_a_take_without_reply_retires_the_incarnation_and_its_jobs_are_found_lost(self, worker: Worker) -> None:
        (job,) = worker.enqueue(1)
        worker.worker_queue.lose_take = True
        assert worker.turn() == "QueueUnavailable"
        assert worker.vendors.exchanges == []
        assert worker.queue.check([job]) != {job: LOST}
        worker.worker_queue.lose_take = False
        assert worker.turn() == "ok"
        assert worker.heard.retirements == ["take-unanswered"]
        assert worker.queue.check([job]) == {job: LOST}

    def test_a_release_without_answer_retires_the_incarnation(self, worker: Worker) -> None:
        worker.enqueue(2)
        worker.worker_queue.lose_release = True
        assert worker.turn() == "LetGoFailed"
        assert worker.results() == [PollStatus.SUCCESS] * 2
        worker.worker_queue.lose_release = False
        worker.turn()
        assert worker.heard.retirements == ["release-unanswered"]
        assert len(worker.client.keys("worker:*")) == 1

    def test_an_unreachable_server_ends_the_turn_and_the_next_one_works_again(self, worker: Worker, valkey: Valkey) -> None:
        valkey.kill()
        assert worker.turn() == "QueueUnavailable"
        valkey.start()
        assert worker.turn() == "EpochMissing"
        worker.queue.open_epoch()
        worker.enqueue(1)
        assert worker.turn() == "ok"
        assert worker.results() == [PollStatus.SUCCESS]

    def test_a_flush_in_the_middle_of_a_batch_loses_no_result_and_retires_the_incarnation(self, worker: Worker) -> None:
        worker.enqueue(3)
        worker.vendors.during = worker.client.flushall
        assert worker.turn() == "LetGoFailed"
        assert worker.results() == [PollStatus.SUCCESS] * 3
        assert worker.turn() == "EpochMissing"
        worker.queue.open_epoch()
        assert worker.turn() == "ok"
        assert worker.heard.retirements == ["epoch"]
        worker.assert_at_rest()


class TestLease:
    def test_without_a_lease_no_exchange_begins_and_the_jobs_go_back(self, worker: Worker) -> None:
        jobs = worker.enqueue(2)

        def sleeps() -> None:
            worker.late_s += 31

        worker.checkpoints["after-read"] = sleeps
        worker.turn()
        assert worker.vendors.exchanges == []
        assert worker.results() == []
        assert worker.waiting() == jobs

    def test_a_lease_that_ends_between_two_exchanges_abandons_the_job(self, worker: Worker) -> None:
        first, second = worker.enqueue(2)

        def sleeps() -> None:
            worker.late_s += 31

        worker.vendors.during = sleeps
        worker.turn()
        assert len(worker.vendors.exchanges) == 1
        assert worker.results() == []
        assert worker.heard.told == [("given back", 1), ("abandoned", 1)]
        assert worker.waiting() == [second]
        assert worker.queue.check([first]) == {first: LOST}

    def test_a_new_incarnation_takes_over_after_a_lost_lease(self, worker: Worker) -> None:
        worker.enqueue(1)
        worker.turn()
        worker.late_s += 31
        assert worker.turn() == "ok"
        assert worker.heard.retirements == ["late"]
        assert len(worker.client.keys("worker:*")) == 1


class TestStoreAway:
    def test_a_batch_that_cannot_be_read_goes_back(self, worker: Worker) -> None:
        jobs = worker.enqueue(2)
        worker.store.away = True
        assert worker.turn() == "StoreUnavailable"
        assert worker.vendors.exchanges == []
        assert worker.waiting() == jobs
        worker.store.away = False
        assert worker.turn() == "ok"
        assert worker.results() == [PollStatus.SUCCESS] * 2

    def test_a_use_case_that_breaks_leaves_its_jobs_to_recovery(self, worker: Worker) -> None:
        (job,) = worker.enqueue(1)

        def breaks() -> None:
            raise LookupError

        worker.checkpoints["after-read"] = breaks
        assert worker.turn() == "BatchFailed"
        worker.checkpoints.clear()
        assert worker.turn() == "ok"
        assert worker.heard.retirements == ["batch-failed"]
        assert worker.queue.check([job]) == {job: LOST}


class TestProcess:
    """The role as a process: its signals, its exit codes, and what it leaves behind."""

    @pytest.fixture
    def start(self, valkey: Valkey) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
        started: list[subprocess.Popen[bytes]] = []

        def start(job_deadline_s: float = 50, stop_within_s: float = 20) -> subprocess.Popen[bytes]:
            arguments = ("-m", "tests.integration.worker_process", valkey.url, str(job_deadline_s), str(stop_within_s))
            process = subprocess.Popen([sys.executable, *arguments], cwd=CHECKOUT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
            started.append(process)
            return process

        yield start
        for process in started:
            process.kill()
            process.communicate(timeout=10)

    @pytest.fixture
    def jobs(self, worker: Worker, client: Redis) -> list[Job]:
        return worker.enqueue(3)

    def begun(self, client: Redis, jobs: int) -> None:
        wait_until(lambda: client.llen("begun") == jobs, 20, f"{jobs} jobs have begun")

    def test_its_heartbeat_is_kept_up(self, client: Redis, worker: Worker, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        start()
        (key,) = wait_until(lambda: client.keys("worker:*"), 20, "a heartbeat")
        client.pexpire(key, 5_000)
        wait_until(lambda: client.pttl(key) > 20_000, 4, "another heartbeat")

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_lets_the_job_at_hand_end_and_gives_the_rest_back(
        self, client: Redis, worker: Worker, jobs: list[Job], start: Callable[..., subprocess.Popen[bytes]], signum: int
    ) -> None:
        process = start()
        self.begun(client, 1)
        process.send_signal(signum)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        client.rpush("go", 1)
        assert process.wait(10) == 0
        assert worker.waiting() == jobs[1:]
        assert client.keys("lock:*") == []
        assert client.keys("worker:*") == []

    def test_an_idle_worker_ends_at_once(self, client: Redis, worker: Worker, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        process = start()
        wait_until(lambda: client.keys("worker:*"), 20, "a heartbeat")
        process.terminate()
        assert process.wait(10) == 0
        worker.assert_at_rest()

    def test_a_second_signal_ends_it_at_once(self, client: Redis, jobs: list[Job], start: Callable[..., subprocess.Popen[bytes]]) -> None:
        process = start()
        self.begun(client, 1)
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.terminate()
        assert process.wait(5) == 128 + signal.SIGTERM

    def test_a_stop_that_a_job_outlasts_is_bounded(
        self, client: Redis, jobs: list[Job], start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        process = start(stop_within_s=0.5)
        self.begun(client, 1)
        process.terminate()
        assert process.wait(10) == EXIT_HUNG
        assert len(client.keys("worker:*")) == 1, "the heartbeat must expire by itself: an exchange may have been running"

    def test_a_job_past_twice_its_deadline_ends_the_process(
        self, client: Redis, jobs: list[Job], start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        process = start(job_deadline_s=0.3)
        self.begun(client, 1)
        assert process.wait(10) == EXIT_HUNG
