"""`normalise_capture`: the vendors' documented answers, and what captures in the field look like, as one object in the domain's names."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from controller.tools.normalise import normalise_capture
from integrations.contract import Brand, Severity
from integrations.errors import AdapterErrorType

NOW = datetime(2026, 1, 15, 15, 5, tzinfo=UTC)
SOLIS_ID, HUAWEI_ID, GOODWE_ID, DELE_ID = "1298491919448000001", "NE=33550001", "11111111-2222-4333-8444-555555555555", "61094321"


def read(brand: Brand, path: str, body: Any, **asked: Any) -> dict[str, Any]:
    """The capture as read for a plant in Sao Paulo at 12:05 local, unless told otherwise."""
    settings: dict[str, Any] = {
        "plant_id": None,
        "zone": ZoneInfo("America/Sao_Paulo"),
        "capacity_kwp": None,
        "now": NOW,
        "http_status": 200,
        "device_type": None,
    }
    return normalise_capture(brand, path, body if isinstance(body, bytes) else json.dumps(body).encode(), **settings | asked)


# What VENDORS has as examples, one path each.

SOLIS_STATION: dict[str, Any] = {
    "id": SOLIS_ID,
    "stationName": "Usina Exemplo",
    "state": 1,
    "dataTimestamp": "1768489200000",
    "timeZoneStandardId": "America/Sao_Paulo",
    "capacity": 6.6,
    "capacityStr": "kWp",
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
SOLIS_DAYS = [
    {"id": "1308652875882000001", "energy": 32.1, "energyStr": "kWh", "energyPec": "1", "date": 1768276800000, "dateStr": "2026-01-13"},
    {"id": "2", "energy": 29700.0, "energyStr": "MWh", "energyPec": "0.000001", "date": 1768363200000, "dateStr": "2026-01-14"},
]
SOLIS_ALARMS = [
    {
        "id": "-1",
        "stationId": SOLIS_ID,
        "alarmDeviceSn": "10F0000000000001",
        "alarmLevel": "2",
        "alarmCode": "1015",
        "alarmMsg": "NO-Grid",
        "alarmBeginTime": 1768479000000,
        "alarmEndTime": 1768489140000,
        "state": "0",
    },
    {
        "id": "-1",
        "stationId": SOLIS_ID,
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
HUAWEI_KPI = {"real_health_state": "3", "day_power": "14.30", "month_power": "402.00", "total_power": "12543.00"}
HUAWEI_INVERTER = {"active_power": 4.2, "mppt_power": 4.35, "day_cap": 14.3, "total_cap": 12543.0, "run_state": 1, "close_time": "N/A"}
HUAWEI_DAYS = [
    {"stationCode": HUAWEI_ID, "collectTime": 1768273200000, "dataItemMap": {"inverter_power": 32.1, "PVYield": 32.1}},
    {"stationCode": HUAWEI_ID, "collectTime": 1768359600000, "dataItemMap": {"inverter_power": 29.7, "PVYield": None}},
]
HUAWEI_ALARM = {
    "alarmId": 2003,
    "alarmName": "DC arc fault",
    "alarmCause": "A PV string arcs or has poor contact.",
    "causeId": 1,
    "esnCode": "ES2350000001",
    "lev": 2,
    "raiseTime": 1768479000000,
    "stationCode": HUAWEI_ID,
    "status": 1,
}
GOODWE_DETAIL: dict[str, Any] = {
    "info": {"powerstation_id": GOODWE_ID, "time": "01/15/2026 12:01:10", "date_format": "dd/MM/yyyy", "time_span": 3.0, "status": 1},
    "kpi": {"pac": 4200.0, "power": 14.3, "month_generation": 402.0, "total_power": 12543.0},
    "hasPowerflow": True,
    "powerflow": {"pv": "4200(W)", "load": "1500(W)", "grid": "2700(W)", "gridStatus": 1},
    "inverter": [
        {
            "sn": "56000ABC21W00001",
            "eday": 14.3,
            "last_refresh_time": "01/15/2026 12:00:00",
            "d": {"last_refresh_time": "15/01/2026 12:00:00", "creationDate": "01/15/2026 23:00:00"},
            "invert_full": {"pac": 4200.0, "eday": 14.3, "etotal": 12543.0, "pmeter": 2700.0, "last_time": 1768489200000, "vac2": 6553.5},
        }
    ],
}
GOODWE_LINE = {
    "label": "Generation (kWh)",
    "name": "PVGeneration",
    "unit": "kWh",
    "xy": [{"x": "2026-01-13", "y": 32.1, "z": None}, {"x": "2026-01-14", "y": 29.7}, {"x": "2026-01-16", "y": None}],
}
GOODWE_WARNING = {
    "stationId": GOODWE_ID,
    "devicesn": "56000ABC21W00001",
    "warningname": "Utility Loss",
    "warninglevel": 4,
    "error_code": 512,
    "status": 0,
    "happentime": "01/15/2026 09:10:00",
    "recoverytime": "",
}
DELE_LATEST = {
    "generationPower": 4200.0,
    "consumptionPower": 1500.0,
    "gridPower": 2000.0,
    "purchasePower": None,
    "wirePower": -2000.0,
    "batteryPower": -700.0,
    "lastUpdateTime": 1768489200.0,
}
DELE_DAYS = [
    {"generationValue": 32.1, "year": 2026, "month": 1, "day": 13, "dateTime": None},
    {"generationValue": 29.7, "year": 2026, "month": 1, "day": 14, "dateTime": None},
]
DELE_ALERT = {
    "alertCode": "F56",
    "alertName": "F56\u00a0DC_VoltLow_Fault",
    "protocolName": "DC_VoltLow_Fault",
    "deviceSn": "2402010000",
    "level": 2,
    "impact": 1,
    "status": 1,
    "alertStartTime": 1768479000,
    "alertEndTime": 0,
}
SUMMARY = {
    "current_power_w": 4200.0,
    "today_energy_kwh": 14.3,
    "total_energy_kwh": 12543.0,
    "grid_injection_power_w": 2700.0,
    "last_seen_at": "2026-01-15T15:00:00Z",
}
SERIES = {"days": {"2026-01-13": 32.1, "2026-01-14": 29.7}}


def solis(data: Any) -> dict[str, Any]:
    return {"success": True, "code": "0", "msg": "success", "data": data}


def huawei(data: Any, **params: Any) -> dict[str, Any]:
    return {"success": True, "failCode": 0, "message": None, "params": {"currentTime": 1768489230000, **params}, "data": data}


def goodwe(data: Any) -> dict[str, Any]:
    return {"language": "en", "function": None, "hasError": False, "msg": "success", "code": "0", "data": data}


def dele(**data: Any) -> dict[str, Any]:
    return {"code": "1000000", "msg": "success", "success": True, "requestId": "a1b2c3d4e5f60718", **data}


def alarm(code: str | None, sn: str, severity: Severity, message: str, occurred_at: str | None, active: bool) -> dict[str, Any]:
    return {
        "code": code,
        "device_sn": sn,
        "severity": severity.value,
        "message": message,
        "occurred_at": occurred_at,
        "is_active": active,
    }


def picked(expected: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: expected[name] for name in names}


SN = "10F0000000000001"
SOLIS_FOUND = [
    alarm("1015", SN, Severity.MEDIUM, "NO-Grid", "2026-01-15T12:10:00Z", True),
    alarm("1010", SN, Severity.LOW, "code 1010", "2026-01-14T18:00:00Z", False),
]
HUAWEI_SEEN = "2026-01-15T15:00:30Z"
HUAWEI_FOUND = alarm(
    "2003-1", "ES2350000001", Severity.HIGH, "DC arc fault: A PV string arcs or has poor contact.", "2026-01-15T12:10:00Z", True
)
GOODWE_FOUND = alarm("512", "56000ABC21W00001", Severity.HIGH, "Utility Loss", "2026-01-15T12:10:00Z", True)
DELE_FOUND = alarm("F56", "2402010000", Severity.HIGH, "F56 DC_VoltLow_Fault", "2026-01-15T12:10:00Z", True)
INVERTERS = [{"devId": 1000000033550011, "sn": "ES2350000001", "dataItemMap": HUAWEI_INVERTER}]
POINTS = [
    {"key": "TotalActiveProduction", "value": "12543.00", "unit": "kWh"},
    {"key": "DailyActiveProduction", "value": "14.30", "unit": "kWh"},
    {"key": "TotalGridPower", "value": "-2000", "unit": "W"},
]
DEVICE = {"deviceSn": "2402010000", "deviceType": "INVERTER", "deviceState": 1, "collectionTime": 1768489200, "dataList": POINTS}
SOLARMAN_POINTS = [{"key": "Et_ge0", "value": "12543", "unit": "kWh"}, {"key": "Etdy_ge1", "value": "14.3", "unit": "kWh"}]


@pytest.mark.parametrize(
    ("brand", "path", "body", "expected"),
    [
        (Brand.SOLIS, "/v1/api/stationDetail", solis(SOLIS_STATION), SUMMARY),
        (
            Brand.SOLIS,
            "/v1/api/userStationList",
            solis({"stationStatusVo": {"all": 1}, "page": {"records": [SOLIS_STATION], "total": 1}, "mpptSwitch": 0}),
            SUMMARY,
        ),
        (Brand.SOLIS, "/v1/api/userStationList", solis({"records": [SOLIS_STATION], "total": 1}), SUMMARY),
        (Brand.SOLIS, "/v1/api/stationMonth", solis(SOLIS_DAYS), SERIES),
        (
            Brand.SOLIS,
            "/v1/api/stationDayEnergyList",
            solis({"records": [{"id": SOLIS_ID, "energy": "32.1", "energyStr": "kWh", "dateStr": "2026-01-13"}], "total": 1}),
            {"days": {"2026-01-13": 32.1}},
        ),
        (Brand.SOLIS, "/v1/api/alarmList", solis({"records": SOLIS_ALARMS, "total": 2}), {"alarms": SOLIS_FOUND}),
        (Brand.SOLIS, "/v1/api/alarmList", solis({"page": {"records": SOLIS_ALARMS, "total": 2}}), {"alarms": SOLIS_FOUND}),
        (
            Brand.HUAWEI,
            "/thirdData/getStationRealKpi",
            huawei([{"stationCode": HUAWEI_ID, "dataItemMap": HUAWEI_KPI}]),
            picked(SUMMARY, "today_energy_kwh", "total_energy_kwh") | {"last_seen_at": HUAWEI_SEEN},
        ),
        (
            Brand.HUAWEI,
            "/thirdData/getDevRealKpi",
            huawei(INVERTERS, devIds="1000000033550011", devTypeId=38),
            {"current_power_w": 4200.0, "last_seen_at": HUAWEI_SEEN},
        ),
        (Brand.HUAWEI, "/thirdData/getKpiStationDay", huawei(HUAWEI_DAYS), SERIES),
        (Brand.HUAWEI, "/thirdData/getAlarmList", huawei([HUAWEI_ALARM]), {"alarms": [HUAWEI_FOUND]}),
        (Brand.HUAWEI, "/thirdData/getAlarmList", huawei([]), {"alarms": []}),
        (Brand.HUAWEI, "/thirdData/stations", huawei({"list": [{"plantCode": HUAWEI_ID, "capacity": 6.6}], "total": 1}), {}),
        (Brand.HUAWEI, "/thirdData/getStationList", huawei([{"stationCode": HUAWEI_ID, "capacity": 0.0066}]), {}),
        (
            Brand.HUAWEI,
            "/rest/pvms/web/kiosk/v1/station-kiosk-file?kk=secret",
            {
                "success": True,
                "data": "{&quot;realKpi&quot;:{&quot;realTimePower&quot;:&quot;4.2&quot;,&quot;dailyEnergy&quot;:14.3,"
                "&quot;cumulativeEnergy&quot;:12543}}",
            },
            picked(SUMMARY, "current_power_w", "today_energy_kwh", "total_energy_kwh"),
        ),
        (Brand.GOODWE, "/v3/PowerStation/GetMonitorDetailByPowerstationId", goodwe(GOODWE_DETAIL), SUMMARY),
        (Brand.GOODWE, "v2/PowerStation/GetMonitorDetailByPowerstationId", goodwe(GOODWE_DETAIL), SUMMARY),
        (
            Brand.GOODWE,
            "/PowerStationMonitor/QueryPowerStationMonitor",
            goodwe({"record": 1, "list": [{"powerstation_id": GOODWE_ID, "status": 1, "pac": 4200.0, "eday": 14.3, "etotal": 12543.0}]}),
            picked(SUMMARY, "current_power_w", "today_energy_kwh", "total_energy_kwh"),
        ),
        (Brand.GOODWE, "/v2/Charts/GetChartByPlant", goodwe({"lines": [GOODWE_LINE]}), SERIES),
        (
            Brand.GOODWE,
            "/v2/PowerStationMonitor/GetPowerStationPowerAndIncomeByDay",
            goodwe([{"d": "01/13/2026", "p": 32.1, "i": 28.9}, {"d": "01/14/2026", "p": "29.7"}]),
            SERIES,
        ),
        (
            Brand.GOODWE,
            "/SmartOperateMaintenance/GetPowerStationWariningInfoByMultiCondition",
            goodwe({"record": 1, "list": [GOODWE_WARNING]}),
            {"alarms": [GOODWE_FOUND]},
        ),
        (
            Brand.DELE,
            "/station/latest",
            dele(**DELE_LATEST),
            picked(SUMMARY, "current_power_w", "last_seen_at") | {"grid_injection_power_w": 2000.0},
        ),
        (
            Brand.DELE,
            "/station/v1.0/realTime",
            {
                "code": None,
                "success": True,
                "generationPower": 4200,
                "usePower": 1500,
                "generationTotal": 12543,
                "lastUpdateTime": 1768489200,
            },
            picked(SUMMARY, "current_power_w", "total_energy_kwh", "grid_injection_power_w", "last_seen_at"),
        ),
        (
            Brand.DELE,
            "/v1.0/station/list",
            dele(
                stationList=[{"id": int(DELE_ID), "generationPower": 4200.0, "lastUpdateTime": 1768489200.0, "connectionStatus": "NORMAL"}]
            ),
            picked(SUMMARY, "current_power_w", "last_seen_at"),
        ),
        (
            Brand.DELE,
            "/station/v1.0/list",
            dele(stationList=[{"id": DELE_ID, "generationPower": 4200, "lastUpdateTime": "1768489200", "networkStatus": "NORMAL"}]),
            picked(SUMMARY, "current_power_w", "last_seen_at"),
        ),
        (Brand.DELE, "/station/history", dele(total=2, stationDataItems=DELE_DAYS), SERIES),
        (Brand.DELE, "/station/v1.0/history", {"success": True, "code": 1000000, "stationDataItems": DELE_DAYS}, SERIES),
        (Brand.DELE, "/station/alertList", dele(total=1, stationAlertItems=[DELE_ALERT]), {"alarms": [DELE_FOUND]}),
        (Brand.DELE, "/station/alertList", dele(total=0, stationAlertItems=None), {"alarms": []}),
        (Brand.DELE, "/device/latest", dele(deviceDataList=[DEVICE]), picked(SUMMARY, "today_energy_kwh", "total_energy_kwh")),
        (
            Brand.DELE,
            "/device/v1.0/currentData",
            {"success": True, "code": None, "deviceSn": "2402010000", "deviceType": "INVERTER", "dataList": SOLARMAN_POINTS},
            picked(SUMMARY, "today_energy_kwh", "total_energy_kwh"),
        ),
    ],
)
def test_every_documented_path_says_what_its_example_says(brand: Brand, path: str, body: Any, expected: dict[str, Any]) -> None:
    found = read(brand, path, body)

    assert found == {name: pytest.approx(value) if isinstance(value, float) else value for name, value in expected.items()}
    assert list(json.loads(json.dumps(found, allow_nan=False))) == list(found)


def test_solarmans_alerts_have_names_of_their_own_and_in_the_first_version_no_status() -> None:
    first = {"deviceSn": "2402010000", "ruleId": 7, "showName": "Low DC", "addr": "DC_VoltLow", "code": "F56", "level": 2, "influence": 2}
    second = {"id": 1, "deviceSn": "2402010000", "alertName": "Low DC", "addr": "DC_VoltLow", "level": 1, "status": 0}
    times = {"alertStartTime": 1768479000, "alertEndTime": 1768479600}
    found = [
        alarm("F56", "2402010000", Severity.CRITICAL, "Low DC", "2026-01-15T12:10:00Z", True),
        alarm("DC_VoltLow", "2402010000", Severity.MEDIUM, "Low DC", "2026-01-15T12:10:00Z", False),
    ]

    listed = dele(total=1, stationAlertItems=[first | {"alertTime": 1768479000}])
    assert read(Brand.DELE, "/station/v1.0/alert", listed)["alarms"] == found[:1]
    assert read(Brand.DELE, "/station/v1.0/alertV2", dele(total=1, stationAlertItems=[second | times]))["alarms"] == found[1:]


@pytest.mark.parametrize(
    ("device_type", "expected"),
    [
        (1, {"current_power_w": 2100.0}),
        (38, {"current_power_w": 2100.0}),
        (17, {"grid_injection_power_w": 2100.0}),
        (47, {"grid_injection_power_w": 2.1}),
        (39, {}),
    ],
)
def test_what_huawei_means_by_active_power_depends_on_the_type_of_the_device(device_type: int, expected: dict[str, float]) -> None:
    body = huawei([{"devId": 1, "dataItemMap": {"active_power": "2.1", "run_state": 0}}])
    echoed = huawei([{"devId": 1, "dataItemMap": {"active_power": 2.1}}], devTypeId=str(device_type))

    assert read(Brand.HUAWEI, "/thirdData/getDevRealKpi", body, device_type=device_type) == expected
    assert read(Brand.HUAWEI, "/thirdData/getDevRealKpi", echoed) == expected


def test_the_type_that_the_payload_echoes_goes_before_the_one_that_was_told() -> None:
    body = huawei([{"devId": 1, "dataItemMap": {"active_power": 2.1, "run_state": 0}}], devTypeId=47)

    assert read(Brand.HUAWEI, "/thirdData/getDevRealKpi", body, device_type=1) == {"grid_injection_power_w": 2.1}


def test_a_device_of_no_known_type_says_what_is_needed() -> None:
    body = huawei([{"devId": 1, "dataItemMap": {"active_power": 2.1}}])
    found = read(Brand.HUAWEI, "/thirdData/getDevRealKpi", body)

    assert found["error"] == "INVALID_DATA_FORMAT"
    assert "--device-type" in found["message"]


def test_importing_is_no_export() -> None:
    meter = huawei([{"devId": 1, "dataItemMap": {"active_power": -900, "run_state": 1}}])

    found = read(Brand.HUAWEI, "/thirdData/getDevRealKpi", meter, device_type=47)
    assert found == {"grid_injection_power_w": 0.0, "last_seen_at": HUAWEI_SEEN}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/api/stationDetail",
        "https://www.soliscloud.com:13333/v1/api/stationDetail",
        "stationDetail",
        "/v1/api/stationDetail/?x=1#y",
        " /V1/API/STATIONDETAIL ",
    ],
)
def test_a_path_may_be_a_whole_address(path: str) -> None:
    assert read(Brand.SOLIS, path, solis(SOLIS_STATION)) == SUMMARY


@pytest.mark.parametrize("path", ["", "/", "/v1/api/nothing?key=hunter2", "/station/latest", "x" * 500])
def test_an_unknown_path_is_answered_with_the_known_ones(path: str) -> None:
    found = read(Brand.SOLIS, path, solis(SOLIS_STATION))

    assert found["error"] == "INVALID_DATA_FORMAT"
    assert "stationdetail" in found["message"]
    assert "hunter2" not in found["message"]
    assert len(found["message"]) < 400


THEIRS = {"stationId": "9", "stationCode": "NE=9", "powerstation_id": "9", "id": "9"}


@pytest.mark.parametrize(
    ("brand", "path", "body", "plant_id", "expected"),
    [
        (
            Brand.SOLIS,
            "/v1/api/userStationList",
            solis({"page": {"records": [SOLIS_STATION | {"id": "9", "power": 1.0}, SOLIS_STATION]}}),
            SOLIS_ID,
            SUMMARY,
        ),
        (
            Brand.SOLIS,
            "/v1/api/stationDayEnergyList",
            solis({"records": [SOLIS_DAYS[0] | {"id": "9", "energy": 1.0}, SOLIS_DAYS[0] | {"id": SOLIS_ID}]}),
            SOLIS_ID,
            {"days": {"2026-01-13": 32.1}},
        ),
        (
            Brand.SOLIS,
            "/v1/api/alarmList",
            solis({"records": [SOLIS_ALARMS[0] | {"stationId": "9"}, SOLIS_ALARMS[1]]}),
            SOLIS_ID,
            {"alarms": SOLIS_FOUND[1:]},
        ),
        (
            Brand.HUAWEI,
            "/thirdData/getStationRealKpi",
            huawei(
                [{"stationCode": "NE=9", "dataItemMap": {"day_power": 1}}, {"stationCode": HUAWEI_ID, "dataItemMap": {"day_power": "2"}}]
            ),
            HUAWEI_ID,
            {"today_energy_kwh": 2.0},
        ),
        (
            Brand.HUAWEI,
            "/thirdData/getKpiStationDay",
            huawei([HUAWEI_DAYS[0] | {"stationCode": "NE=9", "dataItemMap": {"PVYield": 1}}, *HUAWEI_DAYS]),
            HUAWEI_ID,
            SERIES,
        ),
        (
            Brand.HUAWEI,
            "/thirdData/getAlarmList",
            huawei([HUAWEI_ALARM | {"stationCode": "NE=9"}, HUAWEI_ALARM]),
            HUAWEI_ID,
            {"alarms": [HUAWEI_FOUND]},
        ),
        (
            Brand.GOODWE,
            "/PowerStationMonitor/QueryPowerStationMonitor",
            goodwe({"list": [{"powerstation_id": "9", "pac": 1}, {"powerstation_id": GOODWE_ID.upper(), "pac": 2}]}),
            GOODWE_ID,
            {"current_power_w": 2.0},
        ),
        (
            Brand.GOODWE,
            "/SmartOperateMaintenance/GetPowerStationWariningInfoByMultiCondition",
            goodwe({"record": 2, "list": [GOODWE_WARNING | {"stationId": "9"}, GOODWE_WARNING]}),
            GOODWE_ID,
            {"alarms": [GOODWE_FOUND]},
        ),
        (
            Brand.DELE,
            "/station/list",
            dele(stationList=[{"id": 9, "generationPower": 1}, {"id": int(DELE_ID), "generationPower": 2}]),
            DELE_ID,
            {"current_power_w": 2.0},
        ),
    ],
)
def test_of_several_plants_the_id_picks_one_and_without_it_they_are_named(
    brand: Brand, path: str, body: Any, plant_id: str, expected: dict[str, Any]
) -> None:
    assert read(brand, path, body, plant_id=plant_id) == expected
    undecided = read(brand, path, body)
    assert undecided["error"] == "INVALID_DATA_FORMAT"
    assert "--plant-id" in undecided["message"]
    assert "9" in undecided["message"]


@pytest.mark.parametrize(
    ("brand", "path", "body", "error"),
    [
        (Brand.SOLIS, "/v1/api/stationDetail", solis(SOLIS_STATION), "INVALID_DATA_FORMAT"),
        (Brand.SOLIS, "/v1/api/userStationList", solis({"page": {"records": [SOLIS_STATION]}}), "PLANT_NOT_FOUND"),
        (Brand.SOLIS, "/v1/api/alarmList", solis({"records": SOLIS_ALARMS}), "INVALID_DATA_FORMAT"),
        (Brand.HUAWEI, "/thirdData/getStationRealKpi", huawei([{"stationCode": HUAWEI_ID}]), "INVALID_DATA_FORMAT"),
        (Brand.HUAWEI, "/thirdData/stations", huawei({"list": [{"plantCode": HUAWEI_ID}]}), "PLANT_NOT_FOUND"),
        (Brand.HUAWEI, "/thirdData/getKpiStationDay", huawei(HUAWEI_DAYS), "INVALID_DATA_FORMAT"),
        (Brand.HUAWEI, "/thirdData/getAlarmList", huawei([HUAWEI_ALARM]), "INVALID_DATA_FORMAT"),
        (Brand.GOODWE, "/v3/PowerStation/GetMonitorDetailByPowerstationId", goodwe(GOODWE_DETAIL), "INVALID_DATA_FORMAT"),
        (Brand.GOODWE, "/PowerStationMonitor/QueryPowerStationMonitor", goodwe({"list": [THEIRS]}), "PLANT_NOT_FOUND"),
        (Brand.DELE, "/station/list", dele(stationList=[{"id": 9}]), "PLANT_NOT_FOUND"),
        (Brand.DELE, "/station/alertList", dele(stationAlertItems=[DELE_ALERT | {"stationId": 9}]), "INVALID_DATA_FORMAT"),
        (Brand.DELE, "/station/alertList", dele(stationId=9, stationAlertItems=[DELE_ALERT]), "INVALID_DATA_FORMAT"),
        (Brand.DELE, "/station/alertList", dele(stationId="9", total=0, stationAlertItems=None), "INVALID_DATA_FORMAT"),
        (Brand.DELE, "/v1.0/station/latest", dele(stationId=9, **DELE_LATEST), "INVALID_DATA_FORMAT"),
        (Brand.DELE, "/v1.0/station/latest", dele(id="9", **DELE_LATEST), "INVALID_DATA_FORMAT"),
        (Brand.DELE, "/station/history", dele(stationId=9, stationDataItems=DELE_DAYS), "INVALID_DATA_FORMAT"),
        (Brand.DELE, "/station/history", dele(stationDataItems=[DELE_DAYS[0] | {"stationId": 9}]), "INVALID_DATA_FORMAT"),
        (Brand.HUAWEI, "/thirdData/getDevRealKpi", huawei([INVERTERS[0] | {"stationCode": "NE=9"}], devTypeId=1), "INVALID_DATA_FORMAT"),
    ],
)
def test_an_answer_about_other_plants_only_is_refused(brand: Brand, path: str, body: Any, error: str) -> None:
    assert read(brand, path, body, plant_id="77")["error"] == error


@pytest.mark.parametrize(
    ("brand", "path", "body", "plant_id"),
    [
        (Brand.DELE, "/station/latest", dele(stationId=int(DELE_ID), id=DELE_ID, **DELE_LATEST), DELE_ID),
        (Brand.DELE, "/station/latest", dele(**DELE_LATEST), DELE_ID),
        (Brand.DELE, "/station/history", dele(stationId=DELE_ID, stationDataItems=[DELE_DAYS[0] | {"stationId": int(DELE_ID)}]), DELE_ID),
        (Brand.DELE, "/station/history", dele(stationDataItems=DELE_DAYS), DELE_ID),
        (Brand.DELE, "/station/alertList", dele(stationId=int(DELE_ID), stationAlertItems=[DELE_ALERT]), DELE_ID),
        (Brand.HUAWEI, "/thirdData/getDevRealKpi", huawei([INVERTERS[0] | {"stationCode": HUAWEI_ID}], devTypeId=1), HUAWEI_ID),
        (Brand.HUAWEI, "/thirdData/getDevRealKpi", huawei(INVERTERS, devTypeId=1), HUAWEI_ID),
    ],
)
def test_an_answer_about_the_plant_or_without_an_id_is_taken(brand: Brand, path: str, body: Any, plant_id: str) -> None:
    found = read(brand, path, body, plant_id=plant_id)

    assert found
    assert "error" not in found


A, R, P, V = "AUTH_FAILED", "RATE_LIMIT_EXCEEDED", "PLANT_NOT_FOUND", "VENDOR_ERROR"
SUMMARY_PATHS = {
    Brand.SOLIS: "/v1/api/stationDetail",
    Brand.HUAWEI: "/thirdData/getStationRealKpi",
    Brand.GOODWE: "/v3/PowerStation/GetMonitorDetailByPowerstationId",
    Brand.DELE: "/station/latest",
}
CODES: dict[Brand, dict[str, list[Any]]] = {
    Brand.SOLIS: {A: ["R0000", "I0012", "B0011"], P: ["1", "B0049"], V: ["I0000", "I0003", "Z1"]},
    Brand.HUAWEI: {
        A: [305, 401, 20400, 20403, 20001, 20002, 20003],
        R: [407, 429, 20618],
        P: [20007, 20010, 20045, 20046],
        V: [20004, 20200, *range(20011, 20019), *range(20024, 20028)],
    },
    Brand.GOODWE: {A: [100001, 100002, 100005, 100025, "C0501"], R: ["GY0429"], V: [100000, "C0602", 100004]},
    Brand.DELE: {
        A: [2101017, 2101018, 2101019, 2101020, 2101021, 2101025, 2101028],
        R: [2101002, 2101010],
        P: [2101031, 2101024, 2101023],
        V: [3201001, 3501004, *range(2101005, 2101009), *range(2101012, 2101016), 2101026],
    },
}


@pytest.mark.parametrize(
    ("brand", "error", "code"),
    [(brand, error, code) for brand, errors in CODES.items() for error, codes in errors.items() for code in codes],
)
def test_every_code_of_the_vendors_table_has_its_class_as_number_and_as_text(brand: Brand, error: str, code: Any) -> None:
    field = "failCode" if brand is Brand.HUAWEI else "code"
    for written in (code, str(code)):
        for lie in (False, True):
            body = {"success": lie, "hasError": not lie, field: written, "msg": "no", "params": None, "data": None}
            assert read(brand, SUMMARY_PATHS[brand], body)["error"] == error
            assert read(brand, SUMMARY_PATHS[brand], body, http_status=500)["error"] == error


@pytest.mark.parametrize(
    ("brand", "body", "status", "error"),
    [
        (Brand.SOLIS, {"success": False, "code": "R0000", "msg": "No authority too many request 200 times in 1DAYS"}, 200, R),
        (Brand.SOLIS, {"success": False, "code": "R0000", "msg": "No authority too many request 200 times in 1DAYS"}, 403, R),
        (Brand.SOLIS, b"no authority", 403, A),
        (Brand.SOLIS, b"No authority\n", 200, A),
        (Brand.SOLIS, b'"no authority"', 200, A),
        (Brand.SOLIS, b"R0000", 200, A),
        (Brand.SOLIS, b"No authority too many request 200 times in 1DAYS", 200, R),
        (Brand.SOLIS, b"R0000 No authority too many request 200 times in 1DAYS", 403, R),
        (Brand.SOLIS, b'"too many requests"', 403, R),
        (Brand.SOLIS, {"msg": "too many request"}, 403, R),
        (Brand.SOLIS, b"no authority", 429, R),
        (Brand.SOLIS, b"", 401, A),
        (Brand.SOLIS, b"", 408, V),
        (Brand.SOLIS, b"<html>502</html>", 502, V),
        (Brand.SOLIS, {"code": "I0000"}, 429, R),
        (Brand.HUAWEI, {"success": False, "failCode": 407, "params": None, "data": "ACCESS_FREQUENCY_IS_TOO_HIGH"}, 200, R),
        (Brand.HUAWEI, {"success": False, "data": "ACCESS_FREQUENCY_IS_TOO_HIGH"}, 200, R),
        (Brand.HUAWEI, {"errorCode": "49401021002", "exceptionInfo": "flow.quotaControl"}, 200, R),
        (Brand.HUAWEI, {"errorCode": "49401021002"}, 400, R),
        (Brand.HUAWEI, {"exceptionId": "framwork.remote.Paramerror", "exceptionType": "ROA_EXFRAME_EXCEPTION", "reasonArgs": []}, 400, V),
        (Brand.HUAWEI, {"success": True, "failCode": 0, "data": []}, 200, P),
        (Brand.GOODWE, {"code": "0", "hasError": False, "data": {}, "msg": "\u64cd\u4f5c\u6210\u529f"}, 200, P),
        (Brand.GOODWE, {"code": 0, "data": None}, 200, P),
        (Brand.DELE, {"status": 500, "exception": "java.lang.reflect.UndeclaredThrowableException"}, 500, A),
        (Brand.DELE, {"status": 500, "exception": "java.lang.reflect.UndeclaredThrowableException"}, 200, A),
        (Brand.DELE, {"status": 500, "exception": "java.lang.NullPointerException"}, 500, V),
    ],
)
def test_errors_in_bodies_and_statuses(brand: Brand, body: Any, status: int, error: str) -> None:
    assert read(brand, SUMMARY_PATHS[brand], body, http_status=status)["error"] == error


def test_a_list_of_the_account_cannot_lack_the_plant_that_nobody_named() -> None:
    busy = {"success": True, "code": "1", "msg": "x", "data": None}

    assert read(Brand.SOLIS, "/v1/api/userStationList", busy)["error"] == V
    assert read(Brand.SOLIS, "/v1/api/stationDetail", busy)["error"] == P


@pytest.mark.parametrize(
    ("brand", "body"),
    [
        (Brand.SOLIS, {"success": False, "code": "B0115", "data": None}),
        (Brand.DELE, {"success": False, "code": 2101016, "msg": "no uploads"}),
    ],
)
def test_a_silent_device_is_no_error_and_says_nothing(brand: Brand, body: Any) -> None:
    assert read(brand, SUMMARY_PATHS[brand], body) == {}


@pytest.mark.parametrize(
    ("brand", "path", "body"),
    [
        (Brand.SOLIS, "/v1/api/alarmList", {"success": True, "code": "B0115", "data": None}),
        (Brand.DELE, "/station/alertList", {"success": False, "code": 2101016, "msg": "no uploads"}),
        (Brand.DELE, "/device/alertList", {"success": True, "code": "2101016", "total": 0, "stationAlertItems": []}),
    ],
)
def test_a_silent_device_does_not_say_that_there_are_no_alarms(brand: Brand, path: str, body: Any) -> None:
    assert read(brand, path, body) == {}


def test_null_and_not_available_as_text_are_nothing() -> None:
    station = SOLIS_STATION | {"dayEnergyStr": "null", "powerStr": "null"}
    row = SOLIS_ALARMS[0] | {"alarmMsg": "null", "advice": "null", "alarmDeviceSn": "null"}
    alarms = read(Brand.SOLIS, "/v1/api/alarmList", solis({"records": [row, row | {"advice": "Check the breaker"}], "total": 2}))["alarms"]
    huaweis = read(Brand.HUAWEI, "/thirdData/getAlarmList", huawei([HUAWEI_ALARM | {"esnCode": "N/A", "alarmCause": "N/A"}]))["alarms"]

    assert read(Brand.SOLIS, "/v1/api/stationDetail", solis(station)) == SUMMARY
    assert [found["message"] for found in alarms] == ["code 1015", "Check the breaker"]
    assert [found["device_sn"] for found in alarms + huaweis] == [None, None, None]
    assert huaweis[0]["message"] == "DC arc fault"


def test_implausible_values_are_refused_one_by_one() -> None:
    odd = SOLIS_STATION | {"power": -1.0, "dayEnergy": 200.0, "allEnergy1": 1e9}

    found = read(Brand.SOLIS, "/v1/api/stationDetail", solis(odd), capacity_kwp=6.6)
    assert found == picked(SUMMARY, "grid_injection_power_w", "last_seen_at")
    days = [SOLIS_DAYS[0] | {"energy": 158.5}, SOLIS_DAYS[1], SOLIS_DAYS[0] | {"dateStr": "2026-01-15", "energy": -1}]
    assert read(Brand.SOLIS, "/v1/api/stationMonth", solis(days), capacity_kwp=6.6) == {"days": {"2026-01-14": 29.7}}


def test_a_time_a_little_ahead_is_now_and_one_far_ahead_takes_the_reading_with_it() -> None:
    at = "/v1/api/stationDetail"
    soon, late = datetime(2026, 1, 15, 14, 55, tzinfo=UTC), datetime(2026, 1, 15, 14, 54, 59, tzinfo=UTC)

    assert read(Brand.SOLIS, at, solis(SOLIS_STATION), now=soon) == SUMMARY | {"last_seen_at": "2026-01-15T14:55:00Z"}
    assert read(Brand.SOLIS, at, solis(SOLIS_STATION), now=late) == {}
    ahead = read(Brand.HUAWEI, "/thirdData/getAlarmList", huawei([HUAWEI_ALARM]), now=datetime(2026, 1, 15, 11, tzinfo=UTC))
    assert ahead["alarms"][0]["occurred_at"] is None


# Captures in the field. The shapes are those of public repositories (VENDORS 6: SOL-FIX, HW-FIX, GW-FIX, DY-HA); the values are changed.


def test_a_solis_capture_without_its_envelope_is_read_all_the_same() -> None:
    kept = {
        "id": "666666",
        "dataTimestamp": "1761467806517",
        "state": 1,
        "power": 0.032,
        "powerStr": "kW",
        "powerPec": "1",
        "dayEnergy": 0.0,
        "dayEnergyStr": "kWh",
        "yearEnergy": 1.152,
        "yearEnergyStr": "MWh",
        "allEnergy": 8.824,
        "allEnergyStr": "MWh",
        "allEnergy1": 8824.0,
        "psum": 0.0,
        "psumStr": "kW",
        "psumPec": "1",
        "power1": 0,
        "dayEnergy1": 0,
        "extraInfo": '{"invs":[{"m":"e2","sn":"AAA333"}]}',
        "priceMap": {"sell": "0.1000", "buy": "0"},
    }

    assert read(Brand.SOLIS, "/v1/api/stationDetail", kept) == {
        "current_power_w": 32.0,
        "today_energy_kwh": 0.0,
        "total_energy_kwh": 8824.0,
        "grid_injection_power_w": 0.0,
        "last_seen_at": "2025-10-26T08:36:46.517000Z",
    }


def test_a_huawei_capture_of_a_string_inverter() -> None:
    body = {
        "data": [
            {"devId": 1000000011111111, "dataItemMap": {"pv2_u": 0.0, "active_power": 2.053, "run_state": 1, "inverter_state": 512.0}}
        ],
        "failCode": 0,
        "message": None,
        "params": {"currentTime": 1635758600700, "devIds": "1000000011111111", "devTypeId": 1},
        "success": True,
    }

    assert read(Brand.HUAWEI, "/thirdData/getDevRealKpi", body) == {
        "current_power_w": pytest.approx(2053.0),
        "last_seen_at": "2021-11-01T09:23:20.700000Z",
    }


def test_a_huawei_alarm_without_a_cause_has_its_type_as_code() -> None:
    body = {"success": True, "failCode": 0, "data": [HUAWEI_ALARM | {"alarmId": 999999999, "causeId": -1, "lev": 1}]}
    found = read(Brand.HUAWEI, "/thirdData/getAlarmList", body)["alarms"][0]

    assert (found["code"], found["severity"]) == ("999999999", "CRITICAL")


def test_a_goodwe_capture_at_night_imports_through_a_meter_that_hasmeter_denies() -> None:
    kept = {
        "info": {
            "powerstation_id": GOODWE_ID,
            "time": "06/22/2025 17: 06: 27",
            "date_format": "MM.dd.yyyy",
            "status": 0,
            "time_span": -10.0,
        },
        "kpi": {"month_generation": 594.8, "pac": 0.0, "power": 30.3, "total_power": 16851.1, "currency": "AUD"},
        "inverter": [
            {
                "sn": "TESTSN0000000001",
                "last_refresh_time": "06/22/2025 17: 02: 36",
                "d": {"last_refresh_time": "06.22.2025 17: 02: 36", "creationDate": "06/22/2025 15: 02: 36", "vac2": 6553.5},
                "invert_full": {"pac": 0.0, "eday": 30.3, "pmeter": -2337.0, "hasmeter": False, "last_time": 1750575756619},
            }
        ],
        "hasPowerflow": False,
        "powerflow": None,
    }
    expected = {
        "current_power_w": 0.0,
        "today_energy_kwh": 30.3,
        "total_energy_kwh": 16851.1,
        "grid_injection_power_w": 0.0,
        "last_seen_at": "2025-06-22T07:02:36.619000Z",
    }
    path = "/v2/PowerStation/GetMonitorDetailByPowerstationId"

    assert read(Brand.GOODWE, path, kept) == expected
    assert read(Brand.GOODWE, path, goodwe(kept)) == expected
    del kept["inverter"][0]["invert_full"]["last_time"]  # type: ignore[index]
    assert read(Brand.GOODWE, path, kept)["last_seen_at"] == "2025-06-22T07:02:36Z"


def test_a_goodwe_capture_without_exact_times_goes_by_the_accounts_date_format() -> None:
    inverter: dict[str, Any] = {"sn": "x", "out_pac": 265.0, "d": {"last_refresh_time": "09.05.2026 18:49:40", "output_power": "265W"}}
    kept = {
        "info": {"date_format": "MM.dd.yyyy", "time_span": -2.0},
        "kpi": {},
        "inverter": [inverter],
        "powerflow": {"pv": "", "grid": ""},
    }
    later = datetime(2026, 9, 6, tzinfo=UTC)
    path = "/v3/PowerStation/GetMonitorDetailByPowerstationId"

    expected = {"current_power_w": 265.0, "last_seen_at": "2026-09-05T16:49:40Z"}
    assert read(Brand.GOODWE, path, goodwe(kept), now=later) == expected
    inverter["d"] |= {"creationDate": "09/06/2026 00:49:40"}
    assert read(Brand.GOODWE, path, goodwe(kept), now=later) == expected


def test_a_goodwe_chart_of_consumption_gives_its_generation_alone() -> None:
    lines = [
        GOODWE_LINE | {"name": None},
        {"label": "Consumption (kWh)", "name": "Consumption", "unit": "kWh", "xy": [{"x": "2026-01-13", "y": 1.0}]},
        {"label": "Buy (kWh)", "name": "Buy", "unit": "kWh", "xy": [{"x": "2026-01-13", "y": 2.0}]},
    ]

    assert read(Brand.GOODWE, "/v2/Charts/GetChartByPlant", goodwe({"lines": lines})) == SERIES
    megawatts = [GOODWE_LINE | {"unit": "MWh", "xy": [{"x": "2026-01-13", "y": "0.0321"}]}]
    assert read(Brand.GOODWE, "/v2/Charts/GetChartByPlant", goodwe({"lines": megawatts}))["days"]["2026-01-13"] == pytest.approx(32.1)


@pytest.mark.parametrize("unit", [None, "", "null"])
def test_a_goodwe_chart_without_a_unit_has_it_in_its_label(unit: str | None) -> None:
    line = GOODWE_LINE | {"label": "Generation (MWh)", "unit": unit, "xy": [{"x": "2026-01-13", "y": 0.0321}]}

    found = read(Brand.GOODWE, "/v2/Charts/GetChartByPlant", goodwe({"lines": [line]}))
    assert found == {"days": {"2026-01-13": pytest.approx(32.1)}}


def test_a_deye_capture_may_lack_its_code() -> None:
    kept = {"success": True, "generationPower": 1500.0, "consumptionPower": 820.0, "gridPower": 310.0, "wirePower": 0.0}

    found = read(Brand.DELE, "/v1.0/station/latest", kept | {"lastUpdateTime": 1768489148.0})
    assert found == {"current_power_w": 1500.0, "grid_injection_power_w": 310.0, "last_seen_at": "2026-01-15T14:59:08Z"}


@pytest.mark.parametrize("brand", list(Brand))
@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[]", b"{}", b"\xff", b"[" * 100_000 + b"]" * 100_000, b" " * (1 << 21)])
def test_what_is_no_answer_is_said_to_be_none(brand: Brand, body: bytes) -> None:
    for path in [SUMMARY_PATHS[brand], *PATHS[brand]]:
        found = read(brand, path, body)

        assert set(found) == {"error", "message"}
        assert found["error"] == AdapterErrorType.INVALID_DATA_FORMAT


PATHS = {
    Brand.SOLIS: ["stationMonth", "userStationList", "stationDayEnergyList", "alarmList"],
    Brand.HUAWEI: ["getDevRealKpi", "getDevList", "stations", "getKpiStationDay", "getAlarmList", "station-kiosk-file"],
    Brand.GOODWE: [
        "QueryPowerStationMonitor",
        "GetChartByPlant",
        "GetPowerStationPowerAndIncomeByDay",
        "GetPowerStationWariningInfoByMultiCondition",
    ],
    Brand.DELE: ["station/list", "station/history", "station/alertList", "device/latest"],
}
