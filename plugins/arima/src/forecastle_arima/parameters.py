"""What a training of the plugin accepts, and the model that it asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import marshmallow
from marshmallow import fields, validate

Lags: TypeAlias = int | tuple[int, ...]
"""Lags 1 to n, or those that are listed."""

LARGEST = 1000


class OrderField(fields.String):
    """An order as text, `1,0,1` or with lists of lags `[1,4],0,1`; a JSON list is taken too. It loads to one spelling."""

    def __init__(self, parts: str, **kwargs: Any) -> None:
        self.parts = parts
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        numbers = value if isinstance(value, list) else _from_text(value)
        if numbers is None or len(numbers) != len(self.parts.split(",")):
            raise marshmallow.ValidationError(f"{value!r} is no order; expected {self.parts}, as in {self.load_default}")
        listed = (0, 2)  # what counts lags may list them: p and q, P and Q
        return ",".join(_spelled(_checked(part, place in listed)) for place, part in enumerate(numbers))


class ArimaParameters(marshmallow.Schema):
    """The parameters of a training, by statsmodels' names and with its defaults."""

    class Meta:
        """Refuse what is not known."""

        unknown = marshmallow.RAISE

    order = OrderField(
        "p,d,q",
        load_default="1,0,0",
        metadata={"description": "p,d,q: AR lags, differences, MA lags. p or q may be a list of lags: [1,4],0,1."},
    )
    seasonal_order = OrderField(
        "P,D,Q,s",
        load_default="0,0,0,0",
        metadata={"description": "P,D,Q,s: the same on whole seasons, and the number s of rows in a season (0: no season)."},
    )
    trend = fields.String(
        load_default="n",
        validate=validate.OneOf(["n", "c", "t", "ct"]),
        metadata={"description": "n: none, c: a constant, t: a linear trend, ct: both; of the differenced series."},
    )
    measurement_error = fields.Boolean(
        load_default=False, metadata={"description": "Whether the column is observed with an error of its own."}
    )
    enforce_stationarity = fields.Boolean(
        load_default=True, metadata={"description": "Keep the autoregression stationary (after differencing)."}
    )
    enforce_invertibility = fields.Boolean(load_default=True, metadata={"description": "Keep the moving average invertible."})
    mle_regression = fields.Boolean(
        load_default=True,
        metadata={
            "description": "Estimate the coefficients of exogenous columns by maximum likelihood; false: as part of the state, "
            "so that intervals know their uncertainty."
        },
    )
    maxiter = fields.Integer(
        load_default=50,
        validate=validate.Range(min=1, max=100_000),
        metadata={"description": "How many iterations the optimizer may take."},
    )

    @marshmallow.validates_schema
    def _season_fits(self, data: dict[str, Any], **kwargs: Any) -> None:
        model = Specification.of(data)
        *seasonal, period = model.seasonal_order
        if period == 1 or (period == 0 and any(seasonal)):
            message = f"a season of {period} rows; expected at least 2, or 0,0,0,0 for none"
            raise marshmallow.ValidationError(message, "seasonal_order")
        for name, part in (("AR", 0), ("MA", 2)):
            twice = set(lags(model.order[part])) & {lag * period for lag in lags(model.seasonal_order[part])}
            if twice:
                message = f"the {name} lags {sorted(twice)} are in order and in seasonal_order; leave them out of one"
                raise marshmallow.ValidationError(message, "seasonal_order")


@dataclass(frozen=True, slots=True)
class Specification:
    """A model to fit: the loaded parameters with orders as numbers."""

    order: tuple[Lags, int, Lags]
    seasonal_order: tuple[Lags, int, Lags, int]
    trend: str
    measurement_error: bool
    enforce_stationarity: bool
    enforce_invertibility: bool
    mle_regression: bool
    maxiter: int

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Specification:
        """Read parameters as the schema loaded them."""
        orders = {name: tuple(_from_text(parameters[name]) or ()) for name in ("order", "seasonal_order")}
        orders = {name: tuple(tuple(part) if isinstance(part, list) else part for part in o) for name, o in orders.items()}
        return cls(**{**parameters, **orders})

    @property
    def label(self) -> str:
        """The orders as a person writes them: `(1,1,1)` or `(1,1,1)×(0,1,1,4)`."""
        texts = [f"({','.join(map(_spelled, order))})" for order in (self.order, self.seasonal_order)]
        return "×".join(texts) if self.period else texts[0]

    @property
    def period(self) -> int:
        """The number of rows in a season; 0 for no season."""
        return self.seasonal_order[3]

    @property
    def differences(self) -> int:
        """How many rows the differencing uses up."""
        return self.order[1] + self.seasonal_order[1] * self.period

    def states(self, exog: int) -> int:
        """Return the number of states that SARIMAX has for this model with so many exogenous columns."""
        ar, ma = (
            max(lags(self.order[part]), default=0) + self.period * max(lags(self.seasonal_order[part]), default=0)
            for part in (0, 2)
        )
        return self.differences + max(ar, ma + 1) + (0 if self.mle_regression else exog)

    def parameters(self, exog: int) -> int:
        """Return the number of parameters that the optimizer estimates with so many exogenous columns."""
        arma = sum(len(lags(order[part])) for order in (self.order, self.seasonal_order) for part in (0, 2))
        trend = {"n": 0, "c": 1, "t": 1, "ct": 2}[self.trend]
        return arma + trend + (exog if self.mle_regression else 0) + int(self.measurement_error) + 1

    def rows_needed(self, exog: int) -> int:
        """Return the smallest number of observed rows to fit: enough for every state, every parameter, and the AICc."""
        return self.states(exog) + self.parameters(exog) + 2


def lags(order: Lags) -> tuple[int, ...]:
    """Return the lags that an order stands for."""
    return tuple(range(1, order + 1)) if isinstance(order, int) else order


def _from_text(value: Any) -> list[Any] | None:
    try:
        return list(json.loads(f"[{value}]"))
    except ValueError:
        return None


def _checked(part: Any, may_list: bool) -> Lags:
    """Return a number from 0, or lags in rising order; lags 1 to n become n. Raises `ValidationError`."""
    if isinstance(part, list) and may_list:
        found = [_checked(lag, may_list=False) for lag in part]
        rising = all(a < b for a, b in zip([0, *found], found, strict=False))  # type: ignore[operator]  # lags are ints here
        if not rising:
            raise marshmallow.ValidationError(f"the lags {part} must be different, from 1, in rising order")
        return len(found) if found == list(range(1, len(found) + 1)) else tuple(found)  # type: ignore[arg-type]  # as above
    if isinstance(part, bool) or not isinstance(part, int) or not 0 <= part <= LARGEST:
        raise marshmallow.ValidationError(f"{part!r} is no part of an order; expected a whole number from 0 to {LARGEST}")
    return part


def _spelled(part: Lags) -> str:
    return str(part) if isinstance(part, int) else f"[{','.join(map(str, part))}]"
