"""FusionSolar answers into normalised values (VENDORS 2.2 to 2.6). Pure; called by `adapter.py`.

Each function takes one answer and the plant it must be about (None: whichever it is about), and raises AdapterError.
The plant's own figures hold energies only (`day_power` is kWh, despite its name): power is the sum of its inverters.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, tzinfo
from typing import NamedTuple

import msgspec

from integrations.contract import Alarm, Severity, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.payload import (
    Answer,
    Loose,
    code,
    decode,
    epoch_ms,
    message,
    missing,
    no_plant,
    number,
    open_answer,
    other_plant,
    refuse_http_errors,
    same_id,
    text,
    total,
    unnamed,
    whole,
)

VENDOR = "FusionSolar"

INVERTERS = (1, 38)
"""String inverter, residential inverter."""
GRID_METER = 17
POWER_SENSOR = 47

POWER_SCALES: Mapping[int, float] = {1: 1000.0, 38: 1000.0, GRID_METER: 1000.0, POWER_SENSOR: 1.0}
"""`active_power` to W by device type: power sensors alone report W."""

METER_EXPORT_SIGN = 1
"""Positive meter power is export: common practice, not confirmed by the vendor's document."""

HEALTHY = 3
CONNECTED = 1
NO_DEVICES = {"20008", "20011"}

ERRORS = {
    **dict.fromkeys(("305", "401", "20001", "20002", "20003", "20400", "20403"), AdapterErrorType.AUTH_FAILED),
    **dict.fromkeys(("407", "429", "20618"), AdapterErrorType.RATE_LIMIT_EXCEEDED),
    **dict.fromkeys(("20007", "20010", "20045", "20046"), AdapterErrorType.PLANT_NOT_FOUND),
}
"""Every other code is VENDOR_ERROR."""

RETRY_AFTER_SECONDS = {"429": 60.0}
"""The vendor asks to wait a minute after its system-level limit; for the others it names no time."""

SEVERITIES = {1: Severity.CRITICAL, 2: Severity.HIGH, 3: Severity.MEDIUM, 4: Severity.LOW}
ACTIVE = (1, 2, 3)
"""Active, acknowledged, being handled."""


class StationKpi(NamedTuple):
    """What `getStationRealKpi` says of one plant."""

    last_seen_at: datetime | None
    today_energy_kwh: float | None
    total_energy_kwh: float | None


class DeviceKpi(NamedTuple):
    """What `getDevRealKpi` says of the devices of one type, together."""

    last_seen_at: datetime | None
    power_w: float | None


class Verdict(msgspec.Struct, rename="camel"):
    """How the request went, whatever else the answer holds."""

    success: Loose = None
    fail_code: Loose = None
    error_code: Loose = None
    """The two gateways in front of the API have error bodies of their own: with this key, or with `exceptionId`."""
    exception_id: Loose = None
    exception_info: Loose = None


class Params(msgspec.Struct, rename="camel"):
    current_time: Loose = None


class Envelope(Verdict):
    params: Params | None = None


class StationItems(msgspec.Struct):
    real_health_state: Loose = None
    day_power: Loose = None
    total_power: Loose = None


class StationRow(msgspec.Struct, rename="camel"):
    station_code: Loose = None
    data_item_map: StationItems | None = None


class StationAnswer(Envelope):
    data: list[StationRow] | None = None


class DeviceRow(msgspec.Struct, rename="camel"):
    id: Loose = None
    dev_type_id: Loose = None
    station_code: Loose = None


class DevicesAnswer(Envelope):
    data: list[DeviceRow] | None = None


class DeviceItems(msgspec.Struct):
    active_power: Loose = None
    run_state: Loose = None


class DeviceKpiRow(msgspec.Struct, rename="camel"):
    dev_id: Loose = None
    data_item_map: DeviceItems | None = None


class DeviceKpiAnswer(Envelope):
    data: list[DeviceKpiRow] | None = None


class DayItems(msgspec.Struct, rename={"pv_yield": "PVYield"}):
    pv_yield: Loose = None
    inverter_power: Loose = None


class DayRow(msgspec.Struct, rename="camel"):
    station_code: Loose = None
    collect_time: Loose = None
    data_item_map: DayItems | None = None


class DaysAnswer(Envelope):
    data: list[DayRow] | None = None


class AlarmRow(msgspec.Struct, rename="camel"):
    station_code: Loose = None
    alarm_id: Loose = None
    cause_id: Loose = None
    esn_code: Loose = None
    lev: Loose = None
    alarm_name: Loose = None
    alarm_cause: Loose = None
    raise_time: Loose = None
    status: Loose = None


class AlarmsAnswer(Envelope):
    data: list[AlarmRow] | None = None


_BARE = msgspec.json.Decoder(Verdict)
_STATION = msgspec.json.Decoder(StationAnswer)
_DEVICES = msgspec.json.Decoder(DevicesAnswer)
_DEVICE_KPI = msgspec.json.Decoder(DeviceKpiAnswer)
_DAYS = msgspec.json.Decoder(DaysAnswer)
_ALARMS = msgspec.json.Decoder(AlarmsAnswer)


def station_real_kpi(response: VendorResponse, plant_id: str | None) -> StationKpi:
    """`/thirdData/getStationRealKpi`: energies in kWh.

    The answer's own time counts as the plant's only while the vendor calls it healthy.
    """
    answer = _open(response, _STATION)
    row = _row_of(answer.data, plant_id)
    items = row.data_item_map or StationItems()
    healthy = whole(items.real_health_state) == HEALTHY
    return StationKpi(
        last_seen_at=_server_time(answer) if healthy else None,
        today_energy_kwh=number(items.day_power),
        total_energy_kwh=number(items.total_power),
    )


def device_list(response: VendorResponse, plant_id: str | None) -> dict[int, list[str]]:
    """`/thirdData/getDevList`: device ids by device type. A plant without devices has none."""
    try:
        answer = _open(response, _DEVICES)
    except _NoDevices:
        return {}
    rows = answer.data or []
    ours = [row for row in rows if same_id(row.station_code, plant_id)]
    if rows and not ours:
        raise other_plant(VENDOR)
    devices: dict[int, list[str]] = {}
    for row in ours:
        device_type, device_id = whole(row.dev_type_id), text(row.id, 64)
        if device_type is not None and device_id is not None:
            devices.setdefault(device_type, []).append(device_id)
    return devices


def device_real_kpi(response: VendorResponse, device_type: int, device_ids: Collection[str] | None) -> DeviceKpi:
    """`/thirdData/getDevRealKpi` for one device type: the sum of `active_power` in W. Devices nobody asked for are refused."""
    try:
        answer = _open(response, _DEVICE_KPI)
    except _NoDevices:
        return DeviceKpi(last_seen_at=None, power_w=None)
    rows = answer.data or []
    if device_ids is not None and any(row.dev_id is not None and text(row.dev_id, 64) not in device_ids for row in rows):
        raise other_plant(VENDOR)
    items = [row.data_item_map for row in rows if row.data_item_map is not None]
    power = total(number(item.active_power) for item in items)
    connected = any(whole(item.run_state) == CONNECTED for item in items)
    return DeviceKpi(
        last_seen_at=_server_time(answer) if connected else None,
        power_w=None if power is None else power * POWER_SCALES.get(device_type, 1000.0),
    )


def station_day(response: VendorResponse, plant_id: str | None, zone: tzinfo) -> dict[date, float]:
    """`/thirdData/getKpiStationDay`: kWh by local day.

    `collectTime` is local midnight. `PVYield` goes first: newer documents call `inverter_power` ambiguous.
    """
    answer = _open(response, _DAYS)
    rows = answer.data or []
    ours = [row for row in rows if same_id(row.station_code, plant_id)]
    if rows and not ours:
        raise other_plant(VENDOR)
    days = {}
    for row in ours:
        items = row.data_item_map or DayItems()
        collected, energy = epoch_ms(row.collect_time), number(items.pv_yield)
        if energy is None:
            energy = number(items.inverter_power)
        if collected is not None and energy is not None:
            days[collected.astimezone(zone).date()] = energy
    return days


def alarm_list(response: VendorResponse, plant_id: str | None) -> tuple[Alarm, ...]:
    """`/thirdData/getAlarmList`: the active alarms, never paged."""
    answer = _open(response, _ALARMS)
    if answer.data is None:
        raise missing(VENDOR, "alarm list")
    ours = [row for row in answer.data if same_id(row.station_code, plant_id)]
    if answer.data and not ours:
        raise other_plant(VENDOR)
    return tuple(_alarm(row) for row in ours)


def _alarm(row: AlarmRow) -> Alarm:
    alarm_id, cause_id = code(row.alarm_id), code(row.cause_id)
    name, cause = message(row.alarm_name), message(row.alarm_cause)
    return Alarm(
        code=f"{alarm_id}-{cause_id}" if alarm_id and cause_id else alarm_id,
        device_sn=code(row.esn_code),
        severity=SEVERITIES.get(whole(row.lev) or 0, Severity.MEDIUM),
        message=message(": ".join(part for part in (name, cause) if part)) or unnamed(alarm_id),
        occurred_at=epoch_ms(row.raise_time),
        is_active=whole(row.status) in ACTIVE,
    )


class _NoDevices(AdapterError):
    """The plant has no devices: an empty list, said as an error."""


def _open(response: VendorResponse, decoder: msgspec.json.Decoder[Answer]) -> Answer:
    if response.status == 400 or response.status >= 500:
        _judge_error_body(response)
    refuse_http_errors(response.status, VENDOR)
    return open_answer(response.body, decoder, _BARE, _judge)


def _judge_error_body(response: VendorResponse) -> None:
    """Raises what the body of an HTTP error says, where it says anything: the gateways explain themselves, a proxy's page does not."""
    try:
        verdict = decode(_BARE, response.body)
    except AdapterError:
        return
    if verdict.success is not None or verdict.error_code is not None or verdict.exception_id is not None:
        _judge(verdict)


def _row_of(rows: list[StationRow] | None, plant_id: str | None) -> StationRow:
    if not rows:
        raise no_plant(VENDOR)
    for row in rows:
        if same_id(row.station_code, plant_id):
            return row
    raise other_plant(VENDOR)


def _server_time(answer: Envelope) -> datetime | None:
    return epoch_ms(answer.params.current_time) if answer.params is not None else None


def _judge(answer: Verdict) -> None:
    fail_code = text(answer.fail_code, 40)
    if answer.success is True and fail_code in (None, "0"):
        return
    if fail_code is None or fail_code == "0":
        _judge_gateway(answer)
    if fail_code in NO_DEVICES:
        raise _NoDevices(AdapterErrorType.VENDOR_ERROR, f"{VENDOR} answered failCode {fail_code}: no devices")
    error_type = ERRORS.get(fail_code or "", AdapterErrorType.VENDOR_ERROR)
    raise AdapterError(error_type, f"{VENDOR} answered failCode {fail_code}", RETRY_AFTER_SECONDS.get(fail_code or ""))


def _judge_gateway(answer: Verdict) -> None:
    """Raises what a body without a fail code reports; returns when `success` alone speaks."""
    if answer.error_code is not None or answer.exception_id is not None:
        said = (text(answer.exception_info, 500) or "").lower()
        if "quota" in said or "frequen" in said:
            raise AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, f"{VENDOR}'s gateway answered: quota used up")
        raise AdapterError(AdapterErrorType.VENDOR_ERROR, f"{VENDOR}'s gateway refused the request")
    if answer.success is None:
        raise missing(VENDOR, "success flag")
