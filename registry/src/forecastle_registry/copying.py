"""Copies a registry into another, empty database, of the same kind or not: all of it, or nothing.

1. The target must be empty, and at the source's revision.
2. Rows go table by table, those that others refer to first, in batches; artifacts one at a time, for one may have 256 MB.
3. Times stay the text that they are: seals are made over it.
4. What the target holds is counted before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from .engine import reading, revision_of, writing
from .errors import DatabaseBehind, DatabaseNotEmpty, DatabaseUnusable
from .progress import STEPS, Progress, quiet
from .tables import UtcText, artifacts, metadata, versions

BATCH = 200  # rows; a version's has some ten thousand bytes of JSON
PIECE = 2**24  # bytes of an artifact that are read at once

Content = Callable[[str, bytes | None], bytes | None]
"""From an artifact's digest and what the source's row holds, to what the target's row shall hold."""

Finish = Callable[[sa.Connection], None]
_Batches = Generator[list[dict[str, Any]], None, None]


def copy_registry(
    source: sa.Connection,
    target: sa.Engine,
    progress: Progress = quiet,
    *,
    content: Content = lambda digest, found: found,
    finish: Finish = lambda connection: None,
) -> dict[str, int]:
    """Copy every row of a `snapshot` into an empty database with the same tables; return the number of rows by table.

    `content` is asked for each artifact that a version names. `finish` is called within the target's transaction, before
    it is committed. Raises `DatabaseNotEmpty`, `DatabaseBehind` where the revisions differ, `DatabaseUnusable`, and what
    `content` and `finish` raise: then the target is as it was.
    """
    counts = {table.name: _count(source, table) for table in metadata.sorted_tables}
    with writing(target) as connection:
        _check_revisions(source, connection)
        _check_empty(connection)
        _copy_tables(source, connection, counts, progress, content)
        copied = {table.name: _count(connection, table) for table in metadata.sorted_tables}
        if copied != counts:
            raise DatabaseUnusable(f"the copy is not whole: {copied} rows of {counts}; it was undone, try again")
        finish(connection)
    return counts


def check_empty(engine: sa.Engine) -> None:
    """Refuse a database, of whatever revision, that holds anything of a registry. Raises `DatabaseNotEmpty`."""
    with reading(engine) as connection:
        _check_empty(connection)


def _check_empty(connection: sa.Connection) -> None:
    there = set(sa.inspect(connection).get_table_names())
    counts = {table.name: _count(connection, table) for table in metadata.sorted_tables if table.name in there}
    held = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    if held:
        raise DatabaseNotEmpty(f"the database that would be filled is not empty (rows: {held}); give one that is")


def _check_revisions(source: sa.Connection, target: sa.Connection) -> None:
    found, expected = revision_of(source), revision_of(target)
    if found != expected:
        raise DatabaseBehind(found, expected)


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _copy_tables(
    source: sa.Connection, target: sa.Connection, counts: dict[str, int], progress: Progress, content: Content
) -> None:
    done, told, total = 0, 0, sum(counts.values())
    for table in metadata.sorted_tables:
        with closing(_artifacts(source, content) if table is artifacts else _rows(source, table)) as batches:
            for batch in batches:
                _insert(target, table, batch)
                done += len(batch)
                if (done - told) * STEPS >= total:
                    told = done
                    progress(done, total, table.name)
        _go_on_counting(target, table)


def _rows(source: sa.Connection, table: sa.Table) -> _Batches:
    """Read a table in the order of its key, so that a version comes after its parent."""
    query = sa.select(*map(_as_it_is, table.c)).order_by(*table.primary_key)
    with source.execute(query.execution_options(yield_per=BATCH)) as result:
        for batch in result.mappings().partitions():
            yield [dict(row) for row in batch]


def _artifacts(source: sa.Connection, content: Content) -> _Batches:
    named = sa.exists().where(versions.c.artifact_digest == artifacts.c.digest).label("named")
    columns = [_as_it_is(column) for column in artifacts.c if column is not artifacts.c.content]
    for row in map(dict, source.execute(sa.select(*columns, named).order_by(artifacts.c.digest)).mappings().all()):
        digest, is_named = row["digest"], row.pop("named")
        found = _content(source, digest)
        yield [row | {"content": content(digest, found) if is_named else found}]


def _content(source: sa.Connection, digest: str) -> bytes | None:
    """Read an artifact piece by piece: Postgres' driver takes five times the room of what it reads at once."""
    pieces: list[bytes] = []
    while not pieces or len(pieces[-1]) == PIECE:
        piece = sa.func.substr(artifacts.c.content, len(pieces) * PIECE + 1, PIECE, type_=sa.LargeBinary)
        query = sa.select(artifacts.c.content.is_(None), piece).where(artifacts.c.digest == digest)
        is_elsewhere, found = source.execute(query).one()
        if is_elsewhere:
            return None
        pieces.append(found or b"")  # SQLite has no bytes of length 0: it says NULL
    return b"".join(pieces)


def _as_it_is(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Read times and JSON as the text that is stored, also where a hand has left neither."""
    if isinstance(column.type, UtcText):
        return sa.type_coerce(column, sa.String).label(column.name)
    return sa.cast(column, sa.Text).label(column.name) if isinstance(column.type, sa.JSON) else column


def _insert(target: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    values = {column.name: _place(column, target.dialect.name) for column in table.c}
    given = [{f"the_{name}": value for name, value in row.items()} for row in rows]
    try:
        target.execute(table.insert().values(values), given)
    except (sa.exc.DataError, sa.exc.IntegrityError) as error:  # SQLite cares neither for lengths nor for types
        raise DatabaseUnusable(f"the target does not take a row of {table.name}: {error.orig}") from error


def _place(column: sa.Column[Any], dialect: str) -> sa.ColumnElement[Any]:
    """Return where a value goes, for a statement that writes what `_as_it_is` has read."""
    is_text = isinstance(column.type, UtcText | sa.JSON)
    place = sa.bindparam(f"the_{column.name}", type_=sa.Text() if is_text else column.type)
    return sa.cast(place, column.type) if isinstance(column.type, sa.JSON) and dialect == "postgresql" else place


def _go_on_counting(connection: sa.Connection, table: sa.Table) -> None:
    """Let Postgres' own counter go on behind the highest number; SQLite's does so by itself."""
    column = table.autoincrement_column
    if column is None or connection.dialect.name != "postgresql":
        return
    highest = connection.execute(sa.select(sa.func.max(column))).scalar()
    if highest is not None:
        sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
        connection.execute(sa.select(sa.func.setval(sequence, highest)))
