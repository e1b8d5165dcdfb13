"""Events: which transitions make one, how it reads, and that nothing makes it twice."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.plant import Alert, AlertState, AlertType, Integration, PlantContext, PollError, Reason, Status
from controller.operator.digest import digest
from controller.operator.events import MESSAGE_MAX, NAMED_MAX, Before, EventReason, PlantEvent, events_between, rejection
from controller.operator.resource import POLL_REQUESTED_AT, Refusal, RefusalReason
from controller.operator.status_document import refused_document, status_document
from controller.storage.ports import Told
from integrations.contract import Severity
from tests.unit.operator.plants import NOW, resource, row

HOUR = timedelta(hours=1)
ROOT = UUID(int=1)


def alert(number: int, severity: Severity = Severity.CRITICAL, **fields: Any) -> Alert:
    return Alert(
        id=uuid5(ROOT, str(number)),
        **{
            "type": AlertType.MOCK_FAULT,
            "severity": severity,
            "opened_at": NOW + timedelta(seconds=number),
            "last_seen_at": NOW,
            "vendor_alarm_code": str(number),
            "message": "NO-Grid",
            **fields,
        },
    )


def resolved(*alerts: Alert) -> tuple[Alert, ...]:
    return tuple(msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=NOW + HOUR) for alert in alerts)


def red(**live: Any) -> PlantContext:
    sentence = "RED: an alert of severity CRITICAL is active: MOCK_FAULT 1015; the plant last reported at 2026-01-15 11:56:00 -03."
    return row(status=Status.RED, reason=Reason.CRITICAL_ALERT, status_since=NOW, explain=(sentence,), **live)


def with_alerts(plant: PlantContext, *alerts: Alert) -> PlantContext:
    return msgspec.structs.replace(plant, alerts=alerts)


def shown(plant: PlantContext, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return status_document(plant, resource(status=dict(before or {})), NOW)


def between(old: PlantContext | None, new: PlantContext, *, ended: tuple[Alert, ...] = (), request: str | None = None) -> list[PlantEvent]:
    """What the change from one row to the next is worth, where Kubernetes has been told of the first one."""
    status = {} if old is None else shown(old)
    before = Before(status, frozenset(alert.id for alert in (() if old is None else old.alerts)), ended)
    of = resource(annotations={} if request is None else {POLL_REQUESTED_AT: request})
    return list(events_between(before, shown(new, status), new, of))


def reasons(events: list[PlantEvent]) -> list[str]:
    return [event.reason.value for event in events]


# Health


def test_a_change_of_health_tells_from_what_to_what_and_why() -> None:
    (event,) = between(row(), red())
    assert event.reason is EventReason.HEALTH_CHANGED
    assert event.message.startswith("GREEN to RED: an alert of severity CRITICAL is active: MOCK_FAULT 1015; the plant last reported at")
    assert event.is_warning


@pytest.mark.parametrize(
    ("live", "warns"),
    [
        ({"status": Status.RED, "reason": Reason.OFFLINE}, True),
        ({"status": Status.YELLOW, "reason": Reason.STALE}, True),
        ({"status": Status.GREY, "reason": Reason.PAUSED_AUTH_ERROR, "integration": Integration.PAUSED_AUTH_ERROR}, True),
        ({"status": Status.GREY, "reason": Reason.DISABLED_BY_OPERATOR, "integration": Integration.DISABLED_BY_OPERATOR}, False),
    ],
)
def test_a_change_warns_where_a_person_should_look(live: dict[str, Any], warns: bool) -> None:
    (event, *_) = between(row(), row(**live))
    assert event.reason is EventReason.HEALTH_CHANGED
    assert event.is_warning is warns


def test_good_news_are_no_warning() -> None:
    (event,) = between(red(), row())
    assert (event.is_warning, event.message[:13]) == (False, "RED to Last s"), "the sentence of the row follows"


def test_another_reason_for_the_same_health_is_no_event() -> None:
    offline = row(status=Status.RED, reason=Reason.OFFLINE, explain=("RED: silent.",))
    assert between(red(), offline) == []


def test_what_changes_with_every_poll_is_no_event() -> None:
    later = NOW + HOUR
    assert between(row(), row(current_power_w=1.0, last_poll_at=later, last_success_at=later, last_seen_at=later)) == []


# The first status of an object


def waiting(**live: Any) -> PlantContext:
    return row(status=Status.GREY, reason=Reason.AWAITING_FIRST_READING, last_success_at=None, last_poll_at=None, last_seen_at=None, **live)


def test_a_new_plant_makes_no_event_until_it_is_judged() -> None:
    assert between(None, waiting()) == []
    pending: dict[str, Any] = {
        "integration": Integration.PENDING_DOCS,
        "status": Status.GREY,
        "reason": Reason.PENDING_DOCS,
        "last_success_at": None,
    }
    assert between(None, row(**pending)) == []


def test_its_first_colour_is_told_whether_or_not_grey_was_shown_before() -> None:
    assert between(None, row()) == between(waiting(), row())
    assert reasons(between(None, row())) == ["HealthChanged"]
    assert between(None, row())[0].message.startswith("GREY to ")


def test_one_that_comes_back_with_its_history_tells_what_stands() -> None:
    events = between(None, with_alerts(red(consecutive_failures=3, last_error=PollError.VENDOR_ERROR), alert(1)))
    assert reasons(events) == ["HealthChanged", "AlertOpened", "PollFailed"]


def test_a_request_of_a_former_life_is_not_told_again() -> None:
    assert reasons(between(None, row(handled_poll_request="old"))) == ["HealthChanged"]
    assert reasons(between(None, row(handled_poll_request="mine"), request="mine")) == ["HealthChanged", "PollRequestHandled"]


# Alerts


def test_an_alert_that_opens_is_told_with_what_identifies_it() -> None:
    fault = alert(1, device_sn="10F0000000000001")
    (event,) = between(red(), with_alerts(red(), fault))
    assert event.message == f"CRITICAL MOCK_FAULT 1 on 10F0000000000001: NO-Grid (alert {fault.id})"
    assert event.is_warning


def test_only_a_low_alert_is_no_warning() -> None:
    warns = {severity: between(red(), with_alerts(red(), alert(1, severity)))[0].is_warning for severity in Severity}
    assert warns == {Severity.LOW: False, Severity.MEDIUM: True, Severity.HIGH: True, Severity.CRITICAL: True}


def test_an_alert_that_ends_is_told_with_when_it_began() -> None:
    fault = alert(1)
    (event,) = between(with_alerts(red(), fault), red(), ended=resolved(fault))
    assert event.message == f"CRITICAL MOCK_FAULT 1: NO-Grid, open since 2026-01-15T15:00:01Z (alert {fault.id})"
    assert not event.is_warning


def test_an_alert_that_is_acknowledged_or_changes_its_severity_is_no_event() -> None:
    fault = alert(1)
    changed = msgspec.structs.replace(fault, state=AlertState.ACKED, severity=Severity.HIGH)
    assert between(with_alerts(red(), fault), with_alerts(red(), changed)) == []


def test_an_alert_that_ends_while_the_older_row_is_shown_is_told_with_the_newer_one() -> None:
    """Books are read after rows: what ended in between is active in the row."""
    fault = alert(1)
    assert between(with_alerts(red(), fault), with_alerts(red(), fault), ended=resolved(fault)) == []


def test_of_many_alerts_the_worst_are_named_and_the_rest_share_an_event() -> None:
    many = [alert(number, Severity.LOW) for number in range(1, 15)] + [alert(15, Severity.HIGH)]
    events = between(red(), with_alerts(red(), *many))
    assert reasons(events) == ["AlertOpened"] * (NAMED_MAX + 1)
    assert events[0].message.startswith("HIGH MOCK_FAULT 15")
    assert events[-1].message == "5 more alerts have been opened: 5 LOW"
    ended = between(with_alerts(red(), *many), red(), ended=resolved(*many))
    assert reasons(ended) == ["AlertResolved"] * (NAMED_MAX + 1)
    assert not any(event.is_warning for event in ended)


def test_of_more_alerts_than_the_status_lists_one_that_opens_is_told_and_the_others_are_not_again() -> None:
    many = [alert(number) for number in range(1, 15)]
    old, mild = with_alerts(red(), *many), alert(99, Severity.MEDIUM)
    (event,) = between(old, with_alerts(red(), *many, mild))
    assert str(mild.id) in event.message
    without = with_alerts(red(), *many[1:])
    assert reasons(between(old, without, ended=resolved(many[0]))) == ["AlertResolved"]


def test_where_it_is_not_known_which_alerts_were_told_none_are() -> None:
    new = with_alerts(red(), alert(1))
    assert list(events_between(Before(shown(row()), None), shown(new), new, resource()))[1:] == []


# Polls


def failing(count: int = 1, error: PollError = PollError.NETWORK_TIMEOUT, **live: Any) -> PlantContext:
    return row(consecutive_failures=count, last_error=error, **live)


def test_the_first_failure_of_a_run_is_told_and_the_others_are_not() -> None:
    (event,) = between(row(), failing())
    assert (event.reason, event.is_warning) == (EventReason.POLL_FAILED, True)
    assert event.message == "The vendor did not answer in time; 1 in a row"
    assert between(failing(), failing(2, PollError.VENDOR_ERROR)) == []


def test_a_run_after_a_success_that_was_never_shown_is_another_run() -> None:
    again = failing(last_success_at=NOW + HOUR)
    assert reasons(between(failing(), again)) == ["PollFailed"]
    assert between(row(), failing())[0].key != between(failing(), again)[0].key


def test_the_end_of_a_run_is_told_with_its_beginning() -> None:
    (event,) = between(failing(2), row(last_success_at=NOW + HOUR))
    assert (event.reason, event.is_warning) == (EventReason.POLL_RECOVERED, False)
    assert event.message == "Polls bring readings again; they had failed since 2026-01-15T15:00:00Z (NetworkTimeout)"


def test_a_pause_for_refused_credentials_is_a_failed_poll_and_resuming_from_suspension_is_no_recovery() -> None:
    paused = row(integration=Integration.PAUSED_AUTH_ERROR, status=Status.GREY, reason=Reason.PAUSED_AUTH_ERROR, consecutive_failures=1)
    assert reasons(between(row(), paused)) == ["HealthChanged", "PollFailed"]
    suspended = row(integration=Integration.DISABLED_BY_OPERATOR, status=Status.GREY, reason=Reason.DISABLED_BY_OPERATOR)
    assert reasons(between(suspended, row())) == ["HealthChanged"]
    assert reasons(between(failing(), suspended)) == ["HealthChanged"], "a suspended plant has not recovered"


# Poll requests


def test_a_request_that_was_polled_tells_what_came_of_it() -> None:
    (event,) = between(row(), row(handled_poll_request="by ana"))
    assert event.message == 'Polled: The newest poll brought a reading (request "by ana")'
    assert not event.is_warning
    assert reasons(between(failing(), failing(2, handled_poll_request="by ana"))) == ["PollRequestHandled"]


@pytest.mark.parametrize(
    ("integration", "why"),
    [(Integration.PENDING_DOCS, "spec.vendorPlantId is not set yet"), (Integration.DISABLED_BY_OPERATOR, "spec.suspend is true")],
)
def test_a_request_of_a_plant_that_is_not_polled_says_why_nothing_was(integration: Integration, why: str) -> None:
    state: dict[str, Any] = {"integration": integration, "status": Status.GREY}
    (event,) = between(row(**state), row(**state, handled_poll_request="by ana"))
    assert event.message == f'Nothing was polled, for {why} (request "by ana")'
    assert event.is_warning


def test_the_same_request_is_told_once_and_a_request_taken_back_is_not() -> None:
    handled = row(handled_poll_request="by ana")
    assert between(handled, handled) == []
    assert between(handled, row()) == []


# Refusals

REFUSAL = Refusal(RefusalReason.INVALID_TIMEZONE, 'spec.timezone "Mars/Base" is no time zone')


def test_a_refused_plant_is_told_once() -> None:
    (event,) = rejection({}, REFUSAL, 1)
    assert event.message == 'Not monitored: spec.timezone "Mars/Base" is no time zone'
    assert event.is_warning
    assert rejection(refused_document(REFUSAL, resource(), NOW), REFUSAL, 2) == ()


def test_another_reason_is_another_refusal() -> None:
    other = Refusal(RefusalReason.DUPLICATE_VENDOR_PLANT, "Plant roof already monitors it")
    assert len(rejection(refused_document(REFUSAL, resource(), NOW), other, 1)) == 1
    assert len(rejection(shown(row()), REFUSAL, 1)) == 1


# What was told before


def test_a_status_that_somebody_else_has_written_is_nothing_to_compare_with() -> None:
    status = shown(row())
    told = Told(digest(status), ())
    assert Before.of(status, told) == Before(status, frozenset())
    assert Before.of({**status, "health": "RED"}, told) is None
    assert Before.of({}, told) is None


def test_an_object_of_which_nothing_was_told_has_said_nothing_also_where_it_was_refused() -> None:
    fault = alert(1)
    assert Before.of({}, Told(None, None)) == Before({}, frozenset())
    assert Before.of({"health": "RED"}, Told(None, None)) is None, "a first patch that was never acknowledged, or somebody else's"
    accepted_again = Before.of(refused_document(REFUSAL, resource(), NOW), Told(None, (fault.id,)))
    assert accepted_again == Before({}, frozenset({fault.id})), "its alerts were told before it was refused"


# Texts


@pytest.mark.parametrize("text", ["x" * 9999, "a\nb", "a\x00b", "a\x1b[31mb", "a\u2028b", "a\ud800b"])
def test_foreign_text_is_one_bounded_line(text: str) -> None:
    fault = alert(1, vendor_alarm_code=text, device_sn=text, message=text)
    events = between(row(), with_alerts(row(status=Status.RED, explain=(f"RED: {text}",), handled_poll_request=text), fault))
    assert len(events) == 3
    for event in events:
        assert len(event.message) <= MESSAGE_MAX
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]", event.message)
        event.message.encode()


# Properties

SEVERITIES = st.sampled_from(list(Severity))
ALERTS = st.dictionaries(st.integers(1, 30), SEVERITIES, max_size=20)
ROWS = st.builds(
    lambda status, integration, failures, success, handled, alerts: with_alerts(
        row(
            status=status,
            integration=integration,
            consecutive_failures=failures,
            last_success_at=None if success is None else NOW + success * HOUR,
            handled_poll_request=handled,
        ),
        *(alert(number, severity) for number, severity in alerts.items()),
    ),
    st.sampled_from(list(Status)),
    st.sampled_from(list(Integration)),
    st.integers(0, 3),
    st.none() | st.integers(0, 3),
    st.none() | st.text(max_size=5),
    ALERTS,
)


@given(ROWS)
def test_nothing_happens_where_nothing_changed(plant: PlantContext) -> None:
    assert between(plant, plant) == []


@given(ROWS, ROWS)
def test_every_change_makes_each_event_once_and_the_way_back_ends_what_the_way_there_opened(old: PlantContext, new: PlantContext) -> None:
    gone = resolved(*(alert for alert in old.alerts if alert.id not in {a.id for a in new.alerts}))
    there = between(old, new, ended=gone)
    assert len({(event.reason, event.key) for event in there}) == len(there)
    assert ("HealthChanged" in reasons(there)) is (old.live.status is not new.live.status)
    opened = [alert for alert in new.alerts if alert.id not in {a.id for a in old.alerts}]
    assert reasons(there).count("AlertOpened") == min(len(opened), NAMED_MAX + 1)
    assert reasons(there).count("AlertResolved") == min(len(gone), NAMED_MAX + 1)
    assert len(there) <= 2 * (NAMED_MAX + 1) + 4
    assert all(event.message and len(event.message) <= MESSAGE_MAX for event in there)
