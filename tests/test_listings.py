"""Listings are walked to their end while others register: nothing that was there is left out, and nothing comes twice."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from forecastle_registry.versions import Registered
from tests.naive import monthly_sales

SEVERAL = 15
ENOUGH = 8  # registrations during the walks; how many walks that takes is for the machine to say
MOST = 300


def walk(client: FlaskClient, address: str, limit: int) -> list[dict[str, Any]]:
    """Return every item of a listing, page by page."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = client.get(address, query_string=query).get_json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        assert len(page["items"]) == limit
        assert page["next"] != query.get("after")  # or this would never end
        query["after"] = page["next"]


@contextmanager
def meanwhile(register: Callable[[], Any]) -> Iterator[list[Any]]:
    """Register over and over in another thread; give the list of what has been registered so far."""
    done: list[Any] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.02):
            done.append(register())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def while_few(done: Sequence[Any]) -> Iterator[None]:
    """Go on until enough was registered."""
    for _ in range(MOST):
        if len(done) >= ENOUGH:
            return
        yield
    raise AssertionError(f"{len(done)} registrations during {MOST} walks")


@pytest.fixture
def small(train: Callable[..., Registered]) -> Callable[..., int]:
    """Train on the fewest rows there can be, and return the number of the version."""
    return lambda model="sales": train(model, monthly_sales(rows=4), promote=False).version.number


@pytest.mark.parametrize("limit", [3, 7])
def test_versions_that_are_registered_during_a_walk_make_no_other_missing_or_doubled(
    app: flask.Flask, small: Callable[..., int], limit: int
) -> None:
    for _ in range(SEVERAL):
        small()
    client = app.test_client()
    with meanwhile(small) as registered:
        for _ in while_few(registered):
            there = max([SEVERAL, *registered])
            numbers = [version["number"] for version in walk(client, "/models/sales/versions", limit)]
            assert numbers == list(range(numbers[0], 0, -1))  # the newest first, without a gap, to the very first
            assert numbers[0] >= there
    assert len(walk(client, "/models/sales/versions", limit)) == SEVERAL + len(registered)


def test_models_that_are_made_during_a_walk_make_no_other_missing_or_doubled(
    app: flask.Flask, small: Callable[..., int]
) -> None:
    names = [f"m{i:02}" for i in range(SEVERAL)]
    for name in names:
        small(name)
    others = iter(f"{letter}-{i}" for i in range(1000) for letter in ("a", "m05", "z"))  # before, between and behind them
    client = app.test_client()
    with meanwhile(lambda: small(next(others))) as made:
        for _ in while_few(made):
            found = [model["name"] for model in walk(client, "/models", 4)]
            assert found == sorted(set(found))
            assert set(names) <= set(found)


def test_events_that_are_written_during_a_walk_make_no_other_missing_or_doubled(
    app: flask.Flask, small: Callable[..., int]
) -> None:
    for _ in range(SEVERAL):
        small()
    client = app.test_client()
    with meanwhile(small) as registered:
        for _ in while_few(registered):
            there = max([SEVERAL, *registered])
            events = [event for event in walk(client, "/admin/events", 4) if event["what"] == "register"]
            numbers = [event["version"] for event in events]
            assert numbers == list(range(numbers[0], 0, -1))
            assert numbers[0] >= there
