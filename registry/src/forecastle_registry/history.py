"""What was live when, from the events that moved the aliases: it is known of versions too that were deleted since."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .engine import reading
from .pages import Page, page_of
from .rows import check_model
from .tables import events, versions
from .versions import VersionSummary

MOVES = ("promote", "rollback")


@dataclass(frozen=True, slots=True)
class VersionThen:
    """A version that was live at a moment, as `aliases`; `version` is None when it was deleted since.

    `kept` is what the event of that deletion tells of it: plain data, of which nothing need be there.
    """

    number: int
    aliases: tuple[str, ...]
    version: VersionSummary | None
    kept: dict[str, Any]


def live_at(engine: sa.Engine, model: str, moment: datetime) -> dict[str, int]:
    """Return what each alias of a model pointed at, at a moment, which must know its zone. Raises `ModelNotFound`."""
    with reading(engine) as connection:
        return _live_at(connection, model, moment)


def versions_live_at(
    engine: sa.Engine, model: str, moment: datetime, *, before: int | None = None, limit: int = 50
) -> Page[VersionThen]:
    """Return the versions that were live at a moment, the highest number first; `before` is a number: go on below it.

    `aliases` are those of then, in the rows of versions that are still there too. Raises `ModelNotFound`.
    """
    with reading(engine) as connection:
        live = _live_at(connection, model, moment)
        numbers = sorted({number for number in live.values() if before is None or number < before}, reverse=True)[: limit + 1]
        query = sa.select(*_COLUMNS).where(versions.c.model == model, versions.c.number.in_(numbers))
        rows = {row["number"]: row for row in connection.execute(query).mappings()}
        kept = _kept(connection, model, [number for number in numbers if number not in rows])
    found = [_then(number, live, rows.get(number), kept.get(number, {})) for number in numbers]
    return page_of(found, limit, lambda version: version.number)


_COLUMNS = [versions.c[f.name] for f in fields(VersionSummary) if f.name != "aliases"]


def _live_at(connection: sa.Connection, model: str, moment: datetime) -> dict[str, int]:
    check_model(connection, model)
    moved = (events.c.model == model, events.c.what.in_(MOVES), events.c.at <= moment, events.c.alias.is_not(None))
    last = sa.select(sa.func.max(events.c.id)).where(*moved).group_by(events.c.alias)
    query = sa.select(events.c.alias, events.c.version).where(events.c.id.in_(last)).order_by(events.c.alias)
    return dict(connection.execute(query).all())


def _kept(connection: sa.Connection, model: str, numbers: list[int]) -> dict[int, dict[str, Any]]:
    """Return what the log kept of versions that were deleted, by number."""
    deleted = (events.c.model == model, events.c.what == "delete", events.c.version.in_(numbers))
    query = sa.select(events.c.version, events.c.details).where(*deleted).order_by(events.c.id)
    return dict(connection.execute(query).all()) if numbers else {}


def _then(number: int, live: dict[str, int], row: Any, kept: dict[str, Any]) -> VersionThen:
    aliases = tuple(alias for alias, version in live.items() if version == number)
    return VersionThen(number, aliases, None if row is None else VersionSummary(**row, aliases=aliases), kept)
