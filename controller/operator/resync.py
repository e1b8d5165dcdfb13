"""The net under the watch: the set difference of resources and rows, at start and every minute (PROTOCOL 26)."""

from collections.abc import Callable
from datetime import datetime

import structlog

from controller.metrics import Metrics
from controller.operator.kubernetes_api import PlantsApi
from controller.operator.reconcile import Reconciler
from controller.operator.resource import PlantResource, ResourceUnreadable
from controller.storage.ports import Store

log = structlog.get_logger()


class Resync:
    """Compares all Plants with all rows, and touches only those that differ. Stateless."""

    def __init__(
        self, store: Store, api: PlantsApi, reconciler: Reconciler, metrics: Metrics, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._api = api
        self._reconciler = reconciler
        self._metrics = metrics
        self._clock = clock

    def turn(self) -> None:
        """Raises `StoreUnavailable`, `KubernetesUnavailable`."""
        listed = self._api.list()
        # Rows are read after the list: one applied meanwhile is newer than the list and stays.
        rows = self._store.live_rows()
        present: set[str] = set()
        for body in listed.items:
            present.add(str(body["metadata"]["uid"]))
            try:
                resource = PlantResource.parse(body)
            except ResourceUnreadable as error:
                log.warning("plant_unreadable", name=body["metadata"].get("name"), message=str(error))
                self._metrics.record_reconcile("unreadable")
                continue
            row = rows.get(resource.uid)
            if row is None or not self._reconciler.is_as_declared(resource, row):
                self._metrics.record_reconcile(self._reconciler.reconcile(resource))
        gone = self._store.delete_absent(present, listed.resource_version, self._clock())
        for plant_id in gone:
            log.info("plant_gone", plant_id=str(plant_id))
            self._metrics.record_reconcile("deleted")
