"""Protects aliases: what a version must be to go live there. Each change is in the log with what it was before."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .actors import LOCAL, Actor
from .engine import reading, writing
from .errors import AliasUnprotected, ModelNotFound
from .events import log_event
from .plain import MAX_NUMBER, check_name, is_name
from .rows import insert_once, lock_model
from .tables import proposals, protections


@dataclass(frozen=True, slots=True)
class Protection:
    """What a protected alias asks of a version. `approval`: a second key must promote the same version.

    `min_skill` is for every endogenous column; `max_age_days` is for the last row that the version has seen. Raises
    ValueError for what no version could meet.
    """

    min_skill: float | None = None
    converged: bool = True
    max_age_days: int | None = None
    approval: bool = False

    def __post_init__(self) -> None:
        if self.min_skill is not None and not -math.inf < self.min_skill <= 1:
            raise ValueError(f"min_skill is {self.min_skill}; expected a number up to 1, which is a forecast without error")
        if self.max_age_days is not None and not 0 <= self.max_age_days <= MAX_NUMBER:
            raise ValueError(f"max_age_days is {self.max_age_days}; expected 0 or more")


@dataclass(frozen=True, slots=True)
class ProtectedAlias:
    """An alias that only an admin moves, since when, and who said so."""

    model: str
    alias: str
    protection: Protection
    created_at: datetime
    created_by: str


def protect_alias(
    engine: sa.Engine, model: str, alias: str, protection: Protection, *, actor: Actor = LOCAL, reason: str | None = None
) -> ProtectedAlias:
    """Protect an alias, or change what it asks for; asking for the same again changes nothing, and is no event.

    Neither the alias nor its model need be there yet. Raises `NameRefused`.
    """
    check_name(model)
    check_name(alias)
    with writing(engine) as connection:
        _hold(connection, model)
        before = read_protection(connection, model, alias)
        if before is not None and before.protection == protection:
            return before
        after = ProtectedAlias(model, alias, protection, datetime.now(UTC), actor.name)
        _write(connection, after)
        details = {"old": None if before is None else asdict(before.protection), "new": asdict(protection)}
        log_event(connection, actor, "protect", model=model, alias=alias, reason=reason, details=details)
    return after


def unprotect_alias(engine: sa.Engine, model: str, alias: str, *, actor: Actor = LOCAL, reason: str | None = None) -> None:
    """Let an alias be moved freely again; a promotion that waits there is forgotten. Raises `AliasUnprotected`."""
    if not (is_name(model) and is_name(alias)):
        raise AliasUnprotected(model, alias)
    with writing(engine) as connection:
        _hold(connection, model)
        before = read_protection(connection, model, alias)
        if before is None:
            raise AliasUnprotected(model, alias)
        for table in (protections, proposals):
            connection.execute(table.delete().where(table.c.model == model, table.c.alias == alias))
        details = {"old": asdict(before.protection), "new": None}
        log_event(connection, actor, "unprotect", model=model, alias=alias, reason=reason, details=details)


def get_protection(engine: sa.Engine, model: str, alias: str) -> ProtectedAlias | None:
    """Return how an alias is protected, None where it is not."""
    with reading(engine) as connection:
        return read_protection(connection, model, alias)


def list_protections(engine: sa.Engine, model: str) -> list[ProtectedAlias]:
    """Return the protected aliases of a model by name, also of one that is not there yet."""
    with reading(engine) as connection:
        return read_protections(connection, model)


def read_protection(connection: sa.Connection, model: str, alias: str) -> ProtectedAlias | None:
    """Return how an alias is protected, within a transaction that is to move it."""
    found = read_protections(connection, model, protections.c.alias == alias) if is_name(alias) else []
    return found[0] if found else None


def read_protections(connection: sa.Connection, model: str, *conditions: sa.ColumnElement[bool]) -> list[ProtectedAlias]:
    """Return the protected aliases of a model for which some conditions hold, by name."""
    if not is_name(model):
        return []
    query = sa.select(protections).where(protections.c.model == model, *conditions).order_by(protections.c.alias)
    return [_protected(row) for row in connection.execute(query).mappings()]


def _protected(row: sa.RowMapping) -> ProtectedAlias:
    protection = Protection(**{f.name: row[f.name] for f in fields(Protection)})
    return ProtectedAlias(row["model"], row["alias"], protection, row["created_at"], row["created_by"])


def _hold(connection: sa.Connection, model: str) -> None:
    """Let no version go live meanwhile. Of a model that is not there nothing can; its first event waits for ours."""
    with suppress(ModelNotFound):
        lock_model(connection, model)


def _write(connection: sa.Connection, protected: ProtectedAlias) -> None:
    key = {"model": protected.model, "alias": protected.alias}
    values: dict[str, Any] = asdict(protected.protection)
    values |= {"created_at": protected.created_at, "created_by": protected.created_by}
    insert_once(connection, protections, key | values)
    this = (protections.c.model == protected.model) & (protections.c.alias == protected.alias)
    connection.execute(protections.update().where(this).values(**values))
    connection.execute(proposals.delete().where(proposals.c.model == protected.model, proposals.c.alias == protected.alias))
