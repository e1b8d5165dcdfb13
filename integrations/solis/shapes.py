"""How SolisCloud answers look (VENDORS 1.2, 1.3): only the fields that are read. Called by `normalise.py`.

Fields that vendors send in several forms are `Loose`: a wrong one must not cost the rest of the answer.
"""

import msgspec

from integrations.payload import Loose


class Envelope(msgspec.Struct, rename="camel"):
    code: Loose = None
    msg: Loose = None


class Station(msgspec.Struct, rename="camel"):
    id: Loose = None
    data_timestamp: Loose = None
    power: Loose = None
    power_str: Loose = None
    power_pec: Loose = None
    day_energy: Loose = None
    day_energy_str: Loose = None
    day_energy_pec: Loose = None
    all_energy1: Loose = None
    all_energy: Loose = None
    all_energy_str: Loose = None
    all_energy_pec: Loose = None
    psum: Loose = None
    psum_str: Loose = None
    psum_pec: Loose = None


class StationAnswer(Envelope):
    data: Station | None = None


class Day(msgspec.Struct, rename="camel"):
    date_str: Loose = None
    energy: Loose = None
    energy_str: Loose = None
    energy_pec: Loose = None


class MonthAnswer(Envelope):
    data: list[Day] | None = None


class StationRow(Station, rename="camel"):
    """A plant of a list: the same fields as alone."""


class StationRows(msgspec.Struct, rename="camel"):
    records: list[StationRow] | None = None
    page: "StationRows | None" = None


class StationsAnswer(Envelope):
    data: StationRows | None = None


class DayOfPlant(Day, rename="camel"):
    id: Loose = None
    """The plant's: a month's days have an id of their own there."""
    station_id: Loose = None


class DayRows(msgspec.Struct, rename="camel"):
    records: list[DayOfPlant] | None = None
    page: "DayRows | None" = None


class DayAnswer(Envelope):
    data: DayRows | None = None


class AlarmRow(msgspec.Struct, rename="camel"):
    station_id: Loose = None
    alarm_device_sn: Loose = None
    alarm_level: Loose = None
    alarm_code: Loose = None
    alarm_msg: Loose = None
    advice: Loose = None
    alarm_begin_time: Loose = None
    state: Loose = None


class AlarmRows(msgspec.Struct, rename="camel"):
    records: list[AlarmRow] | None = None
    total: Loose = None
    page: "AlarmRows | None" = None
    """Some answers wrap the page once more."""


class AlarmAnswer(Envelope):
    data: AlarmRows | None = None


BARE = msgspec.json.Decoder(Envelope)
STATION = msgspec.json.Decoder(StationAnswer)
MONTH = msgspec.json.Decoder(MonthAnswer)
ALARMS = msgspec.json.Decoder(AlarmAnswer)
STATIONS = msgspec.json.Decoder(StationsAnswer)
DAY = msgspec.json.Decoder(DayAnswer)
