"""The whole on Postgres: training, forecasts, the way back, keys and events; a restart, a pooler, and answers from memory."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask
import pytest

from forecastle.database import open_database
from forecastle.settings import Settings, settings_from
from forecastle_registry.keys import create_key, revoke_key
from registry.tests.poolers import pooled, through
from registry.tests.postgres import Postgres, own_postgres
from tests.asking import ask
from tests.command_line import SCRIPT, environment
from tests.naive import EXOG_OF_THREE, train_naive
from tests.problems import problem_of
from tests.servers import several_servers

THREADS = 4
BODY = {"exog": EXOG_OF_THREE}


@pytest.fixture
def postgres_settings(tmp_path: Path, postgres_url: str) -> Settings:
    """The settings of an installation on a Postgres that is up to date and empty."""
    return settings_on(postgres_url, tmp_path)


def settings_on(url: str, home: Path) -> Settings:
    return settings_from({"FORECASTLE_HOME": str(home), "FORECASTLE_DATABASE_URL": url})


def train_on(settings: Settings, times: int = 1) -> None:
    engine = open_database(settings)
    for shift in range(times):
        train_naive(engine, settings, promote=shift == 0)
    engine.dispose()


def test_training_forecasts_and_the_way_back(postgres_settings: Settings, serve: Callable[..., flask.Flask]) -> None:
    train_on(postgres_settings, 4)
    client = serve(postgres_settings).test_client()
    address = "/admin/models/sales"
    moves: list[tuple[str, dict[str, Any], int, int]] = [
        ("promote", {"version": 2}, 200, 2),
        ("promote", {"version": 3}, 200, 3),
        ("promote", {"version": 3}, 200, 3),
        ("rollback", {}, 200, 2),
        ("rollback", {}, 200, 1),
        ("promote", {"version": 4, "reason": "spring"}, 200, 4),
        ("rollback", {}, 200, 1),
        ("rollback", {}, 409, 1),
    ]
    for move, body, status, live in moves:
        assert client.post(f"{address}/{move}", json=body).status_code == status
        answer = client.post("/models/sales/forecast", json=BODY)
        assert (answer.status_code, answer.get_json()["model"]["version"]) == (200, live)
    items = client.get(f"{address}/events").get_json()["items"]
    told = [(event["what"], event["version"]) for event in items]
    assert told[:3] == [("rollback", 1), ("promote", 4), ("rollback", 1)]
    assert len(told) == 4 + 1 + 6
    assert client.get("/models").get_json()["items"][0]["name"] == "sales"
    assert len(client.get("/models/sales/versions").get_json()["items"]) == 4


def test_keys_open_and_shut(postgres_settings: Settings, serve: Callable[..., flask.Flask]) -> None:
    train_on(postgres_settings)
    client = serve(postgres_settings).test_client()
    assert client.post("/models/sales/forecast", json=BODY).status_code == 200
    engine = open_database(postgres_settings)
    secret = create_key(engine, "ada", "reader").secret
    headers = {"Authorization": f"Bearer {secret}"}
    problem_of(client.post("/models/sales/forecast", json=BODY), 401, "key-needed")
    assert client.post("/models/sales/forecast", json=BODY, headers=headers).status_code == 200
    problem_of(client.post("/admin/models/sales/rollback", json={}, headers=headers), 403, "role-too-small")
    revoke_key(engine, "ada")
    problem_of(client.post("/models/sales/forecast", json=BODY, headers=headers), 401, "key-revoked")
    engine.dispose()


def test_a_server_migrates_no_postgres_by_itself(postgres: Postgres, plugins: Path, tmp_path: Path) -> None:
    with postgres.database() as url:
        variables = environment(tmp_path, plugins, FORECASTLE_DATABASE_URL=url)
        refused = subprocess.run([SCRIPT, "serve", "--port", "0"], env=variables, capture_output=True, text=True, timeout=60)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1].endswith("run `forecastle db upgrade`")
        for said in ("The tables are made", "is up to date"):
            done = subprocess.run([SCRIPT, "db", "upgrade"], env=variables, capture_output=True, text=True, timeout=60)
            assert (done.returncode, said in done.stdout) == (0, True)


@dataclass
class Load:
    """Clients that ask a server for forecasts over and over, each on its own connection, and what they were answered."""

    address: str
    headers: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[float, float, int, dict[str, Any]]] = field(default_factory=list)  # when asked, answered; status; body
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        headers = {"Content-Type": "application/json", **self.headers}
        while not self.over.is_set():
            began = time.monotonic()
            connection.request("POST", "/models/sales/forecast", json.dumps(BODY), headers)
            with connection.getresponse() as answer:
                document = json.loads(answer.read())
            self.answers.append((began, time.monotonic(), answer.status, document))
            time.sleep(0.005)
        connection.close()


@contextmanager
def load_on(url: str, **options: Any) -> Iterator[Load]:
    """Ask the server for as long as the context lasts."""
    load = Load(url.removeprefix("http://"), **options)
    threads = [threading.Thread(target=load.ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.over.set()
        for thread in threads:
            thread.join()


def restart_under(load: Load, server: Postgres, seconds: float) -> tuple[float, float]:
    """Stop Postgres for some seconds in the middle of a load. Return when it was told to stop, and when it was ready."""
    time.sleep(0.5)
    stopped = time.monotonic()
    server.own.stop()
    time.sleep(seconds)
    server.own.start()
    started = time.monotonic()
    time.sleep(2)
    assert {status for began, _, status, _ in load.answers if began < stopped} == {200}
    return stopped, started


@pytest.fixture
def restartable(postgres: Postgres, postgres_template: str, tmp_path: Path) -> Iterator[tuple[Postgres, Settings]]:
    """A server that a test may stop, and the settings of an installation there with one model."""
    with own_postgres() as server:
        settings = settings_on(server.create(), tmp_path)
        variables = environment(tmp_path, tmp_path, FORECASTLE_DATABASE_URL=settings.database_url)
        subprocess.run([SCRIPT, "db", "upgrade"], env=variables, check=True, capture_output=True)
        train_on(settings, 2)
        yield server, settings


def test_a_restart_fails_only_what_was_asked_meanwhile_and_the_server_goes_on(
    restartable: tuple[Postgres, Settings], plugins: Path, tmp_path: Path
) -> None:
    server, settings = restartable
    variables = environment(settings.home, plugins, FORECASTLE_DATABASE_URL=settings.database_url)
    with several_servers(1, variables, tmp_path) as [url]:
        with load_on(url) as load:
            stopped, started = restart_under(load, server, 1)
        failed = [answer for answer in load.answers if answer[2] != 200]
        assert failed
        for began, ended, status, document in failed:
            assert (status, document["code"]) == (503, "database-unusable"), document
            assert began < started
            assert ended > stopped
        assert ask(f"{url}/admin/models/sales/promote", {"version": 2})["version"] == 2
        assert ask(f"{url}/models/sales/forecast", BODY)["model"]["version"] == 2


def test_with_stale_for_not_even_those_fail_and_they_say_so(
    restartable: tuple[Postgres, Settings], plugins: Path, tmp_path: Path
) -> None:
    server, settings = restartable
    engine = open_database(settings)
    good, revoked = (create_key(engine, name, "admin").secret for name in ("ada", "bob"))
    database = {"FORECASTLE_DATABASE_URL": settings.database_url, "FORECASTLE_STALE_FOR": "60"}
    headers = {"Authorization": f"Bearer {good}"}
    with several_servers(1, environment(settings.home, plugins, **database), tmp_path) as [url]:
        assert status_of(url, "/models/sales/forecast", revoked) == 200
        assert ask(f"{url}/admin/models/sales/promote", {"version": 2}, headers)["version"] == 2
        revoke_key(engine, "bob")
        assert status_of(url, "/models/sales/forecast", revoked) == 401
        assert status_of(url, "/models/sales/versions/1/forecast", good) == 200
        assert ask(f"{url}/health/ready")["status"] == "ok"
        with load_on(url, headers=headers) as load:
            time.sleep(0.5)
            server.own.stop()
            down = time.monotonic()
            time.sleep(0.5)
            assert status_of(url, "/models/sales/forecast", revoked) == 401
            assert status_of(url, "/models/sales/versions/1/forecast", good) == 200
            assert status_of(url, "/models/sales/versions/2/forecast", good) == 503  # nobody asked for it before
            assert status_of(url, "/admin/models/sales/rollback", good, {}) == 503
            assert ask(f"{url}/health/ready")["status"] == "degraded"
            up = time.monotonic()
            server.own.start()
            time.sleep(2)
        assert {(status, document["model"]["version"]) for _, _, status, document in load.answers} == {(200, 2)}
        during = [document for began, ended, _, document in load.answers if down < began and ended < up]
        assert during
        assert all([notice["code"] for notice in document["notices"]] == ["stale"] for document in during)
        assert load.answers[-1][3]["notices"] == []
        assert status_of(url, "/admin/models/sales/rollback", good, {}) == 200
    engine.dispose()


def status_of(url: str, path: str, secret: str, body: object = BODY) -> int:
    """Return the status of a POST with a key."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
    connection.request("POST", path, json.dumps(body), headers)
    with connection.getresponse() as answer:
        answer.read()
    connection.close()
    return answer.status


def test_several_servers_share_a_pooler_with_two_connections(postgres: Postgres, plugins: Path, tmp_path: Path) -> None:
    with postgres.database() as url, pooled(postgres) as pooler:
        variables = environment(tmp_path, plugins, FORECASTLE_DATABASE_URL=through(pooler, url))
        subprocess.run([SCRIPT, "db", "upgrade"], env=variables, check=True, capture_output=True)
        train_on(settings_on(through(pooler, url), tmp_path), 2)
        with several_servers(2, variables, tmp_path) as [one, other], load_on(one) as load, load_on(other) as more:
            for version in (2, 1) * 5:
                assert ask(f"{one}/admin/models/sales/promote", {"version": version})["version"] == version
                assert ask(f"{other}/models/sales/forecast", BODY)["model"]["version"] == version
        assert {status for _, _, status, _ in load.answers + more.answers} == {200}
