"""FusionSolar answers into normalised values (VENDORS 2.2 to 2.6). Pure; called by `adapter.py`.

Each function takes one answer and the plant it must be about (None: whichever it is about), and raises AdapterError.
The plant's own figures hold energies only (`day_power` is kWh, despite its name): power is the sum of its inverters.
"""

import html
from collections.abc import Collection, Mapping
from datetime import date, datetime, tzinfo

import msgspec

from integrations.answers import Answer, decode, missing, no_plant, of_account, of_plant, open_answer, other_plant
from integrations.contract import Alarm, Reading, Severity, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.huawei import shapes
from integrations.payload import code, epoch_ms, message, newest, number, text, total, truth, unnamed, whole

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
NO_DEVICES = ("20008", "20011")
GATEWAY_QUOTA = "49401021002"
TOO_FREQUENT = "ACCESS_FREQUENCY_IS_TOO_HIGH"

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


class StationKpi(msgspec.Struct, frozen=True):
    """What `getStationRealKpi` says of one plant."""

    last_seen_at: datetime | None
    today_energy_kwh: float | None
    total_energy_kwh: float | None


class DeviceKpi(msgspec.Struct, frozen=True):
    """What `getDevRealKpi` says of the devices of one type, together."""

    last_seen_at: datetime | None = None
    power_w: float | None = None
    device_type: int | None = None
    """The one that the vendor says it answers about."""


class NoDevices(AdapterError):
    """The plant has no devices: an empty list, said as an error."""


def station_real_kpi(response: VendorResponse, plant_id: str | None) -> StationKpi:
    """`/thirdData/getStationRealKpi`: energies in kWh.

    The answer's own time counts as the plant's only while the vendor calls it healthy.
    """
    answer = _open(response, shapes.STATION)
    row = _row_of(answer.data, plant_id)
    items = row.data_item_map or shapes.StationItems()
    healthy = whole(items.real_health_state) == HEALTHY
    return StationKpi(
        last_seen_at=_server_time(answer) if healthy else None,
        today_energy_kwh=number(items.day_power),
        total_energy_kwh=number(items.total_power),
    )


def plant_list(response: VendorResponse, plant_id: str | None) -> None:
    """`/thirdData/stations` and the older `getStationList`: nothing that changes. Raises PLANT_NOT_FOUND where ours is not in it."""
    data = _open(response, shapes.PLANTS).data
    rows = data.rows if isinstance(data, shapes.PlantRows) else data
    if rows is None:
        raise missing(VENDOR, "list of plants")
    of_account(rows, lambda row: row.station_code if row.plant_code is None else row.plant_code, plant_id, VENDOR)


def device_list(response: VendorResponse, plant_id: str | None) -> dict[int, list[str]]:
    """`/thirdData/getDevList`: device ids by device type. Raises NoDevices where the plant has none."""
    rows = _open(response, shapes.DEVICES).data or []
    devices: dict[int, list[str]] = {}
    for row in of_plant(rows, lambda row: row.station_code, plant_id, VENDOR):
        device_type, device_id = whole(row.dev_type_id), text(row.id, 64)
        if device_type is not None and device_id is not None:
            devices.setdefault(device_type, []).append(device_id)
    return devices


def device_real_kpi(
    response: VendorResponse, device_type: int | None, device_ids: Collection[str] | None, plant_id: str | None = None
) -> DeviceKpi:
    """`/thirdData/getDevRealKpi` for one device type: the sum of `active_power` in W. Devices nobody asked for are refused.

    The type that the answer echoes goes before `device_type`. Raises AdapterError, NoDevices among it.
    """
    answer = _open(response, shapes.DEVICE_KPI)
    rows = of_plant(answer.data or [], lambda row: row.station_code, plant_id, VENDOR)
    if device_ids is not None and not {text(row.dev_id, 64) for row in rows if row.dev_id is not None}.issubset(device_ids):
        raise other_plant(VENDOR)
    echoed = whole(answer.params.dev_type_id) if answer.params is not None else None
    if echoed is not None:
        device_type = echoed
    scale = POWER_SCALES.get(-1 if device_type is None else device_type)
    items = [row.data_item_map for row in rows if row.data_item_map is not None]
    power = total([number(item.active_power) for item in items])
    seen = newest([epoch_ms(row.collect_time) for row in rows if row.collect_time is not None])
    if seen is None and CONNECTED in [whole(item.run_state) for item in items]:
        seen = _server_time(answer)
    return DeviceKpi(
        last_seen_at=seen,
        power_w=None if power is None or scale is None else power * scale,
        device_type=device_type,
    )


def station_day(response: VendorResponse, plant_id: str | None, zone: tzinfo) -> dict[date, float]:
    """`/thirdData/getKpiStationDay`: kWh by local day.

    `collectTime` is local midnight. `PVYield` goes first: newer documents call `inverter_power` ambiguous.
    """
    days = {}
    for row in of_plant(_open(response, shapes.DAYS).data or [], lambda row: row.station_code, plant_id, VENDOR):
        items = row.data_item_map or shapes.DayItems()
        collected, energy = epoch_ms(row.collect_time), number(items.pv_yield)
        if energy is None:
            energy = number(items.inverter_power)
        if collected is not None and energy is not None:
            days[collected.astimezone(zone).date()] = energy
    return days


def alarm_list(response: VendorResponse, plant_id: str | None) -> tuple[Alarm, ...]:
    """`/thirdData/getAlarmList`: the active alarms, never paged."""
    data = _open(response, shapes.ALARMS).data
    rows = data.rows if isinstance(data, shapes.AlarmRows) else data
    if rows is None:
        raise missing(VENDOR, "alarm list")
    return tuple(_alarm(row) for row in of_plant(rows, lambda row: row.station_code, plant_id, VENDOR))


def kiosk(response: VendorResponse) -> Reading:
    """The file behind a plant's public link: its `data` is JSON once more, as HTML-escaped text. kW and kWh."""
    answer = _open(response, shapes.KIOSK)
    if type(answer.data) is not str:
        raise missing(VENDOR, "figures of the plant")
    figures = decode(shapes.FIGURES, html.unescape(answer.data).encode("utf-8", "replace")).real_kpi or shapes.RealKpi()
    power = number(figures.real_time_power)
    return Reading(
        current_power_w=None if power is None else number(power * 1000),
        today_energy_kwh=number(figures.daily_energy),
        total_energy_kwh=number(figures.cumulative_energy),
    )


def _alarm(row: shapes.AlarmRow) -> Alarm:
    alarm_id, cause_id = code(row.alarm_id), code(row.cause_id)
    if cause_id is not None and cause_id.startswith("-"):
        cause_id = None  # -1: no cause is known
    name, cause = message(row.alarm_name), message(row.alarm_cause)
    return Alarm(
        code=f"{alarm_id}-{cause_id}" if alarm_id and cause_id else alarm_id,
        device_sn=code(row.esn_code),
        severity=SEVERITIES.get(whole(row.lev) or 0, Severity.MEDIUM),
        message=message(": ".join(part for part in (name, cause) if part)) or unnamed(alarm_id),
        occurred_at=epoch_ms(row.raise_time),
        is_active=whole(row.status) in ACTIVE,
    )


def _open(response: VendorResponse, decoder: msgspec.json.Decoder[Answer]) -> Answer:
    return open_answer(response, VENDOR, decoder, shapes.BARE, _judge)


def _row_of(rows: list[shapes.StationRow] | None, plant_id: str | None) -> shapes.StationRow:
    if not rows:
        raise no_plant(VENDOR)
    return of_plant(rows, lambda row: row.station_code, plant_id, VENDOR)[0]


def _server_time(answer: shapes.Envelope) -> datetime | None:
    return epoch_ms(answer.params.current_time) if answer.params is not None else None


def _judge(answer: shapes.Verdict) -> None:
    if answer.success is True and answer.fail_code == 0:
        return
    fail_code, succeeded = text(answer.fail_code, 40), truth(answer.success)
    if succeeded and fail_code in (None, "0"):
        return
    if fail_code in (None, "0"):
        _judge_gateway(answer, succeeded)
    if fail_code in NO_DEVICES:
        raise NoDevices(AdapterErrorType.VENDOR_ERROR, f"{VENDOR} answered failCode {fail_code}: no devices")
    error_type = ERRORS.get(fail_code or "", AdapterErrorType.VENDOR_ERROR)
    raise AdapterError(error_type, f"{VENDOR} answered failCode {fail_code}", RETRY_AFTER_SECONDS.get(fail_code or ""))


def _judge_gateway(answer: shapes.Verdict, succeeded: bool | None) -> None:
    """Raises what a body without a fail code reports; returns when `success` alone speaks."""
    if answer.data == TOO_FREQUENT:
        raise AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, f"{VENDOR} answered that it is asked too often")
    if answer.error_code is not None or answer.exception_id is not None:
        said = (text(answer.exception_info, 500) or "").lower()
        if "quota" in said or "frequen" in said or text(answer.error_code, 40) == GATEWAY_QUOTA:
            raise AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, f"{VENDOR}'s gateway answered: quota used up")
        raise AdapterError(AdapterErrorType.VENDOR_ERROR, f"{VENDOR}'s gateway refused the request")
    if succeeded is None:
        raise missing(VENDOR, "success flag")
