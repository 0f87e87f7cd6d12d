"""An installation moves: to another database by `forecastle db copy`, to another machine by `backup` and `restore`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from forecastle.database import expected_revision, open_database, upgrade
from forecastle.http import create_app
from forecastle.http.services import EXTENSION
from forecastle.plugins import Catalogue
from forecastle.settings import Settings, settings_from
from forecastle_registry.aliases import roll_back
from forecastle_registry.engine import current_revision, writing
from forecastle_registry.events import list_events
from forecastle_registry.heads import HEADS_FILE, read_heads
from forecastle_registry.keys import create_key, get_key, is_key
from forecastle_registry.signing import signing_key
from forecastle_registry.verifying import verify_events
from forecastle_registry.versions import Registered
from registry.tests.postgres import Postgres
from tests.command_line import CommandLine
from tests.naive import EXOG_OF_THREE, monthly_sales

BODY = {"horizon": 3, "exog": EXOG_OF_THREE}
pytestmark = pytest.mark.on_sqlite


@pytest.fixture
def empty_postgres(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database, with a password that must not be seen."""
    with postgres.database() as url:
        yield sa.make_url(url).set(password="hunter2").render_as_string(hide_password=False)


@pytest.fixture
def sales(run: CommandLine, train: Callable[..., Registered], engine: Engine) -> CommandLine:
    """A command line whose home has three versions of `sales`, the second live after a rollback."""
    for shift in (0, 1, 2):
        train(data=monthly_sales(shift=shift), promote=True)
    roll_back(engine, "sales", reason="at night")
    return run


@pytest.fixture
def forecasts(catalogue: Catalogue) -> Iterator[Callable[[Settings], list[bytes]]]:
    """Ask an installation for what it serves, and for each version of it."""
    engines = []

    def ask(settings: Settings) -> list[bytes]:
        app = create_app(settings, loopback=True, plugins=catalogue)
        engines.append(app.extensions[EXTENSION].engine)
        addresses = ["/models/sales/forecast", *(f"/models/sales/versions/{number}/forecast" for number in (1, 2, 3))]
        answers = [app.test_client().post(address, json=BODY) for address in addresses]
        assert [answer.status_code for answer in answers] == [200] * 4
        return [answer.data for answer in answers]

    yield ask
    for engine in engines:
        engine.dispose()


def at(home: Path, database: str | None = None) -> Settings:
    return settings_from({"FORECASTLE_HOME": str(home), **({"FORECASTLE_DATABASE_URL": database} if database else {})})


def log_verifies(settings: Settings) -> bool:
    engine = open_database(settings)
    try:
        heads = read_heads(settings.home / HEADS_FILE).heads
        return not verify_events(engine, signing_key(settings.signing_key_file), heads).findings
    finally:
        engine.dispose()


def test_an_installation_moves_from_sqlite_to_postgres_and_back(
    sales: CommandLine, home: Path, tmp_path: Path, empty_postgres: str, forecasts: Callable[[Settings], list[bytes]]
) -> None:
    expected = forecasts(at(home))
    said = sales("db", "copy", "--to", empty_postgres)
    assert said.status == 0, said.err
    assert "Copied 1 models, 3 versions and 7 events to postgresql+psycopg://postgres:***@/forecastle_test_" in said.out
    assert "The audit log verifies" in said.out
    assert "Next: set FORECASTLE_DATABASE_URL" in said.out
    assert "hunter2" not in said.out + said.err
    assert forecasts(at(home, empty_postgres)) == expected
    assert log_verifies(at(home, empty_postgres))

    back = f"sqlite:///{tmp_path}/back.db"
    assert sales("db", "copy", "--from", empty_postgres, "--to", back).status == 0
    assert forecasts(at(home, back)) == expected
    assert log_verifies(at(home, back))
    engine = open_database(at(home, back))
    copies = [event for event in list_events(engine).items if event.what == "database-copy"]
    assert [event.who for event in copies] == ["command line"] * 2
    assert "hunter2" not in json.dumps([event.details for event in copies])
    engine.dispose()


def test_a_database_that_holds_something_is_not_copied_over(sales: CommandLine, tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/target.db"
    assert sales("db", "copy", "--to", target).status == 0
    said = sales("db", "copy", "--to", target)
    assert said.status == 1
    assert "is not empty (rows: artifacts 3," in said.err


def test_a_database_is_not_copied_onto_itself(run: CommandLine, home: Path) -> None:
    said = run("db", "copy", "--to", f"sqlite:///{home}/forecastle.db")
    assert (said.status, said.error) == (1, "forecastle: the two databases are one and the same; name another one to copy to")


def test_a_source_that_is_not_there_is_not_made(run: CommandLine, tmp_path: Path) -> None:
    said = run("db", "copy", "--from", f"sqlite:///{tmp_path}/slip.db", "--to", f"sqlite:///{tmp_path}/target.db")
    assert said.status == 1
    assert "there is no file" in said.error
    assert not list(tmp_path.glob("*.db"))


def test_a_source_that_is_behind_is_not_copied(sales: CommandLine, engine: Engine, tmp_path: Path) -> None:
    with writing(engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0005'"))
    said = sales("db", "copy", "--to", f"sqlite:///{tmp_path}/target.db")
    assert said.status == 1
    assert said.error.endswith("run `forecastle db upgrade`")
    assert not (tmp_path / "target.db").exists()


def test_a_target_of_an_earlier_release_that_holds_something_is_not_even_upgraded(
    sales: CommandLine, engine: Engine, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/target.db"
    other = open_database(at(tmp_path, url))
    upgrade(other)
    with writing(other) as connection:
        connection.execute(sa.text("INSERT INTO models (name, plugin, created_at) VALUES ('m', 'naive', 'then')"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0005'"))
    assert "is not empty" in sales("db", "copy", "--to", url).error
    assert current_revision(other) == "0005"
    other.dispose()


def test_a_log_that_was_edited_is_copied_and_told_of(sales: CommandLine, engine: Engine, tmp_path: Path) -> None:
    with writing(engine) as connection:
        connection.execute(sa.text("UPDATE events SET who = 'somebody else' WHERE id = 2"))
    said = sales("db", "copy", "--to", f"sqlite:///{tmp_path}/target.db")
    assert said.status == 1
    assert "the audit log does not verify" in said.err
    assert "`forecastle events verify`" in said.err


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_new_machine_starts_from_a_backup(
    sales: CommandLine,
    engine: Engine,
    home: Path,
    tmp_path: Path,
    kind: str,
    request: pytest.FixtureRequest,
    forecasts: Callable[[Settings], list[bytes]],
) -> None:
    secret = create_key(engine, "analyst", "reader").secret
    file, there = tmp_path / "of-today", tmp_path / "there"
    said = sales("backup", file)
    assert said.status == 0, said.err
    assert f"Backed up 1 models with 3 versions to {file}." in said.out
    assert "The signing key is in it: keep the file as you keep a secret." in said.out
    assert read_heads(home / HEADS_FILE).heads[0].mac in said.out

    url = request.getfixturevalue("empty_postgres") if kind == "postgres" else None
    sales.set("FORECASTLE_HOME", str(there))
    if url:
        sales.set("FORECASTLE_DATABASE_URL", url)
    said = sales("restore", file)
    assert said.status == 0, said.err
    assert "Restored 1 models with 3 versions, as of 20" in said.out
    assert "The audit log verifies" in said.out
    assert "hunter2" not in said.out + said.err
    assert said.out.rstrip().endswith("restart the servers of this installation.")
    new = open_database(at(there, url))
    assert current_revision(new) == expected_revision()
    assert is_key(secret, get_key(new, "analyst"))
    new.dispose()
    assert log_verifies(at(there, url))


def test_a_backup_tells_programs_what_it_is_of(sales: CommandLine, tmp_path: Path) -> None:
    said = sales("backup", tmp_path / "b", "--json")
    document = json.loads(said.out)
    assert document["file"] == str(tmp_path / "b")
    assert document["rows"]["versions"] == 3
    assert document["head"]["count"] == 7


def test_a_backup_without_its_key_says_what_then_cannot_be_done(sales: CommandLine, tmp_path: Path) -> None:
    said = sales("backup", tmp_path / "b", "--without-key")
    assert "without " in said.out
    assert "never verifies, and pickled versions are refused" in said.out
    sales.set("FORECASTLE_HOME", str(tmp_path / "there"))
    assert "this backup has no signing key" in sales("restore", tmp_path / "b").error
    said = sales("restore", tmp_path / "b", "--without-key")
    assert said.status == 0
    assert "cannot be verified" in said.err


def test_a_file_that_is_there_is_not_overwritten(sales: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "b"
    file.write_text("precious")
    assert sales("backup", file).status == 1
    assert file.read_text() == "precious"
    assert sales("backup", file, "--force").status == 0


def test_restoring_what_is_not_there_says_so(run: CommandLine, tmp_path: Path) -> None:
    said = run("restore", tmp_path / "slip")
    assert said.status == 2
    assert "does not exist" in said.error
