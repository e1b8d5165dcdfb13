"""The SEMS portal: the examples of VENDORS 3.5 and the traps of 3.2 and 3.3."""

from copy import deepcopy
from datetime import UTC, date, datetime
from typing import Any

import pytest

from integrations.contract import Alarm, Reading, Severity
from integrations.errors import AdapterError, AdapterErrorType
from integrations.goodwe import normalise
from integrations.goodwe.adapter import GoodweAdapter
from tests.unit.integrations.answers import NOON, SAO_PAULO, Vendor, answer, plant

ID = "11111111-2222-4333-8444-555555555555"
DETAIL: dict[str, Any] = {
    "info": {"powerstation_id": ID, "time": "01/15/2026 12:01:10", "date_format": "dd/MM/yyyy", "time_span": 3.0, "status": 1},
    "kpi": {"pac": 4200.0, "power": 14.3, "month_generation": 402.0, "total_power": 12543.0},
    "hasPowerflow": True,
    "powerflow": {"pv": "4200(W)", "load": "1500(W)", "grid": "2700(W)", "gridStatus": 1},
    "inverter": [
        {
            "sn": "56000ABC21W00001",
            "eday": 14.3,
            "etotal": 12543.0,
            "last_refresh_time": "01/15/2026 11:58:00",
            "d": {"last_refresh_time": "15/01/2026 12:00:00", "creationDate": "01/15/2026 23:00:00"},
            "invert_full": {"pac": 4200.0, "eday": 14.3, "etotal": 12543.0, "pmeter": 2700.0, "last_time": 1768489200000, "vac2": 6553.5},
        }
    ],
}
WARNING = {
    "stationId": ID,
    "devicesn": "56000ABC21W00001",
    "warningid": "w-0001",
    "warningname": "Utility Loss",
    "warninglevel": 4,
    "error_code": 512,
    "status": 0,
    "happentime": "01/15/2026 09:10:00",
    "recoverytime": "",
}


def envelope(data: Any, code: Any = "0") -> dict[str, Any]:
    return {"language": "en", "function": None, "hasError": False, "msg": "success", "code": code, "data": data}


def detail(**parts: Any) -> Reading:
    """The example with parts replaced: `kpi`, `powerflow`, `inverter`, `info`; `full` replaces fields of `invert_full`."""
    data = deepcopy(DETAIL)
    data["inverter"][0]["invert_full"] |= parts.pop("full", {})
    return normalise.monitor_detail(answer(envelope(data | parts)), ID, SAO_PAULO)


def error_of(body: Any) -> AdapterErrorType:
    with pytest.raises(AdapterError) as caught:
        normalise.monitor_detail(answer(body), ID, SAO_PAULO)
    return caught.value.error_type


def test_the_documented_summary_is_read_whole() -> None:
    assert detail() == Reading(
        sampled_at=NOON,
        last_seen_at=NOON,
        current_power_w=4200.0,
        today_energy_kwh=14.3,
        total_energy_kwh=12543.0,
        grid_injection_power_w=2700.0,
    )


@pytest.mark.parametrize("code", [0, "0", "00000"])
def test_three_codes_mean_success(code: Any) -> None:
    assert normalise.monitor_detail(answer(envelope(DETAIL, code)), ID, SAO_PAULO).current_power_w == 4200.0


def test_what_the_plant_does_not_say_its_inverters_do() -> None:
    one = DETAIL["inverter"][0]
    two = {"invert_full": {"pac": 1000, "eday": "0.7kWh", "etotal": 7.0, "pmeter": 0}, "eday": 0.7, "etotal": 99.0}
    reading = detail(kpi={}, inverter=[one, two])

    assert reading.current_power_w == 5200.0
    assert reading.today_energy_kwh == pytest.approx(15.0)
    assert reading.total_energy_kwh == 12550.0


def test_a_total_with_a_silent_inverter_is_unknown_rather_than_too_low() -> None:
    reading = detail(kpi=None, inverter=[DETAIL["inverter"][0], {"invert_full": None}])

    assert (reading.total_energy_kwh, reading.today_energy_kwh, reading.current_power_w) == (None, None, 4200.0)


@pytest.mark.parametrize(
    ("pv", "watts"), [("4200(W)", 4200.0), ("4.2(kW)", 4200.0), ("4200W", 4200.0), ("-(W)", None), (None, None), ("6553.5(W)", None)]
)
def test_the_flow_diagram_is_the_last_source_of_power(pv: Any, watts: float | None) -> None:
    assert detail(kpi=None, full={"pac": None}, powerflow={"pv": pv}).current_power_w == watts


@pytest.mark.parametrize("sentinel", [6553.5, 655.35, 4294967.295, "6553.5"])
def test_all_bits_set_means_no_value(sentinel: Any) -> None:
    reading = detail(kpi={"pac": sentinel, "power": sentinel, "total_power": sentinel}, full={"pac": sentinel, "pmeter": sentinel})

    assert reading.current_power_w == 4200.0  # the flow diagram's
    assert reading.today_energy_kwh == 14.3
    assert reading.grid_injection_power_w == 2700.0


@pytest.mark.parametrize(
    ("pmeter", "flow", "export"),
    [
        (2700.0, None, 2700.0),
        (-2337.0, {"grid": "2337(W)", "gridStatus": -1}, 0.0),
        (None, {"grid": "2337(W)", "gridStatus": -1}, None),
        (None, {"grid": "2700(W)", "gridStatus": 1}, 2700.0),
        (None, {"grid": "0(W)", "gridStatus": 0}, None),
        (None, None, None),
    ],
)
def test_grid_power_has_a_sign_at_the_meter_and_a_direction_in_the_diagram(pmeter: Any, flow: Any, export: float | None) -> None:
    assert detail(full={"pmeter": pmeter}, powerflow=flow).grid_injection_power_w == export


def test_without_an_exact_time_the_refresh_time_is_read_in_the_plants_offset() -> None:
    assert detail(full={"last_time": None}).last_seen_at == datetime(2026, 1, 15, 14, 58, tzinfo=UTC)
    australia = DETAIL["info"] | {"time_span": -10.0}
    assert detail(full={"last_time": None}, info=australia).last_seen_at == datetime(2026, 1, 15, 1, 58, tzinfo=UTC)
    assert detail(full={"last_time": None}, info={"powerstation_id": ID}).last_seen_at == datetime(2026, 1, 15, 14, 58, tzinfo=UTC)


def test_without_any_local_time_the_creation_date_is_read_as_chinas() -> None:
    inverter = {"d": {"last_refresh_time": "09.05.2026 18:49:40", "creationDate": "09/06/2026 00:49:40"}}

    assert detail(inverter=[inverter]).last_seen_at == datetime(2026, 9, 5, 16, 49, 40, tzinfo=UTC)


def test_a_meter_that_is_denied_and_measures_all_the_same_is_there() -> None:
    assert detail(full={"pmeter": -2337.0, "hasmeter": False}, powerflow=None).grid_injection_power_w == 0.0
    assert detail(full={"pmeter": 2337.0, "hasmeter": False}, powerflow=None).grid_injection_power_w == 2337.0


def test_a_meter_that_is_not_there_measures_nothing() -> None:
    assert detail(full={"pmeter": 0.0, "hasmeter": False}, powerflow=None).grid_injection_power_w is None
    assert detail(full={"pmeter": 0.0, "hasmeter": True}, powerflow=None).grid_injection_power_w == 0.0


def test_blanks_within_a_time_are_forgiven() -> None:
    inverter = {"last_refresh_time": "01/15/2026 11: 58: 00"}

    assert detail(inverter=[inverter]).last_seen_at == datetime(2026, 1, 15, 14, 58, tzinfo=UTC)


def test_the_servers_clock_is_no_sign_of_life() -> None:
    reading = detail(inverter=[])

    assert (reading.last_seen_at, reading.sampled_at) == (None, None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"hasError": True, "code": 100002, "msg": "The authorization has expired", "data": None}, AdapterErrorType.AUTH_FAILED),
        ({"code": "GY0429", "msg": "Too many requests", "data": None}, AdapterErrorType.RATE_LIMIT_EXCEEDED),
        ({"code": "100005", "data": ""}, AdapterErrorType.AUTH_FAILED),
        ({"code": "C0501", "data": 7}, AdapterErrorType.AUTH_FAILED),
        ({"code": "C0602", "data": None}, AdapterErrorType.VENDOR_ERROR),
        ({"code": 100004, "data": None}, AdapterErrorType.VENDOR_ERROR),
        (envelope(None), AdapterErrorType.PLANT_NOT_FOUND),
        (envelope(""), AdapterErrorType.PLANT_NOT_FOUND),
        (envelope([]), AdapterErrorType.PLANT_NOT_FOUND),
        (envelope({}), AdapterErrorType.PLANT_NOT_FOUND),
        (envelope(7), AdapterErrorType.INVALID_DATA_FORMAT),
        ({"data": DETAIL}, AdapterErrorType.INVALID_DATA_FORMAT),
        (envelope(DETAIL | {"info": {"powerstation_id": "other"}}), AdapterErrorType.INVALID_DATA_FORMAT),
    ],
)
def test_errors_within_http_200_are_told_by_their_code(body: Any, expected: AdapterErrorType) -> None:
    assert error_of(body) is expected


def test_letter_case_of_an_id_means_nothing() -> None:
    body = answer(envelope(DETAIL | {"info": {"powerstation_id": ID.upper()}}))

    assert normalise.monitor_detail(body, ID, SAO_PAULO).current_power_w == 4200.0


def test_the_chart_gives_its_line_of_generation_without_the_days_to_come() -> None:
    points = [{"x": "2026-01-13", "y": 32.1}, {"x": "2026-01-14", "y": 0}, {"x": "2026-01-15", "y": 14.3}, {"x": "2026-01-16", "y": None}]
    lines = [
        {"label": "Generation (kWh)", "name": "PVGeneration", "unit": "kWh", "xy": points},
        {"label": "Income (BRL)", "name": "Income", "unit": "BRL", "xy": [{"x": "2026-01-13", "y": 28.9}]},
    ]
    days = {date(2026, 1, 13): 32.1, date(2026, 1, 14): 0.0, date(2026, 1, 15): 14.3}

    assert normalise.chart_of_days(answer(envelope({"lines": lines}))) == days
    assert normalise.chart_of_days(answer(envelope({"lines": [{"label": "Generation (kWh)", "xy": points}]}))) == days


def test_the_documented_warning_is_read_in_the_plants_zone() -> None:
    rows = [WARNING, WARNING | {"error_code": "32", "warninglevel": 1, "status": 1, "recoverytime": "01/14/2026 15:35:00"}]
    page = normalise.warnings(answer(envelope({"record": 2, "list": rows})), ID, SAO_PAULO)

    assert page.alarms[0] == Alarm(
        code="512",
        device_sn="56000ABC21W00001",
        severity=Severity.HIGH,
        message="Utility Loss",
        occurred_at=datetime(2026, 1, 15, 12, 10, tzinfo=UTC),
        is_active=True,
    )
    assert (page.alarms[1].code, page.alarms[1].severity, page.alarms[1].is_active) == ("32", Severity.LOW, False)


@pytest.mark.parametrize(("level", "severity"), [(1, "LOW"), (2, "MEDIUM"), (4, "HIGH"), (None, "MEDIUM"), (3, "MEDIUM")])
def test_levels_are_bits(level: Any, severity: str) -> None:
    rows = {"record": 1, "list": [WARNING | {"warninglevel": level}]}

    assert normalise.warnings(answer(envelope(rows)), ID, SAO_PAULO).alarms[0].severity is Severity(severity)


def test_other_plants_warnings_are_left_out_since_the_vendor_ignores_the_filter() -> None:
    exchange = Vendor(
        {
            "/SmartOperateMaintenance/GetPowerStationWariningInfoByMultiCondition": envelope(
                {"record": 2, "list": [WARNING | {"stationId": "other"}, WARNING]}
            )
        }
    )
    found = GoodweAdapter().read_alarms(plant(ID), exchange, NOON)

    assert ([alarm.code for alarm in found.alarms], found.complete) == (["512"], True)
    spans = [(request.body["starttime"], request.body["endtime"]) for request in exchange.asked]
    assert spans == [("12/16/2025 12:00:00", "01/15/2026 12:00:00"), ("11/16/2025 12:00:00", "12/16/2025 12:00:00")]


@pytest.mark.parametrize("data", [None, "", {}])
def test_a_chart_of_nothing_is_a_plant_that_is_not_there(data: Any) -> None:
    with pytest.raises(AdapterError) as caught:
        normalise.chart_of_days(answer(envelope(data)))

    assert caught.value.error_type is AdapterErrorType.PLANT_NOT_FOUND


def test_a_missing_list_is_a_failed_look_up() -> None:
    for data in (None, {}, {"record": 1, "list": None}):
        with pytest.raises(AdapterError):
            normalise.warnings(answer(envelope(data)), ID, SAO_PAULO)
