"""Who may ask: every address by everybody, open and keyed; and only this machine's own pages may drive an open laptop."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from forecastle.errors import AccessRefused
from forecastle.http.access import Role, role_of
from forecastle.settings import Settings
from forecastle_registry.engine import writing
from forecastle_registry.keys import ROLES, create_key, revoke_key
from forecastle_registry.tables import keys
from forecastle_registry.versions import Registered
from tests.problems import problem_of

OUR_NAMES = ["localhost", "LocalHost:1234", "localhost.", "127.0.0.1", "127.0.0.1:8000", "127.8.9.1", "[::1]", "[::1]:8000"]
FOREIGN_NAMES = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example:8000",
    "192.168.1.4:8000",
    "0.0.0.0",
    "[::2]:8000",
    "[::1",
    "[::1].evil.example",
    "localhost@evil.example",
    "",
]


# What fills in an address, whatever its place: a new word fails the tests until it stands here.
FILLED = {
    "model": "sales",
    "number": 1,
    "plugin": "naive",
    "alias": "staging",
    "name": "nobody",
    "filename": "forecastle.svg",
}
CODES = {"key-needed", "key-invalid", "key-expired", "key-revoked", "role-too-small", "model-out-of-scope", "closed"}
RANKS = [Role.PUBLIC, Role.READER, Role.TRAINER, Role.ADMIN]
REFUSED = {"wrong": "key-invalid", "expired": "key-expired", "revoked": "key-revoked"}

Addresses = list[tuple[str, str, Role, bool]]


@pytest.fixture
def addresses(app: flask.Flask, registered_model: Registered) -> Addresses:
    """Every method and path of the application's own URL map, with its role, and whether it is about one model."""
    found = []
    for rule in app.url_map.iter_rules():
        path = app.url_map.bind("localhost").build(rule.endpoint, {name: FILLED[name] for name in rule.arguments})
        role = role_of(app, rule.endpoint)
        found += [(method, path, role, "model" in rule.arguments) for method in sorted(rule.methods - {"HEAD", "OPTIONS"})]
    assert len(found) > 30
    return found


@pytest.fixture
def people(engine: sa.Engine) -> dict[str, str]:
    """The keys of everybody who might ask."""
    made = {role: create_key(engine, role, role).secret for role in ROLES}
    made["out of scope"] = create_key(engine, "scoped", "admin", models="other-*").secret
    made["expired"] = create_key(engine, "expired", "admin", expires_at=datetime.now(UTC) + timedelta(days=1)).secret
    with writing(engine) as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(keys.update().where(keys.c.name == "expired").values(expires_at=past))
    made["revoked"] = create_key(engine, "revoked", "admin").secret
    revoke_key(engine, "revoked")
    made["wrong"] = made["admin"][:-3] + ("AAA" if not made["admin"].endswith("AAA") else "BBB")
    return made


def refusal(client: FlaskClient, method: str, path: str, secret: str | None) -> str | None:
    """Return the code with which somebody is kept out of an address, None where they are let in, whatever comes then."""
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    with client.open(path, method=method, headers=headers) as answer:
        code = (answer.get_json(silent=True) or {}).get("code") if answer.status_code in (401, 403) else None
        assert answer.status_code < 500, answer.text
    return code if code in CODES else None


def expected(who: str, role: Role, about_a_model: bool, *, is_open: bool) -> str | None:
    if role is Role.PUBLIC:
        return None
    if who == "none":
        return None if is_open else "key-needed"
    if who in REFUSED:
        return REFUSED[who]
    if who == "out of scope":
        return "model-out-of-scope" if about_a_model or role is Role.ADMIN else None
    return None if RANKS.index(Role(who)) >= RANKS.index(role) else "role-too-small"


def test_every_address_lets_in_whom_it_should_and_nobody_else(
    client: FlaskClient, addresses: Addresses, people: dict[str, str]
) -> None:
    for method, path, role, about_a_model in addresses:
        for who, secret in [("none", None), *people.items()]:
            found = refusal(client, method, path, secret)
            assert found == expected(who, role, about_a_model, is_open=False), (method, path, who)


def test_the_open_laptop_lets_everybody_in_everywhere(client: FlaskClient, addresses: Addresses) -> None:
    for method, path, role, about_a_model in addresses:
        if (method, path) != ("POST", "/admin/keys"):
            assert refusal(client, method, path, None) is None, (method, path)
            found = refusal(client, method, path, f"fcst_00000000_{'x' * 43}")
            assert found == expected("wrong", role, about_a_model, is_open=True), (method, path)


def test_a_server_that_a_setting_opens_lets_everybody_in_and_holds_a_key_to_its_role(
    settings: Settings, serve: Callable[..., flask.Flask], addresses: Addresses, people: dict[str, str]
) -> None:
    client = serve(replace(settings, open=True), loopback=False).test_client()
    for method, path, role, about_a_model in addresses:
        for who, secret in [("none", None), *people.items()]:
            found = refusal(client, method, path, secret)
            assert found == expected(who, role, about_a_model, is_open=True), (method, path, who)


def test_only_what_tells_nothing_of_a_model_is_public(addresses: Addresses) -> None:
    assert {path for _, path, role, _ in addresses if role is Role.PUBLIC} == {
        "/",
        "/apidocs",
        "/health/live",
        "/health/ready",
        "/openapi.json",
        "/static/forecastle.svg",
    }


def test_the_documents_say_which_addresses_need_a_key(client: FlaskClient, addresses: Addresses) -> None:
    documents = [client.get(path).get_json() for path in ("/openapi.json", "/models/sales/openapi.json")]
    for document in documents:
        schemes = document["components"]["securitySchemes"]
        assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer", "basic"}
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if method in ("get", "post", "put", "delete"):
                    filled = path.replace("/versions/{number}", "/versions/1").format(**FILLED)
                    (role,) = {role for verb, known, role, _ in addresses if (verb.lower(), known) == (method, filled)}
                    assert (operation.get("security") == [{name: []} for name in schemes]) is (role is not Role.PUBLIC)
    operation = documents[0]["paths"]["/models"]["get"]
    assert operation["responses"].keys() >= {"200", "401", "403", "429"}


def test_what_changes_something_needs_more_than_a_reader(addresses: Addresses) -> None:
    """Every expectation above follows from the declared roles; this one holds those themselves."""
    for method, path, role, _ in addresses:
        if path.startswith("/admin/"):
            assert role is Role.ADMIN, (method, path)
        elif method != "GET" and not path.endswith(("/forecast", "/forecast/file")):
            assert role in (Role.TRAINER, Role.ADMIN), (method, path)
        else:
            assert role in (Role.PUBLIC, Role.READER), (method, path)


def test_this_machines_own_names_are_answered(client: FlaskClient) -> None:
    for host in OUR_NAMES:
        assert client.get("/health/live", headers={"Host": host}).status_code == 200, host


def test_a_foreign_host_is_403(client: FlaskClient) -> None:
    for host in FOREIGN_NAMES:
        problem_of(client.get("/models", headers={"Host": host}), 403, "host-refused")


def test_a_page_of_this_service_may_ask(client: FlaskClient) -> None:
    for host in ["localhost:1234", "127.0.0.1:8000", "[::1]:8000"]:
        assert client.get("/models", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("forecasts.example:443", "https://forecasts.example", 200),
        ("forecasts.example:80", "http://Forecasts.example", 200),
        ("forecasts.example:8443", "https://forecasts.example:8443", 200),
        ("forecasts.example:443", "http://forecasts.example", 403),
        ("forecasts.example:80", "https://forecasts.example", 403),
        ("forecasts.example:8443", "https://forecasts.example", 403),
    ],
)
def test_a_proxy_may_name_the_port_that_a_browser_leaves_out(
    client: FlaskClient, engine: sa.Engine, host: str, origin: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {create_key(engine, 'ada', 'reader').secret}", "Host": host, "Origin": origin}
    assert client.get("/models", headers=headers).status_code == status


FOREIGN_ORIGINS = [
    "http://evil.example",
    "https://127.0.0.1.evil.example:8000",
    "http://localhost:8000",  # another name, so another site to a browser
    "http://127.0.0.1",  # another service on this machine
    "http://127.0.0.1:8001",
    "http://127.0.0.1:8000.evil.example",
    "http://evil.example#127.0.0.1:8000",
    "http://127.0.0.1:8000@evil.example",
    "http://[::1",
    "file://",
    "null",
    "",
    "\u00e9",
]


@pytest.mark.parametrize("address", ["/models", "/health/live", "/apidocs", "/admin/models/sales/promote"])
def test_a_foreign_origin_is_403(client: FlaskClient, address: str) -> None:
    asked = client.post if address.startswith("/admin") else client.get
    for origin in FOREIGN_ORIGINS:
        answer = asked(address, headers={"Host": "127.0.0.1:8000", "Origin": origin})
        problem_of(answer, 403, "origin-refused")


def test_host_and_origin_are_checked_where_a_setting_opens_the_server(
    settings: Settings, serve: Callable[..., flask.Flask]
) -> None:
    client = serve(replace(settings, open=True), loopback=False).test_client()
    assert client.get("/models", headers={"Host": "localhost"}).status_code == 200
    problem_of(client.get("/models", headers={"Host": "forecasts.example"}), 403, "host-refused")
    problem_of(client.get("/models", headers={"Origin": "http://evil.example"}), 403, "origin-refused")


def test_a_server_that_others_may_reach_does_not_start_without_a_key(serve: Callable[..., flask.Flask]) -> None:
    with pytest.raises(AccessRefused, match="FORECASTLE_OPEN=true"):
        serve(loopback=False)


def test_the_pages_and_the_log_say_that_the_server_is_open(
    serve: Callable[..., flask.Flask], caplog: pytest.LogCaptureFixture
) -> None:
    client = serve().test_client()
    assert "no key has been created" in caplog.text
    assert "no key has been created" in client.get("/apidocs").text
