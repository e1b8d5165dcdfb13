"""What the worker tells of itself, as metrics, probes and log lines."""

from controller.logs import log_outcome
from controller.metrics import Metrics
from controller.polling.poll_plants import Closed
from controller.probes import Progress
from controller.worker.ports import HEARTBEAT_LOOP, OK, WORKER_LOOP
from integrations.contract import Brand


class Observed:
    """Implements `WorkerObserver` over the process's metrics and progress."""

    def __init__(self, brand: Brand, metrics: Metrics, progress: Progress, *, turn_bound_s: float, heartbeat_bound_s: float) -> None:
        """The bounds: within how many seconds each loop must come round to count as alive."""
        self._brand = brand
        self._metrics = metrics
        self._progress = progress
        progress.expect(WORKER_LOOP, turn_bound_s)
        progress.expect(HEARTBEAT_LOOP, heartbeat_bound_s)

    def turned(self, loop: str, result: str, seconds: float) -> None:
        self._metrics.record_turn(loop, result, seconds)
        self._progress.turned(loop, succeeded=result == OK)

    def dropped(self, reason: str, messages: int) -> None:
        self._metrics.record_dropped(self._brand, reason, messages)

    def closed(self, closed: Closed) -> None:
        self._metrics.record_outcome(closed.outcome)
        log_outcome(closed.outcome)

    def given_back(self, jobs: int) -> None:
        self._metrics.record_given_back(self._brand, jobs)

    def without_budget(self, jobs: int) -> None:
        self._metrics.record_budget_refusals(self._brand, jobs)

    def retried(self, attempts: int) -> None:
        self._metrics.record_retries(self._brand, attempts)

    def abandoned(self, jobs: int) -> None:
        self._metrics.record_abandoned(self._brand, jobs)

    def retired(self, reason: str) -> None:
        self._metrics.record_retired(self._brand, reason)
