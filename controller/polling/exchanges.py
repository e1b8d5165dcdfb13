"""What a job asks the vendor, and how the answer becomes a `JobResult`. Called by `poll_plants` between its read and its write."""

from datetime import datetime, timedelta

import structlog

from controller.domain.errors import BudgetSpent, LeaseLost
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
    """The result of one job's exchanges. Raises `LeaseLost` and `BudgetSpent` only.

    An adapter that breaks its contract fails its own plant, no other.
    """
    try:
        if job.kind is JobType.DAILY:
            return _ask_for_days(job, plant, adapter, exchange, now)
        return _ask_for_reading(plant, adapter, exchange, now)
    except (LeaseLost, BudgetSpent):
        raise
    except AdapterError as error:
        return _told(error)
    except Exception as error:
        log.exception("adapter_broke_contract", brand=adapter.brand, vendor_plant_id=plant.vendor_plant_id)
        return _broken(error)


def _told(error: AdapterError) -> Failed:
    return Failed(PollError(error.error_type.value), error.message, error.retry_after_seconds)


def _broken(error: Exception) -> Failed:
    return Failed(PollError.UNKNOWN_ERROR, f"unexpected {type(error).__name__} in the adapter")


def _ask_for_reading(plant: PlantRef, adapter: VendorAdapter, exchange: Exchange, now: datetime) -> Seen:
    reading = adapter.read_summary(plant, exchange, now)
    alarms = _ask_for_alarms(plant, adapter, exchange, now)
    if isinstance(alarms, Failed):
        return Seen(reading, None, alarms.error, alarms.retry_after_s)
    return Seen(reading, alarms)


def _ask_for_alarms(plant: PlantRef, adapter: VendorAdapter, exchange: Exchange, now: datetime) -> AlarmList | Failed:
    """A failed alarm look-up, however it fails, leaves the poll a SUCCESS and is recorded (DOMAIN 2).

    A timeout here is not tried again: the summary has decided the result, and of a failed look-up only AUTH_FAILED and
    RATE_LIMIT_EXCEEDED have their usual consequence. The next poll asks anew.
    """
    try:
        return adapter.read_alarms(plant, exchange, now)
    except (LeaseLost, BudgetSpent):
        raise
    except AdapterError as error:
        return _told(error)
    except Exception as error:
        log.exception("adapter_broke_contract", brand=adapter.brand, vendor_plant_id=plant.vendor_plant_id)
        return _broken(error)


def _ask_for_days(job: Job, plant: PlantRef, adapter: VendorAdapter, exchange: Exchange, now: datetime) -> SeenDays:
    if job.day is None:
        raise ValueError(f"daily job {job.id} names no day")
    return SeenDays(adapter.read_daily_energy(plant, exchange, job.day - timedelta(days=BACKFILL_DAYS), job.day, now))
