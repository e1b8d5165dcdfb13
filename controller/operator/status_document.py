"""`Plant.status` as a document: what `kubectl get -o yaml` shows of a plant's row.

Called by the mirror with the row and the object as it stands, by reconcile with a refusal. Pure. Every field and bound here is
declared in manifests/crd, for the API server drops what it does not know and refuses what is too long.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controller.domain.generation import expected_today_kwh
from controller.domain.plant import Alert, AlertState, Integration, PlantContext, Snapshot, Status
from controller.domain.schedule import local_date
from controller.operator.conditions import Standing, accepted_conditions, refused_conditions, renewed_conditions
from controller.operator.instants import rfc3339
from controller.operator.resource import PlantResource, Refusal
from integrations.contract import Severity

ALERTS_MAX = 10
ALERT_TEXT_MAX = 128
ALERT_MESSAGE_MAX = 512
EXPLAIN_MAX = 20
EXPLAIN_TEXT_MAX = 512

OPTIONAL = (
    *("since", "lastPollTime", "lastSuccessTime", "nextPollTime", "lastHandledPollRequest", "lastSeenTime", "currentPowerW", "today"),
    *("totalEnergyKWh", "display"),
)
OPTIONAL_WITHIN = {"today": ("energyKWh", "peakPowerW", "expectedKWh", "specificYield"), "display": ("power", "today")}
"""What one status of a plant may have and the next may not; lists are replaced as wholes. A test compares with the CRD."""

_WORST_FIRST = {severity: rank for rank, severity in enumerate((Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW))}


def status_document(plant: PlantContext, resource: PlantResource, now: datetime) -> dict[str, Any]:
    """The whole status of a plant (docs/plant.md). `resource` is its object as it stands: its conditions keep their transition times.

    Fields without a value are absent. Power is rounded to 0.1 W and energy to 1 Wh, instants are cut to seconds.
    """
    return _document(plant, accepted_conditions(plant, resource, now), now)


def renewed_document(plant: PlantContext, standing: Standing, now: datetime) -> dict[str, Any]:
    """As `status_document`, for an object that is as our last patch of it left it, without a look at it."""
    return _document(plant, renewed_conditions(plant, standing, now), now)


def replacing_patch(document: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7396) that makes `document` of whatever status of ours: null for every field that it does not have."""
    inner = {name: {**dict.fromkeys(fields), **document[name]} for name, fields in OPTIONAL_WITHIN.items() if name in document}
    return {**dict.fromkeys(OPTIONAL), **document, **inner}


def _document(plant: PlantContext, conditions: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    live = plant.live
    today = _today(plant, now)
    return _present(
        {
            "observedGeneration": plant.declaration.generation,
            "health": live.status.value,
            "reason": live.reason.value,
            "since": _instant(live.status_since),
            "integrationStatus": live.integration.value,
            "lastPollTime": _instant(live.last_poll_at),
            "lastSuccessTime": _instant(live.last_success_at),
            "nextPollTime": _instant(plant.next_poll_at) if live.integration is Integration.ACTIVE else None,
            "consecutiveFailures": live.consecutive_failures,
            "lastHandledPollRequest": live.handled_poll_request,
            "lastSeenTime": _instant(live.last_seen_at),
            "currentPowerW": _power(live.current_power_w),
            "today": None if today is None else _day(today, plant, now),
            "totalEnergyKWh": _energy(live.total_energy_kwh),
            "display": _display(live.current_power_w, today),
            "openAlerts": _open_alerts(plant.alerts),
            "alerts": _alerts(plant.alerts),
            "explain": [sentence[:EXPLAIN_TEXT_MAX] for sentence in live.explain[:EXPLAIN_MAX]],
            "conditions": conditions,
        }
    )


def refused_document(refusal: Refusal, resource: PlantResource, now: datetime) -> dict[str, Any]:
    """The whole status of a Plant that is not monitored: GREY, and nothing of the plant itself."""
    unchanged = (resource.status.get("health"), resource.status.get("reason")) == (Status.GREY.value, refusal.reason.value)
    since = resource.status.get("since") if unchanged else None
    return {
        "observedGeneration": resource.generation,
        "health": Status.GREY.value,
        "reason": refusal.reason.value,
        "since": since if isinstance(since, str) else rfc3339(now),
        "explain": [_sentence(f"Not monitored: {refusal.message}")[:EXPLAIN_TEXT_MAX]],
        "conditions": refused_conditions(refusal, resource, now),
    }


def _sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def _today(plant: PlantContext, now: datetime) -> Snapshot | None:
    """The row of the plant's present local day. Yesterday's energy under the column TODAY would be a lie."""
    today = local_date(now, plant.declaration.zone)
    return next((day for day in plant.days if day.date == today), None)


def _day(day: Snapshot, plant: PlantContext, now: datetime) -> dict[str, Any]:
    capacity_kwp = plant.declaration.capacity_kwp
    return _present(
        {
            "date": day.date.isoformat(),
            "energyKWh": _energy(day.today_energy_kwh),
            "peakPowerW": _power(day.peak_power_w),
            "expectedKWh": _energy(expected_today_kwh(plant.declaration, plant.days, now)),
            "specificYield": _energy(day.today_energy_kwh / capacity_kwp) if capacity_kwp else None,
        }
    )


def _open_alerts(alerts: tuple[Alert, ...]) -> dict[str, int]:
    return {
        "total": len(alerts),
        "critical": sum(alert.severity is Severity.CRITICAL for alert in alerts),
        "high": sum(alert.severity is Severity.HIGH for alert in alerts),
        "acked": sum(alert.state is AlertState.ACKED for alert in alerts),
    }


def _alerts(alerts: tuple[Alert, ...]) -> list[dict[str, Any]]:
    return [_alert(alert) for alert in worst_first(alerts)[:ALERTS_MAX]]


def worst_first(alerts: Iterable[Alert]) -> list[Alert]:
    """By severity, of equal ones the oldest first: the order of `status.alerts`."""
    return sorted(alerts, key=lambda alert: (_WORST_FIRST[alert.severity], alert.opened_at, alert.id))


def _alert(alert: Alert) -> dict[str, Any]:
    return _present(
        {
            "id": str(alert.id),
            "type": alert.type.value,
            "severity": alert.severity.value,
            "state": alert.state.value,
            "vendorAlarmCode": _cut(alert.vendor_alarm_code, ALERT_TEXT_MAX),
            "deviceSn": _cut(alert.device_sn, ALERT_TEXT_MAX),
            "since": rfc3339(alert.opened_at),
            "message": _cut(alert.message, ALERT_MESSAGE_MAX),
        }
    )


def _display(power_w: float | None, today: Snapshot | None) -> dict[str, str] | None:
    shown = _present(
        {
            "power": None if power_w is None else display_power(power_w),
            "today": None if today is None else f"{today.today_energy_kwh:.1f}kWh",
        }
    )
    return shown or None


def display_power(power_w: float) -> str:
    """As 840W, 4.20kW or 1.25MW, without a space, so that the columns of `kubectl get plants` stay columns for awk."""
    if round(power_w) < 1_000:
        return f"{power_w:.0f}W"
    if round(power_w) < 1_000_000:
        return f"{power_w / 1_000:.2f}kW"
    return f"{power_w / 1_000_000:.2f}MW"


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _power(value_w: float | None) -> float | None:
    return None if value_w is None else round(value_w, 1)


def _energy(value_kwh: float | None) -> float | None:
    return None if value_kwh is None else round(value_kwh, 3)


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]
