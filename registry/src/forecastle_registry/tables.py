"""Every table of the registry, and the one text form in which it stores a time.

Small columns come first: a row that holds large JSON spills over many pages, and SQLite reads no further than it must.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator


class UtcText(TypeDecorator[datetime]):
    """A time as text, `2026-11-23T05:15:47.123456Z`: the same in every database, and sorted as text is."""

    impl = sa.String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        """Write a time, which must know its zone."""
        return None if value is None else time_text(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> datetime | None:
        """Read a time as an aware datetime in UTC."""
        return None if value is None else datetime.fromisoformat(value)


def time_text(value: datetime) -> str:
    """Return the canonical text of a time. Raises ValueError for one that has no zone."""
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no zone; give datetime.now(UTC)")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

NAME = sa.String(200)
DIGEST = sa.String(64)
JSON = sa.JSON(none_as_null=True)


def _column(name: str, kind: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=options.pop("nullable", False), **options)


models = sa.Table(
    "models",
    metadata,
    _column("name", NAME, primary_key=True),
    _column("plugin", NAME),
    _column("created_at", UtcText),
    _column("last_number", sa.Integer, server_default="0"),  # a number is never given twice, also when its version was deleted
)

# The content is null where another store than the database holds it.
artifacts = sa.Table(
    "artifacts",
    metadata,
    _column("digest", DIGEST, primary_key=True),
    _column("size", sa.BigInteger),
    _column("created_at", UtcText),
    _column("content", sa.LargeBinary, nullable=True),
)

versions = sa.Table(
    "versions",
    metadata,
    _column("model", NAME, primary_key=True),
    _column("number", sa.Integer, primary_key=True, autoincrement=False),
    _column("artifact_digest", DIGEST),
    _column("artifact_size", sa.BigInteger),
    _column("created_at", UtcText),
    _column("archived_at", UtcText, nullable=True),
    _column("plugin", NAME),
    _column("plugin_version", NAME),
    _column("serializer", sa.String(20)),
    _column("state_format", sa.Integer),
    _column("state_digest", DIGEST),
    _column("parent", sa.Integer, nullable=True),
    _column("verdict", sa.String(20), nullable=True),
    _column("llf", sa.Double, nullable=True),
    _column("parameters", JSON),
    _column("criteria", JSON),
    _column("signature", JSON),
    _column("notices", JSON),
    _column("lineage", JSON),
    _column("golden", JSON),
    _column("accuracy", JSON, nullable=True),
    _column("estimates", JSON),
    _column("candidates", JSON),
    sa.ForeignKeyConstraint(["model"], ["models.name"]),
    sa.ForeignKeyConstraint(["artifact_digest"], ["artifacts.digest"]),
    sa.ForeignKeyConstraint(["model", "parent"], ["versions.model", "versions.number"]),
    sa.Index(None, "artifact_digest"),
    sa.CheckConstraint("number > 0", name="number"),
)

aliases = sa.Table(
    "aliases",
    metadata,
    _column("model", NAME, primary_key=True),
    _column("name", NAME, primary_key=True),
    _column("revision", sa.Integer),
    sa.ForeignKeyConstraint(["model"], ["models.name"]),
)

# The row of the highest position is what is live. Its primary key is the index that every forecast reads; without rowids
# SQLite finds the row there itself.
alias_stack = sa.Table(
    "alias_stack",
    metadata,
    _column("model", NAME, primary_key=True),
    _column("alias", NAME, primary_key=True),
    _column("position", sa.Integer, primary_key=True, autoincrement=False),
    _column("version", sa.Integer),
    sa.ForeignKeyConstraint(["model", "alias"], ["aliases.model", "aliases.name"]),
    sa.ForeignKeyConstraint(["model", "version"], ["versions.model", "versions.number"]),
    sa.Index(None, "model", "version"),
    sqlite_with_rowid=False,
)

# No foreign keys: an alias may be protected before anything is live there, and before its model exists.
protections = sa.Table(
    "protections",
    metadata,
    _column("model", NAME, primary_key=True),
    _column("alias", NAME, primary_key=True),
    _column("min_skill", sa.Double, nullable=True),
    _column("converged", sa.Boolean),
    _column("max_age_days", sa.Integer, nullable=True),
    _column("approval", sa.Boolean),
    _column("created_at", UtcText),
    _column("created_by", NAME),
)

# A promotion that waits for a second key; one for an alias. It counts while the alias is still at the revision it was made at.
proposals = sa.Table(
    "proposals",
    metadata,
    _column("model", NAME, primary_key=True),
    _column("alias", NAME, primary_key=True),
    _column("version", sa.Integer),
    _column("revision", sa.Integer),
    _column("proposed_at", UtcText),
    _column("proposed_by", NAME),
    _column("key", sa.String(20), nullable=True),
    _column("reason", sa.Text, nullable=True),
)

# The secret itself is not here: `digest` is its SHA-256.
keys = sa.Table(
    "keys",
    metadata,
    _column("prefix", sa.String(20), primary_key=True),
    _column("name", NAME),
    _column("role", sa.String(20)),
    _column("digest", DIGEST),
    _column("models", NAME, nullable=True),
    _column("limits", NAME, nullable=True),
    _column("created_at", UtcText),
    _column("created_by", NAME),
    _column("expires_at", UtcText, nullable=True),
    _column("revoked_at", UtcText, nullable=True),
    _column("last_used_at", UtcText, nullable=True),
    sa.UniqueConstraint("name"),
)

# No foreign keys: the log outlives what it speaks of.
events = sa.Table(
    "events",
    metadata,
    _column("id", sa.Integer, primary_key=True, autoincrement=True),
    _column("at", UtcText),
    _column("who", NAME),
    _column("what", sa.String(40)),
    _column("model", NAME, nullable=True),
    _column("version", sa.Integer, nullable=True),
    _column("alias", NAME, nullable=True),
    _column("reason", sa.Text, nullable=True),
    _column("details", JSON),
    _column("origin", NAME, nullable=True),
    _column("mac", DIGEST, nullable=True),
    sa.Index(None, "model", "id"),
    sa.Index("ix_events_model_alias", "model", "alias", "id"),
    sqlite_autoincrement=True,
)

# One row, `log`: the newest sealed event. Whoever writes an event holds it, so that the chain has one order.
event_head = sa.Table(
    "event_head",
    metadata,
    _column("name", sa.String(20), primary_key=True),
    _column("id", sa.Integer),
    _column("at", UtcText),
    _column("mac", DIGEST),
    _column("count", sa.Integer),
)
