"""The bodies of what moves, protects and lists aliases, and of what is done to versions."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from forecastle_registry.aliases import PRODUCTION
from forecastle_registry.proposals import APPROVAL_NEEDED

from .fields import Flag, Name, Number, Text, Whole
from .schemas import STAMP, STAMPS, NoticeSchema, RefusalSchema, StrictSchema

REASON_LENGTH = 1000
NUMBERS_OR_NULL = {"type": ["array", "null"], "items": {"type": "number"}}


def _reason() -> Text:
    return Text(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=REASON_LENGTH),
        metadata={"description": "Why; it is kept in the log", "example": "looks wrong since the last revision of the data"},
    )


class ReasonSchema(StrictSchema):
    """Why something is done."""

    reason = _reason()


class PromoteSchema(StrictSchema):
    """Make a version live."""

    version = Whole(1, required=True, metadata={"example": 1})
    alias = Name(load_default=PRODUCTION)
    reason = _reason()


class RollbackSchema(StrictSchema):
    """Go back to what was live before."""

    BODYLESS = True  # at night, `curl -X POST` must be enough

    alias = Name(load_default=PRODUCTION)
    to = Whole(1, load_default=None, allow_none=True, metadata={"description": "Go back to this version, not just one step"})
    reason = _reason()


class ConditionSchema(Schema):
    """One thing that a protected alias asks for."""

    name = fields.String(required=True, metadata={"enum": ["verdict", "skill", "age"]})
    passed = fields.Boolean(required=True)
    found = fields.Raw(required=True, metadata={"description": "A verdict, days, or the skill of each column; null: unknown"})
    needed = fields.Raw(required=True)
    message = fields.String(required=True)


class GateSchema(Schema):
    """What a protected alias asks for, judged for one version."""

    passed = fields.Boolean(required=True)
    conditions = fields.List(fields.Nested(ConditionSchema), required=True)


class ColumnChangesSchema(Schema):
    """Columns that only one of two versions has."""

    added = fields.List(fields.String(), required=True)
    removed = fields.List(fields.String(), required=True)


class ChangeSchema(Schema):
    """What two versions do not have in common."""

    live = fields.Raw(required=True)
    target = fields.Raw(required=True)


class SchemaChangesSchema(Schema):
    """What a client would have to ask otherwise."""

    endog = fields.Nested(ColumnChangesSchema, required=True)
    exog = fields.Nested(ColumnChangesSchema, required=True)
    frequency = fields.Nested(ChangeSchema, required=True, allow_none=True, metadata={"description": "null: the same"})
    index = fields.Nested(ChangeSchema, required=True, allow_none=True, metadata={"description": "Its kind; null: the same"})
    trained_until = fields.Nested(ChangeSchema, required=True)


class MeasuredSchema(Schema):
    """How good a version was on rows that it had not seen."""

    label = fields.String(required=True, metadata={"description": "With which exogenous values", "example": "ex ante"})
    measured_of = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The version whose parameters it has; null: itself"}
    )
    test_rows = fields.Integer(required=True)
    from_ = fields.Raw(required=True, data_key="from", attribute="from", metadata=STAMP)
    until = fields.Raw(required=True, metadata=STAMP)
    columns = fields.Raw(
        required=True,
        metadata={
            "type": "object",
            "description": "By column: `rmse`, the `baseline`'s, and `skill`, 1 - rmse / baseline; null where unknown",
        },
    )


class AccuracySideBySideSchema(Schema):
    """The accuracy of both versions; comparable where they were measured on the same rows."""

    live = fields.Nested(MeasuredSchema, required=True, allow_none=True)
    target = fields.Nested(MeasuredSchema, required=True, allow_none=True)
    same_test_rows = fields.Boolean(required=True)


class LargestSchema(Schema):
    """Where two forecasts differ most."""

    timestamp = fields.Raw(required=True, metadata=STAMP)
    absolute = fields.Float(required=True)
    relative = fields.Float(required=True, metadata={"description": "To the largest value of either forecast of the column"})


class ColumnForecastsSchema(Schema):
    """The means of one column, null for a version that has none; `difference` is target minus live."""

    live = fields.Raw(required=True, metadata=NUMBERS_OR_NULL)
    target = fields.Raw(required=True, metadata=NUMBERS_OR_NULL)
    difference = fields.Raw(required=True, metadata=NUMBERS_OR_NULL)
    largest = fields.Nested(LargestSchema, required=True, allow_none=True)


class ForecastsSideBySideSchema(Schema):
    """What both versions forecast for the steps that they have in common, exogenous columns at their last values."""

    timestamps = fields.Raw(required=True, metadata=STAMPS)
    columns = fields.Dict(keys=fields.String(), values=fields.Nested(ColumnForecastsSchema), required=True)


class PreviewSchema(Schema):
    """What a move would change, and what it would meet."""

    refusal = fields.Nested(
        RefusalSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Why the call would not move it now, if so"},
    )
    gate = fields.Nested(GateSchema, required=True, allow_none=True, metadata={"description": "null: none stands there"})
    schema = fields.Nested(SchemaChangesSchema, required=True, allow_none=True)
    accuracy = fields.Nested(AccuracySideBySideSchema, required=True)
    forecasts = fields.Nested(ForecastsSideBySideSchema, required=True)
    notices = fields.List(fields.Nested(NoticeSchema), required=True)


class MovedSchema(Schema):
    """Where an alias points after a promotion or a rollback, or would with `dry_run=true`."""

    model = fields.String(required=True)
    alias = fields.String(required=True)
    version = fields.Integer(required=True, metadata={"description": "What is live now"})
    previous = fields.Integer(required=True, allow_none=True, metadata={"description": "What was live before"})
    changed = fields.Boolean(required=True)
    stack = fields.List(
        fields.Integer(), required=True, metadata={"description": "What a rollback would go back through; live is last"}
    )
    preview = fields.Nested(PreviewSchema, metadata={"description": "With `dry_run=true` only: nothing has moved"})


class ProposalSchema(Schema):
    """A promotion that waits for a second key; `message` says who must do what."""

    model = fields.String(required=True)
    alias = fields.String(required=True)
    version = fields.Integer(required=True)
    proposed_at = fields.String(required=True, metadata={"format": "date-time"})
    proposed_by = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    code = fields.String(required=True, metadata={"enum": [APPROVAL_NEEDED]})
    message = fields.String(required=True)


class WaitingSchema(ProposalSchema):
    """The answer of a promotion that was proposed, or still waits: nothing has moved."""

    live = fields.Integer(required=True, allow_none=True, metadata={"description": "What is live still"})


class ProtectSchema(StrictSchema):
    """What a protected alias asks of a version that is to go live there."""

    min_skill = Number(
        load_default=None,
        allow_none=True,
        validate=validate.Range(max=1),
        metadata={"description": "1 - RMSE / RMSE of a random walk with drift, at least, in every column", "example": 0.1},
    )
    converged = Flag(load_default=True, metadata={"description": "The verdict must be `converged`, where the plugin has any"})
    max_age_days = Whole(
        0, load_default=None, allow_none=True, metadata={"description": "Days since the last row that it has seen, at most"}
    )
    approval = Flag(load_default=False, metadata={"description": "The key of a second admin must promote the same version"})
    reason = _reason()


class ProtectionSchema(Schema):
    """How an alias is protected."""

    model = fields.String(required=True)
    alias = fields.String(required=True)
    min_skill = fields.Float(required=True, allow_none=True)
    converged = fields.Boolean(required=True)
    max_age_days = fields.Integer(required=True, allow_none=True)
    approval = fields.Boolean(required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    created_by = fields.String(required=True)


class AliasSchema(Schema):
    """All that is known of an alias."""

    model = fields.String(required=True)
    alias = fields.String(required=True)
    live = fields.Integer(required=True, allow_none=True, metadata={"description": "null: it points at nothing as yet"})
    stack = fields.List(fields.Integer(), required=True, metadata={"description": "Oldest first; live is last"})
    revision = fields.Integer(required=True, metadata={"description": "How often it has moved"})
    etag = fields.String(required=True, allow_none=True, metadata={"description": "For If-Match"})
    protection = fields.Nested(ProtectionSchema, required=True, allow_none=True)
    waiting = fields.Nested(
        ProposalSchema, required=True, allow_none=True, metadata={"description": "A promotion that waits for a second key"}
    )
