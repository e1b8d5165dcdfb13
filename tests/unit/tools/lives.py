"""A plant's life as the tests of `replay` write it: lines of readings, and what is told as short lines of text."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.tools.replay import AlertEvent, Event, SnapshotEvent, StatusEvent, replay
from controller.tools.replay_input import parse_plant

CREATED = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def plant(**changes: Any) -> dict[str, Any]:
    """A plant in UTC, created at noon of 10 March 2026."""
    return {"brand": "SOLIS", "vendorPlantId": "X", "timezone": "UTC", "pollInterval": "10m", "createdAt": iso(CREATED)} | changes


def seen(at: datetime, last: datetime | None = None, alarms: Any = (), complete: bool = True, **reading: Any) -> str:
    """A SUCCESS at `at` of a plant that last reported at `last` (`at` where not said), with no power and no energy unless said."""
    values = {"sampled_at": iso(last or at), "last_seen_at": iso(last or at)} | reading
    listed = None if alarms is None else list(alarms)
    return json.dumps({"at": iso(at), "result": "SUCCESS", "reading": values, "alarms": listed, "alarms_complete": complete})


def failed(at: datetime, error: str = "NETWORK_TIMEOUT") -> str:
    return json.dumps({"at": iso(at), "result": "ERROR", "error_type": error})


def days(at: datetime, day: str, **energy: Any) -> str:
    """`days(at, "2026-03-10", d0310=5.0)`: what the daily series says in the year of `day`."""
    series = {f"{day[:4]}-{name[1:3]}-{name[3:]}": value for name, value in energy.items()}
    return json.dumps({"at": iso(at), "result": "DAYS", "date": day, "days": series})


def alarm(code: str | None = "1015", severity: str = "HIGH", device_sn: str | None = "SN", is_active: bool = True) -> dict[str, Any]:
    return {
        "code": code,
        "device_sn": device_sn,
        "severity": severity,
        "message": "",
        "occurred_at": iso(CREATED),
        "is_active": is_active,
    }


def told(lines: Iterable[str], until: datetime, **declared: Any) -> list[str]:
    """What is told of the plant, without its days: `03-10T12:00 GREY>GREEN Reporting`, `03-10T12:00 opened MOCK_FAULT HIGH 1015 SN`."""
    return [_text(event) for event in replay(parse_plant(plant(**declared)), lines, until) if not isinstance(event, SnapshotEvent)]


def kept(lines: Iterable[str], until: datetime, **declared: Any) -> dict[str, tuple[float, float | None, bool]]:
    """The days at the end: energy, peak, backfilled."""
    events = replay(parse_plant(plant(**declared)), lines, until)
    rows = [event for event in events if isinstance(event, SnapshotEvent)]
    assert [row.date for row in rows] == sorted({row.date for row in rows}), "one row a day, by date"
    return {str(row.date): (row.today_energy_kwh, row.peak_power_w, row.backfilled) for row in rows}


def _text(event: Event) -> str:
    at = event.at.strftime("%m-%dT%H:%M") + (event.at.strftime(":%S.%f") if event.at.second or event.at.microsecond else "")
    match event:
        case StatusEvent():
            return f"{at} {event.before}>{event.to} {event.reason}"
        case AlertEvent():
            key = (event.vendor_alarm_code, event.device_sn)
            return " ".join([at, event.action, event.type, event.severity, *(part for part in key if part)])
        case SnapshotEvent():
            raise AssertionError("days are asked for with `kept`")
