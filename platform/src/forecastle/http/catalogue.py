"""`/plugins`, `/models` and their versions: what is there to be read."""

from __future__ import annotations

from dataclasses import asdict
from operator import attrgetter
from typing import Any

import flask

from forecastle_registry.history import versions_live_at
from forecastle_registry.pages import MANY, Page, page_where
from forecastle_registry.plain import MAX_NUMBER
from forecastle_registry.versions import Model, get_model, get_version, list_models, list_versions

from ..describing import (
    listed_version_document,
    model_document,
    page,
    plugin_document,
    version_document,
    version_then_document,
)
from ..serving.checking import problems_of
from .access import Role, in_scope, needs, sees_all
from .audit_schemas import ListedVersionSchema, VersionsQuerySchema
from .blueprints import Blueprint
from .query import number_after
from .schemas import ModelDetailSchema, ModelSchema, PageSchema, PluginSchema, VersionSchema, page_of
from .services import services

plugins = Blueprint("plugins", __name__, url_prefix="/plugins", description="What is installed")
models = Blueprint("models", __name__, url_prefix="/models", description="What is served, and its history")

NUMBER = f"<int(max={MAX_NUMBER}):number>"


@plugins.route("")
@plugins.response(200, page_of(PluginSchema, "PluginPage"))
@needs(Role.READER)
def list_plugins() -> dict[str, Any]:
    """List the installed plugins, also those that cannot be used, with the reason."""
    return {"items": [plugin_document(plugin) for plugin in services().catalogue], "next": None}


@plugins.route("/<string:plugin>")
@plugins.response(200, PluginSchema)
@needs(Role.READER)
def get_plugin(plugin: str) -> dict[str, Any]:
    """Describe one plugin, with the parameters that a training accepts."""
    return plugin_document(services().catalogue.get(plugin))


@models.route("")
@models.arguments(PageSchema, location="query")
@models.response(200, page_of(ModelSchema, "ModelPage"))
@needs(Role.READER)
def list_all(query: dict[str, Any]) -> dict[str, Any]:
    """List the models that are served, by name: those that the caller's key is for."""
    engine, after, limit = services().engine, query.get("after"), query["limit"]
    if sees_all():
        return page(list_models(engine, after=after, limit=limit), _with_links)

    def read(after: str | None) -> Page[Model]:
        return list_models(engine, after=after, limit=MANY)

    def is_wanted(model: Model) -> bool:
        return in_scope(model.name)

    return page(page_where(read, is_wanted, attrgetter("name"), after=after, limit=limit), _with_links)


@models.route("/<string:model>")
@models.response(200, ModelDetailSchema)
@needs(Role.READER)
def get_one(model: str) -> dict[str, Any]:
    """Describe one model: its plugin, what each alias points at, and which of that does not load here."""
    found = services()
    row = get_model(found.engine, model)
    problems = problems_of(found.engine, found.forecasting.loader, row)
    return {**_with_links(row), "problems": [asdict(problem) for problem in problems]}


@models.route("/<string:model>/versions")
@models.arguments(VersionsQuerySchema, location="query")
@models.response(200, page_of(ListedVersionSchema, "VersionPage"))
@needs(Role.READER)
def list_of_model(query: dict[str, Any], model: str) -> dict[str, Any]:
    """List a model's versions, newest first, or those that were live at a time."""
    engine, before, limit = services().engine, number_after(query), query["limit"]
    if "live_at" in query:
        return page(versions_live_at(engine, model, query["live_at"], before=before, limit=limit), version_then_document)
    return page(list_versions(engine, model, before=before, limit=limit), listed_version_document)


@models.route(f"/<string:model>/versions/{NUMBER}")
@models.response(200, VersionSchema)
@needs(Role.READER)
def get_one_version(model: str, number: int) -> dict[str, Any]:
    """Describe one version: signature, estimates, verdict, candidates, accuracy, lineage, notices."""
    engine = services().engine
    return version_document(get_version(engine, model, number), get_model(engine, model).aliases)


def _with_links(model: Model) -> dict[str, Any]:
    links = {
        "self": flask.url_for("models.get_one", model=model.name),
        "docs": flask.url_for("pages.model_docs", model=model.name),
        "forecast": flask.url_for("forecasts.forecast", model=model.name),
        "versions": flask.url_for("models.list_of_model", model=model.name),
    }
    return {**model_document(model), "links": links}
