"""Where artifacts are kept: in the database itself, in a directory, or in a bucket. All of them hold bytes by their SHA-256."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import sqlalchemy as sa

from ..errors import StoreUnusable
from .bucket import BucketStore
from .contract import ArtifactStore, StoredArtifact
from .database import DatabaseStore
from .directory import DirectoryStore

__all__ = ["DATABASE", "ArtifactStore", "BucketStore", "DatabaseStore", "DirectoryStore", "StoredArtifact", "open_store"]

DATABASE = "database"
BUCKET = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,62})((?:/(?!\.\.?(?:/|$))[A-Za-z0-9!_.*'()=+-]+)*)/?")


def open_store(url: str, engine: sa.Engine) -> ArtifactStore:
    """Open the store that a setting names: `database`, `file:///folder` or `s3://bucket/prefix`. Nothing is asked yet.

    Raises `StoreUnusable` for what is none of these, and for a bucket where obstore is not installed.
    """
    if url == DATABASE:
        return DatabaseStore(engine)
    folder = Path(unquote(url.removeprefix("file://")))
    if url.startswith("file:///") and folder.name and "\0" not in str(folder):
        return DirectoryStore(folder)
    if found := BUCKET.fullmatch(url):
        return BucketStore(found[1], found[2].strip("/"))
    shown = url if "@" not in url else "this address"  # somebody put a secret into it
    raise StoreUnusable(f"{shown!r} is no artifact store; give database, file:///folder or s3://bucket/prefix")
