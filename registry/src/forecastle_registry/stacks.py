"""What stands below the live version of an alias: where a process looks that cannot serve what is live."""

from __future__ import annotations

import sqlalchemy as sa

from .aliases import Live
from .engine import reading
from .plain import is_name
from .tables import alias_stack, versions

DEEPEST = 200  # rows of a stack that are looked at: nobody wants a forecast from further back

_STACK = (
    sa.select(alias_stack.c.version, versions.c.plugin, versions.c.artifact_digest, versions.c.archived_at)
    .join(versions, (versions.c.model == alias_stack.c.model) & (versions.c.number == alias_stack.c.version))
    .where(alias_stack.c.model == sa.bindparam("model"), alias_stack.c.alias == sa.bindparam("alias"))
    .order_by(alias_stack.c.position.desc())
    .limit(DEEPEST)
)


def stacked_versions(engine: sa.Engine, model: str, alias: str) -> list[Live]:
    """Return what an alias points at and what it would roll back to: the live version first, each once, none archived."""
    if not (is_name(model) and is_name(alias)):
        return []
    with reading(engine) as connection:
        rows = connection.execute(_STACK, {"model": model, "alias": alias}).all()
    found = {
        row.version: Live(model, alias, row.version, row.plugin, row.artifact_digest) for row in rows if row.archived_at is None
    }
    return list(found.values())
