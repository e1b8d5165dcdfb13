"""One simulated month of a fleet: does it stay as fast, and do its tables stay as small? Exit code 1 where not.

`python -m benchmarks.soak` (`make soak`). The clock is virtual and jumps, everything else is real: Postgres with its own autovacuum, the
product's store, scheduler, use case and maintenance. A simulated day takes some twenty seconds, so that autovacuum, which looks once a
second here, comes some twenty times a day where production's comes every minute or two; and on a busy machine it misses hours. So the
tables that are updated are vacuumed once a simulated hour besides: still far less often than in production. Commits do not wait for the
disk: that changes no row, and a month of them would measure the disk.
"""

import argparse
import gc
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from benchmarks.machine import Usage
from benchmarks.soak import sizes
from benchmarks.soak.month import Broken, Month
from benchmarks.soak.report import Day, show, verdict, write
from controller.logs import configure
from controller.storage.database import Database
from controller.storage.migrate import upgrade
from controller.storage.store import PostgresStore
from hack.devstack.postgres import Postgres
from hack.devstack.program import DevStackError

START = datetime(2031, 3, 10, tzinfo=UTC)
"""Midnight UTC; Lisbon's clocks go forward within the month, Auckland's back."""
RESULT = Path(__file__).resolve().parents[1] / "results" / "soak.json"
_VACUUM = "VACUUM (SKIP_LOCKED) plants, metric_snapshots, alerts"
_SERVER = ("autovacuum_naptime = '1s'", "synchronous_commit = off")


def main() -> int:
    options = _options()
    configure("CRITICAL")
    # As workers do: a batch's objects die by counting.
    gc.set_threshold(100_000)
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="solarinvest-soak-"))
    try:
        with Postgres(folder / "postgres") as postgres:
            days = _run(postgres, options, console)
    except (Broken, DevStackError) as error:
        console.print(f"BROKEN: {error}. Logs: {folder}", soft_wrap=True, markup=False)
        return 1
    shutil.rmtree(folder)
    wrong = verdict(days, options.keep_days)
    given = {"plants": options.plants, "simulated_days": options.days, "step_s": options.step, "poll_log_days": options.keep_days}
    command = (
        f"python -m benchmarks.soak --plants {options.plants} --days {options.days} --step {options.step} --keep-days {options.keep_days}"
    )
    write(days, options.output, command=command, plants=options.plants, options={**given, "alter": options.alter}, wrong=wrong)
    sys.stdout.write(show(days, options.plants) + "\n")
    for line in wrong:
        sys.stdout.write(f"WRONG: {line}\n")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plants", type=int, default=200)
    parser.add_argument("--days", type=int, default=30, help="simulated days, two at least (30)")
    parser.add_argument("--step", type=int, default=300, help="seconds by which the clock jumps (300); a divisor of a day")
    parser.add_argument(
        "--keep-days", type=int, default=7, help="retention of poll logs, so that partitions are dropped within the month (7)"
    )
    parser.add_argument("--alter", action="append", default=[], metavar="SQL", help="run before the month, to compare storage parameters")
    parser.add_argument("--output", type=Path, default=RESULT, help="file for the JSON")
    options = parser.parse_args()
    if options.days < 2 or 86_400 % options.step:
        parser.error("two days at least, and a step that divides a day")
    return options


def _run(postgres: Postgres, options: argparse.Namespace, console: Console) -> list[Day]:
    upgrade(postgres.url)
    store = PostgresStore(Database(postgres.url, "solarinvest-soak", max_connections=2))
    step = timedelta(seconds=options.step)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        month = Month(store, options.plants, START, step, options.keep_days, lambda: _vacuum(connection))
        _prepare(connection, options.alter)
        month.begin()
        days = []
        for number in range(1, options.days + 1):
            days.append(_day(month, number, postgres.pid, connection))
            _tell(days[-1], console)
    return days


def _prepare(connection: psycopg.Connection[Any], statements: list[str]) -> None:
    for setting in _SERVER:
        connection.execute(f"ALTER SYSTEM SET {setting}".encode())
    connection.execute("SELECT pg_reload_conf()")
    for statement in statements:
        connection.execute(statement.encode())


def _vacuum(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_VACUUM)


def _day(month: Month, number: int, postgres_pid: int, connection: psycopg.Connection[Any]) -> Day:
    """Raises `Broken`, also where a claim of the day has not exactly one PollLog."""
    parts = {"postgres": postgres_pid}
    before, began, since = Usage.of(parts), time.monotonic(), month.now
    counts = month.day(START + timedelta(days=number))
    used, seconds = Usage.of(parts).since(before), time.monotonic() - began
    logs = sizes.number(connection, "SELECT count(*) FROM poll_logs WHERE claimed_at >= %s", (since,))
    if logs != counts.jobs:
        raise Broken(f"day {number}: {logs} PollLogs of {counts.jobs} jobs")
    if is_open := sizes.number(connection, "SELECT count(*) FROM plants WHERE done_attempt < attempt"):
        raise Broken(f"day {number}: {is_open} claims left open")
    return Day(
        number=number,
        counts=counts,
        seconds=seconds,
        own_cpu_s=used.own,
        postgres_cpu_s=used.parts["postgres"],
        foreign_cores=used.foreign / seconds,
        partitions=sizes.partitions(connection),
        tables=sizes.tables(connection),
    )


def _tell(day: Day, console: Console) -> None:
    plants = day.tables["plants"]
    console.print(
        f"day {day.number:2} {day.counts.polls:7} polls {day.polls_per_s:7.0f}/s {day.polls_per_cpu_s:6.0f} a CPU second"
        f" (others {day.foreign_cores:.2f} cores), plants {plants.bytes_a_row:,.0f} bytes a row, {plants.dead} dead,"
        f" {plants.vacuums} vacuums, {day.partitions} partitions",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
