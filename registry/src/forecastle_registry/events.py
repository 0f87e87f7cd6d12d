"""The audit log: who did what to which model, when, why."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .actors import Actor
from .engine import reading
from .pages import Page, page_of
from .plain import plain
from .tables import events


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log: `who` did `what`, `origin` is from where; `details` depend on `what`."""

    id: int
    at: datetime
    who: str
    origin: str | None
    what: str
    model: str | None
    version: int | None
    alias: str | None
    reason: str | None
    details: dict[str, Any]


def log_event(
    connection: sa.Connection,
    actor: Actor,
    what: str,
    *,
    model: str | None = None,
    version: int | None = None,
    alias: str | None = None,
    reason: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Write a line of the log within the transaction of what it tells."""
    row = {
        "who": actor.name,
        "origin": actor.origin,
        "what": what,
        "model": model,
        "version": version,
        "alias": alias,
        "reason": reason,
    }
    row = plain(row | {"details": details or {}}, "event")
    connection.execute(events.insert(), row | {"at": datetime.now(UTC)})


def list_events(engine: sa.Engine, model: str | None = None, *, before: int | None = None, limit: int = 50) -> Page[Event]:
    """Return the log of one model, or of everything, newest first. `before` is an event's id: go on below it."""
    query = sa.select(*(events.c[f.name] for f in fields(Event))).order_by(events.c.id.desc()).limit(limit + 1)
    if model is not None:
        query = query.where(events.c.model == model)
    if before is not None:
        query = query.where(events.c.id < before)
    with reading(engine) as connection:
        found = [Event(**row) for row in connection.execute(query).mappings()]
    return page_of(found, limit, lambda event: event.id)
