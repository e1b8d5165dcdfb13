"""SEMS portal answers into normalised values (VENDORS 3.2 to 3.6). Pure; called by `adapter.py`.

Each function takes one answer and the plant it must be about (None: whichever it is about), and raises AdapterError.
Names are misleading here: `kpi.power` is today's energy, `info.time` is the server's clock and no sign of life.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import msgspec

from integrations.contract import Alarm, Reading, Severity, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.paging import AlarmPage
from integrations.payload import (
    Answer,
    Loose,
    code,
    complete_total,
    epoch_ms,
    export_only,
    iso_date,
    message,
    missing,
    newest,
    no_plant,
    number,
    open_answer,
    other_plant,
    refuse_http_errors,
    text,
    total,
    unnamed,
    us_time,
    whole,
)

VENDOR = "SEMS"

SUCCESS = ("0", "00000")

ERRORS = {
    **dict.fromkeys(("100001", "100002", "100005", "100025", "C0501"), AdapterErrorType.AUTH_FAILED),
    "GY0429": AdapterErrorType.RATE_LIMIT_EXCEEDED,
}
"""Every other code is VENDOR_ERROR."""

SENTINELS = (6553.5, 655.35, 4294967.295)
"""All bits set, scaled: "no value"."""

EXPORTING = 1
PMETER_EXPORT_SIGN = 1
"""`gridStatus` 1 and positive `pmeter` are export: computed from a capture (VENDORS 3.3); other projects assume the opposite."""

CHINA = timezone(timedelta(hours=8))
"""The zone of `creationDate`, wherever the plant is."""

SEVERITIES = {1: Severity.LOW, 2: Severity.MEDIUM, 4: Severity.HIGH}
HAPPENING = 0


class Envelope(msgspec.Struct):
    code: Loose = None


class Info(msgspec.Struct):
    powerstation_id: Loose = None
    time_span: Loose = None


class Kpi(msgspec.Struct):
    pac: Loose = None
    power: Loose = None
    total_power: Loose = None


class Powerflow(msgspec.Struct, rename="camel"):
    pv: Loose = None
    grid: Loose = None
    grid_status: Loose = None


class InvertFull(msgspec.Struct):
    pac: Loose = None
    eday: Loose = None
    etotal: Loose = None
    pmeter: Loose = None
    hasmeter: Loose = None
    last_time: Loose = None


class InverterShort(msgspec.Struct, rename="camel"):
    creation_date: Loose = None


class Inverter(msgspec.Struct):
    eday: Loose = None
    etotal: Loose = None
    last_refresh_time: Loose = None
    d: InverterShort | None = None
    invert_full: InvertFull | None = None
    """Left out for some models."""


class Detail(msgspec.Struct):
    info: Info | None = None
    kpi: Kpi | None = None
    powerflow: Powerflow | None = None
    inverter: list[Inverter] | None = None


class DetailAnswer(Envelope):
    data: Detail | str | list[Any] | None = None
    """Text or an empty list stands for nothing."""


class Point(msgspec.Struct):
    x: Loose = None
    y: Loose = None


class Line(msgspec.Struct):
    name: Loose = None
    label: Loose = None
    unit: Loose = None
    xy: list[Point] | None = None


class Chart(msgspec.Struct):
    lines: list[Line] | None = None


class ChartAnswer(Envelope):
    data: Chart | str | list[Any] | None = None


class WarningRow(msgspec.Struct, rename={"station_id": "stationId"}):
    station_id: Loose = None
    devicesn: Loose = None
    error_code: Loose = None
    warningname: Loose = None
    warninglevel: Loose = None
    status: Loose = None
    happentime: Loose = None
    recoverytime: Loose = None


class WarningRows(msgspec.Struct, rename={"rows": "list"}):
    record: Loose = None
    rows: list[WarningRow] | None = None


class WarningsAnswer(Envelope):
    data: WarningRows | None = None


_BARE = msgspec.json.Decoder(Envelope)
_DETAIL = msgspec.json.Decoder(DetailAnswer)
_CHART = msgspec.json.Decoder(ChartAnswer)
_WARNINGS = msgspec.json.Decoder(WarningsAnswer)


def monitor_detail(response: VendorResponse, plant_id: str | None, zone: tzinfo) -> Reading:
    """`GetMonitorDetailByPowerstationId`. `zone` reads local texts where the answer lacks `info.time_span`."""
    detail = _open(response, _DETAIL).data
    if not isinstance(detail, Detail) or (detail.info is None and detail.kpi is None and not detail.inverter):
        raise no_plant(VENDOR)
    info, kpi, inverters = detail.info or Info(), detail.kpi or Kpi(), detail.inverter or []
    if not _same_plant(info.powerstation_id, plant_id):
        raise other_plant(VENDOR)
    seen = _last_seen(inverters, _local_zone(info, zone))
    return Reading(
        sampled_at=seen,
        last_seen_at=seen,
        current_power_w=_power(kpi, inverters, detail.powerflow),
        today_energy_kwh=_first(_value(kpi.power), complete_total(_energy(inverter, "eday") for inverter in inverters)),
        total_energy_kwh=_first(_value(kpi.total_power), complete_total(_energy(inverter, "etotal") for inverter in inverters)),
        grid_injection_power_w=_export(inverters, detail.powerflow),
    )


def chart_of_days(response: VendorResponse) -> dict[date, float]:
    """`GetChartByPlant` with range 2: kWh by local day, of the line of generation. Days to come are null there."""
    chart = _open(response, _CHART).data
    lines = chart.lines or [] if isinstance(chart, Chart) else []
    days = {}
    for line in lines:
        if not _is_generation(line):
            continue
        for point in line.xy or ():
            day, energy = iso_date(point.x), _value(point.y)
            if day is not None and energy is not None:
                days[day] = energy
    return days


def warnings(response: VendorResponse, plant_id: str | None, zone: tzinfo) -> AlarmPage:
    """`GetPowerStationWariningInfoByMultiCondition`, one page.

    The vendor is said to ignore the plant filter: other plants' rows are left out.
    """
    page = _open(response, _WARNINGS).data
    if page is None or (page.rows is None and whole(page.record) != 0):
        raise missing(VENDOR, "list of warnings")
    rows = page.rows or []
    ours = tuple(_alarm(row, zone) for row in rows if _same_plant(row.station_id, plant_id))
    return AlarmPage(alarms=ours, rows=len(rows), total=whole(page.record))


def _open(response: VendorResponse, decoder: msgspec.json.Decoder[Answer]) -> Answer:
    refuse_http_errors(response.status, VENDOR)
    return open_answer(response.body, decoder, _BARE, _judge)


def _judge(answer: Envelope) -> None:
    if answer.code in SUCCESS:
        return
    vendor_code = text(answer.code, 40)
    if vendor_code in SUCCESS:
        return
    if vendor_code is None:
        raise missing(VENDOR, "code")
    raise AdapterError(ERRORS.get(vendor_code, AdapterErrorType.VENDOR_ERROR), f"{VENDOR} answered code {vendor_code}")


def _same_plant(raw: Loose, plant_id: str | None) -> bool:
    """Ids are UUIDs: letter case carries no meaning."""
    return plant_id is None or raw is None or raw == plant_id or str(raw).lower() == plant_id.lower()


def _value(raw: Loose) -> float | None:
    value = number(raw)
    return None if value in SENTINELS else value


_WITH_UNIT = re.compile(r"\s*([+-]?\d{1,12}(?:\.\d{1,6})?)\s*(?:\((W|kW)\)|(W|kW))?\s*", re.ASCII)


def _flow_watts(raw: Loose) -> float | None:
    """`"4200(W)"`: powers of the flow diagram carry their unit and no sign."""
    match = _WITH_UNIT.fullmatch(raw) if type(raw) is str and len(raw) <= 40 else None
    if match is None:
        return _value(raw)
    value = _value(match[1])
    return value * 1000 if value is not None and (match[2] or match[3]) == "kW" else value


def _power(kpi: Kpi, inverters: list[Inverter], flow: Powerflow | None) -> float | None:
    value = _value(kpi.pac)
    if value is None:
        value = total(_value(inverter.invert_full.pac) for inverter in inverters if inverter.invert_full is not None)
    if value is None and flow is not None:
        value = _flow_watts(flow.pv)
    return value


def _energy(inverter: Inverter, field: str) -> float | None:
    full = inverter.invert_full
    inner = _value(getattr(full, field)) if full is not None else None
    return inner if inner is not None else _value(getattr(inverter, field))


def _export(inverters: list[Inverter], flow: Powerflow | None) -> float | None:
    meters = (inverter.invert_full for inverter in inverters if inverter.invert_full is not None)
    metered = total(_value(meter.pmeter) for meter in meters if meter.hasmeter is not False)  # without one, pmeter is 0
    if metered is not None:
        return export_only(metered * PMETER_EXPORT_SIGN)
    if flow is not None and whole(flow.grid_status) == EXPORTING:
        return export_only(_flow_watts(flow.grid))
    return None


def _last_seen(inverters: list[Inverter], zone: tzinfo) -> datetime | None:
    """`last_refresh_time` of `d` is not read: its order of day and month follows the account's settings."""
    exact = newest(epoch_ms(inverter.invert_full.last_time) for inverter in inverters if inverter.invert_full is not None)
    if exact is None:
        exact = newest(us_time(inverter.last_refresh_time, zone) for inverter in inverters)
    if exact is None:
        exact = newest(us_time(inverter.d.creation_date, CHINA) for inverter in inverters if inverter.d is not None)
    return exact


def _local_zone(info: Info, zone: tzinfo) -> tzinfo:
    """`time_span` is UTC minus local, in hours: the other way round than usual."""
    span = number(info.time_span)
    if span is None or not -15 < span < 15:
        return zone
    return timezone(timedelta(hours=-span)) if span else UTC


def _is_generation(line: Line) -> bool:
    return line.name == "PVGeneration" or (line.name is None and type(line.label) is str and line.label.startswith("Generation"))


def _alarm(row: WarningRow, zone: tzinfo) -> Alarm:
    vendor_code = code(row.error_code)
    return Alarm(
        code=vendor_code,
        device_sn=code(row.devicesn),
        severity=SEVERITIES.get(whole(row.warninglevel) or 0, Severity.MEDIUM),
        message=message(row.warningname) or unnamed(vendor_code),
        occurred_at=us_time(row.happentime, zone),
        is_active=whole(row.status) == HAPPENING and text(row.recoverytime, 40) is None,
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
