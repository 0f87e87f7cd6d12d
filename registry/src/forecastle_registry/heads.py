"""The head of the audit log: its newest sealed line. A copy of it, kept elsewhere, shows that lines at the end were cut off."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from .engine import reading
from .rows import insert_once
from .tables import event_head

NAME = "log"
HEADS_FILE = "event-heads.jsonl"  # in the installation's home


@dataclass(frozen=True, slots=True)
class Head:
    """The newest sealed line: its `id`, its time as stored, its seal, and how many sealed lines there are up to it.

    The head of an empty log has id and count 0.
    """

    id: int
    at: str
    mac: str
    count: int


EMPTY = Head(0, "1970-01-01T00:00:00.000000Z", "", 0)


@dataclass(frozen=True, slots=True)
class KeptHeads:
    """The heads of a file, oldest first, and the numbers of lines that hold none: a power cut leaves half a line."""

    heads: tuple[Head, ...]
    unreadable: tuple[int, ...]


def export_head(engine: sa.Engine) -> Head:
    """Return the log's head, to be kept where whoever can write to the database cannot."""
    with reading(engine) as connection:
        return read_head(connection) or EMPTY


def read_head(connection: sa.Connection) -> Head | None:
    """Return the log's head, None before anything was sealed."""
    return _head(connection, _HEAD)


def lock_head(connection: sa.Connection) -> Head:
    """Hold the log's head until the transaction ends, so that lines are sealed one after the other. `EMPTY` is a new one."""
    found = _head(connection, _HEAD.with_for_update())
    if found is None:
        insert_once(connection, event_head, {"name": NAME, **asdict(EMPTY), "at": datetime.fromisoformat(EMPTY.at)})
        found = _head(connection, _HEAD.with_for_update())
    assert found is not None  # no interface deletes it
    return found


def move_head(connection: sa.Connection, head: Head) -> None:
    """Write the head, within the transaction that holds it."""
    row = {**asdict(head), "at": sa.literal(head.at, sa.String)}
    connection.execute(event_head.update().where(event_head.c.name == NAME).values(row))


def append_head(path: Path | str, head: Head) -> None:
    """Add a head to a file of one JSON document a line; it is on the disk when this returns. Raises OSError."""
    with open(path, "a+b") as file:
        torn = not _ends_with_a_line(file)
        file.write(b"\n" * torn + json.dumps(asdict(head)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_heads(path: Path | str) -> KeptHeads:
    """Read a file of heads; one that is not there has none. Raises OSError."""
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return KeptHeads((), ())
    found = {number: _parsed(line) for number, line in enumerate(lines, 1) if line.strip()}
    heads = tuple(head for head in found.values() if head is not None)
    return KeptHeads(heads, tuple(number for number, head in found.items() if head is None))


# The time as text: what a hand has left there must not fail here.
_HEAD = sa.select(
    event_head.c.id, sa.type_coerce(event_head.c.at, sa.String).label("at"), event_head.c.mac, event_head.c.count
).where(event_head.c.name == NAME)


def _head(connection: sa.Connection, query: sa.Select[Any]) -> Head | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else Head(**row)


def _ends_with_a_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _parsed(line: bytes) -> Head | None:
    try:
        document = json.loads(line)
        kinds = {name: type(document[name]) for name in _KINDS}
    except (ValueError, KeyError, TypeError):
        return None
    return Head(**{name: document[name] for name in _KINDS}) if kinds == _KINDS else None


_KINDS = {"id": int, "at": str, "mac": str, "count": int}
