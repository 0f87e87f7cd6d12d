"""Artifacts in the registry's own database: they come and go with the version's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from ..artifacts import MAX_ARTIFACT_BYTES, REMEDY, check_digest, check_is_digest, check_size, store_artifact
from ..engine import reading, writing
from ..errors import ArtifactMissing
from ..tables import artifacts
from .contract import StoredArtifact


class DatabaseStore:
    """The default store."""

    name = "database"

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, digest: str, content: bytes) -> None:
        """Keep bytes."""
        check_is_digest(digest)
        with writing(self._engine) as connection:
            store_artifact(connection, digest, len(content), content)

    def get(self, digest: str, *, max_bytes: int = MAX_ARTIFACT_BYTES) -> bytes:
        """Return bytes, verified."""
        check_is_digest(digest)
        this = artifacts.c.digest == digest
        with reading(self._engine) as connection:
            found = connection.execute(sa.select(sa.func.length(artifacts.c.content)).where(this)).first()
            if found is not None and found[0] is not None:
                check_size(found[0], digest, max_bytes)
            content = connection.execute(sa.select(artifacts.c.content).where(this)).scalar()
        if content is None:
            raise _missing(digest, known=found is not None)
        check_digest(bytes(content), digest)
        return bytes(content)

    def stored(self) -> Iterator[StoredArtifact]:
        """Go through everything that is kept."""
        columns = artifacts.c.digest, sa.func.length(artifacts.c.content), artifacts.c.created_at
        query = sa.select(*columns).where(artifacts.c.content.is_not(None)).order_by(artifacts.c.digest)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        yield from (StoredArtifact(*row) for row in rows)

    def delete(self, digest: str) -> None:
        """Forget the bytes; the row that versions refer to stays."""
        check_is_digest(digest)
        with writing(self._engine) as connection:
            connection.execute(artifacts.update().where(artifacts.c.digest == digest).values(content=None))

    def sweep(self, before: datetime, *, dry_run: bool = False) -> int:
        """Find nothing: the database undoes what was interrupted."""
        return 0


def _missing(digest: str, *, known: bool) -> ArtifactMissing:
    if not known:
        return ArtifactMissing(f"the artifact {digest[:12]}… is not stored in the database: {REMEDY}", digest)
    return ArtifactMissing(
        f"FORECASTLE_ARTIFACTS says database, and the artifact {digest[:12]}… was put elsewhere: name that store, or fetch the"
        " artifact with `forecastle artifacts copy --from URL --to database`",
        digest,
    )
