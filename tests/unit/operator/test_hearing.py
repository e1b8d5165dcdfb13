"""When a watch counts as deaf: something is overdue, and nothing else has come."""

from controller.operator.hearing import DEAF_AFTER_S, Hearing, Verdict

START = 1000.0
LATE = DEAF_AFTER_S


def test_a_watch_that_was_told_of_the_newest_change_hears() -> None:
    hearing = Hearing(START)
    hearing.hear(7, START)
    assert hearing.compare(7, START + LATE) is Verdict.HEARS


def test_a_cluster_without_plants_leaves_nothing_to_hear() -> None:
    assert Hearing(START).compare(0, START + LATE) is Verdict.HEARS


def test_an_event_may_take_its_time_from_the_first_list_that_had_the_change() -> None:
    hearing = Hearing(START)
    assert hearing.compare(7, START + 3 * LATE) is Verdict.WAITING
    assert hearing.compare(7, START + 4 * LATE - 1) is Verdict.WAITING
    assert hearing.compare(7, START + 4 * LATE) is Verdict.DEAF


def test_a_list_that_goes_on_changing_does_not_put_off_the_verdict() -> None:
    hearing = Hearing(START)
    hearing.compare(7, START)
    assert hearing.compare(9, START + LATE) is Verdict.DEAF


def test_a_watch_that_is_behind_but_still_told_of_things_is_not_deaf() -> None:
    hearing = Hearing(START)
    hearing.hear(3, START)
    hearing.compare(7, START)
    hearing.hear(5, START + LATE - 1)
    assert hearing.compare(9, START + LATE) is Verdict.WAITING
    assert hearing.compare(9, START + 2 * LATE - 1) is Verdict.DEAF


def test_an_event_that_comes_at_last_ends_the_wait() -> None:
    hearing = Hearing(START)
    hearing.compare(7, START)
    hearing.hear(7, START + 1)
    assert hearing.compare(9, START + LATE) is Verdict.WAITING, "the next change has its own time"
    hearing.hear(9, START + LATE + 1)
    assert hearing.compare(9, START + 9 * LATE) is Verdict.HEARS


def test_an_old_event_does_not_make_it_forget_a_newer_one() -> None:
    hearing = Hearing(START)
    hearing.hear(9, START)
    hearing.hear(3, START)
    assert hearing.compare(9, START) is Verdict.HEARS
