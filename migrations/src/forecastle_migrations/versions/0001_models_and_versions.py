"""Models, their versions, the artifacts, and the aliases with their stacks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(200)
DIGEST = sa.String(64)
TIME = sa.String(27)


def upgrade() -> None:
    """Make the tables, those that others refer to first."""
    _create_models()
    _create_artifacts()
    _create_versions()
    _create_aliases()


def downgrade() -> None:
    """Drop the tables, those that refer to others first."""
    for table in ("alias_stack", "aliases", "versions", "artifacts", "models"):
        op.drop_table(table)


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("name", NAME, nullable=False),
        sa.Column("plugin", NAME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )


def _create_artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_artifacts"),
    )


def _create_versions() -> None:
    same = ["versions.model", "versions.number"]
    op.create_table(
        "versions",
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("artifact_digest", DIGEST, nullable=False),
        sa.Column("artifact_size", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("archived_at", TIME),
        sa.Column("plugin", NAME, nullable=False),
        sa.Column("plugin_version", NAME, nullable=False),
        sa.Column("serializer", sa.String(20), nullable=False),
        sa.Column("state_format", sa.Integer, nullable=False),
        sa.Column("state_digest", DIGEST, nullable=False),
        sa.Column("parent", sa.Integer),
        sa.Column("verdict", sa.String(20)),
        sa.Column("llf", sa.Double),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("criteria", sa.JSON, nullable=False),
        sa.Column("signature", sa.JSON, nullable=False),
        sa.Column("notices", sa.JSON, nullable=False),
        sa.Column("lineage", sa.JSON, nullable=False),
        sa.Column("golden", sa.JSON, nullable=False),
        sa.Column("accuracy", sa.JSON),
        sa.Column("estimates", sa.JSON, nullable=False),
        sa.Column("candidates", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("model", "number", name="pk_versions"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_versions_model_models"),
        sa.ForeignKeyConstraint(["artifact_digest"], ["artifacts.digest"], name="fk_versions_artifact_digest_artifacts"),
        sa.ForeignKeyConstraint(["model", "parent"], same, name="fk_versions_model_parent_versions"),
        sa.CheckConstraint("number > 0", name=op.f("ck_versions_number")),
    )
    op.create_index("ix_versions_artifact_digest", "versions", ["artifact_digest"])


def _create_aliases() -> None:
    op.create_table(
        "aliases",
        sa.Column("model", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("model", "name", name="pk_aliases"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_aliases_model_models"),
    )
    alias, version = ["aliases.model", "aliases.name"], ["versions.model", "versions.number"]
    op.create_table(
        "alias_stack",
        sa.Column("model", NAME, nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("position", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("model", "alias", "position", name="pk_alias_stack"),
        sa.ForeignKeyConstraint(["model", "alias"], alias, name="fk_alias_stack_model_alias_aliases"),
        sa.ForeignKeyConstraint(["model", "version"], version, name="fk_alias_stack_model_version_versions"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_alias_stack_model_version", "alias_stack", ["model", "version"])
