"""The operator role: its loops, from start to a clean end. Composed in `cli`; any number of copies may run."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog
from kubernetes import client

from controller.logs import log_outcome
from controller.metrics import Metrics
from controller.operator.daylight import count_stale_in_daylight
from controller.operator.echoes import Echoes
from controller.operator.event_poster import EventPoster
from controller.operator.kubernetes_api import EventsApi, PlantsApi
from controller.operator.loops import Loop, join_loops, start_loops
from controller.operator.mirror import Mirror
from controller.operator.reconcile import Reconciler
from controller.operator.resync import Resync
from controller.operator.watch import Watch
from controller.probes import Progress, watch
from controller.queueing.queue import RedisQueue
from controller.scheduling.fast_lane import FastLane
from controller.scheduling.recovery import Recovery
from controller.scheduling.scheduler import Scheduler
from controller.stop_signals import StopSignals
from controller.storage.changes import ChangeListener
from controller.storage.store import PostgresStore
from integrations.contract import Brand, VendorCapabilities

log = structlog.get_logger()

STOP_WITHIN_S = 20.0
POST_WITHIN_S = 3.0
"""For events that still wait then: the pod's grace is 30 s."""
LOOK_FOR_STOP_EVERY_S = 0.25
RESYNC_REST = 9.0
"""Resync takes a tenth of the time at most: with many Plants it comes round less often than asked for."""
WATCH_WITHIN_S = 120.0
"""How long the watch waits for the first comparison, so that it need not do it, too."""
FIRST_COMPARISON_WITHIN_S = 5.0
"""How long the first claims wait for the first comparison of Plants and rows. Thousands of Plants are listed and compared within it."""


class Operator:
    """Everything an operator process does, as named turns over one store, one queue and one API server."""

    def __init__(
        self,
        store: PostgresStore,
        changes: ChangeListener,
        queue: RedisQueue,
        configuration: client.Configuration,
        capabilities: Mapping[Brand, VendorCapabilities],
        metrics: Metrics,
        clock: Callable[[], datetime],
        at: Callable[[str], None],
        poll_log_days: int,
    ) -> None:
        api = PlantsApi(configuration)
        self._store = store
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._poll_log_days = poll_log_days
        self._scheduler = Scheduler(store, queue, at)
        self._fast_lane = FastLane(store, queue, at)
        self._recovery = Recovery(store, queue, clock, at)
        self._events = EventPoster(EventsApi(configuration), metrics, clock)
        echoes = Echoes(capabilities)
        self._mirror = Mirror(store, changes, api, metrics, clock, at, self._events.announce, echoes)
        reconciler = Reconciler(store, api, capabilities, clock, self._events.announce)
        self._compared = threading.Event()
        self._watch = Watch(reconciler, api, configuration, metrics, is_echo=echoes.is_echo, first_comparison_within_s=WATCH_WITHIN_S)
        self._progress = Progress()
        self._resync = Resync(store, api, reconciler, metrics, clock, self._watch.compare, self._resync_turns)

    def run(self, progress: Progress, resync_s: float) -> None:
        """Until SIGTERM or SIGINT; a second signal ends the process at once."""
        signals, stop = StopSignals(), threading.Event()
        self._progress = progress
        watch(progress, stop)
        # The watch is known to hear by its events, and at least once a resync.
        threads = [
            self._watch.start(stop, progress, 2 * resync_s + 60.0),
            *start_loops(self._loops(resync_s), stop, progress, self._metrics),
        ]
        log.info("operator_started", pid=os.getpid())
        while not signals.came:
            time.sleep(LOOK_FOR_STOP_EVERY_S)
        stop.set()
        left = join_loops(threads, STOP_WITHIN_S)
        if "events" not in left:
            self._events.close(POST_WITHIN_S)
        log.info("operator_stopped", unfinished=left)

    def _loops(self, resync_s: float) -> list[Loop]:
        """Bounds are a few times what a turn takes with every server slow: within them a restart would gain nothing."""
        return [
            Loop("scheduler", self._schedule, period_s=1.0, bound_s=30.0),
            # A poll that somebody asked for begins within a second (PROTOCOL 16).
            Loop("urgent", self._hurry, period_s=0.2, bound_s=30.0),
            Loop("recovery", self._recover, period_s=5.0, bound_s=60.0),
            Loop("mirror", self._mirror.turn, period_s=0.0, bound_s=90.0),
            Loop("events", self._events.turn, period_s=1.0, bound_s=60.0),
            Loop("resync", self._compare, period_s=resync_s, bound_s=3 * resync_s + 60.0, rest=RESYNC_REST),
            Loop("fleet", self._measure_fleet, period_s=5.0, bound_s=60.0),
            Loop("daylight", self._look_for_daylight, period_s=60.0, bound_s=300.0),
            # Half a second of Postgres at 100,000 plants, for what changes once a day.
            Loop("gaps", self._look_for_gaps, period_s=600.0, bound_s=1800.0),
            Loop("maintenance", self._maintain, period_s=60.0, bound_s=300.0),
        ]

    def _resync_turns(self) -> None:
        self._progress.turned("resync", succeeded=False)

    def _compare(self) -> None:
        self._resync.turn()
        self._compared.set()

    def _schedule(self) -> None:
        # A Plant that was deleted while no operator ran shall not be polled once more; a large or unreachable list holds up nobody.
        self._compared.wait(FIRST_COMPARISON_WITHIN_S)
        self._compared.set()
        report = self._scheduler.tick(self._clock())
        self._metrics.record_tick(report)
        for outcome in report.judged:
            log_outcome(outcome)

    def _hurry(self) -> None:
        self._compared.wait(FIRST_COMPARISON_WITHIN_S)
        self._metrics.record_urgent(self._fast_lane.tick(self._clock()))

    def _recover(self) -> None:
        report = self._recovery.sweep()
        self._metrics.record_sweep(report)
        for outcome in report.recovered:
            log_outcome(outcome)

    def _measure_fleet(self) -> None:
        self._metrics.set_fleet(self._store.fleet(self._clock()))
        self._metrics.set_queue_depths(self._queue.depths())

    def _look_for_daylight(self) -> None:
        self._metrics.set_stale_in_daylight(count_stale_in_daylight(self._store, self._clock()))

    def _look_for_gaps(self) -> None:
        self._metrics.set_gaps(self._store.plants_with_gaps(self._clock()))

    def _maintain(self) -> None:
        now = self._clock()
        self._store.ensure_partitions(now)
        self._store.drop_partitions((now - timedelta(days=self._poll_log_days)).date())
        self._store.purge(1000)
