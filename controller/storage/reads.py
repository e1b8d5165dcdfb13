"""What the read API asks of Postgres: one statement a question, each answered from an index whatever the filter (docs/api.md).

Composed in `cli`, called by `controller.api`. Pages go by key: `after` is the key of the last row that was shown. What a caller may see
is part of each statement: `owner` None sees all, else the rows of that ownerCustomerId (DOMAIN 7).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import asdict, replace

from controller.domain.plant import (
    AlertState,
    AlertType,
    Integration,
    JobType,
    PollError,
    PollStatus,
    Reason,
    Status,
    StatusPolicy,
)
from controller.domain.schedule import local_date
from controller.storage.read_sessions import ReadSessions
from integrations.contract import Brand, Severity

T = TypeVar("T")
K = TypeVar("K")
P = TypeVar("P", bound="ShownPlant")

Instant = Annotated[datetime, msgspec.Meta(tz=True)]

SNAPSHOT_DAYS = 30
POLL_LOGS = 10
POLL_LOGS_BACK = timedelta(days=7)
"""Older logs are not looked for: each day of them is a table to plan for."""


class OpenAlerts(msgspec.Struct, frozen=True):
    """How many alerts of a plant are open."""

    total: int
    critical: int
    high: int
    acked: int


class ShownPlant(msgspec.Struct, frozen=True, kw_only=True):
    """A plant as declared and as it is now. Power in W, energy in kWh, instants in UTC and whole seconds."""

    plant_id: UUID
    namespace: str
    name: str
    brand: Brand
    vendor_plant_id: str | None
    display_name: str | None
    owner_customer_id: str | None
    timezone: str
    latitude: float | None
    longitude: float | None
    capacity_kwp: float | None
    poll_interval_s: int
    suspend: bool
    status_policy: StatusPolicy
    created_at: Instant
    integration: Integration
    status: Status
    reason: Reason
    status_since: Instant | None
    last_seen_at: Instant | None
    sampled_at: Instant | None
    current_power_w: float | None
    grid_injection_power_w: float | None
    total_energy_kwh: float | None
    today_energy_kwh: float | None
    """Of the plant's present local day; None where that has no row."""
    last_poll_at: Instant | None
    last_success_at: Instant | None
    last_error: PollError | None
    consecutive_failures: int
    next_poll_at: Instant | None
    open_alerts: OpenAlerts


class ShownAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. Instants in UTC and whole seconds."""

    id: UUID
    plant_id: UUID
    type: AlertType
    severity: Severity
    state: AlertState
    vendor_alarm_code: str | None
    device_sn: str | None
    message: str
    opened_at: Instant
    last_seen_at: Instant
    acked_at: Instant | None
    acked_by: str | None
    resolved_at: Instant | None


class ShownSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A plant's local day. Power in W, energy in kWh."""

    date: date
    timezone: str
    today_energy_kwh: float
    peak_power_w: float | None
    current_power_w: float | None
    total_energy_kwh: float | None
    grid_injection_power_w: float | None
    last_seen_at: Instant | None
    source_sampled_at: Instant | None
    raw_source: str
    backfilled: bool


class ShownPollLog(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one job."""

    job_id: str
    job_type: JobType
    status: PollStatus
    duration_ms: int
    adapter_error_type: PollError | None
    started_at: Instant
    finished_at: Instant


class ShownPlantDetail(ShownPlant, frozen=True, kw_only=True):
    """A plant with what led to its status, newest first."""

    explain: list[str]
    alerts: list[ShownAlert]
    snapshots: list[ShownSnapshot]
    poll_logs: list[ShownPollLog]


class PlantFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which plants. None: any."""

    brand: Brand | None = None
    status: Status | None = None
    timezone: str | None = None


class AlertFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts. None: any."""

    type: AlertType | None = None
    severity: Severity | None = None
    state: AlertState | None = None
    plant_id: UUID | None = None


class AlertKey(msgspec.Struct, frozen=True):
    """The place of an alert in its list: newest first, and among those opened at one instant by id, falling."""

    opened_at: datetime
    id: UUID


class Page(msgspec.Struct, Generic[T, K], frozen=True):
    """Rows in order, and the key after which the next page begins; None where there is none."""

    rows: list[T]
    next: K | None


_FIRST_PLANT = UUID(int=0)
"""Before every id: ids are made by uuid5 or by Kubernetes, which set bits in it."""
_LAST_ALERT = AlertKey(datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))

_PLANT = msgspec.json.Decoder(ShownPlant)
_DETAIL = msgspec.json.Decoder(ShownPlantDetail)
_ALERT = msgspec.json.Decoder(ShownAlert)


class Reads:
    """Thread-safe. Every method raises `StoreUnavailable`, at once where the database is known to be away."""

    def __init__(self, sessions: ReadSessions) -> None:
        self._sessions = sessions

    def plants(
        self, owner: str | None, wanted: PlantFilter, limit: int, now: datetime, after: UUID | None = None
    ) -> Page[ShownPlant, UUID]:
        """Plants in the order of their ids."""
        parameters = {"owner": owner, **asdict(wanted), "after": after or _FIRST_PLANT, "limit": limit + 1}
        rows = [_shown(_PLANT.decode(row), day, now) for row, day in self._rows(PLANTS, parameters)]
        return _page(rows, limit, lambda plant: plant.plant_id)

    def plant(self, owner: str | None, plant_id: UUID, now: datetime) -> ShownPlantDetail | None:
        """The plant with its last 30 days, open alerts and newest job records; None where there is none or it is another's."""
        parameters = {
            "owner": owner,
            "plant_id": plant_id,
            "snapshots": SNAPSHOT_DAYS,
            # No zone is more than a day ahead of UTC or behind it.
            "since_day": now.date() - timedelta(days=SNAPSHOT_DAYS + 1),
            "logs": POLL_LOGS,
            "since": now - POLL_LOGS_BACK,
            "until": now + timedelta(days=1),
        }
        for row, day in self._rows(PLANT, parameters):
            plant = _shown(_DETAIL.decode(row), day, now)
            return replace(plant, snapshots=[_shown_day(snapshot) for snapshot in plant.snapshots])
        return None

    def alerts(self, owner: str | None, wanted: AlertFilter, limit: int, after: AlertKey | None = None) -> Page[ShownAlert, AlertKey]:
        """Alerts, newest first, resolved ones included."""
        key = after or _LAST_ALERT
        parameters = {"owner": owner, **asdict(wanted), "after_opened_at": key.opened_at, "after_id": key.id, "limit": limit + 1}
        page = _page(self._rows(ALERTS, parameters), limit, lambda row: AlertKey(row[1], row[2]))
        return Page([_ALERT.decode(row) for row, _, _ in page.rows], page.next)

    def is_reachable(self) -> bool:
        """Whether the database answers now."""
        return self._sessions.is_reachable()

    def _rows(self, statement: str, parameters: dict[str, Any]) -> Sequence[tuple[Any, ...]]:
        return self._sessions.run(lambda session: session.execute(statement, parameters).fetchall())


def _shown(plant: P, day: date | None, now: datetime) -> P:
    """As the resource shows it: power to 0.1 W, energy to 1 Wh.

    `day` is the one that the row's energy is of: yesterday's as today's would be a lie.
    """
    is_today = day == local_date(now, ZoneInfo(plant.timezone))
    return replace(
        plant,
        current_power_w=_round(plant.current_power_w, 1),
        grid_injection_power_w=_round(plant.grid_injection_power_w, 1),
        total_energy_kwh=_round(plant.total_energy_kwh, 3),
        today_energy_kwh=_round(plant.today_energy_kwh, 3) if is_today else None,
    )


def _shown_day(snapshot: ShownSnapshot) -> ShownSnapshot:
    return replace(
        snapshot,
        today_energy_kwh=round(snapshot.today_energy_kwh, 3),
        peak_power_w=_round(snapshot.peak_power_w, 1),
        current_power_w=_round(snapshot.current_power_w, 1),
        total_energy_kwh=_round(snapshot.total_energy_kwh, 3),
        grid_injection_power_w=_round(snapshot.grid_injection_power_w, 1),
    )


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _page(rows: Sequence[T], limit: int, key: Callable[[T], K]) -> Page[T, K]:
    """One row more than `limit` was asked for: whether it came says whether there is a next page."""
    shown = list(rows[:limit])
    return Page(shown, key(shown[-1]) if len(rows) > limit else None)


# SQL. Instants are cut to seconds as the resource shows them; the next poll is one of an ACTIVE plant only, as there.

_PLANT_COLUMNS = """
    p.plant_id, p.namespace, p.name, p.brand, p.vendor_plant_id, p.display_name, p.owner_customer_id, p.timezone, p.latitude,
    p.longitude, p.capacity_kwp, p.poll_interval_s, p.suspend, p.status_policy, date_trunc('second', p.created_at) AS created_at,
    p.integration, p.status, p.reason, date_trunc('second', p.status_since) AS status_since,
    date_trunc('second', p.last_seen_at) AS last_seen_at, date_trunc('second', p.sampled_at) AS sampled_at, p.current_power_w,
    p.grid_injection_power_w, p.total_energy_kwh, p.day_energy_kwh AS today_energy_kwh,
    date_trunc('second', p.last_poll_at) AS last_poll_at, date_trunc('second', p.last_success_at) AS last_success_at, p.last_error,
    p.consecutive_failures, CASE WHEN p.integration = 'ACTIVE' THEN date_trunc('second', p.next_poll_at) END AS next_poll_at,
    json_build_object('total', p.open_alerts, 'critical', p.open_critical, 'high', p.open_high, 'acked', p.open_acked) AS open_alerts
"""

_ALERT_COLUMNS = """
    a.id, a.plant_id, a.type, a.severity, a.state, a.vendor_alarm_code, a.device_sn, a.message,
    date_trunc('second', a.opened_at) AS opened_at, date_trunc('second', a.last_seen_at) AS last_seen_at,
    date_trunc('second', a.acked_at) AS acked_at, a.acked_by, date_trunc('second', a.resolved_at) AS resolved_at
"""

PLANTS = f"""
SELECT (SELECT row_to_json(shown) FROM (SELECT {_PLANT_COLUMNS}) AS shown), p.day_date
FROM plants p
WHERE p.deleted_at IS NULL
    AND (%(owner)s::varchar IS NULL OR p.owner_customer_id = %(owner)s::varchar)
    AND (%(brand)s::varchar IS NULL OR p.brand = %(brand)s::varchar)
    AND (%(status)s::varchar IS NULL OR p.status = %(status)s::varchar)
    AND (%(timezone)s::varchar IS NULL OR p.timezone = %(timezone)s::varchar)
    AND p.plant_id > %(after)s
ORDER BY p.plant_id
LIMIT %(limit)s
"""  # noqa: S608 columns are constants

PLANT = f"""
SELECT row_to_json(shown), p.day_date
FROM plants p
CROSS JOIN LATERAL (
    SELECT
        {_PLANT_COLUMNS},
        p.explain,
        coalesce(
            (
                SELECT json_agg(alert)
                FROM (
                    SELECT {_ALERT_COLUMNS}
                    FROM alerts a
                    WHERE a.plant_id = p.plant_id AND a.state <> 'RESOLVED'
                    ORDER BY a.opened_at DESC, a.id DESC
                ) AS alert
            ),
            '[]'::json
        ) AS alerts,
        coalesce(
            (
                SELECT json_agg(day)
                FROM (
                    SELECT
                        s.date, s.timezone, s.today_energy_kwh, s.peak_power_w, s.current_power_w, s.total_energy_kwh,
                        s.grid_injection_power_w, date_trunc('second', s.last_seen_at) AS last_seen_at,
                        date_trunc('second', s.source_sampled_at) AS source_sampled_at, s.raw_source, s.backfilled
                    FROM metric_snapshots s
                    WHERE s.plant_id = p.plant_id AND s.date >= %(since_day)s
                    ORDER BY s.date DESC
                    LIMIT %(snapshots)s
                ) AS day
            ),
            '[]'::json
        ) AS snapshots,
        coalesce(
            (
                -- Each log names the one before it: a key look-up a log, where an index by plant would be written with every poll.
                WITH RECURSIVE newest AS (
                    SELECT l.*, 1 AS number
                    FROM poll_logs l
                    WHERE l.plant_id = p.plant_id AND l.claimed_at = p.logged_at
                        AND l.claimed_at >= %(since)s AND l.claimed_at < %(until)s
                    UNION ALL
                    SELECT l.*, newest.number + 1
                    FROM newest JOIN poll_logs l ON l.plant_id = newest.plant_id AND l.claimed_at = newest.previous_at
                    WHERE newest.number < %(logs)s AND l.claimed_at >= %(since)s AND l.claimed_at < %(until)s
                )
                SELECT json_agg(log)
                FROM (
                    SELECT
                        newest.job_id, newest.job_type, newest.status, newest.duration_ms, newest.adapter_error_type,
                        date_trunc('second', newest.started_at) AS started_at, date_trunc('second', newest.finished_at) AS finished_at
                    FROM newest
                    ORDER BY newest.number
                ) AS log
            ),
            '[]'::json
        ) AS poll_logs
) AS shown
WHERE p.plant_id = %(plant_id)s AND p.deleted_at IS NULL
    AND (%(owner)s::varchar IS NULL OR p.owner_customer_id = %(owner)s::varchar)
"""  # noqa: S608 columns are constants

# The owner and whether the plant is deleted stand beside the alert, kept by triggers: no look at plants.
ALERTS = f"""
SELECT (SELECT row_to_json(shown) FROM (SELECT {_ALERT_COLUMNS}) AS shown), a.opened_at, a.id
FROM alerts a
WHERE NOT a.plant_deleted
    AND (%(owner)s::varchar IS NULL OR a.owner_customer_id = %(owner)s::varchar)
    AND (%(type)s::varchar IS NULL OR a.type = %(type)s::varchar)
    AND (%(severity)s::varchar IS NULL OR a.severity = %(severity)s::varchar)
    AND (%(state)s::varchar IS NULL OR a.state = %(state)s::varchar)
    AND (%(plant_id)s::uuid IS NULL OR a.plant_id = %(plant_id)s::uuid)
    AND (a.opened_at, a.id) < (%(after_opened_at)s, %(after_id)s)
ORDER BY a.opened_at DESC, a.id DESC
LIMIT %(limit)s
"""  # noqa: S608 columns are constants
