"""Where a worker's own CPU goes: `python -m benchmarks.profile`. One process, no server: rows and jobs are at hand.

Each run takes every plant once, in full batches, through the use case, the store, the metrics and Huey as a worker composes them; only
the connection to Postgres is another: it hands out rows and takes what is written. Printed is the least of all runs, part by part, so
that other work on the machine counts as little as it can. Instants are fixed: every run, on any day, judges the same.
"""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import process_time_ns
from typing import Any, TypeVar, cast
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import msgspec
from redis import Redis

from benchmarks.fleet import HISTORY_DAYS, MAKES, NAMESPACE, PLACES, SCENARIOS, plant_name
from controller.domain.alerts import merge_alerts
from controller.domain.outcome import Job, Outcome, Taken
from controller.domain.plant import (
    DAYS_READ,
    Alert,
    AlertType,
    Declaration,
    Integration,
    JobType,
    LiveState,
    PlantContext,
    Snapshot,
    Status,
    plant_id_for,
)
from controller.domain.schedule import local_date
from controller.logs import configure
from controller.metrics import Metrics, ProcessRole
from controller.polling.lanes import LANES, Lanes
from controller.polling.poll_plants import BatchReport, PollPlants
from controller.probes import Progress
from controller.queueing.huey import PollTasks
from controller.storage import queries
from controller.storage.database import Database
from controller.storage.store import PostgresStore
from controller.worker.batches import BATCH
from controller.worker.main import COLLECT_AFTER
from controller.worker.observing import Observed
from integrations.contract import Brand, Severity
from integrations.registry import ADAPTERS
from integrations.transport import FixtureTransport, default_fixtures

T = TypeVar("T")

FIRST_POLL = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
"""Noon, afternoon, evening and night in the fleet's four zones."""
INTERVAL = timedelta(minutes=10)
TTL_S = 1_200
PARTS = {
    "ask": "ask the vendor: recordings, parsing, normalising",
    "judge": "judge: believe, days, alerts, status, explanation",
    "codec": "decode what was read, encode what is written",
    "tell": "metrics and log line",
    "huey": "Huey sees it done (`huey.execute`)",
    "rest": "the batch around it",
}


class Split:
    """The process's CPU time by part: `to` ends one and begins the next."""

    def __init__(self) -> None:
        self.ns = dict.fromkeys(PARTS, 0)
        self.exchanges = 0
        self.begin()

    def begin(self) -> None:
        """What was before belongs to no part."""
        self._part, self._since = "rest", process_time_ns()

    def to(self, part: str) -> None:
        now = process_time_ns()
        self.ns[self._part] += now - self._since
        self._part, self._since = part, now

    def at(self, checkpoint: str) -> None:
        """Where the use case says that it is."""
        match checkpoint:
            case "before-exchange":
                self.exchanges += 1
            case "after-read":
                self.to("ask")
            case "before-close":
                self.to("judge")


class Rows:
    """Stands where `Database` does: what is read are the plants as JSON, what is written counts as stored."""

    def __init__(self, split: Split, contexts: Sequence[PlantContext]) -> None:
        self._split = split
        self._rows = {context.plant_id: (msgspec.json.encode(context),) for context in contexts}
        self._batch: list[UUID] = []

    def run(self, work: Callable[[Any], T]) -> T:
        self._split.to("codec")
        found = work(self)
        self._split.to("rest")
        return found

    def execute(self, statement: str, parameters: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        if statement == queries.WRITE:
            return iter([(msgspec.json.encode(self._batch),)])
        assert statement == queries.READ, "a poll reads and writes, and nothing else"
        self._batch = parameters["plant_ids"]
        return iter([self._rows[plant_id] for plant_id in self._batch])


class Held:
    """A lease that lasts."""

    def assert_held(self) -> None: ...


class Worker:
    """What a worker of each brand has in its process."""

    def __init__(self) -> None:
        self.transport = FixtureTransport(default_fixtures(), lambda: self.now)
        self.lanes = Lanes(LANES)
        self.now = FIRST_POLL
        self.tasks = {brand: PollTasks(brand, Redis()) for brand in Brand}
        self.observers = {
            brand: Observed(brand, Metrics(ProcessRole.WORKER, brand), Progress(), turn_bound_s=60, heartbeat_bound_s=60) for brand in Brand
        }

    def poll(self, contexts: Sequence[PlantContext]) -> tuple[Split, list[Outcome]]:
        """Every plant once, in batches of one brand. Where the CPU went, and what was found."""
        split = Split()
        rows = Rows(split, contexts)
        polls = PollPlants(
            PostgresStore(cast(Database, rows)), self.transport, ADAPTERS, lambda: self.now, _no_pause, split.at, lanes=self.lanes
        )
        batches = [(brand, batch) for brand in Brand for batch in _batches(contexts, brand)]
        outcomes: list[Outcome] = []
        for brand, batch in batches:
            split.begin()
            report = polls.run(batch, Held(), lambda: True)
            outcomes += self._told(brand, report, split)
        return split, outcomes

    def _told(self, brand: Brand, report: BatchReport, split: Split) -> list[Outcome]:
        split.to("tell")
        for entry in report.closed:
            self.observers[brand].closed(entry)
        split.to("huey")
        for entry in report.closed:
            self.tasks[brand].replay(entry.job, "SUCCESS")
        split.to("rest")
        return [entry.outcome for entry in report.closed]


def main() -> int:
    options = _options()
    with Path(os.devnull).open("w") as nowhere:
        configure("INFO", stream=nowhere)
        print_table(*profile(options.plants, options.runs))
    return 0


def profile(plants: int, runs: int) -> tuple[dict[str, float], float]:
    """Microseconds of CPU a poll by part and together, least of all runs, and the exchanges a poll makes."""
    worker = Worker()
    _, first = worker.poll([_seeded(number) for number in range(plants)])
    contexts = [_after(outcome) for outcome in first]
    worker.now = FIRST_POLL + INTERVAL
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    splits = [worker.poll(contexts)[0] for _ in range(runs)]
    parts = {part: min(split.ns[part] for split in splits) / plants / 1e3 for part in PARTS}
    parts["together"] = min(sum(split.ns.values()) for split in splits) / plants / 1e3
    return parts, splits[0].exchanges / plants


def print_table(parts: Mapping[str, float], exchanges: float) -> None:
    lines = [f"{exchanges:.2f} exchanges a poll", "", "| part | us a poll |", "|---|---|"]
    lines += [f"| {PARTS.get(part, part)} | {us:.1f} |" for part, us in parts.items()]
    sys.stdout.write("\n".join(lines) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--plants", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=14, help="the least of them is shown")
    return parser.parse_args()


def _seeded(number: int) -> PlantContext:
    """A plant as `fleet.seed` leaves it, and claimed."""
    brand, (zone, latitude, longitude) = list(Brand)[number % 4], PLACES[number // 4 % 4]
    make = MAKES[brand]
    vendor_id = make.id_format.format(make.first_id + number)
    plant_id = plant_id_for(NAMESPACE, brand, vendor_id)
    today = local_date(FIRST_POLL, ZoneInfo(zone))
    return PlantContext(
        plant_id=plant_id,
        declaration=Declaration(
            namespace=NAMESPACE,
            name=plant_name(number),
            uid=f"uid-{number}",
            generation=1,
            brand=brand,
            vendor_plant_id=vendor_id,
            timezone=zone,
            latitude=latitude + number % 40 / 10 - 2,
            longitude=longitude + number % 37 / 10 - 2,
            capacity_kwp=make.capacity_kwp,
            scenario=SCENARIOS[number // 16 % len(SCENARIOS)],
        ),
        live=LiveState(integration=Integration.ACTIVE, active_since=FIRST_POLL - timedelta(days=HISTORY_DAYS), status=Status.GREEN),
        attempt=1,
        claim_kind=JobType.POLL,
        claimed_at=FIRST_POLL,
        next_poll_at=FIRST_POLL + INTERVAL,
        alerts=(_alarm(plant_id),),
        days=tuple(_day(today - timedelta(days=back), zone, make.capacity_kwp * 5) for back in range(1, HISTORY_DAYS)),
    )


def _alarm(plant_id: UUID) -> Alert:
    opened_at = FIRST_POLL - timedelta(days=1)
    return Alert(
        id=uuid5(plant_id, "B1"),
        type=AlertType.MOCK_FAULT,
        severity=Severity.MEDIUM,
        vendor_alarm_code="B1",
        device_sn="SN-1",
        message="Grid voltage out of range",
        opened_at=opened_at,
        last_seen_at=opened_at + timedelta(hours=1),
    )


def _day(day: date, zone: str, energy_kwh: float) -> Snapshot:
    seen_at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return Snapshot(
        date=day,
        timezone=zone,
        today_energy_kwh=energy_kwh,
        peak_power_w=energy_kwh * 140,
        current_power_w=0.0,
        last_seen_at=seen_at,
        source_sampled_at=seen_at,
        sampled_energy_kwh=energy_kwh,
    )


def _after(outcome: Outcome) -> PlantContext:
    """The plant as the store has it after the outcome, claimed again an interval later."""
    before = outcome.before
    days = {day.date: day for day in (*before.days, *outcome.days)}
    return msgspec.structs.replace(
        before,
        live=outcome.live,
        version=before.version + 1,
        attempt=before.attempt + 1,
        done_attempt=before.attempt,
        claimed_at=FIRST_POLL + INTERVAL,
        next_poll_at=FIRST_POLL + 2 * INTERVAL,
        alerts=merge_alerts(before.alerts, outcome.alerts),
        days=tuple(days[day] for day in sorted(days, reverse=True)[:DAYS_READ]),
    )


def _batches(contexts: Sequence[PlantContext], brand: Brand) -> Iterator[list[Taken]]:
    taken = [Taken(_job(context)) for context in contexts if context.declaration.brand is brand]
    for first in range(0, len(taken), BATCH):
        yield taken[first : first + BATCH]


def _job(context: PlantContext) -> Job:
    return Job(context.plant_id, context.attempt, JobType.POLL, context.declaration.brand, TTL_S)


def _no_pause(_: float) -> None:
    raise AssertionError("nothing here is slow")


if __name__ == "__main__":
    sys.exit(main())
