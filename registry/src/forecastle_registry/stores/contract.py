"""What every artifact store does, and what it tells of an artifact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..artifacts import MAX_ARTIFACT_BYTES


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """What a store tells of an artifact without reading it; `stored_at` is when its bytes were last written."""

    digest: str
    size: int
    stored_at: datetime


class ArtifactStore(Protocol):
    """Bytes by digest.

    Whatever goes wrong with the store itself is `StoreUnusable`, or `DatabaseUnusable` where that is the store. What is no
    digest is `ArtifactRefused`. Several processes may do all of this at once.
    """

    @property
    def name(self) -> str:
        """The store as the setting names it, without secrets."""

    def put(self, digest: str, content: bytes) -> None:
        """Keep bytes, all of them or none; durable when this returns. Doing it again mends them, and renews `stored_at`."""

    def get(self, digest: str, *, max_bytes: int = MAX_ARTIFACT_BYTES) -> bytes:
        """Return bytes, verified. Raises `ArtifactMissing`, `ArtifactCorrupt`, or `ArtifactRefused` above `max_bytes`."""

    def stored(self) -> Iterator[StoredArtifact]:
        """Go through everything that is kept whole, in the order of digests."""

    def delete(self, digest: str) -> None:
        """Remove bytes; that they are not there is no error."""

    def sweep(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove what interrupted writes left behind before a time, or only look; return how many files that are."""
