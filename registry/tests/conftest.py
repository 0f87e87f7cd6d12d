"""A database of its own for each test, with the tables as the code has them, and trainings to register.

What asks for `url` or `engine` runs on SQLite and on Postgres. A test that is about one of them says so:
`@pytest.mark.parametrize("url", ["sqlite"], indirect=True)`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from forecastle_registry.engine import open_engine, writing
from forecastle_registry.tables import metadata
from forecastle_registry.versions import NewVersion
from registry.tests.buckets import running_moto
from registry.tests.postgres import Postgres, running_postgres

KEY = b"the installation's key of the tests"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of this process."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/registry.db"
    else:
        with request.getfixturevalue("postgres").database() as made:
            yield made


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """That database, opened, with every table."""
    engine = open_engine(url, key=lambda: KEY)
    with writing(engine) as connection:
        metadata.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def training() -> Callable[..., NewVersion]:
    """Make a training of the model `m`; keywords replace what it holds."""

    def make(**changes: Any) -> NewVersion:
        values: dict[str, Any] = {
            "model": "m",
            "plugin": "naive",
            "plugin_version": "0.1.0",
            "serializer": "skops",
            "artifact": b"bytes",
            "state_format": 1,
            "state_digest": "0" * 64,
            "signature": {"endog": ["y"]},
            "parameters": {"drift": True},
            "verdict": "converged",
            "llf": -1.5,
        }
        return NewVersion(**values | changes)

    return make


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server, one for all tests of this process."""
    with running_moto() as address:
        yield address
