"""Which alerts open, follow and resolve (DOMAIN 6, locked)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.alerts import judge_alarms, judge_offline, merge_alerts
from controller.domain.plant import Alert, AlertState, AlertType, LiveState
from integrations.contract import Alarm, AlarmList, Severity
from tests.unit.domain.cases import DAY, HOUR, NOON, ROOF, TICK, active, alarm, alert, listed

LOW, MEDIUM, HIGH, CRITICAL = Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL


def changed(plant_id: UUID, active: Iterable[Alert], seen: AlarmList, now: datetime) -> tuple[Alert, ...]:
    return judge_alarms(plant_id, active, seen, now).changed


def after(known: tuple[Alert, ...], *lists: AlarmList, at: datetime = NOON) -> tuple[Alert, ...]:
    """The active alerts after one alarm list after the other, a minute apart."""
    for number, seen in enumerate(lists):
        known = merge_alerts(known, changed(ROOF, known, seen, at + timedelta(minutes=number)))
    return known


@pytest.mark.rule("D6.1")
def test_an_active_alarm_opens_an_alert_of_its_severity() -> None:
    (opened,) = changed(ROOF, [], listed(alarm("1015", CRITICAL, "SN1")), NOON)
    assert (opened.type, opened.severity, opened.state) == (AlertType.MOCK_FAULT, CRITICAL, AlertState.NEW)
    assert (opened.vendor_alarm_code, opened.device_sn, opened.message) == ("1015", "SN1", "alarm 1015")
    assert (opened.opened_at, opened.last_seen_at, opened.resolved_at) == (NOON, NOON, None)


@pytest.mark.parametrize("state", [AlertState.NEW, AlertState.ACKED])
@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.rule("D6.3", "D6.16")
def test_seen_again_the_alert_follows_the_severity_and_stays_the_same_one(state: AlertState, severity: Severity) -> None:
    known = alert(severity=MEDIUM, state=state)
    (followed,) = changed(ROOF, [known], listed(alarm(severity=severity)), NOON)
    assert (followed.id, followed.state, followed.severity) == (known.id, state, severity)
    assert (followed.opened_at, followed.last_seen_at) == (known.opened_at, NOON)


@pytest.mark.parametrize("state", [AlertState.NEW, AlertState.ACKED])
@pytest.mark.parametrize(
    ("seen", "resolved"),
    [
        (listed(), True),
        (listed(complete=False), False),
        (listed(alarm(is_active=False)), True),
        (listed(alarm(is_active=False), complete=False), True),
        (listed(alarm("other"), complete=False), False),
        (listed(alarm("other")), True),
        (listed(alarm(device_sn="other")), True),
        (listed(alarm("other", is_active=False), complete=False), False),
    ],
)
@pytest.mark.rule("D6.4", "D6.19")
def test_an_alert_resolves_by_an_end_or_by_absence_from_a_complete_list(state: AlertState, seen: AlarmList, resolved: bool) -> None:
    known = alert(state=state)
    by_id = {entry.id: entry for entry in changed(ROOF, [known], seen, NOON)}
    assert (known.id in by_id) is resolved
    if resolved:
        assert (by_id[known.id].state, by_id[known.id].resolved_at) == (AlertState.RESOLVED, NOON)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.rule("D6.18")
def test_an_ended_and_an_active_record_of_one_key_are_active(order: int) -> None:
    both = [alarm(), alarm(is_active=False)][::order]
    assert [entry.state for entry in changed(ROOF, [], listed(*both), NOON)] == [AlertState.NEW]
    assert after((alert(),), listed(*both))[0].id == alert().id


@pytest.mark.rule("D6.19")
def test_an_ended_record_never_opens() -> None:
    assert changed(ROOF, [], listed(alarm(is_active=False)), NOON) == ()


@pytest.mark.parametrize("severities", [[LOW, CRITICAL, HIGH], [CRITICAL, LOW], [HIGH, HIGH, CRITICAL]])
@pytest.mark.rule("D6.17")
def test_listed_twice_it_is_one_alert_of_the_highest_severity(severities: list[Severity]) -> None:
    (opened,) = changed(ROOF, [], listed(*(alarm(severity=severity) for severity in severities)), NOON)
    assert opened.severity is CRITICAL


def test_the_order_of_severities_is_by_weight_not_by_letter() -> None:
    (opened,) = changed(ROOF, [], listed(alarm(severity=MEDIUM), alarm(severity=HIGH), alarm(severity=LOW)), NOON)
    assert opened.severity is HIGH


@pytest.mark.rule("D6.5")
def test_back_again_it_is_a_new_alert() -> None:
    (first,) = after((), listed(alarm()))
    (second,) = after((first,), listed(), listed(alarm()))
    assert second.key == first.key
    assert second.id != first.id
    assert second.opened_at > first.opened_at


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (alarm("1"), alarm("2")),
        (alarm("1", device_sn="A"), alarm("1", device_sn="B")),
        (alarm(None, device_sn="A"), alarm("1", device_sn="A")),
        (alarm(None, device_sn=None), alarm("None", device_sn="None")),
        (alarm("1|2", device_sn="3"), alarm("1", device_sn="2|3")),
    ],
)
def test_alarms_of_different_keys_are_different_alerts(one: Alarm, other: Alarm) -> None:
    opened = changed(ROOF, [], listed(one, other), NOON)
    assert len({entry.id for entry in opened}) == len({entry.key for entry in opened}) == 2


def test_missing_codes_and_serials_are_equal_to_each_other() -> None:
    bare = alarm(None, device_sn=None)
    (known,) = after((), listed(bare))
    assert [entry.id for entry in after((known,), listed(bare))] == [known.id]


def test_two_plants_with_the_same_alarm_have_alerts_of_their_own() -> None:
    other = alert().id
    (here,), (there,) = changed(ROOF, [], listed(alarm()), NOON), changed(other, [], listed(alarm()), NOON)
    assert here.id != there.id


def test_vendor_alarms_leave_our_own_alerts_alone() -> None:
    own = (alert(AlertType.OFFLINE, CRITICAL), alert(AlertType.LOW_GENERATION))
    assert changed(ROOF, own, listed(), NOON) == ()


def test_an_alarm_without_text_keeps_the_text_that_is_known() -> None:
    (followed,) = changed(ROOF, [alert(message="Grid lost")], listed(Alarm("1015", "SN1", HIGH, "", None, True)), NOON)
    assert followed.message == "Grid lost"


@pytest.mark.parametrize(
    ("live", "opens"),
    [
        (active(), False),
        (active(last_seen_at=NOON - DAY), False),
        (active(last_seen_at=NOON - DAY - TICK), True),
        (active(last_seen_at=None, active_since=NOON - DAY), False),
        (active(last_seen_at=None, active_since=NOON - DAY - TICK), True),
    ],
)
@pytest.mark.rule("D6.1")
def test_offline_opens_after_24_hours_of_silence(live: LiveState, opens: bool) -> None:
    opened = judge_offline(ROOF, [], live, NOON)
    assert [(entry.type, entry.severity, entry.vendor_alarm_code, entry.device_sn) for entry in opened] == (
        [(AlertType.OFFLINE, CRITICAL, None, None)] if opens else []
    )


@pytest.mark.parametrize("state", [AlertState.NEW, AlertState.ACKED])
@pytest.mark.parametrize(
    ("live", "resolves"),
    [
        (active(last_seen_at=NOON - DAY), True),
        (active(last_seen_at=NOON - DAY - TICK), False),
    ],
)
@pytest.mark.rule("D6.15")
def test_offline_resolves_only_by_a_report_of_the_last_24_hours(state: AlertState, live: LiveState, resolves: bool) -> None:
    (known,) = judge_offline(ROOF, [alert(AlertType.OFFLINE, CRITICAL, state=state)], live, NOON)
    assert known.state is (AlertState.RESOLVED if resolves else state)
    assert known.last_seen_at == (alert().last_seen_at if resolves else NOON), "as long as the rule holds, it is seen again"


def test_offline_does_not_resolve_where_the_plant_is_active_anew_and_still_never_seen() -> None:
    assert judge_offline(ROOF, [alert(AlertType.OFFLINE, CRITICAL)], active(last_seen_at=None, active_since=NOON), NOON) == ()


ALARMS = st.builds(alarm, st.sampled_from([None, "1", "2"]), st.sampled_from(Severity), st.sampled_from([None, "A"]), st.booleans())
LISTS = st.builds(lambda alarms, complete: listed(*alarms, complete=complete), st.lists(ALARMS, max_size=6), st.booleans())


@given(st.lists(LISTS, max_size=8))
def test_for_any_lists_at_most_one_alert_a_key_is_active_and_it_is_what_the_last_list_says(lists: list[AlarmList]) -> None:
    known = after((), *lists)
    keys = [entry.key for entry in known]
    assert len(keys) == len(set(keys))
    if not lists:
        return
    said = {(AlertType.MOCK_FAULT, entry.code, entry.device_sn) for entry in lists[-1].alarms if entry.is_active}
    assert said <= set(keys)
    if lists[-1].complete:
        assert said == set(keys)


@given(st.lists(LISTS, max_size=4), LISTS)
def test_judging_the_same_list_twice_gives_the_same_alerts(lists: list[AlarmList], seen: AlarmList) -> None:
    known = after((), *lists)
    once = changed(ROOF, known, seen, NOON + HOUR)
    assert changed(ROOF, known, seen, NOON + HOUR) == once
    assert merge_alerts(merge_alerts(known, once), changed(ROOF, merge_alerts(known, once), seen, NOON + HOUR)) == merge_alerts(known, once)
