"""Who may ask: every address has a role, and only this machine's own pages may drive an open laptop."""

from collections.abc import Callable
from dataclasses import replace

import flask
import pytest
from flask.testing import FlaskClient

from forecastle.errors import AccessRefused
from forecastle.http.access import Role
from forecastle.settings import Settings
from tests.problems import problem_of

OF_THE_FRAMEWORKS = {"static": Role.PUBLIC, "api-docs.openapi_json": Role.PUBLIC}

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


def test_every_address_declares_a_role(app: flask.Flask) -> None:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        role = OF_THE_FRAMEWORKS.get(rule.endpoint) or getattr(view, "role", None)
        assert isinstance(role, Role), f"{rule.rule} declares no role: add @needs(Role…) to its view"


def test_what_changes_a_model_needs_more_than_a_reader(app: flask.Flask) -> None:
    roles = {rule.rule: getattr(app.view_functions[rule.endpoint], "role", None) for rule in app.url_map.iter_rules()}
    assert roles["/models/<string:model>/observations"] is Role.TRAINER
    assert roles["/admin/models/<string:model>/promote"] is Role.ADMIN
    assert roles["/admin/models/<string:model>/rollback"] is Role.ADMIN


def test_this_machines_own_names_are_answered(client: FlaskClient) -> None:
    for host in OUR_NAMES:
        assert client.get("/health/live", headers={"Host": host}).status_code == 200, host


def test_a_foreign_host_is_403(client: FlaskClient) -> None:
    for host in FOREIGN_NAMES:
        problem_of(client.get("/models", headers={"Host": host}), 403, "host-refused")


def test_a_page_of_this_service_may_ask(client: FlaskClient) -> None:
    for host in ["localhost:1234", "127.0.0.1:8000", "[::1]:8000"]:
        assert client.get("/models", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


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
