"""`solarinvest replay`: a plant's life on a virtual clock (DOMAIN 9). No database, no Kubernetes, no wall clock, and no rule of its own.

`Drive` does for one plant what scheduler, worker and store do for the fleet: it hands what happened to the judging code and keeps the
`Outcome`. Called by `controller.cli`; `replay` is the same for other tools.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal, TextIO
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from controller.domain.judge import is_pollable, judge_clock, judge_declared, judge_job
from controller.domain.outcome import Job, Outcome
from controller.domain.plant import (
    DAYS_READ,
    DAYS_READ_BEFORE_CLOSE,
    Alert,
    AlertType,
    Declaration,
    Integration,
    JobType,
    LiveState,
    PlantContext,
    Reason,
    Snapshot,
    Status,
    plant_id_for,
)
from controller.domain.schedule import lock_ttl_s
from controller.tools.replay_input import Line, ReplayError, ReplayPlant, instant, read_lines, read_plant
from controller.tools.replay_plot import Timeline
from integrations.contract import Severity

__all__ = ["AlertEvent", "Event", "ReplayError", "ReplayPlant", "SnapshotEvent", "StatusEvent", "replay", "run_replay"]

TICK = timedelta(microseconds=1)
"""What time alone brings holds from just after its boundary on (DOMAIN 5); this is the shortest time there is."""


class StatusEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The status changed. `explain` only where asked for."""

    at: datetime
    kind: Literal["status"] = "status"
    before: Status = msgspec.field(name="from")
    to: Status
    reason: Reason
    explain: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An alert opened or resolved. `message` only where explanations are asked for."""

    at: datetime
    kind: Literal["alert"] = "alert"
    action: Literal["opened", "resolved"]
    type: AlertType
    severity: Severity
    vendor_alarm_code: str | None
    device_sn: str | None
    message: str | msgspec.UnsetType = msgspec.UNSET


class SnapshotEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A local day as it stands at the end of the run. Energy in kWh, power in W."""

    at: datetime
    kind: Literal["snapshot"] = "snapshot"
    date: date
    today_energy_kwh: float
    peak_power_w: float | None
    backfilled: bool


Event = StatusEvent | AlertEvent | SnapshotEvent
Observe = Callable[[datetime, PlantContext], None]
"""Called with the plant as it stands after each line and each change by the clock."""


def replay(
    plant: ReplayPlant, readings: Iterable[str | bytes], until: datetime, explain: bool = False, observe: Observe | None = None
) -> Iterator[Event]:
    """What happens to the plant up to `until`, in time order, then its days. Lines after `until` are not read.

    A boundary of time alone at exactly `until` is not passed yet, as it is not by a poll at that instant.
    Raises `ReplayError` at a line that cannot be read; what came before it has been yielded.
    """
    drive: Drive | None = None
    try:
        for line in read_lines(readings):
            if line.at > until:
                break
            if drive is None:
                drive = Drive(plant.declaration, plant.created_at or line.at, explain, observe)
            if line.at < drive.now:
                raise ReplayError(f"line {line.number}: its instant is before the plant was created")
            yield from drive.advance(line.at)
            yield from drive.play(line)
    except ReplayError:
        # An instant is told once it is over, and the last good one is over now.
        if drive is not None:
            yield from drive.told()
        raise
    if drive is None:
        created_at = plant.created_at or until
        if created_at > until:
            return
        drive = Drive(plant.declaration, created_at, explain, observe)
    yield from drive.advance(until)
    yield from drive.finish(until)


def run_replay(plant_file: Path, readings_file: Path, until: str, explain: bool, plot: Path | None, out: TextIO) -> None:
    """The command: one JSON object a line to `out`, and the timeline as SVG to `plot`. Raises `ReplayError`."""
    end = instant(until)
    plant = read_plant(plant_file)
    timeline = None if plot is None else Timeline(plant.declaration.zone, end)
    encode = msgspec.json.Encoder().encode
    try:
        with readings_file.open("rb") as readings:
            for event in replay(plant, readings, end, explain, None if timeline is None else timeline.observe):
                out.write(encode(event).decode() + "\n")
                if timeline is not None:
                    _draw(timeline, event, plant.declaration.zone)
    except OSError as error:
        raise ReplayError(f"{error.filename or readings_file}: {error.strerror}") from error
    if timeline is not None and plot is not None:
        _write(plot, timeline.svg(plant.declaration.display_name or plant.declaration.vendor_plant_id or plant.declaration.name))


def _draw(timeline: Timeline, event: Event, zone: ZoneInfo) -> None:
    match event:
        case StatusEvent():
            timeline.show_status(event.at, event.to, event.reason)
        case AlertEvent():
            key = (event.type, event.vendor_alarm_code, event.device_sn)
            timeline.show_alert(event.at, event.action == "opened", key, event.severity)
        case SnapshotEvent():
            first, last = (
                datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC) for day in (event.date, event.date + timedelta(days=1))
            )
            title = f"{event.date}: {event.today_energy_kwh:g} kWh" + (", backfilled" if event.backfilled else "")
            timeline.show_day(first, last, event.today_energy_kwh, title, event.backfilled)


def _write(plot: Path, svg: str) -> None:
    try:
        plot.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ReplayError(f"{plot}: {error.strerror}") from error


class Drive:
    """One plant and its clock. Events come out when their instant is over, so that an instant is told as one."""

    def __init__(self, declaration: Declaration, created_at: datetime, explain: bool, observe: Observe | None) -> None:
        self.now = created_at
        self._explain = explain
        self._observe = observe
        self._days: dict[date, Snapshot] = {}
        self._plant = PlantContext(plant_id=_plant_id(declaration), declaration=declaration, live=LiveState())
        self._instant = _Instant(created_at, self._plant.live.status)
        self._keep(judge_declared(self._plant, None, created_at))

    def advance(self, to: datetime) -> Iterator[Event]:
        """Passes the boundaries of time alone before `to`. One at `to` itself is passed later: a poll at that very instant comes first."""
        while (due := self._plant.live.clock_due_at) is not None and due < to:
            yield from self._begin(max(due, self.now))
            self._keep(judge_clock(self._plant, max(due + TICK, self.now)))
            following = self._plant.live.clock_due_at
            assert following is None or following > due, "judging by the clock did not move the clock on"

    def play(self, line: Line) -> Iterator[Event]:
        """One job's end. A plant that is not polled runs none; while paused, a poll is the trial that was asked for (DOMAIN 5, 9)."""
        yield from self._begin(line.at)
        if not is_pollable(self._plant) or (line.day is not None and self._plant.live.integration is not Integration.ACTIVE):
            return
        try:
            job, claimed = self._claim(line)
            self._keep(judge_job(claimed, claimed, job, line.result, line.at, line.at))
        except OverflowError as error:
            raise ReplayError(f"line {line.number}: an instant is too close to an end of the calendar") from error

    def told(self) -> Iterator[Event]:
        """What the instant at hand has brought so far."""
        yield from self._instant.events(self._plant.live, self._explain)

    def finish(self, until: datetime) -> Iterator[Event]:
        """The last instant's events, and the days by date."""
        yield from self.told()
        for day, row in sorted(self._days.items()):
            yield SnapshotEvent(
                at=until, date=day, today_energy_kwh=row.today_energy_kwh, peak_power_w=row.peak_power_w, backfilled=row.backfilled
            )

    def _begin(self, at: datetime) -> Iterator[Event]:
        if at == self._instant.at:
            return
        yield from self._instant.events(self._plant.live, self._explain)
        self.now = at
        self._instant = _Instant(at, self._plant.live.status)

    def _claim(self, line: Line) -> tuple[Job, PlantContext]:
        """The job, and the plant as the store would hand it over for it: of the days those that such a job may look at."""
        plant, declaration = self._plant, self._plant.declaration
        kind = JobType.POLL if line.day is None else JobType.DAILY
        job = Job(plant.plant_id, plant.attempt + 1, kind, declaration.brand, lock_ttl_s(declaration.poll_interval_s), line.day)
        days = plant.days if line.day is None else self._days_since(line.day - timedelta(days=DAYS_READ_BEFORE_CLOSE))
        return job, msgspec.structs.replace(plant, attempt=job.attempt, claim_kind=kind, claimed_at=line.at, days=days)

    def _keep(self, outcome: Outcome) -> None:
        """Stores the outcome, as a store does."""
        before, log = outcome.before, outcome.log
        self._instant.add(before.alerts, outcome.alerts)
        active = {alert.id: alert for alert in (*before.alerts, *outcome.alerts)}
        for day in outcome.days:
            self._days[day.date] = day
        self._plant = msgspec.structs.replace(
            before,
            live=outcome.live,
            version=before.version + 1,
            done_attempt=before.done_attempt if log is None else log.attempt,
            next_poll_at=before.next_poll_at if outcome.next_poll is None else outcome.next_poll.at,
            alerts=tuple(alert for alert in active.values() if alert.is_active),
            days=self._newest_days(before, outcome),
        )
        if self._observe is not None:
            self._observe(self.now, self._plant)

    def _newest_days(self, before: PlantContext, outcome: Outcome) -> tuple[Snapshot, ...]:
        """The newest few, newest first, as a poll is handed them."""
        if before.claim_kind is JobType.DAILY:
            return _newest(self._days)
        if not outcome.days:
            return before.days
        if before.days and [row.date for row in outcome.days] == [before.days[0].date]:
            # Nearly every poll: the newest day goes on.
            return (*outcome.days, *before.days[1:])
        return _newest({row.date: row for row in (*before.days, *outcome.days)})

    def _days_since(self, oldest: date) -> tuple[Snapshot, ...]:
        """Newest first, as far back as a daily job is handed them."""
        return tuple(self._days[day] for day in sorted(self._days, reverse=True) if day >= oldest)


class _Instant:
    """What one instant brings, however many judgements it takes: alerts resolve, then open, then the net change of status (DOMAIN 9)."""

    def __init__(self, at: datetime, status: Status) -> None:
        self.at = at
        self._status = status
        self._opened: dict[UUID, Alert] = {}
        self._resolved: dict[UUID, Alert] = {}

    def add(self, before: Iterable[Alert], changed: Iterable[Alert]) -> None:
        known = {alert.id for alert in before}
        for alert in changed:
            if alert.is_active:
                if alert.id not in known or alert.id in self._opened:
                    self._opened[alert.id] = alert
            elif self._opened.pop(alert.id, None) is None:
                # One that opened at this very instant leaves no trace.
                self._resolved[alert.id] = alert

    def events(self, live: LiveState, explain: bool) -> Iterator[Event]:
        for alert in sorted(self._resolved.values(), key=_order):
            yield _alert_event(self.at, "resolved", alert, explain)
        for alert in sorted(self._opened.values(), key=_order):
            yield _alert_event(self.at, "opened", alert, explain)
        if live.status is not self._status:
            sentences = live.explain if explain else msgspec.UNSET
            yield StatusEvent(at=self.at, before=self._status, to=live.status, reason=live.reason, explain=sentences)


def _alert_event(at: datetime, action: Literal["opened", "resolved"], alert: Alert, explain: bool) -> AlertEvent:
    return AlertEvent(
        at=at,
        action=action,
        type=alert.type,
        severity=alert.severity,
        vendor_alarm_code=alert.vendor_alarm_code,
        device_sn=alert.device_sn,
        message=alert.message if explain else msgspec.UNSET,
    )


def _order(alert: Alert) -> tuple[str, str, str]:
    return (alert.type, alert.vendor_alarm_code or "", alert.device_sn or "")


def _newest(days: Mapping[date, Snapshot]) -> tuple[Snapshot, ...]:
    return tuple(days[day] for day in sorted(days, reverse=True)[:DAYS_READ])


def _plant_id(declaration: Declaration) -> UUID:
    if declaration.vendor_plant_id is None:
        return UUID(declaration.uid)
    return plant_id_for(declaration.namespace, declaration.brand, declaration.vendor_plant_id)
