"""`make demo-fleet N=1000`: that many Plants at one-minute intervals on the running demo, and what their polls' punctuality was.

Needs the environment of `.demo/env`. Applies the Plants, waits until all are GREEN, watches a few whole minutes, prints the lags and
removes the Plants again. Exit code 1 if a plant missed one of its slots.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from controller.domain.schedule import next_slot
from hack.devstack.waiting import wait_until

LABEL = "solarinvest.info/fleet"
INTERVAL_S = 60
GREEN_WITHIN_S = 300
ZONES = ("America/Sao_Paulo", "Europe/Lisbon", "Asia/Kolkata", "Pacific/Auckland")
VENDOR_IDS = {
    "SOLIS": lambda number: str(1298491919448100000 + number),
    "HUAWEI": lambda number: f"NE={33560000 + number}",
    "GOODWE": lambda number: f"11111111-2222-4333-8444-{555555560000 + number}",
    "DELE": lambda number: str(61100000 + number),
}
Poll = tuple[UUID, datetime, datetime]
"""Plant, start, finish of one successful poll."""


def plants(count: int) -> Iterator[dict[str, Any]]:
    """Manifests of `count` Plants, spread over brands and zones."""
    for number in range(count):
        brand = list(VENDOR_IDS)[number % len(VENDOR_IDS)]
        yield {
            "apiVersion": "monitor.solarinvest.info/v1alpha1",
            "kind": "Plant",
            "metadata": {"name": f"fleet-{number:05}", "namespace": "default", "labels": {LABEL: "yes"}},
            "spec": {
                "brand": brand,
                "vendorPlantId": VENDOR_IDS[brand](number),
                "timezone": ZONES[number % len(ZONES)],
                "pollInterval": "1m",
            },
        }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--plants", type=int, default=1000)
    arguments.add_argument("--minutes", type=int, default=3)
    options = arguments.parse_args()
    console = Console()
    try:
        began = time.monotonic()
        _kubectl(
            "apply",
            "--server-side",
            "-f",
            "-",
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(plants(options.plants))}),
        )
        console.print(f"{options.plants} Plants applied in {time.monotonic() - began:.1f} s")
        wait_until(lambda: _green() >= options.plants, GREEN_WITHIN_S, "all Plants GREEN")
        console.print(f"all GREEN in Kubernetes after {time.monotonic() - began:.1f} s")
        first = datetime.now(UTC)
        last = first + timedelta(minutes=options.minutes)
        # Time itself is what is measured here: whole minutes of it, and a few seconds for the last slot's polls to be stored.
        wait_until(lambda: datetime.now(UTC) > last + timedelta(seconds=10), options.minutes * 60 + 30, "the minutes to pass")
        return _report(console, _polls(first, last), options.plants, first, last)
    finally:
        _kubectl("delete", "plants", "-l", f"{LABEL}=yes", "--wait=false")


def _report(console: Console, polls: list[Poll], count: int, first: datetime, last: datetime) -> int:
    """Prints how late each slot of the phase grid within first..last was polled."""
    started: dict[UUID, list[datetime]] = {}
    for plant_id, start, _ in polls:
        started.setdefault(plant_id, []).append(start)
    lags: list[float] = []
    missed = count - len(started)
    for plant_id, starts in started.items():
        slot = next_slot(plant_id, INTERVAL_S, first)
        while slot < last - timedelta(seconds=INTERVAL_S):
            end = slot + timedelta(seconds=INTERVAL_S)
            within = [start for start in starts if slot <= start < end]
            missed += not within
            lags += [(min(within) - slot).total_seconds()] if within else []
            slot = end
    lags.sort()
    table = Table(title=f"{count} plants, a poll a minute each", show_header=False)
    table.add_row("slots polled in their minute", f"{len(lags)} of {len(lags) + missed}")
    for name, share in (("p50", 0.50), ("p99", 0.99), ("max", 1.0)):
        table.add_row(f"start after slot, {name}", f"{lags[min(len(lags) - 1, int(share * len(lags)))]:.2f} s")
    durations = sorted((finish - start).total_seconds() for _, start, finish in polls)
    table.add_row("exchanges of a poll, p50", f"{durations[len(durations) // 2] * 1000:.1f} ms")
    console.print(table)
    return 1 if missed else 0


def _polls(first: datetime, last: datetime) -> list[Poll]:
    with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as connection:
        return connection.execute(
            "SELECT l.plant_id, l.started_at, l.finished_at FROM poll_logs l JOIN plants p USING (plant_id)"
            " WHERE p.name LIKE 'fleet-%%' AND p.deleted_at IS NULL AND l.job_type = 'POLL' AND l.status = 'SUCCESS'"
            " AND l.claimed_at >= %s AND l.claimed_at < %s",
            (first, last + timedelta(seconds=10)),
        ).fetchall()


def _green() -> int:
    return _kubectl("get", "plants", "-l", f"{LABEL}=yes", "--field-selector", "status.health=GREEN", "--no-headers", "-o", "name").count(
        "\n"
    )


def _kubectl(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(("kubectl", *arguments), input=stdin, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise SystemExit(f"kubectl {arguments[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
