"""What one judgement brings: the value from which rows, PollLog, metrics, log line and mirrored status derive (docs/architecture.md)."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from controller.domain.alerts import merge_alerts
from controller.domain.plant import DAYS_READ, Alert, JobType, LiveState, PlantContext, PollError, PollStatus, Snapshot, Status
from integrations.contract import AlarmList, Brand, Reading


class Job(msgspec.Struct, frozen=True):
    """One claimed attempt at one plant. `day` is the local day to close, for a daily job.

    `alone`: no other job shall be in its worker's hands, for it may be what ends workers (PROTOCOL 20).
    """

    plant_id: UUID
    attempt: int
    kind: JobType
    brand: Brand
    lock_ttl_s: int
    day: date | None = None
    alone: bool = False

    @property
    def id(self) -> str:
        """The deterministic job id (DOMAIN 1, locked)."""
        if self.kind is JobType.POLL:
            return f"poll:plant:{self.plant_id}:latest"
        return f"daily:plant:{self.plant_id}:{self.day}"


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """Poll requests that wait for their answer (PROTOCOL 16)."""

    handed_out: tuple[Job, ...] = ()
    """Open claims of their plants, daily jobs too: behind these the requested poll waits, or they are it."""
    due: int = 0
    """How many may be claimed now."""


class Taken(msgspec.Struct, frozen=True):
    """A job in a worker's hands. `locked`: somebody else holds the plant's lock, so it must not be read."""

    job: Job
    locked: bool = False


class JobWhereabouts(StrEnum):
    """Where an open claim's job is (PROTOCOL 15)."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    LOST = "LOST"
    UNKNOWN = "UNKNOWN"
    """The queue server is too young to tell: ask later."""


class Seen(msgspec.Struct, frozen=True):
    """A poll that brought a reading. `alarms` is None where that look-up failed, and `alarm_error` says how."""

    reading: Reading
    alarms: AlarmList | None = None
    alarm_error: PollError | None = None
    alarm_retry_after_s: float | None = None
    """The vendor's wish where `alarm_error` is RATE_LIMIT_EXCEEDED. Seconds."""


class SeenDays(msgspec.Struct, frozen=True):
    """A daily job that brought the vendor's daily series: energy in kWh by local day."""

    energy_kwh: Mapping[date, float]


class Failed(msgspec.Struct, frozen=True):
    """A job that brought nothing. `message` is for people; `retry_after_s` is the vendor's wish."""

    error: PollError
    message: str = ""
    retry_after_s: float | None = None


JobResult = Seen | SeenDays | Failed


class PollLog(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one claimed job (DOMAIN 2, locked: every claim ends in exactly one)."""

    job_id: str
    job_type: JobType
    attempt: int
    claimed_at: datetime
    started_at: datetime
    finished_at: datetime
    status: PollStatus
    adapter_error_type: PollError | None = None

    @property
    def duration_ms(self) -> int:
        return max(0, round((self.finished_at - self.started_at).total_seconds() * 1000))


class NextPoll(msgspec.Struct, frozen=True):
    """An order to poll at `at`, or never (None). Its absence keeps what the claim has set."""

    at: datetime | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The whole effect of one judgement of `before`, ready to be stored. Storing it fails, whole, if `before.version` has moved."""

    before: PlantContext
    live: LiveState
    alerts: tuple[Alert, ...] = ()
    """Opened, changed and resolved ones, as they shall stand."""
    days: tuple[Snapshot, ...] = ()
    """Made and changed ones, as they shall stand."""
    next_poll: NextPoll | None = None
    log: PollLog | None = None
    """The job that this judgement closes; None for judgements by clock or by a changed declaration."""
    refusals: tuple[str, ...] = ()
    """Fields of the reading that were refused as implausible (DOMAIN 3)."""
    alarms_dropped: int = 0
    """Active alarms of this job's list that are not kept (DOMAIN 6)."""

    @property
    def plant_id(self) -> UUID:
        return self.before.plant_id

    @property
    def brand(self) -> Brand:
        return self.before.declaration.brand

    @property
    def after(self) -> PlantContext:
        """The plant once this is stored, as reading it would show it once its job is closed; the claim, which others move, as it was."""
        before, log = self.before, self.log
        return msgspec.structs.replace(
            before,
            live=self.live,
            version=before.version + 1,
            done_attempt=before.done_attempt if log is None else log.attempt,
            next_poll_at=before.next_poll_at if self.next_poll is None else self.next_poll.at,
            alerts=_active_alerts(before.alerts, self.alerts) if self.alerts else before.alerts,
            days=_newest_days(before.days, self.days) if self.days else before.days,
        )

    @property
    def is_notable(self) -> bool:
        """Whether it changes more than what every poll changes (power, energy, instants), so that Kubernetes is told at once.

        A status with its reason, an alert, the answer to a poll request, and all that a condition follows from (PROTOCOL 27). What a
        changed declaration brings is always one.
        """
        return self.log is None or _noted(self.before.live) != _noted(self.live) or any(map(self._is_news, self.alerts))

    @property
    def transition(self) -> tuple[Status, Status] | None:
        """The status before and after, where they differ."""
        before, after = self.before.live.status, self.live.status
        return None if before is after else (before, after)

    def _is_news(self, alert: Alert) -> bool:
        """Whether it changes more than when it was last seen, which an alarm that lasts does with every poll."""
        before = next((known for known in self.before.alerts if known.id == alert.id), None)
        return before is None or msgspec.structs.replace(before, last_seen_at=alert.last_seen_at) != alert


def _active_alerts(before: tuple[Alert, ...], changed: tuple[Alert, ...]) -> tuple[Alert, ...]:
    return tuple(sorted(merge_alerts(before, changed), key=lambda alert: (alert.opened_at, alert.id)))


def _newest_days(before: tuple[Snapshot, ...], changed: tuple[Snapshot, ...]) -> tuple[Snapshot, ...]:
    by_date = {day.date: day for day in (*before, *changed)}
    return tuple(by_date[day] for day in sorted(by_date, reverse=True)[:DAYS_READ])


def _noted(live: LiveState) -> tuple[object, ...]:
    """What is notable of a live state: `status`, and what the conditions of docs/plant.md are made of, but for its numbers."""
    return (
        live.integration,
        live.status,
        live.reason,
        live.last_error if live.consecutive_failures else None,
        live.last_success_at is None,
        live.last_seen_at is None,
        live.refused,
        live.current_power_w is None,
        live.current_power_w == 0,
        live.polled_generation,
        live.handled_poll_request,
    )
