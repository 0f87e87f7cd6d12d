"""Damages artifacts where it matters: in the zip, the schema, the arrays, the bytes. Whoever fuzzes chooses the numbers."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from forecastle_registry.npy import write_npy
from forecastle_registry.skops_format import write
from forecastle_registry.skops_zip import SCHEMA
from registry.tests.hostile import STATE, members_of
from registry.tests.zips import Member, deflated, stored, zip_of

Draw = Callable[[int], int]  # draw(n) gives one of 0 … n-1

BASES = [
    members_of(write(state))
    for state in (
        STATE,
        {},
        {"a": np.zeros((2, 3)), "b": [np.array(["x", "yz"]), np.array(True), np.array(["2026-11-23"], "M8[D]")]},
        [None, True, -1, 0.5, "text", (), [], {"k": {"k": [1, 2, (3, "é")]}}],
    )
]
WORDS = [None, True, 0, 1, -1, 2**63, 1.5, "", "str", "list", "builtins", "numpy", "os", "ListNode", "DictNode", "JsonNode",
         "NdArrayNode", "TypeNode", "ReduceNode", "schema.json", "2.npy", "3.npy", "../2.npy", "[", "1e999", "NaN", "\ud800",
         "\0", [], {}, [[]], "9" * 5000]  # fmt: skip
HEADERS = [b"<f8", b">f8", b"|O", b"|b1", b"<U9", b"|V8", b"<M8[ns]", b"<f16", b"True", b"False", b"(3,)", b"()", b"(1, 3)",
           b"(-1,)", b"(0, 99999999999999999)", b"shape", b"descr", b"__import__('os')", b"\n", b" ", b"\xff"]  # fmt: skip
NUMBERS = [0, 1, 2, 8, 45, 46, 255, 0xFFFE, 0xFFFF, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


def mutated(draw: Draw) -> bytes:
    """Return an artifact with up to three things wrong in its members, and up to two in its bytes."""
    members = dict(BASES[draw(len(BASES))])
    for _ in range(draw(4)):
        name = sorted(members)[draw(len(members))]
        members[name] = _schema(members[name], draw) if name == SCHEMA and draw(4) else _content(members[name], draw)
    data = _zipped(members, draw)
    for _ in range(max(0, draw(4) - 1)):
        data = _bytes(data, draw)
    return data


def _schema(content: bytes, draw: Draw) -> bytes:
    """Change one place of the tree, if it still is one."""
    try:
        schema = json.loads(content)
    except ValueError:
        return _bytes(content, draw)
    places = list(_places(schema))
    holder, key = places[draw(len(places))]
    match draw(4):
        case 0:
            holder[key] = WORDS[draw(len(WORDS))]
        case 1:  # another part of the tree, which may hold this one: as text it is finite
            other, there = places[draw(len(places))]
            holder[key] = json.loads(json.dumps(other[there]))
        case 2 if isinstance(holder, dict):
            holder[str(WORDS[draw(len(WORDS))])] = holder.pop(key)
        case _:
            holder[key] = [holder[key]] * draw(50)
    return json.dumps(schema).encode()


def _places(tree: Any) -> Any:
    """Go through every place of a tree that can be set, the outermost first."""
    level: list[Any] = [{"root": tree}] if not isinstance(tree, dict | list) else [tree]
    while level:
        holder = level.pop(0)
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            yield holder, key
            if isinstance(value, dict | list) and value:
                level.append(value)


def _content(content: bytes, draw: Draw) -> bytes:
    """Change an array: its header by a word, its length, or all of it."""
    match draw(5):
        case 0:
            return write_npy(np.zeros((draw(4), draw(4))))
        case 1:
            return content[:8] + struct.pack("<H", NUMBERS[draw(len(NUMBERS))] & 0xFFFF) + content[10:]
        case 2 | 3:
            old, new = HEADERS[draw(len(HEADERS))], HEADERS[draw(len(HEADERS))]
            return content.replace(old, new, 1)
        case _:
            return _bytes(content, draw)


def _zipped(members: dict[str, bytes], draw: Draw) -> bytes:
    made = [(deflated if draw(2) else stored)(name, content) for name, content in members.items()]
    if draw(3) == 0:
        made[draw(len(made))] = _lying(made[draw(len(made))], draw)
    if draw(6) == 0:
        made.append(made[draw(len(made))])
    lies = {("entries", "size", "place", "comment")[draw(4)]: NUMBERS[draw(len(NUMBERS))]} if draw(8) == 0 else {}
    if "entries" in lies or "comment" in lies:
        lies = {name: value & 0xFFFF for name, value in lies.items()}
    return zip_of(made, between=b"PK" * (draw(16) == 0), before=b"PK\3\4" * (draw(16) == 0), **lies)


def _lying(member: Member, draw: Draw) -> Member:
    number = NUMBERS[draw(len(NUMBERS))]
    lies: list[dict[str, Any]] = [
        {"size": number},
        {"crc": number},
        {"method": number & 0xFFFF},
        {"flags": number & 0xFFFF},
        {"at": number},
        {"name": str(number).encode() + b".npy"},
        {"extra": struct.pack("<HH", 1, 8) + struct.pack("<Q", number)},
        {"packed": member.packed[: draw(len(member.packed) + 1)]},
    ]
    return replace(member, **lies[draw(len(lies))])


def _bytes(data: bytes, draw: Draw) -> bytes:
    """Replace, remove, insert or repeat some bytes."""
    at, length = draw(len(data) + 1), draw(9)
    if draw(2):  # nothing moves, so that what stands elsewhere is still read
        return data[:at] + bytes([draw(256)]) + data[at + 1 :]
    new = bytes(draw(256) for _ in range(draw(5))) if draw(4) else data[at : at + length] * 2
    return data[:at] + new + data[at + length :]
