"""SARIMAX in coordinates that an optimizer copes with. This module imports statsmodels: import it inside `fit` only."""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.tools.numdiff import approx_fprime_cs
from statsmodels.tsa.statespace.sarimax import SARIMAX
from statsmodels.tsa.statespace.tools import diff

COMPLEX_STEP = 1.5e-8  # a shorter one is lost where the filter compares what it has with its tolerance

DEPENDENT = 1e-8  # what a column of size one may leave of itself beside the others before its direction is only rounding


class ScaledSARIMAX(SARIMAX):
    """SARIMAX whose optimizer sees parameters of the size of one, and regressors that are orthogonal.

    Only the start and the optimizer's coordinates are other than the stock model's: likelihood, parameters and results are
    the same.
    """

    def __init__(self, endog: np.ndarray, **arguments: Any) -> None:
        super().__init__(endog, **arguments)
        self._start = _start(self, endog, arguments)
        self._coordinates = _coordinates(self)

    def transform_params(self, unconstrained: np.ndarray) -> np.ndarray:
        """Return the model's parameters for a point of the optimizer."""
        return super().transform_params(self._coordinates @ unconstrained)

    def untransform_params(self, constrained: np.ndarray) -> np.ndarray:
        """Return the point of the optimizer for the model's parameters."""
        return np.linalg.solve(self._coordinates, super().untransform_params(constrained))

    @property
    def start_params(self) -> np.ndarray:
        """Where the optimizer starts."""
        return self._start.copy()

    def score(self, params: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        """Return the gradient of the log-likelihood at a point of the optimizer, exact to rounding.

        statsmodels' own multiplies by the transposed Jacobian of `transform_params`, which is right for diagonal ones only.
        """
        steps = COMPLEX_STEP * np.maximum(np.abs(params), 0.1)
        return approx_fprime_cs(params, self.loglike, epsilon=steps, kwargs={"transformed": False, "complex_step": True})


def _start(model: SARIMAX, endog: np.ndarray, arguments: dict[str, Any]) -> np.ndarray:
    """Return the stock start of what the exogenous columns, regressed beside the trend, leave unexplained.

    The variance of a measurement error begins at a tenth of the shocks', whatever the column's scale.
    """
    effects = _effects(model)
    rest = endog - model.exog @ effects if len(effects) else endog
    start = np.array(SARIMAX(rest, **{**arguments, "exog": None}).start_params)
    if model.measurement_error:
        start[-2] = start[-1] / 10
    return np.insert(start, model.k_trend, effects) if model.mle_regression else start


def _effects(model: SARIMAX) -> np.ndarray:
    """Return the coefficients (m,) of the exogenous columns by least squares beside the trend, after differencing."""
    if not model.k_exog:
        return np.empty(0)
    exog, endog = _differenced(model, model.exog), _differenced(model, model.endog)[:, 0]
    seen = ~np.isnan(endog)
    regressors = np.column_stack([model._trend_data[-len(exog) :], exog])
    return np.linalg.lstsq(regressors[seen], endog[seen])[0][model.k_trend :]


def _differenced(model: SARIMAX, values: np.ndarray) -> np.ndarray:
    return np.asarray(diff(values, model.k_diff, model.k_seasonal_diff, model.seasonal_periods))


def _coordinates(model: SARIMAX) -> np.ndarray:
    """Return the matrix that takes the optimizer's point to stock SARIMAX's unconstrained parameters.

    The shocks' deviation at the start is the unit of deviations and of regression effects. The trend and the exogenous
    columns, as the starting autoregression leaves them for the shocks, are combined to be orthogonal and of one size.
    """
    start = model.start_params
    scale = np.sqrt(start[-1])
    matrix = np.eye(len(start))
    matrix[-1, -1] = scale
    if model.measurement_error:
        matrix[-2, -2] = scale
    count = model.k_trend + (model.k_exog if model.mle_regression else 0)
    if count:
        matrix[:count, :count] = scale * _orthogonalizer(_regressors(model, start))
    return matrix


def _orthogonalizer(regressors: np.ndarray) -> np.ndarray:
    """Return the matrix that makes regressors (n, m) orthogonal and of mean square one; where they depend, their sizes only."""
    sizes = np.sqrt((regressors**2).mean(axis=0))
    sizes[sizes == 0] = 1.0
    upper = np.linalg.qr(regressors / sizes, mode="r") / np.sqrt(len(regressors))
    if np.abs(np.diag(upper)).min() <= DEPENDENT:
        return np.diag(1 / sizes)
    return np.linalg.inv(upper) / sizes[:, None]


def _regressors(model: SARIMAX, start: np.ndarray) -> np.ndarray:
    """Return what trend and exog add to the shocks: (rows, k_trend + k_exog); only exog passes through the autoregression."""
    model.update(start)
    polynomial = np.polymul(model._polynomial_ar, model._polynomial_seasonal_ar)
    columns = [model._trend_data[:, column] for column in range(model.k_trend)]
    if model.mle_regression:
        exog = _differenced(model, model.exog)
        columns += [np.convolve(column, polynomial)[: len(exog)] for column in exog.T]
    rows = min(map(len, columns))
    dropped = min(len(polynomial) - 1, rows // 2)  # rows whose past is not known
    return np.column_stack([column[-rows:][dropped:] for column in columns])
