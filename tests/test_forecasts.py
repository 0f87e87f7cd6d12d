"""Forecasts in every form that clients are promised, and the reading of models, versions and plugins."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from forecastle.http.services import EXTENSION
from forecastle.settings import Settings
from forecastle_registry.versions import Registered
from forecastle_sdk import Fit, Index, Notice
from forecastle_sdk.naive import NaivePlugin
from tests.naive import EXOG_OF_THREE, NEXT_MONTHS, dataset, monthly_sales, naive_catalogue, numbered_rows, train_naive
from tests.problems import problem_of

ADDRESS = "/models/sales/forecast"
ASKED = {"horizon": 3, "exog": EXOG_OF_THREE}
RECORDS = [{"price": price, "promo": promo} for price, promo in zip(*EXOG_OF_THREE.values(), strict=True)]
QUERY = "price=9.5,9.0,9.25&promo=0,1,0"
pytestmark = pytest.mark.usefixtures("registered_model")


def answered(client: FlaskClient, body: object, address: str = ADDRESS) -> Any:
    answer = client.post(address, json=body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_answer_has_exactly_the_members_of_the_wire(client: FlaskClient) -> None:
    answer = answered(client, {**ASKED, "levels": [80, 95]})
    assert list(answer) == [
        "model",
        "frequency",
        "trained_until",
        "timestamps",
        "mean",
        "intervals",
        "conditional_on",
        "notices",
    ]
    assert answer["model"] == {"name": "sales", "version": 1, "alias": "production", "plugin": "naive"}
    assert (answer["frequency"], answer["trained_until"]) == ("MS", "2017-12-01")
    assert answer["timestamps"] == NEXT_MONTHS
    assert answer["mean"] == {"sales": [107.0] * 3, "returns": [117.0] * 3}  # the last values stay
    assert [interval["level"] for interval in answer["intervals"]] == [80, 95]
    assert answer["conditional_on"] == ["price", "promo"]
    assert answer["notices"] == []


def test_intervals_contain_the_mean_and_each_other(client: FlaskClient) -> None:
    answer = answered(client, {**ASKED, "levels": [95, 50, 80]})
    narrow, middle, wide = answer["intervals"]
    assert [each["level"] for each in (narrow, middle, wide)] == [50, 80, 95]
    for name in ("sales", "returns"):
        for step in range(3):
            bounds = [each["lower"][name][step] for each in (wide, middle, narrow)]
            bounds += [answer["mean"][name][step], *(each["upper"][name][step] for each in (narrow, middle, wide))]
            assert bounds == sorted(bounds)
            assert len(set(bounds)) == 7


def test_neither_levels_nor_quantiles_mean_a_level_of_95(client: FlaskClient) -> None:
    assert answered(client, ASKED) == answered(client, {**ASKED, "levels": [95]})


def test_quantiles_come_under_their_own_names_and_instead_of_intervals(client: FlaskClient) -> None:
    answer = answered(client, {**ASKED, "quantiles": [0.9, 0.1, 0.5]})
    assert "intervals" not in answer
    assert list(answer["quantiles"]) == ["0.1", "0.5", "0.9"]
    assert answer["quantiles"]["0.5"] == answer["mean"]
    (interval,) = answered(client, {**ASKED, "levels": [80]})["intervals"]
    assert answer["quantiles"]["0.1"]["sales"] == pytest.approx(interval["lower"]["sales"], rel=1e-12)


def test_quantiles_that_differ_in_the_last_digit_are_both_answered(client: FlaskClient) -> None:
    assert list(answered(client, {**ASKED, "quantiles": [0.3, 0.30000000000000004]})["quantiles"]) == [
        "0.3",
        "0.30000000000000004",
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"exog": EXOG_OF_THREE},
        {"h": 3, "exog": EXOG_OF_THREE},
        {"steps": 3, "exog": EXOG_OF_THREE},
        {"horizon": 3, "h": 3, "steps": 3, "exog": EXOG_OF_THREE},
        {"horizon": 3, "exog": RECORDS},
        {"exog": RECORDS},
        {"exog": RECORDS, "alias": "production"},
        {"exog": {"promo": [0, 1, 0], "price": [9.5, 9, 9.25]}},
    ],
    ids=str,
)
def test_the_same_question_in_other_words_has_the_same_answer(client: FlaskClient, body: dict[str, Any]) -> None:
    assert answered(client, body) == answered(client, ASKED)


@pytest.mark.parametrize("more", ["", "&horizon=3", "&h=3", "&steps=3", "&alias=production", "&levels=95", "&horizon=3&h=3"])
def test_a_query_asks_what_a_body_asks(client: FlaskClient, more: str) -> None:
    assert client.get(f"{ADDRESS}?{QUERY}{more}").get_json() == answered(client, ASKED)


def test_a_query_takes_levels_quantiles_and_a_version(client: FlaskClient) -> None:
    by_query = client.get(f"{ADDRESS}?{QUERY}&levels=80,99.5&version=1").get_json()
    assert by_query == answered(client, {**ASKED, "levels": [80, 99.5], "version": 1})
    assert [interval["level"] for interval in by_query["intervals"]] == [80, 99.5]
    by_query = client.get(f"{ADDRESS}?{QUERY}&quantiles=0.1,0.9").get_json()
    assert by_query == answered(client, {**ASKED, "quantiles": [0.1, 0.9]})


def test_one_step_may_be_a_number_instead_of_a_list(client: FlaskClient) -> None:
    assert answered(client, {"exog": {"price": 9, "promo": 1}}) == answered(client, {"exog": {"price": [9], "promo": [1]}})


def test_a_version_is_pinned_by_body_by_query_or_by_address(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train(data=monthly_sales(shift=100))
    pinned = answered(client, {**ASKED, "version": 2})
    assert pinned["model"] == {"name": "sales", "version": 2, "alias": None, "plugin": "naive"}
    assert pinned["mean"]["sales"] == [207.0] * 3
    assert answered(client, ASKED, "/models/sales/versions/2/forecast") == pinned
    assert client.get(f"{ADDRESS}?{QUERY}&version=2").get_json() == pinned
    assert answered(client, ASKED)["model"]["version"] == 1


def test_an_alias_is_followed(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train(data=monthly_sales(shift=100))
    client.post("/admin/models/sales/promote", json={"version": 2, "alias": "staging"})
    answer = answered(client, {**ASKED, "alias": "staging"})
    assert (answer["model"]["version"], answer["model"]["alias"]) == (2, "staging")
    assert client.get(f"{ADDRESS}?{QUERY}&alias=staging").get_json() == answer


def test_a_model_without_exog_needs_a_horizon_only(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train("plain", monthly_sales(exog=()))
    answer = answered(client, {"horizon": 3}, "/models/plain/forecast")
    assert (answer["timestamps"], answer["conditional_on"]) == (NEXT_MONTHS, [])
    assert client.get("/models/plain/forecast?horizon=3").get_json() == answer


def test_an_integer_index_answers_integers(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train("counted", numbered_rows())
    answer = answered(client, {"horizon": 2}, "/models/counted/forecast")
    assert (answer["timestamps"], answer["trained_until"], answer["frequency"]) == ([20, 21], 19, None)
    assert client.get("/models/counted/exog-template?horizon=2").text == "timestamp\n20\n21\n"


def test_times_keep_the_convention_of_the_training_data(client: FlaskClient, train: Callable[..., Registered]) -> None:
    for name, index, expected in [
        ("quarter-ends", Index("time", "2017-12-31", "QE-DEC"), ["2018-03-31", "2018-06-30"]),
        ("hours", Index("time", "2024-03-31T01:00:00+01:00", "h", "Europe/Berlin"), ["2024-03-31T03:00:00+02:00"]),
    ]:
        train(name, dataset(index, ("y",), (), 20, 0))
        assert answered(client, {"horizon": len(expected)}, f"/models/{name}/forecast")["timestamps"] == expected


def test_csv_has_a_row_for_each_step_and_the_columns_of_the_wire(client: FlaskClient) -> None:
    answer = client.post(ADDRESS, json={**ASKED, "levels": [80, 95, 99.5]}, headers={"Accept": "text/csv"})
    assert answer.content_type == "text/csv; charset=utf-8"
    rows = table_of(answer.text)
    columns = ["yhat", "yhat_lower", "yhat_upper", "lower_80", "upper_80", "lower_95", "upper_95"]
    assert list(rows[0]) == ["timestamp", *(f"{name}__{column}" for name in ("sales", "returns") for column in columns)]
    assert [row["timestamp"] for row in rows] == NEXT_MONTHS


def test_csv_tells_its_version_and_the_codes_of_its_notices_as_headers(client: FlaskClient, engine: Engine) -> None:
    def headers() -> dict[str, str]:
        answer = client.post(ADDRESS, json=ASKED, headers={"Accept": "text/csv"})
        return {name: value for name, value in answer.headers.items() if name.startswith("Forecast-")}

    assert headers() == {"Forecast-Version": "1"}
    codes = ("flat", "boundary", "flat", "two\r\nlines", "")
    train_naive(engine, settings_of(client), catalogue=naive_catalogue(Noticing(codes)), promote=True)
    assert headers() == {"Forecast-Version": "2", "Forecast-Notices": "flat, boundary"}
    assert [notice["code"] for notice in answered(client, ASKED)["notices"]] == list(dict.fromkeys(codes))


class Noticing(NaivePlugin):
    """Has notices of some codes with every fit."""

    def __init__(self, codes: tuple[str, ...]) -> None:
        self.codes = codes

    def fit(self, *arguments: Any) -> Fit:
        return replace(super().fit(*arguments), notices=tuple(Notice(code, "a sentence") for code in self.codes))


def settings_of(client: FlaskClient) -> Settings:
    found: Settings = client.application.extensions[EXTENSION].settings
    return found


def test_csv_says_the_same_numbers_as_json(client: FlaskClient) -> None:
    rows = table_of(client.post(ADDRESS, json={**ASKED, "levels": [80, 95]}, headers={"Accept": "text/csv"}).text)
    narrow, wide = answered(client, {**ASKED, "levels": [80, 95]})["intervals"]
    assert [float(row["sales__yhat_lower"]) for row in rows] == wide["lower"]["sales"]
    assert [float(row["returns__yhat_upper"]) for row in rows] == wide["upper"]["returns"]
    assert [float(row["sales__upper_80"]) for row in rows] == narrow["upper"]["sales"]


def test_csv_names_quantiles_by_their_number(client: FlaskClient) -> None:
    answer = client.get(f"{ADDRESS}?{QUERY}&quantiles=0.1,0.9", headers={"Accept": "text/csv"})
    assert list(table_of(answer.text)[0])[:4] == ["timestamp", "sales__yhat", "sales__quantile_0.1", "sales__quantile_0.9"]


def test_levels_that_are_near_to_each_other_have_columns_of_their_own(client: FlaskClient) -> None:
    levels = [99.9999991, 99.9999992, 99.9999993]
    answer = client.post(ADDRESS, json={**ASKED, "levels": levels}, headers={"Accept": "text/csv"})
    header = answer.text.splitlines()[0].split(",")
    assert len(set(header)) == len(header)


ACCEPTED = [
    (None, "application/json"),
    ("*/*", "application/json"),
    ("application/json", "application/json"),
    ("application/*", "application/json"),
    ("text/csv", "text/csv"),
    ("text/csv; charset=utf-8", "text/csv"),
    ("text/*", "text/csv"),
    ("text/csv, application/json;q=0.5", "text/csv"),
    ("application/json, text/csv;q=0.9", "application/json"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),  # a browser
    ("", "application/json"),
    ("nonsense", None),
    ("text/html", None),
    ("application/xml", None),
    ("application/json;q=0", None),
]


def test_accept_decides_between_json_and_csv(client: FlaskClient) -> None:
    for accept, expected in ACCEPTED:
        headers = {} if accept is None else {"Accept": accept}
        for answer in (client.post(ADDRESS, json=ASKED, headers=headers), client.get(f"{ADDRESS}?{QUERY}", headers=headers)):
            if expected is None:
                document = problem_of(answer, 406, "not-acceptable")
                assert "text/csv" in document["detail"]
            else:
                assert (answer.status_code, answer.mimetype) == (200, expected), accept


def test_an_error_is_a_problem_whatever_is_accepted(client: FlaskClient) -> None:
    for accept in ("text/csv", "text/html", "image/png"):
        problem_of(client.get("/models/absent", headers={"Accept": accept}), 404, "model-not-found")


def test_a_horizon_up_to_the_limit_is_answered(
    client: FlaskClient, serve: Callable[..., flask.Flask], settings: Settings
) -> None:
    exog = {"price": [9] * 1000, "promo": [0] * 1000}
    assert len(answered(client, {"horizon": 1000, "exog": exog})["timestamps"]) == 1000
    short = serve(replace(settings, max_horizon=3)).test_client()
    assert len(answered(short, ASKED)["timestamps"]) == 3
    four = {"price": [9] * 4, "promo": [0] * 4}
    problem_of(short.post(ADDRESS, json={"exog": four}), 422, "horizon-too-large")


def test_head_and_options_are_answered_as_http_says(client: FlaskClient) -> None:
    head = client.head(f"{ADDRESS}?{QUERY}")
    assert (head.status_code, head.data) == (200, b"")
    assert {"GET", "POST"} <= set(client.options(ADDRESS).headers["Allow"].split(", "))


def test_models_are_listed_by_name_in_pages(client: FlaskClient, train: Callable[..., Registered]) -> None:
    for name in ("beta", "alpha"):
        train(name)
    assert [model["name"] for model in client.get("/models").get_json()["items"]] == ["alpha", "beta", "sales"]
    first = client.get("/models?limit=2").get_json()
    assert ([model["name"] for model in first["items"]], first["next"]) == (["alpha", "beta"], "beta")
    last = client.get(f"/models?limit=2&after={first['next']}").get_json()
    assert ([model["name"] for model in last["items"]], last["next"]) == (["sales"], None)


def test_a_model_says_what_it_is_and_where_to_go_on(client: FlaskClient) -> None:
    model = client.get("/models/sales").get_json()
    assert (model["name"], model["plugin"], model["aliases"], model["latest"]) == ("sales", "naive", {"production": 1}, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", model["created_at"])
    assert client.get(model["links"]["docs"]).status_code == 200
    assert client.get(model["links"]["versions"]).status_code == 200
    assert client.get(model["links"]["self"]).get_json() == model


def test_versions_are_listed_newest_first_in_pages(client: FlaskClient, train: Callable[..., Registered]) -> None:
    for number in range(2):
        train(data=monthly_sales(shift=number))
    first = client.get("/models/sales/versions?limit=2").get_json()
    assert ([version["number"] for version in first["items"]], first["next"]) == ([3, 2], "2")
    last = client.get("/models/sales/versions?after=2").get_json()
    assert [(version["number"], version["aliases"]) for version in last["items"]] == [(1, ["production"])]
    assert last["next"] is None


def test_a_version_has_everything_about_it(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train("measured", parameters={"test_size": 0.25, "drift": True})
    version = client.get("/models/measured/versions/1").get_json()
    expected = {"signature", "estimates", "verdict", "candidates", "accuracy", "lineage", "notices", "aliases", "state_digest"}
    assert version.keys() >= expected
    assert (version["number"], version["model"], version["aliases"]) == (1, "measured", ["production"])
    assert version["signature"]["endog"] == ["sales", "returns"]
    assert [column["name"] for column in version["signature"]["exog"]] == ["price", "promo"]
    assert {estimate["name"] for estimate in version["estimates"]} >= {"sigma2.sales", "drift.returns"}
    assert all(estimate.keys() == {"name", "value", "std_error"} for estimate in version["estimates"])
    assert version["accuracy"]["test_rows"] == 9
    assert {"dataset", "plugin", "seed", "libraries", "blas"} <= version["lineage"].keys()
    assert version["parameters"]["drift"] is True


def test_the_process_is_live_and_ready_with_no_model_at_all(serve: Callable[..., flask.Flask]) -> None:
    client = serve().test_client()
    assert client.get("/health/live").get_json() == {"status": "ok"}
    assert client.get("/health/ready").get_json() == {"status": "ok", "problems": []}


def test_plugins_are_listed_with_their_parameters(client: FlaskClient) -> None:
    listing = client.get("/plugins").get_json()
    assert (len(listing["items"]), listing["next"]) == (1, None)
    plugin = client.get("/plugins/naive").get_json()
    assert plugin == listing["items"][0]
    assert (plugin["usable"], plugin["problem"], plugin["distribution"]) == (True, None, "forecastle-sdk")
    assert {"append", "exog", "missing", "multivariate", "simulate"} == set(plugin["capabilities"])
    assert {"drift", "test_size", "refit"} <= plugin["parameters"]["properties"].keys()
