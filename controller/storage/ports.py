"""What the stores offer beyond the ports of `polling` and `scheduling`: the operator's side. One contract suite covers both stores."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

import msgspec

from controller.domain.judge import JudgeDeclared
from controller.domain.outcome import Outcome
from controller.domain.plant import Alert, Declaration, PlantContext, Status
from controller.domain.sun import Site
from integrations.contract import Brand

NO_LIMITS: Mapping[Brand, int] = MappingProxyType({})


class ApplyResult(StrEnum):
    APPLIED = "APPLIED"
    """The declaration was new or had changed: it is stored and judged."""
    UNCHANGED = "UNCHANGED"
    """It is what is stored already."""
    STALE = "STALE"
    """The object is older than what was applied, or than the deletion."""
    DUPLICATE = "DUPLICATE"
    """Another live Plant of the namespace has this vendor identity. Nothing was changed (DOMAIN 1)."""


class Applied(msgspec.Struct, frozen=True):
    """What became of one declaration. `duplicate_of` names the other Plant, `outcome` is what was stored."""

    result: ApplyResult
    duplicate_of: str | None = None
    outcome: Outcome | None = None


class MirrorAck(msgspec.Struct, frozen=True):
    """A patch that the API server took: the plant's `version` it showed, the object's resourceVersion after it, the status' digest."""

    plant_id: UUID
    version: int
    resource_version: int
    digest: str
    alerts: tuple[UUID, ...] = ()
    """The alerts that were active in that version."""
    held_until: datetime | None = None
    """Until when the plant is not to be patched for what changes with every poll; None leaves it as it is."""


class Told(msgspec.Struct, frozen=True):
    """What Kubernetes was last told of a plant, as far as what has happened since is to be found by it."""

    digest: str | None
    """Of the status; None where nothing has been told of this object since it was declared or accepted again."""
    alerts: tuple[UUID, ...] | None
    """The alerts active then; None where that is not known."""
    ended: tuple[Alert, ...] = ()
    """Those of them that are resolved by now."""
    resource_version: int = 0
    """Of the object after the patch that was acknowledged last; 0 where there was none."""
    is_notable: bool = False
    """Whether more has changed since than numbers (PROTOCOL 27)."""


class MirrorBooks(msgspec.Struct, frozen=True):
    """What Kubernetes was last told of a plant."""

    mirrored_version: int
    resource_version: int
    digest: str | None


class LiveRow(msgspec.Struct, frozen=True):
    """A live plant as resync compares it with its resource: as declared, and as last told to Kubernetes."""

    plant_id: UUID
    declaration: Declaration
    mirror: MirrorBooks


class Fleet(msgspec.Struct, frozen=True):
    """Numbers over all live plants, for metrics."""

    plants: Mapping[tuple[Brand, Status], int]
    silenced: Mapping[tuple[Brand, Status], int]
    """Plants whose silence ends later (DOMAIN 6). They are judged, and counted in `plants`, as all others."""
    paused: Mapping[Brand, int]
    """Plants that wait for a person because the vendor refused our credentials (DOMAIN 2), by brand, without the silenced."""
    schedule_lag_s: Mapping[Brand, float]
    """Age of the oldest poll that is due and unclaimed, by brand; 0 where none is. Seconds."""
    claim_age_s: Mapping[Brand, float]
    """Age of the oldest open claim, by brand: how long a job has waited and run; 0 where none is open. Seconds."""
    mirror_lag_s: float
    """Age of the oldest change that Kubernetes should have been told by now: what is held back does not count (PROTOCOL 27). Seconds."""


class SilentPlant(msgspec.Struct, frozen=True):
    """An ACTIVE plant that is not RED, not silenced, and was last seen before some instant."""

    plant_id: UUID
    brand: Brand
    timezone: str
    site: Site | None


class Store(Protocol):
    """Every method raises `StoreUnavailable`; those that store text and numbers of others raise `StoreRejected` too."""

    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]:
        """The plants that exist, deleted ones included, in one statement."""
        ...

    def apply(self, plant_id: UUID, declaration: Declaration, resource_version: int, now: datetime, judge: JudgeDeclared) -> Applied:
        """Takes over a Plant resource if it is newer than the one applied, and judges the plant under it, in one transaction (PROTOCOL 26).

        The same Plant under another plant id (vendorPlantId was set, or it was created anew) is deleted in the same transaction; a row
        that never had a vendor identity nor a job is removed. A deleted plant comes back with its history. Raises `StoreRejected`.
        """
        ...

    def delete(self, namespace: str, name: str, uid: str, resource_version: int, now: datetime) -> UUID | None:
        """Marks the plant of a deleted resource, unless what is applied is as new or of another uid. Its id, if it was marked.

        An open claim stays open (PROTOCOL 3).
        """
        ...

    def delete_absent(self, present: Collection[str], listed_at: int, now: datetime) -> list[UUID]:
        """Marks the live plants whose uid is not in `present`, a complete list at resourceVersion `listed_at`, and that were applied
        before it (PROTOCOL 26)."""
        ...

    def live_rows(self, names: Sequence[tuple[str, str]]) -> dict[str, LiveRow]:
        """The live plants of these resources, by namespace and name, by the uid of their resource."""
        ...

    def purge(self, limit: int) -> list[UUID]:
        """Removes up to `limit` deleted plants with all their rows: those of historyPolicy Delete, and those that never had a vendor
        identity. An open claim makes it wait (PROTOCOL 3)."""
        ...

    def untold(self, limit: int, now: datetime) -> list[UUID]:
        """Up to `limit` live plants that Kubernetes is to be told the newest version of and that nobody has leased, notable changes first,
        then oldest first. A look at every plant.

        A plant without a notable change (`Outcome.is_notable`) is held back until `MirrorAck.held_until`, and then for the next poll,
        a minute at most (PROTOCOL 27).
        """
        ...

    def lease_for_mirror(self, limit: int, now: datetime, lease_s: float, only: Collection[UUID]) -> list[UUID]:
        """Up to `limit` plants of `only` that are `untold`, in the same order. Nobody else gets them within `lease_s`, until they are
        acknowledged or released."""
        ...

    def acknowledge(self, acks: Sequence[MirrorAck], now: datetime) -> None:
        """Notes patches and ends the leases. A mirrored version never goes back (PROTOCOL 27)."""
        ...

    def release(self, plant_ids: Iterable[UUID]) -> None:
        """Ends leases without a patch."""
        ...

    def mirror_books(self, plant_ids: Iterable[UUID]) -> dict[UUID, MirrorBooks]:
        """What was acknowledged last, by plant."""
        ...

    def told(self, plant_ids: Iterable[UUID]) -> dict[UUID, Told]:
        """What was acknowledged last, by plant, and which alerts of it have been resolved since."""
        ...

    def reset_mirror(self, plant_id: UUID, resource_version: int, digest: str, now: datetime) -> bool:
        """Has the plant mirrored again if its object, at `resource_version`, shows another status than was last patched (PROTOCOL 27)."""
        ...

    def fleet(self, now: datetime) -> Fleet:
        """Counts and lags for metrics, in one pass."""
        ...

    def silent_plants(self, seen_before: datetime, now: datetime, limit: int, after: UUID | None = None) -> list[SilentPlant]:
        """Plants last seen before an instant, in the order of their ids, those after `after`: a page of up to `limit`."""
        ...

    def plants_with_gaps(self, now: datetime) -> Mapping[Brand, int]:
        """How many ACTIVE plants, seen within 24 h, not silenced and with a day before D-3, lack one of the days D-3..D-1 (DOMAIN 4)."""
        ...

    def ensure_partitions(self, now: datetime, days_ahead: int = 7) -> list[str]:
        """Makes room for the PollLogs of the coming days; names what it made."""
        ...

    def drop_partitions(self, before: date) -> list[str]:
        """Drops the PollLogs of claims before the UTC day `before`, as far as no open claim needs them; names what it dropped."""
        ...
