"""The schema as it stands. `migrations/` builds it; a test keeps both equal.

Columns of `plants` that mirror a field of `domain.plant.Declaration` or `LiveState` have the field's name; a test keeps those equal, too.
There are no foreign keys: every writer of the other tables holds the plant's row lock, and a check per row would cost more than the row.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()

_INSTANT = sa.DateTime(timezone=True)
_NUMBER: sa.Double[float] = sa.Double()
_ZERO = sa.text("0")
_POLLED = {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.1, "autovacuum_analyze_scale_factor": 1}
"""Of the table that every poll updates. Room on the page, so that updates that touch no indexed column stay on it and write no index entry;
vacuum for the claims, which do; its statistics stay true for long (docs/architecture.md, "Rows for years")."""
_KEPT = {
    "fillfactor": 85,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_vacuum_insert_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.02,
}
"""Of tables that grow for years, and of which only the newest rows change: room for these, and vacuum in small helpings."""

attempts = sa.Sequence("plant_attempts", data_type=sa.BigInteger(), metadata=metadata)
"""Attempt numbers never repeat, also not after a plant was purged and came back (PROTOCOL 2)."""


def _in_range(*columns: str) -> str:
    # NaN passes `>= 0` but not `< 1e9`, for it sorts above every number.
    return " AND ".join(f"{column} >= 0 AND {column} < 1e9" for column in columns)


plants = sa.Table(
    "plants",
    metadata,
    sa.Column("plant_id", sa.Uuid(), primary_key=True),
    # Declared, by field name of Declaration.
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("name", sa.String(253), nullable=False),
    sa.Column("uid", sa.String(64), nullable=False),
    sa.Column("generation", sa.BigInteger(), nullable=False),
    sa.Column("brand", sa.String(16), nullable=False),
    sa.Column("vendor_plant_id", sa.String(64)),
    sa.Column("display_name", sa.String(256)),
    sa.Column("owner_customer_id", sa.String(128)),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("latitude", _NUMBER),
    sa.Column("longitude", _NUMBER),
    sa.Column("capacity_kwp", _NUMBER),
    sa.Column("poll_interval_s", sa.Integer(), nullable=False),
    sa.Column("suspend", sa.Boolean(), nullable=False),
    sa.Column("status_policy", sa.String(16), nullable=False),
    sa.Column("history_policy", sa.String(16), nullable=False),
    sa.Column("scenario", sa.String(64), nullable=False),
    sa.Column("poll_requested", sa.String(256)),
    sa.Column("silence_until", _INSTANT),
    # Found by judging, by field name of LiveState.
    sa.Column("integration", sa.String(32), nullable=False, server_default="PENDING_DOCS"),
    sa.Column("active_since", _INSTANT),
    sa.Column("status", sa.String(8), nullable=False, server_default="GREY"),
    sa.Column("reason", sa.String(32), nullable=False, server_default="AwaitingFirstReading"),
    sa.Column("status_since", _INSTANT),
    sa.Column("explain", pg.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'::text[]")),
    sa.Column("last_seen_at", _INSTANT),
    sa.Column("sampled_at", _INSTANT),
    sa.Column("current_power_w", _NUMBER),
    sa.Column("grid_injection_power_w", _NUMBER),
    sa.Column("total_energy_kwh", _NUMBER),
    sa.Column("counter_low_since", _INSTANT),
    sa.Column("last_poll_at", _INSTANT),
    sa.Column("last_success_at", _INSTANT),
    sa.Column("last_error", sa.String(32)),
    sa.Column("consecutive_failures", sa.Integer(), nullable=False, server_default=_ZERO),
    sa.Column("polled_generation", sa.BigInteger(), nullable=False, server_default=_ZERO),
    sa.Column("handled_poll_request", sa.String(256)),
    sa.Column("clock_due_at", _INSTANT),
    sa.Column("day_due_date", sa.Date()),
    sa.Column("day_due_at", _INSTANT),
    # The row's own life.
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("deleted_at", _INSTANT),
    sa.Column("resource_version", sa.BigInteger(), nullable=False, comment="Of the resource as last applied (PROTOCOL 26)."),
    sa.Column("version", sa.BigInteger(), nullable=False, server_default=_ZERO, comment="PROTOCOL 6."),
    sa.Column("changed_at", _INSTANT, nullable=False, comment="When version last left mirrored_version behind."),
    # The mirror's books (PROTOCOL 27). No index on version: it rises with every close and would end HOT updates.
    sa.Column("mirrored_version", sa.BigInteger(), nullable=False, server_default=_ZERO),
    sa.Column("mirrored_resource_version", sa.BigInteger(), nullable=False, server_default=_ZERO),
    sa.Column("mirrored_digest", sa.String(128)),
    sa.Column("mirror_leased_until", _INSTANT),
    # The claim slot (PROTOCOL 1), open while done_attempt < attempt. No index on it: the close would no longer be HOT.
    sa.Column("next_poll_at", _INSTANT),
    sa.Column("attempt", sa.BigInteger(), nullable=False, server_default=_ZERO),
    sa.Column("done_attempt", sa.BigInteger(), nullable=False, server_default=_ZERO),
    sa.Column("claim_kind", sa.String(8)),
    sa.Column("claim_job_id", sa.String(80)),
    sa.Column("claim_day", sa.Date()),
    sa.Column("claimed_at", _INSTANT),
    sa.Column(
        "clock_scan_at",
        _INSTANT,
        comment="Never after clock_due_at; that moves with every reading and may not be indexed, this one rides along with the claim.",
    ),
    # Declared and found as above, added by 0002.
    sa.Column("acked", pg.ARRAY(sa.Uuid()), nullable=False, server_default=sa.text("'{}'::uuid[]")),
    sa.Column("acked_by", sa.String(256)),
    sa.Column("refused", pg.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'::text[]")),
    sa.Column("alarms_dropped", sa.Integer(), nullable=False, server_default=_ZERO),
    sa.Column("generation_judged_on", sa.Date()),
    # What the read API shows in lists and would else have to look up in other tables (`shown.py`), added by 0003.
    sa.Column("day_date", sa.Date()),
    sa.Column("day_energy_kwh", _NUMBER),
    sa.Column("open_alerts", sa.Integer(), nullable=False, server_default=_ZERO),
    sa.Column("open_critical", sa.Integer(), nullable=False, server_default=_ZERO),
    sa.Column("open_high", sa.Integer(), nullable=False, server_default=_ZERO),
    sa.Column("open_acked", sa.Integer(), nullable=False, server_default=_ZERO),
    # claimed_at of the newest PollLog, from which each leads to the one before it.
    sa.Column("logged_at", _INSTANT),
    # The mirror's books, added by 0004: the alerts active in mirrored_version; null where that is not known.
    sa.Column("mirrored_alerts", pg.ARRAY(sa.Uuid())),
    # How often running its worker was lost (PROTOCOL 20), added by 0005.
    sa.Column("losses", sa.Integer(), nullable=False, server_default=_ZERO),
    # The mirror's books, added by 0007: the newest version that is told at once, and until when the others wait (PROTOCOL 27).
    sa.Column("notable_version", sa.BigInteger(), nullable=False, server_default=_ZERO),
    sa.Column("mirror_held_until", _INSTANT),
    sa.CheckConstraint(_in_range("current_power_w", "grid_injection_power_w", "total_energy_kwh"), name="plants_numbers"),
    sa.CheckConstraint("capacity_kwp > 0 AND capacity_kwp < 1e9", name="plants_capacity"),
    sa.CheckConstraint("latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180", name="plants_location"),
    sa.CheckConstraint("poll_interval_s > 0", name="plants_interval"),
    sa.CheckConstraint("done_attempt <= attempt", name="plants_slot"),
    sa.Index("plants_next_poll_at", "next_poll_at", postgresql_where=sa.text("next_poll_at IS NOT NULL")),
    sa.Index("plants_clock_scan_at", "clock_scan_at", postgresql_where=sa.text("clock_scan_at IS NOT NULL")),
    sa.Index("plants_day_due_at", "day_due_at", postgresql_where=sa.text("day_due_at IS NOT NULL")),
    sa.Index("plants_live_name", "namespace", "name", unique=True, postgresql_where=sa.text("deleted_at IS NULL")),
    # Poll requests to be answered (PROTOCOL 16): a close touches it only where it answers one.
    sa.Index(
        "plants_requested",
        "plant_id",
        postgresql_where=sa.text(
            "poll_requested IS DISTINCT FROM handled_poll_request AND poll_requested IS NOT NULL AND deleted_at IS NULL"
        ),
    ),
    # The read API's. What is filtered by stands in the index, so that what does not match costs no look at its row. The status is there,
    # too: a close that leaves it as it is stays a HOT update.
    sa.Index("plants_listed", "plant_id", "brand", "status", "timezone", postgresql_where=sa.text("deleted_at IS NULL")),
    sa.Index(
        "plants_of_owner",
        "owner_customer_id",
        "plant_id",
        "brand",
        "status",
        "timezone",
        postgresql_where=sa.text("deleted_at IS NULL AND owner_customer_id IS NOT NULL"),
    ),
    postgresql_with=_POLLED,
)

metric_snapshots = sa.Table(
    "metric_snapshots",
    metadata,
    sa.Column("plant_id", sa.Uuid(), primary_key=True),
    sa.Column("date", sa.Date(), primary_key=True),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("today_energy_kwh", _NUMBER, nullable=False),
    sa.Column("peak_power_w", _NUMBER),
    sa.Column("current_power_w", _NUMBER),
    sa.Column("total_energy_kwh", _NUMBER),
    sa.Column("grid_injection_power_w", _NUMBER),
    sa.Column("last_seen_at", _INSTANT),
    sa.Column("source_sampled_at", _INSTANT),
    sa.Column("raw_source", sa.String(16), nullable=False, server_default="MOCK"),
    sa.Column("backfilled", sa.Boolean(), nullable=False),
    sa.Column("sampled_energy_kwh", _NUMBER),
    sa.Column("energy_raised", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.CheckConstraint(
        _in_range("today_energy_kwh", "peak_power_w", "current_power_w", "total_energy_kwh", "grid_injection_power_w"),
        name="metric_snapshots_numbers",
    ),
    postgresql_with=_KEPT,
)

_ALERT_FILTERS = ("opened_at", "id", "type", "severity", "state")

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("plant_id", sa.Uuid(), nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("vendor_alarm_code", sa.String(256)),
    sa.Column("device_sn", sa.String(256)),
    sa.Column("message", sa.Text(), nullable=False),
    sa.Column("opened_at", _INSTANT, nullable=False),
    sa.Column("last_seen_at", _INSTANT, nullable=False),
    sa.Column("acked_at", _INSTANT),
    sa.Column("acked_by", sa.String(256)),
    sa.Column("resolved_at", _INSTANT),
    # The plant's, kept equal by triggers: by these a customer's alerts are found.
    sa.Column("owner_customer_id", sa.String(128)),
    sa.Column("plant_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.CheckConstraint("length(message) <= 2000", name="alerts_message"),
    # At most one active alert a key, where nulls are equal (DOMAIN 6, locked). Its first column serves the look-up by plant.
    sa.Index(
        "alerts_active_key",
        "plant_id",
        "type",
        "vendor_alarm_code",
        "device_sn",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("state <> 'RESOLVED'"),
    ),
    # The read API's, as those of plants.
    sa.Index("alerts_listed", *_ALERT_FILTERS, postgresql_where=sa.text("NOT plant_deleted")),
    sa.Index("alerts_open", *_ALERT_FILTERS, postgresql_where=sa.text("NOT plant_deleted AND state <> 'RESOLVED'")),
    sa.Index(
        "alerts_of_owner",
        "owner_customer_id",
        *_ALERT_FILTERS,
        postgresql_where=sa.text("NOT plant_deleted AND owner_customer_id IS NOT NULL"),
    ),
    sa.Index("alerts_of_plant", "plant_id", *_ALERT_FILTERS),
    postgresql_with=_KEPT,
)

poll_logs = sa.Table(
    "poll_logs",
    metadata,
    sa.Column("plant_id", sa.Uuid(), nullable=False),
    sa.Column("job_id", sa.String(80), nullable=False),
    sa.Column("job_type", sa.String(8), nullable=False),
    sa.Column("attempt", sa.BigInteger(), nullable=False),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("duration_ms", sa.BigInteger(), nullable=False),
    sa.Column("adapter_error_type", sa.String(32)),
    sa.Column("claimed_at", _INSTANT, nullable=False),
    sa.Column("started_at", _INSTANT, nullable=False),
    sa.Column("finished_at", _INSTANT, nullable=False),
    # claimed_at of the plant's log before this one: the newest are found by the key alone, without an index by plant on the largest table.
    sa.Column("previous_at", _INSTANT),
    # One log a claim, in the partition of the claim's day, whichever day it finishes on (PROTOCOL 5).
    sa.PrimaryKeyConstraint("claimed_at", "plant_id", "job_type", "attempt", name="poll_logs_pkey"),
    sa.CheckConstraint("duration_ms >= 0", name="poll_logs_duration"),
    postgresql_partition_by="RANGE (claimed_at)",
)
