"""What holds for any life of a plant (DOMAIN 5 and 6): any order of readings, errors, declarations and clock steps."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.judge import is_pollable, judge_clock, judge_declared, judge_lost
from controller.domain.outcome import Failed, Job, JobResult, Outcome, Seen, SeenDays
from controller.domain.plant import AlertType, Declaration, Integration, JobType, PlantContext, PollError, PollStatus, Status, StatusPolicy
from controller.domain.status import decide_status
from integrations.contract import Brand, Reading
from tests.unit.domain.cases import DAY, NOON, ROOF, TICK, alarm, close, listed, new_plant, stored
from tests.unit.domain.test_alerts import LISTS

_replace = msgspec.structs.replace


class Declare(msgspec.Struct, frozen=True):
    changes: dict[str, object]


class Clock(msgspec.Struct, frozen=True):
    pass


class Lost(msgspec.Struct, frozen=True):
    pass


class Poll(msgspec.Struct, frozen=True):
    result: JobResult
    behind_s: int = 0
    """By how much the vendor's times are older than the poll."""


class CloseDay(msgspec.Struct, frozen=True):
    result: JobResult


ACK_ALL = ("all",)
"""Stands for the ids of the alerts that are active then."""
Event = Declare | Clock | Lost | Poll | CloseDay
_SERIES = st.dictionaries(st.integers(0, 4).map(lambda back: NOON.date() - back * DAY), st.floats(0, 200), max_size=3)
_ERRORS = st.builds(Failed, st.sampled_from(PollError), st.just(""), st.none() | st.floats(-1e5, 1e13))
_SEEN = st.builds(
    Seen,
    st.builds(
        Reading,
        current_power_w=st.none() | st.floats(),
        today_energy_kwh=st.none() | st.floats(0, 100),
        total_energy_kwh=st.none() | st.floats(0, 10),
    ),
    st.none() | LISTS,
    st.none(),
) | st.builds(Seen, st.just(Reading()), st.none(), st.sampled_from(PollError))
_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "suspend": st.booleans(),
        "timezone": st.sampled_from(["UTC", "America/Sao_Paulo", "Pacific/Auckland"]),
        "scenario": st.sampled_from(["healthy", "fault"]),
        "poll_requested": st.sampled_from([None, "a", "b"]),
        "uid": st.sampled_from(["uid-1", "uid-2"]),
        "status_policy": st.sampled_from(StatusPolicy),
        "latitude": st.sampled_from([None, -23.5, 69.7]),
        "longitude": st.just(-46.6),
        "acked": st.just(ACK_ALL),
    },
)
EVENTS = st.one_of(
    st.builds(Declare, _CHANGES),
    st.just(Clock()),
    st.just(Lost()),
    st.builds(Poll, _SEEN | _ERRORS, st.integers(-400, 200_000)),
    st.builds(CloseDay, st.builds(SeenDays, _SERIES) | _ERRORS),
)
STEPS = st.lists(st.tuples(st.sampled_from([0, 1, 600, 7_200, 86_400]) | st.integers(0, 200_000), EVENTS), max_size=15)


def judged(context: PlantContext, event: Event, now: datetime) -> Outcome:
    match event:
        case Declare(changes):
            previous = context.declaration
            if changes.get("acked") == ACK_ALL:
                changes = {**changes, "acked": tuple(entry.id for entry in context.alerts)}
            current: Declaration = _replace(previous, generation=previous.generation + 1, **changes)
            return judge_declared(_replace(context, declaration=current), previous, now)
        case Clock():
            return judge_clock(context, now)
        case Lost():
            claimed = claim(context, now)
            return judge_lost(claimed, job(claimed, JobType.POLL, now), now)
        case Poll(result, behind_s):
            claimed = claim(context, now)
            return close(claimed, brought(claimed, at(result, now - timedelta(seconds=behind_s))), now, job(claimed, JobType.POLL, now))
        case CloseDay(result):
            claimed = claim(context, now)
            return close(claimed, brought(claimed, result), now, job(claimed, JobType.DAILY, now))


def brought(context: PlantContext, result: JobResult) -> JobResult:
    """A plant that was suspended before its job began is not read."""
    return result if is_pollable(context) else Failed(PollError.CANCELLED)


def claim(context: PlantContext, now: datetime) -> PlantContext:
    return _replace(context, attempt=context.attempt + 1, claimed_at=now)


def job(context: PlantContext, kind: JobType, now: datetime) -> Job:
    day = context.live.day_due_date or now.date()
    return Job(ROOF, context.attempt, kind, Brand.SOLIS, 1200, day if kind is JobType.DAILY else None)


def at(result: JobResult, when: datetime) -> JobResult:
    if not isinstance(result, Seen):
        return result
    return _replace(result, reading=_replace(result.reading, sampled_at=when, last_seen_at=when))


def lives(steps: list[tuple[int, Event]]) -> list[tuple[datetime, Outcome]]:
    """Each judgement of the plant's life with its instant, the declaration first."""
    now = NOON
    outcomes = [(now, judge_declared(new_plant(), None, now))]
    for seconds, event in steps:
        now += timedelta(seconds=seconds)
        outcomes.append((now, judged(stored(outcomes[-1][1]), event, now)))
    return outcomes


@settings(max_examples=80, deadline=None)
@given(STEPS)
@pytest.mark.rule("D5.7")
def test_the_status_is_what_the_rules_say_of_the_rows(steps: list[tuple[int, Event]]) -> None:
    for now, outcome in lives(steps):
        after = stored(outcome)
        decision = decide_status(after.live, after.alerts, now, after.declaration.daylight_site)
        assert (after.live.status, after.live.reason, after.live.clock_due_at) == (decision.status, decision.reason, decision.next_change)


@settings(max_examples=80, deadline=None)
@given(STEPS)
@pytest.mark.rule("D6.2")
def test_at_most_one_alert_a_key_is_active_and_no_id_is_used_twice(steps: list[tuple[int, Event]]) -> None:
    opened: dict[object, object] = {}
    for _, outcome in lives(steps):
        after = stored(outcome)
        keys = [entry.key for entry in after.alerts]
        assert len(keys) == len(set(keys))
        assert len({entry.id for entry in outcome.alerts}) == len(outcome.alerts)
        for entry in outcome.alerts:
            assert opened.setdefault(entry.id, (entry.key, entry.opened_at)) == (entry.key, entry.opened_at)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_offline_is_active_where_the_plant_is_red_for_its_silence(steps: list[tuple[int, Event]]) -> None:
    for _, outcome in lives(steps):
        after = stored(outcome)
        offline = any(entry.type is AlertType.OFFLINE for entry in after.alerts)
        if after.live.reason in ("Offline", "NeverSeen"):
            assert offline
        if after.live.status is Status.GREEN:
            assert not offline


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_judging_twice_gives_the_same(steps: list[tuple[int, Event]]) -> None:
    assert lives(steps) == lives(steps)
    now, last = lives(steps)[-1]
    after = stored(last)
    again = judge_clock(after, now)
    assert (again.live, again.alerts) == (after.live, ())


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_a_clock_that_comes_at_each_due_instant_misses_no_change(steps: list[tuple[int, Event]]) -> None:
    now, last = lives(steps)[-1]
    context = stored(last)
    for _ in range(4):
        due = context.live.clock_due_at
        if due is None:
            break
        assert judge_clock(context, max(due, now)).live.status is context.live.status, "at the instant itself the old status holds"
        now = max(due, now) + TICK
        context = stored(judge_clock(context, now))
    assert context.live.clock_due_at is None
    assert judge_clock(context, now + 400 * DAY).live.status is context.live.status


@settings(max_examples=80, deadline=None)
@given(STEPS)
@pytest.mark.rule("D5.9")
def test_only_active_plants_have_closes_due_and_are_judged(steps: list[tuple[int, Event]]) -> None:
    for now, outcome in lives(steps):
        live = outcome.live
        is_active = live.integration is Integration.ACTIVE
        assert (live.day_due_at is not None) is is_active
        assert (live.status is Status.GREY) or is_active
        assert live.last_seen_at is None or live.last_seen_at <= now
        if live.integration is Integration.DISABLED_BY_OPERATOR:
            assert stored(outcome).next_poll_at is None
        if is_active:
            assert stored(outcome).next_poll_at is not None


@settings(max_examples=80, deadline=None)
@given(STEPS)
@pytest.mark.rule("D2.5")
def test_every_closed_job_has_one_log_and_an_error_names_its_type(steps: list[tuple[int, Event]]) -> None:
    for (_, outcome), (_, event) in zip(lives(steps)[1:], steps, strict=True):
        assert (outcome.log is not None) is isinstance(event, Poll | CloseDay | Lost)
        if outcome.log is not None:
            assert (outcome.log.status is PollStatus.ERROR) <= (outcome.log.adapter_error_type is not None)
            assert outcome.log.duration_ms >= 0


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_every_row_that_is_made_can_be_stored(steps: list[tuple[int, Event]]) -> None:
    for _, outcome in lives(steps):
        for day in outcome.days:
            for value in (day.today_energy_kwh, day.peak_power_w, day.current_power_w, day.total_energy_kwh, day.grid_injection_power_w):
                assert value is None or 0 <= value < 1e9
        assert len({day.date for day in outcome.days}) == len(outcome.days)


def test_a_night_of_clock_steps_walks_through_the_colours_once() -> None:
    context = stored(
        close(claim(stored(judge_declared(new_plant(), None, NOON)), NOON), Seen(Reading(NOON, NOON, 1.0, 1.0), listed(alarm())))
    )
    statuses = [context.live.status]
    now = NOON
    for _ in range(30 * 6):
        now += timedelta(minutes=10)
        context = stored(judge_clock(context, now))
        if context.live.status is not statuses[-1]:
            statuses.append(context.live.status)
    assert statuses == [Status.GREEN, Status.YELLOW, Status.RED]
    assert [entry.type for entry in context.alerts].count(AlertType.OFFLINE) == 1
    assert context.live.status_since is not None
    assert context.live.status_since.astimezone(ZoneInfo("UTC")) == datetime(2026, 3, 11, 12, 10, tzinfo=UTC)


@pytest.mark.rule("D6.26")
@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_acknowledging_changes_no_status_and_opens_and_resolves_nothing(steps: list[tuple[int, Event]]) -> None:
    """The same life without it differs in nothing but the state, time and author on the alerts."""
    silent = [(seconds, _without_acks(event)) for seconds, event in steps]
    for (_, acked), (_, bare) in zip(lives(steps), lives(silent), strict=True):
        assert (acked.live.status, acked.live.reason, acked.live.clock_due_at) == (
            bare.live.status,
            bare.live.reason,
            bare.live.clock_due_at,
        )
        assert acked.days == bare.days
        known, unknown = stored(acked).alerts, stored(bare).alerts
        assert {(entry.id, entry.severity, entry.opened_at) for entry in known} == {
            (entry.id, entry.severity, entry.opened_at) for entry in unknown
        }


def _without_acks(event: Event) -> Event:
    if not isinstance(event, Declare):
        return event
    return Declare({name: value for name, value in event.changes.items() if name != "acked"})


@pytest.mark.rule("D5.7")
@settings(max_examples=40, deadline=None)
@given(STEPS, STEPS)
def test_the_order_of_two_plants_events_never_matters(here: list[tuple[int, Event]], there: list[tuple[int, Event]]) -> None:
    """Judging shares nothing between plants, caches included: in turn or one after the other, both live the same lives."""
    apart = (lives(here), lives(there))
    lives([step for pair in zip(here, there, strict=False) for step in pair])
    assert (lives(there), lives(here)) == apart[::-1]
