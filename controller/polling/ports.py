"""What polling needs from the outside: implemented by `storage` (Postgres and memory), composed in `cli`."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol
from uuid import UUID

from controller.domain.outcome import Job, Outcome
from controller.domain.plant import PlantContext
from integrations.contract import Brand, Exchange, PlantRef

Checkpoint = Callable[[str], None]
"""Passes a named place on a job's way. In production a no-op; fault tests end or freeze the process there."""


def pass_by(_: str) -> None:
    """The checkpoint of production."""


class PlantStore(Protocol):
    """Plants as rows. Both methods raise `StoreUnavailable`; `write` raises `StoreRejected` too."""

    def read(self, plant_ids: Iterable[UUID]) -> dict[UUID, PlantContext]:
        """The plants that exist, deleted ones included, in one statement."""
        ...

    def write(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Stores outcomes in one statement and returns the ids of those stored (PROTOCOL 4).

        An outcome is stored whole, if the plant still has the version it was judged on and, where it closes a job, the job's attempt
        is still open; else nothing of it is.
        """
        ...


class RereadStore(PlantStore, Protocol):
    """A store that need not tell again what is known. Raises as `PlantStore` does."""

    def reread(self, known: Collection[PlantContext]) -> dict[UUID, PlantContext]:
        """Those of `known` that nobody has written since, with the claim and the next poll of now; never one with a daily job open."""
        ...


class Transport(Protocol):
    """Reaches the vendors. In this phase: fixtures only (DOMAIN 8)."""

    def for_plant(self, brand: Brand, scenario: str, plant: PlantRef, tag: Callable[[], str]) -> Exchange:
        """The plant's way to its vendor. `tag` names the attempt, should anybody observe its exchanges; vendors never see it."""
        ...


class Lease(Protocol):
    """The worker's right to talk to vendors on behalf of the jobs it holds (PROTOCOL 22)."""

    def assert_held(self) -> None:
        """Raises `LeaseLost`."""
        ...


class Allowance(Protocol):
    """One job's part of its brand's budget."""

    def spend(self) -> None:
        """One request is about to be made. Raises `BudgetSpent`, or `AdapterError` where the limit can never be enough for the job."""
        ...

    def settle(self) -> None:
        """The job's last request has ended: what was not used is free for others. Raises nothing."""
        ...


class RequestBudget(Protocol):
    """A brand's limits on requests, across all workers (DOMAIN 2)."""

    def reserve(self, job: Job) -> Allowance | None:
        """What the job will need, set aside before its first request; None where the limits admit no more now."""
        ...


class Unlimited:
    """The budget, and the allowance, of a brand without limits."""

    def reserve(self, _: Job) -> Allowance:
        return self

    def spend(self) -> None: ...

    def settle(self) -> None: ...
