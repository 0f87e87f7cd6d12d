"""New rows without a refit: the child version, its lineage, and each thing that can be wrong with the rows."""

import io
import json
from collections.abc import Callable
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from forecastle_registry.versions import Registered
from forecastle_sdk import Capability, Plugin
from forecastle_sdk.naive import NaivePlugin
from tests.naive import monthly_sales, naive_catalogue, numbered_rows
from tests.problems import problem_of, words_of

ADDRESS = "/models/sales/observations"
ENDOG = {"sales": [120.0, 121.0], "returns": [130.0, 131.0]}
EXOG = {"price": [9.0, 9.5], "promo": [1, 0]}
ROWS = {"index": ["2018-01-01", "2018-02-01"], "endog": ENDOG, "exog": EXOG}
FILE = b"date,sales,returns,price,promo\n2018-01-01,120,130,9,1\n2018-02-01,121,131,9.5,0\n"
pytestmark = pytest.mark.usefixtures("registered_model")


def rows(**changes: Any) -> dict[str, Any]:
    """Return two good rows, but for the changes; None leaves a member out."""
    return {name: value for name, value in {**ROWS, **changes}.items() if value is not None}


def observe(client: FlaskClient, body: object, query: str = "", model: str = "sales") -> TestResponse:
    address = f"/models/{model}/observations{query}"
    return client.post(address, data=json.dumps(body), content_type="application/json")


def observe_file(client: FlaskClient, content: bytes) -> TestResponse:
    return client.post(ADDRESS, data={"file": (io.BytesIO(content), "rows.csv")})


def forecast(client: FlaskClient, version: int) -> Any:
    body = {"exog": {"price": [9], "promo": [0]}}
    return client.post(f"/models/sales/versions/{version}/forecast", json=body).get_json()


def test_new_rows_make_a_child_version_that_has_seen_them(client: FlaskClient) -> None:
    answer = observe(client, ROWS)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/models/sales/versions/2"
    assert answer.get_json() == {
        "model": "sales",
        "version": 2,
        "parent": 1,
        "live": False,
        "refusal": None,
        "trained_until": "2018-02-01",
        "nobs": 38,
    }
    child = forecast(client, 2)
    assert (child["timestamps"], child["mean"]["sales"]) == (["2018-03-01"], [121.0])
    assert child["trained_until"] == "2018-02-01"
    assert "observations-appended" in [notice["code"] for notice in child["notices"]]
    assert forecast(client, 1)["timestamps"] == ["2018-01-01"]  # the parent is as it was


def test_a_child_has_its_parent_and_its_rows_in_its_lineage(client: FlaskClient) -> None:
    observe(client, ROWS)
    child, parent = (client.get(f"/models/sales/versions/{number}").get_json() for number in (2, 1))
    assert (child["parent"], child["lineage"]["parent"]) == (1, 1)
    assert child["lineage"]["appended"] == {"rows": 2, "until": "2018-02-01", "endog": ENDOG, "exog": EXOG}
    assert child["parameters"] == parent["parameters"]
    assert child["state_digest"] != parent["state_digest"]
    assert child["signature"]["nobs"] == 38


def test_a_child_goes_live_only_when_that_is_asked_for(client: FlaskClient) -> None:
    observe(client, ROWS)
    assert client.get("/models/sales").get_json()["aliases"] == {"production": 1}
    answer = observe(client, ROWS, "?promote=true")
    assert (answer.get_json()["version"], answer.get_json()["live"]) == (3, True)
    assert client.get("/models/sales").get_json()["aliases"] == {"production": 3}
    assert client.post("/admin/models/sales/rollback", json={}).get_json()["stack"] == [1]


def test_rows_follow_the_version_that_is_live(client: FlaskClient) -> None:
    observe(client, ROWS, "?promote=true")
    document = problem_of(observe(client, ROWS), 422, "times-do-not-match")
    assert "2018-03-01" in words_of(document)
    later = rows(index=["2018-03-01", "2018-04-01"])
    assert observe(client, later).get_json()["parent"] == 2


def test_rows_can_come_as_records_without_index_or_with_missing_values(client: FlaskClient) -> None:
    records = [{"sales": 120.0, "returns": None}, {"sales": 121.0, "returns": 131.0}]
    exog = [{"price": 9.0, "promo": 1}, {"price": 9.5, "promo": 0}]
    assert observe(client, {"endog": records, "exog": exog}).status_code == 201
    assert forecast(client, 2)["mean"] == {"sales": [121.0], "returns": [131.0]}


def test_a_file_does_what_json_does(client: FlaskClient) -> None:
    observe(client, ROWS)
    assert observe_file(client, FILE).status_code == 201
    by_json, by_file = (client.get(f"/models/sales/versions/{number}").get_json() for number in (2, 3))
    assert by_json["state_digest"] == by_file["state_digest"]
    unnamed = FILE.replace(b"sales,", b"weather,sales,").replace(b"-01,", b"-01,7,", 2)
    assert observe_file(client, unnamed).status_code == 201  # columns that the model does not know take no part
    missing = FILE.replace(b",120,", b",,")
    assert observe_file(client, missing).status_code == 201


def test_a_model_without_exog_or_with_an_integer_index_takes_rows_too(
    client: FlaskClient, train: Callable[..., Registered]
) -> None:
    train("counted", numbered_rows())
    assert observe(client, {"endog": {"y": [5.0]}}, model="counted").get_json()["trained_until"] == 20
    assert observe(client, {"endog": {"y": 5}, "index": [20]}, model="counted").status_code == 201
    problem_of(observe(client, {"endog": {"y": [5]}, "index": [7]}, model="counted"), 422, "times-do-not-match")
    problem_of(observe(client, {"endog": {"y": [5]}, "exog": {"x": [1]}}, model="counted"), 422, "exog-unknown")


NAN, INF, HUGE = float("nan"), float("inf"), 10**400

WRONG: list[tuple[Any, str, list[str]]] = [
    (rows(endog=None), "request-invalid", ["/endog"]),
    (rows(endog={}), "observations-incomplete", ["sales, returns", "/endog/sales"]),
    (rows(endog=[]), "observations-incomplete", ["sales, returns"]),
    (rows(endog={"sales": [1, 2]}), "observations-incomplete", ["/endog/returns", "absent"]),
    (rows(endog={**ENDOG, "weather": [1, 2]}), "observations-incomplete", ["/endog/weather"]),
    (rows(endog={**ENDOG, "\ud800": [1, 2]}), "observations-incomplete", ["/endog/"]),
    (rows(endog={**ENDOG, "\0": [1, 2]}), "observations-incomplete", ["/endog/"]),
    (rows(endog={"sales": [], "returns": []}), "observations-invalid", ["at least one"]),
    (rows(endog={"sales": [1, 2], "returns": [1]}), "observations-invalid", ["[1, 2] rows"]),
    (rows(endog={"sales": [1, "2"], "returns": [1, 2]}), "observations-invalid", ["/endog/sales/1", "'2'", "row 2", "number"]),
    (rows(endog={"sales": [1, True], "returns": [1, 2]}), "observations-invalid", ["/endog/sales/1", "True", "row 2"]),
    (rows(endog={"sales": [1, [2]], "returns": [1, 2]}), "observations-invalid", ["/endog/sales/1", "row 2"]),
    (rows(endog={"sales": [1, 2], "returns": [NAN, 2]}), "observations-invalid", ["/endog/returns/0", "nan", "row 1", "null"]),
    (rows(endog={"sales": [1, 2], "returns": [1, INF]}), "observations-invalid", ["/endog/returns/1", "inf", "row 2"]),
    (rows(endog={"sales": [1, HUGE], "returns": [1, 2]}), "observations-invalid", ["/endog/sales/1", "row 2"]),
    (rows(endog=[{"sales": 1, "returns": 1}, {"sales": 1}]), "exog-invalid", ["endog", "row 2"]),
    (rows(endog=[1, 2]), "exog-invalid", ["/endog/0"]),
    (rows(endog="sales"), "request-invalid", ["/endog"]),
    (rows(exog=None), "exog-missing", ["price", "promo"]),
    (rows(exog={"price": [9, 9]}), "exog-missing", ["/exog/promo"]),
    (rows(exog={**EXOG, "weather": [1, 2]}), "exog-unknown", ["/exog/weather"]),
    (rows(exog={"price": [9], "promo": [1, 0]}), "exog-too-short", ["price", "1 values", "expected 2"]),
    (rows(exog={"price": [9, 9, 9], "promo": [1, 0]}), "exog-too-long", ["price", "3 values", "expected 2"]),
    (rows(exog={"price": [9, None], "promo": [1, 0]}), "exog-not-a-number", ["/exog/price/1", "nothing", "row 2"]),
    (rows(exog={"price": [9, NAN], "promo": [1, 0]}), "exog-not-finite", ["/exog/price/1", "nan", "row 2"]),
    (rows(exog={"price": [9, -HUGE], "promo": [1, 0]}), "exog-not-finite", ["/exog/price/1", "row 2"]),
    (rows(index=["2018-01-01"]), "observations-invalid", ["1 stamps", "2 rows"]),
    (rows(index=[]), "observations-invalid", ["0 stamps"]),
    (rows(index=["2018-01-01", "2018-03-01"]), "times-do-not-match", ["/index/1", "row 2", "2018-03-01", "2018-02-01"]),
    (rows(index=["2017-12-01", "2018-01-01"]), "times-do-not-match", ["/index/0", "row 1", "expected 2018-01-01"]),
    (rows(index=["first", "second"]), "times-do-not-match", ["'first'"]),
    (rows(index=[None, "2018-02-01"]), "request-invalid", ["/index/0"]),
    (rows(index=[{}, []]), "times-do-not-match", ["/index/0"]),
    (rows(index=[HUGE, True]), "times-do-not-match", ["/index/0"]),
    (rows(index=["\ud800", "\0"]), "times-do-not-match", ["/index/0"]),
    (rows(index=[NAN, INF]), "times-do-not-match", ["/index/0"]),
    (rows(index="2018-01-01"), "request-invalid", ["/index"]),
    (rows(rows=2), "request-invalid", ["/rows", "Unknown"]),
    ([], "request-invalid", []),
]


def test_each_wrong_body_is_told_what_is_wrong_and_registers_nothing(client: FlaskClient) -> None:
    for body, code, words in WRONG:
        document = problem_of(observe(client, body), 422, code)
        missing = [word for word in words if word not in words_of(document)]
        assert not missing, f"{str(body)[:200]}: {words_of(document)!r} lacks {missing}"
    assert client.get("/models/sales").get_json()["latest"] == 1


def test_what_is_wrong_with_a_file_is_told_by_column_and_row(client: FlaskClient) -> None:
    for content, code, words in [
        (b"", "file-empty", []),
        (b"\x89PNG\r\n\0\0", "file-binary", []),
        (b"1,2,3,4\n5,6,7,8\n", "header-missing", []),
        (FILE.splitlines()[0], "file-without-rows", []),
        (FILE.replace(b"returns", b"refunds"), "observations-incomplete", ["/file/returns", "absent"]),
        (FILE.replace(b"price", b"sales"), "column-doubled", ["'sales'"]),
        (FILE.replace(b"121", b"many"), "cell-not-a-number", ["'sales'", "'many'", "row 3"]),
        (FILE.replace(b"121", b"inf"), "cell-not-a-number", ["'sales'", "'inf'", "row 3"]),
        (FILE.replace(b"9.5", b""), "cell-not-a-number", ["'price'", "nothing", "row 3"]),
        (FILE.replace(b"2018-02", b"2018-03"), "times-do-not-match", ["row 3", "2018-02-01"]),
    ]:
        document = problem_of(observe_file(client, content), 422, code)
        missing = [word for word in words if word not in words_of(document)]
        assert not missing, f"{content!r}: {words_of(document)!r} lacks {missing}"
    assert client.get("/models/sales").get_json()["latest"] == 1


def test_the_form_and_the_query_are_read_strictly(client: FlaskClient) -> None:
    for query in ("?promote=yes", "?promote=", "?promote=TRUE", "?live=true", "?promote=true&now=1"):
        problem_of(observe(client, ROWS, query), 422, "request-invalid")
    problem_of(observe(client, ROWS, "?promote=true&promote=true"), 422, "parameter-doubled")
    for content_type in ("text/csv", "application/x-www-form-urlencoded", "text/plain", ""):
        problem_of(client.post(ADDRESS, data=FILE, content_type=content_type), 415, "content-type-wrong")
    twice = [(io.BytesIO(FILE), "a.csv"), (io.BytesIO(FILE), "b.csv")]
    problem_of(client.post(ADDRESS, data={"file": twice}), 422, "file-missing")
    extra = {"file": (io.BytesIO(FILE), "a.csv"), "promote": "true"}
    problem_of(client.post(ADDRESS, data=extra), 422, "file-missing")
    assert client.get("/models/sales").get_json()["latest"] == 1


def test_a_large_integer_is_stored_as_the_float_that_it_is(client: FlaskClient) -> None:
    answer = observe(client, rows(endog={"sales": [10**30, 10**25], "returns": [1, 2]}))
    assert answer.status_code == 201
    version = client.get("/models/sales/versions/2")
    assert version.status_code == 200, version.text
    assert version.get_json()["lineage"]["appended"]["endog"]["sales"] == [1e30, 1e25]


def test_rows_from_which_no_finite_forecast_follows_register_nothing(client: FlaskClient) -> None:
    answer = observe(client, rows(endog={"sales": [1.7e308, 1.7976931348623157e308], "returns": [1, 2]}))
    if answer.status_code != 201:
        problem_of(answer, 422, "forecast-not-finite")
        assert client.get("/models/sales").get_json()["latest"] == 1


class Unappendable(NaivePlugin):
    capabilities = frozenset({Capability.EXOG, Capability.MULTIVARIATE})


def test_a_plugin_that_cannot_append_says_so(serve: Callable[..., flask.Flask]) -> None:
    plugin: Plugin = Unappendable()
    client = serve(plugins=naive_catalogue(plugin)).test_client()
    document = problem_of(observe(client, ROWS), 422, "capability-missing")
    assert "train a new version" in document["detail"]


def test_a_child_of_a_child_keeps_one_notice_about_its_rows(client: FlaskClient) -> None:
    observe(client, ROWS, "?promote=true")
    observe(client, rows(index=None), "?promote=true")
    notices = client.get("/models/sales/versions/3").get_json()["notices"]
    assert [notice["code"] for notice in notices].count("observations-appended") == 1


def test_rows_of_one_model_do_not_touch_another(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train("other", monthly_sales(shift=5))
    observe(client, ROWS, "?promote=true")
    assert client.get("/models/other").get_json()["latest"] == 1


def test_a_child_has_the_accuracy_of_its_parameters_and_says_whose(
    client: FlaskClient, train: Callable[..., Registered]
) -> None:
    train(promote=True, parameters={"test_size": 6})
    for child in (3, 4):
        assert observe(client, ROWS if child == 3 else rows(index=None), "?promote=true").get_json()["version"] == child
        own, its = (client.get(f"/models/sales/versions/{number}").get_json()["accuracy"] for number in (2, child))
        assert its == {"measured_of": 2, **own}
