"""What no person thought of: schemathesis makes requests from both documents, good and bad, and checks each answer."""

import contextlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import Engine

from forecastle.database import open_database
from forecastle.http import create_app
from forecastle.http.services import EXTENSION
from forecastle.plugins import discover
from forecastle.settings import settings_from
from forecastle.training.loading import load_data
from forecastle.training.service import Training, train
from forecastle_registry.keys import ROLES, create_key
from forecastle_registry.versions import Registered
from tests.problems import problem_of
from tests.requirements import require

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# the same requests in every run; no database of earlier failures, no deadline on a busy machine
BOUNDED = hypothesis.settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
OF_THE_MODEL = {"model": "sales", "number": 1, "plugin": "naive"}
ENDOG = ("realgdp", "realcons")
EXOG = ("realinv", "realgovt", "realdpi", "cpi", "m1", "tbilrate", "unemp", "pop", "infl", "realint")


@pytest.fixture
def fuzzed_app(registered_model: Registered, train: Callable[..., Registered], app: flask.Flask) -> flask.Flask:
    """An application with two versions of `sales`."""
    train()
    return app


@pytest.fixture(scope="module")
def us_macro_app(tmp_path_factory: pytest.TempPathFactory, database_template: Path) -> Iterator[flask.Flask]:
    """An application with the model of `make serve`, in an order that is quickly fitted."""
    require(importlib.util.find_spec("forecastle_varmax"), "forecastle-varmax is not installed")
    home = tmp_path_factory.mktemp("us-macro")
    shutil.copy(database_template, home / "forecastle.db")
    settings = settings_from({"FORECASTLE_HOME": str(home)})
    engine = open_database(settings)
    parameters = {"order": "1,0", "test_size": 0}
    data = load_data("macrodata", ENDOG, EXOG)
    training = Training(model="us-macro", plugin="varmax", data=data, parameters=parameters, promote=True)
    train(engine, discover(), settings, training, lambda done, total, what: None)
    engine.dispose()
    app = create_app(settings, loopback=True)
    yield app
    app.extensions[EXTENSION].engine.dispose()


def hold(
    schema: Any,
    mode: GenerationMode,
    fixed: dict[str, object] | None = None,
    *,
    headers: dict[str, str] | None = None,
    bounds: hypothesis.settings = BOUNDED,
) -> int:
    """Ask every operation of a document for data of this mode, check each answer, and return how many there were."""
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        names = {parameter.name for parameter in operation.path_parameters}
        parameters = None if fixed is None else {name: value for name, value in fixed.items() if name in names}

        @bounds
        @hypothesis.given(case=operation.as_strategy(mode, path_parameters=parameters))
        def check(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(checks=CHECKS, headers=headers)

        with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # an operation that takes nothing cannot be asked wrongly
            check()
    return asked


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_platforms_document_holds(fuzzed_app: flask.Flask, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", fuzzed_app)
    assert hold(schema, mode, OF_THE_MODEL) > 100


@pytest.mark.parametrize("role", ROLES)
def test_the_platforms_document_holds_for_every_role(fuzzed_app: flask.Flask, engine: Engine, role: str) -> None:
    headers = {"Authorization": f"Bearer {create_key(engine, role, role).secret}"}
    schema = schemathesis.openapi.from_wsgi("/openapi.json", fuzzed_app)
    bounds = hypothesis.settings(BOUNDED, max_examples=5)
    assert hold(schema, GenerationMode.POSITIVE, OF_THE_MODEL, headers=headers, bounds=bounds) > 50


def test_the_platforms_document_holds_for_models_that_are_made_up(fuzzed_app: flask.Flask) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", fuzzed_app)
    assert hold(schema, GenerationMode.POSITIVE) > 100


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_a_models_document_holds(fuzzed_app: flask.Flask, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_wsgi("/models/sales/openapi.json", fuzzed_app)
    assert hold(schema, mode) > 30


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_document_of_us_macro_holds(us_macro_app: flask.Flask, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_wsgi("/models/us-macro/openapi.json", us_macro_app)
    assert hold(schema, mode) > 30


def test_the_cell_that_makes_a_forecast_infinite_is_named(us_macro_app: flask.Flask) -> None:
    client = us_macro_app.test_client()
    columns = client.get("/models/us-macro/versions/1").get_json()["signature"]["exog"]
    exog = {column["name"]: [column["last"]] * 3 for column in columns}
    exog["cpi"][1] = 1e308
    document = problem_of(client.post("/models/us-macro/forecast", json={"exog": exog}), 422, "forecast-not-finite")
    assert [error["pointer"] for error in document["errors"]] == ["/exog/cpi/1"]
    assert "'cpi' has 1e+308 in row 2" in document["detail"]
