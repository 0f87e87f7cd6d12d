"""A home of its own for each test: a database with the tables of the migrations, copied from one template, and a small model.

The database is SQLite; with FORECASTLE_TEST_DATABASE=postgres the same tests run on Postgres, but those that are about
SQLite's file or name their databases themselves: `@pytest.mark.on_sqlite`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from forecastle.database import open_database, upgrade
from forecastle.http import create_app
from forecastle.http.services import EXTENSION
from forecastle.plugins import Catalogue
from forecastle.settings import Settings, settings_from
from forecastle_registry.versions import Registered
from registry.tests.postgres import Postgres, running_postgres
from tests.command_line import DATABASE_URL, CommandLine, install_naive, use_home, variables_of
from tests.naive import naive_catalogue, train_naive

ON_POSTGRES = os.environ.get("FORECASTLE_TEST_DATABASE") == "postgres"


def pytest_configure(config: pytest.Config) -> None:
    """Name our mark; let commands that run in this process leave their connection to its end, as their own process would."""
    config.addinivalue_line("markers", "on_sqlite: about SQLite's file, or names its databases itself")
    if ON_POSTGRES:
        config.addinivalue_line("filterwarnings", "ignore:.*was deleted while still open:ResourceWarning")


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database that is up to date and empty."""
    path = tmp_path_factory.mktemp("template") / "forecastle.db"
    engine = open_database(settings_from({"FORECASTLE_DATABASE_URL": f"sqlite:///{path}"}))
    upgrade(engine)
    engine.dispose()  # which also folds the write-ahead log into the file
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of this process."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> Iterator[str]:
    """The URL of a database that is up to date and empty."""

    def fill(url: str) -> None:
        engine = open_database(settings_from({"FORECASTLE_DATABASE_URL": url}))
        upgrade(engine)
        engine.dispose()

    with postgres.template(fill) as url:
        yield url


@pytest.fixture
def postgres_url(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """The URL of a database of this test that has every table and no model."""
    with postgres.database(postgres_template) as url:
        yield url


@pytest.fixture
def home(tmp_path: Path, database_template: Path, request: pytest.FixtureRequest) -> Path:
    """A home as FORECASTLE_HOME names it, whose database has every table and no model."""
    path = tmp_path / "home"
    path.mkdir()
    if ON_POSTGRES and request.node.get_closest_marker("on_sqlite") is None:
        (path / DATABASE_URL).write_text(request.getfixturevalue("postgres_url"))
    else:
        shutil.copy(database_template, path / "forecastle.db")
    return path


@pytest.fixture
def settings(home: Path) -> Settings:
    """The settings of that home, all else as it is by default."""
    return settings_from(variables_of(home))


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """The registry as another process than the server sees it."""
    engine = open_database(settings)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on the path of Python, offers the naive plugin to scripts."""
    return install_naive(tmp_path_factory.mktemp("plugins"))


@pytest.fixture
def run(home: Path, plugins: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line in this process, on that home and with the naive plugin."""
    use_home(monkeypatch, home)
    monkeypatch.syspath_prepend(str(plugins))
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def catalogue() -> Catalogue:
    """The naive plugin, and no other."""
    return naive_catalogue()


@pytest.fixture
def train(engine: Engine, settings: Settings) -> Callable[..., Registered]:
    """Train a version of a model, `sales` unless named otherwise; see `tests.naive.train_naive` for the rest."""

    def run(model: str = "sales", *arguments: object, **options: object) -> Registered:
        return train_naive(engine, settings, model, *arguments, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture
def registered_model(train: Callable[..., Registered]) -> Registered:
    """The first version of the model `sales`, live as production."""
    return train()


@pytest.fixture
def serve(settings: Settings, catalogue: Catalogue) -> Iterator[Callable[..., flask.Flask]]:
    """Make applications on that home, as `create_app` makes them on a loopback address; they are closed at the end."""
    apps: list[flask.Flask] = []

    def make(with_settings: Settings = settings, plugins: Catalogue = catalogue, *, loopback: bool = True) -> flask.Flask:
        apps.append(create_app(with_settings, loopback=loopback, plugins=plugins))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions[EXTENSION].engine.dispose()


@pytest.fixture
def app(serve: Callable[..., flask.Flask]) -> flask.Flask:
    """The application on that home."""
    return serve()


@pytest.fixture
def client(app: flask.Flask) -> FlaskClient:
    """A client of the application."""
    return app.test_client()
