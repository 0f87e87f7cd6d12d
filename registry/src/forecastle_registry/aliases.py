"""Which version of a model is live, and moving that forward (`promote_version`) or back (`roll_back`).

An alias has a stack of version numbers; its top is live. Promoting pushes, rolling back pops. A protected alias lets through
what `clearance` clears; the way back is open to every admin, because it must work at night.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa

from .actors import LOCAL, Actor
from .clearance import clear
from .engine import first_row, reading, writing
from .errors import (
    AliasNotFound,
    AliasProtected,
    NothingToRollBackTo,
    StaleAlias,
    VersionArchived,
    VersionNotFound,
)
from .events import log_event
from .plain import check_name, is_name, is_number
from .proposals import Proposal
from .protections import read_protection
from .rows import check_model, lock_model
from .tables import alias_stack, aliases, versions

PRODUCTION = "production"

IfMatch = str | frozenset[str] | None  # an alias's ETag or several of which one must fit, or `*`: it points at something


@dataclass(frozen=True, slots=True)
class Live:
    """What an alias points at now: enough to find the forecaster in a cache."""

    model: str
    alias: str
    version_number: int
    plugin: str
    artifact_digest: str


@dataclass(frozen=True, slots=True)
class Alias:
    """A movable pointer: `stack` is oldest first and never empty, `revision` counts its moves."""

    model: str
    name: str
    stack: tuple[int, ...]
    revision: int

    @property
    def etag(self) -> str:
        """What `if_match` is compared with: it changes with every move, and differs between aliases."""
        return f"{self.name}.{self.revision}"

    @property
    def live(self) -> int:
        """The version that is served."""
        return self.stack[-1]


@dataclass(frozen=True, slots=True)
class Moved:
    """The alias after a move, and the version that was live before, None when there was none."""

    alias: Alias
    previous: int | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A promotion that was proposed and waits for a second key: nothing has moved, `live` is what it was."""

    proposal: Proposal
    live: int | None


# What stands on an alias's stack, live first, in the order of `Live`'s last fields; asked with `model` and `alias`.
STACK = (
    sa.select(alias_stack.c.version, versions.c.plugin, versions.c.artifact_digest)
    .join(versions, (versions.c.model == alias_stack.c.model) & (versions.c.number == alias_stack.c.version))
    .where(alias_stack.c.model == sa.bindparam("model"), alias_stack.c.alias == sa.bindparam("alias"))
    .order_by(alias_stack.c.position.desc())
)
# As a parameter the 1 would let Postgres think of a tenth of all rows, and plan each read anew, for many times its cost.
LIVE = STACK.limit(sa.literal_column("1"))


def live_version(engine: sa.Engine, model: str, alias: str = PRODUCTION) -> Live:
    """Return what an alias points at now, in one indexed read. Raises `ModelNotFound` or `AliasNotFound`."""
    row = first_row(engine, LIVE, {"model": model, "alias": alias}) if is_name(model) and is_name(alias) else None
    if row is None:
        _refuse_absent(engine, model, alias)
    return Live(model, alias, *row)


def get_alias(engine: sa.Engine, model: str, alias: str = PRODUCTION) -> Alias:
    """Return an alias with its stack. Raises `ModelNotFound` or `AliasNotFound`."""
    found = None
    if is_name(model) and is_name(alias):
        with reading(engine) as connection:
            found = _read_alias(connection, model, alias)
    if found is None:
        _refuse_absent(engine, model, alias)
    return found


def stack_after_rollback(alias: Alias, to: int | None = None) -> tuple[int, ...]:
    """Return what a rollback would leave on the stack. Raises `NothingToRollBackTo`."""
    for depth in range(len(alias.stack) - 1, 0, -1):
        if to is None or alias.stack[depth - 1] == to:
            return alias.stack[:depth]
    raise NothingToRollBackTo(alias.model, alias.name, to)


def promote_version(
    engine: sa.Engine,
    model: str,
    number: int,
    *,
    alias: str = PRODUCTION,
    if_match: IfMatch = None,
    actor: Actor = LOCAL,
    reason: str | None = None,
) -> Moved | Waiting:
    """Make a version live; for the one that is live already nothing changes, and no event is written.

    Where a protected alias asks for approval, the first key's call leaves a proposal. Raises `ModelNotFound`,
    `VersionNotFound`, `VersionArchived`, `StaleAlias`, `NameRefused`, `AliasProtected` or `GateClosed`.
    """
    check_name(alias)
    with writing(engine) as connection:
        lock_model(connection, model)
        _check_promotable(connection, model, number)
        check_match(model, alias, _read_alias(connection, model, alias), if_match)
        return promote_within(connection, model, number, alias=alias, actor=actor, reason=reason)


def roll_back(
    engine: sa.Engine,
    model: str,
    *,
    alias: str = PRODUCTION,
    to: int | None = None,
    among: Collection[int] | None = None,
    if_match: IfMatch = None,
    actor: Actor = LOCAL,
    reason: str | None = None,
) -> Moved:
    """Make the version below the top live again, or the nearest `to` below it. No gate stands on the way back.

    Where that is none of `among`, the versions that may go live, it is `StaleAlias` as well. Raises also `ModelNotFound`,
    `AliasNotFound`, `NothingToRollBackTo`, `VersionArchived`, or `AliasProtected` for who is no admin.
    """
    with writing(engine) as connection:
        lock_model(connection, model)
        current = _read_alias(connection, model, alias) if is_name(alias) else None
        check_match(model, alias, current, if_match)
        if current is None:
            raise AliasNotFound(model, alias)
        if not actor.admin and read_protection(connection, model, alias) is not None:
            raise AliasProtected(model, alias)
        stack = stack_after_rollback(current, to)
        if among is not None and stack[-1] not in among:
            raise StaleAlias(model, alias, current)
        _check_promotable(connection, model, stack[-1])
        connection.execute(alias_stack.delete().where(*_stack_of(model, alias), alias_stack.c.position > len(stack)))
        moved = _moved(connection, current, stack)
        _log_move(connection, "rollback", moved, actor, reason)
        return moved


def promote_within(
    connection: sa.Connection, model: str, number: int, *, alias: str, actor: Actor, reason: str | None
) -> Moved | Waiting:
    """Promote a version within a transaction that holds the model's row: the one way on which any version goes forward.

    Raises `AliasProtected` or `GateClosed`, before anything is written.
    """
    current = _read_alias(connection, model, alias)
    if current is not None and current.live == number:
        return Moved(current, number, changed=False)
    revision = 0 if current is None else current.revision
    clearance = clear(connection, model, number, alias=alias, revision=revision, actor=actor, reason=reason)
    if clearance.waiting is not None:
        return Waiting(clearance.waiting, None if current is None else current.live)
    moved = _push(connection, current or _point_at_nothing(connection, model, alias), number)
    _log_move(connection, "promote", moved, actor, reason, clearance.approved)
    return moved


def check_match(model: str, alias: str, current: Alias | None, if_match: IfMatch) -> None:
    """Refuse a move from what the alias no longer is. Raises `StaleAlias`."""
    wanted = frozenset([if_match]) if isinstance(if_match, str) else if_match
    if wanted is None or (current is not None and not wanted.isdisjoint(("*", current.etag))):
        return
    raise StaleAlias(model, alias, current)


def _point_at_nothing(connection: sa.Connection, model: str, alias: str) -> Alias:
    connection.execute(aliases.insert(), {"model": model, "name": alias, "revision": 0})
    return Alias(model, alias, (), 0)


def _push(connection: sa.Connection, current: Alias, number: int) -> Moved:
    row = {"model": current.model, "alias": current.name, "position": len(current.stack) + 1, "version": number}
    connection.execute(alias_stack.insert(), row)
    return _moved(connection, current, (*current.stack, number))


def _moved(connection: sa.Connection, before: Alias, stack: tuple[int, ...]) -> Moved:
    after = Alias(before.model, before.name, stack, before.revision + 1)
    this = (aliases.c.model == after.model) & (aliases.c.name == after.name)
    connection.execute(aliases.update().where(this).values(revision=after.revision))
    return Moved(after, before.live if before.stack else None, changed=True)


def _log_move(
    connection: sa.Connection, what: str, moved: Moved, actor: Actor, reason: str | None, approved: Proposal | None = None
) -> None:
    alias = moved.alias
    details: dict[str, Any] = {"previous": moved.previous, "stack": list(alias.stack)}
    if approved is not None:
        details |= {"proposed_by": approved.proposed_by, "proposed_because": approved.reason}
    log_event(connection, actor, what, model=alias.model, version=alias.live, alias=alias.name, reason=reason, details=details)


def _read_alias(connection: sa.Connection, model: str, alias: str) -> Alias | None:
    same = (alias_stack.c.model == aliases.c.model) & (alias_stack.c.alias == aliases.c.name)
    query = (
        sa.select(aliases.c.revision, alias_stack.c.version)
        .join(alias_stack, same)
        .where(aliases.c.model == model, aliases.c.name == alias)
        .order_by(alias_stack.c.position)
    )
    rows = connection.execute(query).all()
    return Alias(model, alias, tuple(row.version for row in rows), rows[0].revision) if rows else None


def _stack_of(model: str, alias: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return alias_stack.c.model == model, alias_stack.c.alias == alias


def _check_promotable(connection: sa.Connection, model: str, number: int) -> None:
    query = sa.select(versions.c.number, versions.c.archived_at).where(versions.c.model == model, versions.c.number == number)
    row = connection.execute(query).first() if is_number(number) else None
    if row is None:
        raise VersionNotFound(model, number)
    if row.archived_at is not None:
        raise VersionArchived(model, number)


def _refuse_absent(engine: sa.Engine, model: str, alias: str) -> NoReturn:
    """Raise `ModelNotFound` or `AliasNotFound`, whichever is true."""
    with reading(engine) as connection:
        check_model(connection, model)
    raise AliasNotFound(model, alias)
