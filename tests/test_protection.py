"""Protected aliases, approval by a second key, and versions taken out of use, over HTTP."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from forecastle_registry.events import list_events
from forecastle_registry.keys import create_key
from forecastle_registry.versions import Registered
from tests.naive import EXOG_OF_THREE, monthly_sales
from tests.problems import problem_of, words_of

ADMIN = "/admin/models/sales"
PROTECTION = f"{ADMIN}/aliases/production/protection"
ASKED = {"horizon": 3, "exog": EXOG_OF_THREE}
ROW = {"endog": {"sales": [107.0], "returns": [117.0]}, "exog": {"price": [9], "promo": [10]}}


@pytest.fixture(autouse=True)
def three_versions(train: Callable[..., Registered]) -> None:
    """Three versions of `sales`; the first is live."""
    for number in range(3):
        train(data=monthly_sales(shift=10.0 * number), promote=number == 0)


@pytest.fixture
def keys(engine: Engine) -> dict[str, dict[str, str]]:
    """The headers of two admins and a trainer, by name."""
    roles = {"ada": "admin", "bob": "admin", "eve": "admin", "tom": "trainer"}
    return {name: {"Authorization": f"Bearer {create_key(engine, name, role).secret}"} for name, role in roles.items()}


def protect(client: FlaskClient, headers: dict[str, str] | None = None, **asked: Any) -> TestResponse:
    return client.put(PROTECTION, json=asked, headers=headers)


def promote(client: FlaskClient, version: int, headers: dict[str, str] | None = None, **body: Any) -> TestResponse:
    return client.post(f"{ADMIN}/promote", json={"version": version, **body}, headers=headers)


def live(client: FlaskClient, headers: dict[str, str] | None = None) -> int:
    number: int = client.get("/models/sales", headers=headers).get_json()["aliases"]["production"]
    return number


def whats(engine: Engine) -> list[tuple[str, str, int | None]]:
    return [(e.what, e.who, e.version) for e in reversed(list_events(engine, "sales").items) if e.what != "register"]


def test_an_alias_is_protected_shown_and_freed(client: FlaskClient, engine: Engine) -> None:
    problem_of(client.get(PROTECTION), 404, "alias-not-protected")
    answer = protect(client, min_skill=0.1, max_age_days=40, reason="it is looked at")
    assert answer.status_code == 200
    document = answer.get_json()
    assert {name: document[name] for name in ("alias", "min_skill", "converged", "max_age_days", "approval")} == {
        "alias": "production", "min_skill": 0.1, "converged": True, "max_age_days": 40, "approval": False,
    }  # fmt: skip
    assert client.get(PROTECTION).get_json() == document
    assert client.delete(PROTECTION, query_string={"reason": "enough"}).status_code == 204
    problem_of(client.delete(PROTECTION), 404, "alias-not-protected")
    events = [(e.what, e.reason) for e in list_events(engine, "sales", limit=2).items]
    assert events == [("unprotect", "enough"), ("protect", "it is looked at")]


def test_a_protection_that_is_not_understood_is_refused(client: FlaskClient) -> None:
    wrong: list[Any] = [{"min_skill": value} for value in ("0.1", True, 1.5, [], 10**400)]
    wrong += [{"converged": value} for value in (1, "true", None)] + [{"approval": "yes"}]
    wrong += [{"max_age_days": value} for value in (-1, 1.5, "7", 2**31)] + [{"skill": 0.1}, {"reason": "\0"}, []]
    for body in wrong:
        problem_of(client.put(PROTECTION, data=json.dumps(body), content_type="application/json"), 422, "request-invalid")
    problem_of(client.put(PROTECTION, data='{"min_skill": NaN}', content_type="application/json"), 422, "request-invalid")
    problem_of(client.put(f"{ADMIN}/aliases/a b/protection", json={}), 422, "name-refused")
    problem_of(client.get(PROTECTION), 404, "alias-not-protected")


def test_a_closed_gate_is_409_with_every_reason(client: FlaskClient) -> None:
    protect(client, min_skill=0.5, max_age_days=10)
    document = problem_of(promote(client, 2), 409, "gate-closed")
    assert "--set test_size=" in document["detail"]
    assert "2017-12-01" in document["detail"]
    assert live(client) == 1


def test_the_gate_lets_through_what_is_good_enough(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train(data=monthly_sales(), promote=False, parameters={"test_size": 6})
    protect(client, min_skill=-10)
    assert promote(client, 4).get_json()["stack"] == [1, 4]


def test_a_trainer_s_promotion_registers_and_does_not_move(client: FlaskClient, keys: dict[str, dict[str, str]]) -> None:
    protect(client, keys["ada"])
    answer = client.post("/models/sales/observations?promote=true", json=ROW, headers=keys["tom"])
    document = answer.get_json()
    assert (answer.status_code, document["version"], document["live"]) == (201, 4, False)
    assert document["refusal"]["code"] == "alias-protected"
    assert "only an admin" in document["refusal"]["message"]
    assert live(client, keys["tom"]) == 1
    assert promote(client, 4, keys["ada"]).get_json()["changed"] is True


def test_an_observation_with_promote_goes_through_the_same_gate(client: FlaskClient) -> None:
    protect(client, max_age_days=10)
    document = client.post("/models/sales/observations?promote=true", json=ROW).get_json()
    assert (document["live"], document["refusal"]["code"]) == (False, "gate-closed")
    assert client.post("/models/sales/observations", json=ROW).get_json()["refusal"] is None


def test_a_child_passes_with_the_accuracy_of_its_parameters(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train(data=monthly_sales(), promote=True, parameters={"test_size": 6})
    protect(client, min_skill=-10)
    assert client.post("/models/sales/observations?promote=true", json=ROW).get_json()["live"] is True


def test_a_second_key_approves(client: FlaskClient, engine: Engine, keys: dict[str, dict[str, str]]) -> None:
    protect(client, keys["ada"], approval=True)
    first = promote(client, 2, keys["ada"], reason="better")
    document = first.get_json()
    assert (first.status_code, document["code"], document["version"], document["live"]) == (202, "approval-needed", 2, 1)
    assert document["proposed_by"] == "ada"
    assert "another admin must POST /admin/models/sales/promote" in document["message"]
    assert promote(client, 2, keys["ada"]).status_code == 202
    assert live(client, keys["ada"]) == 1
    aliases = client.get(f"{ADMIN}/aliases", headers=keys["bob"]).get_json()["items"]
    assert (aliases[0]["waiting"]["version"], aliases[0]["waiting"]["reason"]) == (2, "better")
    assert (
        client.post(f"{ADMIN}/promote?dry_run=true", json={"version": 2}, headers=keys["bob"]).get_json()["preview"]["refusal"]
        is None
    )
    second = promote(client, 2, keys["bob"])
    assert (second.status_code, second.get_json()["stack"]) == (200, [1, 2])
    assert whats(engine)[-3:] == [("protect", "ada", None), ("propose", "ada", 2), ("promote", "bob", 2)]
    back = client.post(f"{ADMIN}/rollback", json={}, headers=keys["eve"])
    assert (back.status_code, back.get_json()["stack"]) == (200, [1])


def test_while_everything_is_open_a_promotion_waits_for_keys(client: FlaskClient) -> None:
    protect(client, approval=True)
    for _ in range(2):
        document = promote(client, 2).get_json()
        assert (document["code"], document["proposed_by"]) == ("approval-needed", "open")
        assert "without a key" in document["message"]
    assert live(client) == 1


def test_two_keys_that_approve_at_once_make_one_move(app: flask.Flask, engine: Engine, keys: dict[str, dict[str, str]]) -> None:
    client = app.test_client()
    protect(client, keys["ada"], approval=True)
    promote(client, 2, keys["ada"])
    together = Barrier(2)

    def approve(name: str) -> TestResponse:
        own = app.test_client()
        together.wait()
        return promote(own, 2, keys[name])

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(approve, ("bob", "eve")))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(answer.get_json()["changed"] for answer in answers) == [False, True]
    assert [what for what, _, _ in whats(engine)].count("promote") == 2


def test_aliases_are_listed_with_all_that_is_known(client: FlaskClient) -> None:
    promote(client, 2)
    promote(client, 3, alias="candidate")
    protect(client)
    client.put(f"{ADMIN}/aliases/later/protection", json={})
    found = client.get(f"{ADMIN}/aliases").get_json()
    assert found["next"] is None
    candidate, later, production = found["items"]
    assert candidate == {
        "model": "sales", "alias": "candidate", "live": 3, "stack": [3], "revision": 1, "etag": "candidate.1",
        "protection": None, "waiting": None,
    }  # fmt: skip
    assert (later["live"], later["stack"], later["etag"], later["protection"]["alias"]) == (None, [], None, "later")
    assert (production["stack"], production["protection"]["created_by"]) == ([1, 2], "open")
    page = client.get(f"{ADMIN}/aliases?limit=2").get_json()
    assert (len(page["items"]), page["next"]) == (2, "later")
    assert len(client.get(f"{ADMIN}/aliases?after=later").get_json()["items"]) == 1
    problem_of(client.get("/admin/models/nothing/aliases"), 404, "model-not-found")


def test_an_alias_is_protected_before_its_model_is_there(client: FlaskClient, train: Callable[..., Registered]) -> None:
    assert client.put("/admin/models/fresh/aliases/production/protection", json={}).status_code == 200
    found = train("fresh")
    assert (found.live, found.refusal and found.refusal.code) == (False, "alias-protected")
    problem_of(client.post("/models/fresh/forecast", json=ASKED), 404, "alias-not-found")


def test_an_archived_version_answers_where_it_is_pinned_and_goes_live_no_more(client: FlaskClient, engine: Engine) -> None:
    answer = client.post(f"{ADMIN}/versions/2/archive", json={"reason": "wrong data"})
    assert (answer.status_code, answer.get_json()["number"], answer.get_json()["archived_at"] is None) == (200, 2, False)
    assert client.post("/models/sales/versions/2/forecast", json=ASKED).status_code == 200
    listed = client.get("/models/sales/versions").get_json()["items"]
    assert [version["archived_at"] is None for version in listed] == [True, False, True]
    problem_of(promote(client, 2), 409, "version-archived")
    problem_of(client.post(f"{ADMIN}/promote?dry_run=true", json={"version": 2}), 409, "version-archived")
    assert client.post(f"{ADMIN}/versions/2/restore").get_json()["archived_at"] is None
    assert promote(client, 2).status_code == 200
    assert [(what, number) for what, _, number in whats(engine)][-3:] == [("archive", 2), ("restore", 2), ("promote", 2)]


def test_what_is_live_is_neither_archived_nor_deleted(client: FlaskClient) -> None:
    promote(client, 2)
    document = problem_of(client.post(f"{ADMIN}/versions/2/archive"), 409, "version-in-use")
    assert "production" in document["detail"]
    for number in (1, 2):
        problem_of(client.delete(f"{ADMIN}/versions/{number}"), 409, "version-in-use")
    assert client.get("/models/sales/versions/1").status_code == 200


def test_a_deleted_version_is_gone_and_its_number_with_it(
    client: FlaskClient, engine: Engine, train: Callable[..., Registered]
) -> None:
    assert client.post("/models/sales/versions/3/forecast", json=ASKED).status_code == 200  # it is in the cache now
    answer = client.delete(f"{ADMIN}/versions/3", query_string={"reason": "a trial"})
    assert (answer.status_code, answer.data) == (204, b"")
    problem_of(client.delete(f"{ADMIN}/versions/3"), 404, "version-not-found")
    problem_of(client.post("/models/sales/versions/3/forecast", json=ASKED), 404, "version-not-found")
    assert (whats(engine)[-1], list_events(engine, limit=1).items[0].reason) == (("delete", "open", 3), "a trial")
    assert train().version.number == 4


def test_a_model_without_versions_is_still_listed(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train("brief", promote=False)
    client.delete("/admin/models/brief/versions/1")
    assert client.get("/models/brief").get_json()["latest"] is None
    assert client.get("/models/brief/versions").get_json() == {"items": [], "next": None}
    assert "brief" in [model["name"] for model in client.get("/models").get_json()["items"]]


def test_a_body_of_archive_that_is_not_understood_is_refused(client: FlaskClient) -> None:
    address = f"{ADMIN}/versions/2/archive"
    problem_of(client.post(address, json={"because": "x"}), 422, "request-invalid")
    problem_of(client.post(address, data="reason=x"), 415, "content-type-wrong")
    document = problem_of(client.delete(f"{ADMIN}/versions/2?why=x"), 422, "request-invalid")
    assert "why" in words_of(document)
    assert client.get("/models/sales/versions/2").get_json()["archived_at"] is None


def test_everything_of_an_admin_stands_in_the_document(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    expected = {
        "/admin/models/{model}/promote": {"post"},
        "/admin/models/{model}/rollback": {"post"},
        "/admin/models/{model}/aliases": {"get"},
        "/admin/models/{model}/aliases/{alias}/protection": {"get", "put", "delete"},
        "/admin/models/{model}/versions/{number}": {"delete"},
        "/admin/models/{model}/versions/{number}/archive": {"post"},
        "/admin/models/{model}/versions/{number}/restore": {"post"},
    }
    for path, methods in expected.items():
        assert methods <= paths[path].keys(), path
        assert all(paths[path][method]["summary"] for method in methods)
    promotion = paths["/admin/models/{model}/promote"]["post"]
    assert {"dry_run", "If-Match"} <= {parameter.get("name") for parameter in promotion["parameters"]}
    assert {"200", "202"} <= promotion["responses"].keys()
