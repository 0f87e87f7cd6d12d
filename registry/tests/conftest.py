"""A database of its own for each test, with the tables as the code has them, and trainings to register."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from forecastle_registry.engine import open_engine, writing
from forecastle_registry.tables import metadata
from forecastle_registry.versions import NewVersion


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/registry.db"


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = open_engine(url)
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
