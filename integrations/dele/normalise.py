"""Deye Cloud answers into normalised values (VENDORS 4.2 to 4.6). Pure; called by `adapter.py`.

Answers are flat: the data stands beside `code` and `success`. Most name no plant, so only the device list can be checked for it.
Each function raises AdapterError.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from integrations.contract import Alarm, Severity, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.paging import AlarmPage
from integrations.payload import (
    KILOWATT_HOURS,
    Answer,
    Loose,
    calendar_date,
    code,
    complete_total,
    decode,
    epoch_s,
    message,
    missing,
    number,
    open_answer,
    other_plant,
    refuse_http_errors,
    same_id,
    scaled,
    text,
    unnamed,
    whole,
)

VENDOR = "Deye Cloud"

NO_UPLOADS = "2101016"
"""No error: the device has sent nothing. The answer holds no values."""

ERRORS = {
    **dict.fromkeys(("2101009", "2101017", "2101018", "2101019", "2101020", "2101021", "2101025", "2101028"), AdapterErrorType.AUTH_FAILED),
    **dict.fromkeys(("2101002", "2101010"), AdapterErrorType.RATE_LIMIT_EXCEEDED),
    **dict.fromkeys(("2101023", "2101024", "2101031"), AdapterErrorType.PLANT_NOT_FOUND),
}
"""Every other code is VENDOR_ERROR."""

EXPIRED = "UndeclaredThrowable"
"""An expired token is an HTTP 500 with this exception and no code."""

SEVERITIES = {0: Severity.LOW, 1: Severity.MEDIUM, 2: Severity.HIGH}
SAFETY = (2, 3)
"""`impact`: safety, or safety and production."""
ONGOING = 1

LIFETIME = "TotalActiveProduction"
TODAY = "DailyActiveProduction"


class StationLatest(NamedTuple):
    """What `/station/latest` says. There are no energies in it, save `generationTotal` in some answers."""

    last_seen_at: datetime | None = None
    current_power_w: float | None = None
    grid_injection_power_w: float | None = None
    total_energy_kwh: float | None = None


class DeviceEnergies(NamedTuple):
    """What `/device/latest` says of some inverters together; None as soon as one of them keeps silent."""

    today_energy_kwh: float | None
    total_energy_kwh: float | None


class Envelope(msgspec.Struct, rename="camel"):
    success: Loose = None
    code: Loose = None
    exception: Loose = None


class LatestAnswer(Envelope, rename="camel"):
    last_update_time: Loose = None
    generation_power: Loose = None
    consumption_power: Loose = None
    use_power: Loose = None
    """SOLARMAN's name of `consumptionPower`."""
    grid_power: Loose = None
    battery_power: Loose = None
    generation_total: Loose = None


class DayItem(msgspec.Struct, rename="camel"):
    year: Loose = None
    month: Loose = None
    day: Loose = None
    generation_value: Loose = None


class HistoryAnswer(Envelope, rename="camel"):
    station_data_items: list[DayItem] | None = None


class Device(msgspec.Struct, rename="camel"):
    station_id: Loose = None
    device_sn: Loose = None
    device_type: Loose = None


class DevicesAnswer(Envelope, rename="camel"):
    device_list_items: list[Device] | None = None


class DevicePoint(msgspec.Struct):
    key: Loose = None
    value: Loose = None
    unit: Loose = None


class DeviceData(msgspec.Struct, rename="camel"):
    device_sn: Loose = None
    data_list: list[DevicePoint] | None = None


class DeviceLatestAnswer(Envelope, rename="camel"):
    device_data_list: list[DeviceData] | None = None


class AlertItem(msgspec.Struct, rename="camel"):
    alert_code: Loose = None
    protocol_name: Loose = None
    device_sn: Loose = None
    alert_name: Loose = None
    level: Loose = None
    impact: Loose = None
    alert_start_time: Loose = None
    status: Loose = None


class AlertsAnswer(Envelope, rename="camel"):
    total: Loose = None
    station_alert_items: list[AlertItem] | msgspec.UnsetType | None = msgspec.UNSET


_BARE = msgspec.json.Decoder(Envelope)
_LATEST = msgspec.json.Decoder(LatestAnswer)
_HISTORY = msgspec.json.Decoder(HistoryAnswer)
_DEVICES = msgspec.json.Decoder(DevicesAnswer)
_DEVICE_LATEST = msgspec.json.Decoder(DeviceLatestAnswer)
_ALERTS = msgspec.json.Decoder(AlertsAnswer)


def station_latest(response: VendorResponse) -> StationLatest:
    """`/station/latest`: powers in W. Export is |gridPower|; without it, what the balance leaves (the sign of `wirePower` is disputed)."""
    answer = _open(response, _LATEST)
    generation = number(answer.generation_power)
    return StationLatest(
        last_seen_at=epoch_s(answer.last_update_time),
        current_power_w=generation,
        grid_injection_power_w=_export(answer, generation),
        total_energy_kwh=number(answer.generation_total),
    )


def station_history(response: VendorResponse) -> dict[date, float]:
    """`/station/history` by day: kWh by local day."""
    days = {}
    for item in _open(response, _HISTORY).station_data_items or ():
        day, energy = calendar_date(item.year, item.month, item.day), number(item.generation_value)
        if day is not None and energy is not None:
            days[day] = energy
    return days


def station_device(response: VendorResponse, plant_id: str | None) -> list[str]:
    """`/station/device`: serial numbers of the plant's inverters."""
    rows = _open(response, _DEVICES).device_list_items or []
    ours = [row for row in rows if same_id(row.station_id, plant_id)]
    if rows and not ours:
        raise other_plant(VENDOR)
    serials = (code(row.device_sn) for row in ours if "INVERTER" in (text(row.device_type, 64) or "").upper())
    return [serial for serial in serials if serial is not None]


def device_latest(response: VendorResponse, serials: Collection[str]) -> DeviceEnergies:
    """`/device/latest` for some inverters. Devices nobody asked for are refused."""
    rows = _open(response, _DEVICE_LATEST).device_data_list or []
    points = {code(row.device_sn): row.data_list or [] for row in rows}
    if not points.keys() <= set(serials):
        raise other_plant(VENDOR)
    return DeviceEnergies(
        today_energy_kwh=complete_total(_point(points.get(serial, []), TODAY) for serial in serials),
        total_energy_kwh=complete_total(_point(points.get(serial, []), LIFETIME) for serial in serials),
    )


def alert_list(response: VendorResponse) -> AlarmPage:
    """`/station/alertList`, one page. The list is null when there is nothing in it."""
    answer = _open(response, _ALERTS)
    counted = whole(answer.total)
    if _code(answer) == NO_UPLOADS:
        return AlarmPage(alarms=(), rows=0, total=1)  # a list we have not seen: incomplete
    if answer.station_alert_items is msgspec.UNSET and counted != 0:
        raise missing(VENDOR, "list of alerts")
    rows = answer.station_alert_items or []
    return AlarmPage(alarms=tuple(_alarm(row) for row in rows), rows=len(rows), total=counted)


def _open(response: VendorResponse, decoder: msgspec.json.Decoder[Answer]) -> Answer:
    if response.status >= 400:
        _judge_error_body(response)
    refuse_http_errors(response.status, VENDOR)
    return open_answer(response.body, decoder, _BARE, _judge)


def _judge_error_body(response: VendorResponse) -> None:
    """Raises what the body of an HTTP error says, where it says anything."""
    try:
        answer = decode(_BARE, response.body)
    except AdapterError:
        return
    if EXPIRED in (text(answer.exception, 500) or ""):
        raise AdapterError(AdapterErrorType.AUTH_FAILED, f"{VENDOR} answered HTTP {response.status}: the token has expired")
    if _code(answer) in ERRORS:
        _judge(answer)


def _judge(answer: Envelope) -> None:
    if answer.success is True or _code(answer) == NO_UPLOADS:
        return
    vendor_code = _code(answer)
    if vendor_code is None and answer.success is None:
        raise missing(VENDOR, "success flag")
    raise AdapterError(ERRORS.get(vendor_code or "", AdapterErrorType.VENDOR_ERROR), f"{VENDOR} answered code {vendor_code}")


def _code(answer: Envelope) -> str | None:
    return text(answer.code, 40)


def _export(answer: LatestAnswer, generation: float | None) -> float | None:
    grid = number(answer.grid_power)
    if grid is not None:
        return abs(grid)
    consumption = number(answer.consumption_power)
    if consumption is None:
        consumption = number(answer.use_power)
    if generation is None or consumption is None:
        return None
    return max(0.0, generation + (number(answer.battery_power) or 0.0) - consumption)


def _point(points: list[DevicePoint], key: str) -> float | None:
    for point in points:
        if point.key == key:
            return scaled(point.value, point.unit, KILOWATT_HOURS, "kWh")
    return None


def _alarm(row: AlertItem) -> Alarm:
    vendor_code = code(row.alert_code) or code(row.protocol_name)
    unsafe = whole(row.impact) in SAFETY
    level = whole(row.level)
    return Alarm(
        code=vendor_code,
        device_sn=code(row.device_sn),
        severity=Severity.CRITICAL if unsafe else SEVERITIES.get(-1 if level is None else level, Severity.MEDIUM),
        message=message(row.alert_name) or unnamed(vendor_code),
        occurred_at=epoch_s(row.alert_start_time),
        is_active=whole(row.status) == ONGOING,
    )
