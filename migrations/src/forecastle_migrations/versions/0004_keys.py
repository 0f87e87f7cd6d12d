"""The keys, of which only a digest is stored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.String(200)
TIME = sa.String(27)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "keys",
        sa.Column("prefix", sa.String(20), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("models", NAME),
        sa.Column("limits", NAME),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("revoked_at", TIME),
        sa.Column("last_used_at", TIME),
        sa.PrimaryKeyConstraint("prefix", name="pk_keys"),
        sa.UniqueConstraint("name", name="uq_keys_name"),
    )


def downgrade() -> None:
    """Drop the keys: an installation without any is open, or does not start."""
    op.drop_table("keys")
