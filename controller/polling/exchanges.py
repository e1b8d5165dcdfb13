"""What a job asks the vendor, and how the answer becomes a `JobResult`. Called by `poll_plants` between its read and its write."""

from datetime import datetime, timedelta

import structlog

from controller.domain.errors import LeaseLost
from controller.domain.outcome import Failed, Job, JobResult, Seen, SeenDays
from controller.domain.plant import JobType, PlantContext, PollError
from controller.domain.schedule import BACKFILL_DAYS
from integrations.contract import AlarmList, Exchange, PlantRef, VendorAdapter
from integrations.errors import AdapterError

log = structlog.get_logger()


def plant_ref(context: PlantContext) -> PlantRef:
    """What the adapter may know. Only for a plant with a vendor id: one without is never claimed."""
    declaration = context.declaration
    if declaration.vendor_plant_id is None:
        raise ValueError(f"plant {context.plant_id} has no vendor plant id")
    return PlantRef(declaration.vendor_plant_id, declaration.zone, declaration.capacity_kwp)


def ask_vendor(job: Job, plant: PlantRef, adapter: VendorAdapter, exchange: Exchange, now: datetime) -> JobResult:
    """The result of one job's exchanges. Raises `LeaseLost` and nothing else: an adapter that breaks its contract fails its own plant only."""
    try:
        if job.kind is JobType.DAILY:
            return _ask_for_days(job, plant, adapter, exchange, now)
        return _ask_for_reading(plant, adapter, exchange, now)
    except LeaseLost:
        raise
    except AdapterError as error:
        return Failed(PollError(error.error_type.value), error.message, error.retry_after_seconds)
    except Exception as error:
        log.exception("adapter_broke_contract", plant_id=str(job.plant_id), brand=job.brand)
        return Failed(PollError.UNKNOWN_ERROR, f"unexpected {type(error).__name__} in the adapter")


def _ask_for_reading(plant: PlantRef, adapter: VendorAdapter, exchange: Exchange, now: datetime) -> Seen:
    reading = adapter.read_summary(plant, exchange, now)
    alarms, error = _ask_for_alarms(plant, adapter, exchange, now)
    return Seen(reading, alarms, error)


def _ask_for_alarms(
    plant: PlantRef, adapter: VendorAdapter, exchange: Exchange, now: datetime
) -> tuple[AlarmList | None, PollError | None]:
    """A failed alarm look-up leaves the poll a SUCCESS and is recorded (DOMAIN 2)."""
    try:
        return adapter.read_alarms(plant, exchange, now), None
    except AdapterError as error:
        return None, PollError(error.error_type.value)


def _ask_for_days(job: Job, plant: PlantRef, adapter: VendorAdapter, exchange: Exchange, now: datetime) -> SeenDays:
    if job.day is None:
        raise ValueError(f"daily job {job.id} names no day")
    return SeenDays(adapter.read_daily_energy(plant, exchange, job.day - timedelta(days=BACKFILL_DAYS), job.day, now))
