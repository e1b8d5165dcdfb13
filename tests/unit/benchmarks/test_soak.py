"""When a simulated month was as it must be, and what it says of a year. Each line of the verdict turns red here."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from benchmarks.soak.month import DayCounts, Handover, VirtualClock, next_step
from benchmarks.soak.report import Day, change, growth, plant_year, show, verdict, weeks, write
from benchmarks.soak.sizes import TABLES, Table
from controller.domain.outcome import Job
from controller.domain.plant import JobType
from integrations.contract import Brand

NOON = datetime(2031, 3, 10, 12, tzinfo=UTC)


def a_table(rows: int = 100, heap: int = 8_000, indexes: int = 2_000, updates: int = 0, hot_updates: int = 0) -> Table:
    return Table(
        rows=rows, heap=heap, indexes=indexes, dead=0, updates=updates, hot_updates=hot_updates, newpage_updates=0, vacuums=0, analyzes=0
    )


def a_day(number: int, *, cpu_s: float = 10.0, partitions: int = 10, dropped: tuple[str, ...] = ("poll_logs_1",), **tables: Any) -> Day:
    return Day(
        number=number,
        counts=DayCounts(polls=1000, jobs=1010, judged_by_clock=0, mirrored=1000, purged=1, dropped=dropped),
        seconds=20.0,
        own_cpu_s=cpu_s * 0.75,
        postgres_cpu_s=cpu_s * 0.25,
        foreign_cores=0.0,
        partitions=partitions,
        tables={name: tables.get(name, a_table()) for name in TABLES},
    )


def a_month(days: int = 30, **last_week: Any) -> list[Day]:
    return [a_day(number, **(last_week if number > days - 7 else {})) for number in range(1, days + 1)]


def test_a_flat_month_is_in_order() -> None:
    assert verdict(a_month(), poll_log_days=7) == []


def test_the_weeks_compared_do_not_overlap_in_a_short_month() -> None:
    first, last = weeks(a_month(5))
    assert ([day.number for day in first], [day.number for day in last]) == ([1, 2], [4, 5])
    with pytest.raises(ValueError, match="two days"):
        weeks(a_month(1))


@pytest.mark.parametrize(("cpu_s", "wrong"), [(12.4, []), (12.6, ["the last week did 21% fewer polls in a CPU second than the first"])])
def test_a_fifth_fewer_polls_in_a_cpu_second_is_too_slow(cpu_s: float, wrong: list[str]) -> None:
    assert verdict(a_month(cpu_s=cpu_s), poll_log_days=7) == wrong


def test_one_slow_day_is_no_trend() -> None:
    days = a_month()
    days[-1] = a_day(30, cpu_s=100.0)
    assert verdict(days, poll_log_days=7) == []


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_swells_is_found(table: str) -> None:
    days = a_month()
    swollen: dict[str, Any] = {table: a_table(heap=12_000)}
    days[-1] = a_day(30, **swollen)
    assert verdict(days, poll_log_days=7) == [f"{table} takes 40% more bytes a live row in the last week than in the first"]


def test_a_table_that_grows_by_rows_is_no_bloat() -> None:
    assert verdict(a_month(metric_snapshots=a_table(rows=1000, heap=80_000, indexes=20_000)), poll_log_days=7) == []


def test_indexes_count_as_well() -> None:
    assert growth(a_month(plants=a_table(indexes=7_000)), "plants") == pytest.approx(0.5)


def test_partitions_that_stay_are_found() -> None:
    days = [a_day(number, partitions=9 + number, dropped=()) for number in range(1, 31)]
    assert verdict(days, poll_log_days=7) == ["39 partitions of poll_logs, where 7 days are kept", "no partition of poll_logs was dropped"]


def test_nothing_need_be_dropped_before_its_time() -> None:
    assert verdict([a_day(number, dropped=()) for number in range(1, 8)], poll_log_days=7) == []


def test_changes_are_of_medians() -> None:
    assert change(a_month(cpu_s=20.0), lambda day: day.polls_per_cpu_s) == pytest.approx(-0.5)


def test_a_plants_year_is_extrapolated_from_the_last_day() -> None:
    tables: dict[str, Any] = {
        "plants": a_table(rows=10, heap=9_000, indexes=1_000),
        "metric_snapshots": a_table(rows=300, heap=24_000, indexes=6_000),
        "alerts": a_table(rows=40, heap=6_000, indexes=2_000),
        "poll_logs": a_table(rows=1000, heap=200_000, indexes=50_000),
    }
    year = plant_year(a_month(**tables), plants=10)
    assert year.row == 1_000
    assert year.year_of_days == 365 * 100
    assert year.year_of_alerts == pytest.approx(365 / 30 * 4 * 200)
    assert year.kept_poll_logs == 30 * 145 * 250
    assert year.after_a_year == pytest.approx(sum(year))


def test_the_table_shows_the_hot_share_of_the_day_and_not_of_all_days() -> None:
    days = a_month()
    days[28] = a_day(29, plants=a_table(updates=1000, hot_updates=900))
    days[29] = a_day(30, plants=a_table(updates=1200, hot_updates=1000))
    row = show(days, plants=10).splitlines()[-4]
    assert row.startswith("| 30 | 50 | 100 | 100 | 50% | 100 | - |")


def test_the_document_tells_what_went_wrong(tmp_path: Path) -> None:
    path = tmp_path / "results" / "soak.json"
    write(a_month(), path, command="python -m benchmarks.soak", plants=10, options={"plants": 10}, wrong=["something"])
    document = json.loads(path.read_text())
    assert document["wrong"] == ["something"]
    assert document["polls"] == 30_000
    assert document["partitions_dropped"] == 30
    assert len(document["days"]) == 30
    assert document["days"][0]["tables"]["plants"]["bytes_a_row"] == 100


def test_the_clock_stands_until_it_is_moved_and_never_goes_back() -> None:
    clock = VirtualClock(NOON)
    clock.pause(4.0)
    assert clock() == clock.now == NOON + timedelta(seconds=4)
    clock.move_to(NOON)
    assert clock() == NOON + timedelta(seconds=4)


@pytest.mark.parametrize(("second", "expected"), [(0, 300), (4, 300), (299, 300), (300, 600)])
def test_the_clock_jumps_along_a_grid_whatever_pauses_took(second: int, expected: int) -> None:
    assert next_step(NOON + timedelta(seconds=second), timedelta(seconds=300)) == NOON + timedelta(seconds=expected)


def test_jobs_are_handed_over_once_and_in_order() -> None:
    jobs = [Job(UUID(int=number), number, JobType.POLL, Brand.SOLIS, 1200) for number in range(1, 4)]
    queue = Handover()
    assert queue.enqueue(jobs) == 3
    assert [item.job for item in queue.take(2)] == jobs[:2]
    assert [item.job for item in queue.take(2)] == jobs[2:]
    assert queue.take(2) == []
