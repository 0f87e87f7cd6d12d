"""Takes versions out of use: archived ones answer where they are pinned and never go live, of deleted ones the log remains."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .actors import LOCAL, Actor
from .engine import writing
from .errors import VersionInUse, VersionNotFound
from .events import log_event
from .plain import is_number
from .proposals import forget_proposals_of
from .rows import lock_model
from .tables import alias_stack, models, versions
from .versions import last_number, live_versions

TOLD = 5  # users of a version that an error names


def archive_version(engine: sa.Engine, model: str, number: int, *, actor: Actor = LOCAL, reason: str | None = None) -> bool:
    """Keep a version from ever going live again, and say whether that changed anything; then there is an event.

    Raises `ModelNotFound`, `VersionNotFound`, or `VersionInUse` while it is live.
    """
    with writing(engine) as connection:
        if _find(connection, model, number)["archived_at"] is not None:
            return False
        live = live_versions(connection, [model]).get(model, {})
        users = [f"the alias {alias!r}" for alias, top in live.items() if top == number]
        if users:
            raise VersionInUse(model, number, _told(users), "it is live there: promote another version or roll back first")
        forget_proposals_of(connection, model, number)
        _set_archived(connection, model, number, datetime.now(UTC))
        log_event(connection, actor, "archive", model=model, version=number, reason=reason)
    return True


def restore_version(engine: sa.Engine, model: str, number: int, *, actor: Actor = LOCAL, reason: str | None = None) -> bool:
    """Let an archived version go live again, and say whether that changed anything; then there is an event.

    Raises `ModelNotFound` or `VersionNotFound`.
    """
    with writing(engine) as connection:
        if _find(connection, model, number)["archived_at"] is None:
            return False
        _set_archived(connection, model, number, None)
        log_event(connection, actor, "restore", model=model, version=number, reason=reason)
    return True


def delete_version(engine: sa.Engine, model: str, number: int, *, actor: Actor = LOCAL, reason: str | None = None) -> None:
    """Remove a version for ever; its number is never given again. The artifact's bytes go when unused artifacts are collected.

    Raises `ModelNotFound`, `VersionNotFound`, or `VersionInUse` while an alias's stack or a child names it.
    """
    with writing(engine) as connection:
        found = _find(connection, model, number)
        _refuse_stacked(connection, model, number)
        _refuse_parent(connection, model, number)
        forget_proposals_of(connection, model, number)
        # The release before this one does not keep the last number: once the row is gone, nothing else tells it.
        last = last_number(connection, model)
        connection.execute(models.update().where(models.c.name == model).values(last_number=last))
        connection.execute(versions.delete().where(*_this(model, number)))
        log_event(connection, actor, "delete", model=model, version=number, reason=reason, details=_epitaph(found))


def _find(connection: sa.Connection, model: str, number: int) -> sa.RowMapping:
    """Hold the model, and return what the log keeps of a version. Raises `ModelNotFound` or `VersionNotFound`."""
    lock_model(connection, model)
    columns = [
        versions.c[name] for name in ("archived_at", "created_at", "plugin", "artifact_digest", "state_digest", "parent")
    ]
    query = sa.select(*columns).where(*_this(model, number))
    row = connection.execute(query).mappings().first() if is_number(number) else None
    if row is None:
        raise VersionNotFound(model, number)
    return row


def _epitaph(row: sa.RowMapping) -> dict[str, Any]:
    return {
        **row,
        "archived_at": row["archived_at"] and row["archived_at"].isoformat(),
        "created_at": row["created_at"].isoformat(),
    }


def _refuse_stacked(connection: sa.Connection, model: str, number: int) -> None:
    stacks = sa.select(alias_stack.c.alias).where(alias_stack.c.model == model, alias_stack.c.version == number)
    users = [
        f"the stack of the alias {alias!r}"
        for alias in connection.execute(stacks.distinct().order_by(alias_stack.c.alias)).scalars()
    ]
    if users:
        remedy = "a rollback may need it: archive it instead (`forecastle archive`)"
        raise VersionInUse(model, number, _told(users), remedy)


def _refuse_parent(connection: sa.Connection, model: str, number: int) -> None:
    children = sa.select(versions.c.number).where(versions.c.model == model, versions.c.parent == number)
    users = [f"version {child}, its child" for child in connection.execute(children.order_by(versions.c.number)).scalars()]
    if users:
        raise VersionInUse(model, number, _told(users), "delete those first, or archive it instead (`forecastle archive`)")


def _told(users: list[str]) -> tuple[str, ...]:
    more = len(users) - TOLD
    return (*users[:TOLD], *([f"{more} more"] if more > 0 else []))


def _set_archived(connection: sa.Connection, model: str, number: int, when: datetime | None) -> None:
    connection.execute(versions.update().where(*_this(model, number)).values(archived_at=when))


def _this(model: str, number: int) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return versions.c.model == model, versions.c.number == number
