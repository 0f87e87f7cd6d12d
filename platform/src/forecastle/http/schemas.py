"""The bodies and queries of the platform's addresses. Arrays are one field each: a forecast's numbers are checked by numpy."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, validate

from ..serving.request import MAX_QUANTILES, Ask
from .fields import ExogField, Name, Numbers, Whole

NUMBER_LIST = {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": MAX_QUANTILES}
EXOG = {
    "oneOf": [
        {
            "type": "object",
            "additionalProperties": {"oneOf": [{"type": "array", "items": {"type": "number"}}, {"type": "number"}]},
        },
        {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "number"}}},
    ],
    "description": "Future values of every exogenous column, one for each step: as columns, or as a list of records",
    "example": {"unemp": [4.4, 4.5]},
}


class StrictSchema(Schema):
    """What is unknown is refused."""

    error_messages = {"type": "expected a JSON object: {…}"}  # noqa: RUF012  marshmallow declares it so

    class Meta:
        unknown = RAISE


class PinnedForecastSchema(StrictSchema):
    """A request for a forecast by a version that the address names."""

    horizon = Whole(
        maximum=None, metadata={"description": "Steps ahead; may be left out when exog has rows", "example": 8, "minimum": 1}
    )
    h = Whole(metadata={"description": "The same as horizon", "minimum": 1})
    steps = Whole(metadata={"description": "The same as horizon", "minimum": 1})
    exog = ExogField(metadata=EXOG)
    levels = Numbers(
        metadata={**NUMBER_LIST, "description": "Prediction intervals in percent; 95 unless given", "example": [80, 95]}
    )
    quantiles = Numbers(
        metadata={**NUMBER_LIST, "description": "Quantiles in (0, 1), instead of levels", "example": [0.1, 0.5, 0.9]}
    )

    @post_load
    def to_ask(self, data: dict[str, Any], **kwargs: Any) -> Ask:
        """Return what is asked for, with one horizon."""
        given = {name: data.pop(name) for name in ("horizon", "h", "steps") if name in data}
        if len(set(given.values())) > 1:
            raise ValidationError({name: [f"{value} here; horizon, h and steps must agree"] for name, value in given.items()})
        return Ask(horizon=next(iter(given.values()), None), **data)


class ForecastSchema(PinnedForecastSchema):
    """A request for a forecast."""

    version = Whole(1, metadata={"description": "Pin a version instead of following an alias"})
    alias = Name(metadata={"description": "The alias to follow; production unless given"})


class ModelReferenceSchema(Schema):
    """Which model answered."""

    name = fields.String(required=True)
    version = fields.Integer(required=True)
    alias = fields.String(required=True, allow_none=True)
    plugin = fields.String(required=True)


class NoticeSchema(Schema):
    """What a person should know about a fit or a forecast."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    columns = fields.List(fields.String(), required=True)


SERIES = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number"}}}
STAMPS = {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}
STAMP = {"oneOf": [{"type": "string"}, {"type": "integer"}]}


class IntervalSchema(Schema):
    """The bounds of one prediction interval."""

    level = fields.Float(required=True, metadata={"description": "Percent"})
    lower = fields.Raw(required=True, metadata=SERIES)
    upper = fields.Raw(required=True, metadata=SERIES)


class ForecastAnswerSchema(Schema):
    """A forecast: timestamps, mean, and intervals or quantiles, each by endogenous column."""

    model = fields.Nested(ModelReferenceSchema, required=True)
    frequency = fields.String(
        required=True, allow_none=True, metadata={"description": "pandas' spelling; null for an integer index"}
    )
    trained_until = fields.Raw(required=True, metadata=STAMP)
    timestamps = fields.Raw(required=True, metadata=STAMPS)
    mean = fields.Raw(required=True, metadata=SERIES)
    intervals = fields.List(fields.Nested(IntervalSchema))
    quantiles = fields.Raw(metadata={"type": "object", "additionalProperties": SERIES})
    conditional_on = fields.List(
        fields.String(), required=True, metadata={"description": "The exog that the answer takes as given"}
    )
    notices = fields.List(fields.Nested(NoticeSchema), required=True)


class UploadSchema(StrictSchema):
    """Future exogenous values as a file, with the fields of a form."""

    file = fields.Raw(
        required=True,
        metadata={"type": "string", "format": "binary", "description": "CSV, Excel (.xlsx), or Parquet where it is installed"},
    )
    horizon = fields.String(metadata={"description": "Steps ahead; as many as the file has rows unless given", "example": "8"})
    levels = fields.String(metadata={"description": "Comma-separated percentages; 95 unless given", "example": "80,95"})


class PageSchema(StrictSchema):
    """How much of a listing to answer, and from where."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500), metadata={"description": "Items on a page"})
    after = Name(metadata={"description": "`next` of the page before"})


class PluginSchema(Schema):
    """An installed plugin."""

    class Meta:
        unknown = EXCLUDE

    name = fields.String(required=True)
    title = fields.String(required=True, allow_none=True)
    description = fields.String(required=True, allow_none=True)
    version = fields.String(required=True)
    distribution = fields.String(required=True)
    contract = fields.Integer(required=True, allow_none=True)
    capabilities = fields.List(fields.String(), required=True)
    parameters = fields.Raw(required=True, allow_none=True, metadata={"type": "object", "description": "JSON Schema"})
    usable = fields.Boolean(required=True)
    problem = fields.String(required=True, allow_none=True, metadata={"description": "Why it is not usable"})


class ModelSchema(Schema):
    """A model that is served."""

    name = fields.String(required=True)
    plugin = fields.String(required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    aliases = fields.Raw(
        required=True,
        metadata={"type": "object", "additionalProperties": {"type": "integer"}, "description": "Alias to live version"},
    )
    latest = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The newest version's number; null: all were deleted"}
    )
    links = fields.Raw(required=True, metadata={"type": "object", "additionalProperties": {"type": "string"}})


class LiveProblemSchema(Schema):
    """A live version that this process cannot load."""

    model = fields.String(required=True)
    alias = fields.String(required=True)
    version = fields.Integer(required=True, metadata={"description": "The version that is live"})
    code = fields.String(required=True, metadata={"description": "Stable and machine-readable", "example": "golden-mismatch"})
    message = fields.String(required=True)
    served = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "The version that answers in its place; null when none does"},
    )


class ModelDetailSchema(ModelSchema):
    """A model, and whether what is live loads in the process that answers."""

    problems = fields.List(fields.Nested(LiveProblemSchema), required=True)


class VersionSummarySchema(Schema):
    """A version in a listing."""

    number = fields.Integer(required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    archived_at = fields.String(
        required=True,
        allow_none=True,
        metadata={"format": "date-time", "description": "Since when it may not go live; null: it may"},
    )
    plugin = fields.String(required=True)
    verdict = fields.String(required=True, allow_none=True)
    llf = fields.Float(required=True, allow_none=True)
    parameters = fields.Raw(required=True, metadata={"type": "object"})
    serializer = fields.String(required=True)
    artifact_size = fields.Integer(required=True, metadata={"description": "Bytes"})
    parent = fields.Integer(required=True, allow_none=True)
    aliases = fields.List(fields.String(), required=True)


class EstimateSchema(Schema):
    """One estimated parameter, by statsmodels' name."""

    name = fields.String(required=True)
    value = fields.Float(required=True)
    std_error = fields.Float(required=True, allow_none=True)


class VersionSchema(VersionSummarySchema):
    """Everything about one version."""

    model = fields.String(required=True)
    plugin_version = fields.String(required=True)
    artifact_digest = fields.String(required=True, metadata={"description": "SHA-256 of the artifact's bytes"})
    state_digest = fields.String(required=True, metadata={"description": "SHA-256 of state and signature, canonically encoded"})
    state_format = fields.Integer(required=True)
    signature = fields.Raw(required=True, metadata={"type": "object"})
    estimates = fields.List(fields.Nested(EstimateSchema), required=True)
    criteria = fields.Raw(required=True, metadata={"type": "object"})
    candidates = fields.List(fields.Raw(metadata={"type": "object"}), required=True)
    accuracy = fields.Raw(required=True, allow_none=True, metadata={"type": "object"})
    lineage = fields.Raw(required=True, metadata={"type": "object"})
    notices = fields.List(fields.Nested(NoticeSchema), required=True)


def page_of(item: type[Schema], name: str) -> type[Schema]:
    """Return the schema of a page: `{items, next}`."""
    body: dict[str, fields.Field[Any]] = {
        "items": fields.List(fields.Nested(item), required=True),
        "next": fields.String(
            required=True, allow_none=True, metadata={"description": "Give it as `after` for the next page; null at the end"}
        ),
    }
    return Schema.from_dict(body, name=name)


class ObservationsSchema(StrictSchema):
    """New rows, in time order, that follow the last one that the model has seen."""

    index = fields.List(
        fields.Raw(metadata=STAMP), metadata={"description": "Their timestamps, if given: they must be the coming ones"}
    )
    endog = ExogField(
        required=True,
        metadata={**EXOG, "description": "The endogenous columns, or a list of records", "example": {"realgdp": [13000.0]}},
    )
    exog = ExogField(metadata={**EXOG, "description": "The exogenous columns of the same rows, where the model has any"})


class RefusalSchema(Schema):
    """Why a version does not go live though it was to."""

    code = fields.String(required=True, metadata={"example": "gate-closed"})
    message = fields.String(required=True)


class ObservedSchema(Schema):
    """The child version that a call of observations registered."""

    model = fields.String(required=True)
    version = fields.Integer(required=True)
    parent = fields.Integer(required=True)
    live = fields.Boolean(required=True)
    refusal = fields.Nested(
        RefusalSchema, required=True, allow_none=True, metadata={"description": "Why it is not live, though it was to be"}
    )
    trained_until = fields.Raw(required=True, metadata=STAMP)
    nobs = fields.Integer(required=True)
