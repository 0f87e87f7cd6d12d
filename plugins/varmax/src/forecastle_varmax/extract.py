"""From parameters to the state that forecasts: the filtered state at the last row, in the columns' own units."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from forecastle_sdk.statespace import StateSpace

from .coefficients import Coefficients, Shape
from .estimate import raw_model, stock_model
from .parameters import Order, Specification
from .prepare import Prepared

DIFFERENCE = 1e-3  # of two log-likelihoods of the same model: more than this, and one filter has lost its precision


def extract(prepared: Prepared, order: Order, specification: Specification, standardized: np.ndarray) -> StateSpace:
    """Run statsmodels' filter over the rows, and take what a forecast needs; `standardized` are the parameters as fitted.

    Trend and exogenous columns enter the state of the row that they belong to; the clock of the first coming row is n + 1.
    """
    shape = Shape(len(prepared.data.endog_names), len(prepared.data.exog_names), order, specification)
    found = prepared.scaling.raw(Coefficients.of(standardized, shape))
    model = raw_model(prepared.data, order, specification)
    mean, cov = _last_state(prepared, model, found.vector(), shape, standardized)
    state_input = np.zeros((model.k_states, found.trend.shape[1] + shape.exog))
    state_input[: shape.endog] = np.concatenate((found.trend, found.exog), axis=1)
    return StateSpace(
        transition=model.ssm["transition"],
        selection=model.ssm["selection"],
        shock_cov=model.ssm["state_cov"],
        design=model.ssm["design"],
        noise=np.diag(model.ssm["obs_cov"]),
        state_input=state_input,
        output_input=np.zeros((shape.endog, state_input.shape[1])),
        mean=mean,
        cov=cov,
        clock=prepared.data.nobs + 1,
        powers=specification.powers,
    )


def _last_state(
    prepared: Prepared, model: Any, raw: np.ndarray, shape: Shape, standardized: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the filtered state of the last row, as statsmodels has it in the columns' own units.

    Where columns differ by many orders of magnitude that filter loses its precision; then it is the state of the standardized
    columns, scaled back.
    """
    on_raw = _filtered(model, raw)
    on_standardized = _filtered(stock_model(prepared.endog, prepared.exog, shape.order, shape.specification), standardized)
    difference = on_raw.llf - (on_standardized.llf - prepared.scaling.log_units(prepared.data))
    if abs(difference) < DIFFERENCE:  # false for NaN too
        return on_raw.filtered_state[:, -1], on_raw.filtered_state_cov[:, :, -1]
    state, cov = on_standardized.filtered_state[:, -1], on_standardized.filtered_state_cov[:, :, -1]
    return prepared.scaling.raw_state(state, cov, lags=max(shape.order[0], 1))


def _filtered(model: Any, vector: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit has said them already
        return model.filter(vector, return_ssm=True)
