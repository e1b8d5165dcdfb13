"""How FusionSolar answers look (VENDORS 2.2, 2.3): only the fields that are read. Called by `normalise.py`.

Fields that vendors send in several forms are `Loose`: a wrong one must not cost the rest of the answer.
"""

import msgspec

from integrations.payload import Loose


class Verdict(msgspec.Struct, rename="camel"):
    """How the request went, whatever else the answer holds."""

    success: Loose = None
    fail_code: Loose = None
    error_code: Loose = None
    """The two gateways in front of the API have error bodies of their own: with this key, or with `exceptionId`."""
    exception_id: Loose = None
    exception_info: Loose = None
    data: Loose = None
    """Over the frequency limit, the reason stands here."""


class Params(msgspec.Struct, rename="camel"):
    current_time: Loose = None
    dev_type_id: Loose = None
    """Of device figures: the type that was asked for."""


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
    station_code: Loose = None
    dev_id: Loose = None
    collect_time: Loose = None
    """Of the five-minute figures only."""
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


class AlarmRows(msgspec.Struct, rename={"rows": "list"}):
    rows: list[AlarmRow] | None = None


class AlarmsAnswer(Envelope):
    data: list[AlarmRow] | AlarmRows | None = None
    """Documented as a plain list."""


class KioskAnswer(Envelope):
    data: Loose = None


class RealKpi(msgspec.Struct, rename="camel"):
    real_time_power: Loose = None
    daily_energy: Loose = None
    cumulative_energy: Loose = None


class Figures(msgspec.Struct, rename="camel"):
    real_kpi: RealKpi | None = None


class PlantRow(msgspec.Struct, rename="camel"):
    plant_code: Loose = None
    station_code: Loose = None


class PlantRows(msgspec.Struct, rename={"rows": "list"}):
    rows: list[PlantRow] | None = None


class PlantsAnswer(Envelope):
    data: list[PlantRow] | PlantRows | None = None


BARE = msgspec.json.Decoder(Verdict)
STATION = msgspec.json.Decoder(StationAnswer)
DEVICES = msgspec.json.Decoder(DevicesAnswer)
DEVICE_KPI = msgspec.json.Decoder(DeviceKpiAnswer)
DAYS = msgspec.json.Decoder(DaysAnswer)
ALARMS = msgspec.json.Decoder(AlarmsAnswer)
KIOSK = msgspec.json.Decoder(KioskAnswer)
FIGURES = msgspec.json.Decoder(Figures)
PLANTS = msgspec.json.Decoder(PlantsAnswer)
