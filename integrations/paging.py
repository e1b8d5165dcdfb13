"""Alarm lists come in pages. Pure but for the exchanges that `fetch` makes; called by the adapters."""

from collections.abc import Callable

import msgspec

from integrations.contract import Alarm, AlarmList

MAX_PAGES = 5
"""Bounds the exchanges of one look-up. A list longer than this is cut and says so (`complete` is False)."""


class AlarmPage(msgspec.Struct, frozen=True):
    """One page as read."""

    alarms: tuple[Alarm, ...]
    rows: int
    """Rows the page had, other plants' included: what the vendor counts."""
    total: int | None
    """Rows the vendor says there are in all; None when it does not say."""
    seen: bool = True
    """False: the vendor answered that the device is offline, without a list. Nothing is known of the alarms, not that there are none."""


def read_pages(fetch: Callable[[int], AlarmPage], page_size: int) -> AlarmList:
    """Reads pages 1, 2, … until the list is whole. Raises what `fetch` raises."""
    alarms: list[Alarm] = []
    rows = 0
    for page_number in range(1, MAX_PAGES + 1):
        page = fetch(page_number)
        if not page.seen:
            break
        alarms += page.alarms
        rows += page.rows
        if page.total is None and page.rows < page_size:
            return AlarmList(alarms=tuple(alarms), complete=True)
        if page.total is not None and rows >= page.total:
            return AlarmList(alarms=tuple(alarms), complete=True)
        if page.rows == 0:
            break
    return AlarmList(alarms=tuple(alarms), complete=False)
