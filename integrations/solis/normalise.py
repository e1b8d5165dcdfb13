"""SolisCloud answers into normalised values (VENDORS 1.2 to 1.6). Pure; called by `adapter.py`.

Each function takes one answer and the plant it must be about (None: whichever it is about), and raises AdapterError.
`success` is not the test of success here: error bodies with `success: true` exist. `code` is.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date

import msgspec

from integrations.answers import Answer, missing, no_plant, of_account, of_plant, open_answer, other_plant
from integrations.contract import Alarm, Reading, Severity, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.paging import AlarmPage
from integrations.payload import (
    KILOWATT_HOURS,
    WATTS,
    Loose,
    code,
    epoch_ms,
    export_only,
    iso_date,
    message,
    number,
    same_id,
    scaled,
    text,
    unnamed,
    whole,
)
from integrations.solis import shapes

VENDOR = "SolisCloud"

DATALOGGER_OFFLINE = "B0115"
"""No error: the plant is silent. The answer holds no values, so nothing changes."""

ERRORS = {
    "R0000": AdapterErrorType.AUTH_FAILED,
    "I0012": AdapterErrorType.AUTH_FAILED,
    "B0011": AdapterErrorType.AUTH_FAILED,
    "1": AdapterErrorType.PLANT_NOT_FOUND,
    "B0001": AdapterErrorType.PLANT_NOT_FOUND,
    "B0049": AdapterErrorType.PLANT_NOT_FOUND,
}
"""Every other code is VENDOR_ERROR."""

SEVERITIES = {"1": Severity.LOW, "2": Severity.MEDIUM, "3": Severity.CRITICAL}
PENDING = "0"

QUOTA = "too many request"
LONGEST_TEXT = 4096
"""Refusals in plain text are one line; in longer bodies no words are looked for."""
_JSON = (b"{", b"[")
_NO_AUTHORITY = re.compile(r"\W*(?:r0000\b|no authority\b)")


def station_detail(response: VendorResponse, plant_id: str | None) -> Reading:
    """`/v1/api/stationDetail`. An offline data logger gives an empty reading."""
    answer = _open(response, shapes.STATION, _judge)
    if answer.code == DATALOGGER_OFFLINE:
        return Reading()
    station = answer.data
    if station is None:
        raise no_plant(VENDOR)
    if not same_id(station.id, plant_id):
        raise other_plant(VENDOR)
    return _reading(station)


def station_list(response: VendorResponse, plant_id: str | None) -> Reading:
    """`/v1/api/userStationList`: one plant of the account's."""
    answer = _open(response, shapes.STATIONS, _judge_account)
    if answer.code == DATALOGGER_OFFLINE:
        return Reading()
    page = answer.data.page or answer.data if answer.data is not None else None
    if page is None or page.records is None:
        raise missing(VENDOR, "list of plants")
    return _reading(of_account(page.records, lambda row: row.id, plant_id, VENDOR)[0])


def station_month(response: VendorResponse) -> dict[date, float]:
    """`/v1/api/stationMonth`: kWh by local day. The key is `dateStr`; the epoch `date` beside it is midnight of some other zone."""
    return _days(_open(response, shapes.MONTH, _judge).data or [])


def station_day_energies(response: VendorResponse, plant_id: str | None) -> dict[date, float]:
    """`/v1/api/stationDayEnergyList`: kWh of one local day, of one plant of the account's."""
    answer = _open(response, shapes.DAY, _judge_account)
    if answer.code == DATALOGGER_OFFLINE:
        return {}
    page = answer.data.page or answer.data if answer.data is not None else None
    if page is None or page.records is None:
        raise missing(VENDOR, "list of days")
    ours = of_account(page.records, _plant_of_day, plant_id, VENDOR) if page.records else []
    return _days(ours)


def alarm_list(response: VendorResponse, plant_id: str | None) -> AlarmPage:
    """`/v1/api/alarmList`, one page. Raises INVALID_DATA_FORMAT when it is about other plants only."""
    answer = _open(response, shapes.ALARMS, _judge)
    if answer.code == DATALOGGER_OFFLINE:
        return AlarmPage(alarms=(), rows=0, total=None, seen=False)
    page = answer.data.page or answer.data if answer.data is not None else None
    if page is None:
        raise missing(VENDOR, "alarm list")
    counted = whole(page.total)
    if page.records is None and counted != 0:
        raise missing(VENDOR, "alarm list")
    rows = page.records or []
    ours = of_plant(rows, lambda row: row.station_id, plant_id, VENDOR)
    return AlarmPage(alarms=tuple([_alarm(row) for row in ours]), rows=len(rows), total=counted)


def _reading(station: shapes.Station) -> Reading:
    seen = epoch_ms(station.data_timestamp)
    lifetime = number(station.all_energy1)
    return Reading(
        sampled_at=seen,
        last_seen_at=seen,
        current_power_w=_watts(station.power, station.power_str, station.power_pec),
        today_energy_kwh=_kwh(station.day_energy, station.day_energy_str, station.day_energy_pec),
        total_energy_kwh=lifetime if lifetime is not None else _kwh(station.all_energy, station.all_energy_str, station.all_energy_pec),
        grid_injection_power_w=export_only(_watts(station.psum, station.psum_str, station.psum_pec)),
    )


def _days(rows: Sequence[shapes.Day]) -> dict[date, float]:
    days = {}
    for row in rows:
        day, energy = iso_date(row.date_str), _kwh(row.energy, row.energy_str, row.energy_pec)
        if day is not None and energy is not None:
            days[day] = energy
    return days


def _plant_of_day(row: shapes.DayOfPlant) -> Loose:
    return row.id if row.station_id is None else row.station_id


def _alarm(row: shapes.AlarmRow) -> Alarm:
    vendor_code = code(row.alarm_code)
    return Alarm(
        code=vendor_code,
        device_sn=code(row.alarm_device_sn),
        severity=SEVERITIES.get(text(row.alarm_level, 8) or "", Severity.MEDIUM),
        message=message(row.alarm_msg) or message(row.advice) or unnamed(vendor_code),
        occurred_at=epoch_ms(row.alarm_begin_time),
        # Not the end time: the vendor's own sample has a pending alarm with one.
        is_active=text(row.state, 8) == PENDING,
    )


def _open(response: VendorResponse, decoder: msgspec.json.Decoder[Answer], judge: Callable[[shapes.Envelope], None]) -> Answer:
    _judge_text(response)
    return open_answer(response, VENDOR, decoder, shapes.BARE, judge)


def _judge_text(response: VendorResponse) -> None:
    """Raises what a refusal without an envelope reports, as text or as a JSON text, whatever the HTTP status.

    The quota goes first: its text speaks of authority too, and a used-up quota must not pause the plant.
    """
    body = response.body
    if body.startswith(_JSON) or len(body) > LONGEST_TEXT or body.lstrip().startswith(_JSON):
        return
    said = body.decode("utf-8", "replace").lower()
    if QUOTA in said:
        raise AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, f"{VENDOR} answered that it is asked too often")
    if _NO_AUTHORITY.match(said) and response.status != 429:
        raise AdapterError(AdapterErrorType.AUTH_FAILED, f"{VENDOR} answered that there is no authority")


def _judge_account(answer: shapes.Envelope) -> None:
    """As `_judge`, for requests that name no plant: code 1 cannot mean that there is none."""
    if text(answer.code, 40) == "1":
        raise AdapterError(AdapterErrorType.VENDOR_ERROR, f"{VENDOR} answered code 1")
    _judge(answer)


def _judge(answer: shapes.Envelope) -> None:
    if answer.code == "0" or answer.code == DATALOGGER_OFFLINE:
        return
    vendor_code = text(answer.code, 40)
    if vendor_code == "0":
        return
    if vendor_code in (None, "R0000") and QUOTA in (text(answer.msg, 200) or "").lower():
        raise AdapterError(AdapterErrorType.RATE_LIMIT_EXCEEDED, f"{VENDOR} answered R0000: too many requests")
    if vendor_code is None:
        raise missing(VENDOR, "code")
    raise AdapterError(ERRORS.get(vendor_code, AdapterErrorType.VENDOR_ERROR), f"{VENDOR} answered code {vendor_code}")


def _watts(raw: Loose, unit: Loose, multiplier: Loose) -> float | None:
    return _multiplied(scaled(raw, unit, WATTS, "kW"), multiplier)


def _kwh(raw: Loose, unit: Loose, multiplier: Loose) -> float | None:
    return _multiplied(scaled(raw, unit, KILOWATT_HOURS, "kWh"), multiplier)


def _multiplied(value: float | None, multiplier: Loose) -> float | None:
    """Value in the stated unit = number x `Pec`. Without one it is 1; with an unreadable one the value would be wrong by 1000."""
    if value is None or multiplier == "1" or multiplier in (None, "", "null"):
        return value
    factor = number(multiplier)
    return None if factor is None else number(value * factor)
