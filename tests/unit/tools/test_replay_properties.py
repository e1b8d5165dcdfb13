"""What holds for every life of a plant: told twice it is the same, a shorter run is a beginning of the longer one, time goes on."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.judge import judge_clock, judge_declared, judge_job
from controller.domain.plant import plant_id_for
from controller.storage.memory import MemoryStore
from controller.tools.replay import AlertEvent, Event, SnapshotEvent, StatusEvent, replay
from controller.tools.replay_input import parse_plant, read_lines
from tests.unit.tools.lives import CREATED, DAY, HOUR, MINUTE, TICK, alarm, days, failed, plant, seen

# Steps meet the boundaries of 2 h and 24 h exactly, miss them by a microsecond, or stand still.
STEPS = st.sampled_from([timedelta(0), TICK, 10 * MINUTE, HOUR, 2 * HOUR - TICK, 2 * HOUR, 2 * HOUR + TICK, 12 * HOUR, DAY, DAY + TICK])
AGES = st.sampled_from([timedelta(0), TICK, 2 * HOUR, 2 * HOUR + TICK, DAY, DAY + TICK, 3 * DAY, -5 * MINUTE, -HOUR])
ALARMS = st.lists(
    st.builds(
        alarm, code=st.sampled_from(["1", "2", None]), severity=st.sampled_from(["LOW", "HIGH", "CRITICAL"]), is_active=st.booleans()
    ),
    max_size=3,
)
ENERGY = st.one_of(st.none(), st.floats(0, 50), st.just(-1.0), st.just("n/a"))
ERRORS = st.sampled_from(["AUTH_FAILED", "RATE_LIMIT_EXCEEDED", "NETWORK_TIMEOUT", "VENDOR_ERROR"])


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[str], list[datetime]]:
    """Lines in time order, and the instants that matter for where a run ends."""
    lines, at, instants = [], CREATED, [CREATED]
    for _ in range(draw(st.integers(0, 12))):
        at += draw(STEPS)
        kind = draw(st.sampled_from(["seen", "seen", "seen", "failed", "days"]))
        if kind == "seen":
            reading = {"today_energy_kwh": draw(ENERGY), "current_power_w": draw(ENERGY), "total_energy_kwh": draw(ENERGY)}
            lines.append(seen(at, at - draw(AGES), draw(st.one_of(st.none(), ALARMS)), draw(st.booleans()), **reading))
        elif kind == "failed":
            lines.append(failed(at, draw(ERRORS)))
        else:
            lines.append(days(at, str(at.date()), **{f"d{at - n * DAY:%m%d}": draw(ENERGY) for n in range(4)}))
        instants += [at, at + 2 * HOUR, at + DAY]
    return lines, sorted(instants)


def happens(lines: Sequence[str], until: datetime) -> list[Event]:
    return list(replay(parse_plant(plant()), lines, until, explain=True))


def changes(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, SnapshotEvent)]


@given(lives())
def test_told_twice_it_is_the_same(life: tuple[list[str], list[datetime]]) -> None:
    lines, instants = life
    assert happens(lines, instants[-1]) == happens(lines, instants[-1])


@given(lives(), st.data())
def test_a_shorter_run_is_a_beginning_of_the_longer_one(life: tuple[list[str], list[datetime]], data: st.DataObject) -> None:
    lines, instants = life
    until = data.draw(st.sampled_from(instants)) + data.draw(st.sampled_from([-TICK, timedelta(0), TICK, MINUTE]))
    whole, part = changes(happens(lines, instants[-1] + HOUR)), changes(happens(lines, until))
    before = [event for event in whole if event.at < until]
    # A boundary at the very end is not passed yet; what a poll at the end brings is told.
    assert part[: len(before)] == before
    assert all(event.at == until for event in part[len(before) :])


@given(lives())
def test_a_run_in_two_parts_of_lines_ends_as_one_in_whole(life: tuple[list[str], list[datetime]]) -> None:
    lines, instants = life
    assert happens([*lines, failed(instants[-1] + DAY, "VENDOR_ERROR")], instants[-1]) == happens(lines, instants[-1])


@given(lives())
@pytest.mark.rule("D9.6", "D9.8")
def test_time_goes_on_and_an_instant_is_told_in_order(life: tuple[list[str], list[datetime]]) -> None:
    lines, instants = life
    events = happens(lines, instants[-1])
    assert [_place(event) for event in events] == sorted(_place(event) for event in events)
    assert all(event.at <= instants[-1] for event in events)


@given(lives())
@pytest.mark.rule("D6.2")
def test_statuses_follow_one_another_and_at_most_one_alert_a_key_is_open(life: tuple[list[str], list[datetime]]) -> None:
    lines, instants = life
    status = "GREY"
    open_keys: set[tuple[str, str | None, str | None]] = set()
    for event in happens(lines, instants[-1]):
        match event:
            case StatusEvent():
                assert event.before == status != event.to
                status = event.to
            case AlertEvent():
                key = (event.type, event.vendor_alarm_code, event.device_sn)
                assert (key in open_keys) == (event.action == "resolved")
                open_keys ^= {key}


@given(lives())
def test_what_happens_does_not_depend_on_the_form_of_the_lines(life: tuple[list[str], list[datetime]]) -> None:
    lines, instants = life
    spaced = [json.dumps(json.loads(line), indent=None, separators=(" , ", " : ")).encode() + b"\r\n" for line in lines]
    assert list(replay(parse_plant(plant()), spaced, instants[-1], explain=True)) == happens(lines, instants[-1])


def _place(event: Event) -> tuple[datetime, int, date]:
    """Snapshots last, by date; within an instant resolved, opened, status."""
    match event:
        case SnapshotEvent():
            return (datetime.max.replace(tzinfo=UTC), 3, event.date)
        case AlertEvent():
            return (event.at, 0 if event.action == "resolved" else 1, date.min)
        case StatusEvent():
            return (event.at, 2, date.min)


@pytest.mark.rule("D9.1")
@given(lives())
def test_it_ends_as_the_store_does_that_workers_and_scheduler_write(life: tuple[list[str], list[datetime]]) -> None:
    lines, instants = life
    polls = [line for line in lines if "DAYS" not in line]
    declared = parse_plant(plant()).declaration
    plant_id = plant_id_for(declared.namespace, declared.brand, str(declared.vendor_plant_id))
    store = MemoryStore()
    store.apply(plant_id, declared, 1, CREATED, judge_declared)
    for line in read_lines(polls):
        pass_time(store, line.at)
        store._rows[plant_id].next_poll_at = line.at
        [job] = store.claim_polls(line.at, 1)
        context = store.read([plant_id])[plant_id]
        assert store.write([judge_job(context, context, job, line.result, line.at, line.at)]) == {plant_id}
    pass_time(store, instants[-1])
    row = store._rows[plant_id]
    events = happens(polls, instants[-1])
    assert ["GREY", *(event.to for event in events if isinstance(event, StatusEvent))][-1] == row.live.status
    open_keys = [(event.type, event.vendor_alarm_code, event.device_sn) for event in events if isinstance(event, AlertEvent)]
    assert {key for key in open_keys if open_keys.count(key) % 2} == {alert.key for alert in row.alerts.values() if alert.is_active}
    stored = {day.date: (day.today_energy_kwh, day.peak_power_w) for day in row.days.values()}
    assert {e.date: (e.today_energy_kwh, e.peak_power_w) for e in events if isinstance(e, SnapshotEvent)} == stored


def pass_time(store: MemoryStore, to: datetime) -> None:
    """The scheduler's clock, once it comes: not at each boundary, but at last."""
    while store.judge_due(to, 1, judge_clock):
        pass
