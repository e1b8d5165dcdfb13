"""The watch on Plants: kopf, used for what it does best, a patient stream of events. No timers, no finalizers, no progress in annotations.

kopf ends itself on errors it cannot bear; it runs on a thread of its own and is started again, so that polling goes on meanwhile.
"""

import asyncio
import threading
from typing import Any

import kopf
import structlog
from kubernetes import client

from controller.domain.errors import StoreUnavailable
from controller.metrics import Metrics
from controller.operator.kubernetes_api import GROUP, PLURAL, VERSION, KubernetesRefused, KubernetesUnavailable
from controller.operator.reconcile import Reconciler
from controller.operator.resource import PlantResource, ResourceUnreadable

log = structlog.get_logger()

RESTART_AFTER_S = 2.0


class Watch:
    """Feeds events of Plants to the reconciler until `stop` is set."""

    def __init__(self, reconciler: Reconciler, configuration: client.Configuration, metrics: Metrics) -> None:
        self._reconciler = reconciler
        self._configuration = configuration
        self._metrics = metrics

    def start(self, stop: threading.Event) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(stop,), name="watch", daemon=True)
        thread.start()
        return thread

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                asyncio.run(self._operate(stop))
                result = "ok"
            except Exception as error:
                # kopf gives up with whatever it met; each time it starts again from a full list.
                log.warning("watch_ended", error=type(error).__name__, exc_info=True)
                result = type(error).__name__
            self._metrics.record_turn("watch", result, 0.0)
            stop.wait(RESTART_AFTER_S)

    async def _operate(self, stop: threading.Event) -> None:
        await kopf.operator(
            registry=self._registry(),
            settings=_settings(),
            clusterwide=True,
            standalone=True,
            stop_flag=stop,
        )

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(self._on_plant_event)
        return registry

    def _login(self, **_: Any) -> kopf.ConnectionInfo:
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
        )

    def _on_plant_event(self, event: kopf.RawEvent, **_: Any) -> None:
        """An event that cannot be handled now is made good by the next resync."""
        try:
            resource = PlantResource.parse(event["object"])
            result = str(self._reconciler.reconcile(resource, deleted=event["type"] == "DELETED"))
        except ResourceUnreadable as error:
            log.warning("plant_unreadable", message=str(error))
            result = "unreadable"
        except (StoreUnavailable, KubernetesUnavailable, KubernetesRefused) as error:
            log.warning("event_postponed", error=type(error).__name__)
            result = "postponed"
        self._metrics.record_reconcile(result)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    # No limit of workers, and each freed at once: kopf's default of 5 s an object would hold up a large fleet.
    settings.queueing.idle_timeout = 0.1
    settings.execution.max_workers = 4
    return settings
