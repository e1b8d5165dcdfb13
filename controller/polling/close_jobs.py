"""Closing jobs: judging what they brought and storing it, however often the plant changes meanwhile (PROTOCOL 23 and 24)."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from controller.domain.errors import StoreRejected, StoreUnavailable
from controller.domain.judge import judge_job
from controller.domain.outcome import Failed, Job, JobResult, Outcome
from controller.domain.plant import PlantContext, PollError
from controller.polling.ports import PlantStore
from controller.polling.repeat import Pause, repeated

log = structlog.get_logger()

ROUNDS = 5
"""How often a job is judged anew because its plant has changed meanwhile. Each round is one more read and write."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A job after its last exchange, with the plant as it was read before the first one."""

    job: Job
    read: PlantContext
    result: JobResult
    started_at: datetime
    finished_at: datetime


def close_jobs(store: PlantStore, finished: Mapping[UUID, Finished], pause: Pause) -> dict[UUID, Outcome]:
    """The outcomes that were stored, by plant. A job that is missing was closed by somebody else, or the store stayed away."""
    stored: dict[UUID, Outcome] = {}
    pending = {plant_id: item.read for plant_id, item in finished.items()}
    try:
        for _ in range(ROUNDS):
            if not pending:
                break
            judged = (_judge(finished[plant_id], context) for plant_id, context in pending.items())
            stored |= _store(store, [outcome for outcome in judged if outcome is not None], finished, pause)
            pending = _still_open(store, finished, pending.keys() - stored.keys(), pause)
    except StoreUnavailable:
        log.warning("jobs_not_closed", jobs=len(pending))
    return stored


def _judge(item: Finished, context: PlantContext) -> Outcome | None:
    """One plant that judging cannot bear must not take the batch along: it ends as an error of its own, or stays open (None)."""
    try:
        return judge_job(context, item.read, item.job, item.result, item.started_at, item.finished_at)
    except Exception:
        log.exception("judging_failed", plant_id=str(item.job.plant_id))
    try:
        return _without_data(item, context)
    except Exception:
        log.exception("judging_failed_without_data", plant_id=str(item.job.plant_id))
        return None


def _without_data(item: Finished, context: PlantContext) -> Outcome:
    return judge_job(context, item.read, item.job, Failed(PollError.UNKNOWN_ERROR), item.started_at, item.finished_at)


def _store(store: PlantStore, outcomes: list[Outcome], finished: Mapping[UUID, Finished], pause: Pause) -> dict[UUID, Outcome]:
    """Writes outcomes in one statement; if the database refuses the data, in halves, down to the plant it is about."""
    if not outcomes:
        return {}
    try:
        ids = repeated(lambda: store.write(outcomes), pause)
    except StoreRejected:
        if len(outcomes) == 1:
            return _store_without_data(store, outcomes[0], finished[outcomes[0].plant_id], pause)
        middle = len(outcomes) // 2
        return _store(store, outcomes[:middle], finished, pause) | _store(store, outcomes[middle:], finished, pause)
    return {outcome.plant_id: outcome for outcome in outcomes if outcome.plant_id in ids}


def _store_without_data(store: PlantStore, outcome: Outcome, item: Finished, pause: Pause) -> dict[UUID, Outcome]:
    log.error("outcome_rejected", plant_id=str(outcome.plant_id), job_id=item.job.id)
    bare = _without_data(item, outcome.before)
    try:
        ids = repeated(lambda: store.write([bare]), pause)
    except StoreRejected:
        log.exception("outcome_rejected_without_data", plant_id=str(outcome.plant_id), job_id=item.job.id)
        return {}
    return {bare.plant_id: bare} if bare.plant_id in ids else {}


def _still_open(store: PlantStore, finished: Mapping[UUID, Finished], plant_ids: set[UUID], pause: Pause) -> dict[UUID, PlantContext]:
    """Plants whose outcome was not stored although the attempt is open: they have changed and are judged again."""
    if not plant_ids:
        return {}
    contexts = repeated(lambda: store.read(plant_ids), pause)
    return {plant_id: context for plant_id, context in contexts.items() if context.holds_attempt(finished[plant_id].job.attempt)}
