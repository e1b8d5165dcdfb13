"""From passes to medians: the JSON and the tables. Called by `bench`."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.machine import model
from benchmarks.passes import Pass
from benchmarks.subjects import Subject

PEER = "bullmq-prisma"
Figures = dict[str, float]


class Result(NamedTuple):
    """One subject over all rounds."""

    name: str
    what: str
    plants: int
    rounds: int
    polls_per_s: Figures
    first_pass_polls_per_s: Figures
    cpu_ms: Figures
    cpu_ms_total: Figures
    wal_fsyncs: Figures
    """A poll, over both passes and what prepares them."""
    wal_bytes: Figures
    polls_a_transaction: Figures
    rss_mb: Figures
    pss_mb: Figures
    foreign_cores: Figures
    stolen_cores: Figures


def result_of(subject: Subject, rounds: Sequence[tuple[Pass, Pass, float]]) -> Result:
    """Medians with the least and the greatest of all rounds. Parts are medians alone."""
    steady = [second for _, second, _ in rounds]

    def spread(value: Callable[[Pass], float]) -> Figures:
        return _spread([value(each) for each in steady])

    def parts(value: Callable[[Pass], dict[str, float]]) -> Figures:
        return {name: round(median(value(each)[name] for each in steady), 4) for name in value(steady[0])}

    return Result(
        name=subject.name,
        what=subject.kind.value,
        plants=subject.plants,
        rounds=len(rounds),
        polls_per_s=spread(lambda each: each.polls_per_s),
        first_pass_polls_per_s=_spread([first.polls_per_s for first, _, _ in rounds]),
        cpu_ms=parts(lambda each: each.cpu_ms),
        cpu_ms_total=spread(lambda each: each.cpu_ms_total),
        wal_fsyncs=_spread([fsyncs for _, _, fsyncs in rounds]),
        wal_bytes=spread(lambda each: each.wal_bytes),
        polls_a_transaction=spread(lambda each: each.polls_a_transaction),
        rss_mb=parts(lambda each: each.rss_mb),
        pss_mb=parts(lambda each: each.pss_mb),
        foreign_cores=spread(lambda each: each.foreign_cores),
        stolen_cores=spread(lambda each: each.stolen_cores),
    )


def ratio_to_peer(results: Sequence[Result]) -> float | None:
    """How many times the polls of the classic design the product does, by medians. None where one of them did not run."""
    rates = {result.name: result.polls_per_s["median"] for result in results}
    return round(rates["solarinvest"] / rates[PEER], 1) if {"solarinvest", PEER} <= rates.keys() else None


def write(results: Sequence[Result], folder: Path, *, command: str, plants: int, rounds: int) -> None:
    """The results of `command` as `<instant>.json` and as `latest.json`."""
    now = datetime.now(UTC)
    document: dict[str, Any] = {
        "at": now.isoformat(timespec="seconds"),
        "command": command,
        "plants": plants,
        "rounds": rounds,
        "machine": {"cores": os.cpu_count(), "processor": model(), "kernel": platform.release(), "python": platform.python_version()},
        "ratio_to_peer": ratio_to_peer(results),
        "peer": PEER,
        "subjects": {result.name: {key: value for key, value in result._asdict().items() if key != "name"} for result in results},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name in (f"{now:%Y%m%dT%H%M%SZ}", "latest"):
        (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


def show(results: Sequence[Result]) -> str:
    """The tables of docs/performance.md. Rates as median (least to greatest), the rest as medians."""
    lines = [
        "| subject | plants | polls/s | first pass | CPU ms/poll | fsyncs/poll | WAL bytes/poll | polls a commit | others' cores |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        cells = (
            f"`{result.name}`",
            f"{result.plants:,}",
            _text(result.polls_per_s),
            f"{result.first_pass_polls_per_s['median']:,.0f}",
            f"{result.cpu_ms_total['median']:.3f}",
            f"{result.wal_fsyncs['median']:.4f}",
            f"{result.wal_bytes['median']:,.0f}",
            f"{result.polls_a_transaction['median']:,.0f}",
            f"{result.foreign_cores['median']:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| subject | CPU ms a poll by process | memory (PSS, MB) |", "|---|---|---|"]
    lines += [f"| `{result.name}` | {_parts(result.cpu_ms, '.3f')} | {_parts(result.pss_mb, '.0f')} |" for result in results]
    ratio = ratio_to_peer(results)
    return "\n".join((*lines, "", f"`solarinvest` to `{PEER}`: {'not measured' if ratio is None else f'{ratio:g} times'}"))


def _spread(values: Sequence[float]) -> Figures:
    return {"median": round(median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


def _text(figures: Figures) -> str:
    return f"{figures['median']:,.0f} ({figures['min']:,.0f} to {figures['max']:,.0f})"


def _parts(figures: Figures, form: str) -> str:
    return ", ".join(f"{name} {value:{form}}" for name, value in figures.items())
