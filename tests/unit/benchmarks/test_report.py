"""From passes to medians: what the bench says of a subject, of rounds that differ."""

import json
from pathlib import Path

import pytest

from benchmarks.passes import Pass
from benchmarks.report import Result, ratio_to_peer, result_of, show, write
from benchmarks.subjects import Kind, Subject

PRODUCT = Subject("solarinvest", Kind.SOLARINVEST, 4000)
PEER = Subject("bullmq-prisma", Kind.BULLMQ, 400)


def a_pass(polls_per_s: float, worker_ms: float = 0.2, postgres_ms: float = 0.1) -> Pass:
    cpu_ms = {"worker": worker_ms, "postgres": postgres_ms}
    return Pass(
        polls=4000,
        seconds=4000 / polls_per_s,
        polls_per_s=polls_per_s,
        cpu_ms=cpu_ms,
        cpu_ms_total=sum(cpu_ms.values()),
        wal_bytes=2400.0,
        polls_a_transaction=250.0,
        foreign_cores=0.1,
        stolen_cores=0.0,
        rss_mb={"worker": 70.0, "postgres": 200.0},
        pss_mb={"worker": 60.0, "postgres": 150.0},
    )


def result(subject: Subject, *rates: float, first: float = 100.0, fsyncs: float = 0.01) -> Result:
    return result_of(subject, [(a_pass(first), a_pass(rate), fsyncs) for rate in rates])


def test_rates_are_the_median_of_the_steady_passes_with_least_and_greatest() -> None:
    found = result(PRODUCT, 8000.0, 9000.0, 5000.0)
    assert found.polls_per_s == {"median": 8000.0, "min": 5000.0, "max": 9000.0}
    assert found.first_pass_polls_per_s == {"median": 100.0, "min": 100.0, "max": 100.0}
    assert found.rounds == 3


def test_the_median_of_an_even_number_of_rounds_lies_between_the_two_in_the_middle() -> None:
    assert result(PRODUCT, 1000.0, 2000.0, 3000.0, 9000.0).polls_per_s["median"] == 2500.0


def test_parts_are_medians_by_process() -> None:
    rounds = [(a_pass(1.0), a_pass(1.0, worker_ms=ms, postgres_ms=0.5), 0.01) for ms in (0.1, 0.3, 0.2)]
    found = result_of(PRODUCT, rounds)
    assert found.cpu_ms == {"worker": 0.2, "postgres": 0.5}
    assert found.cpu_ms_total == {"median": 0.7, "min": 0.6, "max": 0.8}


def test_the_ratio_is_of_medians_and_absent_where_one_did_not_run() -> None:
    product, peer = result(PRODUCT, 8000.0, 9000.0, 1000.0), result(PEER, 100.0, 500.0, 90.0)
    assert ratio_to_peer([product, peer]) == 80.0
    assert ratio_to_peer([product]) is None
    assert ratio_to_peer([peer]) is None


def test_the_document_has_every_subject_by_name_and_the_same_as_latest(tmp_path: Path) -> None:
    write([result(PRODUCT, 8000.0), result(PEER, 100.0)], tmp_path / "results", command="python -m benchmarks", plants=4000, rounds=1)
    files = sorted((tmp_path / "results").iterdir())
    assert len(files) == 2
    assert files[0].read_text() == files[1].read_text()
    document = json.loads((tmp_path / "results" / "latest.json").read_text())
    assert document["ratio_to_peer"] == 80.0
    assert document["subjects"]["solarinvest"]["polls_per_s"] == {"median": 8000.0, "min": 8000.0, "max": 8000.0}
    assert document["subjects"].keys() == {"solarinvest", "bullmq-prisma"}
    assert document["machine"]["cores"] >= 1


@pytest.mark.parametrize(
    "text",
    [
        "| `solarinvest` | 4,000 | 8,000 (5,000 to 9,000) | 100 | 0.300 | 0.0100 | 2,400 | 250 | 0.10 |",
        "| `solarinvest` | worker 0.200, postgres 0.100 | worker 60, postgres 150 |",
        "`solarinvest` to `bullmq-prisma`: 80 times",
    ],
)
def test_the_tables_show_what_was_measured(text: str) -> None:
    assert text in show([result(PRODUCT, 8000.0, 9000.0, 5000.0), result(PEER, 100.0)])


def test_a_missing_peer_is_said() -> None:
    assert "not measured" in show([result(PRODUCT, 8000.0)])
