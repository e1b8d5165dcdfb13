"""SolisCloud: the examples of VENDORS 1.5 and the traps of 1.2 and 1.3."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from integrations.contract import Alarm, Reading, Severity
from integrations.errors import AdapterError, AdapterErrorType
from integrations.solis import normalise
from integrations.solis.adapter import SolisAdapter
from tests.unit.integrations.answers import NOON, Vendor, answer, plant

ID = "1298491919448000001"
STATION: dict[str, Any] = {
    "id": ID,
    "stationName": "Usina Exemplo",
    "state": 1,
    "dataTimestamp": "1768489200000",
    "capacity": 6.6,
    "power": 4.2,
    "powerStr": "kW",
    "powerPec": "1",
    "dayEnergy": 14.3,
    "dayEnergyStr": "kWh",
    "allEnergy": 12.543,
    "allEnergyStr": "MWh",
    "allEnergy1": 12543.0,
    "psum": 2.7,
    "psumStr": "kW",
    "psumPec": "1",
}
ALARMS = [
    {
        "id": "-1",
        "stationId": ID,
        "alarmDeviceSn": "10F0000000000001",
        "alarmLevel": "2",
        "alarmCode": "1015",
        "alarmMsg": "NO-Grid",
        "advice": "Check the AC breaker",
        "alarmBeginTime": 1768479000000,
        "alarmEndTime": 1768489140000,
        "state": "0",
    },
    {
        "id": "-1",
        "stationId": ID,
        "alarmDeviceSn": "10F0000000000001",
        "alarmLevel": "1",
        "alarmCode": "1010",
        "alarmMsg": "",
        "advice": "",
        "alarmBeginTime": 1768413600000,
        "alarmEndTime": 1768415700000,
        "state": "2",
    },
]


def envelope(data: Any) -> dict[str, Any]:
    return {"success": True, "code": "0", "msg": "success", "data": data}


def detail(**changed: Any) -> Reading:
    return normalise.station_detail(answer(envelope(STATION | changed)), ID)


def error_of(body: Any) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        normalise.station_detail(answer(body), ID)
    return caught.value


def test_the_documented_summary_becomes_watts_kilowatt_hours_and_utc() -> None:
    assert detail() == Reading(
        sampled_at=NOON,
        last_seen_at=NOON,
        current_power_w=4200.0,
        today_energy_kwh=14.3,
        total_energy_kwh=12543.0,
        grid_injection_power_w=2700.0,
    )


def test_the_lifetime_energy_without_its_raw_twin_is_read_by_its_unit() -> None:
    assert detail(allEnergy1=None).total_energy_kwh == pytest.approx(12543.0)


@pytest.mark.parametrize(
    ("changed", "watts"),
    [
        ({"power": "4.2"}, 4200.0),
        ({"power": 4200, "powerStr": "W"}, 4200.0),
        ({"power": 0.0042, "powerStr": "MW"}, 4200.0),
        ({"power": 4.2, "powerStr": "KW "}, 4200.0),
        ({"power": 4.2, "powerStr": 7}, None),
        ({"power": 77.0, "powerStr": "kW", "powerPec": "0.001"}, 77.0),
        ({"power": 4.2, "powerPec": None}, 4200.0),
        ({"power": 4.2, "powerPec": "what"}, None),
        ({"power": 4.2, "powerStr": "hp"}, None),
        ({"power": "null"}, None),
        ({"power": None}, None),
        ({"power": []}, None),
        ({"power": 0}, 0.0),
    ],
)
def test_power_follows_its_unit_text_and_multiplier(changed: dict[str, Any], watts: float | None) -> None:
    assert detail(**changed).current_power_w == pytest.approx(watts)


def test_a_day_may_be_in_kilowatt_hours_while_the_total_is_in_gigawatt_hours() -> None:
    reading = detail(allEnergy1="", allEnergy="0.012543", allEnergyStr="GWh")

    assert reading.today_energy_kwh == 14.3
    assert reading.total_energy_kwh == pytest.approx(12543.0)


def test_import_is_no_export() -> None:
    assert detail(psum=-1.2).grid_injection_power_w == 0.0
    assert detail(psum=None).grid_injection_power_w is None


def test_one_unusable_value_costs_only_itself() -> None:
    body = b'{"success":true,"code":"0","data":{"id":"7","dataTimestamp":"1768489200000","power":1e999,"dayEnergy":NaN,"allEnergy1":5}}'

    assert normalise.station_detail(answer(body), "7") == Reading(sampled_at=NOON, last_seen_at=NOON, total_energy_kwh=5.0)


@pytest.mark.parametrize("stamp", ["", "soon", None, 0, -1, "99999999999999999", True])
def test_a_timestamp_that_is_none_leaves_the_reading_without_one(stamp: Any) -> None:
    reading = detail(dataTimestamp=stamp)

    assert (reading.sampled_at, reading.last_seen_at) == (None, None)
    assert reading.current_power_w == 4200.0


def test_a_nineteen_digit_id_is_compared_exactly_as_text_or_number() -> None:
    assert detail(id=int(ID)).current_power_w == 4200.0
    assert error_of(envelope(STATION | {"id": str(int(ID) + 1)})).error_type is AdapterErrorType.INVALID_DATA_FORMAT
    assert error_of(envelope(STATION | {"id": float(ID)})).error_type is AdapterErrorType.INVALID_DATA_FORMAT


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"success": False, "code": "R0000", "msg": "No authority", "data": None}, AdapterErrorType.AUTH_FAILED),
        (
            {"success": False, "code": "R0000", "msg": "No authority too many request 200 times in 1DAYS", "data": None},
            AdapterErrorType.RATE_LIMIT_EXCEEDED,
        ),
        ({"success": True, "code": "1", "msg": "数据异常 请联系管理员", "data": None}, AdapterErrorType.PLANT_NOT_FOUND),
        ({"success": False, "code": "I0012", "msg": "", "data": None}, AdapterErrorType.AUTH_FAILED),
        ({"success": False, "code": "B0011", "msg": "", "data": ""}, AdapterErrorType.AUTH_FAILED),
        ({"success": False, "code": "B0049", "msg": "", "data": []}, AdapterErrorType.PLANT_NOT_FOUND),
        ({"success": False, "code": "I0000", "msg": "", "data": None}, AdapterErrorType.VENDOR_ERROR),
        ({"success": False, "code": "Z9999", "msg": "", "data": None}, AdapterErrorType.VENDOR_ERROR),
        ({"success": True, "code": "0", "msg": "", "data": None}, AdapterErrorType.PLANT_NOT_FOUND),
        ({"success": True, "code": "0", "msg": "", "data": [1]}, AdapterErrorType.INVALID_DATA_FORMAT),
        ({"success": True, "data": STATION}, AdapterErrorType.INVALID_DATA_FORMAT),
    ],
)
def test_the_code_decides_not_the_success_flag(body: Any, expected: AdapterErrorType) -> None:
    assert error_of(body).error_type is expected


def test_an_offline_data_logger_is_no_error_and_brings_nothing() -> None:
    assert normalise.station_detail(answer({"success": False, "code": "B0115", "data": None}), ID) == Reading()


def test_an_offline_data_logger_says_nothing_of_alarms() -> None:
    offline = {"success": True, "code": "B0115", "data": None}
    found = SolisAdapter().read_alarms(plant(ID), Vendor({"/v1/api/alarmList": offline}), NOON)

    assert (found.alarms, found.complete) == ((), False)


@pytest.mark.rule("D3.2")
def test_errors_say_no_word_of_the_payload() -> None:
    error = error_of({"success": False, "code": "I0012", "msg": "wrong password hunter2 for bob@example.org", "data": None})

    assert error.message == "SolisCloud answered code I0012"


def test_the_month_is_keyed_by_its_date_text_and_scaled_by_its_multiplier() -> None:
    rows = [
        {"id": "1308652875882000001", "energy": 32.1, "energyStr": "kWh", "energyPec": "1", "date": 1768276800000, "dateStr": "2026-01-13"},
        {"id": "2", "energy": 29700.0, "energyStr": "MWh", "energyPec": "0.000001", "date": 1768363200000, "dateStr": "2026-01-14"},
        {"id": "3", "energy": None, "energyStr": "kWh", "energyPec": "1", "dateStr": "2026-01-15"},
        {"id": "4", "energy": 1.0, "energyStr": "kWh", "energyPec": "1", "dateStr": "2026-02-31"},
    ]

    assert normalise.station_month(answer(envelope(rows))) == {date(2026, 1, 13): 32.1, date(2026, 1, 14): pytest.approx(29.7)}


def test_a_series_over_the_turn_of_the_year_asks_for_both_months_and_keeps_the_asked_days() -> None:
    def month(body: Any) -> Any:
        rows = {"2025-12": ["2025-12-29", "2025-12-30", "2025-12-31"], "2026-01": ["2026-01-01", "2026-01-02", "2026-01-03"]}[body["month"]]
        return envelope([{"dateStr": day, "energy": float(day[-2:]), "energyStr": "kWh", "energyPec": "1"} for day in rows])

    vendor = Vendor({"/v1/api/stationMonth": month})
    days = SolisAdapter().read_daily_energy(plant(ID), vendor, date(2025, 12, 30), date(2026, 1, 2), NOON)

    assert days == {date(2025, 12, 30): 30.0, date(2025, 12, 31): 31.0, date(2026, 1, 1): 1.0, date(2026, 1, 2): 2.0}
    assert [(request.body["month"], request.body["timeZone"]) for request in vendor.asked] == [("2025-12", -3.0), ("2026-01", -3.0)]


def test_an_alarm_is_active_by_its_state_although_it_has_an_end_time() -> None:
    page = normalise.alarm_list(answer(envelope({"total": 2, "size": 20, "current": 1, "pages": 1, "records": ALARMS})), ID)

    assert page.alarms == (
        Alarm("1015", "10F0000000000001", Severity.MEDIUM, "NO-Grid", datetime(2026, 1, 15, 12, 10, tzinfo=UTC), True),
        Alarm("1010", "10F0000000000001", Severity.LOW, "code 1010", datetime(2026, 1, 14, 18, 0, tzinfo=UTC), False),
    )
    assert (page.rows, page.total) == (2, 2)


def test_alarms_may_be_wrapped_in_a_page() -> None:
    page = normalise.alarm_list(answer(envelope({"page": {"total": 1, "records": ALARMS[:1]}})), ID)

    assert [alarm.code for alarm in page.alarms] == ["1015"]


@pytest.mark.parametrize(
    ("level", "severity"), [("1", "LOW"), ("2", "MEDIUM"), ("3", "CRITICAL"), (3, "CRITICAL"), ("9", "MEDIUM"), (None, "MEDIUM")]
)
def test_three_is_the_worst_level(level: Any, severity: str) -> None:
    rows = {"total": 1, "records": [ALARMS[0] | {"alarmLevel": level}]}

    assert normalise.alarm_list(answer(envelope(rows)), ID).alarms[0].severity is Severity(severity)


@pytest.mark.rule("D6.21")
def test_an_empty_code_and_serial_are_none() -> None:
    rows = {"total": 1, "records": [ALARMS[0] | {"alarmCode": " ", "alarmDeviceSn": "", "alarmMsg": None, "advice": None}]}
    alarm = normalise.alarm_list(answer(envelope(rows)), ID).alarms[0]

    assert (alarm.code, alarm.device_sn, alarm.message) == (None, None, "alarm without code or text")


@pytest.mark.parametrize("data", [{}, {"records": None, "total": 3}, None])
@pytest.mark.rule("D6.20")
def test_a_missing_alarm_list_is_a_failed_look_up(data: Any) -> None:
    with pytest.raises(AdapterError) as caught:
        normalise.alarm_list(answer(envelope(data)), ID)

    assert caught.value.error_type is AdapterErrorType.INVALID_DATA_FORMAT


def test_alarms_of_other_plants_are_refused_and_left_out_of_a_mixed_list() -> None:
    theirs = ALARMS[0] | {"stationId": "9"}

    with pytest.raises(AdapterError):
        normalise.alarm_list(answer(envelope({"total": 1, "records": [theirs]})), ID)
    assert len(normalise.alarm_list(answer(envelope({"total": 2, "records": [theirs, ALARMS[1]]})), ID).alarms) == 1
