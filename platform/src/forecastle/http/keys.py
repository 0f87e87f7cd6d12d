"""`/admin/keys`: who may ask. A key's secret is in the answer that makes it, and nowhere else ever."""

from __future__ import annotations

from typing import Any

import flask
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from forecastle_registry.keys import LONGEST, ROLES, get_key, list_keys, revoke_key

from ..describing import page
from ..issuing import LONGEST_DAYS, after_days, created_document, issue_key, key_document
from .access import Role, actor, needs
from .blueprints import Blueprint
from .fields import Moment, Name, Text, Whole
from .schemas import PageSchema, StrictSchema, page_of
from .services import services

blueprint = Blueprint("keys", __name__, url_prefix="/admin/keys", description="Who may ask")

MODELS = "Its scope: patterns of model names, separated by commas; null is every model"
LIMITS = "How often it may ask, instead of FORECASTLE_RATE_LIMIT"
WHEN = {"format": "date-time"}


class NewKeySchema(StrictSchema):
    """A key to be made."""

    name = Name(required=True, metadata={"example": "ada", "description": "Given once for ever"})
    role = fields.String(required=True, validate=validate.OneOf(ROLES), metadata={"example": "reader"})
    models = Text(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, LONGEST),
        metadata={"description": MODELS, "example": "sales-*"},
    )
    expires_at = Moment(load_default=None, allow_none=True, metadata={"description": "For ever, if neither this nor days"})
    expires_in_days = Whole(1, LONGEST_DAYS, load_default=None, allow_none=True)
    limits = Text(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, LONGEST),
        metadata={"description": LIMITS, "example": "10/second; 10000/day"},
    )

    @validates_schema
    def check_expiry(self, data: dict[str, Any], **kwargs: Any) -> None:
        """Refuse two times at which the key would end."""
        if data.get("expires_at") is not None and data.get("expires_in_days") is not None:
            raise ValidationError("give expires_at or expires_in_days, not both", "expires_in_days")


class KeySchema(Schema):
    """A key, without its secret."""

    name = fields.String(required=True)
    prefix = fields.String(required=True, metadata={"description": "What stands behind `fcst_`"})
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    models = fields.String(required=True, allow_none=True, metadata={"description": MODELS})
    limits = fields.String(required=True, allow_none=True, metadata={"description": LIMITS})
    state = fields.String(required=True, validate=validate.OneOf(["valid", "expired", "revoked"]))
    created_at = fields.String(required=True, metadata=WHEN)
    created_by = fields.String(required=True)
    expires_at = fields.String(required=True, allow_none=True, metadata=WHEN)
    revoked_at = fields.String(required=True, allow_none=True, metadata=WHEN)
    last_used_at = fields.String(required=True, allow_none=True, metadata={**WHEN, "description": "To the minute"})


class CreatedKeySchema(KeySchema):
    """A key that was just made."""

    key = fields.String(required=True, metadata={"description": "The secret: it is shown this once"})


@blueprint.route("", methods=["POST"])
@blueprint.arguments(NewKeySchema)
@blueprint.response(201, CreatedKeySchema)
@needs(Role.ADMIN)
def create(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Make a key; its secret is in this answer only."""
    days = body.pop("expires_in_days")
    body["expires_at"] = body["expires_at"] if days is None else after_days(days)
    created = issue_key(services().engine, **body, actor=actor())
    location = flask.url_for("keys.get_one", name=created.key.name)
    return created_document(created), 201, {"Location": location, "Cache-Control": "no-store"}


@blueprint.route("")
@blueprint.arguments(PageSchema, location="query")
@blueprint.response(200, page_of(KeySchema, "KeyPage"))
@needs(Role.ADMIN)
def list_all(query: dict[str, Any]) -> dict[str, Any]:
    """List the keys by name, those that are no longer good too."""
    return page(list_keys(services().engine, after=query.get("after"), limit=query["limit"]), key_document)


@blueprint.route("/<string:name>")
@blueprint.response(200, KeySchema)
@needs(Role.ADMIN)
def get_one(name: str) -> dict[str, Any]:
    """Describe one key."""
    return key_document(get_key(services().engine, name))


@blueprint.route("/<string:name>", methods=["DELETE"])
@blueprint.response(204)
@needs(Role.ADMIN)
def revoke(name: str) -> None:
    """Revoke a key in every process at once. It stays in the listing, and its name stays taken."""
    revoke_key(services().engine, name, keep_admin=True, actor=actor())
