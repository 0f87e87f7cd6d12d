"""What a dry run tells, and that it moves nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from forecastle_registry.alias_states import list_aliases
from forecastle_registry.engine import writing
from forecastle_registry.events import list_events
from forecastle_registry.protections import Protection, protect_alias
from forecastle_registry.tables import artifacts, versions
from forecastle_registry.versions import Registered, get_version
from forecastle_sdk import Index
from tests.naive import dataset, monthly_sales, numbered_rows
from tests.problems import problem_of, words_of

ADMIN = "/admin/models/sales"
MEASURED = {"test_size": 6, "drift": True}  # with a drift no two steps are alike


@pytest.fixture(autouse=True)
def three_versions(train: Callable[..., Registered]) -> None:
    """Three versions of `sales`, ten apart; the first is live, the third was not measured."""
    train(data=monthly_sales(), promote=True, parameters=MEASURED)
    train(data=monthly_sales(shift=10), promote=False, parameters=MEASURED)
    train(data=monthly_sales(shift=20), promote=False)


def dry(client: FlaskClient, move: str = "promote", **body: Any) -> TestResponse:
    return client.post(f"{ADMIN}/{move}?dry_run=true", json=body)


def preview(client: FlaskClient, move: str = "promote", **body: Any) -> dict[str, Any]:
    answer = dry(client, move, **body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.get_json()
    return document


def test_it_tells_where_the_alias_would_point(client: FlaskClient) -> None:
    answer = dry(client, version=2)
    document = answer.get_json()
    told = {name: document[name] for name in ("model", "alias", "version", "previous", "changed", "stack")}
    assert told == {
        "model": "sales", "alias": "production", "version": 2, "previous": 1, "changed": True, "stack": [1, 2],
    }  # fmt: skip
    assert answer.headers["ETag"] == '"production.1"'
    moved = client.post(f"{ADMIN}/promote", json={"version": 2}).get_json()
    assert moved == told
    assert preview(client, "rollback")["stack"] == [1]


def test_nothing_moves_and_nothing_is_in_the_log(client: FlaskClient, engine: Engine) -> None:
    protect_alias(engine, "sales", "production", Protection(approval=True))
    before = list_aliases(engine, "sales"), list_events(engine)
    assert preview(client, version=2)["preview"]["refusal"]["code"] == "approval-needed"
    assert preview(client, version=2, alias="candidate")["stack"] == [2]
    assert (list_aliases(engine, "sales"), list_events(engine)) == before


def test_the_forecasts_of_both_versions_stand_side_by_side(client: FlaskClient) -> None:
    found = preview(client, version=2)["preview"]["forecasts"]
    assert (len(found["timestamps"]), found["timestamps"][0]) == (12, "2018-01-01")
    signature = client.get("/models/sales/versions/1").get_json()["signature"]
    exog = {column["name"]: [column["last"]] * 12 for column in signature["exog"]}
    for side, number in (("live", 1), ("target", 2)):
        mean = client.post(f"/models/sales/versions/{number}/forecast", json={"horizon": 12, "exog": exog}).get_json()["mean"]
        assert {name: column[side] for name, column in found["columns"].items()} == mean
    for column in found["columns"].values():
        assert column["difference"] == pytest.approx([10] * 12)
        assert column["largest"]["absolute"] == pytest.approx(10)
        assert column["largest"]["relative"] == pytest.approx(10 / max(column["target"]))
        assert column["largest"]["timestamp"] in found["timestamps"]


def test_versions_that_end_elsewhere_are_compared_where_their_steps_meet(
    client: FlaskClient, train: Callable[..., Registered]
) -> None:
    later = dataset(Index("time", "2018-03-01", "MS"), ("sales", "returns"), ("price", "promo"), 39, 0)
    train(data=later, promote=False)
    forecasts = preview(client, version=4)["preview"]["forecasts"]
    assert (forecasts["timestamps"][0], len(forecasts["timestamps"])) == ("2018-04-01", 12)
    signature = client.get("/models/sales/versions/1").get_json()["signature"]
    exog = {column["name"]: [column["last"]] * 15 for column in signature["exog"]}
    mean = client.post("/models/sales/versions/1/forecast", json={"horizon": 15, "exog": exog}).get_json()["mean"]
    assert forecasts["columns"]["sales"]["live"] == mean["sales"][3:]


def test_versions_of_another_frequency_are_compared_where_their_steps_meet(
    client: FlaskClient, train: Callable[..., Registered]
) -> None:
    quarters = dataset(Index("time", "2017-10-01", "QS-JAN"), ("sales", "returns"), ("price", "promo"), 36, 0)
    train(data=quarters, promote=False, parameters={"drift": True})
    found = preview(client, version=4)["preview"]
    assert found["schema"]["frequency"] == {"live": "MS", "target": "QS-JAN"}
    assert found["forecasts"]["timestamps"][:3] == ["2018-01-01", "2018-04-01", "2018-07-01"]
    signature = client.get("/models/sales/versions/1").get_json()["signature"]
    exog = {column["name"]: [column["last"]] * 36 for column in signature["exog"]}
    mean = client.post("/models/sales/versions/1/forecast", json={"horizon": 36, "exog": exog}).get_json()["mean"]
    column = found["forecasts"]["columns"]["sales"]
    assert column["live"] == mean["sales"][::3]  # the months with which the quarters begin
    assert column["difference"] == pytest.approx([t - s for s, t in zip(column["live"], column["target"], strict=True)])


def test_columns_that_come_and_go_are_told(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train(data=monthly_sales(endog=("sales", "visits"), exog=("promo", "price", "rain")), promote=False)
    found = preview(client, version=4)["preview"]
    assert found["schema"] == {
        "endog": {"added": ["visits"], "removed": ["returns"]},
        "exog": {"added": ["rain"], "removed": []},
        "frequency": None,
        "index": None,
        "trained_until": {"live": "2017-12-01", "target": "2017-12-01"},
    }
    columns = found["forecasts"]["columns"]
    assert list(columns) == ["sales", "visits", "returns"]
    assert (columns["visits"]["live"], columns["visits"]["difference"], columns["visits"]["largest"]) == (None, None, None)
    assert (columns["returns"]["target"], len(columns["returns"]["live"])) == (None, 12)


def test_another_kind_of_index_leaves_nothing_in_common(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train(data=numbered_rows(), promote=False)
    found = preview(client, version=4)["preview"]
    assert found["schema"]["index"] == {"live": "time", "target": "integer"}
    assert found["schema"]["frequency"] == {"live": "MS", "target": None}
    assert [notice["code"] for notice in found["notices"]] == ["no-common-steps"]
    assert found["forecasts"]["timestamps"] == list(range(20, 32))
    assert found["forecasts"]["columns"]["y"]["live"] is None


def test_accuracy_stands_side_by_side(client: FlaskClient) -> None:
    found = preview(client, version=2)["preview"]["accuracy"]
    assert found["same_test_rows"] is True
    assert (found["live"]["label"], found["live"]["test_rows"]) == ("ex ante", 6)
    assert (found["live"]["from"], found["live"]["until"]) == ("2017-07-01", "2017-12-01")
    measured = found["target"]["columns"]["sales"]
    assert measured["skill"] == pytest.approx(1 - measured["rmse"] / measured["baseline"])
    without = preview(client, version=3)["preview"]["accuracy"]
    assert (without["target"], without["same_test_rows"]) == (None, False)


def test_the_gate_is_judged_with_what_was_found_and_needed(client: FlaskClient, engine: Engine) -> None:
    assert preview(client, version=2)["preview"]["gate"] is None
    protect_alias(engine, "sales", "production", Protection(min_skill=0.999, max_age_days=10))
    found = preview(client, version=2)["preview"]
    assert found["gate"]["passed"] is False
    conditions = {condition["name"]: condition for condition in found["gate"]["conditions"]}
    assert conditions["verdict"]["passed"] is True
    assert (conditions["age"]["passed"], conditions["age"]["needed"]) == (False, 10)
    assert conditions["skill"]["found"].keys() == {"sales", "returns"}
    assert found["refusal"]["code"] == "gate-closed"
    problem_of(client.post(f"{ADMIN}/promote", json={"version": 2}), 409, "gate-closed")


def test_the_way_back_shows_no_gate(client: FlaskClient, engine: Engine) -> None:
    client.post(f"{ADMIN}/promote", json={"version": 2})
    protect_alias(engine, "sales", "production", Protection(min_skill=0.999, approval=True))
    found = preview(client, "rollback")
    assert (found["version"], found["previous"], found["stack"]) == (1, 2, [1])
    assert (found["preview"]["gate"], found["preview"]["refusal"]) == (None, None)


def test_where_nothing_is_live_the_target_stands_alone(client: FlaskClient) -> None:
    answer = dry(client, version=2, alias="candidate")
    document = answer.get_json()
    assert (document["previous"], document["changed"], "ETag" in answer.headers) == (None, True, False)
    found = document["preview"]
    assert [notice["code"] for notice in found["notices"]] == ["nothing-live"]
    assert (found["schema"], found["accuracy"]["live"]) == (None, None)
    assert len(found["forecasts"]["columns"]["sales"]["target"]) == 12
    assert found["forecasts"]["columns"]["sales"]["live"] is None


def test_what_is_live_already_would_change_nothing(client: FlaskClient) -> None:
    document = preview(client, version=1)
    assert (document["changed"], document["stack"]) == (False, [1])
    assert document["preview"]["forecasts"]["columns"]["sales"]["largest"]["absolute"] == 0


def test_the_target_is_proved_as_it_is_for_a_move(client: FlaskClient, engine: Engine) -> None:
    with writing(engine) as connection:
        this = versions.c.number == 2
        golden = connection.execute(sa.select(versions.c.golden).where(this)).scalar_one()
        golden["mean"][0][0] += 1.0
        connection.execute(versions.update().where(this).values(golden=golden))
    problem_of(dry(client, version=2), 409, "target-refused")
    problem_of(dry(client, version=9), 404, "version-not-found")
    problem_of(dry(client, "rollback"), 409, "nothing-to-roll-back-to")
    problem_of(
        client.post(f"{ADMIN}/promote?dry_run=true", json={"version": 3}, headers={"If-Match": '"x"'}), 412, "alias-stale"
    )


def test_a_live_version_that_cannot_be_loaded_does_not_hide_the_way_out(client: FlaskClient, engine: Engine) -> None:
    digest = get_version(engine, "sales", 1).artifact_digest
    with writing(engine) as connection:
        connection.execute(artifacts.update().where(artifacts.c.digest == digest).values(content=b"spoilt"))
    found = preview(client, version=2)["preview"]
    assert [notice["code"] for notice in found["notices"]] == ["live-not-loaded"]
    assert found["forecasts"]["columns"]["sales"]["live"] is None
    assert len(found["forecasts"]["columns"]["sales"]["target"]) == 12


@pytest.mark.parametrize("query", ["dry_run=yes", "dry_run=", "dryrun=true", "dry_run=true&promote=true"])
def test_a_dry_run_that_is_spelt_otherwise_moves_nothing(client: FlaskClient, query: str) -> None:
    document = problem_of(client.post(f"{ADMIN}/promote?{query}", json={"version": 2}), 422, "request-invalid")
    assert "dry_run" in words_of(document) or "dryrun" in words_of(document)
    assert client.get("/models/sales").get_json()["aliases"] == {"production": 1}


def test_dry_run_false_is_the_move(client: FlaskClient) -> None:
    assert "preview" not in client.post(f"{ADMIN}/promote?dry_run=false", json={"version": 2}).get_json()
    assert client.get("/models/sales").get_json()["aliases"] == {"production": 2}
