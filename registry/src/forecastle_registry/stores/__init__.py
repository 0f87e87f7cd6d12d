"""Where artifacts are kept: in the database itself, in a directory, or in a bucket. All of them hold bytes by their SHA-256."""

from __future__ import annotations

import sqlalchemy as sa

from ..errors import StoreUnusable
from .contract import ArtifactStore, StoredArtifact
from .database import DatabaseStore

__all__ = ["DATABASE", "ArtifactStore", "DatabaseStore", "StoredArtifact", "open_store"]

DATABASE = "database"


def open_store(url: str, engine: sa.Engine) -> ArtifactStore:
    """Open the store that a setting names: `database`, `file:///folder` or `s3://bucket/prefix`. Raises `StoreUnusable`."""
    if url == DATABASE:
        return DatabaseStore(engine)
    raise StoreUnusable(f"{url!r} is no artifact store; give database, file:///folder or s3://bucket/prefix")
