"""A store that is away, and takes its time to say so: one request waits for it, the others are answered at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import flask
import pytest
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from forecastle.serving import outages
from forecastle.serving.outages import Outage
from forecastle.settings import Settings
from forecastle_registry.errors import ArtifactMissing, StoreUnusable
from forecastle_registry.keeping import copy_artifacts
from forecastle_registry.stores import DatabaseStore, bucket, open_store
from forecastle_registry.versions import Registered
from registry.tests.buckets import BUCKET, FaultyProxy, running_moto, running_proxy
from tests.naive import EXOG_OF_THREE, monthly_sales
from tests.problems import problem_of

ADDRESS = "/models/sales/forecast"
ASKED = {"exog": EXOG_OF_THREE}
LATE = 1.5  # s after which the store fails here


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with running_moto() as address:
        yield address


@pytest.fixture
def proxy(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """What stands before the bucket, which fails after `LATE` seconds of silence."""
    monkeypatch.setattr(bucket, "ATTEMPT_SECONDS", LATE)
    monkeypatch.setattr(bucket, "RETRIES", 0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
    with running_proxy(s3) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        yield proxy


@pytest.fixture
def bucketed(
    train: Callable[..., Registered], engine: Engine, settings: Settings, proxy: FaultyProxy, serve: Callable[..., flask.Flask]
) -> flask.Flask:
    """An application whose three versions are in the bucket; 3 is live, and loaded."""
    for number in range(3):
        train(data=monthly_sales(shift=100.0 * number), promote=True)
    address = f"s3://{BUCKET}/away"
    assert copy_artifacts(engine, DatabaseStore(engine), open_store(address, engine)).findings == ()
    app = serve(replace(settings, artifacts=address))
    assert app.test_client().post(ADDRESS, json=ASKED).status_code == 200
    return app


def test_a_store_that_says_nothing_holds_one_request_and_not_what_is_loaded(bucketed: flask.Flask, proxy: FaultyProxy) -> None:
    proxy.faults.extend(["silence"] * 100)

    def ask(path: str) -> tuple[float, TestResponse]:
        start = time.monotonic()
        answer = bucketed.test_client().post(path, json=ASKED)
        return time.monotonic() - start, answer

    pinned = [f"/models/sales/versions/{number}/forecast" for number in (1, 1, 1, 1, 2, 1)]
    with ThreadPoolExecutor(6) as threads:
        waited = list(threads.map(ask, pinned))
    for took, answer in waited:  # those that came before anybody knew, once; not one behind the other
        problem_of(answer, 503, "artifact-store-unusable")
        assert took < 2 * LATE
    for path in pinned:
        took, answer = ask(path)
        problem_of(answer, 503, "artifact-store-unusable")
        assert answer.headers["Retry-After"] == "2"
        assert took < LATE / 2
    took, answer = ask(ADDRESS)
    assert (answer.status_code, answer.get_json()["model"]["version"]) == (200, 3)
    assert took < LATE / 2
    proxy.faults.clear()
    time.sleep(outages.PAUSE)
    assert ask(pinned[0])[1].status_code == 200


def fail() -> None:
    raise StoreUnusable("away")


def test_while_one_looks_again_the_others_are_told_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "PAUSE", 0.0)
    outage, looking, go_on = Outage(), threading.Event(), threading.Event()

    def look() -> str:
        looking.set()
        assert go_on.wait(20)
        return "found"

    with pytest.raises(StoreUnusable):
        outage.ask(fail)
    with ThreadPoolExecutor(1) as thread:
        one = thread.submit(outage.ask, look)
        assert looking.wait(20)
        with pytest.raises(StoreUnusable, match="away"):
            outage.ask(lambda: "another")
        go_on.set()
        assert one.result() == "found"
    assert outage.ask(lambda: "another") == "another"


def test_what_fails_at_once_may_be_asked_again_at_once_and_an_artifact_that_is_missing_ends_an_outage() -> None:
    outage = Outage()
    for _ in range(3):
        with pytest.raises(StoreUnusable):
            outage.ask(fail)
    time.sleep(0.05)

    def miss() -> None:
        raise ArtifactMissing("gone")

    with pytest.raises(ArtifactMissing):
        outage.ask(miss)
    assert outage.ask(lambda: "found") == "found"
