"""Runs the revisions: on one connection, in one transaction, under one lock, so that processes that start at once do not race.

Alembic executes this file for each command. Where the database is: `config.attributes["connection"]` (in no transaction),
`config.attributes["engine"]`, `sqlalchemy.url`, or for a developer's alembic.ini the environment's FORECASTLE_DATABASE_URL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from forecastle_registry.engine import open_engine
from forecastle_registry.tables import metadata

LOCK_SECONDS = 120  # how long a process waits for another one's upgrade
LOCK_NUMBER = 0x466F7265  # Postgres' advisory locks go by number: "Fore"


def run() -> None:
    """Run the command that Alembic was given."""
    if context.is_offline_mode():
        raise CommandError("revisions look at the database that they change: run this without --sql")
    with _connection() as connection, _lock(connection):
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()


@contextmanager
def _connection() -> Iterator[sa.Connection]:
    given: sa.Connection | None = context.config.attributes.get("connection")
    if given is not None:
        yield given
        return
    engine: sa.Engine | None = context.config.attributes.get("engine")
    opened = engine or open_engine(_url())
    try:
        with opened.connect() as connection:
            yield connection
    finally:
        if engine is None:
            opened.dispose()


def _url() -> str:
    url = context.config.get_main_option("sqlalchemy.url") or os.environ.get("FORECASTLE_DATABASE_URL")
    if not url:
        raise CommandError("which database? Set FORECASTLE_DATABASE_URL, as sqlite:////absolute/file.db")
    return url


@contextmanager
def _lock(connection: sa.Connection) -> Iterator[None]:
    """Hold the only lock for a transaction. What a process waited for is done when it gets it: revisions are read under it."""
    if connection.dialect.name == "sqlite":
        with _sqlite_lock(connection):
            yield
    else:
        with connection.begin():
            connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})
            yield


@contextmanager
def _sqlite_lock(connection: sa.Connection) -> Iterator[None]:
    """Lock the file. Foreign keys rest meanwhile, or rebuilding a table (SQLite's ALTER) would empty those that refer to it."""
    waited = _pragma(connection, "busy_timeout")
    _pragma(connection, f"busy_timeout = {LOCK_SECONDS * 1000}")
    _pragma(connection, "foreign_keys = OFF")
    try:
        with connection.begin():
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
            yield
            if _pragma(connection, "foreign_key_check") is not None:
                raise CommandError("a revision left rows that refer to nothing; the database stays as it was")
    finally:
        _pragma(connection, "foreign_keys = ON")
        _pragma(connection, f"busy_timeout = {waited}")


def _pragma(connection: sa.Connection, pragma: str) -> object:
    """Run a pragma on the driver itself: SQLAlchemy would begin a transaction, in which some have no effect."""
    row = connection.connection.cursor().execute(f"PRAGMA {pragma}").fetchone()
    return row and row[0]


run()
