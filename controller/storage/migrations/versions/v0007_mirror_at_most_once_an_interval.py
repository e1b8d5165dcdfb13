"""Which changes Kubernetes is told at once, and until when the others wait (PROTOCOL 27).

A row that was there before has no notable version and no hold: what it has to tell is told as it was until now.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE plants ADD COLUMN notable_version bigint NOT NULL DEFAULT 0, ADD COLUMN mirror_held_until timestamptz")


def downgrade() -> None:
    raise NotImplementedError("Migrations only go forward: expand first, contract in a later release.")
