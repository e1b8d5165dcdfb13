"""FusionSolar: the examples of VENDORS 2.5 and the traps of 2.2 and 2.3."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from integrations.contract import Alarm, Reading, Severity
from integrations.errors import AdapterError, AdapterErrorType
from integrations.huawei import normalise
from integrations.huawei.adapter import HuaweiAdapter
from tests.unit.integrations.answers import NOON, SAO_PAULO, Vendor, answer, plant

ID = "NE=33550001"
KPI_TIME = datetime(2026, 1, 15, 15, 0, 30, tzinfo=UTC)
DEVICE_TIME = datetime(2026, 1, 15, 15, 0, 31, tzinfo=UTC)
KPI = {"real_health_state": "3", "day_power": "14.30", "month_power": "402.00", "total_power": "12543.00", "day_income": "12.87"}
INVERTER = {"active_power": 4.2, "mppt_power": 4.35, "day_cap": 14.3, "inverter_state": 512.0, "run_state": 1, "close_time": "N/A"}
ALARM = {
    "alarmId": 2003,
    "alarmName": "DC arc fault",
    "alarmCause": "A PV string arcs or has poor contact.",
    "causeId": 1,
    "alarmType": 2,
    "devTypeId": 38,
    "esnCode": "ES2350000001",
    "lev": 2,
    "raiseTime": 1768479000000,
    "stationCode": ID,
    "status": 1,
}


def envelope(data: Any, now: Any = 1768489230000) -> dict[str, Any]:
    return {"success": True, "failCode": 0, "message": None, "params": {"currentTime": now}, "data": data}


def stations(**changed: Any) -> dict[str, Any]:
    return envelope([{"stationCode": ID, "dataItemMap": KPI | changed}])


def devices(*kinds: int) -> dict[str, Any]:
    rows = [{"id": 1000000033550010 + n, "stationCode": ID, "devTypeId": kind, "esnCode": f"ES{n}"} for n, kind in enumerate(kinds, 1)]
    return envelope(rows)


def vendor(items: dict[int, list[Any]], kpi: dict[str, Any] | None = None) -> Vendor:
    """One device of a type for each item map."""
    listed = [kind for kind, maps in items.items() for _ in maps]

    def device_kpi(body: Any) -> Any:
        ids = body["devIds"].split(",")
        rows = [{"devId": int(device), "dataItemMap": item} for device, item in zip(ids, items[body["devTypeId"]], strict=True)]
        return envelope(rows, 1768489231000)

    return Vendor(
        {
            "/thirdData/getStationRealKpi": kpi or stations(),
            "/thirdData/getDevList": devices(*listed),
            "/thirdData/getDevRealKpi": device_kpi,
            "/thirdData/getDevHistoryKpi": envelope([]),
        }
    )


def summary(items: dict[int, list[Any]], kpi: dict[str, Any] | None = None) -> Reading:
    return HuaweiAdapter().read_summary(plant(ID), vendor(items, kpi), NOON)


def error_of(body: Any, status: int = 200) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        normalise.station_real_kpi(answer(body, status), ID)
    return caught.value


def test_the_documented_answers_become_one_reading() -> None:
    assert summary({38: [INVERTER], 47: [{"active_power": 2700.0}]}) == Reading(
        sampled_at=None,
        last_seen_at=DEVICE_TIME,
        current_power_w=4200.0,
        today_energy_kwh=14.3,
        total_energy_kwh=12543.0,
        grid_injection_power_w=2700.0,
    )


def test_power_is_the_sum_of_string_and_residential_inverters() -> None:
    reading = summary({1: [{"active_power": 3.0}, {"active_power": "1.25"}], 38: [{"active_power": 2}], 39: [{"active_power": 9}]})

    assert reading.current_power_w == 6250.0


def test_a_grid_meter_says_kilowatts_and_a_power_sensor_watts() -> None:
    assert summary({17: [{"active_power": 2.7}]}).grid_injection_power_w == 2700.0
    assert summary({47: [{"active_power": 2.7}]}).grid_injection_power_w == 2.7
    assert summary({47: [{"active_power": -900.0}]}).grid_injection_power_w == 0.0
    assert summary({38: [INVERTER]}).grid_injection_power_w is None


@pytest.mark.parametrize("items", [None, {}, {"active_power": None}, {"active_power": "N/A"}])
def test_without_a_power_the_power_is_unknown_and_not_zero(items: Any) -> None:
    assert summary({38: [items]}).current_power_w is None


def test_a_plant_without_devices_has_its_energies() -> None:
    none = {"success": False, "failCode": 20011, "params": None, "message": None, "data": None}
    exchange = Vendor({"/thirdData/getStationRealKpi": stations(), "/thirdData/getDevList": none})
    reading = HuaweiAdapter().read_summary(plant(ID), exchange, NOON)

    assert (reading.current_power_w, reading.today_energy_kwh) == (None, 14.3)


@pytest.mark.parametrize(
    ("health", "run_state", "seen"),
    [
        ("3", 1, DEVICE_TIME),
        (3, 0, KPI_TIME),
        ("1", 0, None),
        ("2", "0", None),
        ("2", 1, DEVICE_TIME),
        ("1", 1.0, DEVICE_TIME),
        (None, None, None),
    ],
)
def test_the_servers_time_is_a_sign_of_life_only_where_the_plant_is_connected(health: Any, run_state: Any, seen: datetime | None) -> None:
    reading = summary({38: [INVERTER | {"run_state": run_state}]}, stations(real_health_state=health))

    assert reading.last_seen_at == seen
    assert reading.sampled_at is None


def disconnected(history: Any) -> Vendor:
    exchange = vendor({38: [INVERTER | {"run_state": 0}]}, stations(real_health_state="1"))
    exchange.answers["/thirdData/getDevHistoryKpi"] = history
    return exchange


def test_a_disconnected_plant_was_last_seen_at_the_newest_figures_of_its_inverters() -> None:
    rows = [{"devId": 1000000033550011, "collectTime": 1768470000000 - minutes * 60_000, "dataItemMap": {}} for minutes in (10, 0, 5)]
    exchange = disconnected(envelope(rows))

    assert HuaweiAdapter().read_summary(plant(ID), exchange, NOON).last_seen_at == datetime(2026, 1, 15, 9, 40, tzinfo=UTC)
    asked = exchange.asked[-1].body
    assert (asked["devIds"], asked["devTypeId"]) == ("1000000033550011", 38)
    assert asked["endTime"] - asked["startTime"] == 3 * 86400 * 1000


@pytest.mark.parametrize(
    "history", [envelope([]), {"success": False, "failCode": 20009, "data": None}, b"<html>", {"success": False, "failCode": 20008}]
)
def test_where_the_vendor_does_not_say_when_the_plant_was_last_seen_it_is_unknown(history: Any) -> None:
    reading = HuaweiAdapter().read_summary(plant(ID), disconnected(history), NOON)

    assert (reading.last_seen_at, reading.today_energy_kwh) == (None, 14.3)


def test_being_asked_too_often_for_the_last_report_is_the_polls_error() -> None:
    with pytest.raises(AdapterError) as caught:
        HuaweiAdapter().read_summary(plant(ID), disconnected({"success": False, "failCode": 407, "data": None}), NOON)

    assert caught.value.error_type is AdapterErrorType.RATE_LIMIT_EXCEEDED


def test_numbers_and_texts_are_read_alike() -> None:
    kpi = normalise.station_real_kpi(answer(stations(day_power=14.3, total_power="N/A")), ID)

    assert (kpi.today_energy_kwh, kpi.total_energy_kwh) == (14.3, None)


def test_of_several_plants_ours_is_picked() -> None:
    rows = [{"stationCode": "NE=1", "dataItemMap": {"day_power": 1}}, {"stationCode": ID, "dataItemMap": {"day_power": 2}}]

    assert normalise.station_real_kpi(answer(envelope(rows)), ID).today_energy_kwh == 2.0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"success": False, "failCode": 407, "params": None, "data": "ACCESS_FREQUENCY_IS_TOO_HIGH"}, AdapterErrorType.RATE_LIMIT_EXCEEDED),
        ({"success": False, "failCode": 305, "params": {"currentTime": 1}, "message": None, "data": None}, AdapterErrorType.AUTH_FAILED),
        ({"success": False, "failCode": 401, "data": None}, AdapterErrorType.AUTH_FAILED),
        ({"success": False, "failCode": "20400", "data": None}, AdapterErrorType.AUTH_FAILED),
        ({"success": False, "failCode": 20007, "data": None}, AdapterErrorType.PLANT_NOT_FOUND),
        ({"success": False, "failCode": 20045, "data": None}, AdapterErrorType.PLANT_NOT_FOUND),
        ({"success": False, "failCode": 20618, "data": None}, AdapterErrorType.RATE_LIMIT_EXCEEDED),
        ({"success": False, "failCode": 20200, "data": None}, AdapterErrorType.VENDOR_ERROR),
        ({"success": False, "failCode": 20012, "data": None}, AdapterErrorType.VENDOR_ERROR),
        ({"success": True, "failCode": 20200, "data": []}, AdapterErrorType.VENDOR_ERROR),
        ({"success": False, "failCode": 0, "data": None}, AdapterErrorType.VENDOR_ERROR),
        ({"success": True, "failCode": 0, "data": []}, AdapterErrorType.PLANT_NOT_FOUND),
        ({"success": True, "failCode": 0, "data": [{"stationCode": "NE=9"}]}, AdapterErrorType.INVALID_DATA_FORMAT),
        ({"success": True, "failCode": 0, "data": "x"}, AdapterErrorType.INVALID_DATA_FORMAT),
        ({"errorCode": "49401021002", "exceptionInfo": "flow.quotaControl"}, AdapterErrorType.RATE_LIMIT_EXCEEDED),
        ({"exceptionId": "framwork.remote.Paramerror", "exceptionType": "ROA_EXFRAME_EXCEPTION"}, AdapterErrorType.VENDOR_ERROR),
        ({"data": [{"stationCode": ID}]}, AdapterErrorType.INVALID_DATA_FORMAT),
    ],
)
def test_errors_within_http_200_are_told_by_their_code(body: Any, expected: AdapterErrorType) -> None:
    assert error_of(body).error_type is expected


def test_the_gateways_explain_themselves_in_the_body_of_an_http_error() -> None:
    quota = {"errorCode": "49401021002", "exceptionInfo": "quotaControl"}

    assert error_of(quota, 400).error_type is AdapterErrorType.RATE_LIMIT_EXCEEDED
    assert error_of({"success": False, "failCode": 305}, 500).error_type is AdapterErrorType.AUTH_FAILED
    assert error_of({"exceptionId": "framwork.remote.Paramerror"}, 400).error_type is AdapterErrorType.VENDOR_ERROR


def test_after_the_system_level_limit_the_vendor_asks_to_wait_a_minute() -> None:
    assert error_of({"success": False, "failCode": 429, "data": None}).retry_after_seconds == 60.0
    assert error_of({"success": False, "failCode": 407, "data": None}).retry_after_seconds is None


def test_devices_of_another_plant_are_refused() -> None:
    foreign = envelope([{"id": 1, "stationCode": "NE=2", "devTypeId": 38}])

    with pytest.raises(AdapterError):
        normalise.device_list(answer(foreign), ID)
    with pytest.raises(AdapterError):
        normalise.device_real_kpi(answer(envelope([{"devId": 2, "dataItemMap": INVERTER}])), 38, ["1"])


def test_days_are_those_of_the_plants_zone_and_prefer_the_pv_yield() -> None:
    rows = [
        {"stationCode": ID, "collectTime": 1768273200000, "dataItemMap": {"inverter_power": 30.0, "PVYield": 32.1}},
        {"stationCode": ID, "collectTime": 1768359600000, "dataItemMap": {"inverter_power": 29.7, "PVYield": None}},
        {"stationCode": ID, "collectTime": 1768446000000, "dataItemMap": None},
    ]

    assert normalise.station_day(answer(envelope(rows)), ID, SAO_PAULO) == {date(2026, 1, 13): 32.1, date(2026, 1, 14): 29.7}


def test_a_series_over_the_turn_of_a_month_asks_for_both_in_milliseconds() -> None:
    exchange = Vendor({"/thirdData/getKpiStationDay": envelope([])})
    HuaweiAdapter().read_daily_energy(plant(ID), exchange, date(2026, 1, 30), date(2026, 2, 2), NOON)

    asked = [datetime.fromtimestamp(request.body["collectTime"] / 1000, SAO_PAULO).date() for request in exchange.asked]
    assert asked == [date(2026, 1, 30), date(2026, 2, 1)]


def test_the_documented_alarm_is_read_whole() -> None:
    assert normalise.alarm_list(answer(envelope([ALARM])), ID) == (
        Alarm(
            code="2003-1",
            device_sn="ES2350000001",
            severity=Severity.HIGH,
            message="DC arc fault: A PV string arcs or has poor contact.",
            occurred_at=datetime(2026, 1, 15, 12, 10, tzinfo=UTC),
            is_active=True,
        ),
    )


@pytest.mark.parametrize(
    ("level", "severity"), [(1, "CRITICAL"), (2, "HIGH"), (3, "MEDIUM"), (4, "LOW"), ("1", "CRITICAL"), (0, "MEDIUM"), (None, "MEDIUM")]
)
def test_one_is_the_worst_level(level: Any, severity: str) -> None:
    assert normalise.alarm_list(answer(envelope([ALARM | {"lev": level}])), ID)[0].severity is Severity(severity)


@pytest.mark.parametrize(("status", "active"), [(1, True), (2, True), ("3", True), (4, False), (5, False), (6, False), (None, False)])
def test_an_acknowledged_alarm_is_still_active(status: Any, active: bool) -> None:
    assert normalise.alarm_list(answer(envelope([ALARM | {"status": status}])), ID)[0].is_active is active


def test_the_alarm_list_holds_all_active_alarms() -> None:
    exchange = Vendor({"/thirdData/getAlarmList": envelope([])})
    found = HuaweiAdapter().read_alarms(plant(ID), exchange, NOON)

    assert (found.alarms, found.complete) == ((), True)
    assert exchange.asked[0].body["endTime"] - exchange.asked[0].body["beginTime"] == 30 * 86400 * 1000
