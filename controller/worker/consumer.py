"""Huey's consumer with our worker in it: a thread a crew that runs `Crews.turn`, no schedule, no periodic tasks.

Uses what Huey offers to subclasses: `Consumer.worker_class`, `Consumer.scheduler_class`, `loop`.
"""

from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import Any

from huey import Huey
from huey.consumer import Consumer, Scheduler, Worker

_SCHEDULE_WAIT_S = 60.0


class NoSchedule(Scheduler):  # type: ignore[misc]  # huey has no types
    """Postgres knows what is due: nothing is ever put into Huey's schedule, so there is nothing to look for in it."""

    def loop(self, now: datetime | None = None) -> None:
        self.stop_flag.wait(_SCHEDULE_WAIT_S)


def batch_consumer(huey: Huey, turn: Callable[[Event], None], stop_within_s: float, threads: int) -> Any:
    """A consumer whose threads call `turn` with the stop flag, again and again. `stop(graceful=True)` waits up to `stop_within_s`."""

    class BatchWorker(Worker):  # type: ignore[misc]
        def loop(self, now: datetime | None = None) -> None:
            turn(self.stop_flag)

    class BatchConsumer(Consumer):  # type: ignore[misc]
        worker_class = BatchWorker
        scheduler_class = NoSchedule

    return BatchConsumer(huey, workers=threads, periodic=False, check_worker_health=False, shutdown_timeout=stop_within_s)
