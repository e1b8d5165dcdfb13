"""One pass of one subject: its plants fall due at one instant, and everything is read before and after. Called by `bench`."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from redis import Redis

from benchmarks.fleet import plant_name
from benchmarks.limit import run_pgbench
from benchmarks.machine import Usage, memory_mb
from benchmarks.recordings import STEP, step_of
from benchmarks.subjects import Kind, Servers, Subject
from hack.devstack.program import DevStackError, Process, tail
from hack.devstack.waiting import wait_until

READY_WITHIN_S = 60.0
PREPARED_WITHIN_S = 3.0
"""From telling plants when they fall due to that instant, beside twice the time that telling takes."""
FAR_AHEAD = timedelta(hours=1)
PASS_WITHIN_S = 150.0
AT_REST_WITHIN_S = 10.0
SETTLE_S = 0.3
"""After the last commit: locks are released and Huey is told, on the subject's bill."""
CHANNEL = "plant_changed"
READY = "bench:ready"
"""Where a peer's worker says that it is ready."""
LEFT_OVER = ("lock:plant:*", "waiting:*", "huey.redis.*", "bull:*:wait", "bull:*:active", "bull:*:delayed", "bull:*:failed")
"""What may be in Redis only while polls wait or run."""

# In the order in which the product's writers lock rows: its clock may judge some of them meanwhile.
_MAKE_DUE = """
WITH locked AS MATERIALIZED (SELECT plant_id FROM plants WHERE name < %(end)s ORDER BY plant_id FOR UPDATE)
UPDATE plants p SET next_poll_at = %(due_at)s FROM locked WHERE p.plant_id = locked.plant_id
"""

_DAYS_WRITTEN = "SELECT count(DISTINCT plant_id) FROM metric_snapshots WHERE source_sampled_at >= %(since)s"


class Broken(Exception):
    """A subject did not do what each must: one PollLog and one written day a plant, and nothing left behind."""


class Pass(NamedTuple):
    """What one pass took. CPU in ms a poll by part; WAL in bytes a poll; foreign and stolen CPU in cores."""

    polls: int
    seconds: float
    polls_per_s: float
    cpu_ms: dict[str, float]
    cpu_ms_total: float
    wal_bytes: float
    polls_a_transaction: float
    foreign_cores: float
    stolen_cores: float
    rss_mb: dict[str, float]
    pss_mb: dict[str, float]


@contextmanager
def running(subject: Subject, servers: Servers, folder: Path) -> Iterator[dict[str, int]]:
    """The subject's processes by name, ready to poll. Raises `DevStackError` with a log's last lines if one ends before its time."""
    processes = [Process(program) for program in subject.programs(servers, folder)]
    try:
        for process in processes:
            process.start()
        with Redis.from_url(servers.redis_url) as redis:
            wait_until(lambda: _all_run(processes) and _workers_ready(redis, subject), READY_WITHIN_S, f"{subject.name} to become ready")
        yield {process.program.name: process.pid for process in processes}
        _all_run(processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.stop()


def measure(subject: Subject, servers: Servers, parts: Mapping[str, int], folder: Path) -> Pass:
    """Has the subject poll its plants once. `parts`: every process that works for it, the servers included. Raises `Broken`."""
    with psycopg.connect(servers.database_url, autocommit=True) as connection, Redis.from_url(servers.redis_url) as redis:
        due_at = _make_due(connection, subject.plants)
        connection.execute(f"LISTEN {CHANNEL}")
        _wait_for(due_at - timedelta(seconds=0.2))
        wal, before, began = _wal(connection), Usage.of(parts), time.monotonic()
        seconds = _pass_s(subject, servers, connection, redis, due_at, folder)
        time.sleep(SETTLE_S)
        used, lasted = Usage.of(parts).since(before), time.monotonic() - began
        wal = _wal(connection) - wal
        transactions = 0 if subject.kind is Kind.CLAIMS else _check(connection, redis, subject, due_at)
    sizes = {name: memory_mb([pid]) for name, pid in parts.items()}
    return pass_of(subject, seconds, used, lasted, wal, transactions, sizes)


def pass_of(
    subject: Subject,
    seconds: float,
    used: Usage,
    lasted: float,
    wal_bytes: int,
    transactions: int,
    sizes_mb: Mapping[str, tuple[float, float]],
) -> Pass:
    """`seconds` from the first claim to the last commit; `used` in the `lasted` seconds around it; sizes are RSS and PSS."""
    cpu_ms = {name: 1000 * cpu_s / subject.plants for name, cpu_s in used.parts.items()}
    return Pass(
        polls=subject.plants,
        seconds=seconds,
        polls_per_s=(subject.plants - subject.burst) / seconds,
        cpu_ms=cpu_ms,
        cpu_ms_total=sum(cpu_ms.values()),
        wal_bytes=wal_bytes / subject.plants,
        polls_a_transaction=subject.plants / max(1, transactions),
        foreign_cores=used.foreign / lasted,
        stolen_cores=used.stolen / lasted,
        rss_mb={name: rss for name, (rss, _) in sizes_mb.items()},
        pss_mb={name: pss for name, (_, pss) in sizes_mb.items()},
    )


def wal_fsyncs(connection: psycopg.Connection[Any]) -> int:
    """Of the whole server since it began. A backend tells its own when it ends, so read it when the subject's have."""
    return _number(connection, "SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'")


def _pass_s(subject: Subject, servers: Servers, connection: psycopg.Connection[Any], redis: Redis, due_at: datetime, folder: Path) -> float:
    """Seconds from the first claim to the last commit, or what comes nearest to it."""
    match subject.kind:
        case Kind.SQL:
            _wait_for(due_at)
            return run_pgbench(servers.database_url, subject.plants, folder)
        case Kind.CLAIMS:
            ended = _all_queued(redis, subject.plants)
            return (ended - _instant(connection, "SELECT min(claimed_at) FROM plants WHERE done_attempt < attempt", {})).total_seconds()
        case Kind.SOLARINVEST:
            ended = _all_told(connection, subject.plants)
        case Kind.BULLMQ | Kind.HUEY_ORM:
            _all_logged(connection, subject.plants, due_at)
            # Taken by the peer just before its commit.
            ended = _instant(connection, "SELECT max(finished_at) FROM poll_logs WHERE claimed_at >= %(since)s", {"since": due_at})
    began = _instant(connection, "SELECT min(claimed_at) FROM poll_logs WHERE claimed_at >= %(since)s", {"since": due_at})
    return (ended - began).total_seconds()


def _all_run(processes: list[Process]) -> bool:
    for process in processes:
        if not process.running:
            log = tail(process.program.log)
            raise DevStackError(f"{process.program.name} ended with code {process.returncode}. Last lines of its log:\n{log}")
    return True


def _workers_ready(redis: Redis, subject: Subject) -> bool:
    if subject.kind in (Kind.SOLARINVEST, Kind.CLAIMS):
        return bool(redis.exists("epoch")) and sum(1 for _ in redis.scan_iter("worker:*")) == subject.workers
    return int(redis.scard(READY)) == subject.workers


def _make_due(connection: psycopg.Connection[Any], plants: int) -> datetime:
    """Tells the first plants to fall due at one instant a little ahead, leaves the tables tidy, and pays full-page images from here.

    That is in a later step of the recordings than anything before, so that every plant has a new sample. Done twice: the first time, for an
    instant far ahead, shows how long it takes here and now. Raises `Broken`.
    """
    began = datetime.now(UTC)
    _tell(connection, plants, began + FAR_AHEAD)
    ready_at = datetime.now(UTC) + 2 * (datetime.now(UTC) - began) + timedelta(seconds=PREPARED_WITHIN_S)
    due_at = max(ready_at, step_of(began) + STEP)
    _tell(connection, plants, due_at)
    if datetime.now(UTC) > due_at - timedelta(seconds=1):
        raise Broken("the machine is too busy to prepare a pass")
    return due_at


def _tell(connection: psycopg.Connection[Any], plants: int, due_at: datetime) -> None:
    connection.execute(_MAKE_DUE, {"due_at": due_at, "end": plant_name(plants)})
    connection.execute("VACUUM (ANALYZE) plants, metric_snapshots, alerts, poll_logs")
    connection.execute("CHECKPOINT")


def _wait_for(instant: datetime) -> None:
    time.sleep(max(0.0, (instant - datetime.now(UTC)).total_seconds()))


def _all_told(connection: psycopg.Connection[Any], plants: int) -> datetime:
    """When the commit was told that made the number of polled plants complete."""
    told: set[str] = set()
    for notification in connection.notifies(timeout=PASS_WITHIN_S):
        told.update(notification.payload.split(","))
        if len(told) >= plants:
            return datetime.now(UTC)
    raise Broken(f"{len(told)} of {plants} plants polled within {PASS_WITHIN_S:g} s")


def _all_logged(connection: psycopg.Connection[Any], plants: int, since: datetime) -> None:
    count = "SELECT count(*) FROM poll_logs WHERE claimed_at >= %(since)s"
    wait_until(lambda: _number(connection, count, {"since": since}) >= plants, PASS_WITHIN_S, "a PollLog a plant", every_seconds=0.2)


def _all_queued(redis: Redis, plants: int) -> datetime:
    def queued() -> bool:
        return sum(int(redis.llen(key)) for key in redis.scan_iter("huey.redis.*")) >= plants

    wait_until(queued, PASS_WITHIN_S, "a message a plant", every_seconds=0.01)
    return datetime.now(UTC)


def _check(connection: psycopg.Connection[Any], redis: Redis, subject: Subject, since: datetime) -> int:
    """How many transactions wrote the pass. Raises `Broken`."""
    row = connection.execute(
        "SELECT count(*), count(DISTINCT plant_id), count(*) FILTER (WHERE status = 'SUCCESS'), count(DISTINCT xmin::text)"
        " FROM poll_logs WHERE claimed_at >= %s AND job_type = 'POLL'",
        (since,),
    ).fetchone()
    assert row is not None
    logs, plants, successes, transactions = row
    if not logs == plants == successes == subject.plants:
        raise Broken(f"{subject.name}: {logs} PollLogs of {plants} plants, {successes} of them SUCCESS, for {subject.plants} polls")
    if is_open := _number(connection, "SELECT count(*) FROM plants WHERE done_attempt < attempt"):
        raise Broken(f"{subject.name}: {is_open} claims left open")
    days = _number(connection, _DAYS_WRITTEN, {"since": step_of(since)})
    if days != subject.plants:
        raise Broken(f"{subject.name}: {days} of {subject.plants} plants have a day with a sample of this pass")

    def nothing_left() -> bool:
        return not any(True for pattern in LEFT_OVER for _ in redis.scan_iter(pattern))

    wait_until(nothing_left, AT_REST_WITHIN_S, f"{subject.name}: locks and messages to be gone")
    return int(transactions)


def _wal(connection: psycopg.Connection[Any]) -> int:
    return _number(connection, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")


def _number(connection: psycopg.Connection[Any], statement: str, parameters: Mapping[str, object] | None = None) -> int:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return int(row[0])


def _instant(connection: psycopg.Connection[Any], statement: str, parameters: Mapping[str, object]) -> datetime:
    row = connection.execute(statement, parameters).fetchone()
    if row is None or not isinstance(row[0], datetime):
        raise Broken("no row says when the pass began or ended")
    return row[0]
