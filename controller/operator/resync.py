"""The net under the watch: the set difference of resources and rows, at start and every minute (PROTOCOL 26)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from controller.metrics import Metrics
from controller.operator.kubernetes_api import ObjectPage, PlantsApi
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
        still_turns: Callable[[], None] = lambda: None,
    ) -> None:
        """`listed` is told the newest resourceVersion of each list (0: no Plants): the watch must have heard of it, too.

        `still_turns` is called after each page: the first list of a large fleet takes minutes, and none of them is lost time.
        """
        self._store = store
        self._api = api
        self._reconciler = reconciler
        self._metrics = metrics
        self._clock = clock
        self._listed = listed
        self._still_turns = still_turns

    def turn(self) -> None:
        """Raises `StoreUnavailable`, `KubernetesUnavailable`, `KubernetesRefused`."""
        present: set[str] = set()
        newest = listed_at = 0
        for page in self._api.pages():
            listed_at = page.resource_version
            self._compare_page(page)
            # Of what was compared, only this is kept: the fleet as objects would be gigabytes at 100,000 Plants.
            present.update(str(body["metadata"]["uid"]) for body in page.items)
            newest = max(newest, *(int(body["metadata"]["resourceVersion"]) for body in page.items), 0)
            self._still_turns()
        for plant_id in self._store.delete_absent(present, listed_at, self._clock()):
            log.info("plant_gone", plant_id=str(plant_id))
            self._metrics.record_reconcile(ReconcileResult.DELETED)
        self._listed(newest)

    def _compare_page(self, page: ObjectPage) -> None:
        # Rows are read after the list: one applied meanwhile is newer than the list and stays.
        rows = self._store.live_rows([(body["metadata"]["namespace"], body["metadata"]["name"]) for body in page.items])
        for body in page.items:
            result = contained(body, partial(self._compare, body, rows, page.resource_version))
            if result is not None:
                self._metrics.record_reconcile(result)

    def _compare(self, body: Mapping[str, Any], rows: Mapping[str, LiveRow], listed_at: int) -> ReconcileResult | None:
        """None where object and row agree."""
        resource = PlantResource.parse(body)
        row = rows.get(resource.uid)
        if row is not None and self._reconciler.is_as_declared(resource, row):
            return None
        return self._reconciler.reconcile(resource, as_of=listed_at)
