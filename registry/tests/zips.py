"""Zips as no honest library writes them: every field of a member can lie."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

STORED, DEFLATED = 0, 8


@dataclass(frozen=True)
class Member:
    """One member: `packed` are its bytes in the file, and the rest is what the zip says of them."""

    name: bytes
    packed: bytes = field(repr=False)
    size: int
    crc: int
    method: int = STORED
    flags: int = 0
    extra: bytes = b""  # of the directory
    own_extra: bytes = b""  # of its own header
    at: int | None = None  # where the directory says that the member begins; None: where it does


def stored(name: str, content: bytes) -> Member:
    """Return an honest member that is not compressed."""
    return Member(name.encode(), content, len(content), zlib.crc32(content))


def deflated(name: str, content: bytes) -> Member:
    """Return an honest member that is compressed."""
    packer = zlib.compressobj(9, wbits=-15)
    return replace(stored(name, content), packed=packer.compress(content) + packer.flush(), method=DEFLATED)


def zeros(name: str, megabytes: int) -> Member:
    """Return an honest member of so many megabytes of zeros, made without them: one is compressed, and then repeated."""
    packer = zlib.compressobj(9, wbits=-15)
    one = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return Member(name.encode(), one * megabytes + b"\x03\x00", megabytes * 2**20, _crc_of_zeros(megabytes), DEFLATED)


@cache
def _crc_of_zeros(megabytes: int) -> int:
    megabyte, crc = bytes(2**20), 0
    for _ in range(megabytes):
        crc = zlib.crc32(megabyte, crc)
    return crc


def zip_of(members: Sequence[Member], *, before: bytes = b"", between: bytes = b"", end: bytes = b"", **lies: int) -> bytes:
    """Return a zip of members. `lies` replace fields of its end: `entries`, `size`, `place`, `comment`."""
    body, directory = bytearray(before), bytearray()
    for member in members:
        start = len(body) if member.at is None else member.at
        body += _local(member) + member.packed
        directory += entry_of(member, start)
    truth = {"entries": len(members) & 0xFFFF, "size": len(directory), "place": len(body) + len(between), "comment": 0} | lies
    fields = (b"PK\5\6", 0, 0, truth["entries"], truth["entries"], truth["size"], truth["place"], truth["comment"])
    return bytes(body) + between + bytes(directory) + end + struct.pack("<4s4H2LH", *fields)


def _local(member: Member) -> bytes:
    version = 20, member.flags, member.method, 0, 33
    sizes = member.crc, len(member.packed), member.size & 0xFFFFFFFF
    return (
        struct.pack("<4s5H3L2H", b"PK\3\4", *version, *sizes, len(member.name), len(member.own_extra))
        + member.name
        + member.own_extra
    )


def entry_of(member: Member, start: int) -> bytes:
    """Return what the directory says of a member."""
    version = 0x0314, 20, member.flags, member.method, 0, 33
    sizes = member.crc, len(member.packed), member.size & 0xFFFFFFFF
    rest = len(member.name), len(member.extra), 0, 0, 0, 0, start
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *version, *sizes, *rest) + member.name + member.extra
