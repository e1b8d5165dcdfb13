"""Poll requests that wait, found without a look at the others, and how often running a plant's worker was lost (PROTOCOL 16 and 20).

The index holds only plants whose request is still to be answered: a close that answers none leaves it alone and stays a HOT update.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE plants ADD COLUMN losses integer NOT NULL DEFAULT 0")
    op.execute(
        "CREATE INDEX plants_requested ON plants (plant_id)"
        " WHERE poll_requested IS DISTINCT FROM handled_poll_request AND poll_requested IS NOT NULL AND deleted_at IS NULL"
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations only go forward: expand first, contract in a later release.")
