"""What an admin does to versions and aliases beside moving them: archive, restore, delete; protect, and see all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask

from forecastle_registry.alias_states import list_aliases
from forecastle_registry.archiving import archive_version, delete_version, restore_version
from forecastle_registry.errors import AliasUnprotected
from forecastle_registry.protections import Protection, get_protection, protect_alias, unprotect_alias
from forecastle_registry.versions import get_model, get_version

from ..describing import alias_document, page, protection_document, version_document
from .access import Role, actor, needs
from .blueprints import Blueprint
from .catalogue import NUMBER
from .move_schemas import AliasSchema, ProtectionSchema, ProtectSchema, ReasonSchema
from .reading import StrictParser, has_body
from .schemas import PageSchema, VersionSchema, page_of
from .services import services

blueprint = Blueprint(
    "versions", __name__, url_prefix="/admin/models", description="Archive and delete versions, protect aliases, list them"
)

VERSION = f"/<string:model>/versions/{NUMBER}"
PROTECTION = "/<string:model>/aliases/<string:alias>/protection"
OPTIONAL_REASON = {"required": False, "content": {"application/json": {"schema": ReasonSchema}}}


@blueprint.route(f"{VERSION}/archive", methods=["POST"])
@blueprint.response(200, VersionSchema)
@blueprint.doc(requestBody=OPTIONAL_REASON)
@needs(Role.ADMIN)
def archive(model: str, number: int) -> dict[str, Any]:
    """Keep a version from ever going live again; where it is pinned it still answers. Refused while it is live."""
    return _changed(archive_version, model, number)


@blueprint.route(f"{VERSION}/restore", methods=["POST"])
@blueprint.response(200, VersionSchema)
@blueprint.doc(requestBody=OPTIONAL_REASON)
@needs(Role.ADMIN)
def restore(model: str, number: int) -> dict[str, Any]:
    """Let an archived version go live again."""
    return _changed(restore_version, model, number)


@blueprint.route(VERSION, methods=["DELETE"])
@blueprint.arguments(ReasonSchema, location="query")
@blueprint.response(204)
@needs(Role.ADMIN)
def delete(query: dict[str, Any], model: str, number: int) -> None:
    """Remove a version for ever. Refused while an alias could roll back to it, or another version descends from it."""
    delete_version(services().engine, model, number, actor=actor(), reason=query["reason"])


@blueprint.route("/<string:model>/aliases")
@blueprint.arguments(PageSchema, location="query")
@blueprint.response(200, page_of(AliasSchema, "AliasPage"))
@needs(Role.ADMIN)
def list_of_aliases(query: dict[str, Any], model: str) -> dict[str, Any]:
    """List a model's aliases: what is live, what lies below it, what protects it, what waits there."""
    found = list_aliases(services().engine, model, after=query.get("after"), limit=query["limit"])
    return page(found, alias_document)


@blueprint.route(PROTECTION, methods=["PUT"])
@blueprint.arguments(ProtectSchema)
@blueprint.response(200, ProtectionSchema)
@needs(Role.ADMIN)
def protect(body: dict[str, Any], model: str, alias: str) -> dict[str, Any]:
    """Protect an alias, or ask for something else there. Neither it nor its model need be there yet."""
    reason = body.pop("reason")
    return protection_document(protect_alias(services().engine, model, alias, Protection(**body), actor=actor(), reason=reason))


@blueprint.route(PROTECTION)
@blueprint.response(200, ProtectionSchema)
@needs(Role.ADMIN)
def show_protection(model: str, alias: str) -> dict[str, Any]:
    """Show how an alias is protected."""
    found = get_protection(services().engine, model, alias)
    if found is None:
        raise AliasUnprotected(model, alias)
    return protection_document(found)


@blueprint.route(PROTECTION, methods=["DELETE"])
@blueprint.arguments(ReasonSchema, location="query")
@blueprint.response(204)
@needs(Role.ADMIN)
def unprotect(query: dict[str, Any], model: str, alias: str) -> None:
    """Let an alias be moved freely again."""
    unprotect_alias(services().engine, model, alias, actor=actor(), reason=query["reason"])


def _changed(change: Callable[..., bool], model: str, number: int) -> dict[str, Any]:
    engine = services().engine
    change(engine, model, number, actor=actor(), reason=_reason())
    return version_document(get_version(engine, model, number), get_model(engine, model).aliases)


def _reason() -> str | None:
    """Return the reason that the body gives, None where there is no body."""
    if not has_body(flask.request):
        return None
    body: dict[str, str | None] = StrictParser().parse(ReasonSchema(), flask.request, location="json")
    return body["reason"]
