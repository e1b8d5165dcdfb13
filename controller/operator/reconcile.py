"""From a Plant object to its row: level-based, so that doing it twice, late or out of order comes to the same (PROTOCOL 26).

Called by the watch for each event and by resync for each object whose row differs.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import structlog

from controller.domain.errors import StoreRejected, StoreUnavailable
from controller.domain.judge import judge_declared
from controller.domain.plant import Declaration
from controller.operator.conditions import tells_ignored
from controller.operator.digest import digest
from controller.operator.events import PlantEvent, rejection
from controller.operator.kubernetes_api import KubernetesRefused, KubernetesUnavailable, ObjectChanged, PlantsApi, StatusRefused
from controller.operator.merge_patch import merge_patch
from controller.operator.resource import PlantResource, Refusal, ResourceUnreadable, refusal
from controller.operator.status_document import refused_document
from controller.storage.ports import ApplyResult, LiveRow, Store
from integrations.contract import Brand, VendorCapabilities

log = structlog.get_logger()
T = TypeVar("T")


class ReconcileResult(StrEnum):
    """What came of an event: the label of `solarinvest_reconciles_total`."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    STALE = "stale"
    REFUSED = "refused"
    DELETED = "deleted"
    STATUS_RESET = "status_reset"
    UNREADABLE = "unreadable"
    """The object is no Plant of this version."""
    REJECTED = "rejected"
    """Postgres or the API server will not take what we made of it."""
    POSTPONED = "postponed"
    """A server was away: the next resync makes it good."""
    BROKEN = "broken"
    """A defect of ours. The log has the traceback."""


def contained(body: Mapping[str, Any], work: Callable[[], T]) -> T | ReconcileResult:
    """What `work` says of one object, or what went wrong with it: one bad object harms no other. Raises `StoreUnavailable`."""
    try:
        return work()
    except StoreUnavailable:
        raise
    except ResourceUnreadable as error:
        return _reported("plant_unreadable", body, error, ReconcileResult.UNREADABLE)
    except (StoreRejected, StatusRefused) as error:
        return _reported("plant_rejected", body, error, ReconcileResult.REJECTED)
    except (KubernetesUnavailable, KubernetesRefused) as error:
        return _reported("plant_postponed", body, error, ReconcileResult.POSTPONED)
    except Exception:
        log.exception("plant_broke", plant=_name(body))
        return ReconcileResult.BROKEN


def _reported(event: str, body: Mapping[str, Any], error: Exception, result: ReconcileResult) -> ReconcileResult:
    log.warning(event, plant=_name(body), error=type(error).__name__, message=str(error))
    return result


def _name(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata") or {}
    return f"{metadata.get('namespace')}/{metadata.get('name')}"


class Reconciler:
    """Applies objects to rows. Stateless; called from several threads."""

    def __init__(
        self,
        store: Store,
        api: PlantsApi,
        capabilities: Mapping[Brand, VendorCapabilities],
        clock: Callable[[], datetime],
        announce: Callable[[PlantResource, Sequence[PlantEvent]], None],
    ) -> None:
        """`announce` takes the events of one Plant: `EventPoster.announce`. It neither waits nor raises."""
        self._store = store
        self._api = api
        self._capabilities = capabilities
        self._clock = clock
        self._announce = announce

    def reconcile(self, resource: PlantResource, deleted: bool = False, as_of: int = 0) -> ReconcileResult:
        """Makes the row what the object says. Raises the store's errors and, for a refusal's status, the API server's.

        `as_of`: the version of a list that had the object. It stood like that then, which may be long after its last change: without
        this, one that was refused while another Plant held its vendor identity would be older than that Plant's deletion for ever.
        """
        if deleted:
            self._delete(resource)
            return ReconcileResult.DELETED
        refused = refusal(resource)
        if refused is not None:
            return self._refuse(resource, refused)
        applied = self._store.apply(
            resource.plant_id, self._declaration(resource), max(resource.resource_version, as_of), self._clock(), judge_declared
        )
        match applied.result:
            case ApplyResult.DUPLICATE:
                vendor_plant_id = resource.spec.vendor_plant_id or ""
                return self._refuse(resource, Refusal.duplicate(resource.spec.brand, vendor_plant_id, applied.duplicate_of or "?"))
            case ApplyResult.APPLIED:
                log.info("plant_declared", plant=f"{resource.namespace}/{resource.name}", plant_id=str(resource.plant_id))
                return ReconcileResult.APPLIED
            case ApplyResult.STALE:
                return ReconcileResult.STALE
            case ApplyResult.UNCHANGED:
                reset = self._store.reset_mirror(resource.plant_id, resource.resource_version, _shown(resource), self._clock())
                return ReconcileResult.STATUS_RESET if reset else ReconcileResult.UNCHANGED

    def is_as_declared(self, resource: PlantResource, row: LiveRow) -> bool:
        """Whether row and object agree, so that resync need not touch them."""
        if refusal(resource) is not None or row.declaration != self._declaration(resource):
            return False
        return row.mirror.digest == _shown(resource) or resource.resource_version <= row.mirror.resource_version

    def _declaration(self, resource: PlantResource) -> Declaration:
        return resource.declaration(self._capabilities[resource.spec.brand].recommended_min_interval_seconds)

    def _delete(self, resource: PlantResource) -> None:
        if self._store.delete(resource.namespace, resource.name, resource.uid, resource.resource_version, self._clock()):
            log.info("plant_deleted", plant=f"{resource.namespace}/{resource.name}", plant_id=str(resource.plant_id))

    def _refuse(self, resource: PlantResource, refused: Refusal) -> ReconcileResult:
        """A refused Plant is not monitored: what ran under its name stops, and its status says why."""
        self._delete(resource)
        document = refused_document(refused, resource, self._clock())
        if document != resource.status:
            log.warning("plant_refused", plant=f"{resource.namespace}/{resource.name}", reason=refused.reason)
            try:
                self._api.patch_status(
                    resource.namespace, resource.name, resource.uid, str(resource.resource_version), merge_patch(resource.status, document)
                )
            except ObjectChanged:
                # A newer event of the same object is on its way, and will say so again.
                return ReconcileResult.STALE
            self._announce(resource, rejection(resource.status, refused, resource.generation))
        return ReconcileResult.REFUSED


def _shown(resource: PlantResource) -> str:
    """The digest of the status as it stands; that of no status where it is silent about an annotation, so that it is written anew."""
    return digest(resource.status) if tells_ignored(resource) else ""
