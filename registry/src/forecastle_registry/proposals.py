"""Promotions that wait for a second key: one proposes a version, another promotes the same one.

A proposal counts only while its alias has not moved since: whoever approves it approves the step that was proposed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

import sqlalchemy as sa

from .actors import Actor
from .events import log_event
from .tables import keys, proposals

APPROVAL_NEEDED = "approval-needed"  # the code of the answer that a promotion waits


@dataclass(frozen=True, slots=True)
class Proposal:
    """A promotion that waits. `key` is the prefix of the key that proposed it, None for whoever came in without one."""

    model: str
    alias: str
    version: int
    revision: int
    proposed_at: datetime
    proposed_by: str
    key: str | None
    reason: str | None

    @property
    def needs(self) -> str:
        """Who must do what, as a sentence."""
        call = f'POST /admin/models/{self.model}/promote {{"version": {self.version}, "alias": "{self.alias}"}}'
        waits = f"version {self.version} of {self.model!r} waits to go live as {self.alias!r}"
        if self.key is None:
            return (
                f"{waits}: it was proposed without a key ({self.proposed_by}), so two admins must each {call} with their keys"
            )
        return f"{waits}: the key {self.proposed_by!r} proposed it, and another admin must {call} with a key of their own"


def waiting_proposals(connection: sa.Connection, model: str, revisions: dict[str, int]) -> dict[str, Proposal]:
    """Return what waits, by alias; `revisions` tells where each alias of the model stands, none of them at 0."""
    columns = [proposals.c[f.name] for f in fields(Proposal)]
    rows = connection.execute(sa.select(*columns).where(proposals.c.model == model)).mappings()
    found = (Proposal(**row) for row in rows)
    return {proposal.alias: proposal for proposal in found if proposal.revision == revisions.get(proposal.alias, 0)}


def propose(
    connection: sa.Connection, model: str, number: int, *, alias: str, revision: int, actor: Actor, reason: str | None
) -> tuple[Proposal, bool]:
    """Propose a version, or approve it, within a transaction that holds the model's row.

    Return the proposal, and whether this call is the second key's, which approves it; then it waits no longer. What was
    proposed without a key, or by one that was revoked since, is not approved: the proposal of this key takes its place.
    """
    waiting = waiting_proposals(connection, model, {alias: revision}).get(alias)
    if waiting is not None and approves(connection, waiting, number, actor):
        _forget(connection, model, alias)
        return waiting, True
    if waiting is not None and waiting.version == number and actor.key in (None, waiting.key):
        return waiting, False
    proposal = Proposal(model, alias, number, revision, datetime.now(UTC), actor.name, actor.key, reason)
    _forget(connection, model, alias)
    connection.execute(proposals.insert(), asdict(proposal))
    details = {"replaces": None if waiting is None else {"version": waiting.version, "proposed_by": waiting.proposed_by}}
    log_event(connection, actor, "propose", model=model, version=number, alias=alias, reason=reason, details=details)
    return proposal, False


def approves(connection: sa.Connection, waiting: Proposal | None, number: int, actor: Actor) -> bool:
    """Tell whether promoting a version would approve what waits: by two keys, neither of which was revoked."""
    if waiting is None or waiting.version != number or None in (waiting.key, actor.key) or waiting.key == actor.key:
        return False
    query = sa.select(keys.c.prefix).where(keys.c.prefix == waiting.key, keys.c.revoked_at.is_not(None))
    return connection.execute(query).first() is None


def forget_proposals_of(connection: sa.Connection, model: str, number: int) -> None:
    """Forget that a version was proposed, wherever it was: it can no longer go live."""
    connection.execute(proposals.delete().where(proposals.c.model == model, proposals.c.version == number))


def _forget(connection: sa.Connection, model: str, alias: str) -> None:
    connection.execute(proposals.delete().where(proposals.c.model == model, proposals.c.alias == alias))
