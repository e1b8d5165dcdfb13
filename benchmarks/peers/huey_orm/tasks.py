"""The poll of one plant as a Huey task of its brand's queue."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
from huey import RedisHuey
from redis import Redis

from benchmarks.peers.huey_orm.models import Alert, Plant, PollLog, Snapshot, sessions
from integrations.contract import Alarm, Brand, PlantRef, Reading, Severity
from integrations.registry import ADAPTERS
from integrations.transport import FixtureTransport

STALE_AFTER = timedelta(hours=2)
LOCK_TTL_S = 1200

new_session = sessions()
redis = Redis.from_url(os.environ["REDIS_URL"])
transport = FixtureTransport(Path(os.environ["INTEGRATION_FIXTURES_DIR"]), lambda: datetime.now(UTC))
queues = {brand: RedisHuey(f"peer-{brand.slug}", url=os.environ["REDIS_URL"], results=False) for brand in Brand}
tasks: dict[Brand, Any] = {}


def poll_plant(plant_id: str, claimed_at: str) -> None:
    """Reads the vendor, then stores day, alerts, status and PollLog in one session."""
    lock = redis.lock(f"lock:plant:{plant_id}", timeout=LOCK_TTL_S, blocking=False)
    if not lock.acquire():
        return
    started_at = datetime.now(UTC)
    try:
        with new_session() as session:
            plant = session.get(Plant, UUID(plant_id))
            reading, alarms = ask(plant, started_at)
            save_day(session, plant, reading)
            save_alerts(session, plant, alarms, started_at)
            save_status(plant, reading, started_at)
            session.add(
                PollLog(
                    plant_id=plant.plant_id,
                    job_id=f"poll:plant:{plant_id}:latest",
                    job_type="POLL",
                    attempt=0,
                    status="SUCCESS",
                    duration_ms=round((datetime.now(UTC) - started_at).total_seconds() * 1000),
                    claimed_at=datetime.fromisoformat(claimed_at),
                    started_at=started_at,
                    finished_at=datetime.now(UTC),
                )
            )
            session.commit()
    finally:
        lock.release()


for _brand, _huey in queues.items():
    tasks[_brand] = _huey.task(name=f"poll_{_brand.slug}")(poll_plant)


def ask(plant: Any, now: datetime) -> tuple[Reading, tuple[Alarm, ...]]:
    """What the vendor says: the product's own adapters and recordings."""
    adapter = ADAPTERS[Brand(plant.brand)]
    ref = PlantRef(plant.vendor_plant_id, ZoneInfo(plant.timezone), plant.capacity_kwp)
    exchange = transport.for_plant(adapter.brand, plant.scenario, ref)
    reading = adapter.read_summary(ref, exchange, now)
    # Where a vendor names no time of the sample, as Huawei, it is as old as the plant was seen last.
    reading = msgspec.structs.replace(reading, sampled_at=reading.sampled_at or reading.last_seen_at)
    return reading, adapter.read_alarms(ref, exchange, now).alarms


def save_day(session: Any, plant: Any, reading: Reading) -> None:
    if reading.sampled_at is None or reading.today_energy_kwh is None:
        return
    date = reading.sampled_at.astimezone(ZoneInfo(plant.timezone)).date()
    day = session.get(Snapshot, (plant.plant_id, date))
    if day is None:
        day = Snapshot(plant_id=plant.plant_id, date=date, timezone=plant.timezone, today_energy_kwh=0.0, backfilled=False)
        session.add(day)
    day.today_energy_kwh = max(day.today_energy_kwh, reading.today_energy_kwh)
    day.peak_power_w = max(day.peak_power_w or 0.0, reading.current_power_w or 0.0)
    day.current_power_w = reading.current_power_w
    day.total_energy_kwh = reading.total_energy_kwh
    day.last_seen_at, day.source_sampled_at = reading.last_seen_at, reading.sampled_at


def save_alerts(session: Any, plant: Any, alarms: tuple[Alarm, ...], now: datetime) -> None:
    known = {(alert.vendor_alarm_code, alert.device_sn): alert for alert in plant.alerts}
    for alarm in alarms:
        if not alarm.is_active:
            continue
        alert = known.pop((alarm.code, alarm.device_sn), None)
        if alert is None:
            alert = Alert(
                id=uuid4(),
                plant_id=plant.plant_id,
                type="MOCK_FAULT",
                state="NEW",
                vendor_alarm_code=alarm.code,
                device_sn=alarm.device_sn,
                opened_at=now,
            )
            session.add(alert)
        alert.severity, alert.message, alert.last_seen_at = alarm.severity.value, alarm.message, now
    for gone in known.values():
        gone.state, gone.resolved_at = "RESOLVED", now


def save_status(plant: Any, reading: Reading, now: datetime) -> None:
    usual = [day.today_energy_kwh for day in plant.days[1:8]]
    low = bool(usual) and (reading.today_energy_kwh or 0.0) < 0.3 * median(usual)
    critical = any(alert.severity == Severity.CRITICAL.value for alert in plant.alerts)
    stale = reading.last_seen_at is None or now - reading.last_seen_at > STALE_AFTER
    status = "RED" if critical else "YELLOW" if stale or low else "GREEN"
    if plant.status != status:
        plant.status, plant.status_since = status, now
    plant.explain = [f"{status}: the plant last reported at {reading.last_seen_at}."]
    plant.current_power_w, plant.total_energy_kwh = reading.current_power_w, reading.total_energy_kwh
    plant.last_seen_at, plant.sampled_at = reading.last_seen_at, reading.sampled_at
    plant.last_poll_at = plant.last_success_at = now
    plant.version += 1
