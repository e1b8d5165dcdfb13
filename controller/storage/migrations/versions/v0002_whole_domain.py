"""What judging the whole domain needs to remember: acknowledgements, verdicts on generation, refusals, late resets.

Columns with constant defaults only: no row is rewritten, and the release before this one goes on beside it.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(_PLANTS)
    op.execute(_METRIC_SNAPSHOTS)


def downgrade() -> None:
    raise NotImplementedError("Migrations only go forward: expand first, contract in a later release.")


_PLANTS = """
ALTER TABLE plants
    ADD COLUMN acked uuid[] NOT NULL DEFAULT '{}'::uuid[],
    ADD COLUMN acked_by varchar(256),
    ADD COLUMN refused text[] NOT NULL DEFAULT '{}'::text[],
    ADD COLUMN alarms_dropped integer NOT NULL DEFAULT 0,
    ADD COLUMN generation_judged_on date
"""

_METRIC_SNAPSHOTS = """
ALTER TABLE metric_snapshots
    ADD COLUMN sampled_energy_kwh double precision,
    ADD COLUMN energy_raised boolean NOT NULL DEFAULT false
"""
