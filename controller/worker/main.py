"""The worker role: one process, one brand, one consumer. Composed and called by `cli` (`solarinvest worker --brand solis`)."""

import gc
import os
import time
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any

import structlog
from redis import Redis

from controller.metrics import Metrics
from controller.polling.ports import Checkpoint, pass_by
from controller.probes import Progress
from controller.queueing.huey import PollTasks
from controller.queueing.lease import BEAT_S, Heartbeat
from controller.queueing.queue import LEASE_S
from controller.queueing.server import Secret, connect
from controller.queueing.worker_queue import WorkerQueue
from controller.stop_signals import StopSignals
from controller.worker.batches import BATCH, BEGIN_WITHIN_S, Batches
from controller.worker.consumer import batch_consumer
from controller.worker.crews import Crews
from controller.worker.observing import Observed
from controller.worker.ports import HEARTBEAT_LOOP, OK, RunsBatches, WorkerObserver
from controller.worker.watchdog import JOB_DEADLINE_S, Watchdog
from integrations.contract import Brand

log = structlog.get_logger()

STOP_WITHIN_S = 45.0
"""How long a stop waits for the batch at hand, the longest job included. The supervisor's grace period must be longer. Seconds."""
EXIT_OK = 0
EXIT_HUNG = 70
"""As sysexits.h has it (EX_SOFTWARE): a job ran past twice its deadline, or the worker's thread has died."""
COLLECT_AFTER = (100_000, 20, 100)
"""Thresholds of the cyclic collector. A batch makes tens of thousands of objects that die with it by counting alone; Python's own 700
would walk them again and again, at a sixth of a worker's CPU. It still runs, every few batches, for cycles that exceptions leave."""
_WATCH_EVERY_S = 0.25
_HEARTBEAT_STOP_S = 10.0


def run(
    brand: Brand,
    server: Redis | str | Secret,
    polls: Sequence[RunsBatches],
    metrics: Metrics,
    progress: Progress,
    at: Checkpoint = pass_by,
    *,
    lease_s: float = LEASE_S,
    beat_s: float = BEAT_S,
    job_deadline_s: float = JOB_DEADLINE_S,
    stop_within_s: float = STOP_WITHIN_S,
    batch: int = BATCH,
    begin_within_s: float = BEGIN_WITHIN_S,
) -> int:
    """Works on the brand's queue until SIGTERM or SIGINT, and returns the exit code. Must be called in the main thread.

    `polls` has one use case a crew. `server` is the queue server's URL, or a client made by `connect`; seconds and sizes have their
    reasons where the defaults stand.
    The first signal lets the batch at hand end: jobs that have not begun go back, the rest is closed and released. A second one ends
    the process at once. A job past twice its deadline ends it with `EXIT_HUNG`.
    """
    observer = Observed(brand, metrics, progress, turn_bound_s=2 * job_deadline_s, heartbeat_bound_s=lease_s)
    client = connect(server)
    queue = WorkerQueue(client, brand, lease_s)
    watchdogs = [Watchdog(job_deadline_s) for _ in polls]
    # Of the heartbeats, the first crew's is heard: it is the one that always turns, and what befalls it befalls the others.
    heartbeats = [
        Heartbeat(queue, brand.slug, beat_s=beat_s, may_beat=watchdog.is_in_time, on_turn=on_turn, on_retired=observer.retired)
        for watchdog, on_turn in zip(watchdogs, chain([_heartbeat_observer(observer)], repeat(_unheard)), strict=False)
    ]
    crews = Crews()
    for heartbeat, use_case, watchdog in zip(heartbeats, polls, watchdogs, strict=True):
        tasks = PollTasks(brand, client)
        crews.join(
            Batches(
                queue, heartbeat, use_case, tasks, watchdog, observer, at, batch=batch, begin_within_s=begin_within_s, alone=crews.alone
            )
        )
    consumer = batch_consumer(tasks.huey, crews.turn, stop_within_s, len(polls))
    signals = StopSignals()
    # What is there by now lives as long as the process: nothing to look for in it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    for heartbeat in heartbeats:
        heartbeat.start()
    # Not `consumer.start()`: that would put handlers of Huey's own in the place of ours, and they drop running jobs.
    for _, thread in consumer.worker_threads:
        thread.start()
    consumer.scheduler.start()
    log.info("worker_started", brand=brand, batch=batch)
    died = _watch(signals, consumer, watchdogs)
    consumer.stop(graceful=True)
    if _worker_is_alive(consumer):
        # An exchange may be running: the heartbeat's key is left to expire.
        log.critical("worker_hangs", brand=brand)
        return EXIT_HUNG
    for heartbeat in heartbeats:
        heartbeat.stop(_HEARTBEAT_STOP_S)
    log.info("worker_stopped", brand=brand)
    return EXIT_HUNG if died else EXIT_OK


def _watch(signals: StopSignals, consumer: Any, watchdogs: Sequence[Watchdog]) -> bool:
    """Waits for the stop; True if it returned because a worker's thread has died. Ends the process when a job hangs."""
    while not signals.came:
        time.sleep(_WATCH_EVERY_S)
        if not all(watchdog.is_in_time() for watchdog in watchdogs):
            log.critical("job_hangs")
            os._exit(EXIT_HUNG)
        if not all(thread.is_alive() for _, thread in consumer.worker_threads):
            log.critical("worker_thread_died")
            return True
    return False


def _worker_is_alive(consumer: Any) -> bool:
    return any(thread.is_alive() for _, thread in consumer.worker_threads)


def _unheard(_: bool) -> None: ...


def _heartbeat_observer(observer: WorkerObserver) -> Callable[[bool], None]:
    last = time.monotonic()

    def on_turn(confirmed: bool) -> None:
        nonlocal last
        now = time.monotonic()
        observer.turned(HEARTBEAT_LOOP, OK if confirmed else "NotConfirmed", now - last)
        last = now

    return on_turn
