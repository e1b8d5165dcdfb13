"""Runs as JSON, as the table of docs/performance.md, and as a picture of cost against N. Called by `bench-scale`."""

import json
import math
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.machine import model
from benchmarks.scale.run import Run

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 420, 70, 50, 30, 170
COLOURS = ("#0b6e99", "#d9730d", "#4d6461", "#ad1a72", "#0f7b6c", "#6940a5")


def load(path: Path) -> list[Run]:
    """The runs of a former call, none where there is no file."""
    return msgspec.convert(json.loads(path.read_text())["runs"], list[Run]) if path.exists() else []


def save(runs: Sequence[Run], path: Path) -> None:
    machine = {"cores": os.cpu_count(), "processor": model(), "kernel": platform.release(), "python": platform.python_version()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "runs": msgspec.to_builtins(runs)}, indent=2) + "\n")


def table(runs: Sequence[Run]) -> str:
    """A column a run."""
    head = ["| | " + " | ".join(f"{run.plants:,} plants" for run in runs) + " |", "|---" * (len(runs) + 1) + "|"]
    return "\n".join([*head, *(f"| {name} | " + " | ".join(map(value, runs)) + " |" for name, value in _ROWS)])


def _lags(figures: dict[str, float]) -> str:
    return f"{figures['p50']:.2f}, {figures['p99']:.2f}, {figures['max']:.2f} s"


def _workers(figures: dict[str, float]) -> float:
    return sum(value for name, value in figures.items() if name.startswith("worker-"))


def _part(name: str) -> tuple[str, Callable[[Run], str]]:
    def text(run: Run) -> str:
        if name == "workers":
            return f"{_workers(run.cores):.3f} cores, {_workers(run.memory_mb):.0f} MB"
        return f"{run.cores[name]:.3f} cores, {run.memory_mb[name]:.0f} MB"

    return name, text


def _sizes(run: Run) -> str:
    names = ("postgres", "plants", "metric_snapshots", "etcd")
    return ", ".join(f"{run.sizes_mb[name]:.0f}" for name in names) + f", {run.sizes_mb['valkey_peak']:.1f} MB"


def _accepted(run: Run) -> str:
    reached = (run.accept_s.get(name) for name in ("created", "accepted", "polled", "mirrored", "level"))
    return ", ".join("-" if seconds is None else f"{seconds:.0f}" for seconds in reached) + " s"


def _restarted(run: Run) -> str:
    return f"{run.restart_s['first_claim']:.1f}, {run.restart_s['resync']:.1f} s"


_ROWS: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("all created, accepted, polled, shown; mirror caught up", _accepted),
    ("observed", lambda run: f"{run.observed_s:,.0f} s, {run.slots:,} slots"),
    ("slots missed, polled in vain, polled twice", lambda run: f"{run.missed}, {run.failed}, {run.doubled}"),
    ("claim after slot: p50, p99, max", lambda run: _lags(run.schedule_lag_s)),
    ("status after poll: p50, p99, max", lambda run: _lags(run.mirror_lag_s)),
    ("polls/s, status patches/s", lambda run: f"{run.polls_per_s:.1f}, {run.patches_per_s:.1f}"),
    *map(_part, ("operator", "kube-apiserver", "etcd", "postgres", "valkey", "workers")),
    ("all together", lambda run: f"{run.cores_total:.2f} cores ({1000 * run.cores_total / max(run.polls_per_s, 1e-9):.1f} ms a poll)"),
    ("others on the machine, stolen", lambda run: f"{run.foreign_cores:.2f}, {run.stolen_cores:.2f} cores"),
    ("operator's greatest resident set", lambda run: f"{run.operator_peak_mb:.0f} MB"),
    ("a resync", lambda run: f"{run.resync_s:.1f} s"),
    ("operator killed: to its first claim, to its first resync", _restarted),
    ("Postgres, its plants, its days, etcd, Valkey", _sizes),
)


class _Curve(NamedTuple):
    name: str
    value: Callable[[Run], float]


_CURVES = (
    _Curve("all together, cores", lambda run: run.cores_total),
    _Curve("kube-apiserver, cores", lambda run: run.cores["kube-apiserver"] + run.cores["etcd"]),
    _Curve("operator, cores", lambda run: run.cores["operator"]),
    _Curve("Postgres, cores", lambda run: run.cores["postgres"]),
    _Curve("workers, cores", lambda run: _workers(run.cores)),
    _Curve("operator, GB resident", lambda run: run.operator_peak_mb / 1024),
)


def plot(runs: Sequence[Run]) -> str:
    """Cost against N, both axes logarithmic: a line that rises with the dashed one grows linearly. SVG."""
    exponents = range(math.floor(math.log10(min(r.plants for r in runs))), math.ceil(math.log10(max(r.plants for r in runs))) + 1)
    low, high = exponents[0], max(exponents[-1], exponents[0] + 1)
    values = [curve.value(run) for curve in _CURVES for run in runs if curve.value(run) > 0]
    bottom, top = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(plants: float) -> float:
        return LEFT + (math.log10(plants) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (top - math.log10(value)) / max(1, top - bottom) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">Cost against the number of Plants, a poll every {runs[-1].interval_s // 60} min</text>',
    ]
    for exponent in range(low, high + 1):
        at = x(10**exponent)
        parts.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**exponent:,}</text>')
    for exponent in range(bottom, top + 1):
        at = y(10**exponent)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**exponent:g}</text>')
    first = _CURVES[0].value(runs[0])
    span = min(runs[-1].plants / runs[0].plants, 10**top / first)
    parts.append(
        f'<path d="M{x(runs[0].plants):.1f} {y(first):.1f}L{x(runs[0].plants * span):.1f} {y(first * span):.1f}"'
        ' stroke="#999" stroke-dasharray="4 4" fill="none"/>'
    )
    for number, (curve, colour) in enumerate(zip(_CURVES, COLOURS, strict=True)):
        points = [(x(run.plants), y(max(curve.value(run), 10.0**bottom))) for run in runs]
        parts.append(
            f'<polyline points="{" ".join(f"{px:.1f},{py:.1f}" for px, py in points)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>' for px, py in points]
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 14 + 18 * number}" fill="{colour}">{curve.name}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 14 + 18 * len(_CURVES)}" fill="#777">dashed: linear in N</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
