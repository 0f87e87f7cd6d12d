"""A version's bytes: stored once per SHA-256, and checked against it before anybody looks into them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import sqlalchemy as sa

from .errors import ArtifactCorrupt, ArtifactRefused
from .rows import insert_once
from .tables import artifacts

MAX_ARTIFACT_BYTES = 256 * 2**20

REMEDY = "restore it from a backup, or train again"


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def check_digest(content: bytes, digest: str) -> None:
    """Refuse bytes that are not those of the digest. Raises `ArtifactCorrupt`."""
    found = digest_of(content)
    if found != digest:
        raise ArtifactCorrupt(f"the artifact {digest[:12]}… has the SHA-256 {found[:12]}…: {REMEDY}", digest)


def check_size(size: int, digest: str | None, max_bytes: int) -> None:
    """Refuse an artifact above the cap. Raises `ArtifactRefused`."""
    if size > max_bytes:
        raise ArtifactRefused(f"the artifact has {size:,} bytes, more than the {max_bytes:,} that are allowed", digest)


def store_artifact(connection: sa.Connection, digest: str, size: int, content: bytes | None) -> None:
    """Note an artifact within a transaction, with its content unless that is in another store."""
    this = artifacts.c.digest == digest
    found = connection.execute(sa.select(artifacts.c.content.is_(None)).where(this)).first()
    if found is None:
        insert_once(
            connection, artifacts, {"digest": digest, "size": size, "created_at": datetime.now(UTC), "content": content}
        )
    elif found[0] and content is not None:
        connection.execute(artifacts.update().where(this).values(content=content))
