"""Forward and back over HTTP: the truth table, what is refused before anything moves, and who sees it when."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from forecastle.plugins import Catalogue
from forecastle_registry.aliases import promote_version, roll_back
from forecastle_registry.archiving import archive_version, delete_version
from forecastle_registry.engine import writing
from forecastle_registry.events import list_events
from forecastle_registry.protections import Protection, protect_alias
from forecastle_registry.tables import versions
from forecastle_registry.versions import Registered
from forecastle_sdk import Forecaster, State
from forecastle_sdk.naive import NaivePlugin
from tests.command_line import variables_of
from tests.naive import EXOG_OF_THREE, monthly_sales, naive_catalogue
from tests.problems import problem_of, words_of

ADMIN = "/admin/models/sales"
ASKED = {"horizon": 3, "exog": EXOG_OF_THREE}


@pytest.fixture(autouse=True)
def four_versions(train: Callable[..., Registered]) -> None:
    """Four versions of `sales` that differ; nothing is live yet."""
    for number in range(4):
        train(data=monthly_sales(shift=100.0 * number), promote=False)


def promote(client: FlaskClient, version: int, if_match: str | None = None, **body: object) -> TestResponse:
    headers = {} if if_match is None else {"If-Match": if_match}
    return client.post(f"{ADMIN}/promote", json={"version": version, **body}, headers=headers)


def rollback(client: FlaskClient, if_match: str | None = None, **body: object) -> TestResponse:
    headers = {} if if_match is None else {"If-Match": if_match}
    return client.post(f"{ADMIN}/rollback", json=body, headers=headers)


def live(client: FlaskClient) -> int | None:
    aliases: dict[str, int] = client.get("/models/sales").get_json()["aliases"]
    return aliases.get("production")


def answering(client: FlaskClient) -> int:
    number: int = client.post("/models/sales/forecast", json=ASKED).get_json()["model"]["version"]
    return number


def archive(engine: Engine, number: int) -> None:
    with writing(engine) as connection:
        connection.execute(versions.update().where(versions.c.number == number).values(archived_at=datetime.now(UTC)))


def spoil_golden(engine: Engine, number: int) -> None:
    """Edit the golden forecast of a version, as if this machine computed other numbers than the one that trained it."""
    this = versions.c.number == number
    with writing(engine) as connection:
        golden = connection.execute(sa.select(versions.c.golden).where(this)).scalar_one()
        golden["mean"][0][0] += 1.0
        connection.execute(versions.update().where(this).values(golden=golden))


def test_the_truth_table_holds(client: FlaskClient) -> None:
    for number, stack in [(1, [1]), (2, [1, 2]), (3, [1, 2, 3])]:
        moved = promote(client, number).get_json()
        assert (moved["stack"], moved["version"], moved["changed"]) == (stack, number, True)
        assert moved["previous"] == (stack[-2] if len(stack) > 1 else None)
    for step, stack in [(rollback, [1, 2]), (rollback, [1])]:
        moved = step(client).get_json()
        assert (moved["stack"], moved["version"], live(client), answering(client)) == (stack, stack[-1], stack[-1], stack[-1])
    assert promote(client, 4).get_json()["stack"] == [1, 4]
    assert rollback(client).get_json()["stack"] == [1]
    document = problem_of(rollback(client), 409, "nothing-to-roll-back-to")
    assert "production" in document["detail"]
    assert live(client) == answering(client) == 1


def test_the_answer_of_a_move_is_whole(client: FlaskClient) -> None:
    answer = promote(client, 2, reason="better on the test part")
    assert answer.get_json() == {
        "model": "sales",
        "alias": "production",
        "version": 2,
        "previous": None,
        "changed": True,
        "stack": [2],
    }
    assert answer.headers["ETag"].startswith('"')


def test_promoting_what_is_live_changes_nothing(client: FlaskClient, engine: Engine) -> None:
    first = promote(client, 1)
    again = promote(client, 1)
    assert again.status_code == 200
    assert (again.get_json()["changed"], again.get_json()["stack"]) == (False, [1])
    assert again.headers["ETag"] == first.headers["ETag"]
    assert [event.what for event in list_events(engine, "sales").items].count("promote") == 1


def test_a_move_is_in_the_log_with_its_reason(client: FlaskClient, engine: Engine) -> None:
    promote(client, 1, reason="the first")
    promote(client, 2)
    rollback(client, reason="two is off")
    events = [(e.what, e.version, e.reason) for e in list_events(engine, "sales").items if e.what != "register"]
    assert events == [("rollback", 1, "two is off"), ("promote", 2, None), ("promote", 1, "the first")]


def test_a_rollback_to_a_version_goes_to_the_nearest_below_the_top(client: FlaskClient) -> None:
    for number in (1, 2, 1, 3, 4):
        promote(client, number)
    assert rollback(client, to=1).get_json()["stack"] == [1, 2, 1]
    assert rollback(client, to=1).get_json()["stack"] == [1]
    problem_of(rollback(client, to=1), 409, "nothing-to-roll-back-to")
    left = problem_of(rollback(client, to=3), 409, "nothing-to-roll-back-to")
    assert "no version 3 below the live version" in left["detail"]


def test_a_rollback_is_undone_by_promoting_the_version_that_was_left(client: FlaskClient) -> None:
    promote(client, 1)
    promote(client, 2)
    rollback(client)
    assert promote(client, 2).get_json()["stack"] == [1, 2]


def test_aliases_move_each_by_itself(client: FlaskClient) -> None:
    promote(client, 1)
    assert promote(client, 2, alias="staging").get_json()["stack"] == [2]
    assert client.get("/models/sales").get_json()["aliases"] == {"production": 1, "staging": 2}
    assert client.post("/models/sales/forecast", json={**ASKED, "alias": "staging"}).get_json()["model"]["version"] == 2
    problem_of(rollback(client, alias="staging"), 409, "nothing-to-roll-back-to")
    problem_of(rollback(client, alias="canary"), 404, "alias-not-found")


def test_a_version_that_does_not_reproduce_its_golden_forecast_never_goes_live(client: FlaskClient, engine: Engine) -> None:
    promote(client, 1)
    spoil_golden(engine, 2)
    document = problem_of(promote(client, 2), 409, "target-refused")
    assert "golden forecast" in document["detail"]
    assert live(client) == answering(client) == 1


def test_a_rollback_to_a_version_that_fails_its_golden_forecast_moves_nothing(client: FlaskClient, engine: Engine) -> None:
    for number in (1, 2, 3):
        promote(client, number)
    assert client.post("/models/sales/versions/2/forecast", json=ASKED).status_code == 200  # it is in the cache now
    spoil_golden(engine, 2)
    problem_of(rollback(client), 409, "target-refused")
    assert live(client) == 3
    assert rollback(client, to=1).get_json()["stack"] == [1]


def test_an_archived_version_never_goes_live(client: FlaskClient, engine: Engine) -> None:
    for number in (1, 2):
        promote(client, number)
    archive(engine, 1)
    archive(engine, 3)
    problem_of(promote(client, 3), 409, "version-archived")
    problem_of(rollback(client), 409, "version-archived")
    assert live(client) == 2
    assert client.get("/models/sales/versions/1").get_json()["archived_at"] is not None


def test_a_version_whose_plugin_is_gone_never_goes_live(client: FlaskClient, serve: Callable[..., flask.Flask]) -> None:
    promote(client, 1)
    without = serve(plugins=Catalogue([])).test_client()
    document = problem_of(promote(without, 2), 409, "target-refused")
    assert "not installed" in document["detail"]
    assert live(client) == 1


def test_a_move_with_the_current_etag_is_made(client: FlaskClient) -> None:
    etag = promote(client, 1).headers["ETag"]
    second = promote(client, 2, if_match=etag)
    assert second.status_code == 200
    assert second.headers["ETag"] != etag
    assert rollback(client, if_match=second.headers["ETag"]).status_code == 200
    assert promote(client, 3, if_match="*").status_code == 200
    assert rollback(client, if_match="*").status_code == 200


def test_a_move_with_a_stale_etag_is_412_and_told_the_current_state(client: FlaskClient) -> None:
    stale = promote(client, 1).headers["ETag"]
    current = promote(client, 2).headers["ETag"]
    for attempt in (promote(client, 3, if_match=stale), rollback(client, if_match=stale), rollback(client, if_match='"x"')):
        document = problem_of(attempt, 412, "alias-stale")
        assert document["current"] == {"version": 2, "stack": [1, 2]}
        assert attempt.headers["ETag"] == current
    assert live(client) == 2


def test_of_several_etags_one_must_fit(client: FlaskClient) -> None:
    first = promote(client, 1).headers["ETag"]
    second = promote(client, 2, if_match=f'"x", {first}').headers["ETag"]
    problem_of(promote(client, 3, if_match=f'"x", {first}'), 412, "alias-stale")
    assert rollback(client, if_match=f"{first},{second}").status_code == 200
    assert live(client) == 1


@pytest.mark.parametrize("header", ["", ",", "x", 'W/"production.1"', '"production.1'])
def test_what_is_no_strong_etag_of_the_alias_fits_nothing(client: FlaskClient, header: str) -> None:
    assert promote(client, 1).headers["ETag"] == '"production.1"'
    problem_of(promote(client, 2, if_match=header), 412, "alias-stale")
    assert live(client) == 1


def test_an_etag_of_one_alias_does_not_fit_another(client: FlaskClient) -> None:
    etag = promote(client, 1).headers["ETag"]
    promote(client, 1, alias="staging")
    problem_of(promote(client, 2, alias="staging", if_match=etag), 412, "alias-stale")


def test_an_alias_that_points_at_nothing_matches_no_etag(client: FlaskClient) -> None:
    for if_match in ('"production.1"', "*"):
        document = problem_of(promote(client, 1, if_match=if_match), 412, "alias-stale")
        assert document["current"] is None
    assert live(client) is None


def test_moves_that_are_not_understood_are_refused_and_move_nothing(client: FlaskClient) -> None:
    promote(client, 1)
    wrong = [{}, {"version": 0}, {"version": "2"}, {"version": True}, {"version": 2.0}, {"version": 2**31}, {"version": None}]
    wrong += [{"version": 2, "alias": alias} for alias in ("", "a b", "-x", "x" * 101, "production\n", "\u00e9", None, 3)]
    wrong += [{"version": 2, "reason": reason} for reason in ("a\0b", "\ud800", "x" * 1001, 7)]
    wrong += [{"version": 2, "dry_run": True}]
    for body in wrong:
        answer = client.post(f"{ADMIN}/promote", data=json.dumps(body), content_type="application/json")
        problem_of(answer, 422, "request-invalid")
    for body in [{"to": 0}, {"to": "1"}, {"to": False}, {"to": 2**31}, {"alias": ""}, {"reason": "\0"}, {"version": 1}]:
        problem_of(client.post(f"{ADMIN}/rollback", json=body), 422, "request-invalid")
    problem_of(promote(client, 9), 404, "version-not-found")
    document = problem_of(client.post(f"{ADMIN}/promote?now=1", json={"version": 2}), 422, "request-invalid")
    assert "now" in words_of(document)
    assert live(client) == 1


ROLL_BACK_ELSEWHERE = """
import json, sys
from forecastle.database import open_database
from forecastle.settings import settings_from
from forecastle_registry.aliases import roll_back
roll_back(open_database(settings_from(json.loads(sys.argv[1]))), "sales")
"""


def test_a_rollback_by_another_process_is_seen_at_once(client: FlaskClient, home: Path) -> None:
    promote(client, 1)
    promote(client, 2)
    assert answering(client) == 2
    subprocess.run([sys.executable, "-c", ROLL_BACK_ELSEWHERE, json.dumps(variables_of(home))], check=True)
    assert answering(client) == 1


def test_every_server_on_a_home_sees_a_move_as_soon_as_it_was_answered(serve: Callable[..., flask.Flask]) -> None:
    first, second = serve().test_client(), serve().test_client()
    for number in (1, 2, 3, 4):
        promote(first, number)
        assert (answering(first), answering(second)) == (number, number)
    for number in (3, 2, 1):
        rollback(second)
        assert (answering(first), answering(second)) == (number, number)


def test_a_first_version_goes_live_by_itself_and_a_second_does_not(
    client: FlaskClient, train: Callable[..., Registered]
) -> None:
    assert train("fresh").live
    assert not train("fresh").live
    assert client.get("/models/fresh").get_json()["aliases"] == {"production": 1}


@dataclass(eq=False)
class BusyPlugin(NaivePlugin):
    """Lets somebody else do something whenever a version is proved, in the midst of a move."""

    meanwhile: list[Callable[[], object]]

    def restore(self, state: State, format: int) -> Forecaster:
        if self.meanwhile:
            self.meanwhile.pop()()
        return super().restore(state, format)


@pytest.fixture
def busy(serve: Callable[..., flask.Flask], client: FlaskClient) -> tuple[FlaskClient, list[Callable[[], object]]]:
    """A client of a server on the same home, and what others do while it proves a version; `production` is 1 2 3."""
    for number in (1, 2, 3):
        promote(client, number)
    meanwhile: list[Callable[[], object]] = []
    return serve(plugins=naive_catalogue(BusyPlugin(meanwhile))).test_client(), meanwhile


Busy = tuple[FlaskClient, list[Callable[[], object]]]


def test_a_rollback_beside_another_goes_on_from_where_that_went(client: FlaskClient, engine: Engine, busy: Busy) -> None:
    beside, meanwhile = busy
    meanwhile.append(lambda: roll_back(engine, "sales"))
    answer = rollback(beside).get_json()
    assert (answer["version"], answer["previous"], answer["stack"]) == (1, 2, [1])


def test_a_rollback_beside_another_goes_live_with_nothing_that_was_not_proved(
    client: FlaskClient, engine: Engine, busy: Busy
) -> None:
    beside, meanwhile = busy
    spoil_golden(engine, 1)
    meanwhile.append(lambda: roll_back(engine, "sales"))
    problem_of(rollback(beside), 409, "target-refused")
    assert live(client) == 2


def test_a_rollback_to_a_version_is_made_however_often_others_promote_meanwhile(
    client: FlaskClient, engine: Engine, busy: Busy
) -> None:
    beside, meanwhile = busy
    meanwhile.extend(lambda number=number: promote_version(engine, "sales", number) for number in (4, 3, 4, 3, 4, 3, 4))
    assert rollback(beside, to=1).get_json()["stack"] == [1]


def test_of_two_moves_from_one_state_the_slower_is_412(client: FlaskClient, engine: Engine, busy: Busy) -> None:
    beside, meanwhile = busy
    etag = promote(client, 3).headers["ETag"]
    for slower in (lambda: rollback(beside, if_match=etag), lambda: promote(beside, 1, if_match=etag)):
        meanwhile.append(lambda: promote_version(engine, "sales", 4))
        assert problem_of(slower(), 412, "alias-stale")["current"] == {"version": 4, "stack": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("change", "status", "code"), [(archive_version, 409, "version-archived"), (delete_version, 404, "version-not-found")]
)
def test_a_version_that_is_taken_away_while_it_is_proved_does_not_go_live(
    client: FlaskClient, engine: Engine, busy: Busy, change: Callable[..., object], status: int, code: str
) -> None:
    beside, meanwhile = busy
    meanwhile.append(lambda: change(engine, "sales", 4))
    problem_of(promote(beside, 4), status, code)
    assert live(client) == 3


def test_a_version_that_is_deleted_during_its_dry_run_is_404(engine: Engine, busy: Busy) -> None:
    beside, meanwhile = busy
    protect_alias(engine, "sales", "production", Protection())
    meanwhile.append(lambda: delete_version(engine, "sales", 4))
    answer = beside.post(f"{ADMIN}/promote?dry_run=true", json={"version": 4})
    problem_of(answer, 404, "version-not-found")


def test_a_gate_that_closes_while_a_version_is_proved_holds(client: FlaskClient, engine: Engine, busy: Busy) -> None:
    beside, meanwhile = busy
    meanwhile.append(lambda: protect_alias(engine, "sales", "production", Protection(min_skill=0.5)))
    problem_of(promote(beside, 4), 409, "gate-closed")
    assert live(client) == 3


def test_the_way_back_needs_no_body(client: FlaskClient) -> None:
    promote(client, 1)
    promote(client, 2)
    answer = client.post(f"{ADMIN}/rollback")
    assert (answer.status_code, answer.get_json()["version"]) == (200, 1)
    problem_of(client.post(f"{ADMIN}/promote"), 415, "content-type-wrong")
    problem_of(client.post(f"{ADMIN}/rollback", data="to=1"), 415, "content-type-wrong")
    body = client.get("/openapi.json").get_json()["paths"]["/admin/models/{model}/rollback"]["post"]["requestBody"]
    assert body["required"] is False
