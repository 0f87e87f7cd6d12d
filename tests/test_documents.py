"""The two OpenAPI documents: valid, complete, offline, and each model's own examples answer 200."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import flask
import jsonschema_rs
import numpy as np
import pytest
from flask.testing import FlaskClient
from schemathesis.specs.openapi.definitions import OPENAPI_31

from forecastle_registry.versions import Registered
from forecastle_sdk import Dataset
from tests.naive import monthly_sales, numbered_rows

# the addresses that are promised, but for those of later releases, and the pages that are no part of an API
PROMISED = {
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/plugins"),
    ("get", "/plugins/{plugin}"),
    ("get", "/models"),
    ("get", "/models/{model}"),
    ("get", "/models/{model}/versions"),
    ("get", "/models/{model}/versions/{number}"),
    ("get", "/models/{model}/forecast"),
    ("post", "/models/{model}/forecast"),
    ("post", "/models/{model}/forecast/file"),
    ("post", "/models/{model}/versions/{number}/forecast"),
    ("get", "/models/{model}/exog-template"),
    ("post", "/models/{model}/observations"),
    ("post", "/admin/models/{model}/promote"),
    ("post", "/admin/models/{model}/rollback"),
    ("get", "/admin/models/{model}/aliases"),
    ("get", "/admin/models/{model}/aliases/{alias}/protection"),
    ("put", "/admin/models/{model}/aliases/{alias}/protection"),
    ("delete", "/admin/models/{model}/aliases/{alias}/protection"),
    ("delete", "/admin/models/{model}/versions/{number}"),
    ("post", "/admin/models/{model}/versions/{number}/archive"),
    ("post", "/admin/models/{model}/versions/{number}/restore"),
    ("get", "/admin/models/{model}/events"),
    ("get", "/admin/events"),
    ("get", "/admin/keys"),
    ("post", "/admin/keys"),
    ("get", "/admin/keys/{name}"),
    ("delete", "/admin/keys/{name}"),
}
DATA = {
    "sales": monthly_sales(),
    "plain": monthly_sales(exog=()),
    "counted": numbered_rows(),
    "counted-with-x": numbered_rows(exog=("x",)),
    "odd-names": monthly_sales(endog=("Umsatz €",), exog=("prix d'été", "a/b~c", "価格", "x[0]")),
}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post", "put", "delete", "patch"):
                yield method, path, operation


def validate(document: dict[str, Any]) -> None:
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(document)
    assert document["openapi"].startswith("3.1.")
    for reference in references(document):
        part: Any = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name.replace("~1", "/").replace("~0", "~")]
    identifiers = [operation.get("operationId") for _, _, operation in operations(document)]
    named = [identifier for identifier in identifiers if identifier]
    assert len(set(named)) == len(named)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


@pytest.fixture(params=DATA)
def model(request: pytest.FixtureRequest, train: Callable[..., Registered]) -> tuple[str, Dataset]:
    """A model of each kind, by its name and with its data."""
    train(request.param, DATA[request.param])
    return request.param, DATA[request.param]


def test_the_platforms_document_is_valid_and_has_every_promised_address(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    validate(document)
    assert {(method, path) for method, path, _ in operations(document)} == PROMISED


def test_a_document_that_is_not_valid_would_be_seen(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    document["paths"]["/models"]["get"]["parameters"][0]["in"] = "nowhere"
    with pytest.raises(jsonschema_rs.ValidationError):
        validate(document)


def test_every_operation_says_what_it_does_and_how_it_fails(client: FlaskClient) -> None:
    for method, path, operation in operations(client.get("/openapi.json").get_json()):
        assert operation["summary"], (method, path)
        assert {"default"} <= operation["responses"].keys(), (method, path)


def test_what_a_query_or_a_header_may_hold_is_documented(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    names = {
        (method, path): {parameter["name"] for parameter in operation.get("parameters", []) if "name" in parameter}
        for method, path, operation in operations(document)
    }
    assert "promote" in names["post", "/models/{model}/observations"]
    assert "If-Match" in names["post", "/admin/models/{model}/promote"]
    assert "If-Match" in names["post", "/admin/models/{model}/rollback"]
    assert names["get", "/models"] >= {"limit", "after"}
    assert names["get", "/models/{model}/forecast"] >= {"horizon", "levels", "quantiles", "version", "alias", "exog"}
    assert names["get", "/models/{model}/exog-template"] >= {"horizon"}


def test_every_error_is_documented_as_a_problem(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    responses = document["components"]["responses"]
    assert list(responses["DEFAULT_ERROR"]["content"]) == ["application/problem+json"]
    properties = document["components"]["schemas"]["Problem"]["properties"]
    assert properties.keys() >= {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}


def test_the_examples_of_the_platforms_bodies_are_understood(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train(
        data=Dataset(np.arange(20.0)[:, None], ("realgdp",), numbered_rows().index, np.arange(20.0)[:, None] ** 2, ("unemp",))
    )
    train("alone", data=numbered_rows())
    paths = client.get("/openapi.json").get_json()["paths"]

    def example(path: str) -> Any:
        return paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]

    asked = client.post("/models/alone/forecast", json=example("/models/{model}/forecast"))
    pinned = client.post("/models/alone/versions/1/forecast", json=example("/models/{model}/versions/{number}/forecast"))
    assert (asked.status_code, pinned.status_code) == (200, 200)
    assert client.post("/models/sales/observations", json=example("/models/{model}/observations")).status_code == 201


def test_a_models_document_is_valid_and_names_its_columns(client: FlaskClient, model: tuple[str, Dataset]) -> None:
    name, data = model
    document = client.get(f"/models/{name}/openapi.json").get_json()
    validate(document)
    query = document["paths"][f"/models/{name}/forecast"]["get"]["parameters"]
    assert {parameter["name"] for parameter in query} >= set(data.exog_names)
    assert all(name in document["info"]["description"] for name in data.endog_names)


def test_the_example_of_a_body_answers_200(client: FlaskClient, model: tuple[str, Dataset]) -> None:
    name, data = model
    post = client.get(f"/models/{name}/openapi.json").get_json()["paths"][f"/models/{name}/forecast"]["post"]
    example = post["requestBody"]["content"]["application/json"]["example"]
    answer = client.post(f"/models/{name}/forecast", json=example)
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["mean"].keys() == set(data.endog_names)


def test_the_examples_of_a_query_answer_200(client: FlaskClient, model: tuple[str, Dataset]) -> None:
    name, _ = model
    parameters = client.get(f"/models/{name}/openapi.json").get_json()["paths"][f"/models/{name}/forecast"]["get"]["parameters"]
    query = {p["name"]: p["example"] for p in parameters if "example" in p}
    texts = {n: ",".join(map(str, value)) if isinstance(value, list) else str(value) for n, value in query.items()}
    answer = client.get(f"/models/{name}/forecast", query_string=texts)
    assert answer.status_code == 200, answer.text


def test_an_answer_is_what_the_models_document_says(client: FlaskClient, model: tuple[str, Dataset]) -> None:
    name, _ = model
    document = client.get(f"/models/{name}/openapi.json").get_json()
    example = document["paths"][f"/models/{name}/forecast"]["post"]["requestBody"]["content"]["application/json"]["example"]
    answer = client.post(f"/models/{name}/forecast", json=example).get_json()
    schema = {**document["components"]["schemas"]["Forecast"], "components": document["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(answer)
    del answer["mean"]
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.Draft202012Validator(schema).validate(answer)


def test_an_answer_is_what_the_platforms_document_says(client: FlaskClient, model: tuple[str, Dataset]) -> None:
    name, data = model
    document = client.get("/openapi.json").get_json()
    schema = {**document["components"]["schemas"]["ForecastAnswer"], "components": document["components"]}
    for asked in ({"levels": [80, 95]}, {"quantiles": [0.1, 0.9]}):
        exog = {column: [9, 10] for column in data.exog_names}
        answer = client.post(f"/models/{name}/forecast", json={"horizon": 2, "exog": exog, **asked}).get_json()
        jsonschema_rs.Draft202012Validator(schema).validate(answer)


def test_the_example_of_a_file_answers_200(client: FlaskClient, model: tuple[str, Dataset]) -> None:
    name, _ = model
    post = client.get(f"/models/{name}/openapi.json").get_json()["paths"][f"/models/{name}/forecast/file"]["post"]
    (content,) = post["requestBody"]["content"].values()
    examples = find(content, "x-example-csv")
    assert examples, "the page has no file to offer"
    answer = client.post(f"/models/{name}/forecast/file", data={"file": (io.BytesIO(examples[0].encode()), "exog.csv")})
    assert answer.status_code == 200, answer.text


def find(part: Any, name: str) -> list[Any]:
    if isinstance(part, dict):
        return [*([part[name]] if name in part else []), *(hit for inner in part.values() for hit in find(inner, name))]
    return [hit for inner in part for hit in find(inner, name)] if isinstance(part, list) else []


def test_a_models_document_follows_what_is_live(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train()
    before = client.get("/models/sales/openapi.json").get_json()
    train(data=monthly_sales(exog=("price",)), promote=True)
    after = client.get("/models/sales/openapi.json").get_json()
    names = [{p["name"] for p in d["paths"]["/models/sales/forecast"]["get"]["parameters"]} for d in (before, after)]
    assert "promo" in names[0]
    assert "promo" not in names[1]
    assert "Version 2" in after["info"]["description"]


@pytest.mark.parametrize("address", ["/apidocs", "/models/sales/docs"])
def test_the_pages_load_everything_from_this_package(client: FlaskClient, registered_model: Registered, address: str) -> None:
    page = client.get(address)
    assert page.status_code == 200
    told = page.text.replace("http://www.w3.org", "").replace("http://localhost/", "/")  # of its own address, for curl
    assert "http://" not in told
    assert "https://" not in told
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    for part in page.text.split('"'):
        if part.startswith("/static/"):
            with client.get(part) as answer:
                assert answer.status_code == 200, part


def test_the_root_leads_to_the_pages(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code in (301, 302, 303, 307, 308)
    assert answer.headers["Location"] == "/apidocs"


def test_every_answer_has_a_request_id_of_its_own(client: FlaskClient) -> None:
    seen = {
        client.get(address).headers["X-Request-ID"]
        for address in ["/models", "/models", "/nothing", "/apidocs", "/openapi.json"]
    }
    assert len(seen) == 5


def test_a_document_is_json_that_any_reader_takes(app: flask.Flask, registered_model: Registered) -> None:
    for address in ("/openapi.json", "/models/sales/openapi.json"):
        answer = app.test_client().get(address)
        assert answer.mimetype == "application/json"

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        json.loads(answer.data, parse_constant=refuse)
