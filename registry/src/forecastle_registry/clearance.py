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
from .errors import AliasProtected, GateClosed, RegistryError, VersionNotFound
from .gates import Gate, judge
from .proposals import APPROVAL_NEEDED, Proposal, approves, propose, waiting_proposals
from .protections import ProtectedAlias, read_protection
from .tables import versions


@dataclass(frozen=True, slots=True)
class Clearance:
    """A version may go live: at once, as a second key has `approved` it, or not before one does (`waiting`)."""

    approved: Proposal | None = None
    waiting: Proposal | None = None


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
    refused = _refused(protected, number, _judged(connection, protected, number), actor)
    if refused is not None:
        raise refused
    if not protected.protection.approval:
        return Clearance()
    proposal, approved = propose(connection, model, number, alias=alias, revision=revision, actor=actor, reason=reason)
    return Clearance(approved=proposal) if approved else Clearance(waiting=proposal)


def foresee(engine: sa.Engine, model: str, number: int, *, alias: str, revision: int, actor: Actor) -> Outlook:
    """Return what promoting a version would meet, without doing it."""
    with reading(engine) as connection:
        protected = read_protection(connection, model, alias)
        if protected is None:
            return Outlook()
        gate = _judged(connection, protected, number)
        refused = _refused(protected, number, gate, actor)
        if refused is not None:
            return Outlook(gate, refusal_of(refused))
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


def _refused(protected: ProtectedAlias, number: int, gate: Gate, actor: Actor) -> AliasProtected | GateClosed | None:
    """Return what keeps a version from going live, whatever a second key says."""
    if not actor.admin:
        return AliasProtected(protected.model, protected.alias)
    if not gate.passed:
        return GateClosed(protected.model, number, protected.alias, gate.reasons)
    return None


def _judged(connection: sa.Connection, protected: ProtectedAlias, number: int) -> Gate:
    columns = versions.c.verdict, versions.c.accuracy, versions.c.signature
    query = sa.select(*columns).where(versions.c.model == protected.model, versions.c.number == number)
    row = connection.execute(query).first()
    if row is None:  # a dry run holds nothing: it was deleted since it was looked at
        raise VersionNotFound(protected.model, number)
    return judge(protected.protection, row._asdict())
