"""The audit log: who did what to which model, when, why. Every line is sealed, and no function changes or deletes one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .actors import Actor
from .engine import reading
from .errors import SigningKeyUnusable
from .heads import EMPTY, Head, lock_head, move_head
from .pages import Page, page_of
from .plain import plain
from .seals import is_sealed_with, read_lines, seal, sealing_key
from .tables import events, time_text

WHAT = (
    "register",
    "promote",
    "rollback",
    "propose",
    "protect",
    "unprotect",
    "archive",
    "restore",
    "delete",
    "key-create",
    "key-revoke",
    "artifact-refused",
    "golden-mismatch",
    "artifacts-copy",
    "artifacts-gc",
    "database-copy",
    "backup",
    "restore-backup",
    "seal",
)  # whatever is done; `seal` says that the log had no head, and began one

ANOTHERS = (
    "the audit log is sealed with another key than this one, so nothing is done that it could not tell of: bring the signing "
    "key of where the log was written to FORECASTLE_SIGNING_KEY_FILE"
)


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


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which lines are wanted; None is any. From `since` on, and before `until`; both know their zone."""

    what: str | None = None
    who: str | None = None
    version: int | None = None
    alias: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return what a line must meet."""
        same = {name: getattr(self, name) for name in ("what", "who", "version", "alias")}
        found = [events.c[name] == value for name, value in same.items() if value is not None]
        if self.since is not None:
            found.append(events.c.at >= self.since)
        if self.until is not None:
            found.append(events.c.at < self.until)
        return found


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
    """Write a line of the log, sealed, within the transaction of what it tells.

    Its time is never before that of the line above it. Raises `NotPlainData`, or `SigningKeyUnusable` where the engine was
    opened without the installation's key, or with another one than the log is sealed with.
    """
    key = sealing_key(connection)
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
    head = lock_head(connection)
    if head == EMPTY:
        head = _begin(connection, key, actor)
    elif not is_sealed_with(connection, key):
        raise SigningKeyUnusable(ANOTHERS)
    move_head(connection, _append(connection, key, head, row))


def list_events(
    engine: sa.Engine,
    model: str | None = None,
    *,
    matching: EventFilter | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Page[Event]:
    """Return the log of one model, or of everything, newest first. `before` is an event's id: go on below it."""
    query = sa.select(*(events.c[f.name] for f in fields(Event))).order_by(events.c.id.desc()).limit(limit + 1)
    if model is not None:
        query = query.where(events.c.model == model)
    if before is not None:
        query = query.where(events.c.id < before)
    if matching is not None:
        query = query.where(*matching.conditions())
    with reading(engine) as connection:
        found = [Event(**row) for row in connection.execute(query).mappings()]
    return page_of(found, limit, lambda event: event.id)


def _append(connection: sa.Connection, key: bytes, head: Head, row: dict[str, Any]) -> Head:
    """Insert a line behind the head that is held, and return the new head."""
    at = max(datetime.now(UTC), datetime.fromisoformat(head.at))
    line = row | {"at": time_text(at)}
    number = connection.execute(events.insert().returning(events.c.id), row | {"at": at}).scalar_one()
    mac = seal(key, head.mac or None, line | {"id": number})
    connection.execute(events.update().where(events.c.id == number).values(mac=mac))
    return Head(number, line["at"], mac, head.count + 1)


def _begin(connection: sa.Connection, key: bytes, actor: Actor) -> Head:
    """Return the head of a log that has none, and say so in it: it was begun before there were seals, or its head is gone."""
    found = _last_sealed(connection)
    head = found or _adopt(connection, key)
    if head == EMPTY:
        return head
    reason = "the log's head was gone" if found else "these lines were written before there were seals"
    row = {"who": actor.name, "origin": actor.origin, "what": "seal", "reason": reason, "details": asdict(head)}
    return _append(connection, key, head, row | {"model": None, "version": None, "alias": None})


def _last_sealed(connection: sa.Connection) -> Head | None:
    sealed = sa.select(sa.func.max(events.c.id), sa.func.count()).where(events.c.mac.is_not(None))
    last, count = connection.execute(sealed).one()
    if last is None:
        return None
    row = connection.execute(sa.select(events.c.at, events.c.mac).where(events.c.id == last)).one()
    return Head(last, time_text(row.at), row.mac, count)


def _adopt(connection: sa.Connection, key: bytes) -> Head:
    """Seal every line that is there, in the order of ids."""
    head = EMPTY
    for line in read_lines(connection):
        mac = seal(key, head.mac or None, line)
        connection.execute(events.update().where(events.c.id == line["id"]).values(mac=mac))
        head = Head(line["id"], line["at"], mac, head.count + 1)
    return head
