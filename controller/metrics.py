"""Every metric of the product, and the only code that touches them. docs/metrics.md is held equal to this page by a test.

Counters rise in the process that did the thing; sum them. Gauges of the fleet are read from Postgres by every operator; take `max by`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from controller.domain.outcome import Outcome
from controller.domain.plant import JobType, PollError, PollStatus, Status
from controller.scheduling.fast_lane import FastLaneReport
from controller.scheduling.recovery import SweepReport
from controller.scheduling.scheduler import TickReport
from controller.storage.ports import Fleet
from integrations.contract import Brand

DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: fixtures answer in milliseconds, vendors in seconds, the longest timeout is 30 s."""
_API_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW_BUCKETS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class ProcessRole(StrEnum):
    """What a process of ours is: the first word after `solarinvest`."""

    OPERATOR = "operator"
    WORKER = "worker"
    API = "api"


OPERATOR, WORKER, API = (ProcessRole.OPERATOR,), (ProcessRole.WORKER,), (ProcessRole.API,)
EITHER, EVERY = OPERATOR + WORKER, OPERATOR + WORKER + API


class Described(msgspec.Struct, frozen=True):
    """A metric as docs/metrics.md lists it."""

    kind: str
    """`counter`, `gauge` or `histogram`."""
    labels: tuple[str, ...]
    text: str
    roles: tuple[ProcessRole, ...]
    """Which processes show it."""


class Metrics:
    """One registry a process. Methods are called from several threads: prometheus_client locks each metric."""

    def __init__(self, role: ProcessRole | None = None, brand: Brand | None = None, version: str = "") -> None:
        """A process shows what its role can set, for a number that nobody sets would say that all is well.

        None: all there is, as docs/metrics.md lists it. `brand`: a worker's.
        """
        # The instants at which counters began: a second series for each, which nobody asks for and `promtool check metrics` finds untold.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs has no annotations
        self.registry = registry = CollectorRegistry()
        self._roles: dict[str, tuple[ProcessRole, ...]] = {}
        ProcessCollector(registry=registry)

        def registered(name: str, roles: tuple[ProcessRole, ...]) -> dict[str, Any]:
            self._roles[f"solarinvest_{name}"] = roles
            return {"name": f"solarinvest_{name}", "registry": registry if role is None or role in roles else None}

        def counter(name: str, text: str, *labels: str, by: tuple[ProcessRole, ...]) -> Counter:
            return Counter(documentation=text, labelnames=labels, **registered(name, by))

        def gauge(name: str, text: str, *labels: str, by: tuple[ProcessRole, ...] = OPERATOR) -> Gauge:
            return Gauge(documentation=text, labelnames=labels, **registered(name, by))

        def histogram(name: str, text: str, *labels: str, by: tuple[ProcessRole, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(documentation=text, labelnames=labels, buckets=buckets, **registered(name, by))

        self._build = gauge("build_info", "1 for each process: what it is.", "role", "brand", "version", by=EVERY)
        self._build.labels(role or "", brand or "", version).set(1)

        # Jobs.
        self._polls = counter("polls_total", "Polls that ended, by how.", "brand", "result", by=EITHER)
        self._days = counter("daily_jobs_total", "Daily jobs that ended, by how.", "brand", "result", by=EITHER)
        self._duration = histogram(
            "poll_duration_seconds", "From a poll's first exchange to its last.", "brand", by=WORKER, buckets=DURATION_BUCKETS
        )
        self._adapter_errors = counter("adapter_errors_total", "Jobs whose adapter_error_type is set, by it.", "brand", "type", by=EITHER)
        self._refused = counter("refused_values_total", "Values of readings that were refused as implausible.", "brand", "field", by=WORKER)
        self._alarms_dropped = counter(
            "alarms_dropped_total", "Active alarms that a poll met beyond the 500 kept of a plant.", "brand", by=WORKER
        )
        self._transitions = counter("status_transitions_total", "Changes of a plant's status, by the new one.", "brand", "to", by=EITHER)
        self._dropped = counter("messages_dropped_total", "Queue messages that led to no job, by why.", "brand", "reason", by=WORKER)
        self._given_back = counter(
            "jobs_given_back_total", "Jobs that a worker returned to its queue without beginning them.", "brand", by=WORKER
        )
        self._refusals = counter(
            "budget_refusals_total", "Jobs given back because the limits of their brand admitted no more.", "brand", by=WORKER
        )
        self._retries = counter(
            "poll_retries_total", "Attempts made again within a job because the vendor had not answered.", "brand", by=WORKER
        )
        self._abandoned = counter("jobs_abandoned_total", "Jobs that a worker began and could not close.", "brand", by=WORKER)
        self._retired = counter(
            "worker_retirements_total", "Worker incarnations that lost their heartbeat, by why.", "brand", "reason", by=WORKER
        )
        self._claims = counter("claims_total", "Jobs claimed.", "kind", by=OPERATOR)
        self._promoted = counter("jobs_promoted_total", "Jobs moved to the front of their queue because a poll was asked for.", by=OPERATOR)
        self._epochs = counter(
            "queue_epochs_total", "Times the queue server was found flushed, restarted or replaced, and made anew.", by=OPERATOR
        )
        self._lost = counter("jobs_lost_total", "Jobs found lost and closed as WORKER_LOST.", "brand", by=OPERATOR)

        # Kubernetes.
        self._reconciles = counter("reconciles_total", "Plant resources reconciled, by what came of it.", "result", by=OPERATOR)
        self._patches = counter("status_patches_total", "Patches of Plant.status that the API server accepted.", by=OPERATOR)
        self._conflicts = counter(
            "status_patch_conflicts_total", "Patches of Plant.status that met a newer object and began anew.", by=OPERATOR
        )
        self._repairs = counter(
            "status_repairs_total", "Patches of a Plant.status that was not as we had last written it. No event tells of them.", by=OPERATOR
        )
        self._events = counter("events_total", "Events of Plants, by what became of them.", "reason", "result", by=OPERATOR)
        self._event_waits = counter(
            "event_waits_total", "Turns that ended with events waiting because the API server was away or asked for less.", by=OPERATOR
        )

        # Loops.
        self._turns = counter("loop_turns_total", "Turns of the process's loops, by how they ended.", "loop", "result", by=EVERY)
        self._turn_time = histogram("loop_turn_seconds", "How long a turn of a loop took.", "loop", by=EVERY, buckets=_SLOW_BUCKETS)

        # What each poll raises: prometheus_client makes texts of labels, under a lock, each time that it is asked.
        self._polls_by, self._days_by = cache(self._polls.labels), cache(self._days.labels)
        self._duration_by = cache(self._duration.labels)

        # The read API.
        self._api_requests = counter(
            "api_requests_total", "Requests to the read API that were answered, by HTTP status.", "route", "method", "code", by=API
        )
        self._api_time = histogram(
            "api_request_seconds", "From a request's header to the end of its answer.", "route", by=API, buckets=_API_BUCKETS
        )
        self._rate_fallbacks = counter(
            "api_rate_fallbacks_total", "Times the read API gave up the queue server and counted requests by itself for a while.", by=API
        )

        # The fleet, as Postgres has it.
        self._plants = gauge("plants", "Live plants by status. From Postgres: take max by (brand, status).", "brand", "status")
        self._silenced = gauge(
            "plants_silenced", "Live plants whose silence has not ended. They count in solarinvest_plants too.", "brand", "status"
        )
        self._paused = gauge(
            "plants_paused", "Plants that are polled no more because the vendor refused our credentials. Without the silenced.", "brand"
        )
        self._stale = gauge(
            "plants_stale_in_daylight",
            "Plants not yet RED that were silent for the last 2 h, through which the sun was up. Without the silenced.",
            "brand",
        )
        self._gaps = gauge(
            "plants_with_gaps", "Plants seen within 24 h that lack one of the 3 days before today. Without the silenced.", "brand"
        )
        self._depth = gauge("queue_depth", "Messages that wait in a brand's queue.", "brand")
        self._schedule_lag = gauge("schedule_lag_seconds", "Age of the oldest poll that is due and not claimed.", "brand")
        self._claim_age = gauge("claim_age_seconds", "Age of the oldest job that was claimed and has not ended.", "brand")
        self._mirror_lag = gauge("mirror_lag_seconds", "Age of the oldest change that Kubernetes should have been told by now.")

        self._begin_at_zero(tuple(Brand) if brand is None else (brand,))

    def _begin_at_zero(self, brands: Iterable[Brand]) -> None:
        """Rates are differences: a series that begins with its first count would hide it."""
        for kind in JobType:
            self._claims.labels(kind)
        by_brand = (self._alarms_dropped, self._given_back, self._refusals, self._retries, self._abandoned, self._lost)
        for brand in brands:
            for counter in by_brand:
                counter.labels(brand)
            for ended in (self._polls, self._days):
                ended.labels(brand, "success")
                ended.labels(brand, "error")
            for error in PollError:
                self._adapter_errors.labels(brand, error)
            for status in Status:
                self._transitions.labels(brand, status)

    def exposition(self) -> tuple[bytes, str]:
        """The body of /metrics and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def names(self) -> dict[str, Described]:
        """All metrics of every role by their names as written in queries, in the order in which docs/metrics.md lists them."""
        found: dict[str, Described] = {}
        for metric in vars(self).values():
            if isinstance(metric, Counter | Gauge | Histogram):
                family: Any = metric
                name = f"{family._name}_total" if isinstance(metric, Counter) else str(family._name)  # noqa: SLF001 no public way
                found[name] = Described(family._type, tuple(family._labelnames), family._documentation, self._roles[name])  # noqa: SLF001
        return found

    def record_outcome(self, outcome: Outcome) -> None:
        """A stored judgement, whoever made it."""
        if outcome.log is not None:
            ended_by = self._polls_by if outcome.log.job_type is JobType.POLL else self._days_by
            ended_by(outcome.brand, "success" if outcome.log.status is PollStatus.SUCCESS else "error").inc()
            if outcome.log.adapter_error_type is not None:
                self._adapter_errors.labels(outcome.brand, outcome.log.adapter_error_type).inc()
            if outcome.log.job_type is JobType.POLL and outcome.log.adapter_error_type is not PollError.WORKER_LOST:
                self._duration_by(outcome.brand).observe(outcome.log.duration_ms / 1000)
        for field in outcome.refusals:
            self._refused.labels(outcome.brand, field).inc()
        if outcome.alarms_dropped:
            self._alarms_dropped.labels(outcome.brand).inc(outcome.alarms_dropped)
        if outcome.transition is not None:
            self._transitions.labels(outcome.brand, outcome.transition[1]).inc()

    def record_tick(self, report: TickReport) -> None:
        self._claims.labels(JobType.POLL).inc(report.polls_claimed)
        self._claims.labels(JobType.DAILY).inc(report.days_claimed)
        self._epochs.inc(report.epoch_opened)
        for outcome in report.judged:
            self.record_outcome(outcome)

    def record_urgent(self, report: FastLaneReport) -> None:
        self._claims.labels(JobType.POLL).inc(report.claimed)
        self._promoted.inc(report.promoted)

    def record_sweep(self, report: SweepReport) -> None:
        for outcome in report.recovered:
            self._lost.labels(outcome.brand).inc()
            self.record_outcome(outcome)

    def record_reconcile(self, result: str) -> None:
        self._reconciles.labels(result).inc()

    def record_patch(self) -> None:
        self._patches.inc()

    def record_patch_conflict(self) -> None:
        self._conflicts.inc()

    def record_repair(self) -> None:
        self._repairs.inc()

    def record_event(self, reason: str, result: str) -> None:
        self._events.labels(reason, result).inc()

    def record_event_wait(self) -> None:
        self._event_waits.inc()

    def record_turn(self, loop: str, result: str, seconds: float) -> None:
        """`result` is `ok` or the name of an error type."""
        self._turns.labels(loop, result).inc()
        self._turn_time.labels(loop).observe(seconds)

    def record_api_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` and `method` are of closed lists, with `other` for the rest. `status` 0: the client was gone before the answer."""
        self._api_requests.labels(route, method, str(status)).inc()
        self._api_time.labels(route).observe(seconds)

    def record_rate_fallback(self) -> None:
        self._rate_fallbacks.inc()

    def record_dropped(self, brand: Brand, reason: str, count: int = 1) -> None:
        self._dropped.labels(brand, reason).inc(count)

    def record_given_back(self, brand: Brand, count: int) -> None:
        self._given_back.labels(brand).inc(count)

    def record_budget_refusals(self, brand: Brand, jobs: int) -> None:
        self._refusals.labels(brand).inc(jobs)

    def record_retries(self, brand: Brand, attempts: int) -> None:
        self._retries.labels(brand).inc(attempts)

    def record_abandoned(self, brand: Brand, count: int) -> None:
        self._abandoned.labels(brand).inc(count)

    def record_retired(self, brand: Brand, reason: str) -> None:
        self._retired.labels(brand, reason).inc()

    def set_fleet(self, fleet: Fleet) -> None:
        """The fleet as the database has it now. Every brand and status gets a value, so that none outlives its plants."""
        for brand in Brand:
            self._paused.labels(brand).set(fleet.paused.get(brand, 0))
            self._schedule_lag.labels(brand).set(fleet.schedule_lag_s.get(brand, 0.0))
            self._claim_age.labels(brand).set(fleet.claim_age_s.get(brand, 0.0))
            for status in Status:
                self._plants.labels(brand, status).set(fleet.plants.get((brand, status), 0))
                self._silenced.labels(brand, status).set(fleet.silenced.get((brand, status), 0))
        self._mirror_lag.set(fleet.mirror_lag_s)

    def set_stale_in_daylight(self, plants: Mapping[Brand, int]) -> None:
        for brand in Brand:
            self._stale.labels(brand).set(plants.get(brand, 0))

    def set_gaps(self, plants: Mapping[Brand, int]) -> None:
        for brand in Brand:
            self._gaps.labels(brand).set(plants.get(brand, 0))

    def set_queue_depths(self, depths: Mapping[Brand, int]) -> None:
        for brand in Brand:
            self._depth.labels(brand).set(depths.get(brand, 0))
