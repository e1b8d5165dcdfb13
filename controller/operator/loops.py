"""The operator's loops: each a named action that comes round at its pace, on a thread of its own, and reports every turn.

A turn that fails because a server is away is counted and tried again at the next; any other exception is a defect: it is logged with
its traceback and counted as well, and the loop goes on, for every action is level-based and starts from the rows.
"""

import threading
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog

from controller.domain.errors import EpochMissing, QueueUnavailable, StoreUnavailable
from controller.metrics import Metrics
from controller.operator.kubernetes_api import KubernetesRefused, KubernetesUnavailable, StatusRefused
from controller.probes import Progress

log = structlog.get_logger()

AWAY = (StoreUnavailable, QueueUnavailable, EpochMissing, KubernetesUnavailable, KubernetesRefused, StatusRefused)
AFTER_FAILURE_S = 1.0
"""A loop that has no pace of its own must not spin where a server refuses at once."""


class Loop(msgspec.Struct, frozen=True):
    """An action, how many seconds lie between two turns, and within how many it must have come round to count as alive."""

    name: str
    action: Callable[[], object]
    period_s: float
    bound_s: float
    rest: float = 0.0
    """Turns that take long come round less often: at least so many times their length lies between the end of one and the next."""


def start_loops(loops: Sequence[Loop], stop: threading.Event, progress: Progress, metrics: Metrics) -> list[threading.Thread]:
    """One daemon thread a loop, until `stop` is set."""
    threads = []
    for loop in loops:
        progress.expect(loop.name, loop.bound_s)
        thread = threading.Thread(target=_run, args=(loop, stop, progress, metrics), name=loop.name, daemon=True)
        thread.start()
        threads.append(thread)
    return threads


def join_loops(threads: Sequence[threading.Thread], within_s: float) -> list[str]:
    """Waits for stopped loops to end their turns, together at most `within_s`; the names of those that did not."""
    deadline = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in threads if thread.is_alive()]


def _run(loop: Loop, stop: threading.Event, progress: Progress, metrics: Metrics) -> None:
    while not stop.is_set():
        began = time.monotonic()
        result = _turn(loop)
        took = time.monotonic() - began
        metrics.record_turn(loop.name, result, took)
        progress.turned(loop.name, succeeded=result == "ok")
        period = loop.period_s if result == "ok" else max(loop.period_s, AFTER_FAILURE_S)
        pause = max(0.0, period - took, loop.rest * took)
        if loop.rest:
            progress.expect(loop.name, loop.bound_s + pause)
        stop.wait(pause)


def _turn(loop: Loop) -> str:
    try:
        loop.action()
    except AWAY as error:
        log.warning("turn_failed", loop=loop.name, error=type(error).__name__, message=str(error))
        return type(error).__name__
    except Exception as error:
        log.exception("turn_broke", loop=loop.name)
        return type(error).__name__
    return "ok"
