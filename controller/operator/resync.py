"""The net under the watch: the set difference of resources and rows, at start and every minute (PROTOCOL 26)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from controller.metrics import Metrics
from controller.operator.kubernetes_api import PlantsApi
from controller.operator.reconcile import Reconciler, ReconcileResult, contained
from controller.operator.resource import PlantResource
from controller.storage.ports import LiveRow, Store

log = structlog.get_logger()


class Resync:
    """Compares all Plants with all rows, and touches only those that differ. Stateless."""

    def __init__(
        self,
        store: Store,
        api: PlantsApi,
        reconciler: Reconciler,
        metrics: Metrics,
        clock: Callable[[], datetime],
        listed: Callable[[int], None],
    ) -> None:
        """`listed` is told the newest resourceVersion of each list (0: no Plants): the watch must have heard of it, too."""
        self._store = store
        self._api = api
        self._reconciler = reconciler
        self._metrics = metrics
        self._clock = clock
        self._listed = listed

    def turn(self) -> None:
        """Raises `StoreUnavailable`, `KubernetesUnavailable`, `KubernetesRefused`."""
        listed = self._api.list()
        # Rows are read after the list: one applied meanwhile is newer than the list and stays.
        rows = self._store.live_rows()
        for body in listed.items:
            result = contained(body, partial(self._compare, body, rows, listed.resource_version))
            if result is not None:
                self._metrics.record_reconcile(result)
        present = {str(body["metadata"]["uid"]) for body in listed.items}
        for plant_id in self._store.delete_absent(present, listed.resource_version, self._clock()):
            log.info("plant_gone", plant_id=str(plant_id))
            self._metrics.record_reconcile(ReconcileResult.DELETED)
        self._listed(max((int(body["metadata"]["resourceVersion"]) for body in listed.items), default=0))

    def _compare(self, body: Mapping[str, Any], rows: Mapping[str, LiveRow], listed_at: int) -> ReconcileResult | None:
        """None where object and row agree."""
        resource = PlantResource.parse(body)
        row = rows.get(resource.uid)
        if row is not None and self._reconciler.is_as_declared(resource, row):
            return None
        return self._reconciler.reconcile(resource, as_of=listed_at)
