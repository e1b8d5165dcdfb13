"""Names on the queue server (DOMAIN 1, locked): one place, shared by Python and, as KEYS or prefixes, by `scripts/*.lua`.

One instance, no cluster: the scripts build the keys of locks and heartbeats themselves (PROTOCOL, Redis).
"""

from collections.abc import Iterable
from uuid import UUID

from integrations.contract import Brand

BRANDS: tuple[Brand, ...] = tuple(Brand)
"""The order in which scripts that serve every brand get their keys."""

EPOCH = "epoch"
"""`<run id of the server>|<since when, in ms>`: the server that the jobs were put into (PROTOCOL 11)."""

BARRIER = "barrier"
"""The holder in the lock of a job that was found lost: no incarnation has this name (PROTOCOL 15)."""

HUEY_PREFIX = "huey.redis."
"""Huey's own prefix of its list (DOMAIN 1: accepted and documented)."""


def queue_name(brand: Brand) -> str:
    """The Huey queue of a brand: `queue:poll:solis`."""
    return f"queue:poll:{brand.slug}"


def list_key(brand: Brand) -> str:
    """The list that holds the brand's messages: pushed at the left, taken from the right."""
    return f"{HUEY_PREFIX}{queue_name(brand)}"


def waiting_key(brand: Brand) -> str:
    """The hash from job id to attempt of the messages that wait in the list. No TTL (PROTOCOL 9)."""
    return f"waiting:{brand.slug}"


def lock_key(plant_id: UUID) -> str:
    """`<incarnation>|<attempt>`: taken, and by whom (PROTOCOL 10)."""
    return f"lock:plant:{plant_id}"


def heartbeat_key(incarnation: str) -> str:
    """A worker's heartbeat: holds the epoch it began in, and lives as long as its lease."""
    return f"worker:{incarnation}"


def promotions_key(brand: Brand) -> str:
    """How many of the brand's jobs were promoted within this second (PROTOCOL 16)."""
    return f"promoted:{brand.slug}:second"


def ahead_key(brand: Brand) -> str:
    """What the brand's other jobs are owed for promoted ones: two for each, less those taken since (PROTOCOL 16)."""
    return f"promoted:{brand.slug}:ahead"


def requests_key(brand: Brand) -> str:
    """The brand's requests of the last minute, and those set aside (DOMAIN 2, brand limits). Only where the brand has a limit."""
    return f"budget:{brand.slug}:requests"


def jobs_key(brand: Brand) -> str:
    """The brand's jobs that may talk to the vendor now. Only where the brand has a limit."""
    return f"budget:{brand.slug}:jobs"


def average_key(brand: Brand) -> str:
    """How many requests a job of the brand makes, averaged over the last few. Only where the brand has a limit."""
    return f"budget:{brand.slug}:requests-a-job"


def brand_keys(brands: Iterable[Brand] = BRANDS) -> list[str]:
    """List and waiting entries, brand by brand: the KEYS of scripts that serve every brand."""
    return [key for brand in brands for key in (list_key(brand), waiting_key(brand))]
