"""A version's bytes: stored once per SHA-256, and checked against it before anybody looks into them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import sqlalchemy as sa

from .engine import reading
from .errors import ArtifactCorrupt, ArtifactMissing, ArtifactRefused
from .rows import insert_once
from .tables import artifacts

MAX_ARTIFACT_BYTES = 256 * 2**20

_REMEDY = "restore it from a backup, or train again"


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def check_digest(content: bytes, digest: str) -> None:
    """Refuse bytes that are not those of the digest. Raises `ArtifactCorrupt`."""
    found = digest_of(content)
    if found != digest:
        raise ArtifactCorrupt(f"the artifact {digest[:12]}… has the SHA-256 {found[:12]}…: {_REMEDY}", digest)


def check_size(size: int, digest: str | None, max_bytes: int) -> None:
    """Refuse an artifact above the cap. Raises `ArtifactRefused`."""
    if size > max_bytes:
        raise ArtifactRefused(f"the artifact has {size:,} bytes, more than the {max_bytes:,} that are allowed", digest)


def get_artifact(engine: sa.Engine, digest: str, *, max_bytes: int = MAX_ARTIFACT_BYTES) -> bytes:
    """Return an artifact, verified. Raises `ArtifactMissing`, `ArtifactCorrupt`, or `ArtifactRefused` above `max_bytes`."""
    this = artifacts.c.digest == digest
    with reading(engine) as connection:
        size = connection.execute(sa.select(sa.func.length(artifacts.c.content)).where(this)).scalar()
        if size is None:
            raise ArtifactMissing(f"the artifact {digest[:12]}… is not stored: {_REMEDY}", digest)
        check_size(size, digest, max_bytes)
        content = bytes(connection.execute(sa.select(artifacts.c.content).where(this)).scalar_one())
    check_digest(content, digest)
    return content


def store_artifact(connection: sa.Connection, digest: str, content: bytes) -> None:
    """Store an artifact within a transaction, unless its digest is there already."""
    if connection.execute(sa.select(artifacts.c.size).where(artifacts.c.digest == digest)).first() is None:
        row = {"digest": digest, "size": len(content), "created_at": datetime.now(UTC), "content": content}
        insert_once(connection, artifacts, row)
