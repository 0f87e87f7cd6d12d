"""The queries and bodies of the audit log, and of what was live at a time."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from forecastle_registry.events import WHAT
from forecastle_registry.plain import MAX_NUMBER

from .fields import Moment, Name, Text
from .schemas import PageSchema, VersionSummarySchema

OF_DELETED = {"description": "Null where it is not known of a version that was deleted since"}


class EventsQuerySchema(PageSchema):
    """Which lines of the log are wanted."""

    what = fields.String(validate=validate.OneOf(WHAT), metadata={"description": "What was done", "example": "promote"})
    who = Text(metadata={"description": "The name of a key, or `command line`, `open`, `serving`"})
    version = fields.Integer(validate=validate.Range(1, MAX_NUMBER))
    alias = Name()
    since = Moment(metadata={"description": "From this time on; a date is its midnight in UTC"})
    until = Moment(metadata={"description": "Before this time; a date is its midnight in UTC"})


class EventSchema(Schema):
    """A line of the log: who did what to which model, when, from where, why."""

    id = fields.Integer(required=True)
    at = fields.String(required=True, metadata={"format": "date-time"})
    who = fields.String(required=True)
    origin = fields.String(required=True, allow_none=True, metadata={"description": "From where: an address, or user@host"})
    what = fields.String(required=True)
    model = fields.String(required=True, allow_none=True)
    version = fields.Integer(required=True, allow_none=True)
    alias = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    details = fields.Raw(required=True, metadata={"type": "object", "description": "They depend on what was done"})


class VersionsQuerySchema(PageSchema):
    """A page of a model's versions, or what was live at a time."""

    live_at = Moment(
        past=True,
        metadata={
            "description": "Only what was live at this time, with the aliases of then. A date is its midnight in UTC; a time "
            "without a zone, or still to come, is refused"
        },
    )


class ListedVersionSchema(VersionSummarySchema):
    """A version in a listing. Of one that was live then and was deleted since, only what the log keeps is known."""

    created_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time", **OF_DELETED})
    plugin = fields.String(required=True, allow_none=True, metadata=OF_DELETED)
    parameters = fields.Raw(required=True, allow_none=True, metadata={"type": ["object", "null"], **OF_DELETED})
    serializer = fields.String(required=True, allow_none=True, metadata=OF_DELETED)
    artifact_size = fields.Integer(required=True, allow_none=True, metadata={"description": "Bytes; null for a deleted one"})
    deleted = fields.Boolean(required=True, metadata={"description": "It was live then, and was deleted since"})
