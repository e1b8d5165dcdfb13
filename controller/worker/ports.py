"""What the worker tells of itself, and the use case it drives: composed in `cli`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from controller.domain.outcome import Taken
from controller.polling.poll_plants import BatchReport, Closed
from controller.polling.ports import Lease

WORKER_LOOP = "worker"
HEARTBEAT_LOOP = "heartbeat"
OK = "ok"


class WorkerObserver(Protocol):
    """Hears what happens, for metrics and probes. Called from the worker's and the heartbeat's threads; must not raise or wait."""

    def turned(self, loop: str, result: str, seconds: float) -> None:
        """A loop (`WORKER_LOOP`, `HEARTBEAT_LOOP`) came round. `result` is `OK` or the name of what failed."""
        ...

    def dropped(self, reason: str, messages: int) -> None:
        """Messages that led to no job: `malformed`, `stale`, `overtaken`; `closed` where the database knows the job as closed."""
        ...

    def closed(self, closed: Closed) -> None:
        """A job was judged and stored."""
        ...

    def given_back(self, jobs: int) -> None:
        """Jobs that were not begun, back in the queue."""
        ...

    def without_budget(self, jobs: int) -> None:
        """Of the jobs given back: those that the brand's limits did not admit."""
        ...

    def retried(self, attempts: int) -> None:
        """Attempts made again because the vendor had not answered."""
        ...

    def abandoned(self, jobs: int) -> None:
        """Jobs that were begun and not closed; recovery will find them."""
        ...

    def retired(self, reason: str) -> None:
        """An incarnation ended: `late`, `vanished`, `epoch`, `take-unanswered`, `release-unanswered`, `batch-failed`."""
        ...


class RunsBatches(Protocol):
    """`polling.poll_plants.PollPlants`."""

    def run(self, taken: Sequence[Taken], lease: Lease, may_begin: Callable[[], bool], may_retry: Callable[[], bool]) -> BatchReport: ...
