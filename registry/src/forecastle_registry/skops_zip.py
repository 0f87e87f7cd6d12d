"""The zip around a skops file: packed the same on every machine, and unpacked only after its whole layout was checked.

A directory can lie: about sizes, about where members stand, about how many there are. So, before a byte is decompressed:
size of the directory → one member behind the other from the first byte to the directory, no gap, no overlap → names → sizes.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import NoReturn

from .errors import ArtifactRefused

SCHEMA = "schema.json"
MAX_MEMBERS = 4096
MAX_SCHEMA_BYTES = 8 * 2**20
MAX_BRACKETS = 2**19  # that open, in a schema: nodes need a fifth of it, and each may become an object of 200 bytes

# What the standard library's readers of zip files, of JSON and of numbers raise.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,
    NotImplementedError,
)

_SHOWN = 300  # characters of what was found: a name can be as long as the file
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: equal states give equal bytes
_UTF8_NAME = 0x800
_PLAIN = re.compile(r"[0-9]{1,20}\.npy")  # what a state of plain data has beside its schema
_DECLARED = re.compile(r"[0-9a-f-]{1,36}\.(npy|npz|bin)")  # what skops itself writes: by an object's id, or by a UUID

# Signature, (version), flags, method, (time, date), checksum, sizes packed and unpacked, lengths of the name and of an extra.
_LOCAL = struct.Struct("<4s2xHH4xLLLHH")
_END = struct.Struct("<4sHHHHLLH")  # signature, disks (2), entries (2), size and place of the directory, length of a comment
_ENTRY_BYTES = 46 + 64  # of the directory for one member: its fields, and a name, which is an id and an ending
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20


def packed(members: dict[str, bytes]) -> bytes:
    """Return members as the bytes of a zip; equal members give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # as on Unix, wherever this runs
            info.external_attr = 0o600 << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def unpacked(data: bytes, max_bytes: int) -> dict[str, bytes]:
    """Return the members by name, at most `max_bytes` of them. Raises `ArtifactRefused`, or one of `BROKEN`."""
    with _opened(data) as archive:
        infos = archive.infolist()
        _check_directory(data, infos, archive.start_dir, max_bytes, _PLAIN)
        return {info.filename: _content(data, info) for info in infos}


def check_declared(data: bytes, max_bytes: int) -> None:
    """Check a zip's layout, names and true sizes for a file that skops itself is to read. Raises `ArtifactRefused`."""
    try:
        with _opened(data) as archive:
            infos = archive.infolist()
            _check_directory(data, infos, archive.start_dir, max_bytes, _DECLARED)
            contents = ((info.filename, _content(data, info)) for info in infos)
            nested = sum(_nested_size(content) for name, content in contents if name.endswith(".npz"))
    except BROKEN as error:
        raise not_readable(error) from error
    if nested > max_bytes:
        refuse(f"sparse arrays of more than the {max_bytes:,} bytes that are allowed")


def is_bounded(schema: bytes) -> bool:
    """Tell whether a schema may be parsed: the objects that come of it are many times its size."""
    return len(schema) <= MAX_SCHEMA_BYTES and schema.count(b"{") + schema.count(b"[") <= MAX_BRACKETS


def not_readable(error: BaseException) -> ArtifactRefused:
    """Return the refusal of bytes that a reader of the standard library could make nothing of."""
    return ArtifactRefused(f"the artifact is no readable skops file ({shown(str(error))})")


def refuse(found: str) -> NoReturn:
    """Raise `ArtifactRefused` that says what the artifact holds."""
    raise ArtifactRefused(f"the artifact holds {shown(found)}")


def shown(text: str) -> str:
    """Return text from an artifact as it can be logged and stored anywhere: short, and of printable characters."""
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _opened(data: bytes) -> zipfile.ZipFile:
    """Read the directory, once its own size is known to be bounded: each entry becomes an object ten times as large."""
    end = len(data) - _END.size
    if not data.startswith(b"PK\x03\x04") or data[end : end + 4] != b"PK\x05\x06":
        refuse("bytes before or after its zip file, or none")
    _, disk, first_disk, here, entries, size, place, comment = _END.unpack_from(data, end)
    if data[end - _ZIP64_LOCATOR_BYTES :].startswith(_ZIP64_LOCATOR) or disk or first_disk or comment or here != entries:
        refuse("a zip file of another kind: in parts, with a comment, or for sizes above 4 GB")
    if entries > MAX_MEMBERS or size > MAX_MEMBERS * _ENTRY_BYTES:
        refuse(f"more than {MAX_MEMBERS:,} members")
    if place + size != end:
        refuse("a directory that is not where it should be")
    return zipfile.ZipFile(io.BytesIO(data))


def _check_directory(data: bytes, infos: list[zipfile.ZipInfo], start: int, max_bytes: int, allowed: re.Pattern[str]) -> None:
    names = [info.filename for info in infos]
    if len(set(names)) != len(names) or SCHEMA not in names:
        refuse(f"doubled members, or no {SCHEMA}")
    if len(infos) > MAX_MEMBERS:
        refuse(f"more than {MAX_MEMBERS:,} members")
    if sum(info.file_size for info in infos) > max_bytes:
        refuse(f"more than the {max_bytes:,} bytes that FORECASTLE_MAX_ARTIFACT allows, unpacked")
    for info in infos:
        _check_member(info, allowed)
    _check_layout(data, infos, start)


def _check_member(info: zipfile.ZipInfo, allowed: re.Pattern[str]) -> None:
    if info.filename != SCHEMA and not allowed.fullmatch(info.filename):
        refuse(f"a member with the name {info.filename!r}")
    if info.filename == SCHEMA and info.file_size > MAX_SCHEMA_BYTES:
        refuse(f"a schema of more than {MAX_SCHEMA_BYTES:,} bytes")
    if info.extra or info.comment:
        refuse("bytes beside its members")
    if info.flag_bits & ~_UTF8_NAME or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        refuse("members that are encrypted, or packed in an unusual way")


def _check_layout(data: bytes, infos: list[zipfile.ZipInfo], start: int) -> None:
    """Refuse members that overlap (a small file could unpack to a huge one), and bytes that belong to none."""
    place = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset != place:
            refuse("members that overlap, or bytes between them")
        place = _content_at(data, info) + info.compress_size
    if place != start:
        refuse("members that overlap, or bytes between them")


def _content_at(data: bytes, info: zipfile.ZipInfo) -> int:
    """Return where a member's content begins; what stands before it must say the same of it as the directory."""
    signature, *told, name, extra = _LOCAL.unpack_from(data, info.header_offset)
    if extra:
        refuse("bytes beside its members")
    begin = info.header_offset + _LOCAL.size
    truth = [info.flag_bits, info.compress_type, info.CRC, info.compress_size, info.file_size]
    if signature != b"PK\x03\x04" or told != truth or data[begin : begin + name] != info.filename.encode():
        refuse("a member of which its zip says two things")
    return begin + name


def _nested_size(content: bytes) -> int:
    """Return the size that a member, itself a zip, declares to have when it is unpacked."""
    with _opened(content) as inner:
        return sum(info.file_size for info in inner.infolist())


def _content(data: bytes, info: zipfile.ZipInfo) -> bytes:
    """Return a member's bytes; a stream that would become more of them than it declares is not followed further."""
    start = _content_at(data, info)
    content = data[start : start + info.compress_size]
    if info.compress_type == zipfile.ZIP_DEFLATED:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        content = stream.decompress(content, info.file_size + 1)
        if not stream.eof or stream.unused_data:
            refuse("a member of another size than it declares")
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        refuse("a member of another size or checksum than it declares")
    if info.filename == SCHEMA and not is_bounded(content):
        refuse("a schema of too many lists and objects")
    return content
