"""`make bench`: the product and its peers on one machine, in turn, round by round. Writes benchmarks/results/*.json and prints a table.

Each subject gets a fresh copy of one seeded database and an empty Redis, is started, and polls its plants twice: the first pass meets a
new process and rows that were never polled, the second is what goes on all day. Each finds later samples than the one before
(recordings.py). After each pass: exactly one PollLog a plant, the day of each plant written, no claim open, no lock, no message. Exit code
1 where that is missed.
"""

import argparse
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from redis import Redis
from rich.console import Console

from benchmarks.fleet import seed
from benchmarks.passes import Broken, Pass, measure, running, wal_fsyncs
from benchmarks.recordings import write_recordings
from benchmarks.report import Result, result_of, show, write
from benchmarks.subjects import Servers, Subject, subjects
from controller.storage.migrate import upgrade
from hack.devstack.postgres import Postgres
from hack.devstack.program import DevStackError
from hack.devstack.valkey import Valkey
from hack.devstack.waiting import WaitTimeoutError

TEMPLATE, DATABASE = "bench_template", "bench"
LIMITED_PLANTS = 240
"""Twice what four queues of 30 a minute admit: the first half at once, the second as the minute allows."""


def main() -> int:
    options = _options()
    console = Console()
    chosen = [
        subject
        for subject in subjects(options.plants, options.peer_plants, 0 if options.quick else LIMITED_PLANTS)
        if not options.subjects or subject.name in options.subjects
    ]
    folder = Path(tempfile.mkdtemp(prefix="solarinvest-bench-"))
    try:
        results = _run(chosen, options.rounds, options.plants, folder, console)
    except (Broken, DevStackError, WaitTimeoutError) as error:
        console.print(f"BROKEN: {error}. Logs: {folder}", soft_wrap=True, markup=False)
        return 1
    shutil.rmtree(folder)
    command = f"python -m benchmarks --plants {options.plants} --peer-plants {options.peer_plants} --rounds {options.rounds}"
    write(results, options.output, command=command, plants=options.plants, rounds=options.rounds)
    sys.stdout.write(show(results) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer plants and rounds, and no limited peer: under three minutes")
    parser.add_argument("--plants", type=int, help="plants of the product and of the limit (20000; quick: 4000)")
    parser.add_argument("--peer-plants", type=int, help="plants of the unlimited peers (1000; quick: 400)")
    parser.add_argument("--rounds", type=int, help="5; quick: 2")
    parser.add_argument("--subjects", nargs="*", help="only these")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", help="folder for the JSON")
    options = parser.parse_args()
    options.plants = options.plants or (4_000 if options.quick else 20_000)
    options.peer_plants = min(options.plants, options.peer_plants or (400 if options.quick else 1_000))
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def _run(chosen: list[Subject], rounds: int, plants: int, folder: Path, console: Console) -> list[Result]:
    passes: dict[str, list[tuple[Pass, Pass, float]]] = {subject.name: [] for subject in chosen}
    with Postgres(folder / "postgres") as postgres, Valkey(folder / "valkey") as valkey:
        _seed_template(postgres, plants)
        for number in range(1, rounds + 1):
            for subject in chosen:
                try:
                    found = _both_passes(subject, postgres, valkey, folder)
                except FileNotFoundError as error:
                    console.print(f"{subject.name}: {error}")
                    continue
                passes[subject.name].append(found)
                _, steady, _ = found
                console.print(
                    f"round {number} {subject.name:22} {steady.polls_per_s:8.1f} polls/s {steady.cpu_ms_total:7.3f} CPU ms a poll"
                    f" (others {steady.foreign_cores:.2f} cores, stolen {steady.stolen_cores:.2f})",
                    soft_wrap=True,
                )
    return [result_of(subject, passes[subject.name]) for subject in chosen if passes[subject.name]]


def _seed_template(postgres: Postgres, plants: int) -> None:
    url = postgres.create_database(TEMPLATE)
    upgrade(url)
    with psycopg.connect(url) as connection:
        seed(connection, plants, datetime.now(UTC))
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE)")


def _both_passes(subject: Subject, postgres: Postgres, valkey: Valkey, folder: Path) -> tuple[Pass, Pass, float]:
    """First pass, steady pass, and WAL fsyncs a poll over both."""
    logs = folder / subject.name
    logs.mkdir(exist_ok=True)
    postgres.drop_database(DATABASE)
    servers = Servers(postgres.create_database(DATABASE, TEMPLATE), valkey.url, logs / "recordings")
    write_recordings(servers.recordings, datetime.now(UTC))
    with Redis.from_url(valkey.url) as redis:
        redis.flushall()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        before = wal_fsyncs(connection)
        with running(subject, servers, logs) as processes:
            parts = {**processes, "postgres": postgres.pid, "valkey": valkey.pid}
            first = measure(subject, servers, parts, logs)
            steady = measure(subject, servers, parts, logs) if subject.passes == 2 else first
        return first, steady, (wal_fsyncs(connection) - before) / (subject.passes * subject.plants)


if __name__ == "__main__":
    sys.exit(main())
