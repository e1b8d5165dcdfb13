"""The values that judging reads and writes: a plant as declared, as it lives, and what is known of it.

`PlantContext` is read in one statement by `storage`, judged by `domain.judge`, shown by `operator.conditions`.
All instants are aware and in UTC, power is in W, energy in kWh, `date`s are days of the plant's own zone.
"""

from datetime import date, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import msgspec

from controller.domain.sun import Site
from integrations.contract import Brand, Severity
from integrations.errors import AdapterErrorType

PLANT_ID_BASE = "https://monitor.solarinvest.info/"


def plant_id_for(namespace: str, brand: Brand, vendor_plant_id: str) -> UUID:
    """The id of a plant with a vendor identity (DOMAIN 1): the same identity in a namespace is always the same plant."""
    return uuid5(NAMESPACE_URL, f"{PLANT_ID_BASE}{namespace}/{brand}/{vendor_plant_id}")


class Integration(StrEnum):
    """Whether we may read the vendor for this plant (DOMAIN 5). Only an ACTIVE plant is polled and judged."""

    ACTIVE = "ACTIVE"
    PENDING_DOCS = "PENDING_DOCS"
    DISABLED_BY_OPERATOR = "DISABLED_BY_OPERATOR"
    PAUSED_AUTH_ERROR = "PAUSED_AUTH_ERROR"


class Status(StrEnum):
    """Whether the plant is well (DOMAIN 5, locked). In the resource: `status.health`."""

    GREY = "GREY"
    RED = "RED"
    YELLOW = "YELLOW"
    GREEN = "GREEN"


class Reason(StrEnum):
    """Which rule of DOMAIN 5 gave the status. In the resource: `status.reason`."""

    PENDING_DOCS = "PendingDocs"
    DISABLED_BY_OPERATOR = "DisabledByOperator"
    PAUSED_AUTH_ERROR = "PausedAuthError"
    AWAITING_FIRST_READING = "AwaitingFirstReading"
    NEVER_SEEN = "NeverSeen"
    OFFLINE = "Offline"
    CRITICAL_ALERT = "CriticalAlert"
    STALE = "Stale"
    LOW_GENERATION = "LowGeneration"
    REPORTING = "Reporting"


class StatusPolicy(StrEnum):
    STRICT = "Strict"
    DAYLIGHT = "Daylight"


class HistoryPolicy(StrEnum):
    """What becomes of a deleted plant's rows: kept for its return, or purged."""

    RETAIN = "Retain"
    DELETE = "Delete"


class JobType(StrEnum):
    POLL = "POLL"
    DAILY = "DAILY"


class PollStatus(StrEnum):
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"


class PollError(StrEnum):
    """The closed list of `adapter_error_type` (DOMAIN 2): the vendor's seven and four of our own, which are no failures of the plant."""

    AUTH_FAILED = AdapterErrorType.AUTH_FAILED.value
    RATE_LIMIT_EXCEEDED = AdapterErrorType.RATE_LIMIT_EXCEEDED.value
    NETWORK_TIMEOUT = AdapterErrorType.NETWORK_TIMEOUT.value
    INVALID_DATA_FORMAT = AdapterErrorType.INVALID_DATA_FORMAT.value
    PLANT_NOT_FOUND = AdapterErrorType.PLANT_NOT_FOUND.value
    VENDOR_ERROR = AdapterErrorType.VENDOR_ERROR.value
    UNKNOWN_ERROR = AdapterErrorType.UNKNOWN_ERROR.value
    WORKER_LOST = "WORKER_LOST"
    LOCKED = "LOCKED"
    SUPERSEDED = "SUPERSEDED"
    CANCELLED = "CANCELLED"

    @property
    def is_ours(self) -> bool:
        return self in _OURS


_OURS = frozenset({PollError.WORKER_LOST, PollError.LOCKED, PollError.SUPERSEDED, PollError.CANCELLED})


class AlertType(StrEnum):
    OFFLINE = "OFFLINE"
    LOW_GENERATION = "LOW_GENERATION"
    MOCK_FAULT = "MOCK_FAULT"


class AlertState(StrEnum):
    NEW = "NEW"
    ACKED = "ACKED"
    RESOLVED = "RESOLVED"


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What the Plant resource asks for, checked and with defaults filled in (docs/plant.md)."""

    namespace: str
    name: str
    uid: str
    generation: int
    brand: Brand
    vendor_plant_id: str | None = None
    display_name: str | None = None
    owner_customer_id: str | None = None
    timezone: str = "America/Sao_Paulo"
    latitude: float | None = None
    longitude: float | None = None
    capacity_kwp: float | None = None
    poll_interval_s: int = 600
    """The effective interval: max(spec.pollInterval, what the adapter recommends) (DOMAIN 2). Seconds."""
    suspend: bool = False
    status_policy: StatusPolicy = StatusPolicy.STRICT
    history_policy: HistoryPolicy = HistoryPolicy.RETAIN
    scenario: str = "healthy"
    poll_requested: str | None = None
    """The token of the annotation `poll-requested-at`."""
    acked: tuple[UUID, ...] = ()
    """The alerts that the annotation `ack` names. Once taken over, an acknowledgement outlives its name here (docs/plant.md)."""
    acked_by: str | None = None
    """The field manager that wrote them, as managedFields say: a hint and no proof."""
    silence_until: datetime | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def site(self) -> Site | None:
        """Where the plant stands, if it is known."""
        if self.latitude is None or self.longitude is None:
            return None
        return Site(self.latitude, self.longitude)

    @property
    def daylight_site(self) -> Site | None:
        """Where only daylight counts towards the 2 h; None where the clock does: Strict, or Daylight without a location (DOMAIN 5)."""
        return self.site if self.status_policy is StatusPolicy.DAYLIGHT else None


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """What judging has found so far. Written as a whole by every judgement."""

    integration: Integration = Integration.PENDING_DOCS
    active_since: datetime | None = None
    """When the integration last became ACTIVE: the 24 h of a plant never seen count from here (DOMAIN 5)."""
    status: Status = Status.GREY
    reason: Reason = Reason.AWAITING_FIRST_READING
    status_since: datetime | None = None
    explain: tuple[str, ...] = ()
    last_seen_at: datetime | None = None
    sampled_at: datetime | None = None
    current_power_w: float | None = None
    grid_injection_power_w: float | None = None
    total_energy_kwh: float | None = None
    counter_low_since: datetime | None = None
    """Since when the lifetime counter has been below `total_energy_kwh` without being believed (DOMAIN 3)."""
    refused: tuple[str, ...] = ()
    """Fields of the newest answer that were refused as implausible (DOMAIN 3)."""
    alarms_dropped: int = 0
    """Active alarms of the newest list that are not kept, for a plant keeps no more than 500 (DOMAIN 6)."""
    generation_judged_on: date | None = None
    """The newest local day with a verdict on its energy: none about an older day changes anything (DOMAIN 6)."""
    last_poll_at: datetime | None = None
    last_success_at: datetime | None = None
    last_error: PollError | None = None
    consecutive_failures: int = 0
    losses: int = 0
    """How often running its worker was lost with it (PROTOCOL 20)."""
    polled_generation: int = 0
    """The generation of the resource that the last finished poll had read."""
    handled_poll_request: str | None = None
    clock_due_at: datetime | None = None
    """The next instant after which the status changes by time alone; always the true one, also when past (PROTOCOL 19)."""
    day_due_date: date | None = None
    """The next local day to close."""
    day_due_at: datetime | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What we judge of a plant, one row of `alerts` (DOMAIN 6)."""

    id: UUID
    type: AlertType
    severity: Severity
    state: AlertState = AlertState.NEW
    vendor_alarm_code: str | None = None
    device_sn: str | None = None
    message: str = ""
    opened_at: datetime
    last_seen_at: datetime
    acked_at: datetime | None = None
    acked_by: str | None = None
    resolved_at: datetime | None = None

    @property
    def key(self) -> tuple[AlertType, str | None, str | None]:
        """The deduplication key within a plant (DOMAIN 6, locked)."""
        return (self.type, self.vendor_alarm_code, self.device_sn)

    @property
    def is_active(self) -> bool:
        return self.state is not AlertState.RESOLVED


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A plant's local day, one row of `metric_snapshots` (DOMAIN 4, locked)."""

    date: date
    timezone: str
    today_energy_kwh: float
    peak_power_w: float | None = None
    current_power_w: float | None = None
    total_energy_kwh: float | None = None
    grid_injection_power_w: float | None = None
    last_seen_at: datetime | None = None
    source_sampled_at: datetime | None = None
    backfilled: bool = False
    sampled_energy_kwh: float | None = None
    """The most energy that a sample of the day has named: what a vendor that resets late repeats, whatever the daily series says."""
    energy_raised: bool = False
    """Whether the day's energy has been raised since its first sample: then it is no mere repetition of the day before."""


DAYS_READ = 12
"""A poll is judged by today and the 7 days before that have a row, and may change D-3, beside D-4 (DOMAIN 4, 6); rows of days ahead, which
a changed timezone leaves, shall push none of them out."""
DAYS_READ_BEFORE_CLOSE = 30
"""A daily job compares its day with days of the last 30 (DOMAIN 6), wherever their rows are."""


class PlantContext(msgspec.Struct, frozen=True, kw_only=True):
    """One plant as it stands in the database at one instant: everything that judging or showing it needs."""

    plant_id: UUID
    declaration: Declaration
    live: LiveState
    version: int = 0
    deleted: bool = False
    attempt: int = 0
    done_attempt: int = 0
    claim_kind: JobType | None = None
    claimed_at: datetime | None = None
    next_poll_at: datetime | None = None
    alerts: tuple[Alert, ...] = ()
    """The active ones."""
    days: tuple[Snapshot, ...] = ()
    """The newest local days, newest first, as far back as judging looks."""

    @property
    def is_claimed(self) -> bool:
        return self.done_attempt < self.attempt

    def holds_attempt(self, attempt: int) -> bool:
        """Whether this attempt's claim is still open: the fence (PROTOCOL 3)."""
        return self.attempt == attempt and self.is_claimed
