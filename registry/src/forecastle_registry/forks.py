"""A server that forks (gunicorn's `--preload`) copies open connections: the child must connect anew, and touch none of them."""

from __future__ import annotations

import os
from functools import cache
from weakref import WeakSet

import sqlalchemy as sa

_engines: WeakSet[sa.Engine] = WeakSet()
_inherited: list[sa.Pool] = []  # kept for ever: closing a connection here would end the parent's, or break SQLite's locks


def survive_forks(engine: sa.Engine) -> None:
    """Let an engine have connections of its own in every child of this process."""
    _watch()
    _engines.add(engine)


@cache
def _watch() -> None:
    os.register_at_fork(after_in_child=_begin_anew)


def _begin_anew() -> None:
    for engine in list(_engines):
        _inherited.append(engine.pool)
        engine.dispose(close=False)
