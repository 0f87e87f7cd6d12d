"""Removes what no version needs: artifacts of deleted versions, of registrations that failed, and of an earlier store.

Each artifact goes in a transaction of its own that holds its row, made where there is none. A registration at the same
moment has either renewed that row before (see `artifacts`), so that it stays, or waits, and then makes it anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from .actors import LOCAL, Actor
from .artifacts import MAX_ARTIFACT_BYTES, digest_of
from .engine import reading, writing
from .errors import StoreUnusable
from .events import log_event
from .keeping import holds, needed_artifacts
from .progress import Progress, quiet
from .rows import insert_once
from .stores import ArtifactStore, DatabaseStore
from .tables import artifacts, versions

GRACE = timedelta(hours=1)  # longer than any registration takes from its first step to its last
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed, or would be: artifacts of `bytes` bytes together that are `unneeded`, or were `moved`, and `leftovers`.

    Those that were moved are needed, and the installation's store has them; `kept` are those that it does not have.
    """

    unneeded: int
    moved: int
    bytes: int
    leftovers: int
    kept: int


def collect_garbage(
    engine: sa.Engine,
    store: ArtifactStore,
    *,
    current: ArtifactStore | None = None,
    older_than: timedelta = GRACE,
    dry_run: bool = False,
    max_bytes: int = MAX_ARTIFACT_BYTES,
    progress: Progress = quiet,
    actor: Actor = LOCAL,
) -> Collected:
    """Remove from `store` what no version names and nobody touched for `older_than`, and what interrupted writes left.

    `current` is given where `store` is one that the installation has left: what versions name goes from there too, if
    `current` has it whole. Logged as `artifacts-gc` when anything was removed. Raises `StoreUnusable`, also where both
    are one place under two names, or where the store looks like another installation's; and `DatabaseUnusable`.
    """
    if current is not None and _are_one_place(store, current):
        raise StoreUnusable(f"{store.name} and {current.name} are one place: nothing was removed")
    collection = _Collection(engine, store, datetime.now(UTC) - older_than, dry_run, progress)
    try:
        collection.remove_unneeded()
        if current is not None:
            collection.remove_moved(current, max_bytes)
        collection.remove_leftovers()
    finally:
        collected = collection.collected()
        if not dry_run and (collected.unneeded or collected.moved or collected.leftovers):
            with writing(engine) as connection:
                log_event(connection, actor, "artifacts-gc", details={"store": store.name, **asdict(collected)})
    return collected


class _Collection:
    """One run, with what it has done so far: also what was done before something failed is logged."""

    def __init__(self, engine: sa.Engine, store: ArtifactStore, before: datetime, dry_run: bool, progress: Progress) -> None:
        self._engine, self._store, self._before = engine, store, before
        self._dry_run, self._progress = dry_run, progress
        self._unneeded = self._moved = self._bytes = self._leftovers = self._kept = 0

    def collected(self) -> Collected:
        return Collected(self._unneeded, self._moved, self._bytes, self._leftovers, self._kept)

    def remove_unneeded(self) -> None:
        needed = needed_artifacts(self._engine)
        stored = list(self._store.stored())
        _refuse_a_strangers(self._engine, self._store, [item.digest for item in stored])
        old = {item.digest: item.size for item in stored if item.stored_at < self._before}
        found = {digest: size for digest, size in old.items() if digest not in needed}
        found |= {digest: old.get(digest, 0) for digest in _rows_without_versions(self._engine, self._before)}
        for done, (digest, size) in enumerate(sorted(found.items())):
            self._progress(done, len(found), "removing what no version needs")
            if self._dry_run or _remove(self._engine, self._store, digest, self._before):
                self._unneeded += 1
                self._bytes += size

    def remove_moved(self, current: ArtifactStore, max_bytes: int) -> None:
        needed = needed_artifacts(self._engine)
        found = [item for item in self._store.stored() if item.digest in needed]
        for done, item in enumerate(found):
            self._progress(done, len(found), f"freeing what {current.name} has")
            if not holds(current, item.digest, max_bytes=max_bytes):
                self._kept += 1
                continue
            if not self._dry_run:
                self._store.delete(item.digest)
            self._moved += 1
            self._bytes += item.size

    def remove_leftovers(self) -> None:
        self._leftovers = self._store.sweep(self._before, dry_run=self._dry_run)


def _refuse_a_strangers(engine: sa.Engine, store: ArtifactStore, stored: Sequence[str]) -> None:
    """Refuse a store of which this installation knows nothing: an empty database would empty another one's bucket."""
    with reading(engine) as connection:
        known = set(connection.execute(sa.select(artifacts.c.digest)).scalars())
    if stored and known.isdisjoint(stored):
        raise StoreUnusable(
            f"nothing that {store.name} holds ({len(stored)} artifacts) was ever this installation's, so nothing was removed: "
            "look at FORECASTLE_ARTIFACTS and FORECASTLE_DATABASE_URL, or remove it by hand if it is nobody's"
        )


def _without_versions() -> sa.ColumnElement[bool]:
    return ~sa.exists().where(versions.c.artifact_digest == artifacts.c.digest)


def _rows_without_versions(engine: sa.Engine, before: datetime) -> list[str]:
    query = sa.select(artifacts.c.digest).where(artifacts.c.created_at < before, _without_versions())
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def _remove(engine: sa.Engine, store: ArtifactStore, digest: str, before: datetime) -> bool:
    """Remove an artifact with its row while the row is held, unless somebody wants it by now; tell whether it went."""
    this = artifacts.c.digest == digest
    with writing(engine) as connection:
        row = {"digest": digest, "size": 0, "created_at": LONG_AGO, "content": None}
        if connection.execute(sa.select(artifacts.c.digest).where(this)).first() is None:
            insert_once(connection, artifacts, row)
        touched = connection.execute(sa.select(artifacts.c.created_at).where(this).with_for_update()).scalar()
        if touched is None or touched >= before:  # None: another collection was quicker
            return False
        # A statement of its own: while the one above waited for the row, a version may have come to name it.
        if connection.execute(sa.select(artifacts.c.digest).where(this, ~_without_versions())).first() is not None:
            return False
        if not isinstance(store, DatabaseStore):
            store.delete(digest)
        connection.execute(artifacts.delete().where(this))
    return True


def _are_one_place(store: ArtifactStore, other: ArtifactStore) -> bool:
    """Tell whether two stores are one, as a directory is that two links or mounts lead to: what goes into one is in both."""
    if store.name == other.name:
        return True
    if isinstance(store, DatabaseStore) or isinstance(other, DatabaseStore):
        return False
    probe = secrets.token_bytes(16)
    store.put(digest_of(probe), probe)
    try:
        return holds(other, digest_of(probe))
    finally:
        store.delete(digest_of(probe))
