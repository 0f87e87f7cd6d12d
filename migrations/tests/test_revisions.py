"""The revisions make the tables that the code has, and moving between them keeps what is stored."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from forecastle_registry.engine import current_revision, open_engine, reading, writing
from forecastle_registry.tables import metadata


def config_for(engine: sa.Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", "forecastle_migrations:")
    config.attributes["engine"] = engine
    return config


@pytest.fixture
def made_from_code(new_url):
    engine = open_engine(new_url())
    with writing(engine) as connection:
        metadata.create_all(connection)
    yield engine
    engine.dispose()


def described(engine: sa.Engine) -> dict[str, object]:
    """All that reflection tells of a database, without Alembic's own table."""
    inspector = sa.inspect(engine)

    def of(table: str) -> dict[str, object]:
        return {
            "columns": [{**column, "type": str(column["type"])} for column in inspector.get_columns(table)],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(inspector.get_foreign_keys(table), key=str),
            "indexes": sorted(inspector.get_indexes(table), key=str),
            "unique": sorted(inspector.get_unique_constraints(table), key=str),
            "checks": sorted(inspector.get_check_constraints(table), key=str),
            "options": inspector.get_table_options(table),
        }

    return {table: of(table) for table in inspector.get_table_names() if table != "alembic_version"}


def contents(engine: sa.Engine, tables: list[sa.Table]) -> dict[str, list[tuple[object, ...]]]:
    with reading(engine) as connection:
        return {table.name: [tuple(row) for row in connection.execute(sa.select(table))] for table in tables}


def tables_now(engine: sa.Engine, *names: str) -> list[sa.Table]:
    """The tables with the columns that they have at this revision."""
    with reading(engine) as connection:
        return [sa.Table(name, sa.MetaData(), autoload_with=connection) for name in names]


def fill(engine: sa.Engine) -> None:
    """One row in every table, written as the columns are at revision 0002, not as the code has them today."""
    when, digest = "2026-11-23T05:15:47.123456Z", "0" * 64
    rows = {
        "models": ["m", "naive", when],
        "artifacts": [digest, 3, when, b"123"],
        "versions": ["m", 1, digest, 3, when, None, "naive", "1", "skops", 1, digest, None, "converged", 1.5, *[{}] * 9],
        "aliases": ["m", "production", 1],
        "alias_stack": ["m", "production", 1, 1],
        "events": [1, when, "me", "promote", "m", 1, "production", None, {}],
    }
    with writing(engine) as connection:
        for table in tables_now(engine, *rows):
            connection.execute(table.insert().values(rows[table.name]))


def test_an_upgrade_from_nothing_equals_the_tables_in_code(engine, made_from_code):
    command.upgrade(config_for(engine), "head")
    assert described(engine) == described(made_from_code)


def test_alembic_finds_nothing_that_an_upgrade_from_nothing_left_out(engine):
    command.upgrade(config_for(engine), "head")
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def test_down_to_the_first_revision_and_up_again_keeps_models_versions_artifacts_and_aliases(engine):
    command.upgrade(config_for(engine), "0002")
    fill(engine)
    kept = tables_now(engine, "models", "versions", "artifacts", "aliases", "alias_stack")
    before = contents(engine, kept)
    command.downgrade(config_for(engine), "0001")
    assert "events" not in sa.inspect(engine).get_table_names()
    command.upgrade(config_for(engine), "head")
    assert contents(engine, kept) == before
    assert all(before.values())


def test_down_to_nothing_leaves_no_table(engine):
    command.upgrade(config_for(engine), "head")
    command.downgrade(config_for(engine), "base")
    assert set(sa.inspect(engine).get_table_names()) == {"alembic_version"}


def test_the_registry_reads_the_revision_that_alembic_wrote(engine):
    assert current_revision(engine) is None
    config = config_for(engine)
    command.upgrade(config, "0001")
    assert current_revision(engine) == "0001"
    command.upgrade(config, "head")
    assert current_revision(engine) == ScriptDirectory.from_config(config).get_current_head()


def test_a_revision_that_fails_leaves_nothing_of_it(engine):
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE events (of_another_program TEXT)")
    with pytest.raises(sa.exc.DatabaseError, match="already exists"):
        command.upgrade(config_for(engine), "head")
    assert sa.inspect(engine).get_table_names() == ["events"]


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
def test_an_upgrade_that_breaks_a_reference_is_undone(engine):
    command.upgrade(config_for(engine), "0001")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("INSERT INTO aliases VALUES ('no such model', 'production', 1)")
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
    with pytest.raises(Exception, match="refer to nothing"):
        command.upgrade(config_for(engine), "head")
    assert current_revision(engine) == "0001"


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
def test_the_connection_that_was_used_checks_references_again(engine):
    with engine.connect() as connection:
        config = config_for(engine)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_the_database_can_be_named_by_its_url(engine):
    config = config_for(engine)
    del config.attributes["engine"]
    config.set_main_option("sqlalchemy.url", engine.url.render_as_string(hide_password=False).replace("%", "%%"))
    command.upgrade(config, "head")
    assert current_revision(engine) is not None


def test_without_a_database_the_error_says_how_to_name_one(monkeypatch, engine):
    monkeypatch.delenv("FORECASTLE_DATABASE_URL", raising=False)
    config = config_for(engine)
    del config.attributes["engine"]
    with pytest.raises(Exception, match="FORECASTLE_DATABASE_URL"):
        command.upgrade(config, "head")
