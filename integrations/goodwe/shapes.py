"""How SEMS portal answers look (VENDORS 3.2, 3.3): only the fields that are read. Called by `normalise.py`.

Fields that vendors send in several forms are `Loose`: a wrong one must not cost the rest of the answer.
"""

from typing import Any

import msgspec

from integrations.payload import Loose


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


BARE = msgspec.json.Decoder(Envelope)
DETAIL = msgspec.json.Decoder(DetailAnswer)
CHART = msgspec.json.Decoder(ChartAnswer)
WARNINGS = msgspec.json.Decoder(WarningsAnswer)
DAYS = msgspec.json.Decoder(DaysAnswer)
STATIONS = msgspec.json.Decoder(StationsAnswer)
