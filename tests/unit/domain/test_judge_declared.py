"""What a new or changed declaration brings (DOMAIN 1, 2 and 5; PROTOCOL 25 and 26)."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from controller.domain.judge import is_pollable
from controller.domain.outcome import NextPoll
from controller.domain.plant import AlertType, Integration, LiveState, Reason, Status
from controller.domain.schedule import close_at, next_slot, phase_s
from integrations.contract import Severity
from tests.unit.domain.cases import DAY, HOUR, NOON, ROOF, TODAY, active, alert, close, declare, declared, new_plant, plant, sees, stored

PENDING = Integration.PENDING_DOCS
DISABLED = Integration.DISABLED_BY_OPERATOR
PAUSED = Integration.PAUSED_AUTH_ERROR


def test_a_new_plant_is_grey_and_polled_at_once() -> None:
    outcome = declare(new_plant(), None)
    live = outcome.live
    assert (live.integration, live.active_since) == (Integration.ACTIVE, NOON)
    assert (live.status, live.reason, live.status_since) == (Status.GREY, Reason.AWAITING_FIRST_READING, NOON)
    assert (live.day_due_date, live.day_due_at) == (TODAY, close_at(TODAY, declared().zone, phase_s(ROOF)))
    assert live.clock_due_at == NOON + DAY
    assert outcome.next_poll == NextPoll(NOON)
    assert outcome.log is None


def test_a_plant_without_a_vendor_id_waits_for_its_documents_and_answers_requests() -> None:
    outcome = declare(new_plant(declared(vendor_plant_id=None, poll_requested="now")), None)
    assert (outcome.live.integration, outcome.live.reason, outcome.live.handled_poll_request) == (PENDING, Reason.PENDING_DOCS, "now")
    assert (outcome.next_poll, outcome.live.day_due_at, outcome.live.clock_due_at) == (NextPoll(None), None, None)


def test_pending_docs_comes_before_suspension() -> None:
    assert declare(new_plant(declared(vendor_plant_id=None, suspend=True)), None).live.integration is PENDING


@pytest.mark.rule("D5.9")
def test_suspending_stops_everything_but_the_alerts_stay() -> None:
    offline = alert(AlertType.OFFLINE, Severity.CRITICAL)
    before = plant(active(status=Status.RED), declared(suspend=True, generation=2), alerts=(offline,))
    outcome = declare(before, declared())
    assert (outcome.live.integration, outcome.live.status, outcome.live.reason) == (DISABLED, Status.GREY, Reason.DISABLED_BY_OPERATOR)
    assert (outcome.next_poll, outcome.alerts) == (NextPoll(None), ())
    assert (outcome.live.day_due_at, outcome.live.clock_due_at) == (None, None)


def test_a_request_at_a_suspended_plant_is_answered() -> None:
    live = active(integration=DISABLED, status=Status.GREY)
    outcome = declare(plant(live, declared(suspend=True, poll_requested="x")), declared(suspend=True))
    assert (outcome.live.handled_poll_request, outcome.next_poll) == ("x", NextPoll(None))


@pytest.mark.parametrize(
    ("silence", "status", "opens"), [(HOUR, Status.GREEN, False), (3 * HOUR, Status.YELLOW, False), (2 * DAY, Status.RED, True)]
)
@pytest.mark.rule("D5.9")
def test_a_resumed_plant_is_judged_and_polled_at_once(silence: timedelta, status: Status, opens: bool) -> None:
    live = active(integration=DISABLED, status=Status.GREY, last_seen_at=NOON - silence, active_since=NOON - 9 * DAY)
    outcome = declare(plant(live, declared(generation=3), next_poll_at=None), declared(suspend=True, generation=2))
    assert (outcome.live.integration, outcome.live.status, outcome.live.active_since) == (Integration.ACTIVE, status, NOON)
    assert [entry.type for entry in outcome.alerts] == ([AlertType.OFFLINE] if opens else [])
    assert outcome.next_poll == NextPoll(NOON)


def test_a_resumed_plant_closes_the_days_it_missed_back_to_the_third() -> None:
    for missed, first in ((1, 1), (3, 3), (20, 3)):
        live = active(integration=DISABLED, day_due_date=TODAY - missed * DAY, day_due_at=None)
        assert declare(plant(live), declared(suspend=True)).live.day_due_date == TODAY - first * DAY


@pytest.mark.rule("D5.2")
def test_a_plant_never_seen_gets_its_24_hours_anew_when_it_returns() -> None:
    live = active(integration=DISABLED, last_seen_at=None, active_since=NOON - 9 * DAY)
    outcome = declare(plant(live, declared(generation=3)), declared(suspend=True, generation=2))
    assert (outcome.live.status, outcome.live.clock_due_at) == (Status.GREY, NOON + DAY)


@pytest.mark.parametrize(
    ("change", "polled"),
    [
        ({"generation": 2, "display_name": "Roof"}, True),
        ({"generation": 2, "poll_interval_s": 3600}, True),
        ({"generation": 2, "timezone": "Asia/Tokyo"}, True),
        ({"scenario": "fault"}, True),
        ({"poll_requested": "now"}, True),
        ({"silence_until": NOON + DAY}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_changed_spec_scenario_or_request_is_polled_at_once(change: dict[str, object], polled: bool) -> None:
    outcome = declare(plant(declaration=declared(**change)), declared())
    assert outcome.next_poll == (NextPoll(NOON) if polled else None)


def test_a_withdrawn_request_is_no_request() -> None:
    assert declare(plant(), declared(poll_requested="old")).next_poll is None


def test_an_unchanged_plant_without_a_slot_returns_to_its_grid() -> None:
    assert declare(plant(next_poll_at=None), declared()).next_poll == NextPoll(next_slot(ROOF, 600, NOON))


@pytest.mark.parametrize("change", [{"generation": 2}, {"scenario": "healthy2"}, {"poll_requested": "try"}], ids=str)
@pytest.mark.rule("D5.10")
def test_a_paused_plant_stays_paused_and_gets_one_trial_poll(change: dict[str, object]) -> None:
    live = active(integration=PAUSED, status=Status.GREY, status_since=NOON - HOUR)
    outcome = declare(plant(live, declared(**change), next_poll_at=None), declared())
    assert (outcome.live.integration, outcome.live.status, outcome.transition) == (PAUSED, Status.GREY, None)
    assert outcome.next_poll == NextPoll(NOON)
    assert is_pollable(stored(outcome))


def test_a_paused_plant_gets_no_trial_poll_for_nothing() -> None:
    live = active(integration=PAUSED, status=Status.GREY)
    assert declare(plant(live, declared(silence_until=NOON), next_poll_at=None), declared()).next_poll is None


def test_a_plant_created_anew_keeps_its_history_and_starts_its_declaration_afresh() -> None:
    old = active(handled_poll_request="x", polled_generation=9, total_energy_kwh=5000.0, status=Status.GREEN, status_since=NOON - DAY)
    outcome = declare(plant(old, declared(uid="uid-2"), next_poll_at=None), None)
    live = outcome.live
    assert (live.last_seen_at, live.total_energy_kwh, live.status) == (NOON, 5000.0, Status.GREEN)
    assert (live.handled_poll_request, live.polled_generation, live.active_since) == (None, 0, NOON)
    assert outcome.next_poll == NextPoll(NOON)


@pytest.mark.parametrize("previous", [None, declared()], ids=["deleted", "missed"])
def test_a_plant_created_anew_that_was_never_seen_gets_its_24_hours(previous: object) -> None:
    old = active(last_seen_at=None, active_since=NOON - 9 * DAY, status=Status.RED)
    outcome = declare(plant(old, declared(uid="uid-2")), None if previous is None else declared())
    assert (outcome.live.status, outcome.live.reason) == (Status.GREY, Reason.AWAITING_FIRST_READING)


def test_a_plant_created_anew_is_not_paused_any_more() -> None:
    assert declare(plant(active(integration=PAUSED), declared(uid="uid-2")), None).live.integration is Integration.ACTIVE


def test_a_request_that_came_with_the_creation_is_echoed_by_the_first_poll() -> None:
    created = stored(declare(new_plant(declared(poll_requested="x")), None))
    assert created.live.handled_poll_request is None
    assert close(created, sees()).live.handled_poll_request == "x"


@pytest.mark.parametrize(
    ("zone", "day", "due"),
    [
        # In Auckland it is the 11th already, and the 10th is over: late rather than never.
        ("Pacific/Auckland", TODAY, datetime(2026, 3, 10, 10, 50, tzinfo=UTC)),
        ("America/Sao_Paulo", TODAY, datetime(2026, 3, 11, 2, 50, tzinfo=UTC)),
    ],
)
def test_a_changed_timezone_moves_the_close_of_the_day(zone: str, day: object, due: datetime) -> None:
    live = active(day_due_date=TODAY, day_due_at=NOON + 12 * HOUR)
    outcome = declare(plant(live, declared(timezone=zone, generation=2)), declared())
    assert outcome.live.day_due_date == day
    assert outcome.live.day_due_at == due + timedelta(seconds=phase_s(ROOF) % 540)


def test_other_changes_leave_a_close_that_waits_for_its_next_try() -> None:
    live = active(day_due_date=TODAY, day_due_at=NOON + 17 * HOUR)
    assert declare(plant(live, declared(generation=2)), declared()).live.day_due_at == NOON + 17 * HOUR


def test_declaring_the_same_twice_gives_the_same() -> None:
    once = stored(declare(new_plant(), None))
    assert declare(once, once.declaration).live == once.live


@pytest.mark.parametrize(
    ("change", "integration", "pollable"),
    [
        ({}, Integration.ACTIVE, True),
        ({}, PAUSED, True),
        ({"suspend": True}, Integration.ACTIVE, False),
        ({"vendor_plant_id": None}, Integration.ACTIVE, False),
    ],
)
def test_only_a_declared_and_running_plant_may_be_polled(change: dict[str, object], integration: Integration, pollable: bool) -> None:
    context = plant(active(integration=integration), declared(**change))
    assert is_pollable(context) is pollable
    assert not is_pollable(msgspec.structs.replace(context, deleted=True))


def test_nothing_is_known_of_a_plant_before_its_first_declaration() -> None:
    assert LiveState().status is Status.GREY
