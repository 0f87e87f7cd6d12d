"""Instantiate VARMAX with an order and fit it: standardized columns in, parameters in the columns' own units out."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from forecastle_sdk import Candidate, Dataset, Estimate, Verdict
from forecastle_sdk.errors import DataError

from .coefficients import Shape
from .gradient import value_and_gradient
from .optimize import IMPOSSIBLE, maximize, outer_product
from .parameters import Order, Specification
from .prepare import Prepared
from .start import starting_values

SINGULAR = 1e-12  # an information matrix of unit diagonal with an eigenvalue below this says nothing about some direction


@dataclass(frozen=True, slots=True, eq=False)
class OrderFit:
    """What came of one order: statsmodels' parameters (None when there is no likelihood), and what the search compares.

    `vector` holds the parameters in the columns' own units, `standardized` those of the same model on standardized columns.
    `llf` is that of the data in its own units; `criteria` hold None where they are not defined; `message` is the optimizer's
    own word and the warnings on the way.
    """

    order: Order
    vector: np.ndarray | None
    standardized: np.ndarray | None
    llf: float | None
    criteria: dict[str, float | None]
    seconds: float
    verdict: Verdict
    nobs: int
    k: int
    message: str

    def candidate(self) -> Candidate:
        """Return the row of the search's table."""
        order = ",".join(map(str, self.order))
        return Candidate(order, self.llf, self.criteria, self.seconds, self.verdict, self.nobs, self.k, self.message)


def stock_model(endog: Any, exog: Any, order: Order, specification: Specification) -> Any:
    """Return statsmodels' VARMAX, without the warning that it gives for every mixed order."""
    from statsmodels.tsa.statespace.varmax import VARMAX

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return VARMAX(endog, exog=exog, order=order, **specification.keywords())


def raw_model(data: Dataset, order: Order, specification: Specification) -> Any:
    """Return the model of the data in its own units, which knows the columns' names."""
    import pandas as pd

    exog = pd.DataFrame(data.exog, columns=list(data.exog_names)) if data.exog_names else None
    return stock_model(pd.DataFrame(data.endog, columns=list(data.endog_names)), exog, order, specification)


def check_rows(data: Dataset, order: Order, specification: Specification) -> None:
    """Refuse an order that has more coefficients in an equation than rows can tell. Raises `DataError`."""
    shape = Shape(len(data.endog_names), len(data.exog_names), order, specification)
    needed = shape.per_equation + shape.endog + max(order) + 1
    for name, seen in zip(data.endog_names, (~np.isnan(data.endog)).sum(axis=0), strict=True):
        if seen < needed:
            raise DataError(
                f"the column {name!r} has {seen} values; the order ({order[0]},{order[1]}) with {shape.exog} exogenous columns "
                f"needs at least {needed}; give more rows, or ask for fewer lags or columns",
                code="too-few-rows",
            )


def fit_order(prepared: Prepared, order: Order, specification: Specification) -> OrderFit:
    """Fit one order to all rows. A fit that breaks down is an `OrderFit` of verdict `failed`, not an error."""
    began = time.perf_counter()
    shape = Shape(len(prepared.data.endog_names), len(prepared.data.exog_names), order, specification)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = _fitted(prepared, shape)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            fit = failed_fit(prepared.data, shape, f"{type(error).__name__}: {error}")
    said = sorted({f"{warning.category.__name__}: {warning.message}" for warning in caught})
    return replace(fit, seconds=time.perf_counter() - began, message="; ".join([fit.message, *said]))


def _fitted(prepared: Prepared, shape: Shape) -> OrderFit:
    model = stock_model(prepared.endog, prepared.exog, shape.order, shape.specification)
    start = starting_values(prepared.endog, prepared.exog, shape)
    optimum = maximize(
        lambda vector: value_and_gradient(model, shape, vector),
        lambda vector: model.loglikeobs(vector, transformed=False),
        model.untransform_params(start.vector()),
        shape.specification.maxiter,
    )
    found = model.transform_params(optimum.vector)
    vector = prepared.scaling.raw_vector(found, shape)
    llf = optimum.llf - prepared.scaling.log_units(prepared.data)
    if optimum.llf <= -IMPOSSIBLE or not np.isfinite(vector).all():
        return failed_fit(prepared.data, shape, "the likelihood is not finite anywhere near the start")
    errors = model.filter(found, return_ssm=True).forecasts_error
    criteria = {**information_criteria(llf, prepared.data.nobs, shape.parameters), "mse": float(np.nanmean(errors**2))}
    verdict = Verdict.CONVERGED if optimum.converged else Verdict.FAILED
    message = f"{optimum.message} ({optimum.iterations} iterations)"
    return OrderFit(shape.order, vector, found, llf, criteria, 0.0, verdict, prepared.data.nobs, shape.parameters, message)


def failed_fit(data: Dataset, shape: Shape, message: str) -> OrderFit:
    """Return what stands in the table for an order without a likelihood: its n and k, and why."""
    return OrderFit(shape.order, None, None, None, {}, 0.0, Verdict.FAILED, data.nobs, shape.parameters, message)


def information_criteria(llf: float, nobs: int, k: int) -> dict[str, float | None]:
    """Return aic, aicc, bic and hqic for n = all rows and k parameters; aicc is None where n is too small for it."""
    aic = -2 * llf + 2 * k
    spare = nobs - k - 1
    return {
        "aicc": aic + 2 * k * (k + 1) / spare if spare > 0 else None,
        "aic": aic,
        "bic": -2 * llf + k * float(np.log(nobs)),
        "hqic": -2 * llf + 2 * k * float(np.log(np.log(nobs))),
    }


def estimates(prepared: Prepared, fit: OrderFit, specification: Specification) -> tuple[Estimate, ...]:
    """Return the parameters by statsmodels' names, with standard errors from the outer product of the scores."""
    assert fit.vector is not None
    names = raw_model(prepared.data, fit.order, specification).param_names
    errors = _standard_errors(prepared, fit, specification)
    return tuple(Estimate(name, float(value), error) for name, value, error in zip(names, fit.vector, errors, strict=True))


def _standard_errors(prepared: Prepared, fit: OrderFit, specification: Specification) -> list[float | None]:
    """Invert the information on standardized columns, where it can be inverted at all, and map it to the columns' own units."""
    assert fit.standardized is not None
    shape = Shape(len(prepared.data.endog_names), len(prepared.data.exog_names), fit.order, specification)
    model = stock_model(prepared.endog, prepared.exog, fit.order, specification)
    try:
        with np.errstate(all="ignore"):
            information = outer_product(model.loglikeobs, fit.standardized)
            size = np.sqrt(np.diag(information))
            roots, vectors = np.linalg.eigh(information / np.outer(size, size))
            if not roots[0] > SINGULAR:
                return [None] * shape.parameters
            spread = prepared.scaling.jacobian(shape) @ (vectors / np.sqrt(roots) / size[:, None])
            return [float(error) for error in np.sqrt((spread**2).sum(axis=1))]
    except (ValueError, np.linalg.LinAlgError):
        return [None] * shape.parameters
