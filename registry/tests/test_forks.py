"""A process that was forked shares no connection with its parent: on one socket each would read the other's answers."""

import os
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from forecastle_registry.engine import reading, writing
from forecastle_registry.tables import models

NOW = datetime(2026, 11, 23, tzinfo=UTC)

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"
)  # which is what this is about


def in_a_child(work):
    """Do work in a forked process; return what it gives, as text."""
    came, goes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(goes, str(work()).encode())
        finally:
            os._exit(0)
    os.close(goes)
    with open(came) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_child_has_a_connection_of_its_own_and_the_parents_goes_on(engine):
    def backend():
        with reading(engine) as connection:
            return str(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar())

    own = backend()
    children = [in_a_child(backend) for _ in range(2)]
    assert len({own, *children}) == 3
    assert backend() == own


def test_a_child_may_read_and_write_while_its_parent_does(engine):
    def add(name):
        with writing(engine) as connection:
            connection.execute(models.insert(), {"name": name, "plugin": "naive", "created_at": NOW})
        return names()

    def names():
        with reading(engine) as connection:
            return connection.execute(sa.select(models.c.name).order_by(models.c.name)).scalars().all()

    assert add("a") == ["a"]
    assert in_a_child(lambda: add("b")) == "['a', 'b']"
    assert add("c") == ["a", "b", "c"]
    assert in_a_child(names) == "['a', 'b', 'c']"


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_child_has_a_driver_connection_of_its_own(engine):
    def driver():
        with engine.connect() as connection:
            return id(connection.connection.driver_connection)

    own = driver()
    assert in_a_child(driver) != str(own)
    assert driver() == own
