"""The two steps that several write transactions share."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from .errors import ModelNotFound
from .tables import models


def insert_once(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> None:
    """Insert a row, unless another transaction did so first (Postgres waits for it; SQLite has one writer anyway)."""
    try:
        with connection.begin_nested():
            connection.execute(table.insert(), row)
    except sa.exc.IntegrityError:
        pass  # the same row is there now, which is all that was wanted


def lock_model(connection: sa.Connection, model: str) -> str:
    """Hold a model's row until the transaction ends, and return its plugin: numbers and moves go one after the other.

    Raises `ModelNotFound`.
    """
    plugin = connection.execute(sa.select(models.c.plugin).where(models.c.name == model).with_for_update()).scalar()
    if plugin is None:
        raise ModelNotFound(model)
    return str(plugin)
