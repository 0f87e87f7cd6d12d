"""What changes a model: new observations, promotion, rollback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask

from forecastle_registry.aliases import IfMatch, Moved, Waiting
from forecastle_registry.versions import Registered
from forecastle_sdk import Signature

from .. import moves
from ..comparing import Preview
from ..describing import move_document, preview_document, refusal_document
from ..errors import UnreadableTable
from ..observing import Observations, observations_from_file, observe
from .access import Role, actor, needs
from .blueprints import Blueprint
from .move_schemas import MovedSchema, PromoteSchema, RollbackSchema, WaitingSchema
from .problems import RequestRefused
from .reading import MULTIPART, StrictParser, read_query, require_content_type
from .schemas import ObservationsSchema, ObservedSchema
from .services import services

Reply = tuple[dict[str, Any] | flask.Response, int, dict[str, str]]

observations = Blueprint("observations", __name__, url_prefix="/models", description="New rows without a refit")
admin = Blueprint("admin", __name__, url_prefix="/admin/models", description="Forward and back")

PROMOTE = {
    "name": "promote",
    "in": "query",
    "schema": {"type": "string", "enum": ["true", "false"]},
    "description": "Make the child live at once",
}
DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "schema": {"type": "string", "enum": ["true", "false"]},
    "description": "Prove the version and tell what would change; nothing moves",
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The alias's ETag, or several: move only if it is one of them. `*`: move only if it points at something",
}
BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": ObservationsSchema,
            "example": {"endog": {"realgdp": [13000.0]}, "exog": {"unemp": [9.8]}},
        },
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
    promote = _only_flag("promote")
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
@admin.alt_response(202, schema=WaitingSchema, description="The alias asks for approval: a second admin must do the same")
@admin.doc(parameters=[DRY_RUN, IF_MATCH])
@needs(Role.ADMIN)
def promote(body: dict[str, Any], model: str) -> Reply:
    """Make a version live, once it has been loaded, has reproduced its golden forecast and passed the alias's gate."""
    found, dry = services(), _only_flag("dry_run")
    where = (found.engine, found.forecasting.loader, model, body["version"])
    how: dict[str, Any] = {"alias": body["alias"], "if_match": _if_match(), "actor": actor()}
    if dry:
        return _preview(moves.preview_promotion(*where, **how))
    return _moved(moves.promote(*where, **how, reason=body["reason"]))


@admin.route("/<string:model>/rollback", methods=["POST"])
@admin.arguments(RollbackSchema, required=False)
@admin.response(200, MovedSchema)
@admin.doc(parameters=[DRY_RUN, IF_MATCH])
@needs(Role.ADMIN)
def rollback(body: dict[str, Any], model: str) -> Reply:
    """Go back to the version that was live before, or to the one that is named. No gate and no approval stand in the way."""
    found, dry = services(), _only_flag("dry_run")
    where = (found.engine, found.forecasting.loader, model)
    how: dict[str, Any] = {"alias": body["alias"], "to": body["to"], "if_match": _if_match(), "actor": actor()}
    if dry:
        return _preview(moves.preview_rollback(*where, **how))
    return _moved(moves.rollback(*where, **how, reason=body["reason"]))


def _moved(moved: Moved | Waiting) -> Reply:
    if isinstance(moved, Waiting):
        return flask.jsonify(WaitingSchema().dump(move_document(moved))), 202, {}
    return move_document(moved), 200, {"ETag": f'"{moved.alias.etag}"'}


def _preview(preview: Preview) -> Reply:
    return preview_document(preview), 200, {} if preview.etag is None else {"ETag": f'"{preview.etag}"'}


def _observed(registered: Registered) -> dict[str, Any]:
    version = registered.version
    return {
        "model": version.model,
        "version": version.number,
        "parent": version.parent,
        "live": registered.live,
        "refusal": refusal_document(registered.refusal),
        "trained_until": version.signature["index"]["last"],
        "nobs": version.signature["nobs"],
    }


def _json_reader() -> Callable[[Signature], Observations]:
    body = StrictParser().parse(ObservationsSchema(), flask.request, location="json")
    rows = Observations.of(body["endog"], body.get("exog"), body.get("index"))
    return lambda _signature: rows


def _file_reader() -> Callable[[Signature], Observations]:
    require_content_type(flask.request, MULTIPART)
    files = [name for name, values in flask.request.files.lists() for _ in values]
    if list(flask.request.form) or files != ["file"]:
        raise UnreadableTable("there must be one field, `file`, with the new rows, and no other", code="file-missing")
    content = flask.request.files["file"].read()

    def read(signature: Signature) -> Observations:
        return observations_from_file(signature, content)

    return read


def _if_match() -> IfMatch:
    """Return the ETags of the header, compared strongly as RFC 9110 (13.1.1) wants it: a weak one fits nothing."""
    if "If-Match" not in flask.request.headers:
        return None
    given = flask.request.if_match
    return "*" if given.star_tag else frozenset(given.as_set())


def _only_flag(name: str) -> bool:
    """Return the one parameter that the query may have."""
    query = read_query(flask.request)
    text = query.pop(name, "false")
    if query:
        raise RequestRefused(f"there is no parameter {next(iter(query))!r:.40} here; there is {name}")
    if text not in ("true", "false"):
        raise RequestRefused(f"{name} is {text!r:.40}; expected true or false")
    return text == "true"
