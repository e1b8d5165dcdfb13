"""`solarinvest normalise`: what one captured vendor payload says, in the domain's names. For engineers with a capture in hand.

Called by `controller.cli`. Reads as the adapters read and believes as polls do (DOMAIN 3), without a plant's history.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from controller.domain.plant import LiveState
from controller.domain.reading import FUTURE_TOLERANCE, believe, believe_days
from integrations.capture import Capture, Findings
from integrations.contract import Alarm, Brand, Reading, VendorResponse
from integrations.errors import AdapterError
from integrations.registry import CAPTURE_READERS

DECIMALS = 6
"""Of a W or kWh: finer digits come from converting units."""


def normalise_capture(
    brand: Brand,
    path: str,
    body: bytes,
    *,
    plant_id: str | None,
    zone: ZoneInfo,
    capacity_kwp: float | None,
    now: datetime,
    http_status: int,
    device_type: int | None,
) -> dict[str, object]:
    """One payload as one JSON object that holds only what the payload carries and what of it is believed.

    `current_power_w`, `today_energy_kwh`, `total_energy_kwh`, `grid_injection_power_w`, `last_seen_at` (ISO 8601, UTC), `days` (kWh by
    local date), `alarms` (`code`, `device_sn`, `severity`, `message`, `occurred_at`, `is_active`); or `error` (an adapter error type) and
    `message`. `path` is the vendor's own and tells the kind of payload; `plant_id` picks one plant of several and refuses others;
    `zone` is the plant's; `now` decides what lies in the future; `device_type` is Huawei's, where the payload does not echo it.
    """
    capture = Capture(path, VendorResponse(status=http_status, body=body), plant_id, zone, device_type)
    try:
        found = CAPTURE_READERS[brand](capture)
    except AdapterError as error:
        return {"error": error.error_type.value, "message": error.message}
    return _written(found, capacity_kwp, now)


def _written(found: Findings, capacity_kwp: float | None, now: datetime) -> dict[str, object]:
    written = _reading(believe(found.reading, LiveState(), capacity_kwp, now).reading)
    if found.days is not None:
        written["days"] = _days(found.days, capacity_kwp)
    if found.alarms is not None:
        written["alarms"] = _alarms(found.alarms, now)
    return written


def _reading(reading: Reading) -> dict[str, object]:
    values: dict[str, object] = {
        "current_power_w": _rounded(reading.current_power_w),
        "today_energy_kwh": _rounded(reading.today_energy_kwh),
        "total_energy_kwh": _rounded(reading.total_energy_kwh),
        "grid_injection_power_w": _rounded(reading.grid_injection_power_w),
        "last_seen_at": _iso(reading.last_seen_at),
    }
    return {name: value for name, value in values.items() if value is not None}


def _days(energy_kwh: Mapping[date, float], capacity_kwp: float | None) -> dict[str, float]:
    believed, _ = believe_days(energy_kwh, capacity_kwp)
    return {day.isoformat(): round(believed[day], DECIMALS) for day in sorted(believed)}


def _alarms(alarms: Sequence[Alarm], now: datetime) -> list[dict[str, object]]:
    return [
        {
            "code": alarm.code,
            "device_sn": alarm.device_sn,
            "severity": alarm.severity.value,
            "message": alarm.message,
            "occurred_at": _iso(_past(alarm.occurred_at, now)),
            "is_active": alarm.is_active,
        }
        for alarm in alarms
    ]


def _past(instant: datetime | None, now: datetime) -> datetime | None:
    """A time a little ahead is now, one further ahead is refused (DOMAIN 3)."""
    if instant is None or instant <= now:
        return instant
    return now if instant <= now + FUTURE_TOLERANCE else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
