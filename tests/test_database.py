"""The database's schema as the platform sees it: made, found current, behind or ahead, or not to be used at all."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from forecastle.database import expected_revision, open_database, require_current, upgrade
from forecastle.settings import Settings, settings_from
from forecastle_registry.errors import DatabaseAhead, DatabaseBehind, DatabaseUnusable


def settings_for(home: Path, **others: str) -> Settings:
    return settings_from(
        {"FORECASTLE_HOME": str(home), **{f"FORECASTLE_{name.upper()}": text for name, text in others.items()}}
    )


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_an_upgrade_makes_the_folder_the_file_and_the_tables(tmp_path: Path) -> None:
    engine = open_database(settings_for(tmp_path / "deep" / "home"))
    assert upgrade(engine) == (None, expected_revision())
    require_current(engine)
    assert (tmp_path / "deep" / "home" / "forecastle.db").is_file()
    engine.dispose()


def test_a_second_upgrade_changes_nothing(engine: Engine) -> None:
    assert upgrade(engine) == (expected_revision(), expected_revision())


def test_a_database_without_tables_is_behind(tmp_path: Path) -> None:
    engine = open_database(settings_for(tmp_path))
    with pytest.raises(DatabaseBehind, match=r"no tables yet.*run `forecastle db upgrade`"):
        require_current(engine)
    engine.dispose()


def test_a_database_of_an_earlier_release_is_behind(engine: Engine) -> None:
    set_revision(engine, "0001")
    with pytest.raises(DatabaseBehind, match=r"at revision 0001.*run `forecastle db upgrade`"):
        require_current(engine)


def test_a_database_of_a_later_release_is_left_alone(engine: Engine) -> None:
    set_revision(engine, "9999")
    for step in (require_current, upgrade):
        with pytest.raises(DatabaseAhead, match=r"revision 9999.*install"):
            step(engine)


def test_a_database_of_a_later_release_that_says_so_is_worked_with(engine: Engine) -> None:
    own = expected_revision()[:4]
    for later in (f"9999_since_{own}", "9999_since_0001"):
        set_revision(engine, later)
        require_current(engine)
        assert upgrade(engine) == (later, later)
        with pytest.raises(DatabaseAhead, match="use that release"):
            require_current(engine, exactly=True)


@pytest.mark.parametrize("later", ["9999_since_9998", "9999_since_", "9999since0001", "0001_since_0001"])
def test_a_later_revision_that_needs_later_code_is_left_alone(engine: Engine, later: str) -> None:
    set_revision(engine, later)
    for step in (require_current, upgrade):
        with pytest.raises(DatabaseAhead):
            step(engine)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "forecastle.db").write_bytes(b"this is no database, and it is longer than a page's header " * 20)
    engine = open_database(settings_for(tmp_path))
    for step in (require_current, upgrade):
        with pytest.raises(DatabaseUnusable, match="not a database"):
            step(engine)
    engine.dispose()


def test_a_home_below_a_file_is_refused_with_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnusable, match=r"cannot be made .*set FORECASTLE_HOME"):
        open_database(settings_for(tmp_path / "file" / "home"))


def test_a_home_that_cannot_be_made_is_refused_with_what_to_set() -> None:
    with pytest.raises(DatabaseUnusable, match=r"cannot be made .*set FORECASTLE_HOME"):
        open_database(settings_for(Path("/proc/forecastle")))  # where not even root may make one


def test_a_folder_that_cannot_be_written_to_is_refused() -> None:
    engine = open_database(settings_for(Path("/proc")))
    with pytest.raises(DatabaseUnusable, match="unable to open database file"):
        upgrade(engine)
    engine.dispose()


@pytest.mark.parametrize("url", ["nonsense", "mysql://me@host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_is_no_database_of_ours_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable):
        open_database(settings_for(tmp_path, database_url=url))
