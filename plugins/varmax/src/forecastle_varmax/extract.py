"""From parameters to the state that forecasts: the filtered state at the last row, in the columns' own units."""

from __future__ import annotations

import warnings

import numpy as np

from forecastle_sdk import Dataset
from forecastle_sdk.statespace import StateSpace

from .coefficients import Coefficients, Shape
from .estimate import raw_model
from .parameters import Order, Specification


def extract(data: Dataset, order: Order, specification: Specification, vector: np.ndarray) -> StateSpace:
    """Run statsmodels' filter over the rows with the parameters `vector`, and take what a forecast needs.

    Trend and exogenous columns enter the state of the row that they belong to; the clock of the first coming row is n + 1.
    """
    shape = Shape(len(data.endog_names), len(data.exog_names), order, specification)
    found = Coefficients.of(vector, shape)
    model = raw_model(data, order, specification)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit has said them already
        filtered = model.filter(vector, return_ssm=True)
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
        mean=filtered.filtered_state[:, -1],
        cov=filtered.filtered_state_cov[:, :, -1],
        clock=data.nobs + 1,
        powers=specification.powers,
    )
