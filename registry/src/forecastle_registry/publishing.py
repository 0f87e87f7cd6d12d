"""Decides whether a version that was just registered goes live at once: what may not is registered all the same."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .actors import Actor
from .aliases import Waiting, promote_within
from .clearance import Refusal, refusal_of
from .errors import AliasProtected, GateClosed
from .gates import PUBLISHABLE
from .proposals import APPROVAL_NEEDED
from .protections import read_protection


@dataclass(frozen=True, slots=True)
class Published:
    """Whether a version is live, and the refusal where it was to be and could not."""

    live: bool
    refusal: Refusal | None = None


def publish(
    connection: sa.Connection,
    model: str,
    number: int,
    verdict: str | None,
    *,
    promote: bool | None,
    alias: str,
    actor: Actor,
    reason: str | None,
) -> Published:
    """Promote a version within the transaction that registers it, if that is wanted.

    `promote` None: the first one goes live by itself, unless its verdict is worse than `converged` or the alias is protected.
    """
    by_itself = promote is None and number == 1 and verdict in PUBLISHABLE
    if not (promote or by_itself):
        return Published(live=False)
    if by_itself and read_protection(connection, model, alias) is not None:
        message = (
            f"{alias!r} of {model!r} is protected, so that its first version does not go live by itself; an admin promotes it"
        )
        return Published(live=False, refusal=Refusal(AliasProtected.code, message))
    try:
        moved = promote_within(connection, model, number, alias=alias, actor=actor, reason=reason)
    except (AliasProtected, GateClosed) as error:
        return Published(live=False, refusal=refusal_of(error))
    if isinstance(moved, Waiting):
        return Published(live=False, refusal=Refusal(APPROVAL_NEEDED, moved.proposal.needs))
    return Published(live=True)
