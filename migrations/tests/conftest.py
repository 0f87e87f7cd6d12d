"""Empty databases of both kinds: what asks for `new_url` or `engine` runs on SQLite and on Postgres.

A test that is about one of them says so: `@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from forecastle_registry.engine import open_engine
from registry.tests.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of this process."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Make an empty database, and return its URL."""
    if request.param == "sqlite":
        numbers = count()
        yield lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        with ExitStack() as made:
            yield lambda: made.enter_context(server.database())


@pytest.fixture
def engine(new_url: Callable[[], str]) -> Iterator[sa.Engine]:
    """An empty database, opened."""
    engine = open_engine(new_url())
    yield engine
    engine.dispose()
