"""How tables are kept that grow for years: less room between rows, and vacuum in small helpings (docs/architecture.md, "Rows for years").

Each statement takes a lock that readers and writers do not wait for, and rewrites nothing: pages that are there keep their room.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE plants SET (autovacuum_vacuum_scale_factor = 0.1, autovacuum_analyze_scale_factor = 1)")
    for table in ("metric_snapshots", "alerts"):
        op.execute(
            f"ALTER TABLE {table} SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02,"
            " autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)"
        )


def downgrade() -> None:
    raise NotImplementedError("Migrations only go forward: expand first, contract in a later release.")
