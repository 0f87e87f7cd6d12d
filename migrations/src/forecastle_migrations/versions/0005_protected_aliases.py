"""Which aliases are protected, and promotions that wait for a second key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = sa.String(200)
TIME = sa.String(27)


def upgrade() -> None:
    """Make the tables. They have no foreign keys: an alias may be protected before its model exists."""
    op.create_table(
        "protections",
        sa.Column("model", NAME, nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("min_skill", sa.Double),
        sa.Column("converged", sa.Boolean, nullable=False),
        sa.Column("max_age_days", sa.Integer),
        sa.Column("approval", sa.Boolean, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        sa.PrimaryKeyConstraint("model", "alias", name="pk_protections"),
    )
    op.create_table(
        "proposals",
        sa.Column("model", NAME, nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("proposed_at", TIME, nullable=False),
        sa.Column("proposed_by", NAME, nullable=False),
        sa.Column("key", sa.String(20)),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("model", "alias", name="pk_proposals"),
    )


def downgrade() -> None:
    """Drop both: nothing is protected then."""
    op.drop_table("proposals")
    op.drop_table("protections")
