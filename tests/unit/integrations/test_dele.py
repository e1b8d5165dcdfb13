"""Deye Cloud: the examples of VENDORS 4.5 and the traps of 4.2 and 4.3."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from integrations.contract import Alarm, Reading, Severity
from integrations.dele import normalise
from integrations.dele.adapter import DeleAdapter
from integrations.errors import AdapterError, AdapterErrorType
from tests.unit.integrations.answers import NOON, Vendor, answer, plant

ID = "61094321"
SUCCESS = {"code": "1000000", "msg": "success", "success": True, "requestId": "a1b2c3d4e5f60718"}
LATEST = SUCCESS | {
    "generationPower": 4200.0,
    "consumptionPower": 1500.0,
    "gridPower": 2000.0,
    "purchasePower": None,
    "wirePower": -2000.0,
    "chargePower": 700.0,
    "dischargePower": None,
    "batteryPower": -700.0,
    "batterySOC": 81.0,
    "lastUpdateTime": 1768489200.0,
}
DAYS = [
    {"generationValue": 32.1, "generationPower": None, "dateTime": None, "timeStamp": None, "year": 2026, "month": 1, "day": 13},
    {"generationValue": 29.7, "generationPower": None, "dateTime": None, "timeStamp": None, "year": 2026, "month": 1, "day": 14},
]
ALERT = {
    "alertId": "900000000000001",
    "alertCode": "F56",
    "alertName": "F56 DC_VoltLow_Fault",
    "protocolName": "DC_VoltLow_Fault",
    "deviceSn": "2402010000",
    "level": 2,
    "impact": 1,
    "status": 1,
    "alertStartTime": 1768479000,
    "alertEndTime": 0,
}


def day(number: int, energy: Any) -> dict[str, Any]:
    return {"year": 2026, "month": 1, "day": number, "generationValue": energy}


def device(serial: str, **points: Any) -> dict[str, Any]:
    data = [{"key": key, "value": value, "unit": "kWh"} for key, value in points.items()]
    return {"deviceSn": serial, "deviceType": "INVERTER", "deviceState": 1, "dataList": data}


def vendor(history: list[Any], *devices: Any, latest: dict[str, Any] = LATEST, listed: list[str] | None = None) -> Vendor:
    serials = listed if listed is not None else [each["deviceSn"] for each in devices]
    rows = [{"deviceSn": serial, "deviceType": "INVERTER", "stationId": int(ID)} for serial in serials]
    rows.append({"deviceSn": "2402019999", "deviceType": "COLLECTOR", "stationId": int(ID)})

    def some(body: Any) -> Any:
        return SUCCESS | {"deviceDataList": [each for each in devices if each["deviceSn"] in body["deviceList"]]}

    return Vendor(
        {
            "/station/latest": latest,
            "/station/history": SUCCESS | {"stationDataItems": history},
            "/station/device": SUCCESS | {"deviceListItems": rows, "total": len(rows)},
            "/device/latest": some,
        }
    )


def summary(exchange: Vendor) -> Reading:
    return DeleAdapter().read_summary(plant(ID), exchange, NOON)


def latest(**changed: Any) -> normalise.StationLatest:
    return normalise.station_latest(answer(LATEST | changed))


def error_of(body: Any, status: int = 200) -> AdapterErrorType:
    with pytest.raises(AdapterError) as caught:
        normalise.station_latest(answer(body, status))
    return caught.value.error_type


def test_the_documented_answers_become_one_reading() -> None:
    inverter = device("2402010000", TotalActiveProduction="12543.00", DailyActiveProduction="14.30", TotalGridPower="-2000")

    assert summary(vendor([day(15, 14.3)], inverter)) == Reading(
        sampled_at=NOON,
        last_seen_at=NOON,
        current_power_w=4200.0,
        today_energy_kwh=14.3,
        total_energy_kwh=12543.0,
        grid_injection_power_w=2000.0,
    )


def test_without_a_history_item_the_inverters_say_todays_energy() -> None:
    exchange = vendor(
        [day(14, 29.7)], device("A", TotalActiveProduction="1", DailyActiveProduction="9"), device("B", DailyActiveProduction=5.3)
    )

    assert summary(exchange).today_energy_kwh == pytest.approx(14.3)


def test_a_stale_sample_brings_the_energy_of_its_own_day() -> None:
    stale = LATEST | {"lastUpdateTime": 1768489200 - 86400}
    exchange = vendor([day(14, 29.7), day(15, 0.0)], device("A", DailyActiveProduction="0"), latest=stale)

    assert summary(exchange).today_energy_kwh == 29.7
    asked = next(request.body for request in exchange.asked if request.path == "/station/history")
    assert (asked["startAt"], asked["endAt"], asked["stationId"], asked["granularity"]) == ("2026-01-14", "2026-01-15", 61094321, 2)


def test_a_plant_silent_for_a_year_brings_no_energy_of_a_day() -> None:
    exchange = vendor([day(15, 1.0)], device("A", DailyActiveProduction="7"), latest=LATEST | {"lastUpdateTime": 1736953200})

    assert summary(exchange).today_energy_kwh is None


def test_a_lifetime_with_a_silent_inverter_is_unknown_rather_than_too_low() -> None:
    full = vendor([], device("A", TotalActiveProduction="100.5"), device("B", TotalActiveProduction="200"))
    silent = vendor([], device("A", TotalActiveProduction="100.5"), listed=["A", "B"])

    assert summary(full).total_energy_kwh == 300.5
    assert summary(silent).total_energy_kwh is None


def test_ten_inverters_are_asked_for_at_a_time() -> None:
    exchange = vendor([], *(device(f"S{number}", TotalActiveProduction=number) for number in range(23)))

    assert summary(exchange).total_energy_kwh == sum(range(23))
    assert [len(request.body["deviceList"]) for request in exchange.asked if request.path == "/device/latest"] == [10, 10, 3]


def test_a_total_at_the_plant_itself_goes_first() -> None:
    exchange = vendor([], device("A", TotalActiveProduction="7"), latest=LATEST | {"generationTotal": 12543.0})

    assert summary(exchange).total_energy_kwh == 12543.0


@pytest.mark.parametrize(
    ("changed", "export"),
    [
        ({}, 2000.0),
        ({"gridPower": -2000.0}, 2000.0),
        ({"gridPower": None}, 2000.0),
        ({"gridPower": None, "batteryPower": None}, 2700.0),
        ({"gridPower": None, "consumptionPower": 9000.0}, 0.0),
        ({"gridPower": None, "consumptionPower": None, "usePower": 1500.0}, 2000.0),
        ({"gridPower": None, "consumptionPower": None}, None),
        ({"gridPower": None, "generationPower": None}, None),
    ],
)
def test_export_is_the_grid_power_or_what_the_balance_leaves(changed: dict[str, Any], export: float | None) -> None:
    assert latest(**changed).grid_injection_power_w == export


def test_a_missing_power_stays_unknown() -> None:
    assert latest(generationPower=None).current_power_w is None
    assert latest(generationPower=0.0).current_power_w == 0.0


@pytest.mark.parametrize("stamp", [1768489200, 1768489200.0, "1768489200", 1768489200000])
def test_seconds_may_be_floats_text_or_milliseconds(stamp: Any) -> None:
    assert latest(lastUpdateTime=stamp).last_seen_at == NOON


@pytest.mark.parametrize("envelope", [{"success": "true"}, {"success": 1, "code": None}, {"code": "1000000"}])
def test_success_may_be_text_or_the_code_alone(envelope: Any) -> None:
    assert normalise.station_latest(answer({"generationPower": 7} | envelope)).current_power_w == 7.0


@pytest.mark.parametrize("code", ["1000000", 1000000, None])
def test_success_is_a_flag_and_the_code_may_be_text_number_or_null(code: Any) -> None:
    assert latest(code=code).current_power_w == 4200.0


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"code": "2101019", "success": False, "msg": "auth invalid token"}, 200, AdapterErrorType.AUTH_FAILED),
        ({"code": "2101002", "success": False, "msg": "client execute Too Frequently"}, 200, AdapterErrorType.RATE_LIMIT_EXCEEDED),
        ({"code": "2101031", "success": False, "msg": "station not found"}, 200, AdapterErrorType.PLANT_NOT_FOUND),
        ({"code": 2101023, "success": False}, 200, AdapterErrorType.PLANT_NOT_FOUND),
        ({"code": "2101019", "success": True, "generationPower": 1}, 200, AdapterErrorType.AUTH_FAILED),
        ({"code": "1000000", "success": False, "generationPower": 1}, 200, AdapterErrorType.VENDOR_ERROR),
        ({"code": "2101010", "success": False}, 200, AdapterErrorType.RATE_LIMIT_EXCEEDED),
        ({"code": "3201001", "success": False}, 200, AdapterErrorType.VENDOR_ERROR),
        ({"code": "2101005", "success": False, "generationPower": 1}, 200, AdapterErrorType.VENDOR_ERROR),
        ({"generationPower": 1}, 200, AdapterErrorType.INVALID_DATA_FORMAT),
        ({"status": 500, "exception": "java.lang.reflect.UndeclaredThrowableException"}, 500, AdapterErrorType.AUTH_FAILED),
        ({"status": 500, "exception": "java.lang.NullPointerException"}, 500, AdapterErrorType.VENDOR_ERROR),
        ({"code": "2101019", "success": False}, 500, AdapterErrorType.AUTH_FAILED),
    ],
)
def test_errors_are_told_by_their_code_or_exception(body: Any, status: int, expected: AdapterErrorType) -> None:
    assert error_of(body, status) is expected


def test_a_device_that_sent_nothing_is_no_error() -> None:
    nothing = {"code": "2101016", "success": False, "msg": "device has no uploads"}

    assert normalise.station_latest(answer(nothing)) == normalise.StationLatest()


def test_a_device_that_sent_nothing_says_nothing_of_alarms() -> None:
    nothing = {"code": "2101016", "success": False, "msg": "device has no uploads"}
    found = DeleAdapter().read_alarms(plant(ID), Vendor({"/station/alertList": nothing}), NOON)

    assert (found.alarms, found.complete) == ((), False)


def test_a_poll_refuses_a_summary_and_a_series_of_another_plant() -> None:
    with pytest.raises(AdapterError):
        DeleAdapter().read_summary(plant(ID), Vendor({"/station/latest": LATEST | {"stationId": 7}}), NOON)
    history = Vendor({"/station/history": SUCCESS | {"stationDataItems": DAYS, "stationId": 7}})
    with pytest.raises(AdapterError):
        DeleAdapter().read_daily_energy(plant(ID), history, date(2026, 1, 14), date(2026, 1, 15), NOON)


def test_history_is_keyed_by_its_local_calendar_date() -> None:
    rows = [*DAYS, day(31, 1.0), {"year": 2026, "month": 2, "day": 31, "generationValue": 1.0}, day(1, None)]

    found = normalise.station_history(answer(SUCCESS | {"stationDataItems": rows}))
    assert found == {date(2026, 1, 13): 32.1, date(2026, 1, 14): 29.7, date(2026, 1, 31): 1.0}


def test_the_series_asks_for_the_day_after_the_last_since_the_vendor_excludes_it() -> None:
    exchange = Vendor({"/station/history": SUCCESS | {"stationDataItems": DAYS}})
    days = DeleAdapter().read_daily_energy(plant(ID), exchange, date(2026, 1, 14), date(2026, 1, 15), NOON)

    assert days == {date(2026, 1, 14): 29.7}
    assert (exchange.asked[0].body["startAt"], exchange.asked[0].body["endAt"]) == ("2026-01-14", "2026-01-16")


def test_devices_of_another_plant_are_refused() -> None:
    with pytest.raises(AdapterError):
        normalise.station_device(answer(SUCCESS | {"deviceListItems": [{"deviceSn": "A", "deviceType": "INVERTER", "stationId": 7}]}), ID)
    with pytest.raises(AdapterError):
        normalise.device_latest(answer(SUCCESS | {"deviceDataList": [device("B")]}), ["A"])


def test_the_documented_alerts_are_read_whole() -> None:
    recovered = ALERT | {"alertCode": "W03", "alertName": "W03\u00a0Grid_Warning", "level": 1, "impact": 0, "status": 0}
    page = normalise.alert_list(answer(SUCCESS | {"total": 2, "stationAlertItems": [ALERT, recovered]}))

    assert page.alarms[0] == Alarm(
        code="F56",
        device_sn="2402010000",
        severity=Severity.HIGH,
        message="F56 DC_VoltLow_Fault",
        occurred_at=datetime(2026, 1, 15, 12, 10, tzinfo=UTC),
        is_active=True,
    )
    assert (page.alarms[1].message, page.alarms[1].severity, page.alarms[1].is_active) == ("W03 Grid_Warning", Severity.MEDIUM, False)


@pytest.mark.parametrize(
    ("level", "impact", "severity"),
    [(0, 0, "LOW"), (1, 1, "MEDIUM"), (2, 0, "HIGH"), (0, 2, "CRITICAL"), (2, 3, "CRITICAL"), (None, None, "MEDIUM"), ("2", "1", "HIGH")],
)
def test_two_is_the_worst_level_and_safety_is_critical(level: Any, impact: Any, severity: str) -> None:
    page = normalise.alert_list(answer(SUCCESS | {"total": 1, "stationAlertItems": [ALERT | {"level": level, "impact": impact}]}))

    assert page.alarms[0].severity is Severity(severity)


def test_a_null_list_is_an_empty_one_and_a_missing_list_a_failed_look_up() -> None:
    exchange = Vendor({"/station/alertList": SUCCESS | {"total": 0, "stationAlertItems": None}})

    assert DeleAdapter().read_alarms(plant(ID), exchange, NOON).complete
    assert normalise.alert_list(answer(SUCCESS | {"stationAlertItems": None})).alarms == ()
    with pytest.raises(AdapterError):
        normalise.alert_list(answer(SUCCESS))


def test_an_alert_without_a_code_is_known_by_its_protocol_name() -> None:
    page = normalise.alert_list(answer(SUCCESS | {"total": 1, "stationAlertItems": [ALERT | {"alertCode": ""}]}))

    assert page.alarms[0].code == "DC_VoltLow_Fault"
