"""Whether a version may go live as an alias: the one place where protection, gate and approval meet.

1. What nothing protects is open.
2. A protected alias is moved by an admin only.
3. The version must be what the alias asks for.
4. Where the alias asks for approval, a second key must promote the same version.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .actors import Actor
from .engine import reading
from .errors import AliasProtected, GateClosed
from .gates import Gate, judge
from .proposals import Proposal, propose
from .protections import ProtectedAlias, read_protection
from .tables import versions


@dataclass(frozen=True, slots=True)
class Clearance:
    """A version may go live: at once, by a second key's approval of `proposal`, or not before that (`waits`)."""

    proposal: Proposal | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a promotion would meet: how the alias is protected, and how its gate judges the version; None without protection."""

    protected: ProtectedAlias | None
    gate: Gate | None


def clear(
    connection: sa.Connection, model: str, number: int, *, alias: str, revision: int, actor: Actor, reason: str | None
) -> Clearance:
    """Clear a version, or note that it waits, within the transaction that moves the alias.

    Raises `AliasProtected` or `GateClosed`.
    """
    outlook = _outlook(connection, model, number, alias)
    if outlook.protected is None or outlook.gate is None:
        return Clearance()
    if not actor.admin:
        raise AliasProtected(model, alias)
    if not outlook.gate.passed:
        raise GateClosed(model, number, alias, outlook.gate.reasons)
    if not outlook.protected.protection.approval:
        return Clearance()
    proposal, approved = propose(connection, model, number, alias=alias, revision=revision, actor=actor, reason=reason)
    return Clearance(proposal, waits=not approved)


def outlook_of(engine: sa.Engine, model: str, number: int, alias: str) -> Outlook:
    """Return what promoting a version would meet, without doing it."""
    with reading(engine) as connection:
        return _outlook(connection, model, number, alias)


def _outlook(connection: sa.Connection, model: str, number: int, alias: str) -> Outlook:
    protected = read_protection(connection, model, alias)
    if protected is None:
        return Outlook(None, None)
    columns = versions.c.verdict, versions.c.accuracy, versions.c.signature
    query = sa.select(*columns).where(versions.c.model == model, versions.c.number == number)
    return Outlook(protected, judge(protected.protection, dict(connection.execute(query).mappings().one())))
