"""What stands below the live version of an alias: where a process looks that cannot serve what is live."""

from __future__ import annotations

import sqlalchemy as sa

from .aliases import STACK, Live
from .engine import reading
from .plain import is_name
from .tables import versions

DEEPEST = 200  # steps down a stack that are looked at: nobody wants a forecast from further back

_STACK = STACK.where(versions.c.archived_at.is_(None)).limit(DEEPEST)


def stacked_versions(engine: sa.Engine, model: str, alias: str) -> list[Live]:
    """Return what an alias points at and what it would roll back to: the live version first, each once, none archived."""
    if not (is_name(model) and is_name(alias)):
        return []
    with reading(engine) as connection:
        rows = connection.execute(_STACK, {"model": model, "alias": alias}).all()
    return list(dict.fromkeys(Live(model, alias, *row) for row in rows))
