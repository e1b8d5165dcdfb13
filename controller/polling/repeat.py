"""Repeating what may safely be repeated while the database is away, within a bound."""

from collections.abc import Callable
from typing import TypeVar

from controller.domain.errors import StoreUnavailable

Pause = Callable[[float], None]
"""Waits so many seconds (`time.sleep` in production)."""
PAUSES_S = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Together 15.6 s: a database that restarts is back by then, and the lease of 30 s still holds."""
T = TypeVar("T")


def repeated(action: Callable[[], T], pause: Pause) -> T:
    """`action`, repeated after `StoreUnavailable` as often as there are `PAUSES_S`; then that error is raised."""
    for seconds in PAUSES_S:
        try:
            return action()
        except StoreUnavailable:
            pause(seconds)
    return action()
