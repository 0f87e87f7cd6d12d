"""The database's schema: brought up to date by Alembic, or found to be behind."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, make_url

from forecastle_registry.engine import current_revision, open_engine
from forecastle_registry.errors import DatabaseBehind

from .settings import Settings

MIGRATIONS = "forecastle_migrations:"


def open_database(settings: Settings) -> Engine:
    """Open the registry's database; for SQLite its folder is made. Raises `DatabaseUnusable`."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    return open_engine(settings.database_url)


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Bring the schema up to date; several processes may do so at once. Return the revisions before and after."""
    before = current_revision(engine)
    configuration = _configuration()
    with engine.connect() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
    return before, expected_revision()


def require_current(engine: Engine) -> None:
    """Raise `DatabaseBehind` unless the schema is the one that this release was written for."""
    found, expected = current_revision(engine), expected_revision()
    if found != expected:
        raise DatabaseBehind(found, expected)


def expected_revision() -> str:
    """Return the newest revision that this release knows."""
    head = ScriptDirectory.from_config(_configuration()).get_current_head()
    assert head is not None  # a release without migrations is not built
    return head


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", MIGRATIONS)
    return configuration
