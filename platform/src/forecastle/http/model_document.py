"""A model's own OpenAPI document, made from its signature alone: columns as typed fields, limits, and an example that works."""

from __future__ import annotations

import csv
import io
import re
from functools import lru_cache
from typing import Any

import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from forecastle_registry.versions import Version
from forecastle_sdk import ExogColumn, Signature

from .. import __version__
from ..serving.request import MAX_QUANTILES
from .problems import CONTENT_TYPE, ProblemSchema
from .replies import CSV, HEADERS_OF_CSV, JSON
from .schemas import ModelReferenceSchema, NoticeSchema
from .security import NEEDED, SCHEMES

EXAMPLE_STEPS = 4
TAG = "forecast"
LEVELS = {
    "type": "array",
    "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100},
    "minItems": 1,
    "maxItems": MAX_QUANTILES,
}
QUANTILES = {
    "type": "array",
    "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "minItems": 1,
    "maxItems": MAX_QUANTILES,
}
NUMBERS = {"type": "array", "items": {"type": "number"}}


def model_openapi(version: Version, max_horizon: int) -> bytes:
    """Return the document of a version as JSON."""
    signature = orjson.dumps(version.signature, option=orjson.OPT_SORT_KEYS)
    return _document(version.model, version.number, version.plugin, signature, max_horizon)


@lru_cache(maxsize=256)
def _document(model: str, number: int, plugin: str, signature_json: bytes, max_horizon: int) -> bytes:
    signature = Signature.from_json(orjson.loads(signature_json))
    limit = min(max_horizon, signature.max_horizon)
    spec = APISpec(
        title=model,
        version=__version__,
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin()],
        info={"description": _description(model, signature, number, plugin, limit)},
        tags=[{"name": TAG, "description": "Each of these answers as it is filled in: press Execute"}],
    )
    spec.components.schema("Problem", schema=ProblemSchema)
    spec.components.schema("ModelReference", schema=ModelReferenceSchema)
    spec.components.schema("Notice", schema=NoticeSchema)
    spec.components.schema("Forecast", _answer(signature))
    problem = {
        "description": "Problem details",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    spec.components.response("Problem", problem)
    for name, scheme in SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    writer = _Writer(model, signature, limit)
    address = f"/models/{model}/forecast"
    spec.path(address, operations={"get": writer.by_query(), "post": writer.by_json()})
    spec.path(f"{address}/file", operations={"post": writer.by_file()})
    spec.path(f"/models/{model}/exog-template", operations={"get": writer.template()})
    return orjson.dumps(spec.to_dict())


def _description(model: str, signature: Signature, number: int, plugin: str, limit: int) -> str:
    index = signature.index
    columns = ", ".join(map(_literal, signature.endog))
    lines = [f"Version {number} of this model, by the plugin {_literal(plugin)}, forecasts {columns}."]
    if index.freq:
        lines.append(f"Frequency: {_literal(index.freq)}.")
    elif index.kind == "integer":
        lines.append("Its index is integer.")
    lines.append(f"Trained on {signature.nobs} rows until {index.last}; the next step is {index.at(1)}. At most {limit} ahead.")
    if signature.exog:
        columns = ", ".join(map(_literal, signature.exog_names))
        lines.append(f"Forecasts are conditional on future values of {columns}.")
    lines.append(
        f"[This version](/models/{model}/versions/{number}) · [history](/models/{model}/versions) · [platform](/apidocs)"
    )
    return "\n\n".join(lines)


def _literal(name: str) -> str:
    """Return text of a user as a Markdown code span, whatever is in it; a column may be called anything."""
    text = " ".join(name.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def example_request(signature: Signature, steps: int) -> dict[str, Any]:
    """Return a request that the version answers: its exogenous columns stay at the last values that training saw."""
    document: dict[str, Any] = {"horizon": steps, "levels": [80, 95]}
    if signature.exog:
        document["exog"] = {column.name: [column.last] * steps for column in signature.exog}
    return document


class _Writer:
    """Writes the operations of one model."""

    def __init__(self, model: str, signature: Signature, limit: int) -> None:
        self.model, self.signature = model, signature
        self.steps = min(EXAMPLE_STEPS, limit)
        self.horizon = {"type": "integer", "minimum": 1, "maximum": limit}

    def by_query(self) -> dict[str, Any]:
        own = [_parameter(column, self.steps) for column in self.signature.exog]
        parameters = [
            {"name": "horizon", "in": "query", "schema": self.horizon, "example": self.steps, "description": "Steps ahead"},
            *own,
            _listed("levels", "Prediction intervals in percent; 95 unless given", LEVELS, [80, 95]),
            _listed("quantiles", "Quantiles in (0, 1), instead of levels", QUANTILES, None),
            {"name": "version", "in": "query", "schema": {"type": "integer", "minimum": 1}, "description": "Pin a version"},
            {
                "name": "alias",
                "in": "query",
                "schema": {"type": "string"},
                "description": "Follow another alias than production",
            },
        ]
        summary = "Forecast by query: each exogenous column is a parameter" if own else "Forecast by query"
        return self._operation("forecastByQuery", summary, parameters=parameters)

    def by_json(self) -> dict[str, Any]:
        body = {
            "required": True,
            "content": {JSON: {"schema": self._request(), "example": example_request(self.signature, self.steps)}},
        }
        return self._operation("forecast", "Forecast", requestBody=body)

    def by_file(self) -> dict[str, Any]:
        properties = {
            "file": {
                "type": "string",
                "format": "binary",
                "description": "CSV or .xlsx with one row for each step. On the model's page an example is chosen already",
                "x-example-csv": self.example_csv(),
            },
            # empty, because a person who chooses another file would have to change a number
            "horizon": {
                "type": "string",
                "description": "Steps ahead; as many as the file has rows unless given",
                "example": "",
            },
            "levels": {"type": "string", "description": "Comma-separated percentages; 95 unless given", "example": "80,95"},
        }
        if not self.signature.exog:
            properties["horizon"]["example"] = str(self.steps)
        schema = {"type": "object", "required": ["file"], "properties": properties, "additionalProperties": False}
        body = {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
        summary = "Forecast from a file with future values of the exogenous columns"
        return self._operation("forecastByFile", summary, requestBody=body)

    def template(self) -> dict[str, Any]:
        response = {
            "description": "The coming timestamps and the exogenous columns, to fill in",
            "content": {CSV: {"schema": {"type": "string"}}},
        }
        parameters = [{"name": "horizon", "in": "query", "schema": self.horizon, "example": self.steps}]
        return {
            "tags": [TAG],
            "operationId": "exogTemplate",
            "summary": "Get a CSV to fill in",
            "parameters": parameters,
            "security": NEEDED,
            "responses": {"200": response, "default": {"$ref": "#/components/responses/Problem"}},
        }

    def example_csv(self) -> str:
        """Return the same example as a file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["timestamp", *self.signature.exog_names])
        for stamp in self.signature.index.after(0, self.steps):
            writer.writerow([stamp, *(column.last for column in self.signature.exog)])
        return text.getvalue()

    def _request(self) -> dict[str, Any]:
        names = list(self.signature.exog_names)
        columns = {column.name: {**NUMBERS, "description": _range(column)} for column in self.signature.exog}
        records = {column.name: {"type": "number", "description": _range(column)} for column in self.signature.exog}
        properties: dict[str, Any] = {
            "horizon": {**self.horizon, "description": "Steps ahead; may be left out when exog has rows"},
            "levels": {**LEVELS, "description": "Prediction intervals in percent; 95 unless given"},
            "quantiles": {**QUANTILES, "description": "Quantiles in (0, 1), instead of levels"},
            "version": {"type": "integer", "minimum": 1, "description": "Pin a version instead of following an alias"},
            "alias": {"type": "string", "description": "The alias to follow; production unless given"},
        }
        if names:
            by_column = {"type": "object", "required": names, "properties": columns, "additionalProperties": False}
            by_record = {"type": "object", "required": names, "properties": records, "additionalProperties": False}
            properties["exog"] = {"oneOf": [by_column, {"type": "array", "items": by_record}]}
        return {
            "type": "object",
            "properties": properties,
            "required": ["exog"] if names else ["horizon"],
            "additionalProperties": False,
        }

    def _operation(self, identifier: str, summary: str, **parts: Any) -> dict[str, Any]:
        answer = {
            "description": "The forecast",
            "headers": HEADERS_OF_CSV,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Forecast"}}, CSV: {"schema": {"type": "string"}}},
        }
        responses = {"200": answer, "default": {"$ref": "#/components/responses/Problem"}}
        named = {"tags": [TAG], "operationId": identifier, "summary": summary}
        return {**named, **parts, "security": NEEDED, "responses": responses}


def _range(column: ExogColumn) -> str:
    return f"In training from {column.min:g} to {column.max:g}, last {column.last:g}"


def _parameter(column: ExogColumn, steps: int) -> dict[str, Any]:
    return {
        "name": column.name,
        "in": "query",
        "required": True,
        "style": "form",
        "explode": False,
        "schema": {**NUMBERS, "minItems": 1},
        "example": [column.last] * steps,
        "description": f"One number for each step, separated by commas. {_range(column)}",
    }


def _listed(name: str, description: str, schema: dict[str, Any], example: list[float] | None) -> dict[str, Any]:
    parameter = {"name": name, "in": "query", "style": "form", "explode": False, "schema": schema, "description": description}
    return parameter if example is None else {**parameter, "example": example}


def _answer(signature: Signature) -> dict[str, Any]:
    numbers = {"type": "object", "required": list(signature.endog), "properties": dict.fromkeys(signature.endog, NUMBERS)}
    stamp = {"type": "integer"} if signature.index.kind == "integer" else {"type": "string"}
    interval = {
        "type": "object",
        "required": ["level", "lower", "upper"],
        "properties": {"level": {"type": "number"}, "lower": numbers, "upper": numbers},
    }
    properties = {
        "model": {"$ref": "#/components/schemas/ModelReference"},
        "frequency": {"const": signature.index.freq},
        "trained_until": stamp,
        "timestamps": {"type": "array", "items": stamp},
        "mean": numbers,
        "intervals": {"type": "array", "items": interval},
        "quantiles": {"type": "object", "additionalProperties": numbers},
        "conditional_on": {"type": "array", "items": {"type": "string"}},
        "notices": {"type": "array", "items": {"$ref": "#/components/schemas/Notice"}},
    }
    required = ["model", "frequency", "trained_until", "timestamps", "mean", "conditional_on", "notices"]
    return {"type": "object", "required": required, "properties": properties}
