"""What an adapter is: the one page between the product and a vendor's cloud.

Called by `controller.polling`, implemented once per brand under `integrations/<brand>/adapter.py`. Everything that crosses this
page is normalised (DOMAIN 3): power in W, energy in kWh, instants as aware datetimes in UTC, days as dates of the plant's own zone.
Raw vendor payloads never do.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec


class Brand(StrEnum):
    """The vendors whose clouds we read (DOMAIN 1, locked). Lower case in queue and folder names: `brand.slug`."""

    SOLIS = "SOLIS"
    HUAWEI = "HUAWEI"
    GOODWE = "GOODWE"
    DELE = "DELE"

    @property
    def slug(self) -> str:
        return self.value.lower()


class Severity(StrEnum):
    """How bad an alarm is, on one rising scale for all vendors (DOMAIN 6). Some vendors count downwards: adapters turn them."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class PlantRef(msgspec.Struct, frozen=True):
    """What an adapter may know of a plant."""

    vendor_plant_id: str
    timezone: ZoneInfo
    capacity_kwp: float | None = None


class VendorRequest(msgspec.Struct, frozen=True):
    """One call of a vendor's API: its documented path and the JSON body (all these APIs are POST)."""

    path: str
    body: Mapping[str, Any]


class VendorResponse(msgspec.Struct, frozen=True):
    """What came back: the HTTP status and the untouched bytes. Adapters judge both, for vendors report errors inside HTTP 200."""

    status: int
    body: bytes


Exchange = Callable[[VendorRequest], VendorResponse]
"""Performs one request for one plant. Raises `AdapterError` (NETWORK_TIMEOUT) when nothing came back, and whatever ends the job
early (a lease that ran out): an adapter lets exceptions of an exchange pass."""


class Reading(msgspec.Struct, frozen=True):
    """What the vendor's summary says of a plant. Every field may be missing (None): a missing power is not 0 (DOMAIN 3).

    Values are only converted here, not judged: refusing the implausible is the domain's work.
    """

    sampled_at: datetime | None = None
    """When the vendor took the values. UTC."""
    last_seen_at: datetime | None = None
    """When the plant itself last reported, as the vendor says. UTC. None keeps the previous one."""
    current_power_w: float | None = None
    today_energy_kwh: float | None = None
    total_energy_kwh: float | None = None
    grid_injection_power_w: float | None = None
    """Export only; import is 0 or None, never negative."""


class Alarm(msgspec.Struct, frozen=True):
    """One line of the vendor's alarm list. Empty codes and serials are None, so that equal alarms have equal keys."""

    code: str | None
    device_sn: str | None
    severity: Severity
    message: str
    occurred_at: datetime | None
    is_active: bool


class AlarmList(msgspec.Struct, frozen=True):
    """The vendor's alarms of one plant. `complete`: the list holds every active alarm, so absence from it means the end."""

    alarms: tuple[Alarm, ...]
    complete: bool


class VendorCapabilities(msgspec.Struct, frozen=True):
    """What a vendor's cloud bears (DOMAIN 2). The scheduler and the workers keep to it across all replicas."""

    recommended_min_interval_seconds: int
    timeout_seconds: float
    """Bound of one exchange."""
    max_concurrent_requests: int | None = None
    max_requests_per_minute: int | None = None


class VendorAdapter(Protocol):
    """Reads one brand. Stateless: one instance serves every plant and thread.

    Each method makes the exchanges it needs, in order, and returns a normalised value or raises `AdapterError`; whatever bytes
    come back, no other exception leaves it. An answer that speaks of another plant than the one asked for is refused
    (`INVALID_DATA_FORMAT`, or `PLANT_NOT_FOUND` where ours is simply absent).
    """

    @property
    def brand(self) -> Brand: ...

    @property
    def capabilities(self) -> VendorCapabilities: ...

    def read_summary(self, plant: PlantRef, exchange: Exchange, now: datetime) -> Reading:
        """The plant as it is. An error here is the poll's error."""

    def read_alarms(self, plant: PlantRef, exchange: Exchange, now: datetime) -> AlarmList:
        """The plant's alarms. An error here leaves the poll a SUCCESS and resolves no alert (DOMAIN 2, 6)."""

    def read_daily_energy(self, plant: PlantRef, exchange: Exchange, first: date, last: date, now: datetime) -> Mapping[date, float]:
        """Energy in kWh of the local days first..last, both included; days the vendor does not know are absent. A 0 is kept."""
