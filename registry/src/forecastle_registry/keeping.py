"""Looks after the artifacts that versions need: copies them from one store to another, and verifies them in one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from .actors import LOCAL, Actor
from .artifacts import MAX_ARTIFACT_BYTES, digest_of
from .engine import reading, writing
from .errors import ArtifactError, StoreUnusable
from .events import log_event
from .progress import STEPS, Progress, quiet
from .stores import ArtifactStore
from .tables import versions

Users = tuple[tuple[str, int], ...]  # versions, as model and number

IN_A_ROW = 3  # a store that could not be used so often is not asked for the rest: each time may take 20 seconds


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with an artifact, and which versions need it; `code` is that of the error."""

    digest: str
    code: str
    message: str
    versions: Users


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did: `already` were in the target, `left` is how many were not tried after the store had failed."""

    copied: int
    already: int
    size: int
    findings: tuple[Finding, ...]
    left: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in a store: `whole` artifacts of `size` bytes together; `left` as of a copy."""

    whole: int
    size: int
    findings: tuple[Finding, ...]
    left: int


def needed_artifacts(engine: sa.Engine) -> dict[str, Users]:
    """Return the digest of every artifact that a version names, in order, with these versions."""
    order = versions.c.artifact_digest, versions.c.model, versions.c.number
    found: dict[str, list[tuple[str, int]]] = {}
    with reading(engine) as connection:
        for digest, model, number in connection.execute(sa.select(*order).order_by(*order)):
            found.setdefault(digest, []).append((model, number))
    return {digest: tuple(users) for digest, users in found.items()}


def holds(store: ArtifactStore, digest: str, *, max_bytes: int = MAX_ARTIFACT_BYTES) -> bool:
    """Tell whether a store has an artifact whole, by reading it. Raises `StoreUnusable`."""
    try:
        store.get(digest, max_bytes=max_bytes)
    except ArtifactError:
        return False
    return True


def try_store(store: ArtifactStore) -> None:
    """Write a few bytes to a store, read them back, and remove them. Raises `StoreUnusable`."""
    probe = secrets.token_bytes(16)
    digest = digest_of(probe)
    store.put(digest, probe)
    try:
        if not holds(store, digest):
            raise StoreUnusable(f"the artifact store {store.name} does not give back what was put there")
    finally:
        store.delete(digest)


def copy_artifacts(
    engine: sa.Engine,
    source: ArtifactStore,
    target: ArtifactStore,
    *,
    max_bytes: int = MAX_ARTIFACT_BYTES,
    progress: Progress = quiet,
    actor: Actor = LOCAL,
) -> Copied:
    """Copy every artifact that a version names, and read each back; the source keeps what it has.

    What the target holds whole is left as it is, so a copy that was interrupted is simply repeated. What cannot be copied
    is a finding, and the rest goes on. Logged as `artifacts-copy` when anything was copied. Raises `DatabaseUnusable`.
    """
    walk = _Walk(needed_artifacts(engine), progress, f"copying to {target.name}")
    copied = already = size = 0
    try:
        for digest in walk:
            with walk.noting(digest):
                if _holds_if_usable(target, digest, max_bytes):
                    already += 1
                else:
                    size += _copy(source, target, digest, max_bytes)
                    copied += 1
    finally:
        if copied:
            details = {"from": source.name, "to": target.name, "copied": copied, "bytes": size, "failed": len(walk.findings)}
            with writing(engine) as connection:
                log_event(connection, actor, "artifacts-copy", details=details)
    return Copied(copied, already, size, tuple(walk.findings), walk.left)


def verify_artifacts(
    engine: sa.Engine, store: ArtifactStore, *, max_bytes: int = MAX_ARTIFACT_BYTES, progress: Progress = quiet
) -> Verified:
    """Read every artifact that a version names. Raises `DatabaseUnusable`; what is wrong with the store is a finding."""
    walk = _Walk(needed_artifacts(engine), progress, f"reading {store.name}")
    whole = size = 0
    for digest in walk:
        with walk.noting(digest):
            size += len(store.get(digest, max_bytes=max_bytes))
            whole += 1
    return Verified(whole, size, tuple(walk.findings), walk.left)


def _copy(source: ArtifactStore, target: ArtifactStore, digest: str, max_bytes: int) -> int:
    content = source.get(digest, max_bytes=max_bytes)
    target.put(digest, content)
    return len(target.get(digest, max_bytes=max_bytes))  # which verifies what was written


def _holds_if_usable(target: ArtifactStore, digest: str, max_bytes: int) -> bool:
    """Tell what `holds` tells; a directory that the first put will make cannot be read yet."""
    try:
        return holds(target, digest, max_bytes=max_bytes)
    except StoreUnusable:
        return False


class _Walk:
    """Goes through the artifacts, tells of progress, notes what fails, and stops when a store keeps failing."""

    def __init__(self, needed: Mapping[str, Users], progress: Progress, what: str) -> None:
        self.findings: list[Finding] = []
        self.left = 0
        self._needed, self._progress, self._what = needed, progress, what
        self._failed_in_a_row = 0

    def __iter__(self) -> Iterator[str]:
        total = len(self._needed)
        for done, digest in enumerate(self._needed):
            if self._failed_in_a_row == IN_A_ROW:
                self.left = total - done
                return
            if done % max(1, total // STEPS) == 0:
                self._progress(done, total, self._what)
            yield digest
        self._progress(total, total, self._what)

    @contextmanager
    def noting(self, digest: str) -> Iterator[None]:
        """Note an error about an artifact, or about a store."""
        try:
            yield
        except (ArtifactError, StoreUnusable) as error:
            self._failed_in_a_row = self._failed_in_a_row + 1 if isinstance(error, StoreUnusable) else 0
            self.findings.append(Finding(digest, error.code, error.message, self._needed[digest]))
        else:
            self._failed_in_a_row = 0
