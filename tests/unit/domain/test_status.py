"""The status of a plant (DOMAIN 5, locked), rule by rule and to the microsecond."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.plant import Alert, AlertState, AlertType, Integration, LiveState, Reason, Status
from controller.domain.status import decide_status
from integrations.contract import Severity
from tests.unit.domain.cases import DAY, HOUR, NOON, TICK, active, alert

CRITICAL = alert(severity=Severity.CRITICAL)
LOW = alert(AlertType.LOW_GENERATION, Severity.HIGH)
GREEN, YELLOW, RED, GREY = Status.GREEN, Status.YELLOW, Status.RED, Status.GREY


@pytest.mark.parametrize(
    ("silence", "status", "reason", "next_change"),
    [
        (timedelta(0), GREEN, Reason.REPORTING, 2 * HOUR),
        (2 * HOUR - TICK, GREEN, Reason.REPORTING, 2 * HOUR),
        (2 * HOUR, GREEN, Reason.REPORTING, 2 * HOUR),
        (2 * HOUR + TICK, YELLOW, Reason.STALE, DAY),
        (DAY, YELLOW, Reason.STALE, DAY),
        (DAY + TICK, RED, Reason.OFFLINE, None),
        (90 * DAY, RED, Reason.OFFLINE, None),
    ],
)
@pytest.mark.rule("D5.3", "D5.4", "D5.5", "D5.6")
def test_the_status_follows_the_silence(silence: timedelta, status: Status, reason: Reason, next_change: timedelta | None) -> None:
    decision = decide_status(active(), [], NOON + silence)
    assert (decision.status, decision.reason) == (status, reason)
    assert decision.next_change == (None if next_change is None else NOON + next_change)


@pytest.mark.parametrize(
    ("alerts", "silence", "status", "reason"),
    [
        ([CRITICAL], timedelta(0), RED, Reason.CRITICAL_ALERT),
        ([CRITICAL], 3 * HOUR, RED, Reason.CRITICAL_ALERT),
        ([CRITICAL], DAY + TICK, RED, Reason.OFFLINE),
        ([LOW], timedelta(0), YELLOW, Reason.LOW_GENERATION),
        ([LOW], 3 * HOUR, YELLOW, Reason.STALE),
        ([LOW, CRITICAL], timedelta(0), RED, Reason.CRITICAL_ALERT),
        ([alert(severity=Severity.HIGH)], timedelta(0), GREEN, Reason.REPORTING),
    ],
)
@pytest.mark.rule("D5.3", "D5.4", "D5.5")
def test_the_worst_rule_that_holds_gives_the_status(alerts: list[Alert], silence: timedelta, status: Status, reason: Reason) -> None:
    decision = decide_status(active(), alerts, NOON + silence)
    assert (decision.status, decision.reason) == (status, reason)


@pytest.mark.parametrize(("state", "status"), [(AlertState.NEW, RED), (AlertState.ACKED, RED), (AlertState.RESOLVED, GREEN)])
def test_acknowledging_a_critical_alert_keeps_the_plant_red_until_it_is_resolved(state: AlertState, status: Status) -> None:
    assert decide_status(active(), [alert(severity=Severity.CRITICAL, state=state)], NOON).status is status


@pytest.mark.parametrize(
    ("integration", "reason"),
    [
        (Integration.PENDING_DOCS, Reason.PENDING_DOCS),
        (Integration.DISABLED_BY_OPERATOR, Reason.DISABLED_BY_OPERATOR),
        (Integration.PAUSED_AUTH_ERROR, Reason.PAUSED_AUTH_ERROR),
    ],
)
@pytest.mark.rule("D5.1")
def test_a_plant_that_is_not_active_is_grey_whatever_else_holds(integration: Integration, reason: Reason) -> None:
    for silence in (timedelta(0), 3 * HOUR, 3 * DAY):
        decision = decide_status(active(integration=integration), [CRITICAL], NOON + silence)
        assert (decision.status, decision.reason, decision.next_change) == (GREY, reason, None)


@pytest.mark.parametrize(
    ("waiting", "status", "reason", "next_change"),
    [
        (timedelta(0), GREY, Reason.AWAITING_FIRST_READING, DAY),
        (DAY, GREY, Reason.AWAITING_FIRST_READING, DAY),
        (DAY + TICK, RED, Reason.NEVER_SEEN, None),
    ],
)
@pytest.mark.rule("D5.2")
def test_a_plant_never_seen_is_grey_for_a_day_and_then_red(
    waiting: timedelta, status: Status, reason: Reason, next_change: timedelta | None
) -> None:
    decision = decide_status(active(last_seen_at=None, active_since=NOON), [], NOON + waiting)
    assert (decision.status, decision.reason) == (status, reason)
    assert decision.next_change == (None if next_change is None else NOON + next_change)


LIVES = st.builds(
    lambda integration, seen, since: LiveState(
        integration=integration,
        last_seen_at=None if seen is None else NOON - timedelta(seconds=seen),
        active_since=NOON - timedelta(seconds=since),
    ),
    st.sampled_from(Integration),
    st.none() | st.integers(0, 200_000),
    st.integers(0, 200_000),
)
ALERTS = st.lists(st.sampled_from([CRITICAL, LOW, alert()]), max_size=3)


@given(LIVES, ALERTS, st.integers(0, 200_000))
def test_between_now_and_the_next_change_the_status_stays(live: LiveState, alerts: list[Alert], ahead: int) -> None:
    decision = decide_status(live, alerts, NOON)
    later: datetime = NOON + timedelta(seconds=ahead)
    if decision.next_change is None or later <= decision.next_change:
        assert decide_status(live, alerts, later).status is decision.status


@given(LIVES)
def test_without_alerts_the_status_does_change_right_after_the_next_change(live: LiveState) -> None:
    decision = decide_status(live, [], NOON)
    if decision.next_change is not None:
        assert decision.next_change >= NOON
        assert decide_status(live, [], decision.next_change).status is decision.status
        assert decide_status(live, [], decision.next_change + TICK).status is not decision.status


@given(LIVES, ALERTS, st.integers(0, 200_000))
def test_time_alone_never_heals(live: LiveState, alerts: list[Alert], ahead: int) -> None:
    rank = [GREY, GREEN, YELLOW, RED]
    now, later = decide_status(live, alerts, NOON), decide_status(live, alerts, NOON + timedelta(seconds=ahead))
    assert rank.index(later.status) >= rank.index(now.status)
