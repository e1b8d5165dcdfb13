"""Replay tells what DOMAIN 5 and 6 say, to the microsecond. Every expectation is derived from the page by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.tools.lives import CREATED, DAY, HOUR, MINUTE, TICK, alarm, days, failed, kept, seen, told

NOON = CREATED
GREEN = "03-10T12:00 GREY>GREEN Reporting"


# Status by time alone


@pytest.mark.rule("D5.3", "D5.4", "D9.7")
def test_a_silent_plant_turns_yellow_after_2_h_and_red_after_24_h_at_the_very_boundaries() -> None:
    assert told([seen(NOON)], NOON + 3 * DAY) == [
        GREEN,
        "03-10T14:00 GREEN>YELLOW Stale",
        "03-11T12:00 opened OFFLINE CRITICAL",
        "03-11T12:00 YELLOW>RED Offline",
    ]


@pytest.mark.parametrize(("limit", "last"), [(2 * HOUR, GREEN), (24 * HOUR, "03-10T14:00 GREEN>YELLOW Stale")])
@pytest.mark.rule("D5.6")
def test_at_exactly_the_limit_the_plant_has_not_changed_yet(limit: timedelta, last: str) -> None:
    assert told([seen(NOON)], NOON + limit)[-1] == last
    assert told([seen(NOON)], NOON + limit + TICK)[-1] != last


@pytest.mark.parametrize("limit", [2 * HOUR, 24 * HOUR])
@pytest.mark.rule("D9.8")
def test_a_poll_at_the_very_boundary_comes_first(limit: timedelta) -> None:
    before = told([seen(NOON)], NOON + limit)
    again = told([seen(NOON), seen(NOON + limit)], NOON + limit + TICK)
    assert again == (before if limit == 2 * HOUR else [*before, "03-11T12:00 YELLOW>GREEN Reporting"])


def test_a_poll_a_microsecond_after_the_boundary_comes_second() -> None:
    assert told([seen(NOON), seen(NOON + 2 * HOUR + TICK)], NOON + 3 * HOUR) == [
        GREEN,
        "03-10T14:00 GREEN>YELLOW Stale",
        "03-10T14:00:00.000001 YELLOW>GREEN Reporting",
    ]


def test_a_failed_poll_at_the_boundary_keeps_the_boundary() -> None:
    assert told([seen(NOON), failed(NOON + 2 * HOUR)], NOON + 3 * HOUR) == [GREEN, "03-10T14:00 GREEN>YELLOW Stale"]


def test_the_limits_count_from_the_report_not_from_the_poll() -> None:
    late = NOON + 30 * MINUTE
    assert told([seen(late, NOON)], NOON + 3 * HOUR) == ["03-10T12:30 GREY>GREEN Reporting", "03-10T14:00 GREEN>YELLOW Stale"]


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (2 * HOUR, ["03-10T12:00 GREY>GREEN Reporting"]),
        (2 * HOUR + TICK, ["03-10T12:00 GREY>YELLOW Stale"]),
        (24 * HOUR, ["03-10T12:00 GREY>YELLOW Stale"]),
        (24 * HOUR + TICK, ["03-10T12:00 opened OFFLINE CRITICAL", "03-10T12:00 GREY>RED Offline"]),
    ],
)
@pytest.mark.rule("D5.6", "D5.7")
def test_a_report_that_is_old_already_is_judged_at_once(age: timedelta, expected: list[str]) -> None:
    assert told([seen(NOON, NOON - age)], NOON) == expected


@pytest.mark.rule("D3.8")
def test_a_report_never_goes_back() -> None:
    assert told([seen(NOON), seen(NOON + HOUR, NOON - 10 * HOUR)], NOON + 3 * HOUR) == [GREEN, "03-10T14:00 GREEN>YELLOW Stale"]


@pytest.mark.rule("D3.9")
def test_a_fresh_sample_is_no_sign_of_life() -> None:
    lines = [seen(NOON), seen(NOON + HOUR, NOON + HOUR, last_seen_at=None, current_power_w=1.0)]
    assert told(lines, NOON + 3 * HOUR) == [GREEN, "03-10T14:00 GREEN>YELLOW Stale"]


@pytest.mark.rule("D3.6", "D3.7")
def test_a_report_up_to_5_minutes_ahead_is_taken_as_the_polls_instant() -> None:
    assert told([seen(NOON, NOON + 5 * MINUTE)], NOON + 3 * HOUR) == [GREEN, "03-10T14:00 GREEN>YELLOW Stale"]
    assert told([seen(NOON, NOON + 5 * MINUTE + TICK)], NOON + 3 * HOUR) == []


@pytest.mark.rule("D5.14")
def test_the_locked_rule_is_the_default_also_at_night_where_the_location_is_known() -> None:
    """On the equator at 0 degrees the sun is down from about 18:10 to 06:00 UTC."""
    location = {"latitude": 0.0, "longitude": 0.0}
    lines = [seen(NOON), seen(NOON + 6 * HOUR)]
    expected = [GREEN, "03-10T14:00 GREEN>YELLOW Stale", "03-10T18:00 YELLOW>GREEN Reporting", "03-10T20:00 GREEN>YELLOW Stale"]
    assert told(lines, NOON + 9 * HOUR, location=location) == expected
    assert told(lines, NOON + 9 * HOUR, location=location, statusPolicy="Strict") == expected


# Never seen


@pytest.mark.rule("D5.2", "D6.14")
def test_a_plant_never_seen_is_grey_for_24_h_and_then_red() -> None:
    lines = [failed(NOON + HOUR), failed(NOON + 30 * HOUR)]
    expected = ["03-11T12:00 opened OFFLINE CRITICAL", "03-11T12:00 GREY>RED NeverSeen"]
    assert told(lines, NOON + 2 * DAY) == expected
    assert told([], NOON + 2 * DAY) == expected
    assert told([], NOON + DAY) == []


@pytest.mark.rule("D6.15")
def test_offline_resolves_only_by_a_report_at_most_24_h_old() -> None:
    lines = [seen(NOON + 30 * HOUR, NOON + 6 * HOUR - TICK), seen(NOON + 31 * HOUR, NOON + 7 * HOUR)]
    assert told(lines, NOON + 31 * HOUR) == [
        "03-11T12:00 opened OFFLINE CRITICAL",
        "03-11T12:00 GREY>RED NeverSeen",
        "03-11T19:00 resolved OFFLINE CRITICAL",
        "03-11T19:00 RED>YELLOW Stale",
    ]


# Plants that are not ACTIVE


@pytest.mark.rule("D2.13", "D5.1", "D5.9", "D9.5")
def test_refused_credentials_pause_the_plant_and_nothing_is_judged_meanwhile() -> None:
    lines = [seen(NOON), failed(NOON + HOUR, "AUTH_FAILED"), days(NOON + 12 * HOUR, "2026-03-10", d0310=5.0)]
    assert told(lines, NOON + 3 * DAY) == [GREEN, "03-10T13:00 GREEN>GREY PausedAuthError"]
    assert kept(lines, NOON + 3 * DAY) == {}


@pytest.mark.rule("D5.11")
def test_a_trial_that_is_refused_again_does_not_flicker() -> None:
    lines = [seen(NOON), failed(NOON + HOUR, "AUTH_FAILED"), failed(NOON + 2 * HOUR, "AUTH_FAILED")]
    assert told(lines, NOON + 3 * DAY) == [GREEN, "03-10T13:00 GREEN>GREY PausedAuthError"]


@pytest.mark.rule("D5.9", "D5.11", "D9.5")
def test_a_trial_lifts_the_pause_whatever_else_it_brings_and_all_is_judged_at_once() -> None:
    lines = [seen(NOON), failed(NOON + HOUR, "AUTH_FAILED"), failed(NOON + 30 * HOUR, "VENDOR_ERROR")]
    assert told(lines, NOON + 3 * DAY) == [
        GREEN,
        "03-10T13:00 GREEN>GREY PausedAuthError",
        "03-11T18:00 opened OFFLINE CRITICAL",
        "03-11T18:00 GREY>RED Offline",
    ]


def test_the_24_h_of_a_plant_never_seen_count_from_its_return() -> None:
    lines = [failed(NOON + HOUR, "AUTH_FAILED"), failed(NOON + 10 * HOUR)]
    assert told(lines, NOON + 3 * DAY) == ["03-11T22:00 opened OFFLINE CRITICAL", "03-11T22:00 GREY>RED NeverSeen"]


def test_alerts_outlive_a_pause_untouched() -> None:
    lines = [seen(NOON, alarms=[alarm()]), failed(NOON + HOUR, "AUTH_FAILED"), seen(NOON + 2 * HOUR)]
    assert told(lines, NOON + 2 * HOUR) == [
        "03-10T12:00 opened MOCK_FAULT HIGH 1015 SN",
        GREEN,
        "03-10T13:00 GREEN>GREY PausedAuthError",
        "03-10T14:00 resolved MOCK_FAULT HIGH 1015 SN",
        "03-10T14:00 GREY>GREEN Reporting",
    ]


@pytest.mark.parametrize("declared", [{"vendorPlantId": None}, {"suspend": True}])
@pytest.mark.rule("D5.1", "D5.9")
def test_a_plant_that_is_not_to_be_polled_stays_grey(declared: dict[str, object]) -> None:
    lines = [seen(NOON, today_energy_kwh=1.0), days(NOON + HOUR, "2026-03-10", d0310=5.0)]
    assert told(lines, NOON + 3 * DAY, **declared) == []
    assert kept(lines, NOON + 3 * DAY, **declared) == {}


@pytest.mark.rule("D2.17")
def test_a_failed_alarm_lookup_may_pause_the_plant_too() -> None:
    line = seen(NOON, alarms=None).replace('"SUCCESS"', '"SUCCESS", "error_type": "AUTH_FAILED"')
    assert told([line], NOON + 3 * HOUR) == []
    assert told([seen(NOON, alarms=None)], NOON + HOUR) == [GREEN]


# Alarms


@pytest.mark.rule("D5.3", "D5.5")
def test_a_critical_alarm_is_red_and_its_end_green() -> None:
    lines = [seen(NOON, alarms=[alarm(severity="CRITICAL")]), seen(NOON + HOUR)]
    assert told(lines, NOON + HOUR) == [
        "03-10T12:00 opened MOCK_FAULT CRITICAL 1015 SN",
        "03-10T12:00 GREY>RED CriticalAlert",
        "03-10T13:00 resolved MOCK_FAULT CRITICAL 1015 SN",
        "03-10T13:00 RED>GREEN Reporting",
    ]


def test_an_alarm_below_critical_leaves_the_status() -> None:
    assert told([seen(NOON, alarms=[alarm()])], NOON) == ["03-10T12:00 opened MOCK_FAULT HIGH 1015 SN", GREEN]


@pytest.mark.rule("D6.4")
def test_absence_resolves_only_from_a_complete_list() -> None:
    lines = [seen(NOON, alarms=[alarm()]), seen(NOON + HOUR, complete=False), seen(NOON + 2 * HOUR)]
    assert told(lines, NOON + 2 * HOUR)[2:] == ["03-10T14:00 resolved MOCK_FAULT HIGH 1015 SN"]


@pytest.mark.rule("D6.20", "D6.25")
def test_a_failed_lookup_and_a_failed_poll_resolve_nothing() -> None:
    lines = [seen(NOON, alarms=[alarm()]), seen(NOON + HOUR, alarms=None), failed(NOON + 90 * MINUTE)]
    assert len(told(lines, NOON + 90 * MINUTE)) == 2


@pytest.mark.rule("D6.19")
def test_an_ended_record_resolves_also_in_an_incomplete_list_and_never_opens() -> None:
    ended = alarm(is_active=False)
    lines = [seen(NOON, alarms=[ended]), seen(NOON + HOUR, alarms=[alarm()]), seen(NOON + 2 * HOUR, alarms=[ended], complete=False)]
    assert told(lines, NOON + 2 * HOUR)[1:] == [
        "03-10T13:00 opened MOCK_FAULT HIGH 1015 SN",
        "03-10T14:00 resolved MOCK_FAULT HIGH 1015 SN",
    ]


@pytest.mark.rule("D6.18")
def test_an_ended_and_an_active_record_of_one_key_are_active() -> None:
    lines = [seen(NOON, alarms=[alarm(), alarm(is_active=False)]), seen(NOON + HOUR, alarms=[alarm(is_active=False), alarm()])]
    assert told(lines, NOON + HOUR) == ["03-10T12:00 opened MOCK_FAULT HIGH 1015 SN", GREEN]


@pytest.mark.rule("D6.17")
def test_listed_twice_is_one_alert_of_the_highest_severity() -> None:
    listed = [alarm(severity="LOW"), alarm(severity="CRITICAL"), alarm(severity="MEDIUM")]
    assert told([seen(NOON, alarms=listed)], NOON) == [
        "03-10T12:00 opened MOCK_FAULT CRITICAL 1015 SN",
        "03-10T12:00 GREY>RED CriticalAlert",
    ]


@pytest.mark.rule("D6.2")
def test_the_key_tells_code_and_device_apart_and_takes_empty_for_none() -> None:
    listed = [alarm("1"), alarm("1", device_sn="B"), alarm("2"), alarm(None, device_sn=None), alarm("", device_sn="")]
    assert told([seen(NOON, alarms=listed)], NOON)[:-1] == [
        "03-10T12:00 opened MOCK_FAULT HIGH",
        "03-10T12:00 opened MOCK_FAULT HIGH 1 B",
        "03-10T12:00 opened MOCK_FAULT HIGH 1 SN",
        "03-10T12:00 opened MOCK_FAULT HIGH 2 SN",
    ]


@pytest.mark.rule("D6.16")
def test_a_severity_that_changes_moves_the_status_and_opens_nothing() -> None:
    severities = ["HIGH", "CRITICAL", "LOW"]
    lines = [seen(NOON + n * HOUR, alarms=[alarm(severity=severity)]) for n, severity in enumerate(severities)]
    assert told(lines, NOON + 2 * HOUR) == [
        "03-10T12:00 opened MOCK_FAULT HIGH 1015 SN",
        GREEN,
        "03-10T13:00 GREEN>RED CriticalAlert",
        "03-10T14:00 RED>GREEN Reporting",
    ]


@pytest.mark.rule("D6.5")
def test_back_again_is_a_new_alert() -> None:
    lines = [seen(NOON, alarms=[alarm()]), seen(NOON + HOUR), seen(NOON + 2 * HOUR, alarms=[alarm()])]
    assert [line.split(" ")[1] for line in told(lines, NOON + 2 * HOUR)] == ["opened", "GREY>GREEN", "resolved", "opened"]


def test_a_silent_plant_with_a_critical_alarm_stays_red_when_offline_resolves() -> None:
    lines = [seen(NOON), seen(NOON + 25 * HOUR, alarms=[alarm(severity="CRITICAL")])]
    assert told(lines, NOON + 25 * HOUR)[2:] == [
        "03-11T12:00 opened OFFLINE CRITICAL",
        "03-11T12:00 YELLOW>RED Offline",
        "03-11T13:00 resolved OFFLINE CRITICAL",
        "03-11T13:00 opened MOCK_FAULT CRITICAL 1015 SN",
    ]


# One instant is told as one


@pytest.mark.rule("D9.8")
def test_within_an_instant_alerts_resolve_then_open_then_the_net_change_of_status_is_told() -> None:
    at = NOON + 2 * HOUR
    lines = [
        seen(NOON, alarms=[alarm("1", "CRITICAL")]),
        seen(at, NOON, alarms=[alarm("2", "CRITICAL")]),
        seen(at, NOON, alarms=[alarm("3")]),
    ]
    # The poll at 14:00 ends the only critical alarm, and at 14:00 the plant has been silent for 2 h.
    assert told(lines, at + HOUR) == [
        "03-10T12:00 opened MOCK_FAULT CRITICAL 1 SN",
        "03-10T12:00 GREY>RED CriticalAlert",
        "03-10T14:00 resolved MOCK_FAULT CRITICAL 1 SN",
        "03-10T14:00 opened MOCK_FAULT HIGH 3 SN",
        "03-10T14:00 RED>YELLOW Stale",
    ]


@pytest.mark.rule("D9.8")
def test_a_status_that_comes_back_within_the_instant_is_not_told() -> None:
    lines = [seen(NOON), failed(NOON + HOUR, "AUTH_FAILED"), seen(NOON + HOUR)]
    assert told(lines, NOON + HOUR) == [GREEN]


# Days


@pytest.mark.rule("D4.2")
def test_the_day_is_the_local_day_of_the_sample() -> None:
    # 02:30 UTC is 23:30 of the day before in Sao Paulo (UTC-3), polled after local midnight.
    polled = datetime(2026, 3, 11, 3, 10, tzinfo=UTC)
    late = seen(polled, polled - 40 * MINUTE, today_energy_kwh=9.0, current_power_w=5.0)
    assert kept([late, seen(polled + HOUR, today_energy_kwh=0.5)], polled + HOUR, timezone="America/Sao_Paulo") == {
        "2026-03-10": (9.0, 5.0, False),
        "2026-03-11": (0.5, None, False),
    }


@pytest.mark.rule("D4.3", "D4.6", "D4.8")
def test_energy_only_rises_and_the_peak_is_the_days_maximum() -> None:
    values = [(1.0, 100.0), (5.0, 900.0), (4.0, 300.0), (None, 2000.0)]
    lines = [seen(NOON + n * MINUTE, today_energy_kwh=kwh, current_power_w=watts) for n, (kwh, watts) in enumerate(values)]
    assert kept(lines, NOON + HOUR) == {"2026-03-10": (5.0, 2000.0, False)}


@pytest.mark.rule("D4.8", "D4.9")
def test_a_late_reset_is_replaced_by_the_first_lower_value_and_an_early_one_lowers_nothing() -> None:
    midnight = datetime(2026, 3, 11, tzinfo=UTC)
    instants = [midnight - HOUR, midnight - MINUTE, midnight + MINUTE, midnight + HOUR, midnight + 2 * HOUR]
    lines = [seen(at, today_energy_kwh=kwh) for at, kwh in zip(instants, [31.2, 0.0, 31.2, 0.0, 0.4], strict=True)]
    assert kept(lines, midnight + DAY) == {"2026-03-10": (31.2, None, False), "2026-03-11": (0.4, None, False)}


@pytest.mark.rule("D4.6")
def test_without_energy_there_is_no_row() -> None:
    assert kept([seen(NOON, current_power_w=100.0)], NOON) == {}


@pytest.mark.rule("D4.7")
def test_samples_older_than_d_minus_3_are_ignored() -> None:
    lines = [seen(NOON + n * MINUTE, NOON - age * DAY, today_energy_kwh=float(age)) for n, age in enumerate([4, 3, 1])]
    assert kept(lines, NOON + DAY) == {"2026-03-07": (3.0, None, False), "2026-03-09": (1.0, None, False)}


@pytest.mark.rule("D4.10", "D4.11", "D4.12")
def test_the_daily_job_fills_and_raises_d_minus_3_to_d_and_lowers_none() -> None:
    night = datetime(2026, 3, 10, 23, 55, tzinfo=UTC)
    lines = [
        seen(NOON, today_energy_kwh=5.0, current_power_w=50.0),
        days(night, "2026-03-10", d0306=9.0, d0307=7.0, d0308=0.0, d0309=8.0, d0310=4.0, d0311=3.0),
    ]
    # 06 March is D-4 and 11 March is to come; a 0 of a day without a sample is no data; 4 is less than 5.
    assert kept(lines, night) == {"2026-03-07": (7.0, None, True), "2026-03-09": (8.0, None, True), "2026-03-10": (5.0, 50.0, False)}


def test_a_late_daily_job_closes_its_own_day() -> None:
    line = days(NOON + 5 * DAY, "2026-03-10", d0310=6.5, d0315=1.0)
    assert kept([seen(NOON, today_energy_kwh=5.0), line], NOON + 5 * DAY) == {"2026-03-10": (6.5, None, False)}


def test_a_daily_job_of_a_day_far_away_forgets_no_day_that_is_near() -> None:
    lines = [seen(NOON, today_energy_kwh=5.0), days(NOON, "2027-03-10", d0310=1.0), seen(NOON, today_energy_kwh=4.0)]
    assert kept(lines, NOON)["2026-03-10"] == (5.0, None, False)


@pytest.mark.rule("D4.4")
def test_a_backfilled_day_is_no_sign_of_life() -> None:
    assert told([seen(NOON), days(NOON + HOUR, "2026-03-10", d0309=8.0)], NOON + 3 * HOUR) == [GREEN, "03-10T14:00 GREEN>YELLOW Stale"]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
@pytest.mark.rule("D4.2")
def test_a_local_day_of_any_length_is_one_row(day: str, hours: int) -> None:
    """Europe/Berlin: the clocks go forward on 29 March and back on 25 October 2026."""
    midnight = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=UTC) - (HOUR if day == "2026-03-29" else 2 * HOUR)
    lines = [seen(midnight + n * HOUR, today_energy_kwh=float(n)) for n in range(hours + 1)]
    rows = kept(lines, midnight + 2 * DAY, timezone="Europe/Berlin")
    assert rows[day] == (float(hours - 1), None, False)
    assert len(rows) == 2


@pytest.mark.rule("D4.2")
def test_a_day_that_does_not_exist_has_no_row() -> None:
    """Pacific/Apia went from 29 to 31 December 2011 at 10:00 UTC of the 30th."""
    begin = datetime(2011, 12, 29, 10, tzinfo=UTC)
    lines = [seen(begin + n * HOUR, today_energy_kwh=1.0 + n % 24) for n in range(48)]
    rows = kept(lines, begin + 3 * DAY, timezone="Pacific/Apia", createdAt="2011-12-29T10:00:00Z")
    assert list(rows) == ["2011-12-29", "2011-12-31"]


# Values that are refused


@pytest.mark.parametrize("value", ['"12"', "1e999", "-1e999", "-1", "1e9", "true", "[]", "9" * 5000])
@pytest.mark.rule("D3.4", "D9.4")
def test_a_value_that_is_no_usable_number_is_refused_and_the_rest_stands(value: str) -> None:
    line = seen(NOON, today_energy_kwh=5.0, current_power_w=-77).replace("-77", value)
    assert told([line], NOON) == [GREEN]
    assert kept([line], NOON) == {"2026-03-10": (5.0, None, False)}


@pytest.mark.rule("D3.4")
def test_energy_beyond_what_the_capacity_can_make_is_refused() -> None:
    lines = [seen(NOON, today_energy_kwh=24.0), seen(NOON + MINUTE, today_energy_kwh=24.1)]
    assert kept(lines, NOON + HOUR, capacityKWp=1.0) == {"2026-03-10": (24.0, None, False)}
    assert kept(lines, NOON + HOUR, capacityKWp=None) == {"2026-03-10": (24.1, None, False)}


@pytest.mark.parametrize("value", ["yesterday", 1773144000, "2026-03-10T12:00:00", True, "0001-01-01T00:00:00Z"])
@pytest.mark.rule("D3.7")
def test_a_sample_time_that_is_none_takes_its_energy_and_power_along(value: object) -> None:
    line = seen(NOON, sampled_at=value, today_energy_kwh=5.0, current_power_w=50.0)
    assert told([line], NOON) == [GREEN]
    assert kept([line], NOON) == {}


def test_a_series_is_refused_value_by_value() -> None:
    line = days(NOON, "2026-03-10", d0308="much", d0309=8.0, d0310=-1)
    assert kept([line], NOON) == {"2026-03-09": (8.0, None, True)}


# The plant


def test_without_an_instant_of_creation_the_plant_begins_with_its_first_line() -> None:
    assert told([failed(NOON)], NOON + 2 * DAY, createdAt=None)[-1] == "03-11T12:00 GREY>RED NeverSeen"
