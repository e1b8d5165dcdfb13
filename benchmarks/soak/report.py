"""From days to a verdict, the size of a plant's year, a table and the JSON. Pure but for `write`. Called by `soak`."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.machine import model
from benchmarks.soak.month import INTERVAL_S, DayCounts
from benchmarks.soak.sizes import TABLES, Table

WEEK = 7
SLOWER_AT_MOST = 0.2
"""How much less the last week may do in a CPU second than the first."""
BLOAT_AT_MOST = 0.25
"""How many more bytes a live row may take in the last week than in the first."""
KIB, MIB = 2**10, 2**20


class Day(NamedTuple):
    """One simulated day. Seconds are real ones."""

    number: int
    counts: DayCounts
    seconds: float
    own_cpu_s: float
    postgres_cpu_s: float
    foreign_cores: float
    partitions: int
    tables: dict[str, Table]

    @property
    def polls_per_s(self) -> float:
        return self.counts.polls / self.seconds

    @property
    def polls_per_cpu_s(self) -> float:
        """By CPU of this process and of Postgres, autovacuum's with it: what the machine's other work changes least."""
        return self.counts.polls / (self.own_cpu_s + self.postgres_cpu_s)


class PlantYear(NamedTuple):
    """Bytes of one plant on disk, extrapolated from the month: what is there once, what a year adds, and what poll logs are kept."""

    row: float
    year_of_days: float
    year_of_alerts: float
    kept_poll_logs: float

    @property
    def after_a_year(self) -> float:
        return self.row + self.year_of_days + self.year_of_alerts + self.kept_poll_logs


def weeks(days: Sequence[Day]) -> tuple[Sequence[Day], Sequence[Day]]:
    """The first and the last week; of a shorter month its halves. Raises `ValueError` for fewer than two days."""
    if len(days) < 2:
        raise ValueError("a comparison takes two days at least")
    length = min(WEEK, len(days) // 2)
    return days[:length], days[-length:]


def change(days: Sequence[Day], value: Callable[[Day], float]) -> float:
    """By how much the median of the last week is above that of the first, as a share: -0.2 is a fifth less."""
    first, last = weeks(days)
    return median(value(day) for day in last) / median(value(day) for day in first) - 1


def growth(days: Sequence[Day], table: str) -> float:
    """By how much the most bytes a live row of the last week are above those of the first, as a share."""
    first, last = weeks(days)
    return max(day.tables[table].bytes_a_row for day in last) / max(day.tables[table].bytes_a_row for day in first) - 1


def verdict(days: Sequence[Day], poll_log_days: int, days_ahead: int = 7) -> list[str]:
    """What went wrong, in words; empty where the month was as it must be."""
    wrong = []
    slower = -change(days, _per_cpu_s)
    if slower > SLOWER_AT_MOST:
        wrong.append(f"the last week did {slower:.0%} fewer polls in a CPU second than the first")
    for table in TABLES:
        grown = growth(days, table)
        if grown > BLOAT_AT_MOST:
            wrong.append(f"{table} takes {grown:.0%} more bytes a live row in the last week than in the first")
    # Yesterday's and today's, those ahead, and the day that retention has just reached.
    most = poll_log_days + days_ahead + 3
    if (kept := max(day.partitions for day in days)) > most:
        wrong.append(f"{kept} partitions of poll_logs, where {poll_log_days} days are kept")
    if len(days) > poll_log_days + 2 and not sum(len(day.counts.dropped) for day in days):
        wrong.append("no partition of poll_logs was dropped")
    return wrong


def plant_year(days: Sequence[Day], plants: int, kept_days: int = 30) -> PlantYear:
    """Of the last day's tables. Poll logs as kept for `kept_days` at the interval of the fleet."""
    tables, alerts = days[-1].tables, days[-1].tables["alerts"]
    polls_a_day = 86_400 / INTERVAL_S + 1
    return PlantYear(
        row=tables["plants"].bytes_a_row,
        year_of_days=365 * tables["metric_snapshots"].bytes_a_row,
        # Of purged plants they are gone: as many as the plants that are left have had.
        year_of_alerts=365 / len(days) * alerts.rows / plants * alerts.bytes_a_row,
        kept_poll_logs=kept_days * polls_a_day * tables["poll_logs"].bytes_a_row,
    )


def show(days: Sequence[Day], plants: int) -> str:
    """The tables of docs/performance.md."""
    lines = [
        "| day | polls/s | a CPU s | plants B/row | HOT | days B/row | HOT | alerts B/row | HOT | logs B/row | partitions | MiB in all |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    shown = sorted({1, *range(WEEK, len(days) + 1, WEEK), len(days)})
    for number in shown:
        day = days[number - 1]
        cells = [f"{number}", f"{day.polls_per_s:,.0f}", f"{day.polls_per_cpu_s:,.0f}"]
        for name in ("plants", "metric_snapshots", "alerts"):
            before = days[number - 2].tables[name] if number > 1 else None
            cells += [f"{day.tables[name].bytes_a_row:,.0f}", _hot_share(day.tables[name], before)]
        cells += [f"{day.tables['poll_logs'].bytes_a_row:,.0f}", f"{day.partitions}", f"{_total(day) / MIB:,.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    year = plant_year(days, plants)
    by_table = ", ".join(f"{name} {growth(days, name):+.1%}" for name in TABLES)
    rates = f"polls a CPU second {change(days, _per_cpu_s):+.1%}, polls a second {change(days, _per_s):+.1%}"
    parts = f"its row {year.row / KIB:.1f}, days {year.year_of_days / KIB:.1f}, alerts {year.year_of_alerts / KIB:.1f}"
    lines += [
        "",
        f"last week against first: {rates}, bytes a row: {by_table}",
        f"a plant after a year: {year.after_a_year / KIB:,.0f} KiB ({parts}, 30 days of poll logs {year.kept_poll_logs / KIB:,.0f})",
    ]
    return "\n".join(lines)


def write(days: Sequence[Day], path: Path, *, command: str, plants: int, options: dict[str, Any], wrong: Sequence[str]) -> None:
    """Everything that was measured, as JSON."""
    year = plant_year(days, plants)
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        **options,
        "machine": {"cores": os.cpu_count(), "processor": model(), "kernel": platform.release(), "python": platform.python_version()},
        "wrong": list(wrong),
        "polls": sum(day.counts.polls for day in days),
        "change_polls_per_cpu_s": round(change(days, _per_cpu_s), 4),
        "change_polls_per_s": round(change(days, _per_s), 4),
        "change_bytes_a_row": {name: round(growth(days, name), 4) for name in TABLES},
        "partitions_dropped": sum(len(day.counts.dropped) for day in days),
        "plant_bytes_after_a_year": {**{key: round(value) for key, value in year._asdict().items()}, "sum": round(year.after_a_year)},
        "days": [_document(day) for day in days],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _document(day: Day) -> dict[str, Any]:
    return {
        "day": day.number,
        **{key: value for key, value in day.counts._asdict().items() if key != "dropped"},
        "partitions_dropped": len(day.counts.dropped),
        "partitions": day.partitions,
        "seconds": round(day.seconds, 2),
        "polls_per_s": round(day.polls_per_s, 1),
        "polls_per_cpu_s": round(day.polls_per_cpu_s, 1),
        "own_cpu_s": round(day.own_cpu_s, 2),
        "postgres_cpu_s": round(day.postgres_cpu_s, 2),
        "foreign_cores": round(day.foreign_cores, 2),
        "tables": {name: {**table._asdict(), "bytes_a_row": round(table.bytes_a_row, 1)} for name, table in day.tables.items()},
    }


def _hot_share(table: Table, before: Table | None) -> str:
    """Of the updates since the day before."""
    updates, hot = table.updates, table.hot_updates
    if before is not None:
        updates, hot = updates - before.updates, hot - before.hot_updates
    return f"{hot / updates:.0%}" if updates else "-"


def _total(day: Day) -> int:
    return sum(table.heap + table.indexes for table in day.tables.values())


def _per_cpu_s(day: Day) -> float:
    return day.polls_per_cpu_s


def _per_s(day: Day) -> float:
    return day.polls_per_s
