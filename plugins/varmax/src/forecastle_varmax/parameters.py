"""What a training of the VARMAX plugin accepts, and the specification that comes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow
import numpy as np
from marshmallow import fields, validate

from forecastle_sdk.errors import ParametersError

Order = tuple[int, int]

CRITERIA = ("aicc", "aic", "bic", "hqic", "holdout", "mse")
LARGEST = 12  # lags beyond a year of months are a seasonal model's work


def _order(text: str) -> None:
    if text != "auto" and not re.fullmatch(r"\s*\d{1,2}\s*,\s*\d{1,2}\s*", text):
        raise marshmallow.ValidationError("expected 'auto', or two numbers as '1,1'")


class VarmaxParameters(marshmallow.Schema):
    """The parameters by statsmodels' names and with its defaults, and those of the search."""

    class Meta:
        """A parameter that is not understood is an error, not a silence."""

        unknown = marshmallow.RAISE

    order = fields.String(
        load_default="auto",
        validate=_order,
        metadata={"description": "`p,q`: autoregressive and moving-average lags, as `1,1`; or `auto`, which searches."},
    )
    max_p = fields.Integer(
        load_default=3,
        validate=validate.Range(0, LARGEST),
        metadata={"description": "The search tries p from 0 to this."},
    )
    max_q = fields.Integer(
        load_default=3,
        validate=validate.Range(0, LARGEST),
        metadata={"description": "The search tries q from 0 to this."},
    )
    criterion = fields.String(
        load_default="aicc",
        validate=validate.OneOf(CRITERIA),
        metadata={
            "description": "What the search minimizes: `aicc`, `aic`, `bic` or `hqic`, for which all rows count; `holdout`, "
            "the mean squared error of one forecast of the last rows, made without them but with their exogenous values; or "
            "`mse`, the in-sample mean squared error one step ahead. Both errors are in units of each column's variance."
        },
    )
    validation_size = fields.Float(
        load_default=0.1,
        validate=validate.Range(0, min_inclusive=False),
        metadata={
            "description": "For `holdout`: the share of the training rows to validate on when below 1, else how many rows."
        },
    )
    trend = fields.String(
        load_default="c",
        validate=validate.OneOf(("n", "c", "t", "ct")),
        metadata={"description": "The deterministic trend: `n` none, `c` a constant, `t` a linear trend, `ct` both."},
    )
    error_cov_type = fields.String(
        load_default="unstructured",
        validate=validate.OneOf(("unstructured", "diagonal")),
        metadata={"description": "The covariance of the shocks: `unstructured`, or `diagonal` (shocks are not correlated)."},
    )
    measurement_error = fields.Boolean(
        load_default=False, metadata={"description": "Whether the endogenous columns are observed with an error of their own."}
    )
    maxiter = fields.Integer(
        load_default=1000,
        validate=validate.Range(1, 100_000),
        metadata={"description": "The most iterations that the optimizer may take for one order."},
    )


@dataclass(frozen=True, slots=True)
class Specification:
    """All of a VARMAX model but its order: statsmodels' keywords, and the bound on iterations."""

    trend: str = "c"
    error_cov_type: str = "unstructured"
    measurement_error: bool = False
    maxiter: int = 1000

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Specification:
        """Take the specification out of loaded parameters."""
        return cls(**{name: parameters[name] for name in ("trend", "error_cov_type", "measurement_error", "maxiter")})

    @property
    def has_constant(self) -> bool:
        """Whether the columns' means are the model's to choose."""
        return self.trend in ("c", "ct")

    @property
    def powers(self) -> tuple[int, ...]:
        """The powers of time in the trend."""
        return {"n": (), "c": (0,), "t": (1,), "ct": (0, 1)}[self.trend]

    def trend_columns(self, first: int, last: int) -> np.ndarray:
        """Return the trend's regressors (rows, powers) for the rows first … last, counted from 1."""
        return np.asarray(np.arange(first, last + 1.0)[:, None] ** np.array(self.powers, dtype=np.float64))

    def keywords(self) -> dict[str, Any]:
        """Return what statsmodels' VARMAX takes beside data and order."""
        return {"trend": self.trend, "error_cov_type": self.error_cov_type, "measurement_error": self.measurement_error}


def asked_order(parameters: Mapping[str, Any]) -> Order | None:
    """Return the order that was asked for, or None for a search. Raises `ParametersError`."""
    if parameters["order"] == "auto":
        return None
    p, q = (int(part) for part in parameters["order"].split(","))
    if p + q == 0 or max(p, q) > LARGEST:
        raise ParametersError(f"the order is {p},{q}; expected p and q of at most {LARGEST}, and not both zero")
    return p, q


def candidate_orders(parameters: Mapping[str, Any]) -> list[Order]:
    """Return the orders to search, smallest first, without (0,0). Raises `ParametersError` when there is none."""
    orders = [(p, q) for p in range(parameters["max_p"] + 1) for q in range(parameters["max_q"] + 1) if p + q]
    if not orders:
        raise ParametersError("max_p and max_q are both 0, which leaves no order to try; allow at least one lag")
    return sorted(orders, key=lambda order: (sum(order), order))
