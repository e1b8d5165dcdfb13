"""What processes and the machine have used, from /proc."""

import os

from benchmarks.machine import Usage, memory_mb, model

NOBODY = 2**22 + 1
"""Above the kernel's greatest process id."""


def usage(parts: dict[str, float], own: float = 0.0, busy: float = 0.0, stolen: float = 0.0) -> Usage:
    return Usage(parts, own, busy, stolen)


def test_usage_since_an_earlier_one_is_the_difference() -> None:
    later = usage({"worker": 5.0, "postgres": 3.0}, own=2.0, busy=20.0, stolen=1.5)
    assert later.since(usage({"worker": 1.0, "postgres": 1.0}, own=0.5, busy=8.0, stolen=1.0)) == usage(
        {"worker": 4.0, "postgres": 2.0}, own=1.5, busy=12.0, stolen=0.5
    )


def test_a_part_that_was_not_there_before_counts_from_nothing() -> None:
    assert usage({"worker": 5.0}).since(usage({})).parts == {"worker": 5.0}


def test_foreign_is_what_neither_the_parts_nor_the_bench_used() -> None:
    assert usage({"worker": 4.0, "postgres": 2.0}, own=1.0, busy=12.0).foreign == 5.0


def test_foreign_is_never_less_than_nothing() -> None:
    """The kernel counts processes and machine at different instants."""
    assert usage({"worker": 4.0}, own=1.0, busy=4.9).foreign == 0.0


def test_this_process_has_used_something_and_one_that_ended_nothing() -> None:
    found = Usage.of({"me": os.getpid(), "nobody": NOBODY})
    assert found.parts["me"] > 0
    assert found.parts["nobody"] == 0
    assert found.busy > 0


def test_memory_is_in_megabytes_and_shared_pages_count_in_part() -> None:
    rss, pss = memory_mb([os.getpid()])
    assert 1 < pss <= rss < 100_000
    assert memory_mb([NOBODY]) == (0, 0)


def test_the_processor_has_a_name() -> None:
    assert model()
