"""The database is opened safely, read without waiting, and written one after the other."""

import sqlite3
import sys
import threading
import time

import pytest
import sqlalchemy as sa

from forecastle_registry.engine import (
    BUSY_SECONDS,
    _switch_to_wal,
    current_revision,
    first_row,
    open_engine,
    reading,
    writing,
)
from forecastle_registry.errors import DatabaseBehind, DatabaseUnusable
from forecastle_registry.tables import models
from forecastle_registry.versions import version_count


def pragma(engine, name):
    with reading(engine) as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2), ("busy_timeout", 30_000)]
)
def test_sqlite_is_set_for_many_processes_and_for_power_cuts(engine, name, value):
    assert pragma(engine, name) == value


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///file:x",
        "sqlite:///relative.db",
        "sqlite:///~/home.db",
        "sqlite:////tmp/x.db?timeout=abc",
        "sqlite+aiosqlite:////tmp/x.db",
        "postgresql+psycopg://me@host:port/x",
        "mysql://h/d",
        "nonsense",
    ],
)
def test_what_other_processes_could_not_open_is_refused(url):
    with pytest.raises(DatabaseUnusable, match="sqlite:////absolute"):
        open_engine(url)


def test_a_password_does_not_stand_in_the_error():
    with pytest.raises(DatabaseUnusable) as caught:
        open_engine("oracle://me:secret@host/name")
    assert "secret" not in str(caught.value)


def test_a_read_sees_what_was_committed_since_the_one_before_it(engine):
    with reading(engine) as reader:
        assert reader.execute(sa.select(sa.func.count()).select_from(models)).scalar() == 0
        with writing(engine) as writer:
            writer.exec_driver_sql(
                "INSERT INTO models (name, plugin, created_at) VALUES ('m', 'naive', '2026-11-23T05:15:47.123456Z')"
            )
        assert reader.execute(sa.select(sa.func.count()).select_from(models)).scalar() == 1


def test_a_read_does_not_wait_for_a_writer(engine):
    with writing(engine) as writer:
        writer.exec_driver_sql(
            "INSERT INTO models (name, plugin, created_at) VALUES ('m', 'naive', '2026-11-23T05:15:47.123456Z')"
        )
        before = time.monotonic()
        assert version_count(engine) == 0
        assert first_row(engine, sa.select(models.c.name), {}) is None
        assert time.monotonic() - before < BUSY_SECONDS / 2


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_writer_takes_the_lock_before_it_reads(engine, url):
    other = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0)
    with writing(engine), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_an_error_undoes_the_whole_transaction(engine):
    def fail_halfway():
        with writing(engine) as connection:
            connection.exec_driver_sql(
                "INSERT INTO models (name, plugin, created_at) VALUES ('m', 'naive', '2026-11-23T05:15:47.123456Z')"
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    with reading(engine) as connection:
        assert connection.execute(sa.select(models)).all() == []


def test_a_reference_to_nothing_is_refused(engine):
    with pytest.raises(sa.exc.IntegrityError), writing(engine) as connection:
        connection.exec_driver_sql("INSERT INTO aliases VALUES ('no such model', 'production', 1)")


def test_a_fresh_file_that_another_process_is_writing_is_waited_for(tmp_path):
    """Changing the journal mode then fails at once, whatever the busy timeout."""
    file = tmp_path / "fresh.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    timer.start()
    engine = open_engine(f"sqlite:///{file}")
    assert pragma(engine, "journal_mode") == "wal"
    timer.join()
    other.close()
    engine.dispose()


def test_a_journal_that_cannot_be_switched_at_all_is_not_waited_for(tmp_path):
    """As on a full or read-only disk: only another process that does the same is worth another try."""
    file, tried = tmp_path / "read-only.db", []
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE t (x)")
    made.close()
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    connection.set_trace_callback(tried.append)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        _switch_to_wal(connection)
    connection.close()
    assert len(tried) == 1


def test_a_database_without_tables_says_to_upgrade(url):
    engine = open_engine(url)
    with pytest.raises(DatabaseBehind, match="forecastle db upgrade"):
        version_count(engine)
    with pytest.raises(DatabaseBehind):
        first_row(engine, sa.select(models.c.name), {})
    assert current_revision(engine) is None
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_file_that_is_no_database_is_unusable(tmp_path, url):
    (tmp_path / "registry.db").write_bytes(b"this is no database, whatever its name says" * 100)
    engine = open_engine(url)
    with pytest.raises(DatabaseUnusable, match="not a database"):
        version_count(engine)
    engine.dispose()


def test_a_directory_that_is_not_there_is_unusable(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/nowhere/registry.db")
    with pytest.raises(DatabaseUnusable, match=r"unable to open.*must write in its folder"):
        version_count(engine)


def test_a_driver_that_does_not_load_is_named_with_what_to_install(monkeypatch, tmp_path):
    """As psycopg says where there is no libpq."""
    (tmp_path / "psycopg.py").write_text("raise ImportError('no pq wrapper available.\\nAttempts made: many')")
    loaded = [name for name in sys.modules if name.split(".")[0] == "psycopg"]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DatabaseUnusable, match=r"no database driver \(no pq wrapper available\.\): pip install"):
        open_engine("postgresql+psycopg://me@127.0.0.1/x")


def test_a_postgres_that_is_gone_is_unusable():
    engine = open_engine("postgresql+psycopg://nobody:secret@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseUnusable) as caught:
        version_count(engine)
    assert "\n" not in caught.value.message  # which libpq's own words have
    assert "secret" not in caught.value.message
