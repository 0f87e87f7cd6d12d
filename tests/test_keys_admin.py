"""`/admin/keys` and `forecastle keys`: a key is shown once, its terms are checked, and an installation keeps a way in."""

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from forecastle.settings import Settings
from forecastle_registry.events import list_events
from forecastle_registry.keys import create_key, get_key, is_key
from tests.command_line import CommandLine
from tests.problems import problem_of

KEY = re.compile(r"fcst_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")
MEMBERS = {
    "name",
    "prefix",
    "role",
    "models",
    "limits",
    "state",
    "created_at",
    "created_by",
    "expires_at",
    "revoked_at",
    "last_used_at",
}


@pytest.fixture
def admin(client: FlaskClient, engine: sa.Engine) -> Callable[..., flask.Response]:
    """Ask as an admin with a key: method, what stands behind /admin/keys, and what the test client takes."""
    secret = create_key(engine, "boss", "admin").secret

    def ask(method: str, path: str = "", **options: object) -> flask.Response:
        headers = {"Authorization": f"Bearer {secret}"}
        return client.open(f"/admin/keys{path}", method=method, headers=headers, **options)  # type: ignore[return-value]

    return ask


Admin = Callable[..., flask.Response]


def test_a_key_is_made_and_its_secret_answered_this_once(client: FlaskClient, admin: Admin, engine: sa.Engine) -> None:
    answer = admin("POST", json={"name": "ada", "role": "reader", "models": "sales-*", "limits": "10/minute"})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    document = answer.get_json()
    assert document.keys() == MEMBERS | {"key"}
    assert is_key(document["key"], get_key(engine, "ada"))
    assert (document["state"], document["created_by"], document["last_used_at"]) == ("valid", "boss", None)
    shown = admin("GET", "/ada").get_json()
    assert shown == {name: value for name, value in document.items() if name != "key"}
    again = client.get(answer.headers["Location"], headers={"Authorization": f"Bearer {document['key']}"})
    refused = problem_of(again, 403, "role-too-small")
    assert refused["detail"] == "the key 'ada' is a reader's; this address needs an admin's"
    assert document["key"] not in admin("GET").text


def test_a_key_on_an_open_laptop_is_made_over_http_too_and_closes_it(client: FlaskClient) -> None:
    made = client.post("/admin/keys", json={"name": "boss", "role": "admin"})
    assert made.status_code == 201
    problem_of(client.post("/admin/keys", json={"name": "second", "role": "admin"}), 401, "key-needed")
    headers = {"Authorization": f"Bearer {made.get_json()['key']}"}
    assert client.get("/admin/keys", headers=headers).status_code == 200


def test_a_key_ends_when_it_was_said(admin: Admin, engine: sa.Engine) -> None:
    before = datetime.now(UTC)
    assert admin("POST", json={"name": "ada", "role": "reader", "expires_in_days": 90}).status_code == 201
    expires = get_key(engine, "ada").expires_at
    assert expires is not None
    assert before + timedelta(days=90) <= expires <= datetime.now(UTC) + timedelta(days=90)
    answer = admin("POST", json={"name": "bob", "role": "reader", "expires_at": "2190-01-31T12:00:00+02:00"})
    assert answer.get_json()["expires_at"] == "2190-01-31T10:00:00.000000Z"


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"role": "root"}, "request-invalid", "/role"),
        ({"role": "public"}, "request-invalid", "/role"),
        ({"name": "a/b"}, "request-invalid", "/name"),
        ({"secret": "x"}, "request-invalid", "/secret"),
        ({"models": ""}, "request-invalid", "/models"),
        ({"models": "a b"}, "key-terms-refused", None),
        ({"limits": "often"}, "key-terms-refused", None),
        ({"limits": "0/second"}, "key-terms-refused", None),
        ({"limits": "1/second;;"}, "key-terms-refused", None),
        ({"expires_at": "2020-01-01"}, "key-terms-refused", None),
        ({"expires_at": "2190-01-01T00:00:00"}, "request-invalid", "/expires_at"),
        ({"expires_in_days": 0}, "request-invalid", "/expires_in_days"),
        ({"expires_in_days": 10**9}, "request-invalid", "/expires_in_days"),
        ({"expires_in_days": 1, "expires_at": "2190-01-01"}, "request-invalid", "/expires_in_days"),
    ],
)
def test_terms_that_no_key_can_have_are_422(
    admin: Admin, engine: sa.Engine, changes: dict[str, object], code: str, pointer: str | None
) -> None:
    problem = problem_of(admin("POST", json={"name": "ada", "role": "reader", **changes}), 422, code)
    assert [item["pointer"] for item in problem["errors"]] == ([] if pointer is None else [pointer])
    assert len(list_events(engine).items) == 1


def test_a_name_that_was_given_is_409(admin: Admin) -> None:
    problem_of(admin("POST", json={"name": "boss", "role": "reader"}), 409, "key-name-taken")


def test_a_key_is_revoked_and_its_row_stays(client: FlaskClient, admin: Admin, engine: sa.Engine) -> None:
    secret = create_key(engine, "ada", "reader").secret
    for _ in range(2):
        assert admin("DELETE", "/ada").status_code == 204
    problem_of(client.get("/models", headers={"Authorization": f"Bearer {secret}"}), 401, "key-revoked")
    assert admin("GET", "/ada").get_json()["state"] == "revoked"
    assert [event.what for event in list_events(engine).items].count("key-revoke") == 1


def test_the_last_admins_key_is_not_revoked_over_http(admin: Admin) -> None:
    assert "--yes" in problem_of(admin("DELETE", "/boss"), 409, "last-admin-key")["detail"]
    assert admin("GET").status_code == 200


def test_an_unknown_key_is_404(admin: Admin) -> None:
    for method in ("GET", "DELETE"):
        problem_of(admin(method, "/nobody"), 404, "key-not-found")


def test_keys_are_listed_page_by_page(admin: Admin, engine: sa.Engine) -> None:
    for name in ("ada", "cy"):
        create_key(engine, name, "reader")
    first = admin("GET", query_string={"limit": 2}).get_json()
    assert [key["name"] for key in first["items"]] == ["ada", "boss"]
    rest = admin("GET", query_string={"limit": 2, "after": first["next"]}).get_json()
    assert ([key["name"] for key in rest["items"]], rest["next"]) == (["cy"], None)


def test_the_command_prints_the_key_alone_so_that_a_shell_can_keep_it(run: CommandLine, engine: sa.Engine) -> None:
    said = run("keys", "create", "boss", "--role", "admin")
    assert said.status == 0, said.err
    assert KEY.fullmatch(said.out.strip())
    assert is_key(said.out.strip(), get_key(engine, "boss"))
    assert "cannot be shown again" in said.err
    assert "Authorization: Bearer" in said.err
    assert "Warning" not in said.err
    event = list_events(engine).items[0]
    assert (event.what, event.who) == ("key-create", "command line")


def test_the_command_takes_scope_expiry_and_limits(run: CommandLine, engine: sa.Engine) -> None:
    said = run(
        "keys", "create", "ada", "--role", "reader", "--models", "sales-*", "--expires", "90d", "--limits", "5/minute", "--json"
    )
    document = json.loads(said.out)
    assert document.keys() == MEMBERS | {"key"}
    assert (document["models"], document["limits"]) == ("sales-*", "5/minute")
    assert run("keys", "create", "bob", "--role", "trainer", "--expires", "2190-01-31").status == 0
    assert get_key(engine, "bob").expires_at == datetime(2190, 1, 31, tzinfo=UTC)


def test_a_first_key_that_is_no_admins_is_warned_of(run: CommandLine) -> None:
    assert "there is no admin's key" in run("keys", "create", "ada", "--role", "reader").err
    run("keys", "create", "boss", "--role", "admin")
    assert "there is no admin's key" not in run("keys", "create", "bob", "--role", "reader").err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["ada"], 2, "--role"),
        (["ada", "--role", "root"], 2, "reader"),
        (["ada", "--role", "reader", "--expires", "soon"], 2, "90d"),
        (["ada", "--role", "reader", "--expires", "0d"], 2, "1d"),
        (["ada", "--role", "reader", "--expires", "2020-01-01"], 1, "time to come"),
        (["ada", "--role", "reader", "--limits", "often"], 1, "100/minute"),
        (["ada", "--role", "reader", "--models", "a b"], 1, "patterns"),
        (["a/b", "--role", "reader"], 1, "a letter or digit first"),
    ],
)
def test_wrong_terms_are_one_line(run: CommandLine, arguments: list[str], status: int, words: str) -> None:
    said = run("keys", "create", *arguments)
    assert said.status == status
    assert words in said.error


def test_keys_are_listed_and_revoked(run: CommandLine, engine: sa.Engine) -> None:
    assert "keys create" in run("keys", "list").out
    create_key(engine, "boss", "admin")
    create_key(engine, "ada", "reader", models="sales-*", limits="5/minute")
    assert run("keys", "revoke", "ada").out == "The key 'ada' is revoked.\n"
    assert "already" in run("keys", "revoke", "ada").out
    listed = run("keys", "list").out
    assert re.search(r"^ada +reader +sales-\* +5/minute +revoked", listed, re.MULTILINE)
    assert re.search(r"^boss +admin +all +– +valid", listed, re.MULTILINE)
    names = [key["name"] for key in json.loads(run("keys", "list", "--json").out)["items"]]
    assert names == ["ada", "boss"]


def test_the_last_admins_key_is_revoked_at_the_command_line_only_when_that_is_meant(
    run: CommandLine, engine: sa.Engine
) -> None:
    create_key(engine, "boss", "admin")
    refused = run("keys", "revoke", "boss")
    assert (refused.status, get_key(engine, "boss").revoked_at) == (1, None)
    assert "--yes" in refused.error
    meant = run("keys", "revoke", "boss", "--yes")
    assert meant.status == 0
    assert "no admin's key" in meant.err


def test_an_unknown_key_is_one_line(run: CommandLine) -> None:
    said = run("keys", "revoke", "nobody")
    assert (said.status, "keys list" in said.error) == (1, True)


def test_no_command_logs_a_secret(run: CommandLine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = run("keys", "create", "boss", "--role", "admin").out.strip()
    assert secret[14:] not in caplog.text


def test_doctor_says_who_may_ask_and_hides_the_password_of_redis(run: CommandLine, engine: sa.Engine) -> None:
    run.set("FORECASTLE_RATE_STORAGE", "redis://:hunter2@cache:6379/0")
    said = run("doctor").out
    assert "no key has been created: a server on 127.0.0.1 is open" in said
    assert "hunter2" not in said
    create_key(engine, "ada", "reader")
    assert re.search(r"^problem +there is no admin's key", run("doctor").out, re.MULTILINE)
    create_key(engine, "boss", "admin")
    assert re.search(r"^ok +every request needs a key", run("doctor").out, re.MULTILINE)
    run.set("FORECASTLE_OPEN", "true")
    assert re.search(r"^ok +FORECASTLE_OPEN is true", run("doctor").out, re.MULTILINE)


def test_doctor_says_when_others_can_read_the_signing_key(run: CommandLine, engine: sa.Engine, settings: Settings) -> None:
    create_key(engine, "boss", "admin")
    assert "chmod" not in run("doctor").out
    settings.signing_key_file.chmod(0o640)
    assert "chmod 600" in run("doctor").out
