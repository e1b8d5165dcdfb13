"""Waiting for a condition, always with a bound. Called by every part of the stack and by the tests."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitTimeoutError(TimeoutError):
    """What was waited for did not come about within its bound; the message says what, how long, and what was seen last."""


def wait_until(condition: Callable[[], T], bound_seconds: float, what: str, *, every_seconds: float = 0.05) -> T:
    """Returns the first true value of `condition`, which is called at least once.

    Raises `WaitTimeoutError` after `bound_seconds`, naming `what` and the last value. An exception of `condition` ends the wait:
    a condition decides itself which errors mean "not yet".
    """
    deadline = time.monotonic() + bound_seconds
    while True:
        value = condition()
        if value:
            return value
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise WaitTimeoutError(f"{what}: not within {bound_seconds:g} s (last seen: {value!r})")
        time.sleep(min(every_seconds, remaining))
