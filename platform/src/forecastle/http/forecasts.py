"""`/models/{model}/forecast` in its three forms, and the template for the file."""

from __future__ import annotations

import csv
import io

import flask

from forecastle_sdk import Signature

from ..serving.files import future_from_file
from ..serving.forecasts import answer
from ..serving.request import Ask
from .access import Role, live, needs
from .blueprints import Blueprint
from .catalogue import NUMBER
from .query import ask_from_form, ask_from_query, template_horizon
from .reading import MULTIPART, read_query, refuse_query, require_content_type
from .replies import CSV, HEADERS_OF_CSV, forecast_reply
from .schemas import ForecastAnswerSchema, ForecastSchema, PinnedForecastSchema, UploadSchema
from .services import services

blueprint = Blueprint("forecasts", __name__, url_prefix="/models", description="Forecasts")

ATTACHED = {"Content-Disposition": 'attachment; filename="exog-template.csv"'}
AS_CSV = {"content_type": CSV, "schema": {"type": "string"}, "headers": HEADERS_OF_CSV}
QUERY = [
    {"name": "horizon", "in": "query", "schema": {"type": "integer", "minimum": 1}, "description": "Steps ahead"},
    {
        "name": "levels",
        "in": "query",
        "schema": {"type": "string"},
        "description": "Comma-separated percentages",
        "example": "80,95",
    },
    {"name": "quantiles", "in": "query", "schema": {"type": "string"}, "description": "Comma-separated numbers in (0, 1)"},
    {"name": "version", "in": "query", "schema": {"type": "integer", "minimum": 1}},
    {"name": "alias", "in": "query", "schema": {"type": "string"}},
    {
        "name": "exog",
        "in": "query",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        "description": "Each exogenous column under its own name, several steps as a comma-separated list: `unemp=4.4,4.5`. "
        "The model's own page lists its columns.",
    },
]
HORIZON = {
    "name": "horizon",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1},
    "description": "Rows of the template; 12 unless given",
}

EXAMPLE = {"horizon": 4, "levels": [80, 95]}  # what a model without exogenous columns answers; the others say what they need


@blueprint.route("/<string:model>/forecast", methods=["POST"])
@blueprint.arguments(ForecastSchema(), example=EXAMPLE)
@blueprint.alt_response(200, **AS_CSV, success=True)
@blueprint.response(200, ForecastAnswerSchema)
@needs(Role.READER)
def forecast(ask: Ask, model: str) -> flask.Response:
    """Forecast with the version that is live, or with one that is named."""
    refuse_query(flask.request)
    return forecast_reply(services().forecasting.forecast(model, ask, live=live()))


@blueprint.route("/<string:model>/forecast", methods=["GET"])
@blueprint.alt_response(200, **AS_CSV, success=True)
@blueprint.response(200, ForecastAnswerSchema)
@blueprint.doc(parameters=QUERY)
@needs(Role.READER)
def forecast_by_query(model: str) -> flask.Response:
    """Forecast by query: each exogenous column is a parameter."""
    query = read_query(flask.request)
    ask = ask_from_query(query)
    loaded = services().forecasting.choose(model, ask.version, ask.alias, live=live())
    return forecast_reply(answer(loaded, ask))


@blueprint.route(f"/<string:model>/versions/{NUMBER}/forecast", methods=["POST"])
@blueprint.arguments(PinnedForecastSchema(), example=EXAMPLE)
@blueprint.alt_response(200, **AS_CSV, success=True)
@blueprint.response(200, ForecastAnswerSchema)
@needs(Role.READER)
def forecast_by_version(ask: Ask, model: str, number: int) -> flask.Response:
    """Forecast with the version in the address, live or not."""
    refuse_query(flask.request)
    pinned = Ask(ask.horizon, ask.exog, ask.levels, ask.quantiles, version=number)
    return forecast_reply(services().forecasting.forecast(model, pinned))


@blueprint.route("/<string:model>/forecast/file", methods=["POST"])
@blueprint.alt_response(200, **AS_CSV, success=True)
@blueprint.response(200, ForecastAnswerSchema)
@blueprint.doc(requestBody={"required": True, "content": {MULTIPART: {"schema": UploadSchema}}})
@needs(Role.READER)
def forecast_by_file(model: str) -> flask.Response:
    """Forecast from a file with future values of the exogenous columns."""
    refuse_query(flask.request)
    require_content_type(flask.request, MULTIPART)
    content, ask = ask_from_form(flask.request)
    loaded = services().forecasting.choose(model)  # read now, because the file may have come in slowly
    exog, rows = future_from_file(loaded.signature, content, loaded.max_horizon)
    horizon = rows if ask.horizon is None else ask.horizon
    return forecast_reply(answer(loaded, Ask(horizon, exog, ask.levels)))


@blueprint.route("/<string:model>/exog-template")
@blueprint.response(200, {"type": "string"}, content_type=CSV)
@blueprint.doc(parameters=[HORIZON])
@needs(Role.READER)
def exog_template(model: str) -> flask.Response:
    """Give a CSV with the coming timestamps and the exogenous columns, to fill in."""
    found = services()
    signature = Signature.from_json(found.forecasting.describe(model).signature)
    horizon = template_horizon(read_query(flask.request), min(signature.max_horizon, found.settings.max_horizon))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["timestamp", *signature.exog_names])
    writer.writerows([stamp, *[""] * len(signature.exog)] for stamp in signature.index.after(0, horizon))
    return flask.Response(text.getvalue(), content_type=f"{CSV}; charset=utf-8", headers=ATTACHED)
