"""The parameters of a training: the plugin's, and training's own, told apart by name and validated together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin, OpenAPIConverter
from marshmallow import fields, validate

from forecastle_sdk import Plugin
from forecastle_sdk.errors import ParametersError, Problem


class TrainingParameters(marshmallow.Schema):
    """What every training accepts, whatever its plugin."""

    class Meta:
        unknown = marshmallow.RAISE

    test_size = fields.Float(
        load_default=0.1,
        validate=validate.Range(min=0),
        metadata={"description": "Rows kept for measuring accuracy: a share below 1, or a number of rows; 0 for none"},
    )
    refit = fields.Boolean(load_default=True, metadata={"description": "Fit again on all rows once accuracy has been measured"})
    seed = fields.Integer(
        load_default=0, validate=validate.Range(0, 2**32 - 1), metadata={"description": "The only source of randomness"}
    )


def load_parameters(plugin: Plugin, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Validate parameters; return training's own and the plugin's. Raises `ParametersError` that names each wrong one."""
    own = {name: value for name, value in given.items() if name in TrainingParameters().fields}
    theirs = {name: value for name, value in given.items() if name not in own}
    training, own_problems = _loaded(TrainingParameters(), own)
    parameters, their_problems = _loaded(plugin.parameters(), theirs)
    if problems := [*own_problems, *their_problems]:
        known = ", ".join(sorted([*plugin.parameters().fields, *TrainingParameters().fields]))
        name, message = problems[0].pointer[1:], problems[0].message
        text = f"the parameter {name!r}: {message} (the plugin {plugin.name!r} accepts {known})"
        raise ParametersError(text, problems=problems)
    return training, parameters


def _loaded(schema: marshmallow.Schema, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    try:
        return dict(schema.load(given)), []
    except marshmallow.ValidationError as error:
        messages = error.normalized_messages()
        return {}, [Problem(f"/{name}", _sentence(inner)) for name, inner in messages.items()]


def _sentence(messages: Any) -> str:
    if isinstance(messages, Mapping):
        return "; ".join(_sentence(inner) for inner in messages.values())
    return " ".join(map(str, messages)) if isinstance(messages, list) else str(messages)


def json_schema(schema: type[marshmallow.Schema]) -> dict[str, Any]:
    """Return the JSON Schema of a plugin's parameters together with training's own."""
    converter: OpenAPIConverter | None = (marshmallow_plugin := MarshmallowPlugin()).converter
    if converter is None:
        APISpec("parameters", "1", "3.1.0", plugins=[marshmallow_plugin])
        converter = marshmallow_plugin.converter
    assert converter is not None  # APISpec has made it
    document: dict[str, Any] = converter.schema2jsonschema(schema())
    document["properties"] = {
        **document.get("properties", {}),
        **converter.schema2jsonschema(TrainingParameters())["properties"],
    }
    return document
