"""Which alerts open, follow and resolve (DOMAIN 6, locked). Pure: from the active alerts and what was seen to the alerts that change."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid5

import msgspec

from controller.domain.plant import Alert, AlertState, AlertType, LiveState
from controller.domain.status import is_offline
from integrations.contract import Alarm, AlarmList, Severity

_RANK = {severity: rank for rank, severity in enumerate((Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL))}
_VENDOR = AlertType.MOCK_FAULT
AlertKey = tuple[AlertType, str | None, str | None]
_OFFLINE: AlertKey = (AlertType.OFFLINE, None, None)


def merge_alerts(active: Iterable[Alert], changed: Iterable[Alert]) -> tuple[Alert, ...]:
    """The active alerts after the changes."""
    by_id = {alert.id: alert for alert in (*active, *changed)}
    return tuple(alert for alert in by_id.values() if alert.is_active)


def judge_offline(plant_id: UUID, active: Iterable[Alert], live: LiveState, now: datetime) -> tuple[Alert, ...]:
    """Opens OFFLINE after 24 h of silence, resolves it by a `last_seen_at` at most 24 h old, and by nothing else."""
    current = next((alert for alert in active if alert.type is AlertType.OFFLINE), None)
    offline = is_offline(live, now)
    if current is None:
        return (
            (_open(plant_id, (AlertType.OFFLINE, None, None), Severity.CRITICAL, "No report for more than 24 h", now),) if offline else ()
        )
    if offline:
        return ()
    return (_resolve(current, now),) if live.last_seen_at is not None else ()


def judge_alarms(plant_id: UUID, active: Iterable[Alert], seen: AlarmList, now: datetime) -> tuple[Alert, ...]:
    """What a successful alarm look-up changes. A failed one is not judged at all: it resolves nothing.

    One alert a key with the highest severity; active wins over ended; an ended record alone resolves and never opens; absence
    resolves only from a complete list.
    """
    current = {alert.key: alert for alert in active if alert.type is _VENDOR}
    worst: dict[AlertKey, Alarm] = {}
    ended: set[AlertKey] = set()
    for alarm in seen.alarms:
        key = (_VENDOR, alarm.code, alarm.device_sn)
        if not alarm.is_active:
            ended.add(key)
        elif key not in worst or _RANK[alarm.severity] > _RANK[worst[key].severity]:
            worst[key] = alarm
    changed = [_follow(current[key], alarm, now) if key in current else _opened(plant_id, key, alarm, now) for key, alarm in worst.items()]
    gone = [alert for key, alert in current.items() if key not in worst and (seen.complete or key in ended)]
    return (*changed, *(_resolve(alert, now) for alert in gone))


def _opened(plant_id: UUID, key: AlertKey, alarm: Alarm, now: datetime) -> Alert:
    return _open(plant_id, key, alarm.severity, alarm.message, now)


def _open(plant_id: UUID, key: AlertKey, severity: Severity, message: str, now: datetime) -> Alert:
    kind, code, device_sn = key
    return Alert(
        # From key and instant, so that judging the same thing twice gives the same alert; repr, so that no two keys read alike.
        id=uuid5(plant_id, repr((kind.value, code, device_sn, now.isoformat()))),
        type=kind,
        severity=severity,
        vendor_alarm_code=code,
        device_sn=device_sn,
        message=message,
        opened_at=now,
        last_seen_at=now,
    )


def _follow(alert: Alert, alarm: Alarm, now: datetime) -> Alert:
    """Seen again: the severity follows the vendor's, up and down, without a new alert."""
    return msgspec.structs.replace(alert, severity=alarm.severity, message=alarm.message or alert.message, last_seen_at=now)


def _resolve(alert: Alert, now: datetime) -> Alert:
    return msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=now)
