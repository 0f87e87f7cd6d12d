"""Take from a filtered SARIMAX what forecasts need: its matrices, the last filtered state, and the clock of the trend."""

from __future__ import annotations

from typing import Any

import numpy as np

from forecastle_sdk.statespace import StateSpace


def state_space(results: Any) -> StateSpace:
    """Return the system of SARIMAX results (Harvey's representation) as it stands at their last row.

    Exogenous columns with coefficients by maximum likelihood move the observation, those with coefficients in the state
    stand in the design. The constant and the slope enter the first state after the differences. In row t of 1 … n
    statsmodels adds the slope t times to the *next* row's state: the first coming step reads the clock n.
    """
    model, filtered = results.model, results.filter_results
    regression = model.k_states - model.k_exog if model.state_regression else None
    powers = tuple(int(power) for power in np.flatnonzero(model.polynomial_trend)) if model.k_trend else ()
    design = np.array(model["design"], ndmin=2)
    if regression is not None:
        design = np.atleast_2d(model["design"][..., -1]).copy()
        design[:, regression:] = 0
    inputs = len(powers) + model.k_exog
    state_input, output_input = np.zeros((model.k_states, inputs)), np.zeros((1, inputs))
    state_input[model._k_states_diff, : len(powers)] = results.params[: model.k_trend]
    if model.mle_regression:
        output_input[:, len(powers) :] = results.params[model.k_trend : model.k_trend + model.k_exog]
    return StateSpace(
        transition=model["transition"],
        selection=model["selection"],
        shock_cov=model["state_cov"],
        design=design,
        noise=model["obs_cov"].ravel(),
        state_input=state_input,
        output_input=output_input,
        mean=filtered.filtered_state[:, -1],
        cov=filtered.filtered_state_cov[:, :, -1],
        clock=model.nobs,
        powers=powers,
        regression=regression,
    )
