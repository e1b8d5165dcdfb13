"""`make bench-scale`: N Plants on a real API server, one number of them after the other. Writes benchmarks/results/scale.json, the
table and the picture of docs/performance.md.

Each run starts etcd and kube-apiserver, Postgres, Valkey, the operator under its own account and a worker a brand, declares N Plants,
waits until all have been polled and show it, and observes. Exit code 1 where a plant missed a slot or was polled twice in one.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.scale.report import load, plot, save, table
from benchmarks.scale.run import Plan, Run, run
from benchmarks.scale.stack import Stack
from hack.devstack.program import DevStackError
from hack.devstack.waiting import WaitTimeoutError

RESULTS = Path(__file__).resolve().parents[1] / "results" / "scale.json"
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "scale.svg"
FILL_S, FILL_S_A_PLANT = 300.0, 0.1
"""Bounds of the time until all are level, several times what a machine takes that has nothing else to do."""


def main() -> int:
    options = _options()
    console = Console()
    runs = load(options.output)
    for plants in options.plants:
        folder = Path(tempfile.mkdtemp(prefix="solarinvest-scale-"))
        plan = Plan(plants, options.interval, options.observe, options.resync, FILL_S + FILL_S_A_PLANT * plants)
        try:
            found = _run(plan, folder, console)
        except (DevStackError, WaitTimeoutError) as error:
            console.print(f"BROKEN: {error}. Logs: {folder}", soft_wrap=True, markup=False)
            return 1
        runs = sorted([*(each for each in runs if each.plants != plants), found], key=lambda each: each.plants)
        save(runs, options.output)
        if not found.is_sound:
            console.print(
                f"BROKEN: of {found.slots} slots {found.missed} missed, {found.doubled} polled twice. Logs: {folder}", soft_wrap=True
            )
            return 1
        shutil.rmtree(folder)
    options.picture.write_text(plot(runs))
    sys.stdout.write(table(runs) + "\n")
    return 0


def _run(plan: Plan, folder: Path, console: Console) -> Run:
    began = time.monotonic()

    def say(what: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {plan.plants:,} plants: {what}", soft_wrap=True, markup=False)

    with Stack(folder, plan.resync_s) as stack:
        say("the system runs")
        return run(plan, stack, say)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--plants", type=int, nargs="*", default=[1_000, 10_000], help="one run each (1000 10000); none: table and picture anew"
    )
    parser.add_argument("--interval", type=int, default=600, help="seconds between two polls of a plant (600)")
    parser.add_argument("--observe", type=float, default=720, help="seconds to observe: an interval at least (720)")
    parser.add_argument("--resync", type=float, default=60, help="the operator's RESYNC_SECONDS (60)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON; other numbers of Plants that it has are kept")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="the plot of cost against N")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
