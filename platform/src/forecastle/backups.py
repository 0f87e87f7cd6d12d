"""Backs up an installation into one file while others serve, train and promote, and restores it into an empty one.

A backup is of one moment. What is restored was read as a file that somebody may have made on purpose: up to the moment when
the signing key is written nothing is changed, then everything goes in with its event, in one transaction.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from forecastle_registry.actors import Actor
from forecastle_registry.artifacts import MAX_ARTIFACT_BYTES, check_digest
from forecastle_registry.copying import Content, copy_registry
from forecastle_registry.engine import current_revision, reading, snapshot, writing
from forecastle_registry.errors import ArtifactCorrupt, ArtifactError, DatabaseAhead, SigningKeyUnusable
from forecastle_registry.events import log_event
from forecastle_registry.heads import EMPTY, HEADS_FILE, Head, append_head, read_head
from forecastle_registry.progress import Progress
from forecastle_registry.signing import place_key, signing_key
from forecastle_registry.stores import ArtifactStore, DatabaseStore
from forecastle_registry.tables import artifacts, event_head, time_text, versions
from forecastle_registry.verifying import Verification, verify_events

from . import __version__
from .backup_files import FORMAT, KEY, REGISTRY, Manifest, member_of, unpack_backup, write_backup
from .copying import opened, require_empty
from .database import expected_revision, open_artifacts, require_current, upgrade
from .errors import BackupRefused, PlatformError
from .settings import Settings
from .unfinished import unfinished


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and what the seals of its log tell; None where the key that made them is not here."""

    manifest: Manifest
    log: Verification | None


def back_up(
    settings: Settings,
    engine: sa.Engine,
    path: Path,
    *,
    actor: Actor,
    progress: Progress,
    force: bool = False,
    with_key: bool = True,
    skip_damaged: bool = False,
) -> Manifest:
    """Write a backup, readable by its owner only, and its event; the log's head is kept in the home as well.

    Raises `BackupRefused` for a file that is there, unless `force`; an `ArtifactError` for an artifact that is damaged,
    unless `skip_damaged`; `PlatformError` where it cannot be written; and what the registry raises.
    """
    if path.exists() and not force:
        raise BackupRefused(f"{path} is there already; name another file, or add --force to replace it")
    if path.exists() and not path.is_file():
        raise BackupRefused(f"{path} is no file that could be replaced; name another")
    require_current(engine, exactly=True)
    with _explained(f"the backup {path} cannot be written"), unfinished(Path(tempfile.gettempdir())) as folder:
        content = _Whole(open_artifacts(settings, engine), skip_damaged)
        files = {REGISTRY: folder / REGISTRY}
        head, rows = _extract(settings, engine, files[REGISTRY], content, progress)
        if with_key:
            signing_key(settings.signing_key_file)  # which makes it, if nothing was sealed yet
            files[KEY] = settings.signing_key_file
        members = {name: member_of(file) for name, file in files.items()}
        made = time_text(datetime.now(UTC))
        manifest = Manifest(FORMAT, __version__, expected_revision(), made, head, rows, tuple(content.left_out), members)
        write_backup(path, manifest, files)
        append_head(settings.home / HEADS_FILE, head)
    with writing(engine) as connection:
        details = {"file": path.name, "head": asdict(head), "key": with_key, "left_out": len(content.left_out)}
        log_event(connection, actor, "backup", details=details)
    return manifest


def restore_backup(settings: Settings, path: Path, *, actor: Actor, progress: Progress, without_key: bool = False) -> Restored:
    """Restore a backup into this installation, which must be empty, whatever its database and its store are.

    `without_key` allows that the key which sealed the log is lost. Raises `BackupRefused`, `DatabaseNotEmpty`,
    `DatabaseAhead`, `SigningKeyUnusable`, and what the database and the store raise.
    """
    with _explained(f"the backup {path} cannot be restored"), unfinished(Path(tempfile.gettempdir())) as folder:
        manifest = unpack_backup(path, folder)
        with opened(settings, f"sqlite:///{folder / REGISTRY}") as extracted:
            _check_registry(path, folder / REGISTRY, extracted, manifest)
            with opened(settings) as target:
                require_empty(settings.database_url, target)
                has_key = _place_key(settings, folder / KEY, without_key)
                _fill(settings, extracted, target, manifest, actor, progress, begins_anew=not has_key)
                append_head(settings.home / HEADS_FILE, manifest.head)
                key = signing_key(settings.signing_key_file)
                log = verify_events(target, key, [manifest.head], allow_unsealed=True) if has_key else None
    return Restored(manifest, log)


class _Whole:
    """Gives each artifact's bytes to the copy: those of the row, else those of the store, verified."""

    def __init__(self, store: ArtifactStore, skip_damaged: bool) -> None:
        self._store, self._skip_damaged = store, skip_damaged
        self.left_out: list[str] = []

    def __call__(self, digest: str, found: bytes | None) -> bytes | None:
        try:
            return self._verified(digest, found)
        except ArtifactError as error:
            if not self._skip_damaged:
                hint = f"{error.message}; `forecastle backup --skip-damaged` leaves it out"
                raise type(error)(hint, digest) from error
            self.left_out.append(digest)
            return None

    def _verified(self, digest: str, found: bytes | None) -> bytes:
        if found is not None:
            try:
                check_digest(found, digest)
                return found
            except ArtifactCorrupt:
                pass  # the store may have it whole
        return self._store.get(digest, max_bytes=MAX_ARTIFACT_BYTES)


def _extract(
    settings: Settings, engine: sa.Engine, path: Path, content: Content, progress: Progress
) -> tuple[Head, dict[str, int]]:
    """Copy the registry to a new SQLite file; return the head of its log, and its rows by table."""
    with opened(settings, f"sqlite:///{path}") as copy:
        upgrade(copy)
        with snapshot(engine) as source:
            return read_head(source) or EMPTY, copy_registry(source, copy, progress, content=content)


def _check_registry(path: Path, file: Path, extracted: sa.Engine, manifest: Manifest) -> None:
    """Refuse a database that is not one of ours, and bring it to this release's revision."""
    try:
        _check_schema(file)
        if current_revision(extracted) != manifest.revision:
            raise BackupRefused(f"the database in {path} is not at the revision that its manifest tells; nothing was changed")
        upgrade(extracted)
        if current_revision(extracted) != expected_revision():
            raise DatabaseAhead(f"the backup {path} is of a later release ({manifest.release}): install that one, then restore")
        _check_artifacts(extracted, manifest)
    except (sqlite3.DatabaseError, ArtifactError) as error:
        raise BackupRefused(f"the database in {path} is damaged ({error}); nothing was changed, try another backup") from error


def _check_schema(file: Path) -> None:
    """Refuse a file that is damaged, or whose schema could make SQLite do more than read tables."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        found = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
        for kind, name, sql in found:
            if kind not in ("table", "index") or "VIRTUAL" in (sql or "").upper().split()[:3]:
                raise sqlite3.DatabaseError(f"it has the {kind} {name!r}")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)


def _check_artifacts(extracted: sa.Engine, manifest: Manifest) -> None:
    """Refuse artifacts that are not what their digests say. Raises `ArtifactCorrupt`."""
    with reading(extracted) as connection:
        query = sa.select(versions.c.artifact_digest).distinct().order_by(versions.c.artifact_digest)
        for digest in connection.execute(query).scalars().all():
            content = connection.execute(sa.select(artifacts.c.content).where(artifacts.c.digest == digest)).scalar()
            if content is None and digest not in manifest.left_out:
                raise ArtifactCorrupt(f"the artifact {digest[:12]}… is not in it", digest)
            if content is not None:
                check_digest(content, digest)


def _place_key(settings: Settings, key: Path, without_key: bool) -> bool:
    """Put the backup's key where this installation has its own; tell whether there is one that may have sealed the log."""
    if key.exists():
        place_key(settings.signing_key_file, key.read_bytes())
        return True
    if settings.signing_key_file.exists():
        return True
    if not without_key:
        raise SigningKeyUnusable(
            f"this backup has no signing key: bring the installation's to {settings.signing_key_file} first; if it is lost,"
            " --without-key restores all the same, but the log never verifies again, and pickles are refused"
        )
    return False


def _fill(
    settings: Settings,
    extracted: sa.Engine,
    target: sa.Engine,
    manifest: Manifest,
    actor: Actor,
    progress: Progress,
    *,
    begins_anew: bool,
) -> None:
    """Copy everything into the installation, artifacts to its store; a log whose key is lost begins anew with another."""
    upgrade(target)
    store = open_artifacts(settings, target)

    def content(digest: str, found: bytes | None) -> bytes | None:
        if found is None or isinstance(store, DatabaseStore):
            return found
        store.put(digest, found)
        return None

    def finish(connection: sa.Connection) -> None:
        if begins_anew:
            connection.execute(event_head.delete())
        details = {"backup_of": manifest.created_at, "release": manifest.release, "head": asdict(manifest.head)}
        log_event(connection, actor, "restore-backup", details=details)

    with snapshot(extracted) as source:
        copy_registry(source, target, progress, content=content, finish=finish)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise PlatformError(
            f"{what}: {where}{error.strerror}; it is unpacked in {tempfile.gettempdir()}, TMPDIR changes that"
        ) from error
