"""The first schema: plants, their days, their alerts, the record of their jobs."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE plant_attempts AS bigint")
    op.execute(_PLANTS)
    op.execute("CREATE INDEX plants_next_poll_at ON plants (next_poll_at) WHERE next_poll_at IS NOT NULL")
    op.execute("CREATE INDEX plants_clock_scan_at ON plants (clock_scan_at) WHERE clock_scan_at IS NOT NULL")
    op.execute("CREATE INDEX plants_day_due_at ON plants (day_due_at) WHERE day_due_at IS NOT NULL")
    op.execute("CREATE UNIQUE INDEX plants_live_name ON plants (namespace, name) WHERE deleted_at IS NULL")
    op.execute("COMMENT ON COLUMN plants.resource_version IS 'Of the resource as last applied (PROTOCOL 26).'")
    op.execute("COMMENT ON COLUMN plants.version IS 'PROTOCOL 6.'")
    op.execute("COMMENT ON COLUMN plants.changed_at IS 'When version last left mirrored_version behind.'")
    op.execute(
        "COMMENT ON COLUMN plants.clock_scan_at IS 'Never after clock_due_at; that moves with every reading"
        " and may not be indexed, this one rides along with the claim.'"
    )
    op.execute(_METRIC_SNAPSHOTS)
    op.execute(_ALERTS)
    op.execute(
        "CREATE UNIQUE INDEX alerts_active_key ON alerts (plant_id, type, vendor_alarm_code, device_sn)"
        " NULLS NOT DISTINCT WHERE state <> 'RESOLVED'"
    )
    op.execute(_POLL_LOGS)


def downgrade() -> None:
    raise NotImplementedError("Migrations only go forward: expand first, contract in a later release.")


_PLANTS = """
CREATE TABLE plants (
    plant_id uuid PRIMARY KEY,
    namespace varchar(63) NOT NULL,
    name varchar(253) NOT NULL,
    uid varchar(64) NOT NULL,
    generation bigint NOT NULL,
    brand varchar(16) NOT NULL,
    vendor_plant_id varchar(64),
    display_name varchar(256),
    owner_customer_id varchar(128),
    timezone varchar(64) NOT NULL,
    latitude double precision,
    longitude double precision,
    capacity_kwp double precision,
    poll_interval_s integer NOT NULL,
    suspend boolean NOT NULL,
    status_policy varchar(16) NOT NULL,
    history_policy varchar(16) NOT NULL,
    scenario varchar(64) NOT NULL,
    poll_requested varchar(256),
    silence_until timestamptz,
    integration varchar(32) NOT NULL DEFAULT 'PENDING_DOCS',
    active_since timestamptz,
    status varchar(8) NOT NULL DEFAULT 'GREY',
    reason varchar(32) NOT NULL DEFAULT 'AwaitingFirstReading',
    status_since timestamptz,
    explain text[] NOT NULL DEFAULT '{}'::text[],
    last_seen_at timestamptz,
    sampled_at timestamptz,
    current_power_w double precision,
    grid_injection_power_w double precision,
    total_energy_kwh double precision,
    counter_low_since timestamptz,
    last_poll_at timestamptz,
    last_success_at timestamptz,
    last_error varchar(32),
    consecutive_failures integer NOT NULL DEFAULT 0,
    polled_generation bigint NOT NULL DEFAULT 0,
    handled_poll_request varchar(256),
    clock_due_at timestamptz,
    day_due_date date,
    day_due_at timestamptz,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    resource_version bigint NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL,
    mirrored_version bigint NOT NULL DEFAULT 0,
    mirrored_resource_version bigint NOT NULL DEFAULT 0,
    mirrored_digest varchar(128),
    mirror_leased_until timestamptz,
    next_poll_at timestamptz,
    attempt bigint NOT NULL DEFAULT 0,
    done_attempt bigint NOT NULL DEFAULT 0,
    claim_kind varchar(8),
    claim_job_id varchar(80),
    claim_day date,
    claimed_at timestamptz,
    clock_scan_at timestamptz,
    CONSTRAINT plants_numbers CHECK (
        current_power_w >= 0 AND current_power_w < 1e9
        AND grid_injection_power_w >= 0 AND grid_injection_power_w < 1e9
        AND total_energy_kwh >= 0 AND total_energy_kwh < 1e9
    ),
    CONSTRAINT plants_capacity CHECK (capacity_kwp > 0 AND capacity_kwp < 1e9),
    CONSTRAINT plants_location CHECK (latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180),
    CONSTRAINT plants_interval CHECK (poll_interval_s > 0),
    CONSTRAINT plants_slot CHECK (done_attempt <= attempt)
) WITH (fillfactor = 70)
"""

_METRIC_SNAPSHOTS = """
CREATE TABLE metric_snapshots (
    plant_id uuid NOT NULL,
    date date NOT NULL,
    timezone varchar(64) NOT NULL,
    today_energy_kwh double precision NOT NULL,
    peak_power_w double precision,
    current_power_w double precision,
    total_energy_kwh double precision,
    grid_injection_power_w double precision,
    last_seen_at timestamptz,
    source_sampled_at timestamptz,
    raw_source varchar(16) NOT NULL DEFAULT 'MOCK',
    backfilled boolean NOT NULL,
    PRIMARY KEY (plant_id, date),
    CONSTRAINT metric_snapshots_numbers CHECK (
        today_energy_kwh >= 0 AND today_energy_kwh < 1e9
        AND peak_power_w >= 0 AND peak_power_w < 1e9
        AND current_power_w >= 0 AND current_power_w < 1e9
        AND total_energy_kwh >= 0 AND total_energy_kwh < 1e9
        AND grid_injection_power_w >= 0 AND grid_injection_power_w < 1e9
    )
) WITH (fillfactor = 70)
"""

_ALERTS = """
CREATE TABLE alerts (
    id uuid PRIMARY KEY,
    plant_id uuid NOT NULL,
    type varchar(32) NOT NULL,
    severity varchar(16) NOT NULL,
    state varchar(16) NOT NULL,
    vendor_alarm_code varchar(256),
    device_sn varchar(256),
    message text NOT NULL,
    opened_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    acked_at timestamptz,
    acked_by varchar(256),
    resolved_at timestamptz,
    CONSTRAINT alerts_message CHECK (length(message) <= 2000)
) WITH (fillfactor = 70)
"""

_POLL_LOGS = """
CREATE TABLE poll_logs (
    plant_id uuid NOT NULL,
    job_id varchar(80) NOT NULL,
    job_type varchar(8) NOT NULL,
    attempt bigint NOT NULL,
    status varchar(8) NOT NULL,
    duration_ms bigint NOT NULL,
    adapter_error_type varchar(32),
    claimed_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    CONSTRAINT poll_logs_pkey PRIMARY KEY (claimed_at, plant_id, job_type, attempt),
    CONSTRAINT poll_logs_duration CHECK (duration_ms >= 0)
) PARTITION BY RANGE (claimed_at)
"""
