"""What is to become of a Plant resource, given the rows that stand: one rule for both stores (DOMAIN 1, PROTOCOL 26)."""

from uuid import UUID

import msgspec

from controller.domain.plant import Declaration
from controller.storage.ports import Applied, ApplyResult


class KnownPlant(msgspec.Struct, frozen=True):
    """What a row says that matters here."""

    plant_id: UUID
    declaration: Declaration
    resource_version: int
    deleted: bool
    attempt: int

    @property
    def is_forgettable(self) -> bool:
        """Whether nothing would be lost with it: it never had a vendor identity nor a job."""
        return self.declaration.vendor_plant_id is None and self.attempt == 0


def refuse(target: KnownPlant | None, namesake: KnownPlant | None, declaration: Declaration, resource_version: int) -> Applied | None:
    """Why the resource is not to be applied, or None where it is.

    `target` is the row of its plant id, deleted or not; `namesake` the live row of its name under another plant id.
    """
    if target is not None:
        if not target.deleted and target.declaration.name != declaration.name:
            return Applied(ApplyResult.DUPLICATE, duplicate_of=target.declaration.name)
        if target.resource_version > resource_version:
            return Applied(ApplyResult.STALE)
        if not target.deleted and target.declaration == declaration:
            return Applied(ApplyResult.UNCHANGED)
        if target.resource_version == resource_version:
            # The same object again: either it was deleted at this version, or we read it otherwise than before (a new release). Another
            # object of this version takes the place of the deleted one: a duplicate whose holder is gone.
            return Applied(ApplyResult.STALE) if target.deleted and target.declaration.uid == declaration.uid else None
    if namesake is not None and namesake.resource_version >= resource_version:
        return Applied(ApplyResult.STALE)
    return None
