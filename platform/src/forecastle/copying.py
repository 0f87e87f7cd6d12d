"""Moves an installation's registry from one database to another, as from SQLite to Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from forecastle_registry.actors import Actor
from forecastle_registry.copying import check_empty, copy_registry
from forecastle_registry.engine import snapshot
from forecastle_registry.errors import DatabaseNotEmpty, DatabaseUnusable
from forecastle_registry.events import log_event
from forecastle_registry.progress import Progress
from forecastle_registry.signing import signing_key
from forecastle_registry.verifying import Verification, verify_events

from .database import open_database, require_current, upgrade
from .settings import Settings


@dataclass(frozen=True, slots=True)
class CopiedDatabase:
    """What was copied: rows by table, and what the seals of the copy's log tell."""

    rows: dict[str, int]
    log: Verification


def copy_database(settings: Settings, source: str, target: str, *, actor: Actor, progress: Progress) -> CopiedDatabase:
    """Copy the registry at one database URL to another that is empty, with its event. What serves may go on meanwhile.

    The target gets its tables first. Raises `DatabaseNotEmpty`, `DatabaseBehind` or `DatabaseUnusable`.
    """
    require_file(source)
    with opened(settings, source) as read, opened(settings, target) as written:
        if read.url == written.url:
            raise DatabaseNotEmpty("the two databases are one and the same; name another one to copy to")
        require_current(read, exactly=True)
        require_empty(target, written)
        upgrade(written)

        def finish(connection: sa.Connection) -> None:
            details = {"from": shown_url(source), "to": shown_url(target)}
            log_event(connection, actor, "database-copy", details=details)

        with snapshot(read) as connection:
            rows = copy_registry(connection, written, progress, finish=finish)
        return CopiedDatabase(rows, verify_events(written, signing_key(settings.signing_key_file), allow_unsealed=True))


@contextmanager
def opened(settings: Settings, url: str | None = None) -> Iterator[sa.Engine]:
    """Open a database, this installation's unless given, and close it in the end: SQLite then folds its log into the file."""
    engine = open_database(settings if url is None else replace(settings, database_url=url))
    try:
        yield engine
    finally:
        engine.dispose()


def require_file(url: str) -> None:
    """Refuse an SQLite file that is not there, which opening it would make. Raises `DatabaseUnusable`."""
    file = _sqlite_file(url)
    if file is not None and not file.is_file():
        raise DatabaseUnusable(f"there is no file {file}; name the database that is to be copied")


def require_empty(url: str, engine: sa.Engine) -> None:
    """Refuse a database that holds something, without making an SQLite file that is not there. Raises `DatabaseNotEmpty`."""
    file = _sqlite_file(url)
    if file is None or file.exists():
        check_empty(engine)


def shown_url(url: str) -> str:
    """Return a database URL as it may be printed and logged: without its password and what else may hold one."""
    return sa.make_url(url).set(query={}).render_as_string(hide_password=True)


def _sqlite_file(url: str) -> Path | None:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        return None  # opening it says what is wrong
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
