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
from .errors import AliasProtected, GateClosed, RegistryError
from .gates import Gate, judge
from .proposals import APPROVAL_NEEDED, Proposal, approves, propose, waiting_proposals
from .protections import ProtectedAlias, read_protection
from .tables import versions


@dataclass(frozen=True, slots=True)
class Clearance:
    """A version may go live: at once, by a second key's approval of `proposal`, or not before that (`waits`)."""

    proposal: Proposal | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a version does not go live though it was to; `code` is that of the error, or of the answer that it waits."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a promotion would meet: how the gate judges the version, None without protection, and what would be refused."""

    gate: Gate | None = None
    refusal: Refusal | None = None


def clear(
    connection: sa.Connection, model: str, number: int, *, alias: str, revision: int, actor: Actor, reason: str | None
) -> Clearance:
    """Clear a version, or note that it waits, within the transaction that moves the alias.

    Raises `AliasProtected` or `GateClosed`.
    """
    protected = read_protection(connection, model, alias)
    if protected is None:
        return Clearance()
    if not actor.admin:
        raise AliasProtected(model, alias)
    gate = _judged(connection, protected, number)
    if not gate.passed:
        raise GateClosed(model, number, alias, gate.reasons)
    if not protected.protection.approval:
        return Clearance()
    proposal, approved = propose(connection, model, number, alias=alias, revision=revision, actor=actor, reason=reason)
    return Clearance(proposal, waits=not approved)


def foresee(engine: sa.Engine, model: str, number: int, *, alias: str, revision: int, actor: Actor) -> Outlook:
    """Return what promoting a version would meet, without doing it."""
    with reading(engine) as connection:
        protected = read_protection(connection, model, alias)
        if protected is None:
            return Outlook()
        gate = _judged(connection, protected, number)
        if not actor.admin:
            return Outlook(gate, refusal_of(AliasProtected(model, alias)))
        if not gate.passed:
            return Outlook(gate, refusal_of(GateClosed(model, number, alias, gate.reasons)))
        waiting = waiting_proposals(connection, model, {alias: revision}).get(alias)
        if not protected.protection.approval or approves(connection, waiting, number, actor):
            return Outlook(gate)
        message = (
            f"{alias!r} asks for approval: version {number} would be proposed, and wait until a second admin's key promotes it"
        )
        return Outlook(gate, Refusal(APPROVAL_NEEDED, message))


def refusal_of(error: RegistryError) -> Refusal:
    """Return an error as the reason of what was refused."""
    return Refusal(error.code, error.message)


def _judged(connection: sa.Connection, protected: ProtectedAlias, number: int) -> Gate:
    columns = versions.c.verdict, versions.c.accuracy, versions.c.signature
    query = sa.select(*columns).where(versions.c.model == protected.model, versions.c.number == number)
    return judge(protected.protection, connection.execute(query).one()._asdict())
