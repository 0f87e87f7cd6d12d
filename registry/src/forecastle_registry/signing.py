"""The installation's signing key: made at first use, the same for every process that asks."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from .errors import SigningKeyUnusable

KEY_BYTES = 32


def signing_key(path: Path | str) -> bytes:
    """Return the key that a file holds; make the file, of mode 600, when it is not there. Raises `SigningKeyUnusable`."""
    path = Path(path)
    try:
        if not path.exists():
            _write(path, secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise SigningKeyUnusable(
            f"the signing key {path} cannot be read or made ({error.strerror}); check FORECASTLE_SIGNING_KEY_FILE"
        ) from error
    if len(key) < KEY_BYTES:
        raise SigningKeyUnusable(
            f"the signing key {path} has {len(key)} bytes, fewer than {KEY_BYTES}; move it away, and a new one is made"
        )
    return key


def place_key(path: Path | str, key: bytes) -> None:
    """Make `key` the one that a file holds; that it is already is no error, another one is `SigningKeyUnusable`."""
    path = Path(path)
    if not path.exists():
        try:
            _write(path, key)
        except OSError as error:
            raise SigningKeyUnusable(
                f"the signing key {path} cannot be written ({error.strerror}); check its folder"
            ) from error
    if signing_key(path) != key:
        raise SigningKeyUnusable(f"{path} holds another signing key than the backup: move it away, or restore to a new home")


def _write(path: Path, key: bytes) -> None:
    """Write the key aside, then link it to its name: that fails when another process was first, and never shows half a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it of mode 600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
        _force(path.parent)  # what is sealed with a key that a power cut takes away can never be verified
    except FileExistsError:
        pass  # the other process's key is the one
    finally:
        os.unlink(aside)


def _force(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
