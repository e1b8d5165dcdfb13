"""SEMS portal answers into normalised values (VENDORS 3.2 to 3.6). Pure; called by `adapter.py`.

Each function takes one answer and the plant it must be about (None: whichever it is about), and raises AdapterError.
Names are misleading here: `kpi.power` is today's energy, `info.time` is the server's clock and no sign of life.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

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
    complete_total,
    epoch_ms,
    export_only,
    iso_date,
    local_time,
    measured,
    message,
    newest,
    number,
    scaled,
    text,
    total,
    unnamed,
    us_date,
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
NOTHING = ("", "-", "--", "null", "N/A")
"""Texts that stand for no time of recovery."""

LABELS = ("generation", "pvgeneration", "pv generation")
"""How charts label what was generated, in lower case and before the unit."""

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
    date_format: Loose = None


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


class InverterShort(msgspec.Struct, rename={"creation_date": "creationDate"}):
    creation_date: Loose = None
    last_refresh_time: Loose = None
    output_power: Loose = None


class Inverter(msgspec.Struct):
    eday: Loose = None
    etotal: Loose = None
    last_refresh_time: Loose = None
    output_power: Loose = None
    daily_generation: Loose = None
    total_generation: Loose = None
    """The last three are texts with their unit: "4200W", "14.3kWh"."""
    d: InverterShort | None = None
    invert_full: InvertFull | None = None
    """Left out for some models."""


class Detail(msgspec.Struct):
    info: Info | None = None
    kpi: Kpi | None = None
    powerflow: Powerflow | str | None = None
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


class DayRow(msgspec.Struct):
    d: Loose = None
    p: Loose = None


class DaysAnswer(Envelope):
    data: list[DayRow] | str | None = None


class StationRow(msgspec.Struct):
    powerstation_id: Loose = None
    pac: Loose = None
    eday: Loose = None
    etotal: Loose = None


class StationRows(msgspec.Struct, rename={"rows": "list"}):
    rows: list[StationRow] | None = None


class StationsAnswer(Envelope):
    data: StationRows | list[StationRow] | str | None = None


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
    data: WarningRows | str | list[Any] | None = None


_BARE = msgspec.json.Decoder(Envelope)
_DETAIL = msgspec.json.Decoder(DetailAnswer)
_CHART = msgspec.json.Decoder(ChartAnswer)
_WARNINGS = msgspec.json.Decoder(WarningsAnswer)
_DAYS = msgspec.json.Decoder(DaysAnswer)
_STATIONS = msgspec.json.Decoder(StationsAnswer)


def monitor_detail(response: VendorResponse, plant_id: str | None, zone: tzinfo) -> Reading:
    """`GetMonitorDetailByPowerstationId`. `zone` reads local texts where the answer lacks `info.time_span`."""
    detail = _open(response, _DETAIL).data
    if not isinstance(detail, Detail) or (detail.info is None and detail.kpi is None and not detail.inverter):
        raise no_plant(VENDOR)
    info, kpi, inverters = detail.info or Info(), detail.kpi or Kpi(), detail.inverter or []
    if not _same_plant(info.powerstation_id, plant_id):
        raise other_plant(VENDOR)
    flow = detail.powerflow if isinstance(detail.powerflow, Powerflow) else Powerflow()
    seen = _last_seen(inverters, _local_zone(info, zone), info.date_format)
    return Reading(
        sampled_at=seen,
        last_seen_at=seen,
        current_power_w=_power(kpi, inverters, flow),
        today_energy_kwh=_first(_kwh(kpi.power), complete_total(_today(inverter) for inverter in inverters)),
        total_energy_kwh=_first(_kwh(kpi.total_power), complete_total(_lifetime(inverter) for inverter in inverters)),
        grid_injection_power_w=_export(inverters, flow),
    )


def station_list(response: VendorResponse, plant_id: str | None) -> Reading:
    """`QueryPowerStationMonitor`: one plant of the account's. It has no times."""
    data = _open(response, _STATIONS).data
    rows = data.rows if isinstance(data, StationRows) else data
    if not isinstance(rows, list):
        raise no_plant(VENDOR)
    row = of_account(rows, lambda row: _id(row.powerstation_id), _id(plant_id), VENDOR)[0]
    return Reading(current_power_w=_watts(row.pac), today_energy_kwh=_kwh(row.eday), total_energy_kwh=_kwh(row.etotal))


def chart_of_days(response: VendorResponse) -> dict[date, float]:
    """`GetChartByPlant` with range 2: kWh by local day, of the line of generation. Days to come are null there."""
    chart = _open(response, _CHART).data
    if not isinstance(chart, Chart) or chart.lines is None:
        raise no_plant(VENDOR)
    days = {}
    for line in _generation(chart.lines):
        for point in line.xy or ():
            day, energy = iso_date(point.x), scaled(_value(point.y), line.unit, KILOWATT_HOURS, "kWh")
            if day is not None and energy is not None:
                days[day] = energy
    return days


def power_and_income(response: VendorResponse) -> dict[date, float]:
    """`GetPowerStationPowerAndIncomeByDay`: kWh by local day."""
    rows = _open(response, _DAYS).data
    if not isinstance(rows, list) or not rows:
        raise no_plant(VENDOR)
    days = {}
    for row in rows:
        day, energy = us_date(row.d) or iso_date(row.d), _kwh(row.p)
        if day is not None and energy is not None:
            days[day] = energy
    return days


def warnings(response: VendorResponse, plant_id: str | None, zone: tzinfo) -> AlarmPage:
    """`GetPowerStationWariningInfoByMultiCondition`, one page.

    The vendor is said to ignore the plant filter: other plants' rows are left out.
    """
    page = _open(response, _WARNINGS).data
    if not isinstance(page, WarningRows) or (page.rows is None and page.record is None):
        raise no_plant(VENDOR)
    if page.rows is None and whole(page.record) != 0:
        raise missing(VENDOR, "list of warnings")
    rows = page.rows or []
    if plant_id is None:
        of_plant(rows, lambda row: _id(row.station_id), None, VENDOR)
    ours = tuple(_alarm(row, zone) for row in rows if _same_plant(row.station_id, plant_id))
    return AlarmPage(alarms=ours, rows=len(rows), total=whole(page.record))


def _open(response: VendorResponse, decoder: msgspec.json.Decoder[Answer]) -> Answer:
    return open_answer(response, VENDOR, decoder, _BARE, _judge)


def _judge(answer: Envelope) -> None:
    if answer.code in SUCCESS:
        return
    vendor_code = text(answer.code, 40)
    if vendor_code in SUCCESS:
        return
    if vendor_code is None:
        raise missing(VENDOR, "code")
    raise AdapterError(ERRORS.get(vendor_code, AdapterErrorType.VENDOR_ERROR), f"{VENDOR} answered code {vendor_code}")


def _id(raw: Loose) -> str | None:
    """Ids are UUIDs: letter case carries no meaning."""
    found = text(raw, 64)
    return None if found is None else found.lower()


def _same_plant(raw: Loose, plant_id: str | None) -> bool:
    """An answer without an id, and a reader without a plant in mind, claim nothing."""
    return plant_id is None or raw in (None, "") or raw == plant_id or _id(raw) == plant_id.lower()


def _value(raw: Loose) -> float | None:
    value = number(raw)
    return None if value in SENTINELS else value


def _watts(raw: Loose) -> float | None:
    return _measured(raw, WATTS)


def _kwh(raw: Loose) -> float | None:
    return _measured(raw, KILOWATT_HOURS)


def _measured(raw: Loose, scales: Mapping[str, float]) -> float | None:
    """A number, or a text with its unit. Sentinels are told before the unit is applied."""
    return None if measured(raw, dict.fromkeys(scales, 1.0)) in SENTINELS else measured(raw, scales)


def _power(kpi: Kpi, inverters: list[Inverter], flow: Powerflow) -> float | None:
    return _first(
        _watts(kpi.pac),
        total(_watts(inverter.invert_full.pac) for inverter in inverters if inverter.invert_full is not None),
        _watts(flow.pv),
        total(_output(inverter) for inverter in inverters),
    )


def _output(inverter: Inverter) -> float | None:
    """The text, for it names its unit: the number beside it, `out_pac`, is W in one of the vendor's two APIs and kW in the other."""
    return _first(_watts(inverter.output_power), None if inverter.d is None else _watts(inverter.d.output_power))


def _today(inverter: Inverter) -> float | None:
    full = inverter.invert_full
    return _first(None if full is None else _kwh(full.eday), _kwh(inverter.eday), _kwh(inverter.daily_generation))


def _lifetime(inverter: Inverter) -> float | None:
    full = inverter.invert_full
    return _first(None if full is None else _kwh(full.etotal), _kwh(inverter.etotal), _kwh(inverter.total_generation))


def _export(inverters: list[Inverter], flow: Powerflow) -> float | None:
    metered = total(_meter(inverter.invert_full) for inverter in inverters if inverter.invert_full is not None)
    if metered is not None:
        return export_only(metered * PMETER_EXPORT_SIGN)
    if whole(flow.grid_status) == EXPORTING:
        return export_only(_watts(flow.grid))
    return None


def _meter(full: InvertFull) -> float | None:
    """Without a meter `pmeter` is 0. `hasmeter` alone proves nothing: in one real capture it denies the meter that imports 2337 W."""
    value = _watts(full.pmeter)
    return None if value == 0 and full.hasmeter is False else value


def _last_seen(inverters: list[Inverter], zone: tzinfo, date_format: Loose) -> datetime | None:
    """The most exact of what the inverters say, best first. `info.time` is not among it: it is the server's clock."""
    shorts = [inverter.d for inverter in inverters if inverter.d is not None]
    order = date_format if type(date_format) is str else ""
    return (
        newest(epoch_ms(inverter.invert_full.last_time) for inverter in inverters if inverter.invert_full is not None)
        or newest(us_time(inverter.last_refresh_time, zone) for inverter in inverters)
        or newest(us_time(short.creation_date, CHINA) for short in shorts)
        or newest(local_time(short.last_refresh_time, zone, order) for short in shorts)
    )


def _local_zone(info: Info, zone: tzinfo) -> tzinfo:
    """`time_span` is UTC minus local, in hours: the other way round than usual."""
    span = number(info.time_span)
    if span is None or not -15 < span < 15:
        return zone
    return timezone(timedelta(hours=-span)) if span else UTC


def _generation(lines: list[Line]) -> list[Line]:
    """The line with the vendor's name for it, else the one so labelled: other charts add consumption, purchase and sale."""
    named = [line for line in lines if line.name == "PVGeneration"]
    return named or [line for line in lines if type(line.label) is str and line.label.lower().startswith(LABELS)]


def _alarm(row: WarningRow, zone: tzinfo) -> Alarm:
    vendor_code = code(row.error_code)
    return Alarm(
        code=vendor_code,
        device_sn=code(row.devicesn),
        severity=SEVERITIES.get(whole(row.warninglevel) or 0, Severity.MEDIUM),
        message=message(row.warningname) or unnamed(vendor_code),
        occurred_at=us_time(row.happentime, zone),
        is_active=whole(row.status) == HAPPENING and (text(row.recoverytime, 40) or "") in NOTHING,
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
