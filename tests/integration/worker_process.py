"""A worker process for test_worker.py: the role with a use case that says when it begins a job, and ends it when told to.

    python -m tests.integration.worker_process URL JOB_DEADLINE_S STOP_WITHIN_S

Each begun job is pushed to the list `begun`; it ends once something is in the list `go`.
"""

import sys
from collections.abc import Callable, Sequence

from redis import Redis

from controller.domain.outcome import Job, Taken
from controller.metrics import Metrics
from controller.polling.poll_plants import BatchReport
from controller.polling.ports import Lease
from controller.probes import Progress
from controller.queueing.server import connect
from controller.worker.main import run
from integrations.contract import Brand


class Slow:
    """Implements `RunsBatches`: the test decides how long a job takes."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def run(self, taken: Sequence[Taken], lease: Lease, may_begin: Callable[[], bool], may_retry: Callable[[], bool]) -> BatchReport:
        begun: list[Job] = []
        for item in taken:
            if not may_begin():
                break
            lease.assert_held()
            self._client.rpush("begun", item.job.attempt)
            self._client.blpop(["go"], timeout=20)
            begun.append(item.job)
        return BatchReport(dropped=tuple(begun), not_begun=tuple(item.job for item in taken[len(begun) :]))


def main(url: str, job_deadline_s: str, stop_within_s: str) -> int:
    return run(
        Brand.SOLIS,
        url,
        [Slow(connect(url, read_timeout_s=30))],
        Metrics(),
        Progress(),
        beat_s=0.1,
        job_deadline_s=float(job_deadline_s),
        stop_within_s=float(stop_within_s),
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
