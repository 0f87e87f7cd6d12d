"""A version's bytes: stored once per SHA-256, and checked against it before anybody looks into them.

An artifact that another store than the database holds is registered in three steps, each safe to be killed after:

1. `claim_artifact` makes its row, or renews it: the garbage collection leaves it alone from now on;
2. the store gets the bytes;
3. the version's transaction holds the row, and refers to it.

Whoever removes an artifact holds the row as well, and removes it with the bytes: step 3 would see that.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import sqlalchemy as sa

from .engine import writing
from .errors import ArtifactCorrupt, ArtifactRefused, StoreUnusable
from .rows import insert_once
from .tables import artifacts

MAX_ARTIFACT_BYTES = 256 * 2**20

REMEDY = "restore it from a backup, or train again"
DIGEST = re.compile(r"[0-9a-f]{64}")


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def is_digest(text: str) -> bool:
    """Tell whether text is a SHA-256 as it is written here."""
    return DIGEST.fullmatch(text) is not None


def check_is_digest(text: str) -> None:
    """Refuse what would become a strange file name, or address. Raises `ArtifactRefused`."""
    if not is_digest(text):
        raise ArtifactRefused(f"{text[:80]!r} is no SHA-256, by which artifacts are stored: {REMEDY}", text[:80])


def check_digest(content: bytes, digest: str) -> None:
    """Refuse bytes that are not those of the digest. Raises `ArtifactCorrupt`."""
    found = digest_of(content)
    if found != digest:
        raise ArtifactCorrupt(f"the artifact {digest[:12]}… has the SHA-256 {found[:12]}…: {REMEDY}", digest)


def check_size(size: int, digest: str | None, max_bytes: int) -> None:
    """Refuse an artifact above the cap. Raises `ArtifactRefused`."""
    if size > max_bytes:
        allowed = f"{max_bytes:,} that FORECASTLE_MAX_ARTIFACT allows"
        raise ArtifactRefused(f"the artifact has {size:,} bytes, more than the {allowed}", digest)


def store_artifact(connection: sa.Connection, digest: str, size: int, content: bytes | None) -> None:
    """Make an artifact's row within a transaction, or renew it; with the content, unless that is in another store."""
    if not _renew(connection, digest, content):
        row = {"digest": digest, "size": size, "created_at": datetime.now(UTC), "content": None}
        insert_once(connection, artifacts, row)
        _renew(connection, digest, content)


def claim_artifact(engine: sa.Engine, digest: str, size: int) -> None:
    """Say, before its bytes go to another store, that an artifact is wanted."""
    with writing(engine) as connection:
        store_artifact(connection, digest, size, None)


def hold_artifact(connection: sa.Connection, digest: str) -> None:
    """Hold the row of an artifact that another store has, within the transaction that will refer to it.

    Raises `StoreUnusable` where it was removed since it was claimed.
    """
    if not _renew(connection, digest, None):
        raise StoreUnusable(
            f"the artifact {digest[:12]}… was removed by `forecastle artifacts gc` while it was registered: try again"
        )


def _renew(connection: sa.Connection, digest: str, content: bytes | None) -> bool:
    values: dict[str, object] = {"created_at": datetime.now(UTC)}
    if content is not None:
        values["content"] = content
    return connection.execute(artifacts.update().where(artifacts.c.digest == digest).values(values)).rowcount == 1
