"""Artifacts in the registry's own database: they come and go with the version's transaction."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from ..artifacts import MAX_ARTIFACT_BYTES, REMEDY, check_digest, check_size, store_artifact
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
        with writing(self._engine) as connection:
            store_artifact(connection, digest, len(content), content)

    def get(self, digest: str, *, max_bytes: int = MAX_ARTIFACT_BYTES) -> bytes:
        """Return bytes, verified."""
        this = artifacts.c.digest == digest
        with reading(self._engine) as connection:
            size = connection.execute(sa.select(sa.func.length(artifacts.c.content)).where(this)).scalar()
            if size is None:
                raise ArtifactMissing(f"the artifact {digest[:12]}… is not stored in the database: {REMEDY}", digest)
            check_size(size, digest, max_bytes)
            content = bytes(connection.execute(sa.select(artifacts.c.content).where(this)).scalar_one())
        check_digest(content, digest)
        return content

    def stored(self) -> Iterator[StoredArtifact]:
        """Go through everything that is kept."""
        columns = artifacts.c.digest, sa.func.length(artifacts.c.content), artifacts.c.created_at
        query = sa.select(*columns).where(artifacts.c.content.is_not(None)).order_by(artifacts.c.digest)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        yield from (StoredArtifact(*row) for row in rows)

    def delete(self, digest: str) -> None:
        """Forget the bytes; the row that versions refer to stays."""
        with writing(self._engine) as connection:
            connection.execute(artifacts.update().where(artifacts.c.digest == digest).values(content=None))
