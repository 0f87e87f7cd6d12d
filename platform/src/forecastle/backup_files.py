"""The file of a backup: how it is written, and how one that anybody may have made is unpacked.

It is a zip file whose members are stored as they are, so that unpacking takes no more room than the file itself has:

- `manifest.json`: what the backup is of, the head of the audit log, and size and SHA-256 of the other members.
- `registry.db`: the registry as SQLite, whatever the database was, with every artifact in it, wherever they were.
- `signing.key`: the installation's key, unless left out. Whoever has it can seal events and sign pickles.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from forecastle_registry.heads import Head

from .errors import BackupRefused
from .unfinished import unfinished

FORMAT = 1
MANIFEST, REGISTRY, KEY = "manifest.json", "registry.db", "signing.key"
MAX_MANIFEST = 2**22  # bytes; it has a digest for each artifact that was left out
CHUNK = 2**20
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the backup."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of: `rows` by table, `left_out` the digests of artifacts that could not be read."""

    format: int
    release: str
    revision: str
    created_at: str
    head: Head
    rows: Mapping[str, int]
    left_out: tuple[str, ...]
    members: Mapping[str, Member]


def member_of(path: Path) -> Member:
    """Describe a file that is to become a member."""
    with path.open("rb") as file:
        return Member(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def write_backup(path: Path, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Write the file aside, readable by its owner only, and give it its name when it is on the disk. Raises OSError."""
    with unfinished(path.parent) as folder:
        aside = folder / path.name
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
                for name, member in files.items():
                    archive.write(member, name)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unpack_backup(path: Path, folder: Path) -> Manifest:
    """Unpack the members of a backup into a folder, each checked. Raises `BackupRefused`, or OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            manifest = _manifest(path, archive, members)
            for name, expected in manifest.members.items():
                _unpack(path, archive, members[name], expected, folder / name)
            return manifest
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError, OverflowError) as error:
        raise _refusal(path, f"it is damaged, or no backup at all ({error})") from error


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name: those that a backup has, each once, and stored as it is."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if member.filename not in (MANIFEST, REGISTRY, KEY) or member.filename in found:
            raise _refusal(path, f"it holds {member.filename[:80]!r}, which no backup does, or twice")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size or member.flag_bits & 1:
            raise _refusal(path, f"its {member.filename} is compressed or encrypted, which no backup is")
        found[member.filename] = member
    if not {MANIFEST, REGISTRY} <= found.keys():
        raise _refusal(path, f"it is a zip file, but without {MANIFEST} and {REGISTRY} no backup")
    return found


def _manifest(path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> Manifest:
    if members[MANIFEST].file_size > MAX_MANIFEST:
        raise _refusal(path, f"its {MANIFEST} has {members[MANIFEST].file_size:,} bytes")
    try:
        document = json.loads(archive.read(members[MANIFEST]))
        if document["format"] != FORMAT:
            raise _refusal(
                path, f"its format is {str(document['format'])[:20]}, this release knows {FORMAT}: install a later one"
            )
        manifest = _parsed(document)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _refusal(path, f"its {MANIFEST} is not understood ({type(error).__name__}: {str(error)[:80]})") from error
    if manifest.members.keys() | {MANIFEST} != members.keys():
        raise _refusal(path, f"its {MANIFEST} tells of other members than it has")
    return manifest


def _parsed(document: Mapping[str, Any]) -> Manifest:
    """Return the manifest as values. Raises KeyError, TypeError or ValueError for one that is none."""
    texts = {name: _typed(str, document[name]) for name in ("release", "revision", "created_at")}
    head = {
        name: _typed(kind, document["head"][name]) for name, kind in (("id", int), ("at", str), ("mac", str), ("count", int))
    }
    rows = {name: _typed(int, count) for name, count in document["rows"].items()}
    left_out = tuple(_digest(digest) for digest in _typed(list, document["left_out"]))
    members = {
        name: Member(_typed(int, member["size"]), _digest(member["sha256"])) for name, member in document["members"].items()
    }
    return Manifest(FORMAT, **texts, head=Head(**head), rows=rows, left_out=left_out, members=members)


def _typed(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.40} is no {kind.__name__}")
    return value


def _digest(value: Any) -> str:
    if not SHA256.fullmatch(_typed(str, value)):
        raise ValueError(f"{value!r:.40} is no SHA-256")
    return str(value)


def _unpack(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, expected: Member, target: Path) -> None:
    """Copy a member out, counting and digesting. Its name is one of ours: it leads nowhere else."""
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, archive.open(member) as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    if (size, digest.hexdigest()) != (expected.size, expected.sha256):
        raise _refusal(path, f"its {member.filename} is not the one that its {MANIFEST} tells of: it was damaged or edited")


def _refusal(path: Path, why: str) -> BackupRefused:
    return BackupRefused(f"{path} cannot be restored: {why}; nothing was changed, try another backup")
