"""Folders for unfinished work that may hold secrets: they go in the end, those of killed processes at the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PREFIX = ".forecastle-unfinished-"
LOCK = "lock"  # held while the folder's process lives
ON_THE_WAY = 3600  # s; far longer than a folder is without its lock


@contextmanager
def unfinished(parent: Path) -> Iterator[Path]:
    """Make a folder for its owner only, and remove it in the end; what killed processes left beside it goes first.

    Raises OSError where none can be made.
    """
    clear_unfinished(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        with _held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_unfinished(parent: Path) -> None:
    """Remove the folders of our own whose process is gone. What cannot be looked at stays."""
    for folder in parent.glob(f"{PREFIX}*"):
        if _is_ours(folder) and _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a lock that ends with this process; it is there under its name only once it is held."""
    with (folder / f"{LOCK}.new").open("xb") as file:
        _is_locked(file)  # where locks cannot be had, nobody else gets one either, and all folders stay
        os.rename(file.name, folder / LOCK)
        yield


def _is_locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder is one that this user has made: in /tmp, others may put what they like under its name."""
    try:
        return not folder.is_symlink() and folder.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def _is_abandoned(folder: Path) -> bool:
    lock = folder / LOCK
    try:
        if not lock.exists():  # its process is on the way there, or was killed there
            return time.time() - folder.stat().st_mtime > ON_THE_WAY
        with lock.open("r+b") as file:  # NFS locks for writing only
            return _is_locked(file)
    except OSError:
        return False
