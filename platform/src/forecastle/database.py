"""Opens the database and the artifact store; the schema is brought up to date by Alembic, or found to be behind."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from forecastle_registry.engine import current_revision, open_engine
from forecastle_registry.errors import DatabaseAhead, DatabaseBehind, DatabaseUnusable
from forecastle_registry.signing import signing_key
from forecastle_registry.stores import ArtifactStore, open_store

from .settings import Settings

MIGRATIONS = "forecastle_migrations:"
LATER = re.compile(r"(?P<number>\d{4})_since_(?P<since>\d{4})")  # what a revision calls itself with which older code goes on


def open_database(settings: Settings) -> Engine:
    """Open the registry's database; for SQLite its folder is made. Raises `DatabaseUnusable`."""
    engine = open_engine(settings.database_url, partial(signing_key, settings.signing_key_file))
    if engine.dialect.name == "sqlite":
        _make_folder(Path(str(engine.url.database)).parent)
    return engine


def open_artifacts(settings: Settings, engine: Engine) -> ArtifactStore:
    """Open the store where this installation keeps its artifacts. Raises `StoreUnusable`."""
    return open_store(settings.artifacts, engine)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the folder {folder} cannot be made ({error.strerror}); set FORECASTLE_HOME to one that can be written to"
        raise DatabaseUnusable(message) from None


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Bring the schema up to date; several processes may do so at once. Return the revisions before and after.

    Raises `DatabaseUnusable`, and `DatabaseAhead` for a database of a later release.
    """
    before = current_revision(engine)
    if before is not None and _goes_on_beside(before):
        return before, before
    configuration = _configuration()
    _refuse_later_release(configuration, before)
    with engine.connect() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
    return before, expected_revision()


def _refuse_later_release(configuration: Config, found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(configuration).walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseAhead(
            f"the database is at revision {found}, which this release does not know: install the release that made it"
        )


def require_current(engine: Engine, *, exactly: bool = False) -> None:
    """Raise `DatabaseBehind` or `DatabaseAhead` unless the schema is one that this release can work with.

    That is its own, or unless `exactly` a later one whose name says so: `0008_since_0006` lets the code of 0006 and 0007 go
    on, and be restarted, until every server runs the new release. What copies whole tables needs its own.
    """
    found, expected = current_revision(engine), expected_revision()
    if found == expected:
        return
    if found is not None and _goes_on_beside(found):
        if not exactly:
            return
        raise DatabaseAhead(f"the database is at revision {found}, of a later release: use that release for this")
    _refuse_later_release(_configuration(), found)
    raise DatabaseBehind(found, expected)


def _goes_on_beside(found: str) -> bool:
    """Tell whether a later revision says that code of this release's revision works with it."""
    later, own = LATER.fullmatch(found), expected_revision()[:4]
    return later is not None and later["since"] <= own < later["number"]


def expected_revision() -> str:
    """Return the newest revision that this release knows."""
    head = ScriptDirectory.from_config(_configuration()).get_current_head()
    assert head is not None  # a release without migrations is not built
    return head


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", MIGRATIONS)
    return configuration
