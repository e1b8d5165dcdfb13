"""Alarm lists of several pages."""

import pytest

from integrations.contract import Alarm, Severity
from integrations.paging import MAX_PAGES, AlarmPage, read_pages


def alarm(number: int) -> Alarm:
    return Alarm(code=str(number), device_sn=None, severity=Severity.LOW, message="", occurred_at=None, is_active=True)


def page(*numbers: int, total: int | None, rows: int | None = None) -> AlarmPage:
    return AlarmPage(alarms=tuple(alarm(number) for number in numbers), rows=len(numbers) if rows is None else rows, total=total)


@pytest.mark.parametrize(
    ("pages", "codes", "complete"),
    [
        ([page(total=0)], "", True),
        ([page(1, 2, total=2)], "12", True),
        ([page(1, 2, total=3), page(3, total=3)], "123", True),
        ([page(1, 2, total=None), page(3, total=None)], "123", True),
        ([page(1, 2, total=9), page(total=9)], "12", False),  # it says nine and has two
        ([page(1, rows=2, total=2)], "1", True),  # the other row is another plant's
    ],
)
def test_pages_are_read_until_the_list_is_whole(pages: list[AlarmPage], codes: str, complete: bool) -> None:
    found = read_pages(lambda number: pages[number - 1], page_size=2)

    assert ("".join(alarm.code or "" for alarm in found.alarms), found.complete) == (codes, complete)


@pytest.mark.parametrize("before", [[], [page(1, 2, total=2000)], [page(1, 2, total=None)]])
def test_a_list_that_the_vendor_did_not_send_is_not_whole(before: list[AlarmPage]) -> None:
    pages = [*before, AlarmPage(alarms=(), rows=0, total=None, seen=False)]

    found = read_pages(lambda number: pages[number - 1], page_size=2)

    assert (len(found.alarms), found.complete) == (2 * len(before), False)


def test_an_endless_list_is_cut_and_says_so() -> None:
    asked: list[int] = []

    def fetch(number: int) -> AlarmPage:
        asked.append(number)
        return page(number, total=10**6)

    found = read_pages(fetch, page_size=1)

    assert (len(found.alarms), found.complete, asked) == (MAX_PAGES, False, list(range(1, MAX_PAGES + 1)))
