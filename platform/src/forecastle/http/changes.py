"""What changes a model: new observations, promotion, rollback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask

from forecastle_registry.aliases import Moved
from forecastle_registry.versions import Registered
from forecastle_sdk import Signature

from .. import moves
from ..errors import UnreadableTable
from ..observing import Observations, observations_from_file, observe
from .access import Role, actor, needs
from .blueprints import Blueprint
from .problems import RequestRefused
from .reading import MULTIPART, StrictParser, read_query
from .schemas import MovedSchema, ObservationsSchema, ObservedSchema, PromoteSchema, RollbackSchema
from .services import services

observations = Blueprint("observations", __name__, url_prefix="/models", description="New rows without a refit")
admin = Blueprint("admin", __name__, url_prefix="/admin/models", description="Forward and back")

PROMOTE = {
    "name": "promote",
    "in": "query",
    "schema": {"type": "string", "enum": ["true", "false"]},
    "description": "Make the child live at once",
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The alias's ETag: move only if it has not moved",
}
BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": ObservationsSchema},
        MULTIPART: {
            "schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
        },
    },
}


@observations.route("/<string:model>/observations", methods=["POST"])
@observations.response(201, ObservedSchema)
@observations.doc(parameters=[PROMOTE], requestBody=BODY)
@needs(Role.TRAINER)
def append_observations(model: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Register a child version that has also seen new rows; parameters stay as they are."""
    promote = _promote(read_query(flask.request))
    found = services()
    reader = _file_reader() if flask.request.mimetype == MULTIPART else _json_reader()
    registered = observe(
        found.engine, found.catalogue, found.settings, found.forecasting, model, reader, promote=promote, actor=actor()
    )
    number = registered.version.number
    return _observed(registered), 201, {"Location": flask.url_for("models.get_one_version", model=model, number=number)}


@admin.route("/<string:model>/promote", methods=["POST"])
@admin.arguments(PromoteSchema)
@admin.response(200, MovedSchema)
@admin.doc(parameters=[IF_MATCH])
@needs(Role.ADMIN)
def promote(body: dict[str, Any], model: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Make a version live, once it has been loaded and has reproduced its golden forecast."""
    _refuse_query()
    found = services()
    moved = moves.promote(
        found.engine,
        found.forecasting.loader,
        model,
        body["version"],
        alias=body["alias"],
        if_match=_if_match(),
        actor=actor(),
        reason=body["reason"],
    )
    return _moved(moved)


@admin.route("/<string:model>/rollback", methods=["POST"])
@admin.arguments(RollbackSchema)
@admin.response(200, MovedSchema)
@admin.doc(parameters=[IF_MATCH])
@needs(Role.ADMIN)
def rollback(body: dict[str, Any], model: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Go back to the version that was live before, or to the one that is named."""
    _refuse_query()
    found = services()
    moved = moves.rollback(
        found.engine,
        found.forecasting.loader,
        model,
        alias=body["alias"],
        to=body["to"],
        if_match=_if_match(),
        actor=actor(),
        reason=body["reason"],
    )
    return _moved(moved)


def _moved(moved: Moved) -> tuple[dict[str, Any], int, dict[str, str]]:
    alias = moved.alias
    document = {
        "model": alias.model,
        "alias": alias.name,
        "version": alias.live,
        "previous": moved.previous,
        "changed": moved.changed,
        "stack": list(alias.stack),
    }
    return document, 200, {"ETag": f'"{alias.etag}"'}


def _observed(registered: Registered) -> dict[str, Any]:
    version = registered.version
    return {
        "model": version.model,
        "version": version.number,
        "parent": version.parent,
        "live": registered.live,
        "trained_until": version.signature["index"]["last"],
        "nobs": version.signature["nobs"],
    }


def _json_reader() -> Callable[[Signature], Observations]:
    body = StrictParser().parse(ObservationsSchema(), flask.request, location="json")
    rows = Observations.of(body["endog"], body.get("exog"), body.get("index"))
    return lambda _signature: rows


def _file_reader() -> Callable[[Signature], Observations]:
    files = [name for name, values in flask.request.files.lists() for _ in values]
    if list(flask.request.form) or files != ["file"]:
        raise UnreadableTable("there must be one field, `file`, with the new rows, and no other", code="file-missing")
    content = flask.request.files["file"].read()

    def read(signature: Signature) -> Observations:
        return observations_from_file(signature, content)

    return read


def _if_match() -> str | None:
    value = flask.request.headers.get("If-Match")
    return None if value is None else value.strip().removeprefix("W/").strip('"')


def _promote(query: dict[str, str]) -> bool:
    text = query.pop("promote", "false")
    _refuse(query)
    if text not in ("true", "false"):
        raise RequestRefused(f"promote is {text!r:.40}; expected true or false")
    return text == "true"


def _refuse_query() -> None:
    _refuse(read_query(flask.request))


def _refuse(query: dict[str, str]) -> None:
    if query:
        raise RequestRefused(f"there is no parameter {next(iter(query))!r:.40} here")
