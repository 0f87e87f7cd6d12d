"""From where something was done, and the seals that chain the log's lines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the release before can leave out: a line of its own has no seal."""
    op.add_column("events", sa.Column("origin", sa.String(200)))
    op.add_column("events", sa.Column("mac", sa.String(64)))
    op.create_index("ix_events_model_alias", "events", ["model", "alias", "id"])
    op.create_table(
        "event_head",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_event_head"),
    )


def downgrade() -> None:
    """Drop the seals; the lines stay."""
    op.drop_table("event_head")
    op.drop_index("ix_events_model_alias", "events")
    op.drop_column("events", "mac")
    op.drop_column("events", "origin")
