"""What Postgres pays for a poll, statement by statement: `python -m benchmarks.statements`.

One process polls a fleet (fleet.py) as a worker does, in batches of 250, against an embedded Postgres; CPU is that of its one backend, by
the kernel's clock of nanoseconds. Passes follow each other, and the least of each figure counts: other work on the machine adds, it never
takes away. Nothing here depends on how fast Redis, the scheduler's loop or another process is.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from uuid import UUID

import psycopg

from benchmarks.fleet import seed
from controller.domain.outcome import Job, Outcome, Taken
from controller.domain.plant import PlantContext
from controller.logs import configure
from controller.polling.plant_cache import PlantCache
from controller.polling.poll_plants import PollPlants
from controller.polling.ports import PlantStore
from controller.storage.database import Database
from controller.storage.migrate import upgrade
from controller.storage.store import PostgresStore
from hack.devstack.postgres import Postgres
from integrations.contract import Brand
from integrations.registry import ADAPTERS
from integrations.transport import FixtureTransport, default_fixtures

T = TypeVar("T")

CLAIMED_AT_ONCE = 500
"""As the scheduler claims."""
BATCH = 250
"""As a worker takes."""
BETWEEN_PASSES = timedelta(minutes=10)
"""By the clock that all are given: each pass brings new samples, and with them changes of the day, as an interval does."""
STATEMENTS = ("claim", "read", "reread", "close")

_MADE = """
SELECT coalesce(sum(n_tup_upd), 0)::bigint, coalesce(sum(n_tup_hot_upd), 0)::bigint FROM pg_stat_user_tables WHERE relname = ANY(%s)
"""


class Cost(NamedTuple):
    """What one statement took, summed over a pass."""

    backend_us: float = 0.0
    """CPU of the backend."""
    client_us: float = 0.0
    """CPU of the calling thread: sending, receiving, decoding."""
    wal_bytes: float = 0.0
    """Of the whole server; nobody else writes meanwhile."""
    updates: float = 0
    """Rows of plants and metric_snapshots that were updated."""
    hot_updates: float = 0
    """Those of them that wrote no index entry."""

    def plus(self, other: Self) -> Self:
        return type(self)(*(a + b for a, b in zip(self, other, strict=True)))


class Meter:
    """Costs by statement. One connection of the pool is asked for, so that its backend is the same all along."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._watcher = psycopg.connect(url, autocommit=True)
        self._schedstat = Path("/proc", str(_value(database, "SELECT pg_backend_pid()")), "schedstat")
        self.costs: dict[str, Cost] = {}

    def close(self) -> None:
        self._watcher.close()

    def measure(self, statement: str, work: Callable[[], T]) -> T:
        before, updates_before, began = self._now(), self._updates(), time.thread_time()
        backend_before = self._backend_us()
        found = work()
        spent = self._backend_us() - backend_before, (time.thread_time() - began) * 1e6
        updated, hot = (a - b for a, b in zip(self._updates(), updates_before, strict=True))
        cost = Cost(*spent, self._now() - before, updated, hot)
        self.costs[statement] = self.costs.get(statement, Cost()).plus(cost)
        return found

    def _backend_us(self) -> float:
        return int(self._schedstat.read_text().split()[0]) / 1000

    def _now(self) -> int:
        return int(_first(self._watcher, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")[0])

    def _updates(self) -> tuple[int, int]:
        # What a backend has counted it tells once a second, unless it is told to.
        self._database.run(lambda connection: connection.execute("SELECT pg_stat_force_next_flush()"))
        updated, hot = _first(self._watcher, _MADE, [["plants", "metric_snapshots"]])
        return int(updated), int(hot)


class MeteredStore:
    """A store whose statements of polling are measured. Implements `polling.ports.RereadStore`."""

    def __init__(self, store: PostgresStore, meter: Meter) -> None:
        self._store, self._meter = store, meter

    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]:
        return self._meter.measure("read", lambda: self._store.read(plant_ids))

    def reread(self, known: Collection[PlantContext]) -> dict[UUID, PlantContext]:
        return self._meter.measure("reread", lambda: self._store.reread(known))

    def write(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        return self._meter.measure("close", lambda: self._store.write(outcomes))


class Clock:
    """Now, and `ahead` of it."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Held:
    """A lease that nobody takes."""

    def assert_held(self) -> None: ...


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statements", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--plants", type=int, default=8_000, help="8000")
    parser.add_argument("--passes", type=int, default=5, help="of which the first, on rows that were never polled, does not count (5)")
    parser.add_argument("--forgetful", action="store_true", help="a worker that remembers no plant: what one more than it can keep costs")
    options = parser.parse_args()
    configure("ERROR", ())
    with tempfile.TemporaryDirectory(prefix="solarinvest-statements-") as folder, Postgres(Path(folder) / "postgres") as postgres:
        url = postgres.create_database("statements")
        upgrade(url)
        with psycopg.connect(url) as connection:
            seed(connection, options.plants, datetime.now(UTC))
        database = Database(url, "solarinvest-worker", max_connections=1)
        try:
            passes = _passes(database, url, options.passes, options.forgetful)
        finally:
            database.close()
    sys.stdout.write(_table(passes[1:] or passes, options.plants))
    return 0


def _passes(database: Database, url: str, count: int, forgetful: bool) -> list[dict[str, Cost]]:
    store, meter = PostgresStore(database), Meter(database, url)
    metered = MeteredStore(store, meter)
    plants: PlantStore = metered if forgetful else PlantCache(metered)
    clock = Clock()
    polls = PollPlants(plants, FixtureTransport(default_fixtures(), clock), ADAPTERS, clock, time.sleep)
    found = []
    try:
        for number in range(count):
            clock.ahead = number * BETWEEN_PASSES
            _make_due(url, clock())
            meter.costs = {}
            closed = _poll_all(store, meter, polls, clock)
            sys.stderr.write(f"pass {number}: {closed} polls\n")
            found.append(meter.costs)
    finally:
        meter.close()
    return found


def _make_due(url: str, now: datetime) -> None:
    """All plants due, and pages as maintenance leaves them. Full-page images are paid before the pass: they depend on checkpoints."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE plants SET next_poll_at = %s", [now])
        connection.execute("VACUUM (ANALYZE) plants, metric_snapshots, alerts, poll_logs")


def _poll_all(store: PostgresStore, meter: Meter, polls: PollPlants, clock: Clock) -> int:
    jobs: dict[Brand, list[Job]] = {brand: [] for brand in Brand}
    while claimed := meter.measure("claim", lambda: store.claim_polls(clock(), CLAIMED_AT_ONCE)):
        for job in claimed:
            jobs[job.brand].append(job)
    closed = 0
    for mine in jobs.values():
        for start in range(0, len(mine), BATCH):
            batch = [Taken(job) for job in mine[start : start + BATCH]]
            closed += len(polls.run(batch, Held(), lambda: True).closed)
    return closed


def _table(passes: list[dict[str, Cost]], plants: int) -> str:
    """Per plant, the least of the passes; WAL and HOT shares are the last pass'."""
    lines = [f"{'':8} backend us  client us  WAL bytes  HOT updates"]
    made = [name for name in STATEMENTS if all(name in costs for costs in passes)]
    for name in made:
        costs = [costs[name] for costs in passes]
        last = costs[-1]
        backend, client = (min(column) / plants for column in ([c.backend_us for c in costs], [c.client_us for c in costs]))
        hot = f"{last.hot_updates / last.updates:.1%} of {last.updates:.0f}" if last.updates else "-"
        lines.append(f"{name:8} {backend:10.1f} {client:10.1f} {last.wal_bytes / plants:10.0f}  {hot}")
    total = [min(sum(costs[name][column] for name in made) for costs in passes) / plants for column in range(3)]
    lines.append(f"{'together':8} {total[0]:10.1f} {total[1]:10.1f} {total[2]:10.0f}")
    return "\n".join(lines) + "\n"


def _first(connection: psycopg.Connection[Any], statement: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row


def _value(database: Database, statement: str) -> Any:
    return database.run(lambda connection: _first(connection, statement)[0])


if __name__ == "__main__":
    sys.exit(main())
