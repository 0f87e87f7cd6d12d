"""Whatever a client gets wrong is told to it: the status, a stable code, and the column, the row and what was expected."""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import flask
import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from forecastle.settings import Settings
from forecastle_registry.versions import Registered
from forecastle_sdk import Dataset, Index
from tests.naive import EXOG_OF_THREE, dataset, monthly_sales
from tests.problems import problem_of, words_of

FORECAST = "/models/sales/forecast"
PRICE, PROMO = EXOG_OF_THREE["price"], EXOG_OF_THREE["promo"]
HUGE = 10**400  # no float holds it
pytestmark = pytest.mark.usefixtures("registered_model")


@pytest.fixture
def small_client(serve: Callable[..., flask.Flask], settings: Settings) -> FlaskClient:
    """A client of a server that takes bodies of a thousand bytes."""
    return serve(replace(settings, max_upload=1000)).test_client()


def asked(**changes: Any) -> dict[str, Any]:
    """Return a good request for three steps, but for the changes; None leaves a member out."""
    document = {"horizon": 3, "exog": EXOG_OF_THREE, **changes}
    return {name: value for name, value in document.items() if value is not None}


def priced(*price: Any) -> dict[str, Any]:
    return asked(exog={"price": list(price), "promo": PROMO})


BODIES: list[tuple[Any, int, str, list[str]]] = [
    # the horizon
    (asked(horizon=0), 422, "horizon-too-small", ["0", "at least 1"]),
    (asked(horizon=-3), 422, "horizon-too-small", ["-3", "at least 1"]),
    (asked(horizon=1001), 422, "horizon-too-large", ["1001", "1000"]),
    (asked(horizon=2**31), 422, "horizon-too-large", ["1000"]),
    (asked(horizon=HUGE), 422, "horizon-too-large", ["1000"]),
    (asked(horizon=3.0), 422, "request-invalid", ["/horizon", "3.0", "whole number"]),
    (asked(horizon="3"), 422, "request-invalid", ["/horizon", "'3'", "whole number"]),
    (asked(horizon=True), 422, "request-invalid", ["/horizon", "True", "whole number"]),
    (asked(horizon=[3]), 422, "request-invalid", ["/horizon", "whole number"]),
    (asked(horizon=float("nan")), 422, "request-invalid", ["/horizon", "nan", "whole number"]),
    (asked(h=4), 422, "request-invalid", ["/h ", "/horizon ", "must agree"]),
    (asked(steps=2), 422, "request-invalid", ["/steps", "must agree"]),
    ({}, 422, "horizon-missing", ["horizon", "exogenous values"]),
    # exog: its columns
    (asked(exog=None), 422, "exog-missing", ["price", "promo"]),
    (asked(exog={}), 422, "exog-missing", ["price", "promo"]),
    (asked(exog=[]), 422, "exog-missing", ["price", "promo"]),
    (asked(exog={"price": PRICE}), 422, "exog-missing", ["/exog/promo", "absent"]),
    (asked(exog={**EXOG_OF_THREE, "weather": PRICE}), 422, "exog-unknown", ["/exog/weather", "price, promo"]),
    (asked(exog={"Price": PRICE, "promo": PROMO}), 422, "exog-unknown", ["/exog/Price", "/exog/price", "absent"]),
    (asked(exog={"sales": PRICE, **EXOG_OF_THREE}), 422, "exog-unknown", ["/exog/sales"]),
    (asked(exog={"\0": PRICE, **EXOG_OF_THREE}), 422, "exog-unknown", ["/exog/"]),
    (asked(exog={"\ud800": PRICE, **EXOG_OF_THREE}), 422, "exog-unknown", ["/exog/"]),
    (asked(exog={"a/b~c": PRICE, **EXOG_OF_THREE}), 422, "exog-unknown", ["/exog/a~1b~0c"]),
    (asked(exog="price"), 422, "request-invalid", ["/exog", "columns"]),
    (asked(exog=7), 422, "request-invalid", ["/exog", "records"]),
    # exog: its rows
    (asked(horizon=4), 422, "exog-too-short", ["price", "3 values", "expected 4"]),
    (asked(horizon=2), 422, "exog-too-long", ["price", "3 values", "expected 2"]),
    (priced(), 422, "exog-too-short", ["price", "0 values", "expected 3"]),
    (asked(exog={"price": [], "promo": []}, horizon=None), 422, "horizon-too-small", ["0"]),
    (asked(exog={"price": [1] * 1001, "promo": [1] * 1001}, horizon=None), 422, "horizon-too-large", ["1001", "1000"]),
    (asked(exog={"price": PRICE, "promo": 1}), 422, "exog-too-short", ["promo", "1 values", "expected 3"]),
    # exog: its cells
    (priced(9, float("nan"), 9), 422, "exog-not-finite", ["price", "/exog/price/1", "nan", "row 2", "finite number"]),
    (priced(9, 9, float("inf")), 422, "exog-not-finite", ["price", "/exog/price/2", "inf", "row 3", "finite number"]),
    (priced(float("-inf"), 9, 9), 422, "exog-not-finite", ["price", "/exog/price/0", "-inf", "row 1"]),
    (priced(9, 9, HUGE), 422, "exog-not-finite", ["/exog/price/2", "row 3", "finite number"]),
    (priced(9, -HUGE, 9), 422, "exog-not-finite", ["/exog/price/1", "row 2", "finite number"]),
    (priced(9, "9", 9), 422, "exog-not-a-number", ["/exog/price/1", "'9'", "row 2", "finite number"]),
    (priced(9, None, 9), 422, "exog-not-a-number", ["/exog/price/1", "nothing", "row 2"]),
    (priced(True, 9, 9), 422, "exog-not-a-number", ["/exog/price/0", "True", "row 1"]),
    (priced(9, [9], 9), 422, "exog-not-a-number", ["/exog/price/1", "row 2"]),
    (priced(9, {"value": 9}, 9), 422, "exog-not-a-number", ["/exog/price/1", "row 2"]),
    (priced(9, "\ud800", 9), 422, "exog-not-a-number", ["/exog/price/1", "row 2"]),
    (priced("x" * 5000, 9, 9), 422, "exog-not-a-number", ["/exog/price/0", "..."]),
    # exog: records
    (asked(exog=[{"price": 9, "promo": 0}] * 2), 422, "exog-too-short", ["price", "2 values", "expected 3"]),
    (asked(exog=[{"price": 9, "promo": 0}, {"price": 9}, {"price": 9, "promo": 0}]), 422, "exog-invalid", ["row 2", "/exog/1"]),
    (asked(exog=[{"price": 9, "promo": 0}, 9, {"price": 9, "promo": 0}]), 422, "exog-invalid", ["/exog/1", "object"]),
    (asked(exog=[9, {"price": 9, "promo": 0}]), 422, "exog-invalid", ["/exog/0", "object"]),
    (asked(exog=[[9, 0]] * 3), 422, "exog-invalid", ["/exog/0", "object"]),
    (asked(exog=[{}, {}, {}]), 422, "exog-missing", ["price", "promo"]),
    (asked(exog=[{"price": 9, "promo": "x"}] * 3), 422, "exog-not-a-number", ["/exog/promo/0", "'x'", "row 1"]),
    # levels and quantiles
    (asked(levels=[80], quantiles=[0.5]), 422, "levels-and-quantiles", ["not both"]),
    (asked(levels=[0]), 422, "levels-invalid", ["/levels/0", "between 0 and 100"]),
    (asked(levels=[95, 100]), 422, "levels-invalid", ["/levels/1", "between 0 and 100"]),
    (asked(levels=[-5]), 422, "levels-invalid", ["/levels/0", "-5"]),
    (asked(levels=[120]), 422, "levels-invalid", ["/levels/0", "120"]),
    (asked(levels=[float("nan")]), 422, "levels-invalid", ["/levels/0", "nan"]),
    (asked(levels=[float("inf")]), 422, "levels-invalid", ["/levels/0", "inf"]),
    (asked(levels=[HUGE]), 422, "request-invalid", ["/levels", "too large"]),
    (asked(levels=[80, 80.0]), 422, "levels-invalid", ["twice"]),
    (asked(levels=[1e-300]), 422, "levels-invalid", ["levels"]),
    (asked(levels=[99.99999999999999]), 422, "levels-invalid", ["levels"]),
    (asked(levels=[1e-15, 2e-15]), 422, "levels-invalid", ["levels"]),
    (asked(levels=[]), 422, "request-invalid", ["/levels", "1 to 100"]),
    (asked(levels=[50 + i / 10 for i in range(101)]), 422, "request-invalid", ["/levels", "101", "1 to 100"]),
    (asked(levels=95), 422, "request-invalid", ["/levels", "list of numbers"]),
    (asked(levels=["95"]), 422, "request-invalid", ["/levels", "list of numbers"]),
    (asked(levels=[True]), 422, "request-invalid", ["/levels", "list of numbers"]),
    (asked(quantiles=[0]), 422, "quantiles-invalid", ["/quantiles/0", "between 0 and 1"]),
    (asked(quantiles=[0.5, 1.0]), 422, "quantiles-invalid", ["/quantiles/1", "between 0 and 1"]),
    (asked(quantiles=[-0.0]), 422, "quantiles-invalid", ["/quantiles/0"]),
    (asked(quantiles=[0.5, 0.5]), 422, "quantiles-invalid", ["twice"]),
    (asked(quantiles={"0": 0.5}), 422, "request-invalid", ["/quantiles", "list of numbers"]),
    # which version
    (asked(version=9), 404, "version-not-found", ["sales", "9"]),
    (asked(version=0), 422, "request-invalid", ["/version"]),
    (asked(version=2**31), 422, "request-invalid", ["/version"]),
    (asked(version=HUGE), 422, "request-invalid", ["/version"]),
    (asked(version=1, alias="production"), 422, "version-and-alias", ["not both"]),
    (asked(alias="staging"), 404, "alias-not-found", ["sales", "staging", "promote"]),
    (asked(alias=""), 422, "request-invalid", ["/alias"]),
    (asked(alias="production\n"), 422, "request-invalid", ["/alias"]),
    (asked(alias="a b"), 422, "request-invalid", ["/alias"]),
    (asked(alias=1), 422, "request-invalid", ["/alias"]),
    # the envelope
    (asked(horizons=3), 422, "request-invalid", ["/horizons", "Unknown"]),
    (asked(**{"\ud800": 3}), 422, "request-invalid", ["Unknown"]),
    ([], 422, "request-invalid", []),
    ("forecast", 422, "request-invalid", []),
    (3, 422, "request-invalid", []),
    (None, 422, "request-invalid", []),
    (asked(levels=[None]), 422, "request-invalid", ["/levels"]),
]


@pytest.mark.parametrize("address", [FORECAST, "/models/sales/versions/1/forecast"])
def test_each_wrong_body_is_told_what_is_wrong_and_where(client: FlaskClient, address: str) -> None:
    for body, status, code, words in BODIES:
        if "versions" in address and isinstance(body, dict) and body.keys() & {"version", "alias"}:
            status, code, words = 422, "request-invalid", ["Unknown"]  # the address has named the version
        document = problem_of(client.post(address, data=json.dumps(body), content_type="application/json"), status, code)
        missing = [word for word in words if word not in words_of(document)]
        assert not missing, f"{str(body)[:200]}: {words_of(document)!r} lacks {missing}"
        assert len(words_of(document)) < 5000


NOT_JSON: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b'{"horizon": 3', "not JSON"),
    (b'{"horizon": 03}', "not JSON"),
    (b"{'horizon': 3}", "not JSON"),
    (b'{"horizon": 3,}', "not JSON"),
    (b'{"horizon": 3} {}', "not JSON"),
    (b"horizon=3", "not JSON"),
    (b"\x00", "not JSON"),
    (b"\xff\xfe\x00", "UTF-8"),
    (b'{"alias": "caf\xe9"}', "UTF-8"),
    (b'{"horizon": ' + b"9" * 5000 + b"}", "not JSON"),
    (b"[" * 100_000, "nested too deeply"),
]


def test_a_body_that_is_not_json_is_400(client: FlaskClient) -> None:
    for body, words in NOT_JSON:
        document = problem_of(client.post(FORECAST, data=body, content_type="application/json"), 400, "malformed-request")
        assert words in document["detail"], body[:80]


def test_no_depth_of_nesting_is_too_much_for_the_server(client: FlaskClient) -> None:
    for depth in (40, 400, *range(900, 1000), 2000):  # near a thousand Python itself gives up, here or there
        for nest in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            for body in (f'{{"horizon": {nest}}}', f'{{"horizon": 1, "exog": {{"price": [{nest}], "promo": [1]}}}}'):
                document = problem_of(
                    client.post(FORECAST, data=body, content_type="application/json"), 400, "malformed-request"
                )
                assert "nested too deeply" in document["detail"]


def test_many_records_are_not_taken_for_deep_ones(client: FlaskClient) -> None:
    assert client.post(FORECAST, json={"exog": [{"price": 9, "promo": 0}] * 1000}).status_code == 200


def test_a_name_that_stands_twice_is_refused_and_named(client: FlaskClient) -> None:
    bodies = ['{"horizon": 3, "horizon": 3}', '{"horizon": 1, "exog": {"price": [1], "promo": [1], "price": [2]}}']
    for body, name in zip(bodies, ["horizon", "price"], strict=True):
        document = problem_of(client.post(FORECAST, data=body, content_type="application/json"), 422, "name-doubled")
        assert name in words_of(document)


def test_a_number_beyond_every_float_is_refused_where_it_stands(client: FlaskClient) -> None:
    body = '{"horizon": 1, "exog": {"price": [1e999], "promo": [0]}}'
    document = problem_of(client.post(FORECAST, data=body, content_type="application/json"), 422, "exog-not-finite")
    assert "/exog/price/0" in words_of(document)


def test_negative_zero_is_a_number(client: FlaskClient) -> None:
    answer = client.post(FORECAST, data='{"exog": {"price": [-0.0], "promo": [-0]}}', content_type="application/json")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/csv", "", "json"],
)
def test_another_content_type_than_json_is_415(client: FlaskClient, content_type: str) -> None:
    document = problem_of(client.post(FORECAST, data=json.dumps(asked()), content_type=content_type), 415, "content-type-wrong")
    assert "application/json" in document["detail"]


def test_a_charset_beside_the_content_type_does_no_harm(client: FlaskClient) -> None:
    for charset in ("utf-8", "UTF-8", "latin-1", "no-such-charset"):
        answer = client.post(FORECAST, data=json.dumps(asked()), content_type=f"application/json; charset={charset}")
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (FORECAST, "application/json"),
        (f"{FORECAST}/file", "multipart/form-data; boundary=x"),
        ("/models/sales/observations", "application/json"),
        ("/models/sales/observations", "multipart/form-data; boundary=x"),
        ("/admin/models/sales/promote", "application/json"),
    ],
)
def test_a_body_that_is_packed_is_415(client: FlaskClient, address: str, kind: str) -> None:
    packed = client.post(address, data=gzip.compress(b"{}"), content_type=kind, headers={"Content-Encoding": "gzip"})
    assert "gzip" in problem_of(packed, 415, "content-type-wrong")["detail"]


def test_a_body_that_says_it_is_not_packed_is_read(client: FlaskClient) -> None:
    assert client.post(FORECAST, json=asked(), headers={"Content-Encoding": "identity"}).status_code == 200


QUERIES: list[tuple[str, int, str, list[str]]] = [
    ("price=9,9,9&promo=0,0,0&horizon=0", 422, "horizon-too-small", ["0"]),
    ("price=9,9,9&promo=0,0,0&horizon=-1", 422, "horizon-too-small", ["-1"]),
    ("price=9,9,9&promo=0,0,0&horizon=1001", 422, "horizon-too-large", ["1001", "1000"]),
    ("price=9&promo=0&horizon=99999999999999999999", 422, "request-invalid", ["/horizon", "whole number"]),
    ("price=9&promo=0&horizon=three", 422, "request-invalid", ["/horizon", "'three'", "whole number"]),
    ("price=9&promo=0&horizon=", 422, "request-invalid", ["/horizon"]),
    ("price=9&promo=0&horizon=1.0", 422, "request-invalid", ["/horizon"]),
    ("price=9&promo=0&horizon=%D9%A1", 422, "request-invalid", ["/horizon"]),
    ("price=9&promo=0&horizon=1&h=2", 422, "request-invalid", ["must agree"]),
    ("price=9&promo=0&horizon=1&horizon=1", 422, "parameter-doubled", ["/horizon", "twice"]),
    ("price=9&price=9&promo=0,0", 422, "parameter-doubled", ["/price", "comma-separated"]),
    ("", 422, "horizon-missing", []),
    ("horizon=3", 422, "exog-missing", ["price", "promo"]),
    ("price=9,9,9&horizon=3", 422, "exog-missing", ["/exog/promo"]),
    ("price=9,9&promo=0,0&horizon=3", 422, "exog-too-short", ["price", "2 values", "expected 3"]),
    ("price=9,9,9,9&promo=0,0,0,0&horizon=3", 422, "exog-too-long", ["price", "4 values", "expected 3"]),
    ("price=9,9,9&promo=0,0&horizon=3", 422, "exog-too-short", ["promo", "2 values", "expected 3"]),
    ("price=9&promo=0&weather=1", 422, "exog-unknown", ["/exog/weather", "price, promo"]),
    ("price=9&promo=0&weather=sunny", 422, "exog-unknown", ["/exog/weather", "price, promo"]),
    ("price=9&promo=0&colour=", 422, "exog-unknown", ["/exog/colour"]),
    ("price=9&promo=0&%00=1", 422, "exog-unknown", ["/exog/"]),
    ("price=9&promo=0&%ED%A0%80=1", 422, "exog-unknown", ["/exog/"]),
    ("price=9,nan,9&promo=0,0,0", 422, "exog-not-finite", ["/exog/price/1", "nan", "row 2", "finite number"]),
    ("price=9,9,-inf&promo=0,0,0", 422, "exog-not-finite", ["/exog/price/2", "-inf", "row 3", "finite number"]),
    ("price=9,1e999,9&promo=0,0,0", 422, "exog-not-finite", ["/exog/price/1", "row 2", "finite number"]),
    ("price=9,nine,9&promo=0,0,0", 422, "exog-not-a-number", ["/exog/price/1", "'nine'", "row 2", "finite number"]),
    ("price=9,,9&promo=0,0,0", 422, "exog-not-a-number", ["/exog/price/1", "row 2"]),
    ("price=0x10&promo=0", 422, "exog-not-a-number", ["/exog/price/0", "'0x10'"]),
    ("price=1_0&promo=0", 422, "exog-not-a-number", ["/exog/price/0", "'1_0'"]),
    ("price=%00&promo=0", 422, "exog-not-a-number", ["/exog/price/0"]),
    ("price=9&promo=0&levels=95&quantiles=0.5", 422, "levels-and-quantiles", []),
    ("price=9&promo=0&levels=0", 422, "levels-invalid", ["/levels/0"]),
    ("price=9&promo=0&levels=80,100", 422, "levels-invalid", ["/levels/1"]),
    ("price=9&promo=0&levels=high", 422, "request-invalid", ["/levels/0", "'high'"]),
    ("price=9&promo=0&levels=nan", 422, "request-invalid", ["/levels/0", "'nan'"]),
    ("price=9&promo=0&levels=", 422, "request-invalid", ["/levels/0"]),
    ("price=9&promo=0&levels=" + ",".join(f"{50 + i / 10}" for i in range(101)), 422, "levels-invalid", ["101"]),
    ("price=9&promo=0&quantiles=1", 422, "quantiles-invalid", ["/quantiles/0"]),
    ("price=9&promo=0&version=9", 404, "version-not-found", ["9"]),
    ("price=9&promo=0&version=0", 422, "request-invalid", ["/version"]),
    ("price=9&promo=0&version=2147483648", 422, "request-invalid", ["/version"]),
    ("price=9&promo=0&version=one", 422, "request-invalid", ["/version"]),
    ("price=9&promo=0&version=1&alias=production", 422, "version-and-alias", []),
    ("price=9&promo=0&alias=staging", 404, "alias-not-found", ["staging"]),
    ("price=9&promo=0&alias=", 422, "request-invalid", ["/alias"]),
    ("price=9&promo=0&alias=production%0A", 422, "request-invalid", ["/alias"]),
]


def test_each_wrong_query_is_told_what_is_wrong_and_where(client: FlaskClient) -> None:
    for query, status, code, words in QUERIES:
        document = problem_of(client.get(f"{FORECAST}?{query}"), status, code)
        missing = [word for word in words if word not in words_of(document)]
        assert not missing, f"{query}: {words_of(document)!r} lacks {missing}"


UNKNOWN_MODELS = [
    "unknown",
    "Sales",
    "sales.",
    "sales%20",
    "sales%00",
    "%F0%9F%98%80",
    "%ED%A0%80",
    "%FF",
    "..%2Fsales",
    "%2e%2e",
    "sales%0A",
    "x" * 300,
    "'; DROP TABLE models; --",
]


def test_a_name_that_no_model_has_is_404_at_every_address(client: FlaskClient) -> None:
    for name in UNKNOWN_MODELS:
        answers = [
            client.get(f"/models/{name}"),
            client.get(f"/models/{name}/versions"),
            client.get(f"/models/{name}/versions/1"),
            client.get(f"/models/{name}/forecast?horizon=1"),
            client.get(f"/models/{name}/exog-template"),
            client.get(f"/models/{name}/docs"),
            client.get(f"/models/{name}/openapi.json"),
            client.post(f"/models/{name}/forecast", json={"horizon": 1}),
            client.post(f"/models/{name}/versions/1/forecast", json={"horizon": 1}),
            client.post(f"/models/{name}/forecast", json={"horizon": 1, "version": 1}),
            client.post(f"/models/{name}/observations", json={"endog": {"y": [1]}}),
            client.post(f"/admin/models/{name}/promote", json={"version": 1}),
            client.post(f"/admin/models/{name}/rollback", json={}),
        ]
        for answer in answers:
            assert answer.status_code == 404, f"{answer.request.path}: {answer.text}"
            code = "not-found" if "%2F" in name else "model-not-found"  # a slash makes it another address
            problem_of(answer, 404, code)


def test_a_version_that_does_not_exist_is_404(client: FlaskClient) -> None:
    for number, code in [(2, "version-not-found"), (2**31 - 1, "version-not-found"), (0, "version-not-found")]:
        problem_of(client.get(f"/models/sales/versions/{number}"), 404, code)
        problem_of(client.post(f"/models/sales/versions/{number}/forecast", json=asked()), 404, code)
    for number in (2**31, 2**63, 10**400, "-1", "one", "1.0", "%00"):
        problem_of(client.get(f"/models/sales/versions/{number}"), 404, "not-found")
        problem_of(client.post(f"/models/sales/versions/{number}/forecast", json=asked()), 404, "not-found")


def test_an_unknown_address_is_404(client: FlaskClient) -> None:
    for address in ("/nothing", "/models/", "/models/sales/", "/static/nothing.js", "/static/../access.py", "/%00", "/%FF"):
        problem_of(client.get(address), 404, "not-found")


def test_an_unknown_plugin_is_404(client: FlaskClient) -> None:
    document = problem_of(client.get("/plugins/oracle"), 404, "plugin-not-found")
    assert "oracle" in document["detail"]
    assert "naive" in document["detail"]


def test_a_method_that_an_address_does_not_have_is_405_and_told_which_it_has(client: FlaskClient) -> None:
    for method, address, allowed in [
        ("DELETE", "/models/sales", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", FORECAST, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("GET", "/admin/models/sales/promote", {"OPTIONS", "POST"}),
        ("PATCH", "/health/live", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/models/sales/forecast/file", {"OPTIONS", "POST"}),
    ]:
        answer = client.open(address, method=method)
        problem_of(answer, 405, "method-not-allowed")
        assert set(answer.headers["Allow"].split(", ")) == allowed


def test_listings_refuse_what_they_cannot_read(client: FlaskClient) -> None:
    for address in ("/models", "/models/sales/versions"):
        for query in ("limit=0", "limit=501", "limit=ten", "limit=", "limit=1e2", "offset=3", "after=%00", "after=a%0Ab"):
            problem_of(client.get(f"{address}?{query}"), 422, "request-invalid")
        problem_of(client.get(f"{address}?limit=1&limit=2"), 422, "parameter-doubled")
    for after in ("sales", "-1", "1.5", str(2**31), "9" * 5000):
        problem_of(client.get(f"/models/sales/versions?after={after}"), 422, "request-invalid")


def test_a_template_refuses_what_it_cannot_read(client: FlaskClient) -> None:
    address = "/models/sales/exog-template"
    problem_of(client.get(f"{address}?horizon=0"), 422, "horizon-too-small")
    problem_of(client.get(f"{address}?horizon=1001"), 422, "horizon-too-large")
    for query in ("horizon=many", "horizon=", "h=3", "rows=3"):
        problem_of(client.get(f"{address}?{query}"), 422, "request-invalid")
    problem_of(client.get(f"{address}?horizon=1&horizon=1"), 422, "parameter-doubled")


def test_finite_input_whose_forecast_is_infinite_is_refused(client: FlaskClient, train: Callable[..., Registered]) -> None:
    rows = Dataset(np.array([[0.0], [1e153], [-1e153], [0.0]]), ("y",), Index("integer", 3))  # only near steps can be told
    train("wild", rows)
    answer = client.post("/models/wild/forecast", json={"horizon": 1000})
    document = problem_of(answer, 422, "forecast-not-finite")
    assert "not finite" in document["detail"]
    problem_of(client.get("/models/wild/forecast?horizon=1000"), 422, "forecast-not-finite")
    assert client.post("/models/wild/forecast", json={"horizon": 1}).status_code == 200


def test_exog_of_an_unusual_size_gives_a_finite_answer_or_a_refusal(client: FlaskClient) -> None:
    for size in (1e308, -1e308, 1.7976931348623157e308, 5e-324):
        answer = client.post(FORECAST, json=priced(size, size, size))
        assert answer.status_code in (200, 422)


def test_a_model_without_exog_says_so(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train("plain", monthly_sales(exog=()))
    document = problem_of(client.post("/models/plain/forecast", json=asked()), 422, "exog-unknown")
    assert "takes no exogenous columns" in document["detail"]
    problem_of(client.get("/models/plain/forecast?horizon=1&price=9"), 422, "exog-unknown")
    for empty in ({}, []):
        assert client.post("/models/plain/forecast", json={"horizon": 1, "exog": empty}).status_code == 200


def test_a_calendar_that_ends_is_no_failure(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train("last-days", dataset(Index("time", "9999-01-01", "MS"), ("y",), (), 20, 0))
    assert client.post("/models/last-days/forecast", json={"horizon": 11}).status_code == 200
    problem_of(client.post("/models/last-days/forecast", json={"horizon": 12}), 422, "horizon-past-calendar")
    problem_of(client.get("/models/last-days/exog-template?horizon=12"), 422, "horizon-past-calendar")


def test_a_body_above_the_cap_is_413(small_client: FlaskClient) -> None:
    body = asked(exog={"price": [9.5] * 500, "promo": [0] * 500})
    document = problem_of(small_client.post(FORECAST, json=body), 413, "body-too-large")
    assert "1000 bytes" in document["detail"]
    assert "FORECASTLE_MAX_UPLOAD" in document["detail"]


def test_a_body_of_unknown_length_is_read_and_capped_too(small_client: FlaskClient) -> None:
    def in_chunks(body: bytes) -> TestResponse:
        options = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        stream = io.BytesIO(body)
        return small_client.post(FORECAST, input_stream=stream, content_type="application/json", environ_overrides=options)

    assert in_chunks(json.dumps(asked()).encode()).status_code == 200
    problem_of(in_chunks(b" " * 2000), 413, "body-too-large")


@pytest.mark.parametrize("address", [FORECAST, "/models/sales/versions/1/forecast"])
@pytest.mark.parametrize("query", ["version=9", "horizon=2", "x"])
def test_a_query_beside_a_body_is_refused_and_not_dropped_in_silence(client: FlaskClient, address: str, query: str) -> None:
    document = problem_of(client.post(f"{address}?{query}", json=asked()), 422, "request-invalid")
    assert query.partition("=")[0] in words_of(document)
    assert "body" in document["detail"]


def test_a_query_beside_a_file_is_refused_too(client: FlaskClient) -> None:
    upload = {"file": (io.BytesIO(b"price,promo\n9,0\n"), "future.csv")}
    problem_of(client.post(f"{FORECAST}/file?horizon=1", data=upload), 422, "request-invalid")


@pytest.mark.parametrize("body", [[1], "text", 5, True])
def test_a_body_that_is_no_object_is_told_so(client: FlaskClient, body: Any) -> None:
    for address in (FORECAST, "/models/sales/observations", "/admin/models/sales/promote"):
        assert "expected a JSON object" in problem_of(client.post(address, json=body), 422, "request-invalid")["detail"]


def test_an_address_or_a_method_that_there_is_not_is_told_with_what_there_is(client: FlaskClient) -> None:
    assert "/apidocs" in problem_of(client.get("/model"), 404, "not-found")["detail"]
    refused = client.put("/models/sales/forecast")
    assert problem_of(refused, 405, "method-not-allowed")["detail"] == (
        "PUT is not for this address; GET, HEAD, OPTIONS, POST are"
    )
    assert {name.strip() for name in refused.headers["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS", "POST"}
