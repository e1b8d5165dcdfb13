"""The watch on Plants: kopf, used for what it does best, a patient stream of events. No timers, no finalizers, no progress in annotations.

kopf ends itself on errors that it cannot bear, and its stream may die without a word. It runs on a thread of its own and is started
again in both cases, from a full list, while polling goes on.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import kopf
import structlog
from kubernetes import client

from controller.domain.errors import StoreUnavailable
from controller.metrics import Metrics
from controller.operator.hearing import DEAF_AFTER_S, Hearing, Verdict
from controller.operator.kubernetes_api import GROUP, PAGE, PLURAL, VERSION, KubernetesRefused, KubernetesUnavailable, PlantsApi
from controller.operator.reconcile import Reconciler, ReconcileResult, contained
from controller.operator.resource import PlantResource
from controller.probes import Progress

log = structlog.get_logger()

LOOP = "watch"
RESTART_AFTER_S = 2.0
PULSE_S = 0.5
"""How soon a stop and deafness are noticed."""
CLOSING_S = 0.25


class WatchDeaf(Exception):
    """Resync lists changes of which no event has come."""


class Watch:
    """Feeds events of Plants to the reconciler until `stop` is set.

    In `progress` it comes round as long as its event loop turns, and succeeds as long as it is known to hear.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        api: PlantsApi,
        configuration: client.Configuration,
        metrics: Metrics,
        deaf_after_s: float = DEAF_AFTER_S,
        is_echo: Callable[[Mapping[str, Any]], bool] = lambda _: False,
        first_comparison_within_s: float = 0.0,
    ) -> None:
        """`is_echo` says of an object whether it is as a patch of ours left it (`Echoes`).

        The first list waits for resync's, up to `first_comparison_within_s`: what that has compared is not held in memory once more,
        each with a task of its own, as kopf would.
        """
        self._reconciler = reconciler
        self._api = api
        self._configuration = configuration
        self._metrics = metrics
        self._progress = Progress()
        self._deaf_after_s = deaf_after_s
        self._hearing = Hearing(time.monotonic(), deaf_after_s)
        self._deaf = threading.Event()
        self._is_echo = is_echo
        self._first_comparison_within_s = first_comparison_within_s
        self._has_compared = threading.Event()
        self._compared = 0
        """Whatever changed up to this resourceVersion has been compared with its row by resync."""

    def start(self, stop: threading.Event, progress: Progress, bound_s: float) -> threading.Thread:
        self._progress = progress
        progress.expect(LOOP, bound_s)
        _quieten_kopf()
        thread = threading.Thread(target=self._run, args=(stop,), name=LOOP, daemon=True)
        thread.start()
        return thread

    def compare(self, newest: int) -> None:
        """Resync has listed all Plants, the newest of which has this resourceVersion (0: there are none)."""
        self._compared = newest
        self._has_compared.set()
        match self._hearing.compare(newest, time.monotonic()):
            case Verdict.HEARS:
                self._progress.turned(LOOP)
            case Verdict.DEAF:
                self._deaf.set()

    def _run(self, stop: threading.Event) -> None:
        until = time.monotonic() + self._first_comparison_within_s
        while time.monotonic() < until and not stop.is_set() and not self._has_compared.wait(PULSE_S):
            self._progress.turned(LOOP, succeeded=False)
        while not stop.is_set():
            began = time.monotonic()
            result = self._life(stop)
            self._metrics.record_turn(LOOP, result, time.monotonic() - began)
            self._progress.turned(LOOP, succeeded=False)
            stop.wait(RESTART_AFTER_S)

    def _life(self, stop: threading.Event) -> str:
        """One life of kopf, from its start to its end: `ok`, or the name of what ended it."""
        self._hearing = Hearing(time.monotonic(), self._deaf_after_s)
        if self._deaf.is_set():
            # What resync has listed cannot be relied on either: this life looks at all it lists.
            self._compared = 0
            self._deaf.clear()
        try:
            # Asked first in our own way: kopf takes minutes to find out, or waits for ever where the definition is missing.
            self._api.assert_served()
            asyncio.run(self._operate(stop))
        except (KubernetesUnavailable, KubernetesRefused, WatchDeaf) as error:
            log.warning("watch_ended", error=type(error).__name__, message=str(error))
            return type(error).__name__
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 each way to end is told and counted, and none ends the thread
            # kopf gives up with whatever it met, many layers deep: its traceback says nothing that the error does not.
            log.warning("watch_ended", error=type(error).__name__, message=str(error), cause=repr(error.__cause__))
            return type(error).__name__
        if stop.is_set():
            return "ok"
        log.warning("watch_ended", error="", message="kopf has ended without an error")
        return "ended"

    async def _operate(self, stop: threading.Event) -> None:
        # An asyncio flag: for one of `threading`, kopf leaves a thread waiting, and `asyncio.run` would wait for that thread for ever.
        ending = asyncio.Event()
        # kopf ends every task that is younger than itself: this one must be older.
        pulse = asyncio.create_task(self._pulse(stop, ending))
        try:
            # Standalone there are no peers to tell it to; but kopf would look our host's name up for one, wherever that leads.
            identity: Any = "solarinvest-operator"
            await kopf.operator(
                registry=self._registry(), settings=_settings(), clusterwide=True, standalone=True, identity=identity, stop_flag=ending
            )
        finally:
            pulse.cancel()
            # aiohttp closes encrypted connections a moment later: else each life would leave a few open.
            await asyncio.sleep(CLOSING_S)
        if self._deaf.is_set() and not stop.is_set():
            raise WatchDeaf("resync lists changes of which no event has come")

    async def _pulse(self, stop: threading.Event, ending: asyncio.Event) -> None:
        while not (stop.is_set() or self._deaf.is_set()):
            self._progress.turned(LOOP, succeeded=False)
            await asyncio.sleep(PULSE_S)
        ending.set()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, when=self._is_news)(self._on_plant_event)
        return registry

    def _login(self, **_: Any) -> kopf.ConnectionInfo:
        """Asked anew by kopf when the API server refuses what it has: a pod's token is renewed in its file."""
        configuration = self._configuration
        scheme, _space, token = (configuration.get_api_key_with_prefix("BearerToken") or "").rpartition(" ")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            proxy_url=configuration.proxy,
        )

    def _is_news(self, event: kopf.RawEvent, **_: Any) -> bool:
        """False for what a row says already: it takes no thread, no parsing and no look at the database."""
        body = event["object"]
        resource_version = int(body["metadata"]["resourceVersion"])
        if event["type"] == "DELETED" or not (resource_version <= self._compared or self._is_echo(body)):
            return True
        self._hearing.hear(resource_version, time.monotonic())
        self._progress.turned(LOOP)
        return False

    def _on_plant_event(self, event: kopf.RawEvent, **_: Any) -> None:
        """An event that cannot be handled now is made good by the next resync."""
        body, deleted = event["object"], event["type"] == "DELETED"
        try:
            result = contained(body, lambda: self._reconciler.reconcile(PlantResource.parse(body), deleted))
        except StoreUnavailable as error:
            log.warning("event_postponed", error=type(error).__name__)
            result = ReconcileResult.POSTPONED
        self._metrics.record_reconcile(result)
        self._hearing.hear(int(body["metadata"]["resourceVersion"]), time.monotonic())
        self._progress.turned(LOOP)


class _NoDiffs(kopf.DiffBaseStorage):
    """What an object was before, for handlers of changes. We have none; kopf would copy each event's object for it, whole."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return None


def _quieten_kopf() -> None:
    """Everything that kopf reports, we report ourselves, in a line: its end, by what; an API server that is away; a broken handler."""
    if logging.getLogger().getEffectiveLevel() > logging.DEBUG:
        logging.getLogger("kopf").setLevel(logging.CRITICAL)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    # Lists come in pages: without this, all objects of a list are in memory at once.
    settings.watching.chunk_size = PAGE
    settings.networking.request_timeout = 30
    # Seconds between tries while the API server is away; then kopf begins anew. Its default ends with pauses of 13 and 21 s.
    settings.networking.error_backoffs = (1, 2, 3)
    settings.persistence.diffbase_storage = _NoDiffs()
    # Ours (`probes.watch`) says in the log why it ends the process.
    settings.process.ultimate_exiting_timeout = None
    # No limit of workers, and each freed at once: kopf's default of 5 s an object would hold up a large fleet.
    settings.queueing.idle_timeout = 0.1
    settings.execution.max_workers = 4
    return settings
