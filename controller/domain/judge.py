"""Judging: from a plant as it stands, what happened to it and the instant, to the `Outcome`. The product, in four pure functions.

`judge_job` closes a claimed job (called by `polling`), `judge_clock` is the clock alone, `judge_declared` a changed resource,
`judge_lost` a job whose worker died. All end in `_settle`, which derives alerts of our own rules, the status and what is due next.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import msgspec

from controller.domain.alerts import NO_ALARMS, acknowledge, judge_alarms, judge_generation, judge_offline, merge_alerts
from controller.domain.explain import explain
from controller.domain.generation import GenerationVerdict, is_surely_enough, judge_running_day, judge_whole_day
from controller.domain.outcome import Failed, Job, JobResult, NextPoll, Outcome, PollLog, Seen, SeenDays
from controller.domain.plant import AlertType, Declaration, Integration, JobType, LiveState, PlantContext, PollError, PollStatus, Snapshot
from controller.domain.reading import Believed, believe, believe_days
from controller.domain.schedule import BACKFILL_DAYS, close_at, day_retry_at, following_day, local_date, loss_pause, next_slot, phase_s
from controller.domain.snapshot import merge_sample, merge_series, row_of
from controller.domain.status import decide_status
from integrations.contract import Reading

RATE_LIMIT_BACKOFF_MAX = timedelta(hours=1)
RETRY_AFTER_MAX = timedelta(hours=24)
"""No vendor's wish keeps us away for longer than the longest poll interval."""
JudgeClock = Callable[[PlantContext, datetime], Outcome]
JudgeDeclared = Callable[[PlantContext, Declaration | None, datetime], Outcome]
"""What the store calls while it holds a plant's row: `judge_clock`, `judge_declared`."""
_replace = msgspec.structs.replace


def is_pollable(context: PlantContext) -> bool:
    """Whether a claimed job may still read this plant. PAUSED_AUTH_ERROR may: only a trial poll is ever claimed then (DOMAIN 5)."""
    return not context.deleted and integration_of(context) in (Integration.ACTIVE, Integration.PAUSED_AUTH_ERROR)


def integration_of(context: PlantContext) -> Integration:
    """The integration status that the declaration gives; a pause for authentication lasts until a trial poll ends it."""
    declaration = context.declaration
    if declaration.vendor_plant_id is None:
        return Integration.PENDING_DOCS
    if declaration.suspend:
        return Integration.DISABLED_BY_OPERATOR
    if context.live.integration is Integration.PAUSED_AUTH_ERROR:
        return Integration.PAUSED_AUTH_ERROR
    return Integration.ACTIVE


def judge_declared(context: PlantContext, previous: Declaration | None, now: datetime) -> Outcome:
    """The plant under a new or changed declaration. A change of the spec, the scenario or the poll request is polled at once."""
    live, declaration = context.live, context.declaration
    if previous is None or previous.uid != declaration.uid:
        live = _replace(live, polled_generation=0, handled_poll_request=None, integration=Integration.PENDING_DOCS, active_since=None)
    if previous is None or previous.timezone != declaration.timezone:
        live = _replace(live, day_due_at=None)
    asked = previous is None or _asks_for_poll(previous, declaration)
    live = _replace(live, integration=integration_of(_replace(context, live=live)))
    pollable = is_pollable(_replace(context, live=live))
    if not pollable:
        # Nothing will be polled, so the request is answered by that (docs/plant.md).
        live = _replace(live, handled_poll_request=declaration.poll_requested)
        next_poll: NextPoll | None = NextPoll(None)
    else:
        next_poll = NextPoll(now) if asked else _regular_poll(context, live, now)
    return _settle(Outcome(before=context, live=live, next_poll=next_poll), now)


def judge_clock(context: PlantContext, now: datetime) -> Outcome:
    """The plant as time alone makes it (DOMAIN 5)."""
    return _settle(Outcome(before=context, live=context.live), now)


def judge_job(context: PlantContext, read: PlantContext, job: Job, result: JobResult, started_at: datetime, now: datetime) -> Outcome:
    """Closes `job`, whose exchanges were based on the plant as `read`, upon the plant as it stands now (`context`).

    What the vendor said of a plant that has changed since, were it an error, is discarded: ERROR, SUPERSEDED (PROTOCOL 23).
    """
    changed = context is not read and _basis(context) != _basis(read)
    if changed and not (isinstance(result, Failed) and result.error.is_ours):
        result = Failed(PollError.SUPERSEDED)
    log = _log(context, job, result, started_at, now)
    if context.deleted:
        return Outcome(before=context, live=context.live, next_poll=NextPoll(None), log=log)
    if isinstance(result, Failed) and result.error.is_ours:
        return _judge_undone(context, read, job, log, now)
    if job.kind is JobType.DAILY:
        return _judge_day(context, read, job, result, log, now)
    return _judge_poll(context, read, result, log, now)


def judge_lost(context: PlantContext, job: Job, now: datetime) -> Outcome:
    """Closes a job whose worker is gone: ERROR, WORKER_LOST, due again at once (PROTOCOL 20)."""
    started_at = context.claimed_at or now
    return judge_job(context, context, job, Failed(PollError.WORKER_LOST), started_at, now)


def _judge_poll(context: PlantContext, read: PlantContext, result: JobResult, log: PollLog, now: datetime) -> Outcome:
    error = log.adapter_error_type
    live = _polled(context, read, error, now)
    if not isinstance(result, Seen):
        live = _replace(live, consecutive_failures=live.consecutive_failures + 1)
        next_poll = _next_poll_after(context, read, live, error, result, now)
        return _settle(Outcome(before=context, live=live, next_poll=next_poll, log=log), now)
    believed = believe(result.reading, live, context.declaration.capacity_kwp, now)
    alarms = NO_ALARMS
    if result.alarms is not None:
        alarms = judge_alarms(context.plant_id, context.alerts, result.alarms, now)
        if alarms.dropped != live.alarms_dropped:
            live = _replace(live, alarms_dropped=alarms.dropped)
    live = _seen(live, believed, now)
    day = merge_sample(context.days, believed.reading, context.declaration.zone, now)
    outcome = Outcome(
        before=context,
        live=live,
        alerts=alarms.changed,
        days=() if day is None else (day,),
        next_poll=_next_poll_after(context, read, live, error, result, now),
        log=log,
        refusals=believed.refused,
        alarms_dropped=alarms.dropped,
    )
    return _settle(outcome, now, _running_day(outcome, believed.reading, now))


def _running_day(outcome: Outcome, sample: Reading, now: datetime) -> GenerationVerdict | None:
    """The verdict on today's energy by a sample that names it: only by the newest one, and only where the sun is known (DOMAIN 6)."""
    site = outcome.before.declaration.site
    if site is None or sample.sampled_at is None or sample.today_energy_kwh is None or sample.sampled_at != outcome.live.sampled_at:
        return None
    zone = outcome.before.declaration.zone
    day = local_date(sample.sampled_at, zone)
    if day != local_date(now, zone) or _is_known_to_do(outcome, day):
        return None
    return judge_running_day(_days_after(outcome), site, zone, sample.sampled_at)


def _is_known_to_do(outcome: Outcome, day: date) -> bool:
    """Whether a verdict on `day` would change nothing: there has been one, no LOW_GENERATION is open, and none can open."""
    before = outcome.before
    if before.live.generation_judged_on is None or before.live.generation_judged_on < day:
        return False
    if any(alert.type is AlertType.LOW_GENERATION for alert in before.alerts):
        return False
    row = row_of((*outcome.days, *before.days), day)
    return row is not None and is_surely_enough(row.today_energy_kwh, before.days)


def _judge_day(context: PlantContext, read: PlantContext, job: Job, result: JobResult, log: PollLog, now: datetime) -> Outcome:
    assert job.day is not None
    live, zone = _replace(context.live, losses=0), context.declaration.zone
    phase = phase_s(context.plant_id)
    next_poll = _owed_poll(context, read, now)
    if isinstance(result, SeenDays):
        day = max(following_day(job.day, zone), local_date(now, zone) - timedelta(days=BACKFILL_DAYS))
        live = _replace(live, day_due_date=day, day_due_at=close_at(day, zone, phase))
        energy_kwh, refusals = believe_days(result.energy_kwh, context.declaration.capacity_kwp)
        live = _replace(live, refused=tuple(dict.fromkeys((*live.refused, *refusals))))
        days = merge_series(context.days, energy_kwh, job.day, zone)
        outcome = Outcome(before=context, live=live, days=days, next_poll=next_poll, log=log, refusals=refusals)
        return _settle(outcome, now, judge_whole_day(_days_after(outcome), job.day))
    error = result.error if isinstance(result, Failed) else None
    live = _replace(live, day_due_at=day_retry_at(job.day, zone, phase, now))
    if error is PollError.AUTH_FAILED:
        live = _replace(live, integration=Integration.PAUSED_AUTH_ERROR, last_error=error)
        next_poll = next_poll or NextPoll(None)
    if error is PollError.RATE_LIMIT_EXCEEDED:
        pause = _rate_limit_pause(context, live, _retry_after_s(result))
        live = _replace(live, day_due_at=_later(live.day_due_at, now + pause))
        next_poll = next_poll or _pushed_out(context, now, pause)
    return _settle(Outcome(before=context, live=live, next_poll=next_poll, log=log), now)


def _judge_undone(context: PlantContext, read: PlantContext, job: Job, log: PollLog, now: datetime) -> Outcome:
    """A job that says nothing of the plant: it is due again at once, a daily job after its pause (DOMAIN 2, PROTOCOL 18).

    A plant that was lost again when it ran alone must wait (PROTOCOL 20).
    """
    live, pause = context.live, timedelta(0)
    if log.adapter_error_type is PollError.WORKER_LOST:
        live = _replace(live, losses=live.losses + 1)
        pause = loss_pause(live.losses, context.declaration.poll_interval_s)
    if not is_pollable(context):
        return _settle(Outcome(before=context, live=live, next_poll=NextPoll(None), log=log), now)
    if job.kind is JobType.POLL:
        return _settle(Outcome(before=context, live=live, next_poll=NextPoll(now + pause), log=log), now)
    assert job.day is not None
    live = _replace(live, day_due_at=day_retry_at(job.day, context.declaration.zone, phase_s(context.plant_id), now))
    return _settle(Outcome(before=context, live=live, next_poll=_owed_poll(context, read, now), log=log), now)


def _settle(outcome: Outcome, now: datetime, verdict: GenerationVerdict | None = None) -> Outcome:
    """What follows from the new state whatever led to it: our own alerts, the status, its explanation, and what is due next.

    `verdict`: what the job says of the plant's generation, if it says anything.
    """
    context, live, alerts = outcome.before, outcome.live, outcome.alerts
    declaration, judged_on = context.declaration, live.generation_judged_on
    if live.integration is Integration.ACTIVE:
        if context.live.integration is not Integration.ACTIVE or live.active_since is None:
            live = _replace(live, active_since=now)
        live = _with_day_due(context, live, now)
        alerts = (*alerts, *judge_offline(context.plant_id, context.alerts, live, now))
        if verdict is not None and (judged_on is None or verdict.day >= judged_on):
            judged_on = verdict.day
            alerts = (*alerts, *judge_generation(context.plant_id, context.alerts, verdict, declaration.zone, now))
    else:
        live = _replace(live, day_due_at=None)
    active = merge_alerts(context.alerts, alerts) if alerts else context.alerts
    if declaration.acked:
        acked = acknowledge(active, declaration.acked, declaration.acked_by, now)
        alerts = tuple({alert.id: alert for alert in (*alerts, *acked)}.values())
        active = merge_alerts(active, acked)
    decision = decide_status(live, active, now, declaration.daylight_site)
    live = _replace(
        live,
        status=decision.status,
        reason=decision.reason,
        status_since=live.status_since if decision.status is live.status and live.status_since else now,
        explain=explain(decision, declaration, live, active),
        generation_judged_on=judged_on,
        clock_due_at=decision.next_change,
    )
    return _replace(outcome, live=live, alerts=alerts)


def _days_after(outcome: Outcome) -> tuple[Snapshot, ...]:
    """The rows that are known as they stand after the job."""
    return tuple({day.date: day for day in (*outcome.before.days, *outcome.days)}.values())


def _with_day_due(context: PlantContext, live: LiveState, now: datetime) -> LiveState:
    if live.day_due_at is not None:
        return live
    zone = context.declaration.zone
    today = local_date(now, zone)
    day = today if live.day_due_date is None else max(live.day_due_date, today - timedelta(days=BACKFILL_DAYS))
    return _replace(live, day_due_date=day, day_due_at=close_at(day, zone, phase_s(context.plant_id)))


def _polled(context: PlantContext, read: PlantContext, error: PollError | None, now: datetime) -> LiveState:
    """What every finished poll leaves, whatever it brought: that it was, with which error, for which generation, at whose request."""
    same_object = read.declaration.uid == context.declaration.uid
    return _replace(
        context.live,
        last_poll_at=now,
        last_error=error,
        integration=_integration_after(error),
        losses=0,
        polled_generation=read.declaration.generation if same_object else context.live.polled_generation,
        handled_poll_request=read.declaration.poll_requested if same_object else context.live.handled_poll_request,
    )


def _seen(live: LiveState, believed: Believed, now: datetime) -> LiveState:
    reading = believed.reading
    newest = reading.sampled_at is not None and (live.sampled_at is None or reading.sampled_at >= live.sampled_at)
    return _replace(
        live,
        refused=believed.refused,
        last_success_at=now,
        consecutive_failures=0,
        last_seen_at=_later(live.last_seen_at, reading.last_seen_at),
        counter_low_since=believed.counter_low_since,
        total_energy_kwh=live.total_energy_kwh if reading.total_energy_kwh is None else reading.total_energy_kwh,
        sampled_at=reading.sampled_at if newest else live.sampled_at,
        current_power_w=reading.current_power_w if newest else live.current_power_w,
        grid_injection_power_w=reading.grid_injection_power_w if newest else live.grid_injection_power_w,
    )


def _integration_after(error: PollError | None) -> Integration:
    """Only AUTH_FAILED pauses, and any other end of a trial poll lifts the pause (DOMAIN 5)."""
    return Integration.PAUSED_AUTH_ERROR if error is PollError.AUTH_FAILED else Integration.ACTIVE


def _next_poll_after(
    context: PlantContext, read: PlantContext, live: LiveState, error: PollError | None, result: JobResult, now: datetime
) -> NextPoll | None:
    """An order for the next poll where the phase grid does not decide it (DOMAIN 2, PROTOCOL 25)."""
    if _asks_for_poll(read.declaration, context.declaration):
        return NextPoll(now)
    if error is PollError.AUTH_FAILED:
        return NextPoll(None)
    if error is PollError.RATE_LIMIT_EXCEEDED:
        return _pushed_out(context, now, _rate_limit_pause(context, live, _retry_after_s(result)))
    return _regular_poll(context, live, now)


def _owed_poll(context: PlantContext, read: PlantContext, now: datetime) -> NextPoll | None:
    """At the end of a daily job: now, if a poll was asked for that found the claim slot taken and was moved on (PROTOCOL 17)."""
    declaration, live = context.declaration, context.live
    requested = declaration.poll_requested is not None and declaration.poll_requested != live.handled_poll_request
    owed = requested or declaration.generation != live.polled_generation or _asks_for_poll(read.declaration, declaration)
    return NextPoll(now) if owed else None


def _regular_poll(context: PlantContext, live: LiveState, now: datetime) -> NextPoll | None:
    """Back to the phase grid for an ACTIVE plant for which nothing is due; else what is set stays."""
    if live.integration is not Integration.ACTIVE or context.next_poll_at is not None:
        return None
    return NextPoll(next_slot(context.plant_id, context.declaration.poll_interval_s, now))


def _pushed_out(context: PlantContext, now: datetime, pause: timedelta) -> NextPoll:
    """The next poll after `pause`, and never before the slot at which it is due anyway."""
    slot = context.next_poll_at or next_slot(context.plant_id, context.declaration.poll_interval_s, now)
    return NextPoll(max(slot, now + pause))


def _retry_after_s(result: JobResult) -> float | None:
    match result:
        case Failed():
            return result.retry_after_s
        case Seen():
            return result.alarm_retry_after_s
        case _:
            return None


def _rate_limit_pause(context: PlantContext, live: LiveState, retry_after_s: float | None) -> timedelta:
    # A wish that is no duration (negative, NaN) is none.
    if retry_after_s is not None and retry_after_s >= 0:
        return timedelta(seconds=min(retry_after_s, RETRY_AFTER_MAX.total_seconds()))
    pause: timedelta = timedelta(seconds=context.declaration.poll_interval_s) * (1 << min(live.consecutive_failures, 10))
    return min(pause, RATE_LIMIT_BACKOFF_MAX)


def _asks_for_poll(previous: Declaration, current: Declaration) -> bool:
    """Whether the change between two declarations is to be polled at once. A request that was taken away asks for nothing."""
    requested = current.poll_requested is not None and current.poll_requested != previous.poll_requested
    return requested or (previous.uid, previous.generation, previous.scenario) != (current.uid, current.generation, current.scenario)


def _basis(context: PlantContext) -> tuple[object, ...]:
    """What a reading rests on: had it been otherwise, the reading would be another (PROTOCOL 23)."""
    declaration = context.declaration
    return (
        context.deleted,
        declaration.vendor_plant_id,
        declaration.timezone,
        declaration.scenario,
        declaration.capacity_kwp,
        integration_of(context),
    )


def _log(context: PlantContext, job: Job, result: JobResult, started_at: datetime, now: datetime) -> PollLog:
    error = result.error if isinstance(result, Failed) else result.alarm_error if isinstance(result, Seen) else None
    return PollLog(
        job_id=job.id,
        job_type=job.kind,
        attempt=job.attempt,
        claimed_at=context.claimed_at or started_at,
        started_at=started_at,
        finished_at=now,
        status=PollStatus.ERROR if isinstance(result, Failed) else PollStatus.SUCCESS,
        adapter_error_type=error,
    )


def _later(a: datetime | None, b: datetime | None) -> datetime | None:
    if a is None or b is None:
        return a or b
    return max(a, b)
