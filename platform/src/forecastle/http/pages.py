"""The pages for people, and each model's own document. Everything they load comes from this package."""

from __future__ import annotations

import flask

from .access import Role, needs
from .model_document import model_openapi
from .replies import JSON
from .services import services

blueprint = flask.Blueprint("pages", __name__)


@blueprint.get("/")
@needs(Role.PUBLIC)
def home() -> flask.typing.ResponseReturnValue:
    """Lead to the platform's page."""
    return flask.redirect(flask.url_for("pages.apidocs"))


@blueprint.get("/apidocs")
@needs(Role.PUBLIC)
def apidocs() -> str:
    """Show the platform's Swagger UI."""
    return flask.render_template("swagger.html", title="Forecastle", document=flask.url_for("api-docs.openapi_json"))


@blueprint.get("/models/<string:model>/docs")
@needs(Role.READER)
def model_docs(model: str) -> str:
    """Show a model's own Swagger UI."""
    services().forecasting.describe(model)
    document = flask.url_for("pages.model_openapi_json", model=model)
    return flask.render_template("swagger.html", title=f"{model} · Forecastle", document=document)


@blueprint.get("/models/<string:model>/openapi.json")
@needs(Role.READER)
def model_openapi_json(model: str) -> flask.Response:
    """Give the OpenAPI document of the version that is live."""
    found = services()
    return flask.Response(model_openapi(found.forecasting.describe(model), found.settings.max_horizon), content_type=JSON)
