"""Plants and events as the tests of judging write them: a plain plant in UTC, and only what a case is about said anew."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from controller.domain.judge import judge_declared, judge_job
from controller.domain.outcome import Job, JobResult, Outcome, Seen
from controller.domain.plant import (
    Alert,
    AlertType,
    Declaration,
    Integration,
    JobType,
    LiveState,
    PlantContext,
    Snapshot,
    plant_id_for,
)
from controller.domain.schedule import lock_ttl_s, next_slot
from integrations.contract import Alarm, AlarmList, Brand, Reading, Severity

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TODAY = NOON.date()
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ROOF = plant_id_for("default", Brand.SOLIS, "ROOF")


def declared(**changes: Any) -> Declaration:
    """A Solis plant on UTC with a vendor id, polled every ten minutes."""
    base = Declaration(
        namespace="default", name="roof", uid="uid-1", generation=1, brand=Brand.SOLIS, vendor_plant_id="ROOF", timezone="UTC"
    )
    return msgspec.structs.replace(base, **changes)


def active(**changes: Any) -> LiveState:
    """An ACTIVE plant, seen at NOON."""
    base = LiveState(integration=Integration.ACTIVE, active_since=NOON - 30 * DAY, last_seen_at=NOON, polled_generation=1)
    return msgspec.structs.replace(base, **changes)


def plant(live: LiveState | None = None, declaration: Declaration | None = None, **changes: Any) -> PlantContext:
    """The plant as read for an open claim of attempt 7, its next poll set to the slot after NOON."""
    base = PlantContext(
        plant_id=ROOF,
        declaration=declaration or declared(),
        live=live or active(),
        version=3,
        attempt=7,
        done_attempt=6,
        claimed_at=NOON,
        next_poll_at=next_slot(ROOF, 600, NOON),
    )
    return msgspec.structs.replace(base, **changes)


def new_plant(declaration: Declaration | None = None) -> PlantContext:
    return PlantContext(plant_id=ROOF, declaration=declaration or declared(), live=LiveState())


def poll_job(**changes: Any) -> Job:
    return msgspec.structs.replace(Job(ROOF, 7, JobType.POLL, Brand.SOLIS, lock_ttl_s(600)), **changes)


def day_job(day: date = TODAY) -> Job:
    return Job(ROOF, 7, JobType.DAILY, Brand.SOLIS, lock_ttl_s(600), day)


def reading(at: datetime = NOON, **changes: Any) -> Reading:
    base = Reading(sampled_at=at, last_seen_at=at, current_power_w=3000.0, today_energy_kwh=12.5, total_energy_kwh=5000.0)
    return msgspec.structs.replace(base, **changes)


def alarm(code: str | None = "1015", severity: Severity = Severity.HIGH, device_sn: str | None = "SN1", is_active: bool = True) -> Alarm:
    return Alarm(code, device_sn, severity, f"alarm {code}", NOON, is_active)


def listed(*alarms: Alarm, complete: bool = True) -> AlarmList:
    return AlarmList(alarms, complete)


def alert(kind: AlertType = AlertType.MOCK_FAULT, severity: Severity = Severity.HIGH, **changes: Any) -> Alert:
    base = Alert(id=UUID(int=1), type=kind, severity=severity, opened_at=NOON - HOUR, last_seen_at=NOON - HOUR)
    if kind is AlertType.MOCK_FAULT:
        base = msgspec.structs.replace(base, vendor_alarm_code="1015", device_sn="SN1")
    return msgspec.structs.replace(base, **changes)


def row(day: date = TODAY, energy: float = 10.0, **changes: Any) -> Snapshot:
    return msgspec.structs.replace(Snapshot(date=day, timezone="UTC", today_energy_kwh=energy), **changes)


def close(
    context: PlantContext, result: JobResult, now: datetime = NOON, job: Job | None = None, read: PlantContext | None = None
) -> Outcome:
    return judge_job(context, read or context, job or poll_job(), result, now - timedelta(seconds=1), now)


def sees(what: Reading | None = None, alarms: AlarmList | None = None) -> Seen:
    return Seen(what or reading(), listed() if alarms is None else alarms)


def declare(context: PlantContext, previous: Declaration | None, now: datetime = NOON) -> Outcome:
    return judge_declared(context, previous, now)


def stored(outcome: Outcome) -> PlantContext:
    """The plant as it stands once the outcome is stored: what the store does, in four lines."""
    before, log = outcome.before, outcome.log
    days = {day.date: day for day in (*before.days, *outcome.days)}
    alerts = {entry.id: entry for entry in (*before.alerts, *outcome.alerts)}
    return msgspec.structs.replace(
        before,
        live=outcome.live,
        version=before.version + 1,
        days=tuple(sorted(days.values(), key=lambda day: day.date, reverse=True)),
        alerts=tuple(entry for entry in alerts.values() if entry.is_active),
        next_poll_at=before.next_poll_at if outcome.next_poll is None else outcome.next_poll.at,
        done_attempt=before.done_attempt if log is None else log.attempt,
    )
