"""Makes keys as people ask for them, and shows them: as JSON, the same over HTTP and at the command line."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from forecastle_registry.actors import Actor
from forecastle_registry.errors import KeyTermsRefused
from forecastle_registry.keys import ADMIN, CreatedKey, Key, create_key, has_admin
from forecastle_registry.tables import time_text

from .rates import limits_from

LONGEST_DAYS = 36500
TIMES = ("created_at", "expires_at", "revoked_at", "last_used_at")
NO_ADMIN = (
    "there is no admin's key: from now on keys can be made on the server itself only, and nobody can promote or roll back over "
    "HTTP; `forecastle keys create NAME --role admin` makes one"
)


def issue_key(
    engine: Engine,
    name: str,
    role: str,
    *,
    models: str | None = None,
    expires_at: datetime | None = None,
    limits: str | None = None,
    actor: Actor,
) -> CreatedKey:
    """Make a key whose limits can be counted. Raises `KeyTermsRefused`, or what the registry's `create_key` raises."""
    try:
        if limits is not None:
            limits_from(limits)
    except ValueError as error:
        raise KeyTermsRefused(str(error)) from None
    return create_key(engine, name, role, models=models, expires_at=expires_at, limits=limits, actor=actor)


def after_days(days: int) -> datetime:
    """Return the moment that many days from now."""
    return datetime.now(UTC) + timedelta(days=days)


def warning_for(engine: Engine, key: Key) -> str | None:
    """Return what somebody should hear who has just made a key, None where all is well."""
    return None if key.role == ADMIN or has_admin(engine) else NO_ADMIN


def key_document(key: Key) -> dict[str, Any]:
    """Return a key as JSON: neither its secret nor the digest of that."""
    document = asdict(key)
    del document["digest"]
    for name in TIMES:
        document[name] = None if document[name] is None else time_text(document[name])
    return {**document, "state": state_of(key)}


def created_document(created: CreatedKey) -> dict[str, Any]:
    """Return a key that was just made as JSON, with its secret: this once."""
    return {**key_document(created.key), "key": created.secret}


def of_a(role: str) -> str:
    """Return whose a key of that role is: `a reader's`, `an admin's`."""
    return f"{'an' if role == ADMIN else 'a'} {role}'s"


def state_of(key: Key) -> str:
    """Return `valid`, `expired` or `revoked`."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.is_expired(datetime.now(UTC)) else "valid"
