"""PROTOCOL 8 to 15 and 21 on a real server: each rule, and the interleavings that it is there for."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from threading import Barrier, Thread
from time import monotonic
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace
from redis import Redis

from controller.domain.errors import EpochMissing, IncarnationRetired, LeaseLost, QueueUnavailable
from controller.domain.outcome import Job, JobWhereabouts
from controller.domain.plant import JobType
from controller.queueing.huey import PollTasks
from controller.queueing.keys import ahead_key, heartbeat_key, list_key, lock_key, promotions_key, waiting_key
from controller.queueing.lease import Incarnation
from controller.queueing.messages import encode_job
from controller.queueing.queue import CHUNK, PROMOTIONS_A_SECOND, PROMOTIONS_AHEAD, RedisQueue
from controller.queueing.server import connect
from controller.queueing.worker_queue import WorkerQueue
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import wait_until
from integrations.contract import Brand

WAITING, RUNNING, LOST, UNKNOWN = JobWhereabouts
LONG_S = 600.0
"""A lease that does not end within a test."""
BRIEF_S = 1.5
"""One that ends within a test, and not between two of its calls on a busy machine."""
LIST, ENTRIES = list_key(Brand.SOLIS), waiting_key(Brand.SOLIS)


def poll(attempt: int, plant_id: UUID | None = None, brand: Brand = Brand.SOLIS) -> Job:
    return Job(plant_id or uuid4(), attempt, JobType.POLL, brand, 1200)


def daily(attempt: int, plant_id: UUID) -> Job:
    return Job(plant_id, attempt, JobType.DAILY, Brand.SOLIS, 1200, date(2026, 1, 31))


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Redis]:
    with connect(valkey.url, read_timeout_s=2.5) as connected:
        yield connected


def age_epoch(client: Redis) -> None:
    """Moves the epoch's beginning into the past, as if the server had been up for long."""
    run_id, _, since = text(client.get("epoch")).partition("|")
    client.set("epoch", f"{run_id}|{int(since) - 3_600_000}")


@pytest.fixture
def queue(client: Redis) -> RedisQueue:
    """The scheduler's side, in an epoch that has lasted for long."""
    queue = RedisQueue(client)
    assert queue.open_epoch()
    age_epoch(client)
    return queue


@pytest.fixture
def worker(client: Redis, queue: RedisQueue) -> WorkerQueue:
    """The worker's side, with the incarnations `w1` and `w2` alive."""
    worker = WorkerQueue(client, Brand.SOLIS, LONG_S)
    worker.begin("w1")
    worker.begin("w2")
    return worker


def text(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode()


def lock_of(client: Redis, job: Job) -> str | None:
    token = client.get(lock_key(job.plant_id))
    return None if token is None else text(token)


def assert_at_rest(client: Redis) -> None:
    """Nothing is left but the epoch and heartbeats."""
    keys = {text(key) for key in client.keys("*")}
    assert {key for key in keys if not key.startswith("worker:")} == {"epoch"}


class TestEnqueue:
    def test_jobs_come_out_in_the_order_in_which_they_went_in(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(n) for n in range(1, 6)]
        assert queue.enqueue(jobs) == 5
        assert worker.take("w1", 3).jobs == tuple(jobs[:3])
        assert worker.take("w1", 3).jobs == tuple(jobs[3:])

    @pytest.mark.rule("D1.2", "D1.8")
    def test_every_brand_has_its_own_queue_under_the_locked_name(self, client: Redis, queue: RedisQueue) -> None:
        queue.enqueue([poll(n, brand=brand) for n, brand in enumerate(Brand, start=1)])
        for slug in ("solis", "huawei", "goodwe", "dele"):
            assert client.llen(f"huey.redis.queue:poll:{slug}") == 1
            assert client.hlen(f"waiting:{slug}") == 1
        assert queue.depths() == dict.fromkeys(Brand, 1)

    def test_a_repetition_after_a_lost_reply_adds_nothing(self, client: Redis, queue: RedisQueue) -> None:
        jobs = [poll(n) for n in range(1, 4)]
        queue.enqueue(jobs)
        assert queue.enqueue(jobs) == 0
        assert client.llen(LIST) == 3

    def test_a_job_named_twice_in_one_call_is_put_in_once(self, client: Redis, queue: RedisQueue) -> None:
        job = poll(1)
        assert queue.enqueue([job, job]) == 1
        assert client.llen(LIST) == 1

    def test_a_job_that_is_being_run_is_not_put_in_again(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(1)
        queue.enqueue([job])
        worker.take("w1", 1)
        assert queue.enqueue([job]) == 0

    def test_a_later_attempt_makes_the_waiting_message_of_an_earlier_one_stale(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        first = poll(1)
        later = poll(2, first.plant_id)
        queue.enqueue([first])
        assert queue.enqueue([later]) == 1
        catch = worker.take("w1", 10)
        assert (catch.jobs, catch.stale) == ((later,), 1)

    def test_more_jobs_than_one_call_carries(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(n) for n in range(1, CHUNK * 2 + 2)]
        assert queue.enqueue(jobs) == len(jobs)
        assert set(queue.check(jobs).values()) == {WAITING}
        assert worker.take("w1", len(jobs)).jobs == tuple(jobs)

    def test_entries_have_no_ttl(self, client: Redis, queue: RedisQueue) -> None:
        queue.enqueue([poll(1)])
        assert client.ttl(ENTRIES) == -1


class TestPromote:
    """PROTOCOL 16."""

    def test_a_promoted_job_is_taken_next_and_the_others_keep_their_order(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(n) for n in range(1, 6)]
        queue.enqueue(jobs)
        assert queue.promote([jobs[3]]) == {jobs[3]}
        assert worker.take("w1", 10).jobs == (jobs[3], jobs[0], jobs[1], jobs[2], jobs[4])

    def test_it_has_one_message_however_often_it_is_promoted(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(n) for n in range(1, 4)]
        queue.enqueue(jobs)
        for _ in range(3):
            assert queue.promote([jobs[2]]) == {jobs[2]}
        assert client.llen(LIST) == client.hlen(ENTRIES) == 3
        assert worker.take("w1", 10).stale == 0

    def test_what_does_not_wait_is_not_promoted(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        running, absent, overtaken = poll(1), poll(2), poll(3)
        later = poll(4, overtaken.plant_id)
        queue.enqueue([running])
        worker.take("w1", 1)
        queue.enqueue([later])
        assert queue.promote([running, absent, overtaken]) == set()
        assert client.llen(LIST) == 1
        assert queue.check([running, later]) == {running: RUNNING, later: WAITING}

    def test_a_message_that_says_it_in_other_bytes_stays_behind_and_is_dropped(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        """The plant's interval has changed since it was claimed, and with it the TTL of its lock."""
        queued = poll(7)
        now_read = replace(queued, lock_ttl_s=240)
        queue.enqueue([poll(1), queued])
        assert queue.promote([now_read]) == {now_read}
        catch = worker.take("w1", 10)
        assert (catch.jobs[0], len(catch.jobs), catch.stale) == (now_read, 2, 1)

    def test_no_more_than_so_many_a_second(self, client: Redis, queue: RedisQueue) -> None:
        jobs = [poll(n) for n in range(1, PROMOTIONS_A_SECOND + 11)]
        queue.enqueue(jobs)
        # A second that does not pass meanwhile, with ten left.
        client.set(promotions_key(Brand.SOLIS), PROMOTIONS_A_SECOND - 10, px=60_000)
        assert len(queue.promote(jobs)) == 10
        assert queue.promote(jobs[-1:]) == set()
        client.delete(promotions_key(Brand.SOLIS), ahead_key(Brand.SOLIS))
        assert len(queue.promote(jobs)) == PROMOTIONS_A_SECOND
        assert -1 != client.pttl(promotions_key(Brand.SOLIS)) <= 1000

    def test_a_lane_that_is_always_full_leaves_every_second_job_to_the_others(
        self, client: Redis, queue: RedisQueue, worker: WorkerQueue
    ) -> None:
        regular, urgent = [poll(n) for n in range(1, 1001)], [poll(n) for n in range(1001, 2001)]
        queue.enqueue([*regular, *urgent])
        left = list(urgent)
        taken: list[Job] = []
        for _ in range(40):
            client.delete(promotions_key(Brand.SOLIS))
            moved = queue.promote(left[:200])
            left = [job for job in left if job not in moved]
            taken += worker.take("w1", 20).jobs
        ahead = sum(job in set(urgent) for job in taken)
        assert len(taken) == 800
        assert 400 <= ahead <= 400 + PROMOTIONS_AHEAD

    def test_nothing_of_it_is_left(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(1), poll(2)]
        queue.enqueue(jobs)
        queue.promote(jobs[1:])
        worker.take("w1", 10)
        assert client.exists(ahead_key(Brand.SOLIS)) == 0


class TestAlone:
    """PROTOCOL 20: a plant that may be what ends workers."""

    def test_it_is_a_batch_of_its_own_and_the_others_keep_their_order(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(1), replace(poll(2), alone=True), poll(3), poll(4)]
        queue.enqueue(jobs)
        assert worker.take("w1", 10).jobs == (jobs[0],)
        assert worker.take("w1", 10).jobs == (jobs[1],)
        assert worker.take("w1", 10).jobs == (jobs[2], jobs[3])

    def test_it_is_still_to_run_alone_when_it_was_given_back(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = replace(poll(1), alone=True)
        queue.enqueue([job])
        worker.give_back("w1", worker.take("w1", 10).jobs)
        queue.enqueue([poll(2)])
        assert worker.take("w1", 10).jobs == (job,)


class TestTake:
    @pytest.mark.rule("D1.9")
    def test_taking_removes_the_entry_and_sets_the_lock_with_two_intervals_of_ttl(
        self, client: Redis, queue: RedisQueue, worker: WorkerQueue
    ) -> None:
        job = poll(7)
        queue.enqueue([job])
        worker.take("w1", 1)
        assert client.hlen(ENTRIES) == 0
        assert lock_of(client, job) == "w1|7"
        assert 1_190_000 < client.pttl(lock_key(job.plant_id)) <= 1_200_000

    def test_without_a_heartbeat_nothing_is_taken(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        queue.enqueue([poll(1)])
        worker.retire("w1")
        with pytest.raises(IncarnationRetired):
            worker.take("w1", 1)
        assert client.llen(LIST) == 1

    def test_a_message_delivered_twice_is_handed_out_once(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(1)
        queue.enqueue([job])
        client.lpush(LIST, encode_job(job))
        catch = worker.take("w1", 10)
        assert (catch.jobs, catch.stale) == ((job,), 1)

    def test_the_lock_of_an_older_attempt_is_replaced(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(5)
        client.set(lock_key(job.plant_id), "dead|4")
        queue.enqueue([job])
        assert worker.take("w1", 1).jobs == (job,)
        assert lock_of(client, job) == "w1|5"

    @pytest.mark.parametrize("held", [5, 6])
    def test_a_job_whose_attempt_is_held_already_is_dropped(self, client: Redis, queue: RedisQueue, worker: WorkerQueue, held: int) -> None:
        job = poll(5)
        queue.enqueue([job])
        client.set(lock_key(job.plant_id), f"w2|{held}")
        catch = worker.take("w1", 1)
        assert (catch.jobs, catch.overtaken) == ((), 1)
        assert lock_of(client, job) == f"w2|{held}"
        assert client.hlen(ENTRIES) == 0

    @pytest.mark.parametrize("token", ["by hand", "w1|", "w1|4|2", "|4", "w1|99999999999999999999"])
    def test_a_foreign_lock_means_locked_and_survives(self, client: Redis, queue: RedisQueue, worker: WorkerQueue, token: str) -> None:
        job = poll(5)
        client.set(lock_key(job.plant_id), token)
        queue.enqueue([job])
        catch = worker.take("w1", 1)
        assert catch.jobs == (job,)
        assert catch.locked == {job}
        worker.release("w1", [job])
        assert lock_of(client, job) == token
        assert client.ttl(lock_key(job.plant_id)) == -1

    def test_a_foreign_lock_of_another_type_means_locked_too(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(5)
        client.hset(lock_key(job.plant_id), "owner", "huey")
        queue.enqueue([job])
        assert worker.take("w1", 1).locked == {job}
        assert queue.check([job]) == {job: LOST}
        assert client.hget(lock_key(job.plant_id), "owner") == b"huey"

    @pytest.mark.rule("D1.10")
    def test_poll_and_daily_of_one_plant_never_hold_it_both(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        closing = daily(3, uuid4())
        polling = poll(4, closing.plant_id)
        queue.enqueue([closing])
        assert worker.take("w1", 1).jobs == (closing,)
        queue.enqueue([polling])
        worker.take("w2", 1)
        assert lock_of(client, polling) == "w2|4"
        worker.release("w1", [closing])
        assert lock_of(client, polling) == "w2|4"

    # Named: what random ids are in a parameter must not be in the test's name, for each xdist worker draws its own.
    @pytest.mark.parametrize(
        "message",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"\x00\xff", id="binary"),
            pytest.param(b"[1,2]", id="list"),
            pytest.param(b'"text"', id="text"),
            pytest.param(b"null", id="null"),
            pytest.param(b"[" * 100_000, id="deep"),
            pytest.param(b'{"id":"poll:plant:x:latest","name":"solarinvest.poll_plant","args":["x",1,1200]}', id="no plant"),
            pytest.param(b'{"id":1,"name":"solarinvest.poll_plant","args":{}}', id="no arguments"),
            pytest.param(encode_job(poll(1)).replace(b"poll_plant", b"drop_table"), id="another task"),
            pytest.param(encode_job(poll(1)).replace(b",1,", b",-1,"), id="negative attempt"),
            pytest.param(encode_job(poll(1)).replace(b",1,", b",1.5,"), id="broken attempt"),
            pytest.param(encode_job(poll(1)).replace(b",1,", b",null,"), id="no attempt"),
            pytest.param(encode_job(poll(1)).replace(b"1200", b'"1200"'), id="ttl as text"),
        ],
    )
    def test_a_broken_message_is_dropped_and_counted_and_harms_no_other(
        self, client: Redis, queue: RedisQueue, worker: WorkerQueue, message: bytes
    ) -> None:
        before, after = poll(1), poll(2)
        queue.enqueue([before])
        client.lpush(LIST, message)
        queue.enqueue([after])
        catch = worker.take("w1", 10)
        assert (catch.jobs, catch.malformed) == ((before, after), 1)
        assert client.llen(LIST) == 0

    def test_a_message_of_a_day_that_does_not_exist_is_dropped_and_leaves_no_lock(
        self, client: Redis, queue: RedisQueue, worker: WorkerQueue
    ) -> None:
        plant_id = uuid4()
        job_id = f"daily:plant:{plant_id}:2026-02-31"
        client.lpush(LIST, f'{{"id":"{job_id}","name":"solarinvest.poll_plant","args":["{plant_id}",1,1200]}}')
        client.hset(ENTRIES, job_id, "1")
        assert worker.take("w1", 1).malformed == 1
        assert_at_rest(client)

    def test_two_workers_racing_never_share_a_job(self, valkey: Valkey, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(n) for n in range(1, 401)]
        queue.enqueue(jobs)
        taken: dict[str, list[Job]] = {"w1": [], "w2": []}
        together = Barrier(2)

        def run(name: str) -> None:
            with connect(valkey.url) as own:
                mine = WorkerQueue(own, Brand.SOLIS, LONG_S)
                together.wait(5)
                while catch := mine.take(name, 7).jobs:
                    taken[name] += catch

        threads = [Thread(target=run, args=(name,)) for name in taken]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(taken["w1"]) + len(taken["w2"]) == len(jobs)
        assert set(taken["w1"]) | set(taken["w2"]) == set(jobs)

    def test_waiting_for_work_moves_nothing(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(1), poll(2)]
        queue.enqueue(jobs)
        assert worker.wait_for_work(1)
        assert client.lrange(LIST, 0, -1) == [encode_job(jobs[1]), encode_job(jobs[0])]

    def test_waiting_for_work_ends_by_itself(self, worker: WorkerQueue) -> None:
        started = monotonic()
        assert not worker.wait_for_work(0.05)
        assert monotonic() - started < 2


class TestReleaseAndReturn:
    def test_release_leaves_nothing_behind(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(n) for n in range(1, 4)]
        queue.enqueue(jobs)
        worker.take("w1", 3)
        worker.release("w1", jobs)
        assert_at_rest(client)

    @pytest.mark.rule("D1.9")
    def test_only_the_owner_releases(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(1)
        queue.enqueue([job])
        worker.take("w1", 1)
        worker.release("w2", [job])
        assert lock_of(client, job) == "w1|1"

    def test_a_late_release_does_not_touch_the_lock_of_the_next_attempt(
        self, client: Redis, queue: RedisQueue, worker: WorkerQueue
    ) -> None:
        first = poll(1)
        second = poll(2, first.plant_id)
        queue.enqueue([first])
        worker.take("w1", 1)
        queue.enqueue([second])
        worker.take("w1", 1)
        worker.release("w1", [first])
        assert lock_of(client, second) == "w1|2"

    def test_returned_jobs_are_at_the_front_in_their_old_order(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        jobs = [poll(n) for n in range(1, 5)]
        queue.enqueue(jobs)
        worker.take("w1", 3)
        assert worker.give_back("w1", jobs[1:3]) == 2
        assert set(queue.check(jobs[1:]).values()) == {WAITING}
        assert lock_of(client, jobs[1]) is None
        assert worker.take("w2", 10).jobs == tuple(jobs[1:])

    def test_a_return_repeated_after_a_lost_reply_adds_nothing(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(1)
        queue.enqueue([job])
        worker.take("w1", 1)
        worker.give_back("w1", [job])
        assert worker.give_back("w1", [job]) == 0
        assert client.llen(LIST) == 1

    def test_a_return_of_nothing(self, worker: WorkerQueue) -> None:
        assert worker.give_back("w1", []) == 0

    def test_a_return_does_not_displace_the_entry_of_a_later_attempt(self, queue: RedisQueue, worker: WorkerQueue) -> None:
        first = poll(1)
        later = poll(2, first.plant_id)
        queue.enqueue([first])
        worker.take("w1", 1)
        queue.enqueue([later])
        assert worker.give_back("w1", [first]) == 0
        assert worker.take("w2", 10).jobs == (later,)


class TestCheck:
    def test_waiting_running_and_lost(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        waiting, running, lost = poll(1), poll(2), poll(3)
        queue.enqueue([running])
        worker.take("w1", 1)
        queue.enqueue([waiting])
        assert queue.check([waiting, running, lost]) == {waiting: WAITING, running: RUNNING, lost: LOST}
        assert lock_of(client, lost) == "barrier|3"
        assert lock_of(client, running) == "w1|2"

    def test_a_job_is_lost_when_its_workers_heartbeat_ends(self, client: Redis, queue: RedisQueue) -> None:
        worker = WorkerQueue(client, Brand.SOLIS, BRIEF_S)
        worker.begin("brief")
        job = poll(1)
        queue.enqueue([job])
        worker.take("brief", 1)
        assert queue.check([job]) == {job: RUNNING}
        wait_until(lambda: queue.check([job]) == {job: LOST}, 5, "the job is found lost")
        with pytest.raises(IncarnationRetired):
            worker.beat("brief")

    def test_a_late_enqueue_does_not_revive_a_lost_job(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(1)
        assert queue.check([job]) == {job: LOST}
        assert queue.enqueue([job]) == 0
        assert worker.take("w1", 1).jobs == ()
        assert client.llen(LIST) == 0

    def test_a_late_return_does_not_revive_a_lost_job(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(1)
        queue.enqueue([job])
        worker.take("w1", 1)
        worker.retire("w1")
        assert queue.check([job]) == {job: LOST}
        assert worker.give_back("w1", [job]) == 0
        worker.release("w1", [job])
        assert lock_of(client, job) == "barrier|1"

    def test_a_job_found_lost_again_is_lost_again(self, queue: RedisQueue) -> None:
        job = poll(1)
        assert queue.check([job]) == queue.check([job]) == {job: LOST}

    def test_the_barrier_is_lifted_for_its_own_attempt_only(self, client: Redis, queue: RedisQueue) -> None:
        job = poll(2)
        queue.check([job])
        queue.lift_barriers([poll(1, job.plant_id)])
        assert lock_of(client, job) == "barrier|2"
        queue.lift_barriers([job])
        assert_at_rest(client)

    def test_the_next_attempt_passes_a_barrier_that_was_never_lifted(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        job = poll(1)
        queue.check([job])
        following = poll(2, job.plant_id)
        assert queue.enqueue([following]) == 1
        assert worker.take("w1", 1).jobs == (following,)
        queue.lift_barriers([job])
        assert lock_of(client, following) == "w1|2"

    def test_the_lock_of_a_later_attempt_is_not_replaced_by_a_barrier(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        later = poll(2)
        queue.enqueue([later])
        worker.take("w1", 1)
        first = poll(1, later.plant_id)
        assert queue.check([first]) == {first: LOST}
        assert lock_of(client, later) == "w1|2"

    def test_a_foreign_lock_is_not_replaced_by_a_barrier(self, client: Redis, queue: RedisQueue) -> None:
        job = poll(1)
        client.set(lock_key(job.plant_id), "by hand")
        assert queue.check([job]) == {job: LOST}
        assert lock_of(client, job) == "by hand"


class TestEpoch:
    def test_everything_is_refused_before_the_first_epoch(self, client: Redis) -> None:
        queue, worker, job = RedisQueue(client), WorkerQueue(client, Brand.SOLIS), poll(1)
        for call in (
            lambda: queue.enqueue([job]),
            lambda: queue.check([job]),
            lambda: queue.lift_barriers([job]),
            queue.depths,
            lambda: worker.begin("w1"),
            lambda: worker.beat("w1"),
            lambda: worker.take("w1", 1),
            lambda: worker.release("w1", [job]),
            lambda: worker.give_back("w1", [job]),
        ):
            with pytest.raises(EpochMissing):
                call()
        assert client.keys("*") == []

    def test_an_epoch_is_opened_once(self, client: Redis) -> None:
        assert RedisQueue(client).open_epoch()
        assert not RedisQueue(client).open_epoch()

    @pytest.mark.parametrize("left_behind", ["0123456789abcdef0123456789abcdef01234567|1", "nonsense", ""])
    def test_a_foreign_epoch_empties_lists_and_entries(
        self, client: Redis, queue: RedisQueue, worker: WorkerQueue, left_behind: str
    ) -> None:
        job = poll(1)
        queue.enqueue([job, *(poll(n, brand=Brand.DELE) for n in range(2, 5))])
        client.set("epoch", left_behind)
        with pytest.raises(EpochMissing):
            queue.enqueue([job])
        assert queue.open_epoch()
        assert queue.depths() == dict.fromkeys(Brand, 0)
        assert queue.enqueue([job]) == 1

    def test_after_a_flush_nobody_knows_where_jobs_are_until_every_old_lease_has_ended(self, client: Redis, queue: RedisQueue) -> None:
        worker = WorkerQueue(client, Brand.SOLIS, LONG_S)
        worker.begin("w1")
        job = poll(1)
        queue.enqueue([job])
        worker.take("w1", 1)
        client.flushall()
        with pytest.raises(EpochMissing):
            queue.check([job])
        assert queue.open_epoch()
        assert queue.check([job]) == {job: UNKNOWN}
        assert lock_of(client, job) is None
        age_epoch(client)
        assert queue.check([job]) == {job: LOST}

    def test_a_short_lease_is_waited_out_by_the_servers_own_clock(self, client: Redis) -> None:
        queue, job = RedisQueue(client, lease_s=BRIEF_S), poll(1)
        queue.open_epoch()
        assert queue.check([job]) == {job: UNKNOWN}
        wait_until(lambda: queue.check([job]) == {job: LOST}, 5, "the job is found lost")

    def test_a_flush_retires_the_incarnation(self, client: Redis, queue: RedisQueue) -> None:
        worker = WorkerQueue(client, Brand.SOLIS, LONG_S)
        incarnation = Incarnation(worker, "w1")
        client.flushall()
        queue.open_epoch()
        assert not incarnation.beat()
        assert incarnation.retired == "vanished"
        assert client.exists(heartbeat_key("w1")) == 0
        incarnation.assert_held()

    def test_a_heartbeat_of_an_earlier_epoch_counts_no_more(self, client: Redis, queue: RedisQueue, worker: WorkerQueue) -> None:
        """As after a restore: key and lock of `w1` are back, but its jobs' leases are of another time."""
        job = poll(1)
        queue.enqueue([job])
        worker.take("w1", 1)
        client.set("epoch", "0123456789abcdef0123456789abcdef01234567|1")
        queue.open_epoch()
        age_epoch(client)
        with pytest.raises(IncarnationRetired):
            worker.beat("w1")
        with pytest.raises(IncarnationRetired):
            worker.take("w1", 1)
        assert queue.check([job]) == {job: LOST}

    def test_a_restored_dump_is_a_foreign_epoch(
        self, valkey: Valkey, client: Redis, queue: RedisQueue, worker: WorkerQueue, tmp_path: Path
    ) -> None:
        job = poll(1)
        queue.enqueue([job])
        valkey.restore(valkey.dump(tmp_path / "dump.rdb"))
        assert client.llen(LIST) == 1
        with pytest.raises(EpochMissing):
            worker.take("w1", 1)
        assert queue.open_epoch()
        assert queue.depths()[Brand.SOLIS] == 0
        assert queue.enqueue([poll(2, job.plant_id)]) == 1


class TestIncarnation:
    def test_its_name_can_begin_only_once(self, worker: WorkerQueue) -> None:
        with pytest.raises(IncarnationRetired):
            worker.begin("w1")

    def test_its_heartbeat_lives_as_long_as_the_lease(self, client: Redis, worker: WorkerQueue) -> None:
        client.pexpire(heartbeat_key("w1"), 5000)
        worker.beat("w1")
        assert 590_000 < client.pttl(heartbeat_key("w1")) <= 600_000

    def test_a_lease_ends_before_its_jobs_can_be_found_lost(self, client: Redis, queue: RedisQueue) -> None:
        worker = WorkerQueue(client, Brand.SOLIS, BRIEF_S)
        incarnation = Incarnation(worker, "brief")
        job = poll(1)
        queue.enqueue([job])
        worker.take("brief", 1)
        wait_until(lambda: queue.check([job]) == {job: LOST}, 5, "the job is found lost")
        with pytest.raises(LeaseLost):
            incarnation.assert_held()


class TestServerAway:
    def test_errors_tell_no_address_and_no_password(self) -> None:
        with connect("redis://somebody:s3cret@127.0.0.1:1/0") as client:
            queue = RedisQueue(client)
            with pytest.raises(QueueUnavailable) as caught:
                queue.open_epoch()
        shown = f"{caught.value!r} {caught.value.__cause__!r}"
        assert "s3cret" not in shown
        assert "127.0.0.1" not in shown
        assert caught.value.__suppress_context__

    def test_a_wrong_password_is_unavailable_too(self, valkey: Valkey) -> None:
        with connect(f"redis://:s3cret@127.0.0.1:{valkey.port}/0") as other, pytest.raises(QueueUnavailable) as caught:
            RedisQueue(other).open_epoch()
        assert "s3cret" not in str(caught.value)

    def test_a_frozen_server_is_unavailable_within_the_timeout(self, valkey: Valkey, queue: RedisQueue) -> None:
        jobs = [poll(1)]
        with connect(valkey.url, read_timeout_s=0.3) as impatient:
            slow = RedisQueue(impatient)
            slow.depths()
            valkey.pause()
            started = monotonic()
            with pytest.raises(QueueUnavailable):
                slow.enqueue(jobs)
            assert monotonic() - started < 2
            valkey.resume()
            # The command that had no answer may be executed all the same, before the repetition or after it.
            slow.enqueue(jobs)
            assert slow.depths()[Brand.SOLIS] == 1

    def test_a_restarted_server_knows_its_scripts_again(self, valkey: Valkey, queue: RedisQueue) -> None:
        valkey.restart()
        with pytest.raises(EpochMissing):
            queue.depths()
        assert queue.open_epoch()
        assert queue.enqueue([poll(1)]) == 1

    def test_a_refusal_to_write_is_unavailable(self, client: Redis, queue: RedisQueue) -> None:
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(QueueUnavailable, match="OutOfMemory"):
                queue.enqueue([poll(1)])
        finally:
            client.config_set("maxmemory", "0")
        assert client.exists(ENTRIES) == 0


class TestHuey:
    def test_huey_reads_the_messages_that_were_put_in_without_it(self, client: Redis, queue: RedisQueue) -> None:
        jobs = [poll(1), daily(2, uuid4())]
        queue.enqueue(jobs)
        tasks = PollTasks(Brand.SOLIS, client)
        assert len(tasks.huey) == 2
        assert [task.id for task in tasks.huey.pending()] == [job.id for job in jobs]

    def test_huey_sees_a_closed_job_done_and_asks_the_server_nothing(self, client: Redis, queue: RedisQueue) -> None:
        tasks, seen = PollTasks(Brand.SOLIS, client), []
        tasks.huey.signal()(lambda signal, task: seen.append((signal, task.id)))
        job = poll(1)
        calls = commands_processed(client)
        tasks.replay(job, "SUCCESS")
        assert commands_processed(client) - calls == 1
        assert seen == [("executing", job.id), ("complete", job.id)]


def commands_processed(client: Redis) -> int:
    return int(client.info("stats")["total_commands_processed"])
