"""Records what a release asks its database for, as a frozen artifact that later releases are tested with.

At a release, or before the first revision that follows it, from a checkout of it (`git worktree add /tmp/old v0.1.0`):

    cd /tmp/old && PYTHONPATH=registry/src:migrations/src python /path/to/record.py sqlite:////tmp/empty.db postgresql+psycopg://…/empty

with two empty databases each time. It prints the JSON document that goes into this folder, named after the release's revision
(`… > 0006.json`); `test_old_code.py` finds it there. What is recorded is never changed; it may go when nobody runs that release
any more. When a new release has functions that matter beside a later schema, add scenes below: a scene is skipped where the
release does not have what it calls.

The document: by dialect, the scenes in their order, each with its steps, `[statement, parameters, rows]` as the driver
has them, or `["COMMIT", null, null]`. Rows are recorded by running the statements again on a second empty database of that
revision.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

Step = list[Any]

SKIPPED = ("PRAGMA", "SELECT pg_catalog.version()", "show ", "select current_schema()")


class Recording:
    """Notes every statement that goes through an engine, and what SQLite's driver runs beside it."""

    def __init__(self, engine: sa.Engine) -> None:
        self.steps: list[Step] = []
        sa.event.listen(engine, "before_cursor_execute", self._execute)
        sa.event.listen(engine, "commit", lambda connection: self._note("COMMIT", None))
        sa.event.listen(engine, "rollback", lambda connection: self._note("ROLLBACK", None))
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "do_connect", self._connect)

    def _note(self, statement: str, parameters: Any) -> None:
        if not statement.startswith(SKIPPED):
            self.steps.append([statement, to_json(parameters), None])

    def _execute(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self._note(statement, parameters)

    def _connect(self, _dialect: Any, _record: Any, _arguments: Any, keywords: dict[str, Any]) -> None:
        recording = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
                recording._note(statement, list(parameters))
                return super().execute(statement, parameters)

        keywords["factory"] = Connection


def to_json(value: Any) -> Any:
    """Return a parameter or a column of a row as JSON; what is more than that becomes `{"hex": …}` or `{"json": …}`."""
    kind = type(value).__mro__[-2].__name__  # psycopg wraps what it is given: Binary, and Json or a class made of it
    if kind in ("Binary", "_JsonWrapper"):
        return to_json(value.obj) if kind == "Binary" else {"json": value.obj}
    if isinstance(value, bytes | memoryview):
        return {"hex": bytes(value).hex()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    return value


def from_json(value: Any) -> Any:
    """Return a parameter as the driver had it."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"json"}:
        from psycopg.types.json import Json

        return Json(value["json"])
    return bytes.fromhex(value["hex"]) if set(value) == {"hex"} else {name: from_json(item) for name, item in value.items()}


def replay(engine: sa.Engine, steps: list[Step]) -> list[Any]:
    """Run recorded steps on the driver's own connection, in their order; return the rows of each, None for one without."""
    connection: Any = engine.raw_connection()
    try:
        found = [_replay_one(connection, statement, parameters) for statement, parameters, _ in steps]
        connection.rollback()  # what reads have begun
        return found
    finally:
        connection.close()


def _replay_one(connection: Any, statement: str, parameters: Any) -> Any:
    if statement in ("COMMIT", "ROLLBACK"):
        return getattr(connection, statement.lower())()
    if statement.startswith("BEGIN"):  # SQLite's own; a read may have left a transaction open
        connection.rollback()
    cursor = connection.cursor()
    try:
        cursor.execute(statement, from_json(parameters)) if parameters else cursor.execute(statement)
        return to_json(cursor.fetchall()) if cursor.description else None
    finally:
        cursor.close()


def scenes(engine: sa.Engine) -> Iterator[tuple[str, Callable[[], object]]]:
    """Go through what a server and a command line do with a registry, in an order that makes sense."""
    from forecastle_registry import aliases, artifacts, events, versions

    def training(model: str, artifact: bytes, **others: Any) -> Any:
        rest = {
            "plugin": "naive",
            "plugin_version": "0.1.0",
            "serializer": "skops",
            "state_format": 1,
            "state_digest": "0" * 64,
        }
        signature = {"endog": ["y"], "exog": []}
        return versions.NewVersion(model=model, artifact=artifact, signature=signature, parameters={}, **{**rest, **others})

    def register(model: str, artifact: bytes, promote: bool | None, **others: Any) -> Callable[[], object]:
        return lambda: versions.register_version(engine, training(model, artifact, **others), promote=promote)

    def first(model: str) -> str:
        return str(versions.get_version(engine, model, 1).artifact_digest)

    yield "a first version goes live", register("old", b"one", None, verdict="converged", llf=-1.5, accuracy={"rmse": [1.0]})
    yield "a second one is promoted", register("old", b"two", True, verdict="flat", notices=[{"code": "n", "message": "m"}])
    yield "a child does not go live", register("old", b"child", False, parent=2)
    yield "another model", register("other", b"one", None)
    yield "what is live", lambda: aliases.live_version(engine, "old")
    yield "an alias", lambda: aliases.get_alias(engine, "old")
    yield "the artifact", lambda: artifacts.get_artifact(engine, first("old"))
    yield "promoted", lambda: aliases.promote_version(engine, "old", 3, reason="because")
    yield "promoted to another alias", lambda: aliases.promote_version(engine, "old", 1, alias="staging")
    yield "rolled back", lambda: aliases.roll_back(engine, "old", reason="at night")
    yield "one version", lambda: versions.get_version(engine, "old", 3)
    yield "the versions", lambda: versions.list_versions(engine, "old", limit=2)
    yield "the rest of them", lambda: versions.list_versions(engine, "old", before=2)
    yield "the models", lambda: versions.list_models(engine)
    yield "one model", lambda: versions.get_model(engine, "old")
    yield "how many", lambda: versions.version_count(engine)
    yield "the log", lambda: events.list_events(engine, limit=3)
    yield "the log of a model", lambda: events.list_events(engine, "old", before=3)
    yield "registered at last", register("old", b"last", True)


@contextmanager
def opened(url: str) -> Iterator[sa.Engine]:
    """Open an empty database, with the tables of this checkout."""
    from alembic import command
    from alembic.config import Config

    from forecastle_registry.engine import open_engine

    engine = open_engine(url)
    config = Config()
    config.set_main_option("script_location", "forecastle_migrations:")
    config.attributes["engine"] = engine
    command.upgrade(config, "head")
    yield engine
    engine.dispose()


def record(urls: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Record the scenes at each of pairs of empty databases of one kind: one to record on, one to take the rows from."""
    found: dict[str, list[dict[str, Any]]] = {}
    for recorded, replayed in zip(urls[::2], urls[1::2], strict=True):
        with opened(recorded) as engine, opened(replayed) as second:
            recording = Recording(engine)
            engine.dispose()  # connections that were made before it listened
            scenes_here = []
            for name, play in scenes(engine):
                recording.steps = []
                play()
                rows = replay(second, recording.steps)
                steps = [[*step[:2], row] for step, row in zip(recording.steps, rows, strict=True)]
                scenes_here.append({"scene": name, "steps": steps})
            found[engine.dialect.name] = scenes_here
    return found


def _lines(found: list[dict[str, Any]]) -> str:
    """Write a scene a line, so that a person can find one."""
    return ",\n".join(json.dumps(scene, ensure_ascii=False) for scene in found)


if __name__ == "__main__":
    lines = [f"{json.dumps(dialect)}: [\n{_lines(found)}\n]" for dialect, found in record(sys.argv[1:]).items()]
    print("{\n" + ",\n".join(lines) + "\n}")
