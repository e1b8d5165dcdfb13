"""The bound of a plant's active alarms (DOMAIN 6): 500 kept, by severity, then the oldest; never a CRITICAL one dropped."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.alerts import ALARMS_MAX, judge_alarms, merge_alerts
from controller.domain.outcome import Failed, Seen
from controller.domain.plant import Alert, AlertType, PollError
from integrations.contract import Alarm, Severity
from tests.unit.domain.cases import HOUR, NOON, ROOF, active, alert, close, listed, plant, reading, sees, stored

MINUTE = timedelta(minutes=1)
LOW, MEDIUM, HIGH, CRITICAL = Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL


def storm(count: int, severity: Severity = LOW, first: int = 0) -> tuple[Alarm, ...]:
    """Alarms of a minute each, the first the newest."""
    return tuple(Alarm(str(number), None, severity, "", NOON - number * MINUTE, True) for number in range(first, first + count))


def codes(alerts: tuple[Alert, ...]) -> set[str | None]:
    return {entry.vendor_alarm_code for entry in alerts}


@pytest.mark.rule("D6.22")
def test_five_hundred_are_kept_and_the_oldest_of_equal_ones() -> None:
    assert judge_alarms(ROOF, [], listed(*storm(ALARMS_MAX)), NOON).dropped == 0
    judged = judge_alarms(ROOF, [], listed(*storm(503)), NOON)
    assert judged.dropped == 3
    assert codes(judged.changed) == {str(number) for number in range(3, 503)}


@pytest.mark.rule("D6.22")
def test_the_worst_are_kept_before_the_oldest() -> None:
    judged = judge_alarms(ROOF, [], listed(*storm(499), *storm(3, HIGH, 1000), *storm(1, MEDIUM, 2000)), NOON)
    assert judged.dropped == 3
    assert codes(judged.changed) >= {"1000", "1001", "1002", "2000"}
    assert {"0", "1", "2"}.isdisjoint(codes(judged.changed))


@pytest.mark.rule("D6.22")
def test_critical_ones_are_never_dropped() -> None:
    judged = judge_alarms(ROOF, [], listed(*storm(600, CRITICAL), *storm(5, HIGH, 1000)), NOON)
    assert judged.dropped == 5
    assert codes(judged.changed) == {str(number) for number in range(600)}


@pytest.mark.rule("D6.22")
def test_the_same_storm_again_changes_none_and_worse_ones_push_the_mildest_out() -> None:
    nameless = tuple(msgspec.structs.replace(entry, occurred_at=None) for entry in storm(503))
    known = merge_alerts((), judge_alarms(ROOF, [], listed(*nameless), NOON).changed)
    again = judge_alarms(ROOF, known, listed(*reversed(nameless)), NOON + HOUR)
    after = merge_alerts(known, again.changed)
    assert again.dropped == 3
    assert {entry.id for entry in after} == {entry.id for entry in known}
    worse = judge_alarms(ROOF, after, listed(*storm(2, CRITICAL, 1000), complete=False), NOON + 2 * HOUR)
    assert worse.dropped == 2
    assert len(merge_alerts(after, worse.changed)) == ALARMS_MAX


@pytest.mark.rule("D6.22")
def test_of_equally_old_ones_those_that_are_kept_already_stay() -> None:
    at_once = tuple(msgspec.structs.replace(entry, occurred_at=NOON) for entry in storm(501))
    known = merge_alerts((), judge_alarms(ROOF, [], listed(*at_once[1:]), NOON).changed)
    judged = judge_alarms(ROOF, known, listed(*at_once), NOON + HOUR)
    assert codes(merge_alerts(known, judged.changed)) == codes(known)


@pytest.mark.rule("D6.22")
def test_the_overflow_is_counted_and_shown_until_a_list_without_it() -> None:
    outcome = close(plant(), sees(alarms=listed(*storm(507))))
    assert (outcome.alarms_dropped, outcome.live.alarms_dropped) == (7, 7)
    assert "7 more active alarms are not kept" in outcome.live.explain[-1]
    failed = close(stored(outcome), Seen(reading(), None, PollError.VENDOR_ERROR), job=None)
    assert (failed.alarms_dropped, failed.live.alarms_dropped) == (0, 7), "a failed look-up says nothing of it"
    assert close(stored(outcome), Failed(PollError.VENDOR_ERROR)).live.alarms_dropped == 7
    assert close(stored(outcome), sees(alarms=listed())).live.alarms_dropped == 0


@pytest.mark.rule("D6.22")
def test_alerts_of_our_own_rules_take_no_place() -> None:
    own = alert(AlertType.LOW_GENERATION)
    outcome = close(plant(active(), alerts=(own,)), sees(alarms=listed(*storm(ALARMS_MAX))))
    assert outcome.alarms_dropped == 0
    assert len(stored(outcome).alerts) == ALARMS_MAX + 1


MANY = st.lists(st.tuples(st.integers(0, 700), st.sampled_from(Severity)), min_size=480, max_size=620)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(MANY, st.booleans()), min_size=1, max_size=3))
def test_for_any_storms_no_more_are_kept_save_critical_ones(storms: list[tuple[list[tuple[int, Severity]], bool]]) -> None:
    known: tuple[Alert, ...] = ()
    for number, (alarms, complete) in enumerate(storms):
        said = [Alarm(str(code), None, severity, "", NOON - code * MINUTE, True) for code, severity in alarms]
        judged = judge_alarms(ROOF, known, listed(*said, complete=complete), NOON + number * HOUR)
        known = merge_alerts(known, judged.changed)
        critical = sum(entry.severity is CRITICAL for entry in known)
        assert len(known) <= max(ALARMS_MAX, critical)
        assert {code for code, severity in alarms if severity is CRITICAL} <= {int(entry.vendor_alarm_code or 0) for entry in known}
