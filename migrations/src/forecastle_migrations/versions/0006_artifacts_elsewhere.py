"""An artifact's content may be in another store, and the number of a deleted version is not given again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let content be null, and remember the last number of each model (the release before counts from its versions)."""
    with op.batch_alter_table("artifacts") as table:
        table.alter_column("content", existing_type=sa.LargeBinary, nullable=True)
    op.add_column("models", sa.Column("last_number", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Ask for content again; that refuses while an artifact is elsewhere: `forecastle artifacts copy --to database` first."""
    op.drop_column("models", "last_number")
    with op.batch_alter_table("artifacts") as table:
        table.alter_column("content", existing_type=sa.LargeBinary, nullable=False)
