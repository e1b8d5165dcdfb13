"""A pass' figures from what was read before and after it, and how many passes and polls a subject has."""

import pytest

from benchmarks.machine import Usage
from benchmarks.passes import pass_of
from benchmarks.subjects import Kind, Subject, subjects

USED = Usage({"worker": 2.0, "postgres": 1.0}, own=0.5, busy=6.0, stolen=0.4)
SIZES = {"worker": (70.0, 60.0), "postgres": (200.0, 150.0)}


def test_figures_are_by_poll_and_by_second() -> None:
    found = pass_of(Subject("solarinvest", Kind.SOLARINVEST, 10_000), 2.0, USED, 5.0, 24_000_000, 40, SIZES)
    assert found.polls == 10_000
    assert found.polls_per_s == 5000
    assert found.cpu_ms == {"worker": 0.2, "postgres": 0.1}
    assert found.cpu_ms_total == pytest.approx(0.3)
    assert found.wal_bytes == 2400
    assert found.polls_a_transaction == 250
    assert found.foreign_cores == pytest.approx((6.0 - 0.5 - 3.0) / 5.0)
    assert found.stolen_cores == pytest.approx(0.08)
    assert (found.rss_mb["worker"], found.pss_mb["worker"]) == (70.0, 60.0)


def test_what_a_limiter_admits_at_once_is_not_its_pace() -> None:
    limited = Subject("bullmq-prisma-limited", Kind.BULLMQ, 240, limit_per_minute=30)
    assert limited.burst == 120
    assert pass_of(limited, 60.0, USED, 60.0, 0, 240, SIZES).polls_per_s == 2


def test_a_pass_that_wrote_nothing_divides_by_no_zero() -> None:
    assert pass_of(Subject("solarinvest-claims", Kind.CLAIMS, 1000), 1.0, USED, 1.0, 0, 0, SIZES).polls_a_transaction == 1000


def test_who_sets_the_pace_by_a_clock_or_polls_nothing_has_one_pass() -> None:
    passes = {subject.name: subject.passes for subject in subjects(20_000, 1_000, 240)}
    assert passes == {
        "solarinvest": 2,
        "bullmq-prisma": 2,
        "bullmq-prisma-limited": 1,
        "huey-orm": 2,
        "sql-limit": 2,
        "solarinvest-claims": 1,
    }


def test_the_limited_peer_is_left_out_for_no_plants() -> None:
    assert "bullmq-prisma-limited" not in {subject.name for subject in subjects(4_000, 400, 0)}
