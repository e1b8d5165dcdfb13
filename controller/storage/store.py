"""`PostgresStore`: plants as rows, in set-based statements. The promises are PROTOCOL's, rule by rule; the SQL is in `queries`."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg
import structlog
from msgspec.structs import asdict

from controller.domain.errors import StoreRejected
from controller.domain.judge import JudgeClock, JudgeDeclared
from controller.domain.outcome import Job, Outcome, PollLog, Requests
from controller.domain.plant import DAYS_READ, DAYS_READ_BEFORE_CLOSE, Declaration, JobType, PlantContext
from controller.domain.schedule import lock_ttl_s, next_slot, runs_alone
from controller.storage import fleet, partitions, queries
from controller.storage.applying import KnownPlant, refuse
from controller.storage.database import Database
from controller.storage.ports import NO_LIMITS, Applied, ApplyResult, Fleet, LiveRow, MirrorAck, MirrorBooks, SilentPlant, Told
from controller.storage.shown import shown_alerts, shown_day
from integrations.contract import Brand

log = structlog.get_logger()
T = TypeVar("T")
Connection = psycopg.Connection[Any]

PUT_OFF_FOR = timedelta(minutes=1)
"""How long a plant waits whose judgement by the clock was rejected: a defect of ours, for which no other plant shall wait."""
UIDS_PAGE = 5_000
APPLY_ROUNDS = 5
"""Another operator may make or remove the row between our look and our insert; each round sees what it did."""

_standing = attrgetter(
    "integration",
    "active_since",
    "status",
    "reason",
    "status_since",
    "refused",
    "counter_low_since",
    "alarms_dropped",
    "generation_judged_on",
    "last_error",
    "consecutive_failures",
    "losses",
    "polled_generation",
    "handled_poll_request",
    "day_due_date",
    "day_due_at",
)
"""The part of a live state that stays the same from poll to poll. Its columns are written only where it has changed (`whole` in WRITE)."""


class _Claim(msgspec.Struct, frozen=True, array_like=True):
    """A row of REREAD: the part of a plant that a claim moves."""

    plant_id: UUID
    attempt: int
    claim_kind: JobType | None
    claimed_at: datetime | None
    next_poll_at: datetime | None


_CONTEXT = msgspec.json.Decoder(PlantContext)
_IDS = msgspec.json.Decoder(set[UUID])
_CLAIMS = msgspec.json.Decoder(list[_Claim])
_DECLARATION = msgspec.json.Decoder(Declaration)
_TOLD = msgspec.json.Decoder(Told)


class PostgresStore:
    """Plants in Postgres. Thread-safe. Implements `ports.Store`, and with it the ports of `polling` and `scheduling`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._days_with_partition: set[date] = set()

    # The poll's way: claim, read, write.

    def claim_polls(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = NO_LIMITS) -> list[Job]:
        self._ensure_partition(now)
        return self._by_index(lambda connection: _claim_polls(connection, now, limit, at_most))

    def claim_requested(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = NO_LIMITS) -> list[Job]:
        self._ensure_partition(now)
        return self._by_index(lambda connection: _claim_due(connection, queries.LOCK_REQUESTED_POLLS, now, limit, at_most))

    def requests(self, now: datetime, limit: int) -> Requests:
        rows = self._database.run(lambda connection: connection.execute(queries.REQUESTED, {"limit": limit}).fetchall())
        return Requests(
            handed_out=tuple(_open_job(*row[:7]) for row in rows if row[7]),
            due=sum(not is_open and next_poll_at is not None and next_poll_at <= now for *_, is_open, next_poll_at in rows),
        )

    def claim_days(self, now: datetime, limit: int, at_most: Mapping[Brand, int] = NO_LIMITS) -> list[Job]:
        self._ensure_partition(now)
        return self._by_index(lambda connection: _claim_days(connection, now, limit, at_most))

    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]:
        ids = list(plant_ids)
        return self._database.run(lambda connection: _read(connection, ids)) if ids else {}

    def reread(self, known: Collection[PlantContext]) -> dict[UUID, PlantContext]:
        return self._database.run(lambda connection: _reread(connection, known)) if known else {}

    def write(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        return self._database.run(lambda connection: _write(connection, outcomes)) if outcomes else set()

    def judge_due(self, now: datetime, limit: int, judge: JudgeClock) -> list[Outcome]:
        while True:
            try:
                outcomes, is_last = self._by_index(partial(_judge_due, now=now, limit=limit, judge=judge))
            except StoreRejected:
                # One plant that cannot be stored holds up no other: halve, down to the one that is put off.
                if limit == 1:
                    self._put_off(now)
                    return []
                limit //= 2
                continue
            if outcomes or is_last:
                return outcomes

    def open_claims(self, claimed_before: datetime, limit: int, after: UUID | None = None) -> list[Job]:
        parameters = {"before": claimed_before, "limit": limit, "after": after or UUID(int=0)}
        rows = self._database.run(lambda connection: connection.execute(queries.OPEN_CLAIMS, parameters).fetchall())
        return [_open_job(*row) for row in rows]

    # What the operator declares.

    def apply(self, plant_id: UUID, declaration: Declaration, resource_version: int, now: datetime, judge: JudgeDeclared) -> Applied:
        # Most events are the echo of our own status patches: one look, no lock, no commit.
        target, namesake = self._database.run(lambda connection: _known(connection, queries.KNOWN, plant_id, declaration))
        refusal = refuse(target, namesake, declaration, resource_version)
        if refusal is not None:
            return refusal
        return self._in_transaction(lambda connection: _apply(connection, plant_id, declaration, resource_version, now, judge))

    def delete(self, namespace: str, name: str, uid: str, resource_version: int, now: datetime) -> UUID | None:
        parameters = {"namespace": namespace, "name": name, "uid": uid, "resource_version": resource_version, "now": now}
        row = self._database.run(lambda connection: connection.execute(queries.DELETE, parameters).fetchone())
        return None if row is None else UUID(str(row[0]))

    def delete_absent(self, present: Collection[str], listed_at: int, now: datetime) -> list[UUID]:
        uids = frozenset(present)

        def work(connection: Connection) -> list[UUID]:
            absent = [(plant_id, uid) for plant_id, uid in _live_uids(connection, listed_at) if uid not in uids]
            if not absent:
                return []
            ids, absent_uids = (list(column) for column in zip(*absent, strict=True))
            locked = _column(connection, queries.LOCK_ABSENT, {"plant_ids": ids, "uids": absent_uids, "listed_at": listed_at})
            _mark_deleted(connection, locked, listed_at, now)
            return locked

        return self._in_transaction(work)

    def live_rows(self, names: Sequence[tuple[str, str]]) -> dict[str, LiveRow]:
        namespaces, own = [namespace for namespace, _ in names], [name for _, name in names]
        parameters = {"namespaces": namespaces, "names": own}
        rows = self._database.run(lambda connection: connection.execute(queries.LIVE_ROWS, parameters).fetchall())
        return {
            uid: LiveRow(plant_id, _DECLARATION.decode(row), MirrorBooks(version, resource_version, digest))
            for uid, plant_id, row, version, resource_version, digest in rows
        }

    def purge(self, limit: int) -> list[UUID]:
        def work(connection: Connection) -> list[UUID]:
            plant_ids: list[UUID] = _column(connection, queries.PURGEABLE, {"limit": limit})
            if plant_ids:
                partitions.delete_logs(connection, plant_ids)
                connection.execute(queries.PURGE, {"plant_ids": plant_ids})
            return plant_ids

        return self._in_transaction(work)

    # What Kubernetes is told.

    def untold(self, limit: int, now: datetime) -> list[UUID]:
        parameters = {"limit": limit, "now": now}
        return self._database.run(lambda connection: _column(connection, queries.UNTOLD, parameters))

    def lease_for_mirror(self, limit: int, now: datetime, lease_s: float, only: Collection[UUID]) -> list[UUID]:
        if not only:
            return []
        parameters = {"limit": limit, "now": now, "until": now + timedelta(seconds=lease_s), "only": list(only)}
        rows = self._database.run(lambda connection: connection.execute(queries.LEASE, parameters).fetchall())
        return [plant_id for plant_id, _, _ in sorted(rows, key=lambda row: (not row[1], row[2]))]

    def acknowledge(self, acks: Sequence[MirrorAck], now: datetime) -> None:
        if not acks:
            return
        parameters = {"acks": _json(acks), "now": now}
        self._database.run(lambda connection: connection.execute(queries.ACKNOWLEDGE, parameters))

    def release(self, plant_ids: Iterable[UUID]) -> None:
        parameters = {"plant_ids": list(plant_ids)}
        self._database.run(lambda connection: connection.execute(queries.RELEASE, parameters))

    def mirror_books(self, plant_ids: Iterable[UUID]) -> dict[UUID, MirrorBooks]:
        parameters = {"plant_ids": list(plant_ids)}
        rows = self._database.run(lambda connection: connection.execute(queries.MIRROR_BOOKS, parameters).fetchall())
        return {plant_id: MirrorBooks(version, resource_version, digest) for plant_id, version, resource_version, digest in rows}

    def told(self, plant_ids: Iterable[UUID]) -> dict[UUID, Told]:
        parameters = {"plant_ids": list(plant_ids)}
        rows = self._database.run(lambda connection: connection.execute(queries.TOLD, parameters).fetchall())
        return {plant_id: _TOLD.decode(told) for plant_id, told in rows}

    def reset_mirror(self, plant_id: UUID, resource_version: int, digest: str, now: datetime) -> bool:
        parameters = {"plant_id": plant_id, "resource_version": resource_version, "digest": digest, "now": now}
        return self._database.run(lambda connection: connection.execute(queries.RESET_MIRROR, parameters).rowcount == 1)

    # What metrics and maintenance need.

    def fleet(self, now: datetime) -> Fleet:
        return self._database.run(lambda connection: fleet.count_fleet(connection, now))

    def silent_plants(self, seen_before: datetime, now: datetime, limit: int, after: UUID | None = None) -> list[SilentPlant]:
        return self._database.run(lambda connection: fleet.silent_plants(connection, seen_before, now, limit, after))

    def plants_with_gaps(self, now: datetime) -> Mapping[Brand, int]:
        return self._database.run(lambda connection: fleet.count_gaps(connection, now))

    def ensure_partitions(self, now: datetime, days_ahead: int = 7) -> list[str]:
        return self._database.run(lambda connection: partitions.ensure_partitions(connection, now, days_ahead))

    def drop_partitions(self, before: date) -> list[str]:
        return self._database.run(lambda connection: partitions.drop_partitions(connection, before))

    def _put_off(self, now: datetime) -> None:
        parameters = {"now": now, "until": now + PUT_OFF_FOR}
        row = self._database.run(lambda connection: connection.execute(queries.PUT_OFF_CLOCK, parameters).fetchone())
        log.error("judgement_rejected", plant_id=None if row is None else str(row[0]), put_off_s=PUT_OFF_FOR.total_seconds())

    def _ensure_partition(self, now: datetime) -> None:
        """No claim without a partition for its log, also where maintenance has not run for weeks."""
        day = now.astimezone(UTC).date()
        if day in self._days_with_partition:
            return
        self._database.run(lambda connection: partitions.ensure_partitions(connection, now, days_ahead=1))
        self._days_with_partition = {day}

    def _by_index(self, work: Callable[[Connection], T]) -> T:
        """Work on what is due, whose instants move on so fast that what ANALYZE knows of them is of the past: with these statistics
        half the fleet looks due, and the planner reads the whole table for a few rows."""

        def bent(connection: Connection) -> T:
            connection.execute("SET LOCAL enable_seqscan = off")
            return work(connection)

        return self._in_transaction(bent)

    def _in_transaction(self, work: Callable[[Connection], T]) -> T:
        def transaction(connection: Connection) -> T:
            with connection.transaction():
                return work(connection)

        return self._database.run(transaction)


def _lock_due(connection: Connection, statement: str, now: datetime, limit: int, at_most: Mapping[Brand, int]) -> list[Any]:
    """Rows due, the free brands' first; then those of each brand that is limited."""
    shares = [([brand.value for brand in Brand if brand not in at_most], limit)]
    shares += [([brand.value], most) for brand, most in at_most.items() if most > 0]
    rows: list[Any] = []
    for brands, most in shares:
        left = min(most, limit - len(rows))
        if brands and left > 0:
            rows += connection.execute(statement, {"now": now, "limit": left, "brands": brands}).fetchall()
    return rows


def _open_job(plant_id: UUID, attempt: int, kind: str, brand: str, interval_s: int, day: date | None, losses: int) -> Job:
    return Job(plant_id, attempt, JobType(kind), Brand(brand), lock_ttl_s(interval_s), day, runs_alone(losses))


def _claim_polls(connection: Connection, now: datetime, limit: int, at_most: Mapping[Brand, int]) -> list[Job]:
    jobs = _claim_due(connection, queries.LOCK_DUE_POLLS, now, limit, at_most)
    if len(jobs) < limit:
        _move_claimed(connection, now, limit)
    return jobs


def _claim_due(connection: Connection, lock_due: str, now: datetime, limit: int, at_most: Mapping[Brand, int]) -> list[Job]:
    jobs: list[Job] = []
    slots: list[datetime] = []
    for plant_id, brand, interval_s, losses, attempt in _lock_due(connection, lock_due, now, limit, at_most):
        jobs.append(Job(plant_id, attempt, JobType.POLL, Brand(brand), lock_ttl_s(interval_s), alone=runs_alone(losses)))
        slots.append(next_slot(plant_id, interval_s, now))
    if jobs:
        connection.execute(queries.CLAIM_POLLS, {**_claim(jobs, now), "next_poll_at": slots})
    return jobs


def _move_claimed(connection: Connection, now: datetime, limit: int) -> None:
    """Due plants whose slot is open go on to their next slot. After the others, of which they shall hold up none."""
    rows = connection.execute(queries.LOCK_DUE_BUT_CLAIMED, {"now": now, "limit": limit}).fetchall()
    if rows:
        slots = [next_slot(plant_id, interval_s, now) for plant_id, interval_s in rows]
        connection.execute(queries.MOVE_NEXT_POLL, {"plant_ids": [plant_id for plant_id, _ in rows], "next_poll_at": slots})


def _claim_days(connection: Connection, now: datetime, limit: int, at_most: Mapping[Brand, int]) -> list[Job]:
    rows = _lock_due(connection, queries.LOCK_DUE_DAYS, now, limit, at_most)
    jobs = [
        Job(plant_id, attempt, JobType.DAILY, Brand(brand), lock_ttl_s(interval_s), day, runs_alone(losses))
        for plant_id, brand, interval_s, losses, attempt, day in rows
    ]
    if jobs:
        connection.execute(queries.CLAIM_DAYS, {**_claim(jobs, now), "days": [job.day for job in jobs]})
    return jobs


def _claim(jobs: Sequence[Job], now: datetime) -> dict[str, Any]:
    return {
        "plant_ids": [job.plant_id for job in jobs],
        "attempts": [job.attempt for job in jobs],
        "job_ids": [job.id for job in jobs],
        "now": now,
    }


def _read(connection: Connection, plant_ids: list[UUID]) -> dict[UUID, PlantContext]:
    rows = connection.execute(queries.READ, {"plant_ids": plant_ids, "days": DAYS_READ, "days_before": DAYS_READ_BEFORE_CLOSE})
    contexts = (_CONTEXT.decode(row[0]) for row in rows)
    return {context.plant_id: context for context in contexts}


def _reread(connection: Connection, known: Collection[PlantContext]) -> dict[UUID, PlantContext]:
    by_id = {context.plant_id: context for context in known}
    rows = [
        {
            "plant_id": plant_id,
            "version": context.version,
            "done_attempt": context.done_attempt,
            "day_due_at": context.live.day_due_at,
            "clock_due_at": context.live.clock_due_at,
        }
        for plant_id, context in by_id.items()
    ]
    ((found,),) = connection.execute(queries.REREAD, {"known": _json(rows)})
    return {
        claim.plant_id: msgspec.structs.replace(
            by_id[claim.plant_id],
            attempt=claim.attempt,
            claim_kind=claim.claim_kind,
            claimed_at=claim.claimed_at,
            next_poll_at=claim.next_poll_at,
        )
        for claim in _CLAIMS.decode(found)
    }


def _write(connection: Connection, outcomes: Sequence[Outcome], now: datetime | None = None) -> set[UUID]:
    """`now`: the instant of judgements by clock or declaration, after which the next clock change is exact."""
    assert len({outcome.plant_id for outcome in outcomes}) == len(outcomes), "two outcomes of one plant in one call"
    parameters = {
        "plants": _json([_plant_row(outcome, now) for outcome in outcomes]),
        "days": _json([{"plant_id": outcome.plant_id, **asdict(day)} for outcome in outcomes for day in outcome.days]),
        "alerts": _json([{"plant_id": outcome.plant_id, **asdict(alert)} for outcome in outcomes for alert in outcome.alerts]),
    }
    ((stored,),) = connection.execute(queries.WRITE, parameters)
    return _IDS.decode(stored)


def _plant_row(outcome: Outcome, now: datetime | None) -> dict[str, Any]:
    """A key that is absent is NULL to Postgres: most rows hold what moves with every poll, and little else."""
    live, log, next_poll = outcome.live, outcome.log, outcome.next_poll
    changed_at = now or (datetime.now(UTC) if log is None else log.finished_at)
    row: dict[str, Any] = {
        "plant_id": outcome.plant_id,
        "version": outcome.before.version,
        "notable": outcome.is_notable,
        "explain": _text_array(live.explain),
        "last_seen_at": live.last_seen_at,
        "sampled_at": live.sampled_at,
        "current_power_w": live.current_power_w,
        "grid_injection_power_w": live.grid_injection_power_w,
        "total_energy_kwh": live.total_energy_kwh,
        "last_poll_at": live.last_poll_at,
        "last_success_at": live.last_success_at,
        "clock_due_at": live.clock_due_at,
        **shown_day(outcome, changed_at),
    }
    if log is None or outcome.alerts or _standing(live) != _standing(outcome.before.live):
        row = {**asdict(live), **row, **shown_alerts(outcome), "whole": True}
    if next_poll is not None:
        row |= {"sets_next_poll": True, "next_poll_at": next_poll.at}
    if log is None or now is not None:
        row["changed_at"] = changed_at
    if now is not None:
        row["exact_clock"] = True
    if log is not None:
        row |= _log_fields(log)
    return row


def _text_array(texts: Iterable[str]) -> str:
    """As Postgres writes a `text[]`, which it reads at half the cost of an array within JSON."""
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


def _log_fields(log: PollLog) -> dict[str, object]:
    return {
        "job_id": log.job_id,
        "job_type": log.job_type,
        "attempt": log.attempt,
        "job_status": log.status,
        "duration_ms": log.duration_ms,
        "adapter_error_type": log.adapter_error_type,
        "claimed_at": log.claimed_at,
        "started_at": log.started_at,
        "finished_at": log.finished_at,
    }


def _judge_due(connection: Connection, now: datetime, limit: int, judge: JudgeClock) -> tuple[list[Outcome], bool]:
    """What was judged and stored, and whether no more is due. Rows that were only looked at too early count towards `limit`."""
    rows = connection.execute(queries.LOCK_CLOCK_DUE, {"now": now, "limit": limit}).fetchall()
    early = [plant_id for plant_id, is_due in rows if not is_due]
    if early:
        connection.execute(queries.MOVE_CLOCK_SCAN, {"plant_ids": early})
    due = [plant_id for plant_id, is_due in rows if is_due]
    outcomes = [judge(context, now) for context in _read(connection, due).values()] if due else []
    stored = _write(connection, outcomes, now) if outcomes else set()
    return [outcome for outcome in outcomes if outcome.plant_id in stored], len(rows) < limit


def _live_uids(connection: Connection, listed_at: int) -> Iterator[tuple[UUID, str]]:
    """Id and uid of live plants applied before `listed_at`, page by page: all at once are 30 MB at 100,000."""
    after = UUID(int=0)
    while page := connection.execute(queries.LIVE_UIDS_BEFORE, {"listed_at": listed_at, "after": after, "limit": UIDS_PAGE}).fetchall():
        yield from page
        after = page[-1][0]


def _known(connection: Connection, statement: str, plant_id: UUID, declaration: Declaration) -> tuple[KnownPlant | None, KnownPlant | None]:
    """The row of this id, and the live row of this name under another id."""
    parameters = {"plant_id": plant_id, "namespace": declaration.namespace, "name": declaration.name}
    target = namesake = None
    for known_id, resource_version, deleted, attempt, row in connection.execute(statement, parameters):
        known = KnownPlant(known_id, _DECLARATION.decode(row), resource_version, deleted, attempt)
        if known_id == plant_id:
            target = known
        else:
            namesake = known
    return target, namesake


def _apply(
    connection: Connection, plant_id: UUID, declaration: Declaration, resource_version: int, now: datetime, judge: JudgeDeclared
) -> Applied:
    for _ in range(APPLY_ROUNDS):
        target, namesake = _known(connection, queries.LOCK_KNOWN, plant_id, declaration)
        refusal = refuse(target, namesake, declaration, resource_version)
        if refusal is not None:
            return refusal
        if namesake is not None:
            _replace_namesake(connection, namesake, resource_version, now)
        statement = queries.INSERT_DECLARED if target is None else queries.UPDATE_DECLARED
        parameters = {"plant_id": plant_id, "declaration": _json(declaration), "resource_version": resource_version, "now": now}
        if connection.execute(statement, parameters).rowcount == 1:
            previous = None if target is None or target.deleted else target.declaration
            outcome = judge(_read(connection, [plant_id])[plant_id], previous, now)
            stored = _write(connection, [outcome], now)
            assert stored == {plant_id}, "the row is locked: its version cannot have moved"
            return Applied(ApplyResult.APPLIED, outcome=outcome)
    # Not seen to happen: rows of this name or id came and went between every look and insert.
    raise psycopg.errors.SerializationFailure("rows of one Plant keep coming and going")


def _replace_namesake(connection: Connection, namesake: KnownPlant, resource_version: int, now: datetime) -> None:
    if namesake.is_forgettable:
        connection.execute(queries.FORGET, {"plant_id": namesake.plant_id})
    else:
        _mark_deleted(connection, [namesake.plant_id], resource_version, now)


def _mark_deleted(connection: Connection, plant_ids: list[UUID], resource_version: int, now: datetime) -> None:
    connection.execute(queries.DELETE_LOCKED, {"plant_ids": plant_ids, "resource_version": resource_version, "now": now})


def _column(connection: Connection, statement: str, parameters: dict[str, Any]) -> list[Any]:
    return [row[0] for row in connection.execute(statement, parameters)]


def _json(value: object) -> str:
    """Raises `StoreRejected` for text that is none (a lone surrogate). What Postgres refuses (NUL), it refuses itself."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        raise StoreRejected("UnicodeEncodeError") from None
