from typing import Any

import msgspec
import pytest

from controller.domain.plant import Reason
from controller.kubectl_plugin.explanation import ADVICE, EVENTS_SHOWN, explained, json_explanation, lines
from controller.kubectl_plugin.plants import Event, Plant
from controller.operator.conditions import ConditionReason, ConditionType
from controller.operator.resource import RefusalReason
from tests.unit.kubectl_plugin.plants import NOW, ago, alert, document, plant

A = "13d08596-2999-4861-b7df-324373078bdb"


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(hours=1)}


def text(subject: Plant, events: list[Event] | None = None, no_events: str | None = None) -> str:
    return "\n".join(line.plain for line in lines(explained(subject, events or [], no_events, NOW), NOW))


RED = plant(
    health="RED",
    reason="CriticalAlert",
    since=ago(hours=3),
    explain=["RED: an alert of severity CRITICAL is active."],
    lastPollTime=ago(minutes=2),
    lastSuccessTime=ago(minutes=32),
    nextPollTime="2026-01-15T15:08:00Z",
    consecutiveFailures=3,
    openAlerts={"total": 12, "critical": 1, "high": 0, "acked": 4},
    alerts=[alert(A, vendorAlarmCode="1015", deviceSn="SN9", message="over\x1b[31m\nvoltage")],
    conditions=[
        condition("Accepted", "True", "Accepted"),
        condition("Polled", "False", "NetworkTimeout", "no answer within 20 s"),
        condition("Producing", "Unknown", "Night"),
        condition("Healthy", "False", "CriticalAlert"),
    ],
)


def test_there_is_advice_for_every_reason_that_a_status_has() -> None:
    assert set(ADVICE) == {*Reason, *RefusalReason}


def test_a_case_as_it_is_printed() -> None:
    event = Event(reason="HealthChanged", message="from GREEN to RED", count=2, last_timestamp=ago(hours=3))
    assert text(RED, [event]).splitlines() == [
        "default/roof  SOLIS 1298  RED CriticalAlert for 3h (since 2026-01-15T12:00:00Z)",
        "",
        "Why",
        "  RED: an alert of severity CRITICAL is active.",
        "",
        "Alerts (12 active, 4 acknowledged, 1 of them shown)",
        '  CRITICAL NEW MOCK_FAULT 1015 on SN9 for 3h: "over?[31m voltage"',
        f"    id {A}",
        "",
        "Not as it should be",
        "  Polled is False, NetworkTimeout for 60m: no answer within 20 s",
        "  Healthy is False, CriticalAlert for 60m",
        "",
        "Polls",
        "  last 2m ago, last success 32m ago, failed 3 times in a row, next in 8m (2026-01-15T15:08:00Z)",
        "",
        "Events",
        "  3h ago  HealthChanged (x2): from GREEN to RED",
        "",
        "What to do",
        f"  See to the alerts above. Tell others that you do: kubectl solar ack roof -n default {A}",
    ]


@pytest.mark.parametrize(
    ("kind", "status", "reason", "shown"),
    [
        (ConditionType.ACCEPTED, "True", ConditionReason.ACCEPTED, False),
        (ConditionType.ACCEPTED, "True", ConditionReason.INTERVAL_RAISED, True),
        (ConditionType.ACCEPTED, "True", ConditionReason.ANNOTATION_IGNORED, True),
        (ConditionType.ACCEPTED, "True", ConditionReason.DAYLIGHT_NEEDS_LOCATION, True),
        (ConditionType.POLLED, "True", ConditionReason.VALUES_REFUSED, True),
        (ConditionType.POLLED, "Unknown", ConditionReason.AWAITING_FIRST_POLL, True),
        (ConditionType.PRODUCING, "Unknown", ConditionReason.NIGHT, False),
        (ConditionType.PRODUCING, "Unknown", ConditionReason.SUN_UNKNOWN, False),
        (ConditionType.PRODUCING, "False", ConditionReason.NO_POWER, True),
        (ConditionType.READY, "True", ConditionReason.MONITORED, False),
    ],
)
def test_conditions_are_shown_when_they_are_not_as_they_should_be(kind: str, status: str, reason: str, shown: bool) -> None:
    unmet = explained(plant(health="GREEN", conditions=[condition(kind, status, reason)]), [], None, NOW).unmet
    assert bool(unmet) is shown


def steps(subject: Plant) -> list[str]:
    return list(explained(subject, [], None, NOW).next_steps)


def test_a_healthy_plant_needs_nothing() -> None:
    assert steps(plant(health="GREEN", reason="Reporting", nextPollTime="2026-01-15T14:59:00Z")) == ["Nothing."]


def test_what_is_overdue_what_is_outdated_and_what_nobody_has_looked_at_is_said() -> None:
    (overdue,) = steps(plant(health="GREEN", reason="Reporting", nextPollTime="2026-01-15T14:50:00Z"))
    assert overdue.startswith("Its poll is overdue by 10m: is the worker of SOLIS running?")
    (outdated,) = steps(plant(health="GREEN", reason="Reporting", observedGeneration=2))
    assert "generation 2 of the spec, which is at 3" in outdated
    (silent,) = steps(msgspec.convert(document(), Plant))
    assert silent.startswith("The operator has not written a status yet.")


def test_nobody_is_told_to_acknowledge_what_is_acknowledged() -> None:
    acked = plant(health="RED", reason="CriticalAlert", alerts=[alert(A, state="ACKED")])
    assert steps(acked) == ["See to the alerts above; they are acknowledged."]


def test_events_are_bounded_and_what_may_not_be_read_is_said() -> None:
    many = [Event(reason="PollFailed", last_timestamp=ago(minutes=number)) for number in range(50)]
    assert len(explained(RED, many, None, NOW).events) == EVENTS_SHOWN
    assert "not shown: you may not list events" in text(RED, no_events="you may not list events")


def test_json_has_the_same_fields_for_every_plant() -> None:
    first = json_explanation(explained(RED, [], None, NOW), NOW)
    fresh = json_explanation(explained(msgspec.convert(document(), Plant), [], None, NOW), NOW)
    assert first.keys() == fresh.keys()
    assert first["alerts"][0]["vendorAlarmCode"] == "1015"
    assert [unmet["type"] for unmet in first["unmetConditions"]] == ["Polled", "Healthy"]
    assert fresh["status"] is None
