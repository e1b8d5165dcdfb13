"""From rows to `Plant.status`: the newest version only, never an older one, and nothing where nothing differs (PROTOCOL 27).

`Mirror.turn` is called over and over by a loop of the operator, in any number of copies: a lease in the row keeps them out of each
other's way, and the object's resourceVersion in every patch keeps them right if it does not.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from controller.domain.plant import PlantContext
from controller.metrics import Metrics
from controller.operator.digest import digest
from controller.operator.kubernetes_api import ObjectChanged, PlantsApi, StatusRefused
from controller.operator.merge_patch import merge_patch
from controller.operator.resource import PlantResource, ResourceUnreadable
from controller.operator.status_document import status_document
from controller.storage.changes import ChangeListener
from controller.storage.ports import MirrorAck, Store

log = structlog.get_logger()

BATCH = 100
"""Plants leased at once: their patches take a second or two, well within the lease."""
LEASE_S = 30.0
WAIT_S = 1.0
SCAN_EVERY = timedelta(seconds=10)
"""A lost notification is made good within this: the scan reads versions of all plants."""
Objects = Mapping[UUID, PlantResource]


class Mirror:
    """One mirroring loop. Owned by one thread."""

    def __init__(
        self,
        store: Store,
        changes: ChangeListener,
        api: PlantsApi,
        metrics: Metrics,
        clock: Callable[[], datetime],
        at: Callable[[str], None],
    ) -> None:
        self._store = store
        self._changes = changes
        self._api = api
        self._metrics = metrics
        self._clock = clock
        self._at = at
        self._scanned_at: datetime | None = None
        self._is_behind = True

    def turn(self) -> None:
        """Waits a moment for changes, then mirrors up to `BATCH` plants that have changed.

        Raises `StoreUnavailable`, `StatusRefused` (of one plant; the others are mirrored) and the API server's errors. What a turn leaves
        undone is the next one's: it does not wait.
        """
        hinted = self._changes.wait_for_changes(0.0 if self._is_behind else WAIT_S)
        now = self._clock()
        if self._is_behind or hinted is None or self._scanned_at is None or now - self._scanned_at >= SCAN_EVERY:
            self._scanned_at, hinted = now, None
        if hinted == set():
            return
        self._is_behind = True
        ids = self._store.lease_for_mirror(BATCH, now, LEASE_S, hinted)
        unfinished = self._mirror(ids)
        self._is_behind = unfinished or len(ids) == BATCH

    def _mirror(self, ids: Sequence[UUID]) -> bool:
        """Mirrors leased plants: first the objects, then the rows, then the patches, so that no patch can carry an older row.

        Whether some are to be looked at again at once, for their objects have changed meanwhile.
        """
        if not ids:
            return False
        mirrored: list[MirrorAck] = []
        again, refused = set(ids), None
        try:
            objects = self._objects(self._store.read(ids))
            rows = self._store.read(objects)
            # A row without its object waits until its lease ends: the watch or the next resync will tell what became of it.
            again = {plant_id for plant_id, row in rows.items() if not row.deleted and row.declaration.uid == objects[plant_id].uid}
            self._at("after-row-read")
            for plant_id in [plant_id for plant_id in objects if plant_id in again]:
                try:
                    done = self._patch(rows[plant_id], objects[plant_id])
                except StatusRefused as error:
                    # One plant holds up no other. It is tried again when its lease ends.
                    refused = StatusRefused(f"{objects[plant_id].namespace}/{objects[plant_id].name}: {error}")
                    again.discard(plant_id)
                    continue
                if done is not None:
                    mirrored.append(done)
                    again.discard(plant_id)
        finally:
            self._store.acknowledge(mirrored, self._clock())
            self._store.release(again)
        if refused is not None:
            raise refused
        return bool(again)

    def _objects(self, rows: Mapping[UUID, PlantContext]) -> dict[UUID, PlantResource]:
        found = {}
        for plant_id, row in rows.items():
            body = self._api.get(row.declaration.namespace, row.declaration.name)
            if body is None or row.deleted:
                continue
            try:
                resource = PlantResource.parse(body)
            except ResourceUnreadable as error:
                log.warning("plant_unreadable", plant_id=str(plant_id), message=str(error))
                continue
            if resource.uid == row.declaration.uid:
                found[plant_id] = resource
        return found

    def _patch(self, row: PlantContext, resource: PlantResource) -> MirrorAck | None:
        """Brings one object up to its row. None where the object has changed meanwhile: the row is leased again at once."""
        patch = merge_patch(resource.status, status_document(row, resource, self._clock()))
        if not patch:
            return MirrorAck(row.plant_id, row.version, resource.resource_version, digest(resource.status))
        try:
            patched = self._api.patch_status(resource.namespace, resource.name, resource.uid, str(resource.resource_version), patch)
        except ObjectChanged:
            self._metrics.record_patch_conflict()
            return None
        self._metrics.record_patch()
        return MirrorAck(row.plant_id, row.version, int(patched["metadata"]["resourceVersion"]), digest(patched.get("status", {})))
