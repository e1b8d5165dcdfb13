"""Deye Cloud answers into normalised values (VENDORS 4.2 to 4.6). Pure; called by `adapter.py`.

Answers are flat: the data stands beside `code` and `success`. Most name no plant; where one does, it must be ours.
Each function raises AdapterError.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime

import msgspec

from integrations.answers import Answer, missing, of_account, of_plant, open_answer, other_plant
from integrations.contract import Alarm, Severity, VendorResponse
from integrations.dele import shapes
from integrations.errors import AdapterError, AdapterErrorType
from integrations.paging import AlarmPage
from integrations.payload import (
    KILOWATT_HOURS,
    Loose,
    calendar_date,
    code,
    complete_total,
    epoch_s,
    iso_date,
    message,
    number,
    same_id,
    scaled,
    text,
    truth,
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

SUCCESS = (None, "1000000")
"""SOLARMAN sends null."""

EXPIRED = "UndeclaredThrowable"
"""An expired token is an HTTP 500 with this exception and no code."""

SEVERITIES = {0: Severity.LOW, 1: Severity.MEDIUM, 2: Severity.HIGH}
SAFETY = (2, 3)
"""`impact`: safety, or safety and production."""
ONGOING = 1

LIFETIME = ("TotalActiveProduction", "Et_ge0")
TODAY = ("DailyActiveProduction", "Etdy_ge1")
"""Keys of device points: Deye's, SOLARMAN's."""


class StationLatest(msgspec.Struct, frozen=True):
    """What `/station/latest` says. There are no energies in it, save `generationTotal` in some answers."""

    last_seen_at: datetime | None = None
    current_power_w: float | None = None
    grid_injection_power_w: float | None = None
    total_energy_kwh: float | None = None


class DeviceEnergies(msgspec.Struct, frozen=True):
    """What `/device/latest` says of some inverters together; None as soon as one of them keeps silent."""

    today_energy_kwh: float | None
    total_energy_kwh: float | None


def station_latest(response: VendorResponse, plant_id: str | None = None) -> StationLatest:
    """`/station/latest`: powers in W. Export is |gridPower|; without it, what the balance leaves (the sign of `wirePower` is disputed)."""
    answer = _open(response, shapes.LATEST)
    _refuse_others(plant_id, answer.station_id, answer.id)
    return _latest(answer)


def station_list(response: VendorResponse, plant_id: str | None) -> StationLatest:
    """`/station/list`: one plant of the account's."""
    answer = _open(response, shapes.STATIONS)
    if _code(answer) == NO_UPLOADS:
        return StationLatest()
    if answer.station_list is None:
        raise missing(VENDOR, "list of plants")
    return _latest(of_account(answer.station_list, _plant_of_row, plant_id, VENDOR)[0])


def station_history(response: VendorResponse, plant_id: str | None = None) -> dict[date, float]:
    """`/station/history` by day: kWh by local day."""
    answer = _open(response, shapes.HISTORY)
    _refuse_others(plant_id, answer.station_id)
    days = {}
    for item in of_plant(answer.station_data_items or [], lambda row: row.station_id, plant_id, VENDOR):
        day, energy = calendar_date(item.year, item.month, item.day) or iso_date(item.date_time), number(item.generation_value)
        if day is not None and energy is not None:
            days[day] = energy
    return days


def station_device(response: VendorResponse, plant_id: str | None) -> list[str]:
    """`/station/device`: serial numbers of the plant's inverters."""
    rows = _open(response, shapes.DEVICES).device_list_items or []
    ours = of_plant(rows, lambda row: row.station_id, plant_id, VENDOR)
    return [serial for row in ours if _is_inverter(row.device_type) and (serial := code(row.device_sn)) is not None]


def device_latest(response: VendorResponse, serials: Collection[str]) -> DeviceEnergies:
    """`/device/latest` for some inverters. Devices nobody asked for are refused."""
    rows = _open(response, shapes.DEVICE_LATEST).device_data_list or []
    points = {code(row.device_sn): row.data_list or [] for row in rows}
    if not points.keys() <= set(serials):
        raise other_plant(VENDOR)
    return _energies([points.get(serial, []) for serial in serials])


def current_data(response: VendorResponse) -> DeviceEnergies:
    """`/device/latest` or SOLARMAN's `/device/v1.0/currentData`, whichever devices it is about: of its inverters, all together."""
    answer = _open(response, shapes.CURRENT_DATA)
    rows = answer.device_data_list
    if rows is None:
        rows = [shapes.DeviceData(answer.device_sn, answer.device_type, answer.data_list)] if answer.data_list is not None else []
    return _energies([row.data_list or [] for row in rows if row.device_type is None or _is_inverter(row.device_type)])


def alert_list(response: VendorResponse, plant_id: str | None = None) -> AlarmPage:
    """`/station/alertList` and SOLARMAN's `/station/v1.0/alert` and `alertV2`, one page. The list is null when there is nothing in it."""
    answer = _open(response, shapes.ALERTS)
    _refuse_others(plant_id, answer.station_id)
    counted = whole(answer.total)
    if _code(answer) == NO_UPLOADS:
        return AlarmPage(alarms=(), rows=0, total=None, seen=False)
    found = answer.alert_list if answer.station_alert_items is msgspec.UNSET else answer.station_alert_items
    if found is msgspec.UNSET and counted != 0:
        raise missing(VENDOR, "list of alerts")
    rows = found or []
    ours = of_plant(rows, lambda row: row.station_id, plant_id, VENDOR)
    return AlarmPage(alarms=tuple([_alarm(row) for row in ours]), rows=len(rows), total=counted)


def _open(response: VendorResponse, decoder: msgspec.json.Decoder[Answer]) -> Answer:
    return open_answer(response, VENDOR, decoder, shapes.BARE, _judge)


def _judge(answer: shapes.Envelope) -> None:
    if answer.success is True and answer.code in SUCCESS:
        return
    vendor_code = _code(answer)
    if vendor_code == NO_UPLOADS:
        return
    succeeded = truth(answer.success)
    if vendor_code in SUCCESS and (succeeded or (succeeded is None and vendor_code is not None)):
        return
    if EXPIRED in (text(answer.exception, 500) or ""):
        raise AdapterError(AdapterErrorType.AUTH_FAILED, f"{VENDOR} answered that the token has expired")
    if vendor_code is None and succeeded is None:
        raise missing(VENDOR, "success flag")
    raise AdapterError(ERRORS.get(vendor_code or "", AdapterErrorType.VENDOR_ERROR), f"{VENDOR} answered code {vendor_code}")


def _code(answer: shapes.Envelope) -> str | None:
    return text(answer.code, 40)


def _latest(station: shapes.LatestAnswer) -> StationLatest:
    generation = number(station.generation_power)
    return StationLatest(
        last_seen_at=epoch_s(station.last_update_time),
        current_power_w=generation,
        grid_injection_power_w=_export(station, generation),
        total_energy_kwh=number(station.generation_total),
    )


def _export(station: shapes.LatestAnswer, generation: float | None) -> float | None:
    grid = number(station.grid_power)
    if grid is not None:
        return abs(grid)
    consumption = number(station.consumption_power)
    if consumption is None:
        consumption = number(station.use_power)
    if generation is None or consumption is None:
        return None
    return max(0.0, generation + (number(station.battery_power) or 0.0) - consumption)


def _refuse_others(plant_id: str | None, *claimed: Loose) -> None:
    """Raises INVALID_DATA_FORMAT where an answer as a whole names another plant."""
    for raw in claimed:
        if raw is not None and not same_id(raw, plant_id):
            raise other_plant(VENDOR)


def _plant_of_row(row: shapes.StationRow) -> Loose:
    return row.station_id if row.id is None else row.id


def _is_inverter(device_type: Loose) -> bool:
    return "INVERTER" in (text(device_type, 64) or "").upper()


def _energies(devices: Sequence[list[shapes.DevicePoint]]) -> DeviceEnergies:
    return DeviceEnergies(
        today_energy_kwh=complete_total([_point(points, TODAY) for points in devices]),
        total_energy_kwh=complete_total([_point(points, LIFETIME) for points in devices]),
    )


def _point(points: list[shapes.DevicePoint], keys: Collection[str]) -> float | None:
    for point in points:
        if point.key in keys or (type(point.key) is str and point.key.replace(" ", "") in keys):
            return scaled(point.value, point.unit, KILOWATT_HOURS, "kWh")
    return None


def _alarm(row: shapes.AlertItem) -> Alarm:
    vendor_code = code(row.alert_code) or code(row.code) or code(row.protocol_name) or code(row.addr)
    unsafe = whole(row.impact) in SAFETY or whole(row.influence) in SAFETY
    level = whole(row.level)
    began = epoch_s(row.alert_start_time)
    listed_while_active = row.status is None and row.alert_start_time is None and row.alert_time is not None
    return Alarm(
        code=vendor_code,
        device_sn=code(row.device_sn),
        severity=Severity.CRITICAL if unsafe else SEVERITIES.get(-1 if level is None else level, Severity.MEDIUM),
        message=message(row.alert_name) or message(row.show_name) or unnamed(vendor_code),
        occurred_at=began if began is not None else epoch_s(row.alert_time),
        is_active=listed_while_active or whole(row.status) == ONGOING,
    )
