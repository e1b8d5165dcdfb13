"""What the read API needs to answer any filter from an index, and a page without looking into other tables (docs/api.md).

Each step is a transaction of its own, so that none waits for another with a table locked, and each may be run again: the columns (a
moment), the rows that stand (row locks, in the order of ids as all writers take them), the indexes (writers wait: 0.2 s at 50,000
plants). Not CONCURRENTLY: that waits for every open transaction, and those of other migrators wait for our advisory lock.

The release before this one goes on beside it. What it stores shows with the next judgement of the plant by this one.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for statement in (_PLANTS, _ALERTS, _POLL_LOGS, *_TRIGGERS, _FILL_ALERTS, _FILL_PLANTS, *_INDEXES):
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Migrations only go forward: expand first, contract in a later release.")


_PLANTS = """
ALTER TABLE plants
    ADD COLUMN IF NOT EXISTS day_date date,
    ADD COLUMN IF NOT EXISTS day_energy_kwh double precision,
    ADD COLUMN IF NOT EXISTS open_alerts integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS open_critical integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS open_high integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS open_acked integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS logged_at timestamptz
"""

_ALERTS = """
ALTER TABLE alerts
    ADD COLUMN IF NOT EXISTS owner_customer_id varchar(128),
    ADD COLUMN IF NOT EXISTS plant_deleted boolean NOT NULL DEFAULT false
"""

_POLL_LOGS = "ALTER TABLE poll_logs ADD COLUMN IF NOT EXISTS previous_at timestamptz"

# By triggers, so that whoever writes cannot forget it: a customer must never see an alert that is no longer theirs. Both run under the
# lock on the plant's row that every writer of alerts holds.
_TRIGGERS = (
    """
    CREATE OR REPLACE FUNCTION alerts_take_owner() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        SELECT p.owner_customer_id, p.deleted_at IS NOT NULL
        INTO NEW.owner_customer_id, NEW.plant_deleted
        FROM plants p
        WHERE p.plant_id = NEW.plant_id;
        NEW.plant_deleted := coalesce(NEW.plant_deleted, true);
        RETURN NEW;
    END
    $$
    """,
    "CREATE OR REPLACE TRIGGER alerts_take_owner BEFORE INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION alerts_take_owner()",
    """
    CREATE OR REPLACE FUNCTION plants_hand_on_owner() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE alerts
        SET owner_customer_id = NEW.owner_customer_id, plant_deleted = NEW.deleted_at IS NOT NULL
        WHERE plant_id = NEW.plant_id;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE OR REPLACE TRIGGER plants_hand_on_owner AFTER UPDATE OF owner_customer_id, deleted_at ON plants
    FOR EACH ROW
    WHEN (
        OLD.owner_customer_id IS DISTINCT FROM NEW.owner_customer_id
        OR (OLD.deleted_at IS NULL) IS DISTINCT FROM (NEW.deleted_at IS NULL)
    )
    EXECUTE FUNCTION plants_hand_on_owner()
    """,
)

_FILL_ALERTS = """
WITH locked AS MATERIALIZED (
    SELECT plant_id, owner_customer_id, deleted_at IS NOT NULL AS deleted
    FROM plants
    WHERE owner_customer_id IS NOT NULL OR deleted_at IS NOT NULL
    ORDER BY plant_id
    FOR UPDATE
)
UPDATE alerts a
SET owner_customer_id = l.owner_customer_id, plant_deleted = l.deleted
FROM locked l
WHERE a.plant_id = l.plant_id AND (a.owner_customer_id, a.plant_deleted) IS DISTINCT FROM (l.owner_customer_id, l.deleted)
"""

_FILL_PLANTS = """
WITH locked AS MATERIALIZED (SELECT plant_id FROM plants WHERE deleted_at IS NULL ORDER BY plant_id FOR UPDATE),
opened AS (
    SELECT
        plant_id,
        count(*) AS open_alerts,
        count(*) FILTER (WHERE severity = 'CRITICAL') AS open_critical,
        count(*) FILTER (WHERE severity = 'HIGH') AS open_high,
        count(*) FILTER (WHERE state = 'ACKED') AS open_acked
    FROM alerts
    WHERE state <> 'RESOLVED'
    GROUP BY plant_id
)
UPDATE plants p
SET
    day_date = day.date,
    day_energy_kwh = day.today_energy_kwh,
    open_alerts = coalesce(o.open_alerts, 0),
    open_critical = coalesce(o.open_critical, 0),
    open_high = coalesce(o.open_high, 0),
    open_acked = coalesce(o.open_acked, 0)
FROM locked l
LEFT JOIN opened o ON o.plant_id = l.plant_id
LEFT JOIN LATERAL (
    SELECT s.date, s.today_energy_kwh
    FROM metric_snapshots s
    WHERE s.plant_id = l.plant_id AND s.date <= CURRENT_DATE
    ORDER BY s.date DESC
    LIMIT 1
) AS day ON true
WHERE p.plant_id = l.plant_id AND p.day_date IS NULL AND (o.open_alerts > 0 OR day.date IS NOT NULL)
"""

_INDEXES = [
    f"CREATE INDEX IF NOT EXISTS {definition}"
    for definition in (
        "plants_listed ON plants (plant_id, brand, status, timezone) WHERE deleted_at IS NULL",
        """plants_of_owner ON plants (owner_customer_id, plant_id, brand, status, timezone)
        WHERE deleted_at IS NULL AND owner_customer_id IS NOT NULL""",
        "alerts_listed ON alerts (opened_at, id, type, severity, state) WHERE NOT plant_deleted",
        "alerts_open ON alerts (opened_at, id, type, severity, state) WHERE NOT plant_deleted AND state <> 'RESOLVED'",
        """alerts_of_owner ON alerts (owner_customer_id, opened_at, id, type, severity, state)
        WHERE NOT plant_deleted AND owner_customer_id IS NOT NULL""",
        "alerts_of_plant ON alerts (plant_id, opened_at, id, type, severity, state)",
    )
]
