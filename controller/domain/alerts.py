"""Which alerts open, follow and resolve (DOMAIN 6, locked). Pure: from the active alerts and what was seen to the alerts that change."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import msgspec

from controller.domain.explain import low_generation_message
from controller.domain.generation import GenerationVerdict
from controller.domain.plant import Alert, AlertState, AlertType, LiveState
from controller.domain.status import is_offline
from integrations.contract import Alarm, AlarmList, Severity

_RANK = {severity: rank for rank, severity in enumerate((Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL))}
_VENDOR = AlertType.MOCK_FAULT
AlertKey = tuple[AlertType, str | None, str | None]
_OFFLINE: AlertKey = (AlertType.OFFLINE, None, None)
_LOW_GENERATION: AlertKey = (AlertType.LOW_GENERATION, None, None)
ALARMS_MAX = 500
"""Active vendor alarms kept of a plant, CRITICAL ones beyond it excepted (DOMAIN 6): a storm shall not drown the plant in rows."""


class JudgedAlarms(msgspec.Struct, frozen=True):
    """The alerts that change, and how many active alarms are not kept."""

    changed: tuple[Alert, ...] = ()
    dropped: int = 0


NO_ALARMS = JudgedAlarms()


def merge_alerts(active: Iterable[Alert], changed: Iterable[Alert]) -> tuple[Alert, ...]:
    """The active alerts after the changes."""
    by_id = {alert.id: alert for alert in active}
    by_id |= {alert.id: alert for alert in changed}
    return tuple(alert for alert in by_id.values() if alert.is_active)


def judge_offline(plant_id: UUID, active: Iterable[Alert], live: LiveState, now: datetime) -> tuple[Alert, ...]:
    """Opens OFFLINE after 24 h of silence, resolves it by a `last_seen_at` at most 24 h old, and by nothing else."""
    current = next((alert for alert in active if alert.type is AlertType.OFFLINE), None)
    offline = is_offline(live, now)
    if current is None:
        return (_open(plant_id, _OFFLINE, Severity.CRITICAL, "No report for more than 24 h", now),) if offline else ()
    if offline:
        return _seen_again(current, now)
    return (_resolve(current, now),) if live.last_seen_at is not None else ()


def judge_generation(
    plant_id: UUID, active: Iterable[Alert], verdict: GenerationVerdict, zone: ZoneInfo, now: datetime
) -> tuple[Alert, ...]:
    """Opens LOW_GENERATION by a verdict that fails, keeps it up by the next that does, resolves it by the next that passes."""
    current = next((alert for alert in active if alert.type is AlertType.LOW_GENERATION), None)
    if not verdict.is_low:
        return () if current is None else (_resolve(current, now),)
    message = low_generation_message(verdict, zone)
    if current is None:
        return (_open(plant_id, _LOW_GENERATION, Severity.HIGH, message, now),)
    return (msgspec.structs.replace(current, message=message, last_seen_at=now),)


def acknowledge(active: Iterable[Alert], acked: Collection[UUID], acked_by: str | None, now: datetime) -> tuple[Alert, ...]:
    """The NEW alerts among `acked`, as ACKED. There is no way back but resolution (docs/plant.md)."""
    return tuple(
        msgspec.structs.replace(alert, state=AlertState.ACKED, acked_at=now, acked_by=acked_by)
        for alert in active
        if alert.state is AlertState.NEW and alert.id in acked
    )


def judge_alarms(plant_id: UUID, active: Iterable[Alert], seen: AlarmList, now: datetime) -> JudgedAlarms:
    """What a successful alarm look-up changes. A failed one is not judged at all: it resolves nothing.

    One alert a key with the highest severity; active wins over ended; an ended record alone resolves and never opens; absence
    resolves only from a complete list. Past 500 the mildest and, among equals, the newest are not kept; never a CRITICAL one.
    """
    current = {alert.key: alert for alert in active if alert.type is _VENDOR}
    if not current and not [alarm for alarm in seen.alarms if alarm.is_active]:
        return NO_ALARMS
    worst: dict[AlertKey, Alarm] = {}
    ended: set[AlertKey] = set()
    for alarm in seen.alarms:
        key = (_VENDOR, alarm.code, alarm.device_sn)
        if not alarm.is_active:
            ended.add(key)
        elif key not in worst or _RANK[alarm.severity] > _RANK[worst[key].severity]:
            worst[key] = alarm
    listed = {
        key: _follow(current[key], alarm, now) if key in current else _open(plant_id, key, alarm.severity, alarm.message, now)
        for key, alarm in worst.items()
    }
    unlisted = {key: alert for key, alert in current.items() if key not in worst}
    gone = {key for key in unlisted if seen.complete or key in ended}
    standing = listed | {key: alert for key, alert in unlisted.items() if key not in gone}
    dropped = _dropped(standing, worst)
    changed = [alert for key, alert in listed.items() if key not in dropped]
    resolved = [alert for key, alert in current.items() if key in gone or key in dropped]
    return JudgedAlarms((*changed, *(_resolve(alert, now) for alert in resolved)), len(dropped))


def _dropped(standing: Mapping[AlertKey, Alert], alarms: Mapping[AlertKey, Alarm]) -> set[AlertKey]:
    if len(standing) <= ALARMS_MAX:
        return set()

    def weight(key: AlertKey) -> tuple[int, datetime, datetime, str]:
        alert, alarm = standing[key], alarms.get(key)
        occurred_at = alarm.occurred_at if alarm is not None else None
        # Of equally old ones those that are kept already, so that none come and go with every poll.
        return (-_RANK[alert.severity], occurred_at or alert.opened_at, alert.opened_at, repr(key))

    worst_first = sorted(standing, key=weight)
    return {key for key in worst_first[ALARMS_MAX:] if standing[key].severity is not Severity.CRITICAL}


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


def _seen_again(alert: Alert, now: datetime) -> tuple[Alert, ...]:
    return (msgspec.structs.replace(alert, last_seen_at=now),) if alert.last_seen_at < now else ()


def _resolve(alert: Alert, now: datetime) -> Alert:
    return msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=now)
