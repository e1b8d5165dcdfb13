from datetime import timedelta
from typing import Any

import pytest

from controller.domain.plant import Integration, PollError, Reason, Status, StatusPolicy
from controller.operator.conditions import ConditionReason, ConditionType, accepted_conditions, refused_conditions, tells_ignored
from controller.operator.resource import MOCK_SCENARIO, SILENCE_UNTIL, Refusal, RefusalReason
from tests.unit.operator.plants import NOW, resource, row

TWO_HOURS = timedelta(hours=2)
INVALID_TIMEZONE = Refusal(RefusalReason.INVALID_TIMEZONE, 'spec.timezone "Mars/Base" is no time zone')
NOT_ACTIVE = [integration for integration in Integration if integration is not Integration.ACTIVE]


def conditions(plant: Any = None, of: Any = None, now: Any = NOW) -> dict[str, dict[str, Any]]:
    shown = accepted_conditions(plant or row(), of or resource(), now)
    return {condition["type"]: condition for condition in shown}


def verdict(kind: str, plant: Any = None, of: Any = None) -> tuple[str, str]:
    condition = conditions(plant, of)[kind]
    return condition["status"], condition["reason"]


def not_active(integration: Integration, **live: Any) -> Any:
    reason = {
        Integration.PENDING_DOCS: Reason.PENDING_DOCS,
        Integration.DISABLED_BY_OPERATOR: Reason.DISABLED_BY_OPERATOR,
        Integration.PAUSED_AUTH_ERROR: Reason.PAUSED_AUTH_ERROR,
    }[integration]
    return row(integration=integration, status=Status.GREY, reason=reason, **live)


def test_a_plant_has_each_condition_once_and_each_speaks_of_the_generation_in_force() -> None:
    shown = accepted_conditions(row(), resource(generation=4), NOW)
    assert [condition["type"] for condition in shown] == list(ConditionType)
    assert {condition["observedGeneration"] for condition in shown} == {3}


def test_a_healthy_plant_is_true_throughout() -> None:
    assert {condition["status"] for condition in conditions().values()} == {"True"}


def test_every_reason_and_message_is_one_the_definition_takes() -> None:
    for kind in conditions().values():
        assert kind["reason"].isalpha()
        assert 0 < len(kind["message"]) <= 1024


# Accepted


def test_accepted_is_true_without_remark() -> None:
    assert verdict("Accepted") == ("True", "Accepted")


@pytest.mark.rule("D2.1")
def test_a_raised_interval_is_shown() -> None:
    raised = conditions(row(declared={"poll_interval_s": 300}), resource(pollInterval="90s"))["Accepted"]
    assert (raised["status"], raised["reason"]) == ("True", "IntervalRaised")
    assert "every 5m instead of every 90s" in raised["message"]


def test_an_interval_that_was_only_rounded_up_is_not_raised() -> None:
    assert verdict("Accepted", row(declared={"poll_interval_s": 91}), resource(pollInterval="90.5s")) == ("True", "Accepted")


def test_an_object_that_moved_on_to_a_bad_interval_does_not_break_the_status_of_its_row() -> None:
    assert verdict("Accepted", row(), resource(pollInterval="soon")) == ("True", "Accepted")


@pytest.mark.rule("D5.12")
def test_daylight_without_a_location_says_that_it_acts_as_strict() -> None:
    plant = row(declared={"status_policy": StatusPolicy.DAYLIGHT, "latitude": None, "longitude": None})
    assert verdict("Accepted", plant) == ("True", "DaylightNeedsLocation")


def test_daylight_with_a_location_needs_no_remark() -> None:
    assert verdict("Accepted", row(declared={"status_policy": StatusPolicy.DAYLIGHT})) == ("True", "Accepted")


def test_an_ignored_annotation_is_shown_behind_weightier_remarks() -> None:
    odd = {MOCK_SCENARIO: "../x"}
    assert verdict("Accepted", of=resource(annotations=odd)) == ("True", "AnnotationIgnored")
    both = conditions(row(declared={"poll_interval_s": 900}), resource(annotations=odd))["Accepted"]
    assert both["reason"] == "IntervalRaised"
    assert "mock-scenario" in both["message"]


def test_whether_the_ignored_annotations_are_told_is_seen_from_the_object() -> None:
    odd = {MOCK_SCENARIO: "../x"}
    told = {"conditions": [conditions(of=resource(annotations=odd))["Accepted"]]}
    assert not tells_ignored(resource(annotations=odd))
    assert tells_ignored(resource(annotations=odd, status=told))
    assert not tells_ignored(resource(status=told))
    assert not tells_ignored(resource(annotations=odd | {SILENCE_UNTIL: "tomorrow"}, status=told))
    assert tells_ignored(resource())


# Polled


def test_polled_is_unknown_until_a_first_poll_has_ended() -> None:
    assert verdict("Polled", row(last_success_at=None, last_poll_at=None)) == ("Unknown", "AwaitingFirstPoll")


@pytest.mark.parametrize("error", [error for error in PollError if not error.is_ours])
def test_a_failed_poll_names_its_error(error: PollError) -> None:
    status, reason = verdict("Polled", row(last_error=error, consecutive_failures=2))
    assert status == "False"
    assert reason == error.value.title().replace("_", "")
    assert ConditionReason(reason)


def test_a_success_with_a_failed_alarm_lookup_is_polled() -> None:
    assert verdict("Polled", row(last_error=PollError.VENDOR_ERROR)) == ("True", "PollSucceeded")


def test_a_pause_for_authentication_is_a_failed_poll() -> None:
    assert verdict("Polled", not_active(Integration.PAUSED_AUTH_ERROR)) == ("False", "AuthFailed")


# DataFresh, Producing


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (TWO_HOURS, ("True", "SeenRecently")),
        (TWO_HOURS + timedelta(microseconds=1), ("False", "NotSeenRecently")),
        (-timedelta(seconds=1), ("True", "SeenRecently")),
    ],
)
def test_data_are_fresh_up_to_exactly_two_hours(age: timedelta, expected: tuple[str, str]) -> None:
    assert verdict("DataFresh", row(last_seen_at=NOW - age)) == expected


def test_by_daylight_data_stay_fresh_over_the_night() -> None:
    """Seen an hour before sunset (19:00 in São Paulo), at 03:00: an hour of the two is left."""
    plant = row(declared={"status_policy": StatusPolicy.DAYLIGHT}, last_seen_at=NOW - timedelta(hours=18))
    night = conditions(plant, now=NOW - timedelta(hours=9))["DataFresh"]
    assert (night["status"], night["reason"]) == ("True", "SeenRecently")
    assert verdict("DataFresh", plant) == ("False", "NotSeenRecently")


def test_a_poll_whose_values_were_refused_says_which() -> None:
    polled = conditions(row(refused=("current_power_w",)))["Polled"]
    assert (polled["status"], polled["reason"]) == ("True", "ValuesRefused")
    assert "current_power_w" in polled["message"]


def test_data_of_a_plant_never_seen_are_unknown_until_its_day_of_grace_is_over() -> None:
    waiting: dict[str, Any] = {"last_seen_at": None, "current_power_w": None}
    assert verdict("DataFresh", row(status=Status.GREY, reason=Reason.AWAITING_FIRST_READING, **waiting)) == ("Unknown", "NeverSeen")
    assert verdict("DataFresh", row(status=Status.RED, reason=Reason.NEVER_SEEN, **waiting)) == ("False", "NeverSeen")


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        ({"current_power_w": 0.1}, ("True", "PowerAboveZero")),
        ({"current_power_w": 0.0}, ("False", "NoPower")),
        ({"current_power_w": 0.0, "declared": {"latitude": None}}, ("Unknown", "SunUnknown")),
        # At 05:00 at the plant: dark, whatever the sun does by now.
        ({"current_power_w": 0.0, "sampled_at": NOW - timedelta(hours=7)}, ("Unknown", "Night")),
        ({"current_power_w": None}, ("Unknown", "PowerUnknown")),
        ({"last_seen_at": NOW - TWO_HOURS * 2}, ("Unknown", "DataStale")),
    ],
)
def test_producing_is_power_above_zero_and_unknown_without(live: dict[str, Any], expected: tuple[str, str]) -> None:
    assert verdict("Producing", row(**live)) == expected


@pytest.mark.parametrize("integration", NOT_ACTIVE)
@pytest.mark.parametrize("kind", ["DataFresh", "Producing", "Healthy"])
def test_nothing_is_known_of_a_plant_that_is_not_judged(kind: str, integration: Integration) -> None:
    assert verdict(kind, not_active(integration))[0] == "Unknown"


# Healthy, Ready


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (Status.GREEN, Reason.REPORTING, "True"),
        (Status.YELLOW, Reason.STALE, "False"),
        (Status.RED, Reason.CRITICAL_ALERT, "False"),
        (Status.GREY, Reason.AWAITING_FIRST_READING, "Unknown"),
    ],
)
def test_healthy_is_the_status_with_its_reason(status: Status, reason: Reason, expected: str) -> None:
    assert verdict("Healthy", row(status=status, reason=reason)) == (expected, reason.value)


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (row(), ("True", "Monitored")),
        (row(status=Status.RED, reason=Reason.OFFLINE), ("True", "Monitored")),
        (row(polled_generation=2), ("Unknown", "AwaitingFirstPoll")),
        (row(polled_generation=0, last_success_at=None), ("Unknown", "AwaitingFirstPoll")),
        (not_active(Integration.DISABLED_BY_OPERATOR, polled_generation=0), ("True", "Suspended")),
        (not_active(Integration.PENDING_DOCS), ("False", "PendingDocs")),
        (not_active(Integration.PAUSED_AUTH_ERROR), ("False", "PausedAuthError")),
    ],
)
def test_ready_says_that_the_declaration_works_not_that_the_sun_shines(plant: Any, expected: tuple[str, str]) -> None:
    assert verdict("Ready", plant) == expected


# Refused


def test_a_refused_plant_is_neither_accepted_nor_ready_and_nothing_else_is_known() -> None:
    refused = {condition["type"]: condition for condition in refused_conditions(INVALID_TIMEZONE, resource(generation=5), NOW)}
    assert list(refused) == list(ConditionType)
    assert {condition["observedGeneration"] for condition in refused.values()} == {5}
    for kind in ("Accepted", "Ready"):
        assert (refused[kind]["status"], refused[kind]["reason"]) == ("False", "InvalidTimezone")
        assert "Mars/Base" in refused[kind]["message"]
    assert {refused[kind]["status"] for kind in ("Polled", "DataFresh", "Producing", "Healthy")} == {"Unknown"}


def test_a_long_message_is_cut_to_what_the_definition_takes() -> None:
    long = Refusal(RefusalReason.INVALID_TIMEZONE, "x" * 9999)
    assert max(len(condition["message"]) for condition in refused_conditions(long, resource(), NOW)) == 1024


# When


def test_a_transition_time_moves_only_with_the_status() -> None:
    earlier = accepted_conditions(row(), resource(), NOW)
    later = NOW + timedelta(hours=1)
    shown = resource(status={"conditions": earlier})
    stale = row(status=Status.YELLOW, reason=Reason.STALE, last_seen_at=NOW - TWO_HOURS, last_error=PollError.VENDOR_ERROR)
    now = conditions(stale, shown, later)
    moved = {kind for kind, condition in now.items() if condition["lastTransitionTime"] == "2026-01-15T16:00:00Z"}
    assert moved == {"DataFresh", "Healthy", "Producing"}
    assert {condition["lastTransitionTime"] for kind, condition in now.items() if kind not in moved} == {"2026-01-15T15:00:00Z"}


def test_the_same_state_gives_the_same_conditions_however_often_it_is_shown() -> None:
    shown = accepted_conditions(row(), resource(), NOW)
    again = accepted_conditions(row(), resource(status={"conditions": shown}), NOW + timedelta(minutes=10))
    assert again == shown


@pytest.mark.parametrize(
    "present", [None, "x", {}, [None], ["x"], [{"type": "Ready"}], [{"type": "Ready", "status": "True", "lastTransitionTime": 5}]]
)
def test_conditions_written_by_hand_count_as_absent(present: Any) -> None:
    ready = conditions(of=resource(status={"conditions": present}))["Ready"]
    assert ready["lastTransitionTime"] == "2026-01-15T15:00:00Z"
