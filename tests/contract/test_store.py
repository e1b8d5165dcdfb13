"""One suite for both stores: what `storage.ports.Store` promises, on memory and on a real Postgres."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid5

import msgspec
import pytest
from msgspec.structs import asdict

from controller.domain.errors import StoreRejected
from controller.domain.judge import judge_clock, judge_declared, judge_job, judge_lost
from controller.domain.outcome import Failed, Job, JobResult, NextPoll, Outcome, PollLog, Requests, Seen, SeenDays
from controller.domain.plant import (
    Alert,
    AlertState,
    AlertType,
    Declaration,
    HistoryPolicy,
    Integration,
    JobType,
    LiveState,
    PlantContext,
    PollError,
    PollStatus,
    Reason,
    Snapshot,
    Status,
    StatusPolicy,
    plant_id_for,
)
from controller.domain.sun import Site
from controller.polling.ports import PlantStore
from controller.scheduling.ports import RequestStore, ScheduleStore
from controller.storage.database import Database
from controller.storage.memory import MemoryStore
from controller.storage.ports import ApplyResult, MirrorAck, MirrorBooks, SilentPlant, Told
from controller.storage.ports import Store as OperatorStore
from controller.storage.store import PostgresStore
from integrations.contract import Alarm, AlarmList, Brand, Reading, Severity

replace = msgspec.structs.replace
NOW = datetime(2026, 1, 15, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ROOF = Declaration(namespace="sao-paulo", name="roof", uid="uid-roof", generation=1, brand=Brand.SOLIS, vendor_plant_id="R1")
LIVE = LiveState(
    integration=Integration.ACTIVE,
    active_since=NOW,
    status=Status.YELLOW,
    reason=Reason.LOW_GENERATION,
    status_since=NOW + timedelta(microseconds=1),
    explain=('He said "low"', "naïve \\ path"),
    last_seen_at=NOW,
    sampled_at=NOW - SECOND,
    current_power_w=0.1,
    grid_injection_power_w=1e-9,
    total_energy_kwh=999_999_999.999,
    counter_low_since=NOW - HOUR,
    refused=("current_power_w", "today_energy_kwh"),
    alarms_dropped=37,
    generation_judged_on=date(2026, 1, 14),
    last_poll_at=NOW,
    last_success_at=NOW,
    last_error=PollError.RATE_LIMIT_EXCEEDED,
    consecutive_failures=3,
    losses=2,
    polled_generation=2,
    handled_poll_request="token-0",
    clock_due_at=NOW + 2 * HOUR,
    day_due_date=date(2026, 1, 15),
    day_due_at=NOW + 9 * HOUR,
)
"""Nothing of it as it is by default."""
PENDING_UID = "9d0e3a3c-5a0e-4d3b-8d5f-0c1f6a4f0b11"


class Store(OperatorStore, ScheduleStore, RequestStore, PlantStore, Protocol):
    """Everything a store is asked for."""


class World:
    """A store, and what tests do to it in a word."""

    def __init__(self, store: Store, logs: Callable[[], list[tuple[UUID, PollLog]]]) -> None:
        self.store = store
        self.logs = logs

    def apply(self, declaration: Declaration = ROOF, version: int = 10, now: datetime = NOW) -> UUID:
        plant_id = id_of(declaration)
        assert self.store.apply(plant_id, declaration, version, now, judge_declared).result is ApplyResult.APPLIED
        return plant_id

    def context(self, plant_id: UUID) -> PlantContext:
        return self.store.read([plant_id])[plant_id]

    def claim(self, now: datetime = NOW) -> Job:
        (job,) = self.store.claim_polls(now, 10)
        return job

    def outcome(self, job: Job, result: JobResult | None = None, now: datetime = NOW + SECOND) -> Outcome:
        context = self.context(job.plant_id)
        return judge_job(context, context, job, result or seen(), now - SECOND, now)

    def poll(self, now: datetime = NOW, result: JobResult | None = None) -> UUID:
        """The one due plant, polled."""
        job = self.claim(now)
        assert self.store.write([self.outcome(job, result or seen(now), now + SECOND)]) == {job.plant_id}
        return job.plant_id


@pytest.fixture(params=["memory", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        memory = MemoryStore()
        yield World(memory, lambda: memory.logs)
        return
    database = Database(request.getfixturevalue("database"), "test-store")
    yield World(PostgresStore(database), lambda: logs_in(database))
    database.close()


def logs_in(database: Database) -> list[tuple[UUID, PollLog]]:
    statement = """
        SELECT plant_id, job_id, job_type, attempt, claimed_at, started_at, finished_at, status, adapter_error_type, duration_ms
        FROM poll_logs ORDER BY finished_at
    """
    rows = database.run(lambda connection: connection.execute(statement).fetchall())
    logs = []
    for plant_id, *columns, duration_ms in rows:
        log = msgspec.convert(dict(zip(PollLog.__struct_fields__, columns, strict=True)), PollLog)
        assert log.duration_ms == duration_ms
        logs.append((plant_id, log))
    return logs


def id_of(declaration: Declaration) -> UUID:
    if declaration.vendor_plant_id is None:
        return UUID(declaration.uid)
    return plant_id_for(declaration.namespace, declaration.brand, declaration.vendor_plant_id)


def named(name: str, **changes: Any) -> Declaration:
    return replace(ROOF, **{"name": name, "uid": f"uid-{name}", "vendor_plant_id": name, **changes})


def seen(at: datetime = NOW, *alarms: Alarm, energy_kwh: float = 3.0) -> Seen:
    reading = Reading(sampled_at=at, last_seen_at=at, current_power_w=500.0, today_energy_kwh=energy_kwh, total_energy_kwh=1000.0)
    return Seen(reading, AlarmList(alarms, complete=True))


def alarm(code: str = "1015", severity: Severity = Severity.HIGH, message: str = "Grid lost") -> Alarm:
    return Alarm(code=code, device_sn=None, severity=severity, message=message, occurred_at=None, is_active=True)


# What is stored comes back.


@pytest.mark.rule("D1.1")
def test_every_field_of_a_declaration_comes_back(world: World) -> None:
    full = Declaration(
        namespace="sao-paulo",
        name="roof",
        uid="uid-roof",
        generation=7,
        brand=Brand.HUAWEI,
        vendor_plant_id="NE=1",
        display_name="Telhado São João",
        owner_customer_id="customer-1",
        timezone="America/Manaus",
        latitude=-3.1,
        longitude=-60.0,
        capacity_kwp=5.25,
        poll_interval_s=900,
        suspend=True,
        status_policy=StatusPolicy.DAYLIGHT,
        history_policy=HistoryPolicy.DELETE,
        scenario="stale",
        poll_requested="token-1",
        acked=(UUID(int=1), UUID(int=2)),
        acked_by="kubectl-annotate",
        silence_until=NOW + HOUR,
    )
    assert_no_default_left(full)
    assert world.context(world.apply(full)).declaration == full
    changed = replace(full, display_name=None, latitude=None, longitude=None, capacity_kwp=None, silence_until=None, generation=8)
    assert world.context(world.apply(changed, version=11)).declaration == changed


def test_every_field_that_judging_wrote_comes_back(world: World) -> None:
    assert_no_default_left(LIVE)
    plant_id = world.apply()
    before = world.context(plant_id)
    assert world.store.write([Outcome(before=before, live=LIVE)]) == {plant_id}
    after = world.context(plant_id)
    assert after.live == LIVE
    assert (after.version, after.next_poll_at) == (before.version + 1, before.next_poll_at)
    world.store.write([Outcome(before=after, live=LiveState())])
    assert world.context(plant_id).live == LiveState()


def test_each_field_that_alone_has_changed_comes_back_from_a_close(world: World) -> None:
    plant_id = world.apply()
    for name, value in asdict(LIVE).items():
        outcome = world.outcome(world.claim())
        before = outcome.before.live
        live = replace(before, **{name: value if value != getattr(before, name) else getattr(LiveState(), name)})
        assert live != before, name
        assert world.store.write([replace(outcome, live=live, alerts=(), next_poll=NextPoll(NOW))]) == {plant_id}
        assert world.context(plant_id).live == live, name


@pytest.mark.rule("D4.1")
def test_days_and_alerts_come_back_whole_and_are_raised_in_place(world: World) -> None:
    plant_id = world.apply()
    alert = Alert(
        id=uuid5(plant_id, "alert"),
        type=AlertType.MOCK_FAULT,
        severity=Severity.HIGH,
        state=AlertState.ACKED,
        vendor_alarm_code="1015",
        device_sn="SN1",
        message="Grid lost",
        opened_at=NOW,
        last_seen_at=NOW + SECOND,
        acked_at=NOW + 2 * SECOND,
        acked_by="ana",
        resolved_at=NOW + 3 * SECOND,
    )
    day = Snapshot(
        date=date(2026, 1, 15),
        timezone="America/Sao_Paulo",
        today_energy_kwh=3.5,
        peak_power_w=900.0,
        current_power_w=500.0,
        total_energy_kwh=1000.0,
        grid_injection_power_w=100.0,
        last_seen_at=NOW,
        source_sampled_at=NOW,
        backfilled=True,
        sampled_energy_kwh=3.25,
        energy_raised=True,
    )
    assert_no_default_left(alert)
    assert_no_default_left(day)
    store(world, plant_id, alerts=(alert,), days=(day,))
    assert world.context(plant_id).alerts == (alert,)
    assert world.context(plant_id).days == (day,)
    worse = replace(alert, severity=Severity.CRITICAL, message="Fire", last_seen_at=NOW + HOUR)
    more = replace(day, today_energy_kwh=4.0, backfilled=False, timezone="America/Manaus", peak_power_w=None)
    store(world, plant_id, alerts=(worse,), days=(more,))
    assert world.context(plant_id).alerts == (worse,)
    assert world.context(plant_id).days == (more,)
    store(world, plant_id, alerts=(replace(worse, state=AlertState.RESOLVED),))
    assert world.context(plant_id).alerts == ()


def test_the_newest_days_come_first_and_a_late_daily_job_sees_its_own(world: World) -> None:
    plant_id = world.apply()
    first, newest = date(2026, 1, 1), date(2026, 2, 19)
    days = tuple(Snapshot(date=first + timedelta(days=number), timezone="UTC", today_energy_kwh=number) for number in range(50))
    store(world, plant_id, days=days, day_due_date=date(2026, 2, 9), day_due_at=NOW)
    assert [day.date for day in world.context(plant_id).days] == [newest - timedelta(days=number) for number in range(12)]
    (job,) = world.store.claim_days(NOW, 10)
    assert job.day == date(2026, 2, 9)
    assert [day.date for day in world.context(plant_id).days] == [newest - timedelta(days=number) for number in range(10 + 30 + 1)]


def test_only_plants_that_exist_are_read(world: World) -> None:
    plant_id = world.apply()
    assert set(world.store.read([plant_id, UUID(PENDING_UID)])) == {plant_id}
    assert world.store.read([]) == {}


# Close: the fence (PROTOCOL 4).


def test_a_close_stores_everything_and_ends_the_claim(world: World) -> None:
    plant_id = world.apply()
    job = world.claim()
    outcome = world.outcome(job, seen(NOW, alarm()))
    assert world.store.write([outcome]) == {plant_id}
    after = world.context(plant_id)
    assert not after.is_claimed
    assert after.live == outcome.live
    assert [alert.vendor_alarm_code for alert in after.alerts] == ["1015"]
    assert [day.today_energy_kwh for day in after.days] == [3.0]
    assert world.logs() == [(plant_id, outcome.log)]


@pytest.mark.rule("D2.5")
def test_an_attempt_is_closed_once(world: World) -> None:
    plant_id = world.apply()
    job = world.claim()
    outcome = world.outcome(job)
    world.store.write([outcome])
    again = replace(outcome, before=world.context(plant_id))
    assert world.store.write([outcome]) == set()
    assert world.store.write([again]) == set()
    assert len(world.logs()) == 1


def test_a_moved_version_refuses_the_whole_outcome(world: World) -> None:
    plant_id = world.apply()
    job = world.claim()
    outcome = world.outcome(job, seen(NOW, alarm()))
    world.apply(replace(ROOF, generation=2), version=11)
    before = world.context(plant_id)
    assert world.store.write([outcome]) == set()
    assert world.context(plant_id) == before
    assert world.logs() == []


def test_a_foreign_attempt_refuses_the_whole_outcome(world: World) -> None:
    plant_id = world.apply()
    first = world.outcome(world.claim(), seen(NOW, alarm()))
    world.store.write([world.outcome(job_of(first), Failed(PollError.WORKER_LOST))])
    second = world.claim(NOW + HOUR)
    late = replace(first, before=world.context(plant_id))
    assert world.store.write([late]) == set()
    assert world.context(plant_id).is_claimed
    assert world.context(plant_id).attempt == second.attempt
    assert world.context(plant_id).alerts == ()


def test_an_attempt_that_was_never_claimed_closes_nothing(world: World) -> None:
    plant_id = world.apply()
    outcome = world.outcome(world.claim())
    assert outcome.log is not None
    invented = replace(outcome, log=replace(outcome.log, attempt=outcome.log.attempt + 1000))
    assert world.store.write([invented]) == set()
    assert world.context(plant_id).is_claimed


def test_a_lost_fence_does_not_hold_back_the_others(world: World) -> None:
    for name in ("a", "b"):
        world.apply(named(name))
    first, second = world.store.claim_polls(NOW, 10)
    outcomes = [world.outcome(first), world.outcome(second)]
    world.store.write(outcomes[:1])
    assert world.store.write(outcomes) == {second.plant_id}
    assert len(world.logs()) == 2


def test_an_order_for_the_next_poll_is_kept_and_none_leaves_what_the_claim_set(world: World) -> None:
    plant_id = world.apply()
    job = world.claim()
    slot = world.context(plant_id).next_poll_at
    assert slot is not None
    assert slot > NOW
    world.store.write([replace(world.outcome(job), next_poll=None)])
    assert world.context(plant_id).next_poll_at == slot
    store(world, plant_id, next_poll=NextPoll(NOW + 5 * HOUR))
    assert world.context(plant_id).next_poll_at == NOW + 5 * HOUR
    store(world, plant_id, next_poll=NextPoll(None))
    assert world.context(plant_id).next_poll_at is None


@pytest.mark.rule("D6.2")
def test_a_second_active_alert_of_one_key_is_refused(world: World) -> None:
    plant_id = world.apply()
    store(world, plant_id, alerts=(offline(plant_id, "first"),))
    with pytest.raises(StoreRejected):
        store(world, plant_id, alerts=(offline(plant_id, "second"),))
    assert [alert.message for alert in world.context(plant_id).alerts] == ["first"]


@pytest.mark.rule("D6.5")
def test_an_end_makes_room_for_a_new_alert_of_the_same_key_at_once(world: World) -> None:
    plant_id = world.apply()
    first = offline(plant_id, "first")
    store(world, plant_id, alerts=(first,))
    store(world, plant_id, alerts=(offline(plant_id, "second"), replace(first, state=AlertState.RESOLVED)))
    assert [alert.message for alert in world.context(plant_id).alerts] == ["second"]


@pytest.mark.parametrize("text", ["NUL \x00", "surrogate \ud800"])
def test_text_that_postgres_does_not_take_is_rejected_and_nothing_is_stored(world: World, text: str) -> None:
    for name in ("a", "b"):
        world.apply(named(name))
    good, bad = (world.outcome(job) for job in world.store.claim_polls(NOW, 10))
    poisoned = replace(bad, live=replace(bad.live, explain=(text,)))
    with pytest.raises(StoreRejected) as caught:
        world.store.write([good, poisoned])
    assert text not in str(caught.value)
    assert caught.value.__cause__ is None
    assert world.logs() == []
    assert world.store.write([good]) == {good.plant_id}


def test_a_rejected_declaration_changes_nothing(world: World) -> None:
    plant_id = world.apply()
    with pytest.raises(StoreRejected):
        world.store.apply(plant_id, replace(ROOF, display_name="\x00"), 11, NOW, judge_declared)
    assert world.context(plant_id).declaration == ROOF


# Claims (PROTOCOL 1, 2, 17, 18).


def test_a_claim_opens_an_attempt_and_moves_the_next_poll_along_the_phase_grid(world: World) -> None:
    plant_id = world.apply()
    before = world.context(plant_id)
    (job,) = world.store.claim_polls(NOW, 10)
    after = world.context(plant_id)
    assert job == Job(plant_id, after.attempt, JobType.POLL, Brand.SOLIS, 1200)
    assert after.attempt > before.attempt
    assert after.is_claimed
    assert (after.claim_kind, after.claimed_at, after.version) == (JobType.POLL, NOW, before.version)
    assert after.next_poll_at is not None
    assert NOW < after.next_poll_at <= NOW + timedelta(seconds=600)
    assert world.store.claim_polls(NOW, 10) == []


def test_a_poll_is_due_at_its_instant_and_not_before(world: World) -> None:
    plant_id = world.apply()
    assert world.store.claim_polls(NOW - timedelta(microseconds=1), 10) == []
    assert [job.plant_id for job in world.store.claim_polls(NOW, 10)] == [plant_id]


def test_an_open_claim_is_not_claimed_again_but_its_next_poll_moves(world: World) -> None:
    plant_id = world.apply()
    job = world.claim()
    later = NOW + HOUR
    assert world.store.claim_polls(later, 10) == []
    context = world.context(plant_id)
    assert context.attempt == job.attempt
    assert context.next_poll_at is not None
    assert context.next_poll_at > later


def test_plants_that_are_claimed_hold_up_no_other(world: World) -> None:
    """However many of them are due: workers may be down for hours."""
    busy = [world.apply(named(name)) for name in "ab"]
    world.store.claim_polls(NOW, 10)
    free = world.apply(named("c"), now=NOW + HOUR)
    (job,) = world.store.claim_polls(NOW + 2 * HOUR, 1)
    assert job.plant_id == free
    assert world.store.claim_polls(NOW + 2 * HOUR, 10) == []
    moved = [world.context(plant_id).next_poll_at for plant_id in busy]
    assert all(at is not None and at > NOW + 2 * HOUR for at in moved)


def test_a_requested_poll_is_claimed_however_many_others_are_due(world: World) -> None:
    """PROTOCOL 16. The request counts as long as no poll that had read it has ended."""
    ids = [world.apply(named(name)) for name in "abc"]
    assert world.store.requests(NOW, 10) == Requests()
    later = NOW + HOUR
    world.apply(replace(named("b"), poll_requested="please"), 11, later)
    assert world.store.requests(later, 10) == Requests(due=1)
    (job,) = world.store.claim_requested(later, 10)
    assert job == Job(ids[1], world.context(ids[1]).attempt, JobType.POLL, Brand.SOLIS, 1200)
    assert world.store.requests(later, 10) == Requests(handed_out=(job,))
    assert world.store.claim_requested(later, 10) == []
    world.store.write([world.outcome(job, seen(later), later)])
    assert world.store.requests(later, 10) == Requests()


def test_a_request_for_a_plant_whose_job_waits_names_that_job(world: World) -> None:
    world.apply()
    job = world.claim()
    world.apply(replace(ROOF, poll_requested="please"), 11)
    assert world.store.requests(NOW, 10) == Requests(handed_out=(job,))


def test_requests_respect_limits_deletions_and_instants(world: World) -> None:
    world.apply(replace(named("a"), poll_requested="please"))
    world.apply(replace(named("b"), poll_requested="please"))
    world.store.delete("sao-paulo", "b", "uid-b", 99, NOW)
    assert world.store.claim_requested(NOW - SECOND, 10) == []
    assert world.store.claim_requested(NOW, 10, {Brand.SOLIS: 0}) == []
    assert world.store.requests(NOW, 10) == Requests(due=1)
    assert world.store.requests(NOW - SECOND, 10) == Requests()
    assert len(world.store.claim_requested(NOW, 10, {Brand.SOLIS: 5})) == 1


def test_a_plant_that_was_lost_twice_running_is_handed_out_alone(world: World) -> None:
    """PROTOCOL 20."""
    world.apply()
    alone = []
    for number in range(3):
        job = world.claim(NOW + number * HOUR)
        alone.append(job.alone)
        assert job in world.store.open_claims(NOW + 9 * HOUR, 10)
        world.store.write([world.outcome(job, Failed(PollError.WORKER_LOST), NOW + number * HOUR)])
    assert alone == [False, False, True]


def test_the_oldest_polls_are_claimed_first_and_no_more_than_asked_for(world: World) -> None:
    ids = [world.apply(named(name), now=NOW + number * SECOND) for number, name in enumerate("cab")]
    assert [job.plant_id for job in world.store.claim_polls(NOW + HOUR, 2)] == ids[:2]
    assert [job.plant_id for job in world.store.claim_polls(NOW + HOUR, 2)] == ids[2:]


@pytest.mark.rule("D2.18")
def test_a_limited_brand_gives_no_more_polls_than_it_may_and_stands_in_no_others_way(world: World) -> None:
    solis = [world.apply(named(name), now=NOW + number * SECOND) for number, name in enumerate("abc")]
    dele = [world.apply(named(name, brand=Brand.DELE), now=NOW + MINUTE + number * SECOND) for number, name in enumerate("de")]
    claimed = world.store.claim_polls(NOW + HOUR, 10, {Brand.SOLIS: 1, Brand.HUAWEI: 0})
    assert [job.plant_id for job in claimed] == [*dele, solis[0]]
    assert world.store.claim_polls(NOW + HOUR, 10, {Brand.SOLIS: 0}) == []
    rest = world.store.claim_polls(NOW + HOUR, 10, {Brand.SOLIS: 10})
    assert [job.plant_id for job in rest] == solis[1:]


def test_the_limit_of_a_claim_holds_over_limited_and_free_brands(world: World) -> None:
    for name in "abc":
        world.apply(named(name))
    dele = world.apply(named("d", brand=Brand.DELE))
    claimed = world.store.claim_polls(NOW, 3, {Brand.SOLIS: 10})
    assert [job.brand for job in claimed] == [Brand.DELE, Brand.SOLIS, Brand.SOLIS]
    assert claimed[0].plant_id == dele


def test_a_limited_brand_gives_no_more_daily_jobs_than_it_may(world: World) -> None:
    for name in "ab":
        world.apply(named(name))
    world.store.write([world.outcome(job) for job in world.store.claim_polls(NOW, 10)])
    late = NOW + 24 * HOUR
    assert world.store.claim_days(late, 10, {Brand.SOLIS: 0}) == []
    assert len(world.store.claim_days(late, 10, {Brand.SOLIS: 1})) == 1
    assert len(world.store.claim_days(late, 10)) == 1


def test_attempts_are_never_the_same_for_two_claims(world: World) -> None:
    for name in "ab":
        world.apply(named(name))
    attempts = [job.attempt for job in world.store.claim_polls(NOW, 10)]
    assert len(set(attempts)) == 2
    assert all(attempt > 0 for attempt in attempts)


def test_a_daily_job_takes_the_slot_and_its_due_time_stays(world: World) -> None:
    plant_id = world.apply()
    world.poll()
    due = world.context(plant_id).live.day_due_at
    assert due is not None
    assert world.store.claim_days(due - SECOND, 10) == []
    (job,) = world.store.claim_days(due, 10)
    assert job.kind is JobType.DAILY
    assert job.day == date(2026, 1, 15)
    assert job.id == f"daily:plant:{plant_id}:2026-01-15"
    assert world.context(plant_id).live.day_due_at == due
    assert world.store.claim_days(due, 10) == []
    assert world.store.claim_polls(due, 10) == []
    outcome = world.outcome(job, SeenDays({date(2026, 1, 15): 9.0}), due + SECOND)
    assert world.store.write([outcome]) == {plant_id}
    after = world.context(plant_id)
    assert after.live.day_due_date == date(2026, 1, 16)
    assert after.days[0].today_energy_kwh == 9.0


def test_a_daily_job_waits_for_an_open_poll(world: World) -> None:
    plant_id = world.apply()
    job = world.claim()
    due = world.context(plant_id).live.day_due_at
    assert due is not None
    assert world.store.claim_days(due, 10) == []
    world.store.write([world.outcome(job)])
    assert [claimed.plant_id for claimed in world.store.claim_days(due, 10)] == [plant_id]


def test_open_claims_are_those_older_than_asked_for_page_by_page(world: World) -> None:
    world.apply(named("a"))
    (poll,) = world.store.claim_polls(NOW, 10)
    world.apply(named("b"), now=NOW + SECOND)
    (other,) = world.store.claim_polls(NOW + SECOND, 10)
    assert world.store.open_claims(NOW, 10) == []
    assert world.store.open_claims(NOW + SECOND, 10) == [poll]
    first, second = sorted([poll, other], key=lambda job: job.plant_id)
    assert world.store.open_claims(NOW + MINUTE, 10) == [first, second]
    assert world.store.open_claims(NOW + MINUTE, 1) == [first]
    assert world.store.open_claims(NOW + MINUTE, 1, after=first.plant_id) == [second]
    assert world.store.open_claims(NOW + MINUTE, 1, after=second.plant_id) == []
    world.store.write([judge_lost(world.context(poll.plant_id), poll, NOW + MINUTE)])
    assert world.store.open_claims(NOW + MINUTE, 10) == [other]
    ((_, log),) = world.logs()
    assert (log.status, log.adapter_error_type) == (PollStatus.ERROR, PollError.WORKER_LOST)


# The clock (PROTOCOL 19).


def test_the_clock_judges_a_plant_after_its_instant_and_not_at_it(world: World) -> None:
    plant_id = world.apply()
    world.poll()
    boundary = NOW + 2 * HOUR
    assert world.store.judge_due(boundary, 10, judge_clock) == []
    assert world.context(plant_id).live.status is Status.GREEN
    (outcome,) = world.store.judge_due(boundary + timedelta(microseconds=1), 10, judge_clock)
    assert outcome.transition == (Status.GREEN, Status.YELLOW)
    after = world.context(plant_id)
    assert (after.live.status, after.live.clock_due_at) == (Status.YELLOW, NOW + 24 * HOUR)
    assert world.store.judge_due(boundary + SECOND, 10, judge_clock) == []
    (outcome,) = world.store.judge_due(NOW + 25 * HOUR, 10, judge_clock)
    assert outcome.transition == (Status.YELLOW, Status.RED)
    assert [alert.type for alert in world.context(plant_id).alerts] == [AlertType.OFFLINE]
    assert world.store.judge_due(NOW + 48 * HOUR, 10, judge_clock) == []


def test_a_reading_moves_the_clock_on(world: World) -> None:
    """Also where the store looks at an older instant first."""
    plant_id = world.apply()
    world.poll()
    world.poll(NOW + HOUR)
    assert world.store.judge_due(NOW + 2 * HOUR + SECOND, 10, judge_clock) == []
    assert world.context(plant_id).live.status is Status.GREEN
    assert len(world.store.judge_due(NOW + 3 * HOUR + SECOND, 10, judge_clock)) == 1


def test_also_at_the_instant_that_a_reading_moved_on_nothing_is_judged(world: World) -> None:
    world.apply()
    world.poll()
    world.poll(NOW + HOUR)
    assert world.store.judge_due(NOW + 3 * HOUR, 10, judge_clock) == []


def test_an_earlier_clock_counts_from_the_write_that_brought_it(world: World) -> None:
    plant_id = world.apply()
    store(world, plant_id, clock_due_at=NOW + 5 * HOUR)
    store(world, plant_id, clock_due_at=NOW + HOUR)
    assert len(world.store.judge_due(NOW + HOUR + SECOND, 10, judge_clock)) == 1


def test_the_clock_judges_no_more_than_asked_for(world: World) -> None:
    for name in "abc":
        world.apply(named(name))
    later = NOW + 25 * HOUR
    assert len(world.store.judge_due(later, 2, judge_clock)) == 2
    assert len(world.store.judge_due(later, 2, judge_clock)) == 1


def test_a_judgement_that_is_rejected_holds_up_no_other(world: World) -> None:
    bad, *good = (world.apply(named(name), now=NOW + number * SECOND) for number, name in enumerate("abcd"))

    def judge(context: PlantContext, now: datetime) -> Outcome:
        outcome = judge_clock(context, now)
        return outcome if context.plant_id != bad else replace(outcome, live=replace(outcome.live, explain=("\x00",)))

    later = NOW + 25 * HOUR
    stored: list[UUID] = []
    for _ in range(4):
        stored += [outcome.plant_id for outcome in world.store.judge_due(later, 10, judge)]
    assert sorted(stored) == sorted(good)
    assert world.context(bad).live.status is Status.GREY
    assert [outcome.plant_id for outcome in world.store.judge_due(later + HOUR, 10, judge_clock)] == [bad]


# Apply and delete (PROTOCOL 26, DOMAIN 1).


def test_a_new_plant_is_judged_and_due_at_once(world: World) -> None:
    applied = world.store.apply(id_of(ROOF), ROOF, 10, NOW, judge_declared)
    assert applied.result is ApplyResult.APPLIED
    assert applied.outcome is not None
    context = world.context(id_of(ROOF))
    assert context.live == applied.outcome.live
    assert (context.live.integration, context.next_poll_at, context.version) == (Integration.ACTIVE, NOW, 1)


def test_what_is_stored_already_changes_nothing(world: World) -> None:
    plant_id = world.apply()
    before = world.context(plant_id)
    for version in (10, 15):
        assert world.store.apply(plant_id, ROOF, version, NOW + HOUR, judge_declared).result is ApplyResult.UNCHANGED
    assert world.context(plant_id) == before


def test_an_older_object_is_stale(world: World) -> None:
    plant_id = world.apply(replace(ROOF, generation=2), version=20)
    before = world.context(plant_id)
    assert world.store.apply(plant_id, ROOF, 19, NOW, judge_declared).result is ApplyResult.STALE
    assert world.context(plant_id) == before


def test_judging_gets_the_previous_declaration(world: World) -> None:
    seen_previous: list[Declaration | None] = []

    def judge(context: PlantContext, previous: Declaration | None, now: datetime) -> Outcome:
        seen_previous.append(previous)
        return judge_declared(context, previous, now)

    second = replace(ROOF, generation=2)
    third = replace(ROOF, uid="uid-again", generation=1)
    plant_id = id_of(ROOF)
    world.store.apply(plant_id, ROOF, 10, NOW, judge)
    world.store.apply(plant_id, second, 11, NOW, judge)
    world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 12, NOW)
    world.store.apply(plant_id, third, 13, NOW, judge)
    assert seen_previous == [None, ROOF, None]


@pytest.mark.rule("D1.5")
def test_another_plant_of_the_same_vendor_identity_is_refused(world: World) -> None:
    plant_id = world.apply()
    before = world.context(plant_id)
    other = replace(ROOF, name="other", uid="uid-other")
    for version in (5, 50):
        refused = world.store.apply(plant_id, other, version, NOW, judge_declared)
        assert (refused.result, refused.duplicate_of) == (ApplyResult.DUPLICATE, "roof")
    assert world.context(plant_id) == before
    world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 60, NOW)
    assert world.store.apply(plant_id, other, 61, NOW, judge_declared).result is ApplyResult.APPLIED


@pytest.mark.rule("D1.3")
def test_setting_the_vendor_id_replaces_the_row_that_never_polled(world: World) -> None:
    pending = replace(ROOF, uid=PENDING_UID, vendor_plant_id=None)
    old_id = world.apply(pending)
    assert world.context(old_id).live.reason is Reason.PENDING_DOCS
    new_id = world.apply(replace(pending, vendor_plant_id="R1", generation=2), version=11)
    assert set(world.store.read([old_id, new_id])) == {new_id}
    assert world.store.apply(old_id, pending, 10, NOW, judge_declared).result is ApplyResult.STALE


@pytest.mark.rule("D1.4")
def test_the_same_name_with_another_identity_starts_afresh_and_ends_the_old_one(world: World) -> None:
    old_id = world.apply()
    world.poll()
    new_id = world.apply(replace(ROOF, uid="uid-again", vendor_plant_id="R2"), version=20)
    old, new = (world.context(plant_id) for plant_id in (old_id, new_id))
    assert old.deleted
    assert (old.next_poll_at, old.live.clock_due_at, old.live.day_due_at) == (None, None, None)
    assert new.days == ()
    assert world.store.apply(old_id, ROOF, 15, NOW, judge_declared).result is ApplyResult.STALE


@pytest.mark.rule("D1.4")
def test_a_plant_created_again_has_its_history_and_is_mirrored_anew(world: World) -> None:
    plant_id = world.apply()
    world.poll()
    version = world.context(plant_id).version
    world.store.acknowledge([MirrorAck(plant_id, version, 12, "digest")], NOW)
    world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 20, NOW)
    world.apply(replace(ROOF, uid="uid-again"), version=21, now=NOW + MINUTE)
    after = world.context(plant_id)
    assert not after.deleted
    assert [day.today_energy_kwh for day in after.days] == [3.0]
    assert after.next_poll_at == NOW + MINUTE
    assert after.live.integration is Integration.ACTIVE
    assert after.version > version
    assert world.store.mirror_books([plant_id]) == {plant_id: MirrorBooks(0, 0, None)}


def test_a_plant_created_again_is_adopted_also_where_its_deletion_was_not_seen(world: World) -> None:
    plant_id = world.apply()
    world.poll()
    world.apply(replace(ROOF, uid="uid-again"), version=21)
    assert len(world.context(plant_id).days) == 1
    assert world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 20, NOW) is None
    assert world.store.apply(plant_id, ROOF, 19, NOW, judge_declared).result is ApplyResult.STALE


def test_a_deleted_plant_is_polled_no_more_and_its_open_claim_stays(world: World) -> None:
    plant_id = world.apply()
    job = world.claim()
    before = world.context(plant_id)
    assert world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 11, NOW) == plant_id
    after = world.context(plant_id)
    assert after.deleted
    assert after.is_claimed
    assert after.version == before.version + 1
    assert (after.next_poll_at, after.live.clock_due_at, after.live.day_due_at) == (None, None, None)
    later = NOW + 48 * HOUR
    assert world.store.claim_polls(later, 10) == world.store.claim_days(later, 10) == []
    assert world.store.judge_due(later, 10, judge_clock) == []
    assert world.store.open_claims(later, 10) == [job]
    assert world.store.write([world.outcome(job, Failed(PollError.CANCELLED))]) == {plant_id}
    assert not world.context(plant_id).is_claimed


def test_an_old_event_deletes_nothing(world: World) -> None:
    plant_id = world.apply(version=10)
    for uid, version in (("uid-roof", 9), ("uid-roof", 10), ("uid-other", 11)):
        assert world.store.delete(ROOF.namespace, ROOF.name, uid, version, NOW) is None
    assert not world.context(plant_id).deleted
    assert world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 11, NOW) == plant_id
    assert world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 12, NOW) is None
    assert world.store.apply(plant_id, ROOF, 10, NOW, judge_declared).result is ApplyResult.STALE
    assert world.store.apply(plant_id, ROOF, 11, NOW, judge_declared).result is ApplyResult.STALE


def test_what_a_list_does_not_show_is_deleted_unless_it_is_newer_than_the_list(world: World) -> None:
    gone, kept, newer = (world.apply(named(name), version=version) for name, version in (("a", 10), ("b", 11), ("c", 31)))
    assert world.store.delete_absent({"uid-b"}, 30, NOW) == [gone]
    assert [world.context(plant_id).deleted for plant_id in (gone, kept, newer)] == [True, False, False]
    assert world.store.delete_absent({"uid-b"}, 30, NOW) == []
    assert world.store.apply(gone, named("a"), 29, NOW, judge_declared).result is ApplyResult.STALE


def test_a_purge_removes_what_is_not_to_be_kept_once_its_claim_is_closed(world: World) -> None:
    doomed = replace(ROOF, history_policy=HistoryPolicy.DELETE)
    plant_id, kept = world.apply(doomed), world.apply(named("kept"))
    pending = world.apply(named("pending", uid=PENDING_UID, vendor_plant_id=None))
    for job in world.store.claim_polls(NOW, 10):
        world.store.write([world.outcome(job, seen(NOW, alarm()))])
    world.store.delete_absent([], 99, NOW)
    world.apply(doomed, version=100, now=NOW + HOUR)
    job = world.claim(NOW + HOUR)
    assert job.plant_id == plant_id
    world.store.delete_absent([], 101, NOW + HOUR)
    assert world.store.purge(10) == [pending]
    world.store.write([world.outcome(job, Failed(PollError.CANCELLED))])
    assert world.store.purge(10) == [plant_id]
    assert set(world.store.read([plant_id, kept, pending])) == {kept}
    assert {owner for owner, _ in world.logs()} == {kept}
    world.apply(doomed, version=200, now=NOW + 2 * HOUR)
    assert world.context(plant_id).days == ()
    assert world.context(plant_id).alerts == ()
    assert world.claim(NOW + 2 * HOUR).attempt > job.attempt


# The mirror (PROTOCOL 27).


def leased(world: World, now: datetime) -> list[UUID]:
    """Who is found by a look at all plants, and leased."""
    ids = world.store.untold(10, now)
    assert world.store.lease_for_mirror(10, now, 30, ids) == ids
    return ids


def test_a_change_is_leased_once_until_it_is_acknowledged(world: World) -> None:
    plant_id = world.apply()
    assert leased(world, NOW) == [plant_id]
    assert leased(world, NOW + 29 * SECOND) == []
    assert leased(world, NOW + 30 * SECOND) == [plant_id]
    version = world.context(plant_id).version
    world.store.acknowledge([MirrorAck(plant_id, version, 11, "digest")], NOW)
    assert leased(world, NOW + HOUR) == []
    assert world.context(plant_id).version == version
    world.poll(NOW + HOUR)
    assert leased(world, NOW + HOUR) == [plant_id]


def test_a_released_lease_is_free_at_once(world: World) -> None:
    plant_id = world.apply()
    leased(world, NOW)
    world.store.release([plant_id])
    assert leased(world, NOW) == [plant_id]


def test_only_those_asked_for_are_leased(world: World) -> None:
    first, second = (world.apply(named(name)) for name in "ab")
    assert world.store.lease_for_mirror(10, NOW, 30, only=[second]) == [second]
    assert world.store.lease_for_mirror(10, NOW, 30, only=[]) == []
    assert leased(world, NOW) == [first]


def test_notable_changes_are_leased_first_then_the_oldest(world: World) -> None:
    ids = [world.apply(named(name), now=NOW + number * SECOND) for number, name in enumerate("abc")]
    world.store.acknowledge([MirrorAck(plant_id, 1, 11, "digest") for plant_id in ids], NOW)
    for number, plant_id in enumerate(ids):
        store(world, plant_id, now=NOW + (10 - number) * MINUTE)
    before = world.context(ids[0])
    turned = replace(before.live, status=Status.RED, status_since=NOW + HOUR)
    world.store.write([Outcome(before=before, live=turned)])
    assert leased(world, NOW + HOUR) == [ids[0], ids[2], ids[1]]


HELD = NOW + HOUR
"""Until when plants of these tests are not told of for their numbers alone."""


def polled_and_told(world: World) -> UUID:
    """A plant that is polled on and on, and of which Kubernetes was told; its numbers are held back until `HELD`."""
    plant_id = world.apply()
    world.poll()
    world.poll(NOW + 10 * MINUTE)
    version = world.context(plant_id).version
    world.store.acknowledge([MirrorAck(plant_id, version, 11, "digest", held_until=HELD)], NOW + 10 * MINUTE)
    return plant_id


def leases(world: World, now: datetime) -> list[UUID]:
    """Who would be told now; nobody keeps the lease."""
    ids = leased(world, now)
    world.store.release(ids)
    return ids


def test_what_changes_with_every_poll_waits_for_the_poll_of_the_next_slot(world: World) -> None:
    plant_id = polled_and_told(world)
    world.poll(NOW + 20 * MINUTE)
    assert leases(world, NOW + 21 * MINUTE) == [], "told already in this slot"
    assert leases(world, HELD) == [], "the new slot's poll is on its way"
    assert world.store.fleet(HELD).mirror_lag_s == 0, "what is held back is not late"
    world.poll(HELD + SECOND)
    assert leases(world, HELD + 2 * SECOND) == [plant_id]
    assert world.store.fleet(HELD + 5 * SECOND).mirror_lag_s == 5


def test_what_was_held_back_goes_by_itself_where_no_poll_comes(world: World) -> None:
    plant_id = polled_and_told(world)
    world.poll(NOW + 20 * MINUTE)
    assert leases(world, HELD + 59 * SECOND) == []
    assert leases(world, HELD + 60 * SECOND) == [plant_id]
    assert world.store.fleet(HELD + 70 * SECOND).mirror_lag_s == 10


def test_a_notable_change_waits_for_nothing_and_is_as_old_as_itself(world: World) -> None:
    plant_id = polled_and_told(world)
    world.poll(NOW + 20 * MINUTE)
    world.poll(NOW + 30 * MINUTE, seen(NOW + 30 * MINUTE, alarm("1")))
    assert leases(world, NOW + 31 * MINUTE) == [plant_id]
    assert world.store.fleet(NOW + 31 * MINUTE).mirror_lag_s == 59


def test_a_status_changed_by_hand_is_not_held_back(world: World) -> None:
    plant_id = polled_and_told(world)
    assert world.store.reset_mirror(plant_id, 12, "other", NOW + 20 * MINUTE)
    assert leases(world, NOW + 20 * MINUTE) == [plant_id]


def test_a_mirrored_version_never_goes_back(world: World) -> None:
    plant_id = world.apply()
    world.poll()
    assert world.context(plant_id).version == 2
    world.store.acknowledge([MirrorAck(plant_id, 2, 12, "new")], NOW)
    world.store.acknowledge([MirrorAck(plant_id, 1, 11, "old")], NOW)
    assert world.store.mirror_books([plant_id]) == {plant_id: MirrorBooks(2, 12, "new")}
    assert leased(world, NOW) == []


def test_a_change_during_the_patch_is_mirrored_next(world: World) -> None:
    plant_id = world.apply()
    leased(world, NOW)
    world.poll()
    world.store.acknowledge([MirrorAck(plant_id, 1, 11, "digest")], NOW + SECOND)
    assert leased(world, NOW + SECOND) == [plant_id]


@pytest.mark.rule("D5.7")
def test_a_status_changed_by_hand_is_mirrored_again(world: World) -> None:
    plant_id = world.apply()
    world.store.acknowledge([MirrorAck(plant_id, 1, 11, "digest")], NOW)
    assert not world.store.reset_mirror(plant_id, 11, "other", NOW)
    assert not world.store.reset_mirror(plant_id, 12, "digest", NOW)
    assert leased(world, NOW) == []
    assert world.store.reset_mirror(plant_id, 12, "other", NOW)
    assert leased(world, NOW) == [plant_id]


def acknowledge(world: World, plant_id: UUID, resource_version: int = 11) -> PlantContext:
    """The plant as it stands, told to Kubernetes."""
    context = world.context(plant_id)
    alerts = tuple(alert.id for alert in context.alerts)
    world.store.acknowledge([MirrorAck(plant_id, context.version, resource_version, "digest", alerts)], NOW)
    return context


def test_the_alerts_that_were_told_are_remembered_and_which_of_them_have_ended(world: World) -> None:
    plant_id = world.apply()
    assert world.store.told([plant_id]) == {plant_id: Told(None, None, is_notable=True)}
    assert world.store.told([]) == {}
    acknowledge(world, plant_id)
    assert world.store.told([plant_id]) == {plant_id: Told("digest", (), resource_version=11)}
    world.poll(NOW, seen(NOW, alarm("1"), alarm("2")))
    assert world.store.told([plant_id]) == {plant_id: Told("digest", (), resource_version=11, is_notable=True)}, "these have opened since"
    active = acknowledge(world, plant_id, 12).alerts
    world.poll(NOW + HOUR, seen(NOW + HOUR, alarm("2"), alarm("3")))
    told = world.store.told([plant_id])[plant_id]
    assert set(told.alerts or ()) == {alert.id for alert in active}
    assert [(alert.vendor_alarm_code, alert.state) for alert in told.ended] == [("1", AlertState.RESOLVED)]
    acknowledge(world, plant_id, 13)
    assert world.store.told([plant_id])[plant_id].ended == ()


def test_another_object_of_a_plant_has_been_told_nothing(world: World) -> None:
    plant_id = world.apply()
    world.poll(NOW, seen(NOW, alarm("1")))
    acknowledge(world, plant_id)
    world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 20, NOW)
    world.apply(replace(ROOF, uid="uid-again"), version=21)
    assert world.store.told([plant_id]) == {plant_id: Told(None, None, is_notable=True)}


def test_an_object_that_was_refused_meanwhile_has_been_told_its_alerts_and_no_status(world: World) -> None:
    plant_id = world.apply()
    world.poll(NOW, seen(NOW, alarm("1")))
    (active,) = acknowledge(world, plant_id).alerts
    world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 20, NOW)
    world.apply(replace(ROOF, generation=2), version=21)
    assert world.store.told([plant_id]) == {plant_id: Told(None, (active.id,), resource_version=11, is_notable=True)}


def test_a_deleted_plant_is_not_mirrored(world: World) -> None:
    plant_id = world.apply()
    world.store.delete(ROOF.namespace, ROOF.name, ROOF.uid, 11, NOW)
    assert leased(world, NOW) == []
    assert world.store.fleet(NOW + HOUR).mirror_lag_s == 0
    assert not world.store.reset_mirror(plant_id, 12, "other", NOW)


# Metrics.


def test_live_rows_are_those_of_the_names_asked_for(world: World) -> None:
    first, _, gone = (world.apply(named(name)) for name in "abc")
    world.store.delete(*((row := world.context(gone).declaration).namespace, row.name, row.uid), 20, NOW)
    names = [("solar", "nobody"), *((each.namespace, each.name) for each in (named("a"), named("c")))]
    assert {uid: row.plant_id for uid, row in world.store.live_rows(names).items()} == {named("a").uid: first}
    assert world.store.live_rows([]) == {}


def test_the_fleet_is_counted_and_its_lags_are_ages_in_seconds(world: World) -> None:
    assert world.store.fleet(NOW).plants == {}
    first = world.apply(named("a"))
    world.apply(named("b", brand=Brand.DELE), now=NOW + SECOND)
    fleet = world.store.fleet(NOW + MINUTE)
    assert fleet.plants == {(Brand.SOLIS, Status.GREY): 1, (Brand.DELE, Status.GREY): 1}
    assert fleet.schedule_lag_s == {Brand.SOLIS: 60, Brand.HUAWEI: 0, Brand.GOODWE: 0, Brand.DELE: 59}
    assert fleet.mirror_lag_s == 60
    world.store.acknowledge([MirrorAck(first, 1, 11, "digest")], NOW)
    assert world.store.fleet(NOW + MINUTE).mirror_lag_s == 59
    job, _ = world.store.claim_polls(NOW + MINUTE, 10)
    fleet = world.store.fleet(NOW + HOUR)
    assert fleet.schedule_lag_s[job.brand] == 0
    assert fleet.claim_age_s == {Brand.SOLIS: 3540, Brand.HUAWEI: 0, Brand.GOODWE: 0, Brand.DELE: 3540}
    world.store.write([world.outcome(job)])
    assert world.store.fleet(NOW + HOUR).claim_age_s[job.brand] == 0


def test_a_plant_whose_credentials_were_refused_is_counted_as_paused(world: World) -> None:
    plant_id = world.apply()
    world.poll(result=Failed(PollError.AUTH_FAILED))
    world.apply(named("active"))
    assert world.store.fleet(NOW).paused == {Brand.SOLIS: 1, Brand.HUAWEI: 0, Brand.GOODWE: 0, Brand.DELE: 0}
    world.apply(replace(ROOF, silence_until=NOW + HOUR), version=11)
    assert world.context(plant_id).live.integration is Integration.PAUSED_AUTH_ERROR
    assert world.store.fleet(NOW).paused[Brand.SOLIS] == 0
    assert world.store.fleet(NOW + HOUR).paused[Brand.SOLIS] == 1


@pytest.mark.rule("D6.24")
def test_a_plant_is_silenced_until_its_instant_and_counted_as_ever(world: World) -> None:
    world.apply(named("loud"))
    world.apply(named("silent", brand=Brand.DELE, silence_until=NOW + HOUR))
    assert world.store.fleet(NOW + HOUR - SECOND).silenced == {(Brand.SOLIS, Status.GREY): 0, (Brand.DELE, Status.GREY): 1}
    assert sum(world.store.fleet(NOW).plants.values()) == 2
    assert world.store.fleet(NOW + HOUR).silenced[Brand.DELE, Status.GREY] == 0


def test_silent_plants_come_page_by_page_and_only_those_that_somebody_should_hear_of(world: World) -> None:
    ids = sorted(world.apply(named(name, latitude=-23.5, longitude=-46.6)) for name in "abc")
    for plant_id in ids:
        store(world, plant_id, last_seen_at=NOW - 2 * HOUR - SECOND)
    others: dict[str, dict[str, Any]] = {
        "seen": {"last_seen_at": NOW - 2 * HOUR},
        "never": {},
        "red": {"last_seen_at": NOW - 30 * HOUR, "status": Status.RED},
        "paused": {"last_seen_at": NOW - 30 * HOUR, "integration": Integration.PAUSED_AUTH_ERROR},
    }
    for name, live in others.items():
        store(world, world.apply(named(name)), **live)
    store(world, world.apply(named("silenced", silence_until=NOW + SECOND)), last_seen_at=NOW - 3 * HOUR)
    gone = named("gone")
    store(world, world.apply(gone), last_seen_at=NOW - 3 * HOUR)
    world.store.delete(gone.namespace, gone.name, gone.uid, 11, NOW)

    first = world.store.silent_plants(NOW - 2 * HOUR, NOW, 2)
    assert first == [SilentPlant(plant_id, Brand.SOLIS, "America/Sao_Paulo", Site(-23.5, -46.6)) for plant_id in ids[:2]]
    rest = world.store.silent_plants(NOW - 2 * HOUR, NOW, 2, after=ids[1])
    assert [plant.plant_id for plant in rest] == ids[2:]
    assert world.store.silent_plants(NOW - 2 * HOUR, NOW, 2, after=ids[2]) == []
    assert len(world.store.silent_plants(NOW - 2 * HOUR, NOW + SECOND, 10)) == 4


def test_a_silent_plant_without_a_location_has_no_site(world: World) -> None:
    store(world, world.apply(), last_seen_at=NOW - 3 * HOUR)
    (plant,) = world.store.silent_plants(NOW - 2 * HOUR, NOW, 10)
    assert plant.site is None


@pytest.mark.parametrize(
    ("back", "is_gap"),
    [
        ((0, 1, 2, 3, 4), False),
        ((1, 2, 3, 9), False),
        ((0, 1, 3, 4), True),
        ((0, 1, 2, 4), True),
        ((0, 2, 3, 20), True),
        # Its history is no older: it may have begun.
        ((0, 2, 3), False),
        ((), False),
    ],
)
def test_a_gap_is_a_missing_day_of_the_three_before_today(world: World, back: tuple[int, ...], is_gap: bool) -> None:
    store(world, world.apply(), last_seen_at=NOW, days=tuple(day_before(days) for days in back))
    assert world.store.plants_with_gaps(NOW) == {Brand.SOLIS: int(is_gap), Brand.HUAWEI: 0, Brand.GOODWE: 0, Brand.DELE: 0}


def test_gaps_are_of_the_plants_own_days(world: World) -> None:
    """At 15:00 UTC it is the 16th in Auckland: a plant there has had a 15th, one in Sao Paulo has not."""
    days = tuple(day_before(back) for back in (1, 2, 3, 4))
    for zone in ("Pacific/Auckland", "America/Sao_Paulo"):
        store(world, world.apply(named(zone.partition("/")[0], timezone=zone)), last_seen_at=NOW, days=days)
    assert world.store.plants_with_gaps(NOW)[Brand.SOLIS] == 1


@pytest.mark.parametrize(
    "live",
    [
        {"last_seen_at": NOW - 24 * HOUR - SECOND},
        {"last_seen_at": None},
        {"last_seen_at": NOW, "integration": Integration.DISABLED_BY_OPERATOR},
    ],
)
def test_a_plant_without_data_to_ask_for_has_no_gaps(world: World, live: dict[str, Any]) -> None:
    store(world, world.apply(), days=(day_before(1), day_before(9)), **live)
    assert world.store.plants_with_gaps(NOW)[Brand.SOLIS] == 0


def test_a_silenced_plant_counts_no_gaps(world: World) -> None:
    store(world, world.apply(named("silent", silence_until=NOW + HOUR)), last_seen_at=NOW, days=(day_before(1), day_before(9)))
    assert world.store.plants_with_gaps(NOW)[Brand.SOLIS] == 0
    assert world.store.plants_with_gaps(NOW + HOUR)[Brand.SOLIS] == 1


def day_before(days: int) -> Snapshot:
    """A row of that many days before the day of NOW in Sao Paulo."""
    return Snapshot(date=NOW.date() - timedelta(days=days), timezone="America/Sao_Paulo", today_energy_kwh=1.0)


def store(
    world: World,
    plant_id: UUID,
    *,
    alerts: tuple[Alert, ...] = (),
    days: tuple[Snapshot, ...] = (),
    next_poll: NextPoll | None = None,
    now: datetime | None = None,
    **live: Any,
) -> None:
    """Stores these without judging; at `now` by way of a daily claim, where one is given."""
    before = world.context(plant_id)
    log = None
    if now is not None:
        world.store.write([Outcome(before=before, live=replace(before.live, day_due_at=now - MINUTE, day_due_date=date(2026, 1, 14)))])
        world.store.acknowledge([MirrorAck(plant_id, before.version + 1, 11, "digest")], now)
        job = next(job for job in world.store.claim_days(now, 10) if job.plant_id == plant_id)
        before = world.context(plant_id)
        live["day_due_at"] = now + 100 * HOUR
        log = PollLog(
            job_id=job.id,
            job_type=JobType.DAILY,
            attempt=job.attempt,
            claimed_at=now,
            started_at=now,
            finished_at=now,
            status=PollStatus.SUCCESS,
        )
    outcome = Outcome(before=before, live=replace(before.live, **live), alerts=alerts, days=days, next_poll=next_poll, log=log)
    assert world.store.write([outcome]) == {plant_id}


def offline(plant_id: UUID, message: str) -> Alert:
    return Alert(
        id=uuid5(plant_id, message),
        type=AlertType.OFFLINE,
        severity=Severity.CRITICAL,
        message=message,
        opened_at=NOW,
        last_seen_at=NOW,
    )


def job_of(outcome: Outcome) -> Job:
    assert outcome.log is not None
    return Job(outcome.plant_id, outcome.log.attempt, outcome.log.job_type, outcome.brand, 1200)


def assert_no_default_left(value: msgspec.Struct) -> None:
    """So that a field added later must be given a value here, and be stored."""
    left = [field.name for field in msgspec.structs.fields(value) if getattr(value, field.name) == field.default]
    assert left == [], f"give these a value: {left}"
