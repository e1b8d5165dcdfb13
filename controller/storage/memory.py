"""`MemoryStore`: the same store without a server, for unit tests and replay. Held to `PostgresStore` by tests/contract/test_store.py."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

import msgspec

from controller.domain.errors import StoreRejected
from controller.domain.judge import JudgeClock, JudgeDeclared
from controller.domain.outcome import Job, Outcome, PollLog, Requests
from controller.domain.plant import (
    DAYS_READ,
    DAYS_READ_BEFORE_CLOSE,
    Alert,
    AlertState,
    Declaration,
    HistoryPolicy,
    Integration,
    JobType,
    LiveState,
    PlantContext,
    Snapshot,
    Status,
)
from controller.domain.schedule import BACKFILL_DAYS, local_date, lock_ttl_s, next_slot, runs_alone
from controller.domain.status import OFFLINE_AFTER
from controller.storage.applying import KnownPlant, refuse
from controller.storage.ports import NO_LIMITS, Applied, ApplyResult, Fleet, LiveRow, MirrorAck, MirrorBooks, SilentPlant, Told
from integrations.contract import Brand

P = ParamSpec("P")
R = TypeVar("R")

HELD_GRACE = timedelta(seconds=60)


class Row(msgspec.Struct):
    """One plant: what a row of `plants` and its rows in the other tables hold."""

    plant_id: UUID
    declaration: Declaration
    resource_version: int
    changed_at: datetime
    live: LiveState = LiveState()
    version: int = 0
    deleted: bool = False
    attempt: int = 0
    done_attempt: int = 0
    claim_kind: JobType | None = None
    claim_day: date | None = None
    claimed_at: datetime | None = None
    next_poll_at: datetime | None = None
    books: MirrorBooks = MirrorBooks(0, 0, None)
    told_alerts: tuple[UUID, ...] | None = None
    leased_until: datetime | None = None
    held_until: datetime | None = None
    notable_version: int = 0
    alerts: dict[UUID, Alert] = {}
    days: dict[date, Snapshot] = {}

    @property
    def is_claimed(self) -> bool:
        return self.done_attempt < self.attempt

    @property
    def is_unmirrored(self) -> bool:
        return not self.deleted and self.version > self.books.mirrored_version

    def is_silenced(self, now: datetime) -> bool:
        return self.declaration.silence_until is not None and self.declaration.silence_until > now

    def is_announced(self, now: datetime) -> bool:
        """Whether anybody is to hear of a lack of data: it is polled, and not silenced."""
        return self.live.integration is Integration.ACTIVE and not self.is_silenced(now)

    @property
    def is_notable(self) -> bool:
        return self.notable_version > self.books.mirrored_version

    @property
    def told_with_poll(self) -> bool:
        """Whether a poll of the new slot takes along what was held back."""
        return self.held_until is not None and self.live.last_poll_at is not None and self.live.last_poll_at >= self.held_until

    @property
    def mirror_due_at(self) -> datetime:
        """Since when, or from when on, Kubernetes is to have been told, where it is behind."""
        if self.is_notable or self.held_until is None:
            return self.changed_at
        return max(self.changed_at, self.held_until if self.told_with_poll else self.held_until + HELD_GRACE)

    def is_leasable(self, now: datetime) -> bool:
        if not self.is_unmirrored or (self.leased_until is not None and self.leased_until > now):
            return False
        return self.is_notable or self.held_until is None or self.told_with_poll or self.held_until + HELD_GRACE <= now


def _serialised(method: Callable[Concatenate["MemoryStore", P], R]) -> Callable[Concatenate["MemoryStore", P], R]:
    @wraps(method)
    def locked(self: "MemoryStore", /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._lock:
            return method(self, *args, **kwargs)

    return locked


class MemoryStore:
    """Plants in memory, one caller at a time. Implements `ports.Store`. `logs` holds every PollLog, by plant, in the order of closing."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rows: dict[UUID, Row] = {}
        self._last_attempt = 0
        self.logs: list[tuple[UUID, PollLog]] = []

    @_serialised
    def claim_polls(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = NO_LIMITS) -> list[Job]:
        due = [(row.next_poll_at, row) for row in self._live() if row.next_poll_at is not None and row.next_poll_at <= now]
        oldest_first = [row for _, row in sorted(due, key=lambda entry: entry[0])]
        free = _shares([row for row in oldest_first if not row.is_claimed], limit, at_most)
        claimed = [row for row in oldest_first if row.is_claimed][:limit] if len(free) < limit else []
        for row in (*free, *claimed):
            row.next_poll_at = next_slot(row.plant_id, row.declaration.poll_interval_s, now)
        return [self._claim(row, JobType.POLL, now) for row in free]

    @_serialised
    def claim_requested(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = NO_LIMITS) -> list[Job]:
        due = [(row.next_poll_at, row) for row in self._requested() if row.next_poll_at is not None and row.next_poll_at <= now]
        free = _shares([row for _, row in sorted(due, key=lambda entry: entry[0]) if not row.is_claimed], limit, at_most)
        for row in free:
            row.next_poll_at = next_slot(row.plant_id, row.declaration.poll_interval_s, now)
        return [self._claim(row, JobType.POLL, now) for row in free]

    @_serialised
    def requests(self, now: datetime, limit: int) -> Requests:
        rows = sorted(self._requested(), key=lambda row: row.next_poll_at or datetime.max.replace(tzinfo=UTC))[:limit]
        return Requests(
            handed_out=tuple(_job(row) for row in rows if row.is_claimed),
            due=sum(not row.is_claimed and row.next_poll_at is not None and row.next_poll_at <= now for row in rows),
        )

    @_serialised
    def claim_days(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = NO_LIMITS) -> list[Job]:
        due = [(row.live.day_due_at, row) for row in self._live() if row.live.day_due_at is not None and row.live.day_due_at <= now]
        oldest_first = [row for _, row in sorted(due, key=lambda entry: entry[0]) if not row.is_claimed]
        return [self._claim(row, JobType.DAILY, now, row.live.day_due_date) for row in _shares(oldest_first, limit, at_most)]

    @_serialised
    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]:
        return {plant_id: _context(self._rows[plant_id]) for plant_id in plant_ids if plant_id in self._rows}

    @_serialised
    def reread(self, known: Collection[PlantContext]) -> dict[UUID, PlantContext]:
        now = self.read(context.plant_id for context in known)
        return {
            context.plant_id: now[context.plant_id]
            for context in known
            if (row := self._rows.get(context.plant_id)) is not None
            and (row.version, row.done_attempt) == (context.version, context.done_attempt)
            and not (row.claim_kind is JobType.DAILY and row.is_claimed)
        }

    @_serialised
    def write(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        return self._write(outcomes, None)

    @_serialised
    def judge_due(self, now: datetime, limit: int, judge: JudgeClock) -> list[Outcome]:
        due = [(row.live.clock_due_at, row) for row in self._live() if row.live.clock_due_at is not None and row.live.clock_due_at < now]
        outcomes = [judge(_context(row), now) for _, row in sorted(due, key=lambda entry: entry[0])[:limit]]
        return [outcome for outcome in outcomes if self._judge(outcome, now)]

    @_serialised
    def open_claims(self, claimed_before: datetime, limit: int, after: UUID | None = None) -> list[Job]:
        claimed = [row for row in self._rows.values() if row.is_claimed and row.claimed_at is not None and row.claimed_at < claimed_before]
        beyond = [row for row in claimed if after is None or row.plant_id > after]
        return [_job(row) for row in sorted(beyond, key=lambda row: row.plant_id)[:limit]]

    @_serialised
    def apply(self, plant_id: UUID, declaration: Declaration, resource_version: int, now: datetime, judge: JudgeDeclared) -> Applied:
        _check_text(declaration)
        row = self._rows.get(plant_id)
        namesake = next(
            (other for other in self._live() if other.plant_id != plant_id and _name(other.declaration) == _name(declaration)), None
        )
        refusal = refuse(_known(row), _known(namesake), declaration, resource_version)
        if refusal is not None:
            return refusal
        if namesake is not None:
            self._replace(namesake, resource_version, now)
        previous = None if row is None or row.deleted else row.declaration
        if row is None:
            row = Row(plant_id, declaration, resource_version, now)
            self._rows[plant_id] = row
        elif row.declaration.uid != declaration.uid:
            row.books, row.leased_until, row.changed_at = MirrorBooks(0, 0, None), None, now
            row.told_alerts, row.held_until = None, None
        elif row.deleted:
            row.books = msgspec.structs.replace(row.books, digest=None)
        row.declaration, row.resource_version, row.deleted = declaration, resource_version, False
        outcome = judge(_context(row), previous, now)
        self._write([outcome], now)
        return Applied(ApplyResult.APPLIED, outcome=outcome)

    @_serialised
    def delete(self, namespace: str, name: str, uid: str, resource_version: int, now: datetime) -> UUID | None:
        for row in self._live():
            if (*_name(row.declaration), row.declaration.uid) == (namespace, name, uid) and row.resource_version < resource_version:
                _mark_deleted(row, resource_version, now)
                return row.plant_id
        return None

    @_serialised
    def delete_absent(self, present: Collection[str], listed_at: int, now: datetime) -> list[UUID]:
        absent = [row for row in self._live() if row.declaration.uid not in present and row.resource_version < listed_at]
        for row in absent:
            _mark_deleted(row, listed_at, now)
        return sorted(row.plant_id for row in absent)

    @_serialised
    def purge(self, limit: int) -> list[UUID]:
        purged = sorted(row.plant_id for row in self._rows.values() if _is_purgeable(row))[:limit]
        for plant_id in purged:
            del self._rows[plant_id]
        self.logs = [(plant_id, log) for plant_id, log in self.logs if plant_id not in purged]
        return purged

    @_serialised
    def untold(self, limit: int, now: datetime) -> list[UUID]:
        return [row.plant_id for row in self._untold(now)[:limit]]

    @_serialised
    def lease_for_mirror(self, limit: int, now: datetime, lease_s: float, only: Collection[UUID]) -> list[UUID]:
        chosen = [row for row in self._untold(now) if row.plant_id in only][:limit]
        for row in chosen:
            row.leased_until = now + timedelta(seconds=lease_s)
        return [row.plant_id for row in chosen]

    @_serialised
    def acknowledge(self, acks: Sequence[MirrorAck], now: datetime) -> None:
        for ack in acks:
            row = self._rows.get(ack.plant_id)
            if row is None or not row.books.mirrored_version < ack.version <= row.version:
                continue
            row.books, row.leased_until = MirrorBooks(ack.version, ack.resource_version, ack.digest), None
            row.told_alerts = ack.alerts
            row.held_until = ack.held_until or row.held_until
            if row.version > ack.version:
                row.changed_at = now

    @_serialised
    def release(self, plant_ids: Iterable[UUID]) -> None:
        for plant_id in plant_ids:
            if plant_id in self._rows:
                self._rows[plant_id].leased_until = None

    @_serialised
    def live_rows(self, names: Sequence[tuple[str, str]]) -> dict[str, LiveRow]:
        listed = set(names)
        live = (row for row in self._live() if _name(row.declaration) in listed)
        return {row.declaration.uid: LiveRow(row.plant_id, row.declaration, row.books) for row in live}

    @_serialised
    def mirror_books(self, plant_ids: Iterable[UUID]) -> dict[UUID, MirrorBooks]:
        return {plant_id: self._rows[plant_id].books for plant_id in plant_ids if plant_id in self._rows}

    @_serialised
    def told(self, plant_ids: Iterable[UUID]) -> dict[UUID, Told]:
        return {plant_id: _told(self._rows[plant_id]) for plant_id in plant_ids if plant_id in self._rows}

    @_serialised
    def reset_mirror(self, plant_id: UUID, resource_version: int, digest: str, now: datetime) -> bool:
        row = self._rows.get(plant_id)
        if row is None or row.deleted or row.books.mirrored_version == 0:
            return False
        if row.books.resource_version >= resource_version or row.books.digest == digest:
            return False
        if row.leased_until is not None and row.leased_until > now:
            return False
        if not row.is_unmirrored:
            row.changed_at = now
        row.held_until = None
        row.books = msgspec.structs.replace(row.books, mirrored_version=0)
        return True

    @_serialised
    def fleet(self, now: datetime) -> Fleet:
        plants: dict[tuple[Brand, Status], int] = {}
        silenced: dict[tuple[Brand, Status], int] = {}
        paused = dict.fromkeys(Brand, 0)
        schedule_lag_s, claim_age_s = dict.fromkeys(Brand, 0.0), dict.fromkeys(Brand, 0.0)
        mirror_lag_s = 0.0
        for row in self._live():
            brand = row.declaration.brand
            key = (brand, row.live.status)
            plants[key] = plants.get(key, 0) + 1
            silenced[key] = silenced.get(key, 0) + row.is_silenced(now)
            paused[brand] += row.live.integration is Integration.PAUSED_AUTH_ERROR and not row.is_silenced(now)
            if row.next_poll_at is not None and row.next_poll_at <= now and not row.is_claimed:
                schedule_lag_s[brand] = max(schedule_lag_s[brand], (now - row.next_poll_at).total_seconds())
            if row.is_claimed and row.claimed_at is not None:
                claim_age_s[brand] = max(claim_age_s[brand], (now - row.claimed_at).total_seconds())
            if row.is_unmirrored:
                mirror_lag_s = max(mirror_lag_s, (now - row.mirror_due_at).total_seconds())
        return Fleet(plants, silenced, paused, schedule_lag_s, claim_age_s, mirror_lag_s)

    @_serialised
    def silent_plants(self, seen_before: datetime, now: datetime, limit: int, after: UUID | None = None) -> list[SilentPlant]:
        found = [
            SilentPlant(row.plant_id, row.declaration.brand, row.declaration.timezone, row.declaration.site)
            for row in self._live()
            if row.is_announced(now)
            and row.live.status is not Status.RED
            and row.live.last_seen_at is not None
            and row.live.last_seen_at < seen_before
            and (after is None or row.plant_id > after)
        ]
        return sorted(found, key=lambda plant: plant.plant_id)[:limit]

    @_serialised
    def plants_with_gaps(self, now: datetime) -> Mapping[Brand, int]:
        found = dict.fromkeys(Brand, 0)
        for row in self._live():
            if not row.is_announced(now) or row.live.last_seen_at is None or row.live.last_seen_at < now - OFFLINE_AFTER:
                continue
            today = local_date(now, row.declaration.zone)
            recent = {today - timedelta(days=back) for back in range(1, BACKFILL_DAYS + 1)}
            has_history = any(day < min(recent) for day in row.days)
            found[row.declaration.brand] += has_history and not recent <= row.days.keys()
        return found

    def ensure_partitions(self, now: datetime, days_ahead: int = 7) -> list[str]:
        """There are none here."""
        return []

    @_serialised
    def drop_partitions(self, before: date) -> list[str]:
        """Drops the logs of the days; there are no partitions to name."""
        self.logs = [(plant_id, log) for plant_id, log in self.logs if log.claimed_at.astimezone(UTC).date() >= before]
        return []

    def _judge(self, outcome: Outcome, now: datetime) -> bool:
        """Whether it was stored. One that is rejected holds up no other."""
        try:
            return bool(self._write([outcome], now))
        except StoreRejected:
            return False

    def _untold(self, now: datetime) -> "list[Row]":
        leasable = (row for row in self._rows.values() if row.is_leasable(now))
        return sorted(leasable, key=lambda row: (not row.is_notable, row.changed_at))

    def _live(self) -> Iterator[Row]:
        return (row for row in list(self._rows.values()) if not row.deleted)

    def _requested(self) -> Iterator[Row]:
        """Those whose poll request is still to be answered."""
        for row in self._live():
            if row.declaration.poll_requested not in (None, row.live.handled_poll_request):
                yield row

    def _claim(self, row: Row, kind: JobType, now: datetime, day: date | None = None) -> Job:
        self._last_attempt += 1
        row.attempt, row.claim_kind, row.claim_day, row.claimed_at = self._last_attempt, kind, day, now
        return _job(row)

    def _replace(self, namesake: Row, resource_version: int, now: datetime) -> None:
        known = _known(namesake)
        if known is not None and known.is_forgettable:
            del self._rows[namesake.plant_id]
        else:
            _mark_deleted(namesake, resource_version, now)

    def _write(self, outcomes: Sequence[Outcome], now: datetime | None) -> set[UUID]:
        assert len({outcome.plant_id for outcome in outcomes}) == len(outcomes), "two outcomes of one plant in one call"
        for outcome in outcomes:
            _check_text(outcome)
        held = [outcome for outcome in outcomes if self._holds(outcome)]
        for outcome in held:
            _check_alerts(self._rows[outcome.plant_id], outcome)
        for outcome in held:
            self._store(outcome, now)
        return {outcome.plant_id for outcome in held}

    def _holds(self, outcome: Outcome) -> bool:
        """The fence (PROTOCOL 4)."""
        row = self._rows.get(outcome.plant_id)
        if row is None or row.version != outcome.before.version:
            return False
        return outcome.log is None or (row.attempt == outcome.log.attempt and row.is_claimed)

    def _store(self, outcome: Outcome, now: datetime | None) -> None:
        row, log = self._rows[outcome.plant_id], outcome.log
        if not row.is_unmirrored or (outcome.is_notable and not row.is_notable):
            row.changed_at = now or (datetime.now(UTC) if log is None else log.finished_at)
        row.version += 1
        if outcome.is_notable:
            row.notable_version = row.version
        row.live = outcome.live
        row.alerts = {**row.alerts, **{alert.id: alert for alert in outcome.alerts}}
        row.days = {**row.days, **{day.date: day for day in outcome.days}}
        if outcome.next_poll is not None:
            row.next_poll_at = outcome.next_poll.at
        if log is not None:
            row.done_attempt = log.attempt
            self.logs.append((outcome.plant_id, log))


def _context(row: Row) -> PlantContext:
    newest_first = sorted(row.days.values(), key=lambda day: day.date, reverse=True)
    if row.claim_kind is JobType.DAILY and row.is_claimed and row.claim_day is not None:
        oldest = row.claim_day - timedelta(days=DAYS_READ_BEFORE_CLOSE)
        days = [day for day in newest_first if day.date >= oldest]
    else:
        days = newest_first[:DAYS_READ]
    return PlantContext(
        plant_id=row.plant_id,
        declaration=row.declaration,
        live=row.live,
        version=row.version,
        deleted=row.deleted,
        attempt=row.attempt,
        done_attempt=row.done_attempt,
        claim_kind=row.claim_kind,
        claimed_at=row.claimed_at,
        next_poll_at=row.next_poll_at,
        alerts=tuple(sorted((alert for alert in row.alerts.values() if alert.is_active), key=lambda alert: (alert.opened_at, alert.id))),
        days=tuple(days),
    )


def _told(row: Row) -> Told:
    alerts = (row.alerts[alert_id] for alert_id in row.told_alerts or () if alert_id in row.alerts)
    ended = sorted((alert for alert in alerts if not alert.is_active), key=lambda alert: (alert.opened_at, alert.id))
    return Told(row.books.digest, row.told_alerts, tuple(ended), row.books.resource_version, row.is_notable)


def _shares(rows: Sequence[Row], limit: int, at_most: Mapping[Brand, int]) -> list[Row]:
    """The rows of the free brands first, then those of each brand that is limited."""
    chosen = [row for row in rows if row.declaration.brand not in at_most][:limit]
    for brand, most in at_most.items():
        chosen += [row for row in rows if row.declaration.brand is brand][: max(0, min(most, limit - len(chosen)))]
    return chosen


def _job(row: Row) -> Job:
    assert row.claim_kind is not None
    declaration = row.declaration
    ttl_s, alone = lock_ttl_s(declaration.poll_interval_s), runs_alone(row.live.losses)
    return Job(row.plant_id, row.attempt, row.claim_kind, declaration.brand, ttl_s, row.claim_day, alone)


def _known(row: Row | None) -> KnownPlant | None:
    return None if row is None else KnownPlant(row.plant_id, row.declaration, row.resource_version, row.deleted, row.attempt)


def _name(declaration: Declaration) -> tuple[str, str]:
    return (declaration.namespace, declaration.name)


def _mark_deleted(row: Row, resource_version: int, now: datetime) -> None:
    row.deleted = True
    row.next_poll_at = None
    row.live = msgspec.structs.replace(row.live, clock_due_at=None, day_due_at=None)
    row.version += 1
    row.changed_at = now
    row.leased_until = None
    row.resource_version = max(row.resource_version, resource_version)


def _is_purgeable(row: Row) -> bool:
    forgotten = row.declaration.history_policy is HistoryPolicy.DELETE or row.declaration.vendor_plant_id is None
    return row.deleted and not row.is_claimed and forgotten


def _check_text(value: object) -> None:
    """Refuses what Postgres refuses: text with NUL or a lone surrogate."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise StoreRejected("UnicodeEncodeError") from None
    if b"\\u0000" in encoded:
        raise StoreRejected("text with NUL")


def _check_alerts(row: Row, outcome: Outcome) -> None:
    """The partial unique index: at most one active alert a key."""
    after = {**row.alerts, **{alert.id: alert for alert in outcome.alerts}}
    keys = [alert.key for alert in after.values() if alert.state is not AlertState.RESOLVED]
    if len(keys) != len(set(keys)):
        raise StoreRejected("two active alerts of one key")
