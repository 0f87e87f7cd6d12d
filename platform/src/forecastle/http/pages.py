"""The pages for people, and each model's own document. Everything they load comes from this package."""

from __future__ import annotations

import re

import flask

from forecastle_registry.versions import get_model, list_versions
from forecastle_sdk import Signature

from ..serving.checking import problems_of
from .access import Role, needs, open_notice
from .model_document import example_request, model_openapi
from .replies import JSON
from .services import services

CHART_STEPS = 12
NEWEST = 10  # versions that a model's page lists; the rest is a link away
OWN_ADDRESS = re.compile(r"/(?![/\\])[^\\\s]*")  # with two slashes, or what a browser takes for one, it would be another site's

blueprint = flask.Blueprint("pages", __name__)


@blueprint.get("/")
@needs(Role.PUBLIC)
def home() -> flask.typing.ResponseReturnValue:
    """Lead to the platform's page."""
    return flask.redirect(flask.url_for("pages.apidocs"))


@blueprint.get("/apidocs")
@needs(Role.PUBLIC)
def apidocs() -> str:
    """Show the models and the platform's Swagger UI."""
    return flask.render_template("apidocs.html", open_notice=open_notice(), document=flask.url_for("api-docs.openapi_json"))


@blueprint.get("/sign-in")
@needs(Role.READER)
def sign_in() -> flask.typing.ResponseReturnValue:
    """Have the browser ask for a key, once for all pages, and lead back to `next`."""
    after = flask.request.args.get("next", "")
    return flask.redirect(after if OWN_ADDRESS.fullmatch(after) else flask.url_for("pages.apidocs"))


@blueprint.get("/models/<string:model>/docs")
@needs(Role.READER)
def model_docs(model: str) -> str:
    """Show what is live of a model, its forecast as a chart, its newest versions, and its own Swagger UI."""
    found = services()
    version = found.forecasting.describe(model)
    described = get_model(found.engine, model)
    signature = Signature.from_json(version.signature)
    limit = min(signature.max_horizon, found.settings.max_horizon)
    return flask.render_template(
        "model.html",
        open_notice=open_notice(),
        version=version,
        aliases=described.aliases,
        problems=problems_of(found.engine, found.forecasting.loader, described),
        versions=list_versions(found.engine, model, limit=NEWEST),
        signature=signature,
        limit=limit,
        request_of_chart=flask.json.dumps(example_request(signature, min(CHART_STEPS, limit))),
        document=flask.url_for("pages.model_openapi_json", model=model),
    )


@blueprint.get("/models/<string:model>/openapi.json")
@needs(Role.READER)
def model_openapi_json(model: str) -> flask.Response:
    """Give the OpenAPI document of the version that is live."""
    found = services()
    return flask.Response(model_openapi(found.forecasting.describe(model), found.settings.max_horizon), content_type=JSON)
