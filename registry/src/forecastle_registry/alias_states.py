"""Lists a model's aliases whole: stack, protection, and what waits there for a second key."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .aliases import Alias
from .engine import reading
from .errors import ModelNotFound
from .pages import Page, page_of
from .plain import is_name
from .proposals import Proposal, waiting_proposals
from .protections import ProtectedAlias, read_protections
from .rows import check_model
from .tables import alias_stack, aliases, protections


@dataclass(frozen=True, slots=True)
class AliasState:
    """All that is known of an alias; `alias` is None where it points at nothing, but is protected."""

    model: str
    name: str
    alias: Alias | None
    protected: ProtectedAlias | None
    waiting: Proposal | None


def list_aliases(engine: sa.Engine, model: str, *, after: str | None = None, limit: int = 50) -> Page[AliasState]:
    """Return a model's aliases by name, protected ones also before anything is live there; `after` is a name: go on behind it.

    Raises `ModelNotFound` where there is neither the model nor anything protected under its name.
    """
    if not is_name(model):
        raise ModelNotFound(model)
    with reading(engine) as connection:
        names = _names(connection, model, after, limit + 1)
        if not names and after is None:
            check_model(connection, model)
        stacks = _stacks(connection, model, names)
        waiting = waiting_proposals(connection, model, {name: alias.revision for name, alias in stacks.items()})
        protected = {found.alias: found for found in read_protections(connection, model)}
    states = [AliasState(model, name, stacks.get(name), protected.get(name), waiting.get(name)) for name in names]
    return page_of(states, limit, lambda state: state.name)


def _names(connection: sa.Connection, model: str, after: str | None, limit: int) -> list[str]:
    named = sa.union(
        sa.select(aliases.c.name).where(aliases.c.model == model),
        sa.select(protections.c.alias.label("name")).where(protections.c.model == model),
    ).subquery()
    query = sa.select(named.c.name).order_by(named.c.name).limit(limit)
    if after is not None:
        query = query.where(named.c.name > after)
    return list(connection.execute(query).scalars())


def _stacks(connection: sa.Connection, model: str, names: list[str]) -> dict[str, Alias]:
    same = (alias_stack.c.model == aliases.c.model) & (alias_stack.c.alias == aliases.c.name)
    query = (
        sa.select(aliases.c.name, aliases.c.revision, alias_stack.c.version)
        .join(alias_stack, same)
        .where(aliases.c.model == model, aliases.c.name.in_(names))
        .order_by(aliases.c.name, alias_stack.c.position)
    )
    found: dict[str, tuple[int, list[int]]] = {}
    for name, revision, version in connection.execute(query):
        found.setdefault(name, (revision, []))[1].append(version)
    return {name: Alias(model, name, tuple(stack), revision) for name, (revision, stack) in found.items()}
