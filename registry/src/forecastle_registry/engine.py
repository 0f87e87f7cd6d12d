"""Opens the database, and gives the only ways into it: `reading`, `writing` and, for copies, `snapshot`.

SQLite, as it is set here:
- WAL: a forecast's read waits for no writer, and sees what was committed before it began.
- The driver opens no transaction by itself, so a read is in autocommit and sees a rollback as soon as that has returned.
- A writer starts with BEGIN IMMEDIATE: a read that is upgraded later gets BUSY at once, whatever the timeout.
- synchronous=FULL, though WAL makes NORMAL safe from corruption: writes are rare here, and a promotion that was answered
  must survive a power cut. Readers pay nothing for it.
- A file on a network file system is refused: WAL needs shared memory, and their locks lie.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from .errors import DatabaseBehind, DatabaseUnusable
from .forks import survive_forks
from .mounts import is_network, read_mounts, type_of_file_system
from .postgres import BEGINNING, open_postgres

# How long a writer waits for others. They hold the lock for milliseconds, but SQLite has no queue: who waits asks ten times a
# second, and under sixteen busy writers on a busy machine somebody was unlucky for ten seconds.
BUSY_SECONDS = 30.0
SEALING_KEY = "forecastle_sealing_key"  # the execution option that carries it to where events are written
_FOLDER = "SQLite must write in its folder, also to read: look at its owner, at its mount, and for room on the disk"
_NOT_WRITABLE = (
    "unable to open database file",
    "attempt to write a readonly database",
    "database or disk is full",
    "disk I/O error",
)
_UNDEFINED = ("UndefinedTable", "UndefinedColumn")  # as psycopg calls them


def open_engine(url: str, key: Callable[[], bytes] | None = None) -> sa.Engine:
    """Open the database at an SQLAlchemy URL: `sqlite:////absolute/file.db` or `postgresql+psycopg://…`.

    `key` gives the installation's key, with which events are sealed; it is asked for when one is written. Nothing is
    connected yet. Raises `DatabaseUnusable` for another kind of database, for SQLite in memory or at a relative path (no
    second process would see it) and for SQLite on a network file system.
    """
    try:
        parsed = sa.make_url(url)
        openers: dict[str, Callable[[sa.URL], sa.Engine]] = {"sqlite": _open_sqlite, "postgresql": open_postgres}
        engine = openers[parsed.get_backend_name()](parsed)
        engine.update_execution_options(**{SEALING_KEY: key})
        survive_forks(engine)
        return engine
    except (sa.exc.ArgumentError, KeyError, ValueError) as error:  # ValueError: of a port that is no number
        raise DatabaseUnusable(
            "this database URL is not understood; give sqlite:////absolute/file.db or postgresql+psycopg://user@host/name"
        ) from error
    except ImportError as error:  # psycopg says this, too, of a libpq that is not there
        why = f"{error.name} is missing" if error.name else str(error).partition("\n")[0]
        raise DatabaseUnusable(f"no database driver ({why}): pip install 'forecastle-registry[postgres]'") from error


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection in autocommit: each statement sees what was committed before it. Raises `DatabaseUnusable`."""
    with _translated(engine), engine.connect() as connection:
        if engine.dialect.name != "sqlite":  # there the driver is in autocommit as it is
            connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection in one write transaction: committed at the end, undone by any error. Raises `DatabaseUnusable`."""
    with _translated(engine), engine.begin() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else BEGINNING)
        yield connection


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection that sees one moment, whatever is committed meanwhile. Raises `DatabaseUnusable`."""
    with _translated(engine), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql("SELECT 1 FROM sqlite_schema").first()  # the moment is that of the first read
        else:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


@contextmanager
def damaged_text_as_bytes(connection: sa.Connection) -> Iterator[None]:
    """Let text that is none be read as the bytes that it is, instead of failing: only a hand can have left it in SQLite."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        yield
        return
    before, driver.text_factory = driver.text_factory, _text_or_bytes
    try:
        yield
    finally:
        driver.text_factory = before


def _text_or_bytes(stored: bytes) -> str | bytes:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


def first_row(engine: sa.Engine, statement: sa.Select[Any], parameters: dict[str, Any]) -> Sequence[Any] | None:
    """Read the first row of a statement that is a module's constant, in autocommit, on the shortest way there is.

    SQLAlchemy's execution would cost five times the query in SQLite, and as much as the query in Postgres: the statement is
    compiled once, and the pool's driver connection runs it.
    """
    run = _first_in_sqlite if engine.dialect.name == "sqlite" else _first_in_postgres
    sql, fixed, names = _compiled(statement, engine.dialect)
    dbapi: Any = engine.dialect.loaded_dbapi
    with _translated(engine):
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        try:
            return run(driver, sql, {name: parameters.get(name, fixed[name]) for name in fixed}, names)
        except dbapi.Error as error:
            if engine.dialect.is_disconnect(error, driver, None):
                pooled.invalidate(error)
            raise
        finally:
            pooled.close()


def current_revision(engine: sa.Engine) -> str | None:
    """Return the revision that the tables are at, None for a database without tables. Raises `DatabaseUnusable`."""
    with reading(engine) as connection:
        return revision_of(connection)


def revision_of(connection: sa.Connection) -> str | None:
    """Return the revision of the tables that a connection sees, None where there are none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _first_in_sqlite(driver: Any, sql: str, parameters: dict[str, Any], names: list[str]) -> Sequence[Any] | None:
    row: Sequence[Any] | None = driver.execute(sql, [parameters[name] for name in names]).fetchone()
    return row


def _first_in_postgres(driver: Any, sql: str, parameters: dict[str, Any], _names: list[str]) -> Sequence[Any] | None:
    driver.autocommit = True
    try:
        row: Sequence[Any] | None = driver.execute(sql, parameters).fetchone()
        return row
    finally:
        if not driver.closed:
            driver.autocommit = False


@lru_cache(maxsize=16)  # by identity: a statement that is no constant would be compiled, and kept, for each call
def _compiled(statement: sa.Select[Any], dialect: sa.Dialect) -> tuple[str, dict[str, Any], list[str]]:
    compiled = statement.compile(dialect=dialect)
    return str(compiled), dict(compiled.params), list(compiled.positiontup or ())


def _open_sqlite(url: sa.URL) -> sa.Engine:
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or url.query:
        raise sa.exc.ArgumentError("SQLite is opened by Python's own driver, and takes no options")
    path = Path(url.database or "")
    if not path.is_absolute():  # `:memory:` and `file:…` are not either
        raise DatabaseUnusable("SQLite needs a file that every process finds, wherever it starts: sqlite:////absolute/file.db")
    _refuse_network_file_system(path)
    # The most recently used connection is the one whose pages are in the processor's cache.
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=16, max_overflow=16, pool_use_lifo=True)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _refuse_network_file_system(path: Path) -> None:
    kind = type_of_file_system(path.resolve(), read_mounts())
    if is_network(kind):
        raise DatabaseUnusable(
            f"{path} is on a network file system ({kind}), which SQLite cannot share safely; use a local disk, or Postgres"
        )


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        _switch_to_wal(connection)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Change the journal mode; SQLite answers BUSY here without waiting when another process does the same at once."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:  # & 0xFF: of any kind
                raise
            time.sleep(0.01)


@contextmanager
def _translated(engine: sa.Engine) -> Iterator[None]:
    """Turn the driver's words for an unusable database into ours. A row that breaks a rule is a bug, and stays as it is."""
    driver: Any = engine.dialect.loaded_dbapi
    try:
        yield
    except (sa.exc.IntegrityError, sa.exc.DataError):
        raise
    except (sa.exc.DatabaseError, sa.exc.InterfaceError, driver.DatabaseError, driver.InterfaceError) as error:
        cause = getattr(error, "orig", error)
        if str(cause).startswith(("no such table", "no such column")) or type(cause).__name__ in _UNDEFINED:
            raise DatabaseBehind() from error
        said = " ".join(str(cause).split())
        remedy = _FOLDER if said in _NOT_WRITABLE else "see `forecastle doctor`"
        raise DatabaseUnusable(f"the database does not answer as it should ({said}); {remedy}") from error
    except sa.exc.TimeoutError as error:
        raise DatabaseUnusable("every connection to the database is in use; see `forecastle doctor`") from error
