"""How Deye Cloud and SOLARMAN answers look (VENDORS 4.2, 4.3): only the fields that are read. Called by `normalise.py`.

Fields that vendors send in several forms are `Loose`: a wrong one must not cost the rest of the answer.
"""

import msgspec

from integrations.payload import Loose


class Envelope(msgspec.Struct, rename="camel"):
    success: Loose = None
    code: Loose = None
    exception: Loose = None


class LatestAnswer(Envelope, rename="camel"):
    id: Loose = None
    station_id: Loose = None
    """Documented in lists only."""
    last_update_time: Loose = None
    generation_power: Loose = None
    consumption_power: Loose = None
    use_power: Loose = None
    """SOLARMAN's name of `consumptionPower`."""
    grid_power: Loose = None
    battery_power: Loose = None
    generation_total: Loose = None


class StationRow(LatestAnswer, rename="camel"):
    """A plant of a list: the same fields as alone, as far as it has them."""


class StationsAnswer(Envelope, rename="camel"):
    station_list: list[StationRow] | None = None


class DayItem(msgspec.Struct, rename="camel"):
    year: Loose = None
    month: Loose = None
    day: Loose = None
    date_time: Loose = None
    generation_value: Loose = None
    station_id: Loose = None


class HistoryAnswer(Envelope, rename="camel"):
    station_id: Loose = None
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
    device_type: Loose = None
    data_list: list[DevicePoint] | None = None


class DeviceLatestAnswer(Envelope, rename="camel"):
    device_data_list: list[DeviceData] | None = None


class CurrentDataAnswer(Envelope, rename="camel"):
    """SOLARMAN's: one device, as flat as the envelope."""

    device_data_list: list[DeviceData] | None = None
    device_sn: Loose = None
    device_type: Loose = None
    data_list: list[DevicePoint] | None = None


class AlertItem(msgspec.Struct, rename="camel"):
    """Deye's names, then SOLARMAN's of the same things."""

    station_id: Loose = None
    device_sn: Loose = None
    alert_code: Loose = None
    code: Loose = None
    protocol_name: Loose = None
    addr: Loose = None
    alert_name: Loose = None
    show_name: Loose = None
    level: Loose = None
    impact: Loose = None
    influence: Loose = None
    alert_start_time: Loose = None
    alert_time: Loose = None
    """SOLARMAN's first version: when the alert was last seen. It knows no status and no end."""
    status: Loose = None


class AlertsAnswer(Envelope, rename="camel"):
    station_id: Loose = None
    total: Loose = None
    station_alert_items: list[AlertItem] | msgspec.UnsetType | None = msgspec.UNSET
    alert_list: list[AlertItem] | msgspec.UnsetType | None = msgspec.UNSET
    """The same list where a device is asked for its alerts."""


BARE = msgspec.json.Decoder(Envelope)
LATEST = msgspec.json.Decoder(LatestAnswer)
HISTORY = msgspec.json.Decoder(HistoryAnswer)
DEVICES = msgspec.json.Decoder(DevicesAnswer)
DEVICE_LATEST = msgspec.json.Decoder(DeviceLatestAnswer)
ALERTS = msgspec.json.Decoder(AlertsAnswer)
STATIONS = msgspec.json.Decoder(StationsAnswer)
CURRENT_DATA = msgspec.json.Decoder(CurrentDataAnswer)
