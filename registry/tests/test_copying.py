"""A registry is copied between databases of both kinds: all of it, unchanged, or nothing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from forecastle_registry.aliases import get_alias, promote_version, roll_back
from forecastle_registry.copying import BATCH, PIECE, check_empty, copy_registry
from forecastle_registry.engine import open_engine, reading, snapshot, writing
from forecastle_registry.errors import ArtifactMissing, DatabaseBehind, DatabaseNotEmpty, DatabaseUnusable
from forecastle_registry.events import list_events
from forecastle_registry.stores import DatabaseStore
from forecastle_registry.tables import artifacts, events, keys, metadata, proposals, protections
from forecastle_registry.versions import NewVersion, list_versions, register_version
from registry.tests.conftest import KEY

Train = Callable[..., NewVersion]


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty registry of the other kind, or of the same."""
    if request.param == "sqlite":
        yield from made(f"sqlite:///{tmp_path}/target.db")
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield from made(url)


def made(url: str) -> Iterator[sa.Engine]:
    engine = open_engine(url, key=lambda: KEY)
    with writing(engine) as connection:
        metadata.create_all(connection)
    yield engine
    engine.dispose()


def fill(engine: sa.Engine, training: Train) -> None:
    """Rows in every table: parents and children, a stack that was moved, an artifact that is elsewhere."""
    for i in range(4):
        register_version(engine, training(artifact=b"%d" % i * 1000, parent=i or None, llf=0.1 + i), promote=True)
    register_version(engine, training(model="n", artifact=b"n", accuracy={"é": [1.5, None]}, verdict="flat"), promote=None)
    roll_back(engine, "m", reason="né")
    promote_version(engine, "m", 1, alias="staging")
    now = datetime.now(UTC)
    alias = {"model": "m", "alias": "production"}
    with writing(engine) as connection:
        key = {"prefix": "ab", "name": "k", "role": "reader", "digest": "0" * 64, "created_at": now, "created_by": "me"}
        connection.execute(keys.insert(), key)
        connection.execute(
            protections.insert(), alias | {"converged": True, "approval": False, "created_at": now, "created_by": "me"}
        )
        connection.execute(proposals.insert(), alias | {"version": 2, "revision": 5, "proposed_at": now, "proposed_by": "me"})
        connection.execute(artifacts.insert(), {"digest": "e" * 64, "size": 3, "created_at": now, "content": None})


def contents(engine: sa.Engine) -> dict[str, list[tuple[object, ...]]]:
    with reading(engine) as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


def copy(engine: sa.Engine, target: sa.Engine, *arguments: Any, **options: Any) -> dict[str, int]:
    with snapshot(engine) as source:
        return copy_registry(source, target, *arguments, **options)


def test_a_copy_holds_every_row_as_it_was(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)
    before = contents(engine)
    assert all(before.values())
    assert copy(engine, target) == {name: len(rows) for name, rows in before.items()}
    assert contents(target) == before
    assert contents(engine) == before


def test_a_copy_goes_on_numbering_where_the_source_was(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)
    highest = list_events(engine).items[0].id
    copy(engine, target)
    assert register_version(target, training(artifact=b"next"), promote=True).version.number == 5
    assert get_alias(target, "m").stack == (1, 2, 3, 5)
    assert [event.id for event in list_events(target).items][:2] == [highest + 2, highest + 1]


def test_more_rows_than_a_batch_are_copied_in_their_order(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    with writing(engine) as connection:
        rows = [{"at": datetime.now(UTC), "who": "me", "what": f"{i}", "details": {}} for i in range(2 * BATCH + 1)]
        connection.execute(events.insert(), rows)
    told: list[tuple[int, int, str]] = []
    copy(engine, target, lambda *step: told.append(step))
    assert contents(target) == contents(engine)
    assert [done for done, _, what in told if what == "events"] == [BATCH, 2 * BATCH]
    assert {total for _, total, _ in told} == {2 * BATCH + 1}


def test_progress_is_told_a_hundred_times_at_most(engine: sa.Engine, target: sa.Engine) -> None:
    with writing(engine) as connection:
        row = {"size": 1, "created_at": datetime.now(UTC), "content": b"b"}
        connection.execute(artifacts.insert(), [row | {"digest": f"{i:064}"} for i in range(250)])
    told: list[int] = []
    copy(engine, target, lambda done, total, what: told.append(done))
    assert len(told) <= 100
    assert told[-1] >= 247


def test_what_is_registered_during_a_copy_is_not_in_it(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)
    before = contents(engine)

    def meanwhile(done: int, total: int, what: str) -> None:
        if len(list_versions(engine, "m").items) == 4:
            register_version(engine, training(artifact=b"meanwhile"), promote=True)

    copy(engine, target, meanwhile)
    assert contents(target) == before
    assert contents(engine) != before


def test_times_and_json_are_copied_as_they_are_written(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)
    with writing(engine) as connection:
        connection.exec_driver_sql("""UPDATE events SET at = 'no time', details = '{"a": 1.50, "a":2}' WHERE id = 1""")
    copy(engine, target)
    with reading(target) as connection:
        query = sa.text("SELECT at, CAST(details AS TEXT) FROM events WHERE id = 1")
        assert tuple(connection.execute(query).one()) == ("no time", '{"a": 1.50, "a":2}')


def test_a_target_that_holds_something_is_refused_and_left_alone(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)
    register_version(target, training(model="other"), promote=True)
    before = contents(target)
    with pytest.raises(DatabaseNotEmpty, match=r"models 1, .*versions 1, .*give one that is"):
        copy(engine, target)
    assert contents(target) == before
    with pytest.raises(DatabaseNotEmpty):
        check_empty(target)


def test_a_database_without_tables_is_empty(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/new.db")
    check_empty(engine)
    engine.dispose()


def test_databases_at_different_revisions_are_refused(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)
    for each, revision in ((engine, "0005"), (target, "0006")):
        with writing(each) as connection:
            connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    with pytest.raises(DatabaseBehind, match=r"at revision 0005.*needs revision 0006.*run `forecastle db upgrade`"):
        copy(engine, target)


def test_a_copy_that_fails_at_any_table_leaves_nothing(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)

    def failing_at(table: str) -> Callable[[int, int, str], None]:
        def fail(done: int, total: int, what: str) -> None:
            if what == table and done:
                raise KeyboardInterrupt

        return fail

    for table in metadata.sorted_tables:
        with pytest.raises(KeyboardInterrupt):
            copy(engine, target, failing_at(table.name))
        check_empty(target)
    copy(engine, target)
    assert contents(target) == contents(engine)


def test_what_belongs_to_the_copy_is_written_with_it_or_not_at_all(
    engine: sa.Engine, target: sa.Engine, training: Train
) -> None:
    fill(engine, training)

    def finish(connection: sa.Connection) -> None:
        connection.execute(sa.text("DELETE FROM proposals"))
        if failing:
            raise RuntimeError("at the end")

    failing = True
    with pytest.raises(RuntimeError, match="at the end"):
        copy(engine, target, finish=finish)
    check_empty(target)
    failing = False
    copy(engine, target, finish=finish)
    assert contents(target) == contents(engine) | {"proposals": []}


def test_artifacts_can_be_taken_from_elsewhere_and_put_elsewhere(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)
    asked: dict[str, bytes | None] = {}

    def elsewhere(digest: str, found: bytes | None) -> bytes | None:
        asked[digest] = found
        return None

    copy(engine, target, content=elsewhere)
    stored = {row.digest: DatabaseStore(engine).get(row.digest) for row in DatabaseStore(engine).stored()}
    assert asked == stored  # and not of the one that no version names
    assert not list(DatabaseStore(target).stored())


@pytest.mark.parametrize("size", [0, PIECE, PIECE + 1])
def test_an_artifact_is_copied_piece_by_piece_to_its_last_byte(engine: sa.Engine, target: sa.Engine, size: int) -> None:
    content = random.Random(size).randbytes(size)
    with writing(engine) as connection:
        row = {"digest": hashlib.sha256(content).hexdigest(), "size": size, "created_at": datetime.now(UTC), "content": content}
        connection.execute(artifacts.insert(), row)
    copy(engine, target)
    assert contents(target) == contents(engine)


def test_an_artifact_that_cannot_be_had_stops_the_copy(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    fill(engine, training)

    def missing(digest: str, found: bytes | None) -> bytes | None:
        raise ArtifactMissing("it is gone", digest)

    with pytest.raises(ArtifactMissing):
        copy(engine, target, content=missing)
    check_empty(target)


@pytest.mark.parametrize(("url", "target"), [("sqlite", "postgres")], indirect=True)  # SQLite holds what Postgres refuses
def test_a_row_that_the_target_cannot_hold_is_named(engine: sa.Engine, target: sa.Engine, training: Train) -> None:
    register_version(engine, training(plugin_version="9" * 201), promote=True)
    with pytest.raises(DatabaseUnusable, match="does not take a row of versions: value too long"):
        copy(engine, target)
    check_empty(target)


def test_a_snapshot_stays_at_its_moment_and_keeps_nobody_waiting(engine: sa.Engine, training: Train) -> None:
    register_version(engine, training(), promote=True)
    count = sa.select(sa.func.count()).select_from(events)
    with snapshot(engine) as connection:
        first = connection.execute(count).scalar_one()
        register_version(engine, training(artifact=b"2"), promote=True)
        assert connection.execute(count).scalar_one() == first
        assert len(list_versions(engine, "m").items) == 2


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_snapshot_writes_nothing(engine: sa.Engine) -> None:
    with pytest.raises(DatabaseUnusable, match="read-only"), snapshot(engine) as connection:
        connection.execute(sa.text("DELETE FROM events"))
