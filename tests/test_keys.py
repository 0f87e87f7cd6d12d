"""Keys over HTTP: how one is presented, what a refusal tells, what a key may see, and that the first one closes the door."""

import base64
import io
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from forecastle.errors import AccessRefused
from forecastle.http.access import AT_ONCE, Role, needs
from forecastle.http.services import EXTENSION
from forecastle.keyring import Keyring
from forecastle.memory import Memory
from forecastle.settings import Settings
from forecastle_registry.aliases import promote_version
from forecastle_registry.engine import reading, writing
from forecastle_registry.errors import DatabaseUnusable
from forecastle_registry.events import list_events
from forecastle_registry.keys import Admission, create_key, get_key, prefix_of, revoke_key
from forecastle_registry.tables import keys, metadata, versions
from forecastle_registry.versions import Registered
from tests.naive import numbered_rows
from tests.problems import problem_of

Train = Callable[..., Registered]
Serve = Callable[..., flask.Flask]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def basic(secret: str, user: str = "whoever") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


def wrong(secret: str) -> str:
    """Return a key with the same prefix and another secret."""
    return secret[:-3] + ("AAA" if not secret.endswith("AAA") else "BBB")


@pytest.fixture
def boss(engine: sa.Engine) -> str:
    """The key of an admin."""
    return create_key(engine, "boss", "admin").secret


@pytest.fixture
def reader(engine: sa.Engine) -> str:
    """The key of a reader."""
    return create_key(engine, "ada", "reader").secret


@pytest.mark.parametrize(
    "presented", [bearer, basic, lambda secret: basic(secret, ""), lambda s: {"Authorization": f"bEARER {s}"}]
)
def test_a_key_is_a_bearer_token_or_the_password_of_whoever(
    client: FlaskClient, reader: str, presented: Callable[[str], dict[str, str]]
) -> None:
    assert client.get("/models", headers=presented(reader)).status_code == 200
    problem_of(client.get("/models", headers=presented(wrong(reader))), 401, "key-invalid")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic", "Basic !", "Basic Og==", "Digest x", "Negotiate abc", "é"]
)
def test_what_is_no_key_is_refused_as_a_wrong_one(client: FlaskClient, boss: str, header: str) -> None:
    problem_of(client.get("/models", headers={"Authorization": header}), 401, "key-invalid")


def test_without_a_key_one_is_asked_for(client: FlaskClient, boss: str) -> None:
    answer = client.get("/models")
    problem = problem_of(answer, 401, "key-needed")
    assert "Authorization: Bearer" in problem["detail"]
    assert answer.headers.getlist("WWW-Authenticate") == ['Bearer realm="Forecastle"']


@pytest.mark.parametrize(
    ("headers", "asks"),
    [
        ({"Sec-Fetch-Mode": "navigate"}, True),
        ({"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, True),
        ({"Accept": "text/html", "Sec-Fetch-Mode": "cors"}, False),
        ({"Accept": "application/json"}, False),
    ],
)
def test_a_browser_asks_a_person_for_the_key_only_where_a_page_is_opened(
    client: FlaskClient, boss: str, headers: dict[str, str], asks: bool
) -> None:
    challenges = client.get("/models/sales/docs", headers=headers).headers.getlist("WWW-Authenticate")
    assert challenges[0].startswith("Bearer")
    assert ['Basic realm="Forecastle", charset="UTF-8"'] * asks == challenges[1:]


def test_a_refusal_tells_nothing_about_the_prefix(client: FlaskClient, reader: str, boss: str) -> None:
    known, unknown = wrong(reader), "fcst_00000000_" + reader[14:]
    answers = [client.get("/models", headers=bearer(secret)) for secret in (known, unknown, "x")]
    documents = [problem_of(answer, 401, "key-invalid") | {"request_id": ""} for answer in answers]
    assert documents[0] == documents[1] == documents[2]
    assert len({tuple(answer.headers.getlist("WWW-Authenticate")) for answer in answers}) == 1


def test_only_who_has_the_secret_is_told_that_a_key_is_no_longer_good(
    client: FlaskClient, engine: sa.Engine, reader: str
) -> None:
    with writing(engine) as connection:
        connection.execute(keys.update().values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    problem_of(client.get("/models", headers=bearer(reader)), 401, "key-expired")
    problem_of(client.get("/models", headers=bearer(wrong(reader))), 401, "key-invalid")
    revoke_key(engine, "ada")
    problem_of(client.get("/models", headers=bearer(reader)), 401, "key-revoked")
    problem_of(client.get("/models", headers=bearer(wrong(reader))), 401, "key-invalid")


def test_the_digest_in_the_table_is_no_key(client: FlaskClient, engine: sa.Engine, reader: str) -> None:
    key = get_key(engine, "ada")
    for stolen in (key.digest, f"fcst_{key.prefix}_{key.digest}", f"fcst_{key.prefix}_{key.digest[:43]}"):
        problem_of(client.get("/models", headers=bearer(stolen)), 401, "key-invalid")


def test_the_first_key_closes_an_open_server_at_once(client: FlaskClient, engine: sa.Engine) -> None:
    assert client.get("/models").status_code == 200
    assert "no key has been created" in client.get("/apidocs").text
    secret = create_key(engine, "boss", "admin").secret
    problem_of(client.get("/models"), 401, "key-needed")
    assert client.get("/models", headers=bearer(secret)).status_code == 200
    assert "no key has been created" not in client.get("/apidocs").text


def test_revoking_the_last_key_does_not_open_the_server_again(client: FlaskClient, engine: sa.Engine, boss: str) -> None:
    revoke_key(engine, "boss")
    problem_of(client.get("/models"), 401, "key-needed")
    problem_of(client.get("/models", headers=bearer(boss)), 401, "key-revoked")


def test_a_server_that_others_may_reach_starts_when_a_key_exists(
    serve: Serve, boss: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(loopback=False).test_client()
    assert "open:" not in caplog.text
    problem_of(client.get("/models"), 401, "key-needed")
    assert client.get("/models", headers={"Host": "forecasts.example", **bearer(boss)}).status_code == 200
    assert client.get("/health/ready", headers={"Host": "forecasts.example"}).status_code == 200


def test_where_the_keys_vanish_a_server_that_others_may_reach_refuses_everybody(
    serve: Serve, engine: sa.Engine, boss: str
) -> None:
    client = serve(loopback=False).test_client()
    with writing(engine) as connection:
        connection.execute(keys.delete())
    for headers in ({}, bearer(boss)):
        assert "keys create" in problem_of(client.get("/models", headers=headers), 403, "closed")["detail"]
    with pytest.raises(AccessRefused, match="keys create"):
        serve(loopback=False)


def test_a_setting_keeps_a_server_open_though_there_are_keys(
    settings: Settings, serve: Serve, boss: str, reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(replace(settings, open=True), loopback=False).test_client()
    assert "FORECASTLE_OPEN is true" in caplog.text
    assert "FORECASTLE_OPEN is true" in client.get("/apidocs").text
    assert client.get("/models").status_code == 200
    assert client.get("/models", headers=bearer(boss)).status_code == 200
    problem_of(client.get("/models", headers=bearer(wrong(boss))), 401, "key-invalid")
    problem_of(client.post("/admin/models/sales/rollback", json={}, headers=bearer(reader)), 403, "role-too-small")
    problem_of(client.get("/models", headers={"Host": "forecasts.example"}), 403, "host-refused")


def test_while_open_what_was_meant_for_somebody_else_is_no_key(client: FlaskClient) -> None:
    for headers in (basic("a password of the proxy before us"), bearer("eyJhbGciOi"), {"Authorization": "Negotiate abc"}):
        assert client.get("/models", headers=headers).status_code == 200
    problem_of(client.get("/models", headers=bearer("fcst_00000000_" + "x" * 43)), 401, "key-invalid")


def test_the_log_names_the_key_and_where_it_came_from(client: FlaskClient, engine: sa.Engine, train: Train, boss: str) -> None:
    for _ in range(2):
        train()
    assert client.post("/admin/models/sales/promote", json={"version": 2}, headers=bearer(boss)).status_code == 200
    event = list_events(engine, limit=1).items[0]
    assert (event.what, event.who, event.origin) == ("promote", "boss", "127.0.0.1")


def test_a_listing_shows_what_is_in_scope_and_no_more_on_every_page(
    client: FlaskClient, engine: sa.Engine, train: Train
) -> None:
    for name in ("a-1", "b-1", "a-2", "b-2", "a-3"):
        train(name)
    secret = create_key(engine, "ada", "reader", models="a-*").secret
    seen, after = [], None
    while True:
        query = {"limit": 2} | ({} if after is None else {"after": after})
        page = client.get("/models", query_string=query, headers=bearer(secret)).get_json()
        seen += [model["name"] for model in page["items"]]
        if (after := page["next"]) is None:
            break
        assert len(page["items"]) == 2
    assert seen == ["a-1", "a-2", "a-3"]


def test_beyond_its_scope_a_key_is_refused_before_anything_is_said(
    client: FlaskClient, engine: sa.Engine, train: Train
) -> None:
    train("b-1")
    secret = create_key(engine, "ada", "admin", models="a-*").secret
    for path in ("/models/b-1", "/models/b-1/versions", "/models/b-1/versions/1", "/models/b-1/docs", "/models/nothing"):
        problem_of(client.get(path, headers=bearer(secret)), 403, "model-out-of-scope")
    problem_of(client.post("/models/b-1/forecast", data="{", headers=bearer(secret)), 403, "model-out-of-scope")
    problem_of(client.post("/admin/models/b-1/promote", json={}, headers=bearer(secret)), 403, "model-out-of-scope")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_of_another_site_is_refused_though_the_browser_knows_the_key(
    client: FlaskClient, boss: str, registered_model: Registered, site: str
) -> None:
    headers = {**basic(boss), "Sec-Fetch-Site": site}
    problem_of(client.post("/admin/models/sales/rollback", json={}, headers=headers), 403, "origin-refused")
    assert client.get("/models", headers=headers).status_code == 200
    own = {**basic(boss), "Sec-Fetch-Site": "same-origin"}
    problem_of(client.post("/admin/models/sales/rollback", json={}, headers=own), 409, "nothing-to-roll-back-to")
    program = {**bearer(boss), "Sec-Fetch-Site": site}
    problem_of(client.post("/admin/models/sales/rollback", json={}, headers=program), 409, "nothing-to-roll-back-to")


def test_a_foreign_origin_is_refused_with_a_key_too(client: FlaskClient, boss: str) -> None:
    for headers in (bearer(boss), basic(boss)):
        answer = client.get("/models", headers={"Host": "forecasts.example", "Origin": "https://evil.example", **headers})
        problem_of(answer, 403, "origin-refused")
        own = {"Host": "forecasts.example", "Origin": "https://forecasts.example", **headers}
        assert client.get("/models", headers=own).status_code == 200


def wait_for_use(engine: sa.Engine, name: str, seconds: float = 10.0) -> datetime:
    deadline = time.monotonic() + seconds
    while (used := get_key(engine, name).last_used_at) is None:
        assert time.monotonic() < deadline, "the use was not noted"
        time.sleep(0.02)
    return used


def test_a_use_is_noted_off_the_requests_way(client: FlaskClient, engine: sa.Engine, reader: str, boss: str) -> None:
    before = datetime.now(UTC)
    assert client.get("/models", headers=bearer(reader)).status_code == 200
    used = wait_for_use(engine, "ada")
    assert before <= used <= datetime.now(UTC)
    for _ in range(20):
        client.get("/models", headers=bearer(reader))
    client.get("/models", headers=bearer(boss))
    wait_for_use(engine, "boss")  # written after whatever ada's requests had left to write
    assert get_key(engine, "ada").last_used_at == used


def test_a_request_does_not_wait_for_the_note_of_its_use(
    client: FlaskClient, engine: sa.Engine, reader: str, home: Path
) -> None:
    with sqlite3.connect(home / "forecastle.db", isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert client.get("/models", headers=bearer(reader)).status_code == 200
        assert time.monotonic() - began < 5  # a writer waits ten seconds for another one
        writer.execute("ROLLBACK")
    writer.close()
    wait_for_use(engine, "ada")


def test_a_refused_request_is_no_use(client: FlaskClient, engine: sa.Engine, reader: str, boss: str) -> None:
    client.get("/models", headers=bearer(wrong(reader)))
    client.get("/models", headers=bearer(boss))
    wait_for_use(engine, "boss")
    assert get_key(engine, "ada").last_used_at is None


def test_no_thread_is_started_before_a_key_is_used(client: FlaskClient, reader: str) -> None:
    mine = {thread for thread in threading.enumerate() if thread.name == "key-uses"}
    client.get("/apidocs")
    assert {thread for thread in threading.enumerate() if thread.name == "key-uses"} == mine
    client.get("/models", headers=bearer(reader))
    assert {thread for thread in threading.enumerate() if thread.name == "key-uses"} > mine


def test_the_secret_is_in_no_log_and_in_no_table(
    client: FlaskClient, home: Path, engine: sa.Engine, reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for headers in (bearer(reader), basic(reader), {"Authorization": f"Token {reader}"}):
        client.get("/models", headers=headers)
        client.get("/models/absent", headers=headers)
        client.post("/admin/models/sales/promote", json={"reason": 1}, headers=headers)
    wait_for_use(engine, "ada")
    secret = reader.rsplit("_", 1)[1] if reader.count("_") == 2 else reader[14:]
    assert secret not in caplog.text
    content = b"".join(path.read_bytes() for path in home.iterdir() if path.is_file())
    with reading(engine) as connection:
        content += repr([connection.execute(table.select()).all() for table in metadata.sorted_tables]).encode()
    assert get_key(engine, "ada").digest.encode() in content
    assert secret.encode() not in content


class Arriving(io.BytesIO):
    """A body that is slow to come, because something else happens first."""

    def __init__(self, content: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(content)
        self._meanwhile = meanwhile

    def readinto(self, buffer: Any, /) -> int:
        self._meanwhile()
        time.sleep(2 * AT_ONCE)
        return super().readinto(buffer)


Post = Callable[..., TestResponse]


@pytest.fixture
def post_slowly(client: FlaskClient) -> Post:
    """Ask for a forecast of `sales` with a body during whose arrival something happens."""

    def post(secret: str, meanwhile: Callable[[], object]) -> TestResponse:
        body = b'{"horizon": 1}'
        stream, length = Arriving(body, meanwhile), {"CONTENT_LENGTH": str(len(body))}
        options: dict[str, Any] = {"input_stream": stream, "content_type": "application/json", "environ_overrides": length}
        return client.post("/models/sales/forecast", headers=bearer(secret), **options)

    return post


def test_what_happens_while_a_body_comes_in_counts(post_slowly: Post, engine: sa.Engine, train: Train, reader: str) -> None:
    for _ in range(2):
        train("sales", numbered_rows())
    assert post_slowly(reader, lambda: None).get_json()["model"]["version"] == 1
    assert post_slowly(reader, lambda: promote_version(engine, "sales", 2)).get_json()["model"]["version"] == 2
    problem_of(post_slowly(reader, lambda: revoke_key(engine, "ada")), 401, "key-revoked")


def test_nobody_is_waited_for_who_is_refused_anyway(post_slowly: Post, engine: sa.Engine, reader: str) -> None:
    """Who has no good key could else keep every thread busy with bodies that never come."""

    def never() -> None:
        raise AssertionError("the body was read")

    scoped = create_key(engine, "scoped", "admin", models="other-*").secret
    problem_of(post_slowly(wrong(reader), never), 401, "key-invalid")
    problem_of(post_slowly("", never), 401, "key-invalid")
    problem_of(post_slowly(scoped, never), 403, "model-out-of-scope")


def test_a_forecast_with_a_key_asks_the_database_once(
    client: FlaskClient, app: flask.Flask, engine: sa.Engine, train: Train, reader: str
) -> None:
    train("sales", numbered_rows())
    asked: list[object] = []

    def forecast() -> list[TestResponse]:
        headers = bearer(reader)
        by_query = client.get("/models/sales/forecast?horizon=1", headers=headers)
        return [client.post("/models/sales/forecast", json={"horizon": 1}, headers=headers), by_query]

    forecast()  # loads the version
    wait_for_use(engine, "ada")
    sa.event.listen(app.extensions[EXTENSION].engine, "checkout", lambda *_: asked.append(1))
    assert [answer.status_code for answer in forecast()] == [200, 200]
    assert len(asked) == 2


def test_who_has_no_key_crowds_nothing_out_of_the_memory(settings: Settings, engine: sa.Engine, reader: str) -> None:
    memory = Memory(60, size=5)
    keyring = Keyring(engine, settings, memory, loopback=True)
    keyring.recall(reader, "sales")
    for number in range(20):
        keyring.recall(f"fcst_{number:08x}_{'x' * 43}", f"made-up-{number}")
        keyring.recall(None, f"made-up-{number}")

    def gone() -> Admission:
        raise DatabaseUnusable("gone")

    told = memory.read(("admission", prefix_of(reader), "sales"), gone)
    assert told.value.key == get_key(engine, "ada")


def test_a_change_that_is_refused_makes_nothing_forgotten(settings: Settings, serve: Serve, reader: str) -> None:
    """Whoever has no key could else empty the memory that answers while the database is unreachable."""
    app = serve(replace(settings, stale_for=60))
    memory = app.extensions[EXTENSION].forecasting.memory
    memory.read("what", lambda: "told")
    for headers in ({}, bearer(wrong(reader)), bearer(reader)):
        assert app.test_client().post("/admin/models/sales/rollback", json={}, headers=headers).status_code in (401, 403)

    def gone() -> str:
        raise DatabaseUnusable("gone")

    assert memory.read("what", gone).value == "told"


def test_which_version_does_not_load_is_told_to_those_who_may_see_its_model(
    client: FlaskClient, engine: sa.Engine, train: Train
) -> None:
    train("sales", numbered_rows())
    with writing(engine) as connection:
        connection.execute(versions.update().values(state_digest="0" * 64))
    client.get("/models/sales")  # which loads it
    (problem,) = client.get("/health/ready").get_json()["problems"]
    assert problem["model"] == "sales"
    inside, outside = (create_key(engine, scope[:5], "reader", models=scope).secret for scope in ("sales", "other-*"))
    for headers, told in [(bearer(inside), [problem]), (bearer(outside), []), (bearer(wrong(inside)), []), ({}, [])]:
        answer = client.get("/health/ready", headers=headers)
        assert (answer.status_code, answer.get_json()) == (200, {"status": "degraded", "problems": told})


def test_who_was_not_let_in_is_not_told_where_the_database_is(
    client: FlaskClient, app: flask.Flask, boss: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Psycopg's messages name the host, the user and the database."""
    found = app.extensions[EXTENSION]

    def fail(*arguments: object) -> None:
        raise found.engine.dialect.loaded_dbapi.OperationalError('connection to server at "10.0.0.7" failed for user "fc"')

    def ask(path: str) -> dict[str, Any]:
        caplog.clear()
        document = problem_of(client.get(path, headers=bearer(boss)), 503, "database-unusable")
        assert f"request {document['request_id']}: database-unusable: " in caplog.text
        assert "10.0.0.7" in caplog.text
        return document

    client.get("/models")
    found.engine.dispose()
    sa.event.listen(found.engine, "do_connect", fail)
    for path in ("/models", "/health/ready"):
        assert "10.0.0.7" not in ask(path)["detail"]
    sa.event.remove(found.engine, "do_connect", fail)


def test_the_log_names_the_request_that_failed(client: FlaskClient, app: flask.Flask, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        raise ZeroDivisionError("unheard of")

    app.view_functions["models.list_all"] = needs(Role.READER)(broken)
    document = problem_of(client.get("/models"), 500, "http-error")
    assert f"request {document['request_id']}: ZeroDivisionError('unheard of')" in caplog.text
    assert "unheard of" not in document["detail"]


def test_a_view_that_declares_no_role_is_shut(serve: Serve) -> None:
    app = serve()
    app.view_functions["models.list_all"] = lambda: "everything"
    problem_of(app.test_client().get("/models"), 403, "role-undeclared")


def test_health_needs_no_database_of_keys(client: FlaskClient, app: flask.Flask, engine: sa.Engine, boss: str) -> None:
    client.get("/models")
    with writing(engine) as connection:
        keys.drop(connection)
    for host in ("localhost", "balancer.example"):
        assert client.get("/health/live", headers={"Host": host}).status_code == 200
    assert app.extensions[EXTENSION].keyring.seemed_open() is False
