"""The audit log: who did what to which model, when, why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.String(200)


def upgrade() -> None:
    """Make the log. It has no foreign keys: it outlives what it speaks of."""
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("who", NAME, nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("model", NAME),
        sa.Column("version", sa.Integer),
        sa.Column("alias", NAME),
        sa.Column("reason", sa.Text),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_model_id", "events", ["model", "id"])


def downgrade() -> None:
    """Drop the log. What it told is lost; models, versions and aliases stay as they are."""
    op.drop_table("events")
