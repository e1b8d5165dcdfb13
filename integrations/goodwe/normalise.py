"""SEMS portal answers into normalised values (VENDORS 3.2 to 3.6). Pure; called by `adapter.py`.

Each function takes one answer and the plant it must be about (None: whichever it is about), and raises AdapterError.
Names are misleading here: `kpi.power` is today's energy, `info.time` is the server's clock and no sign of life.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

import msgspec

from integrations.answers import Answer, missing, no_plant, of_account, of_plant, open_answer, other_plant
from integrations.contract import Alarm, Reading, Severity, VendorResponse
from integrations.errors import AdapterError, AdapterErrorType
from integrations.goodwe import shapes
from integrations.paging import AlarmPage
from integrations.payload import (
    KILOWATT_HOURS,
    WATTS,
    Loose,
    absent,
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
_LABELLED = re.compile(r"\(\s*([A-Za-z]{1,4})\s*\)\s*\Z")

EXPORTING = 1
PMETER_EXPORT_SIGN = 1
"""`gridStatus` 1 and positive `pmeter` are export: computed from a capture (VENDORS 3.3); other projects assume the opposite."""

CHINA = timezone(timedelta(hours=8))
"""The zone of `creationDate`, wherever the plant is."""

SEVERITIES = {1: Severity.LOW, 2: Severity.MEDIUM, 4: Severity.HIGH}
HAPPENING = 0


def monitor_detail(response: VendorResponse, plant_id: str | None, zone: tzinfo) -> Reading:
    """`GetMonitorDetailByPowerstationId`. `zone` reads local texts where the answer lacks `info.time_span`."""
    detail = _open(response, shapes.DETAIL).data
    if not isinstance(detail, shapes.Detail) or (detail.info is None and detail.kpi is None and not detail.inverter):
        raise no_plant(VENDOR)
    info, kpi, inverters = detail.info or shapes.Info(), detail.kpi or shapes.Kpi(), detail.inverter or []
    if not _same_plant(info.powerstation_id, plant_id):
        raise other_plant(VENDOR)
    flow = detail.powerflow if isinstance(detail.powerflow, shapes.Powerflow) else shapes.Powerflow()
    seen = _last_seen(inverters, _local_zone(info, zone), info.date_format)
    return Reading(
        sampled_at=seen,
        last_seen_at=seen,
        current_power_w=_power(kpi, inverters, flow),
        today_energy_kwh=_energy(kpi.power, inverters, _today),
        total_energy_kwh=_energy(kpi.total_power, inverters, _lifetime),
        grid_injection_power_w=_export(inverters, flow),
    )


def station_list(response: VendorResponse, plant_id: str | None) -> Reading:
    """`QueryPowerStationMonitor`: one plant of the account's. It has no times."""
    data = _open(response, shapes.STATIONS).data
    rows = data.rows if isinstance(data, shapes.StationRows) else data
    if not isinstance(rows, list):
        raise no_plant(VENDOR)
    row = of_account(rows, lambda row: _id(row.powerstation_id), _id(plant_id), VENDOR)[0]
    return Reading(current_power_w=_watts(row.pac), today_energy_kwh=_kwh(row.eday), total_energy_kwh=_kwh(row.etotal))


def chart_of_days(response: VendorResponse) -> dict[date, float]:
    """`GetChartByPlant` with range 2: kWh by local day, of the line of generation. Days to come are null there."""
    chart = _open(response, shapes.CHART).data
    if not isinstance(chart, shapes.Chart) or chart.lines is None:
        raise no_plant(VENDOR)
    days = {}
    for line in _generation(chart.lines):
        unit = _unit(line)
        for point in line.xy or ():
            day, energy = iso_date(point.x), scaled(_value(point.y), unit, KILOWATT_HOURS, "kWh")
            if day is not None and energy is not None:
                days[day] = energy
    return days


def power_and_income(response: VendorResponse) -> dict[date, float]:
    """`GetPowerStationPowerAndIncomeByDay`: kWh by local day."""
    rows = _open(response, shapes.DAYS).data
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
    page = _open(response, shapes.WARNINGS).data
    if not isinstance(page, shapes.WarningRows) or (page.rows is None and page.record is None):
        raise no_plant(VENDOR)
    if page.rows is None and whole(page.record) != 0:
        raise missing(VENDOR, "list of warnings")
    rows = page.rows or []
    if plant_id is None:
        of_plant(rows, lambda row: _id(row.station_id), None, VENDOR)
    ours = tuple([_alarm(row, zone) for row in rows if _same_plant(row.station_id, plant_id)])
    return AlarmPage(alarms=ours, rows=len(rows), total=whole(page.record))


def _open(response: VendorResponse, decoder: msgspec.json.Decoder[Answer]) -> Answer:
    return open_answer(response, VENDOR, decoder, shapes.BARE, _judge)


def _judge(answer: shapes.Envelope) -> None:
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
    if type(raw) is not str:
        return _value(raw)
    value = measured(raw, scales)
    return None if value is None or measured(raw, dict.fromkeys(scales, 1.0)) in SENTINELS else value


def _first(read: Callable[[Loose], float | None], *fields: Loose) -> float | None:
    """The first field that can be read."""
    for field in fields:
        value = read(field)
        if value is not None:
            return value
    return None


def _energy(of_plant: Loose, inverters: list[shapes.Inverter], of_inverter: Callable[[shapes.Inverter], float | None]) -> float | None:
    """What the plant's own figure says, else its inverters' together."""
    value = _kwh(of_plant)
    return value if value is not None else complete_total(of_inverter(inverter) for inverter in inverters)


def _power(kpi: shapes.Kpi, inverters: list[shapes.Inverter], flow: shapes.Powerflow) -> float | None:
    value = _watts(kpi.pac)
    if value is None:
        value = total(_watts(inverter.invert_full.pac) for inverter in inverters if inverter.invert_full is not None)
    if value is None:
        value = _watts(flow.pv)
    return value if value is not None else total(_output(inverter) for inverter in inverters)


def _output(inverter: shapes.Inverter) -> float | None:
    """The text, for it names its unit: the number beside it, `out_pac`, is W in one of the vendor's two APIs and kW in the other."""
    return _first(_watts, inverter.output_power, None if inverter.d is None else inverter.d.output_power)


def _today(inverter: shapes.Inverter) -> float | None:
    full = inverter.invert_full
    return _first(_kwh, None if full is None else full.eday, inverter.eday, inverter.daily_generation)


def _lifetime(inverter: shapes.Inverter) -> float | None:
    full = inverter.invert_full
    return _first(_kwh, None if full is None else full.etotal, inverter.etotal, inverter.total_generation)


def _export(inverters: list[shapes.Inverter], flow: shapes.Powerflow) -> float | None:
    metered = total(_meter(inverter.invert_full) for inverter in inverters if inverter.invert_full is not None)
    if metered is not None:
        return export_only(metered * PMETER_EXPORT_SIGN)
    if whole(flow.grid_status) == EXPORTING:
        return export_only(_watts(flow.grid))
    return None


def _meter(full: shapes.InvertFull) -> float | None:
    """Without a meter `pmeter` is 0. `hasmeter` alone proves nothing: in one real capture it denies the meter that imports 2337 W."""
    value = _watts(full.pmeter)
    return None if value == 0 and full.hasmeter is False else value


def _last_seen(inverters: list[shapes.Inverter], zone: tzinfo, date_format: Loose) -> datetime | None:
    """The most exact of what the inverters say, best first. `info.time` is not among it: it is the server's clock."""
    seen = newest([epoch_ms(inverter.invert_full.last_time) for inverter in inverters if inverter.invert_full is not None])
    if seen is not None:
        return seen
    shorts = [inverter.d for inverter in inverters if inverter.d is not None]
    order = date_format if type(date_format) is str else ""
    return (
        newest(us_time(inverter.last_refresh_time, zone) for inverter in inverters)
        or newest(us_time(short.creation_date, CHINA) for short in shorts)
        or newest(local_time(short.last_refresh_time, zone, order) for short in shorts)
    )


def _local_zone(info: shapes.Info, zone: tzinfo) -> tzinfo:
    """`time_span` is UTC minus local, in hours: the other way round than usual."""
    span = number(info.time_span)
    if span is None or not -15 < span < 15:
        return zone
    return _fixed_zone(span)


@lru_cache(maxsize=64)
def _fixed_zone(span: float) -> tzinfo:
    """A fleet has few offsets."""
    return timezone(timedelta(hours=-span)) if span else UTC


def _generation(lines: list[shapes.Line]) -> list[shapes.Line]:
    """The line with the vendor's name for it, else the one so labelled: other charts add consumption, purchase and sale."""
    named = [line for line in lines if line.name == "PVGeneration"]
    return named or [line for line in lines if type(line.label) is str and line.label.lower().startswith(LABELS)]


def _unit(line: shapes.Line) -> Loose:
    """The line's unit, else the one in its label's brackets."""
    if line.unit not in (None, "") and not absent(line.unit):
        return line.unit
    match = _LABELLED.search(line.label) if type(line.label) is str and len(line.label) <= 80 else None
    return None if match is None else match[1]


def _alarm(row: shapes.WarningRow, zone: tzinfo) -> Alarm:
    vendor_code = code(row.error_code)
    return Alarm(
        code=vendor_code,
        device_sn=code(row.devicesn),
        severity=SEVERITIES.get(whole(row.warninglevel) or 0, Severity.MEDIUM),
        message=message(row.warningname) or unnamed(vendor_code),
        occurred_at=us_time(row.happentime, zone),
        is_active=whole(row.status) == HAPPENING and (text(row.recoverytime, 40) or "") in NOTHING,
    )
