"""Artifacts as files in a directory, named by their digest: `ab/cdef…`.

A file is written aside, in `partial/` of the same file system, forced to the disk, and renamed to its place: it is there
whole, or not at all, whenever the process or the machine dies. Nothing below the directory is reached through a symbolic
link. Files are readable and writable for their owner and, as far as the umask allows, for the group; never for others.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ..artifacts import MAX_ARTIFACT_BYTES, REMEDY, check_digest, check_is_digest, check_size, is_digest
from ..errors import ArtifactCorrupt, ArtifactMissing, StoreUnusable
from .contract import StoredArtifact

PARTIAL = "partial"
FOLDER_MODE, FILE_MODE = 0o770, 0o660  # and the umask takes from it
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DirectoryStore:
    """A directory on this machine, or one that several machines mount.

    It must be there: if a store made it, the artifacts of a mount that is missing for a moment would go below the mount.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = "file://" + quote(str(folder))

    def put(self, digest: str, content: bytes) -> None:
        """Keep bytes."""
        check_is_digest(digest)
        with self._usable("written to"), _opened(self._folder) as root:
            _make_folder(digest[:2], root)
            _make_folder(PARTIAL, root)
            os.fsync(root)  # whoever made the folders may have died before doing so
            with _opened(PARTIAL, root) as partial, _opened(digest[:2], root) as folder:
                _write(partial, folder, digest[2:], content)

    def get(self, digest: str, *, max_bytes: int = MAX_ARTIFACT_BYTES) -> bytes:
        """Return bytes, verified."""
        check_is_digest(digest)
        with self._usable("read"), _opened(self._folder) as root:
            try:
                with _opened(digest[:2], root) as folder:
                    content = _read(folder, digest, max_bytes)
            except FileNotFoundError:
                os.stat(PARTIAL, dir_fd=root)  # where nothing was ever put, a mount is missing rather than one artifact
                raise ArtifactMissing(f"the artifact {digest[:12]}… is not in {self.name}: {REMEDY}", digest) from None
        check_digest(content, digest)
        return content

    def stored(self) -> Iterator[StoredArtifact]:
        """Go through everything that is kept."""
        for name in self._names(None):
            if re.fullmatch("[0-9a-f]{2}", name):
                for digest, found in self._files(name):
                    if is_digest(name + digest):
                        yield StoredArtifact(name + digest, found.st_size, _time_of(found))

    def delete(self, digest: str) -> None:
        """Remove bytes."""
        check_is_digest(digest)
        with (
            self._usable("written to"),
            _opened(self._folder) as root,
            suppress(FileNotFoundError),
            _opened(digest[:2], root) as ab,
        ):
            os.unlink(digest[2:], dir_fd=ab)

    def sweep(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove what interrupted writes left behind."""
        left = [name for name, found in self._files(PARTIAL) if _time_of(found) < before]
        if left and not dry_run:
            with self._usable("written to"), _opened(self._folder) as root, _opened(PARTIAL, root) as partial:
                for name in left:
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=partial)
        return len(left)

    def _names(self, folder: str | None) -> list[str]:
        with self._usable("read"), _opened(self._folder) as root:
            if folder is None:
                return sorted(os.listdir(root))
            with suppress(FileNotFoundError, NotADirectoryError), _opened(folder, root) as descriptor:
                return sorted(os.listdir(descriptor))
        return []

    def _files(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        for name in self._names(folder):
            with self._usable("read"), suppress(FileNotFoundError):
                found = os.lstat(self._folder / folder / name)
                if stat.S_ISREG(found.st_mode):
                    yield name, found

    @contextmanager
    def _usable(self, verb: str) -> Iterator[None]:
        """Turn what the operating system says of the directory into `StoreUnusable`."""
        try:
            yield
        except OSError as error:
            remedy = "make room there" if error.errno in FULL else "see that it is there, mounted, and owned by this user"
            raise StoreUnusable(f"the artifact store {self.name} cannot be {verb} ({error.strerror}): {remedy}") from error


@contextmanager
def _opened(folder: Path | str, parent: int | None = None) -> Iterator[int]:
    """Give a folder's descriptor; below another folder, a symbolic link is no folder."""
    follow = 0 if parent is None else os.O_NOFOLLOW
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | follow, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _make_folder(name: str, root: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=root)


def _write(partial: int, folder: int, name: str, content: bytes) -> None:
    """Write a file in the folder `partial`, force it to the disk, and move it to its place in `folder`."""
    aside = f"{name}.{secrets.token_hex(8)}"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE, dir_fd=partial)
        with open(descriptor, "wb", buffering=0) as file:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(descriptor)
        os.rename(aside, name, src_dir_fd=partial, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside, dir_fd=partial)
        raise
    os.fsync(folder)


def _read(folder: int, digest: str, max_bytes: int) -> bytes:
    try:  # without O_NONBLOCK, whoever put a pipe there would hold this thread
        descriptor = os.open(digest[2:], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise _no_file(digest) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _no_file(digest)
        check_size(found.st_size, digest, max_bytes)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(found.st_size + 1)
    finally:
        os.close(descriptor)


def _no_file(digest: str) -> ArtifactCorrupt:
    return ArtifactCorrupt(f"the artifact {digest[:12]}… is a link, or no file at all: {REMEDY}", digest)


def _time_of(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)
