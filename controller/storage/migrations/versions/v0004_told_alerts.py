"""Which alerts Kubernetes was last told of: events name each that opens and each that ends, once, however many a plant has.

A column without a default: no row is rewritten, and the release before this one goes on beside it. Null, as in rows from before, means
that it is not known; then nothing is announced of alerts until the row is mirrored again.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE plants ADD COLUMN mirrored_alerts uuid[]")


def downgrade() -> None:
    raise NotImplementedError("Migrations only go forward: expand first, contract in a later release.")
