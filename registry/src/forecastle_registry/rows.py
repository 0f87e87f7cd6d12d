"""The steps that several transactions share: a row that is made once, a model that must be there, and one that is held."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from .errors import ModelNotFound
from .plain import is_name
from .tables import models


def insert_once(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> None:
    """Insert a row, unless another transaction did so first (Postgres waits for it; SQLite has one writer anyway)."""
    try:
        with connection.begin_nested():
            connection.execute(table.insert(), row)
    except sa.exc.IntegrityError:
        pass  # the same row is there now, which is all that was wanted


def check_model(connection: sa.Connection, model: str) -> None:
    """Raise `ModelNotFound` unless there is a model of this name."""
    if not is_name(model) or connection.execute(sa.select(models.c.name).where(models.c.name == model)).first() is None:
        raise ModelNotFound(model)


def lock_model(connection: sa.Connection, model: str) -> str:
    """Hold a model's row until the transaction ends, and return its plugin: numbers and moves go one after the other.

    Raises `ModelNotFound`.
    """
    query = sa.select(models.c.plugin).where(models.c.name == model).with_for_update()
    plugin = connection.execute(query).scalar() if is_name(model) else None
    if plugin is None:
        raise ModelNotFound(model)
    return str(plugin)
