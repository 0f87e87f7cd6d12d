"""The seal of a line of the audit log: an HMAC over the line and the seal before it, with the installation's key."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from .canonical import canonical_bytes
from .engine import SEALING_KEY, damaged_text_as_bytes
from .errors import NotPlainData, SigningKeyUnusable
from .tables import events

SEALED = ("id", "at", "who", "origin", "what", "model", "version", "alias", "reason", "details")
BATCH = 1000
LOOKED_AT = 12  # lines, of which none fits a key that is another one
_MAGIC = b"forecastle event 1\n"  # no other use of the key begins so


def seal(key: bytes, previous: str | None, line: Mapping[str, Any]) -> str:
    """Return the seal of a line, in hexadecimal. `previous` is the seal of the line before it, None for the first.

    `line` has what `SEALED` names, `at` as the text that is stored. Raises `NotPlainData`.
    """
    content = canonical_bytes([previous, *(line[name] for name in SEALED)], "event")
    return hmac.digest(key, _MAGIC + content, "sha256").hex()


def sealing_key(connection: sa.Connection) -> bytes:
    """Return the key that the engine was opened with. Raises `SigningKeyUnusable`."""
    give: Callable[[], bytes] | None = connection.get_execution_options().get(SEALING_KEY)
    if give is None:
        raise SigningKeyUnusable(
            "this database was opened without the installation's key, with which its log is sealed;"
            " give it: open_engine(url, key=partial(signing_key, path))"
        )
    return give()


def read_lines(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    """Go through the log in the order of ids, a batch at a time, with every column as it is stored, and `mac`."""
    last = None
    while True:
        query = _LINES if last is None else _LINES.where(events.c.id > last)
        lines = _read(connection, query)
        yield from lines
        if len(lines) < BATCH:
            return
        last = lines[-1]["id"]


def is_sealed_with(connection: sa.Connection, key: bytes) -> bool:
    """Tell whether the newest lines are sealed with a key: at least one of them, because any may have been edited.

    True where no line has a seal.
    """
    lines: list[dict[str, Any]] = []
    for limit in (2, LOOKED_AT):  # two are enough where nobody has touched the log
        lines = _read(connection, _NEWEST.limit(limit))
        before = [*(line["mac"] for line in lines[1:]), *([None] if len(lines) < limit else [])]
        if any(_fits(key, previous, line) for previous, line in zip(before, lines, strict=False)):
            return True
    return not lines


def _fits(key: bytes, previous: str | None, line: Mapping[str, Any]) -> bool:
    try:
        return hmac.compare_digest(seal(key, previous, line), line["mac"])
    except (NotPlainData, TypeError):  # no line of ours: a hand has written bytes there
        return False


# Columns are read as text where a type of ours would hide how a time is written, or fail on what a hand has left there.
_AS_STORED = sa.select(
    *(events.c[name] for name in SEALED if name not in ("at", "details")),
    sa.type_coerce(events.c.at, sa.String).label("at"),
    sa.cast(events.c.details, sa.Text).label("details"),
    events.c.mac,
)
_LINES = _AS_STORED.order_by(events.c.id).limit(BATCH)
_NEWEST = _AS_STORED.where(events.c.mac.is_not(None)).order_by(events.c.id.desc())


def _read(connection: sa.Connection, query: sa.Select[Any]) -> list[dict[str, Any]]:
    with damaged_text_as_bytes(connection):
        return [_parsed(row) for row in connection.execute(query).mappings()]


def _parsed(row: sa.RowMapping) -> dict[str, Any]:
    try:
        details = json.loads(row["details"], object_pairs_hook=_once)
    except ValueError:
        details = ("unreadable", row["details"])  # a tuple is sealed as no JSON is
    return {**row, "details": details}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that is given twice")
    return found
