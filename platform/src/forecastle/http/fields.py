"""Fields of requests that are stricter than marshmallow's: what is not exactly so is refused, with what was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from forecastle_registry.plain import MAX_NUMBER, NAME

from ..moments import EXAMPLE, moment_from
from ..serving.request import MAX_QUANTILES, NUMBERS

UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Whole(fields.Integer):
    """A whole number, written as one: neither text nor true nor 8.5."""

    def __init__(self, minimum: int | None = None, maximum: int | None = MAX_NUMBER, **options: Any) -> None:
        checks = [validate.Range(min=minimum, max=maximum)] if minimum is not None else []
        super().__init__(strict=True, validate=checks, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if type(value) is not int:
            raise ValidationError(f"{value!r:.40}; expected a whole number")
        return value


class Number(fields.Float):
    """A finite number, written as one: neither text nor true."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> float:
        try:
            if type(value) in NUMBERS and math.isfinite(value):
                return float(value)
        except OverflowError:
            pass
        raise ValidationError(f"{value!r:.40}; expected a finite number")


class Flag(fields.Boolean):
    """True or false, written as such: neither text nor 1."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if type(value) is not bool:
            raise ValidationError(f"{value!r:.40}; expected true or false")
        return value


class Name(fields.String):
    """The name of an alias, or where a page of a listing begins."""

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(metadata={"pattern": f"^{NAME.pattern}$", **(metadata or {})}, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not NAME.fullmatch(text):
            raise ValidationError(
                f"{text!r:.40}; expected letters, digits, dots, dashes and underscores, a letter or digit first"
            )
        return text


class Text(fields.String):
    """Text that every database can store."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if UNSTORABLE.search(text):
            raise ValidationError("has a NUL or half a surrogate pair, which cannot be stored")
        return text


class Moment(fields.String):
    """A time with its zone, or a date, which is its midnight in UTC; with `past` none that is still to come."""

    def __init__(self, *, past: bool = False, metadata: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(metadata={"format": "date-time", "example": EXAMPLE, **(metadata or {})}, **options)
        self._past = past

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        try:
            return moment_from(super()._deserialize(value, attr, data, **kwargs), past=self._past)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Numbers(fields.Field):
    """A list of numbers, checked in one go."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> tuple[float, ...]:
        if not isinstance(value, list) or not set(map(type, value)) <= NUMBERS:
            raise ValidationError("expected a list of numbers")
        if not 0 < len(value) <= MAX_QUANTILES:
            raise ValidationError(f"{len(value)} values; expected 1 to {MAX_QUANTILES}")
        try:
            return tuple(map(float, value))
        except OverflowError:
            raise ValidationError("a number is too large") from None


class ExogField(fields.Field):
    """Future exogenous values: columns, or a list of records. Its cells are checked with the version's signature at hand."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, dict | list):
            return value
        raise ValidationError("expected columns ({name: [numbers]}) or a list of records ([{name: number}])")
