"""The gradient of the log-likelihood from one run of statsmodels' smoother; differences would filter once for each parameter.

Koopman and Shephard (1992), "Exact score for time series models in state space form"; in the symbols of Durbin and Koopman
(2012), chapter 4, with r and N of the smoother:

    by the intercept c_t: r_t                    by T: sum of r_t a_t|n' - N_t L_t P_t
    by the shocks' covariance: 1/2 sum of R' (r_t r_t' - N_t) R

and the stationary start adds its part: its mean is (I - T)^-1 c_0, and its covariance solves P = T P T' + R Q R'.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .coefficients import Coefficients, Shape

SMALLEST = 1e-12  # a measurement error's variance is not told from zero below this
STEP = 1e-7


class Slopes(NamedTuple):
    """The derivatives by the matrices of the state space; `intercept` by those of steps 2 … n, (k, n - 1)."""

    intercept: np.ndarray
    transition: np.ndarray
    shock_cov: np.ndarray
    noise: np.ndarray


def value_and_gradient(model: Any, shape: Shape, unconstrained: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the log-likelihood at unconstrained parameters, and its gradient by them, (k,)."""
    constrained = model.transform_params(unconstrained)
    model.update(constrained)
    smoothed = model.ssm.smooth(smoother_output=0x01 | 0x02)  # states and their covariances
    slopes = _slopes(model, smoothed, shape)
    by_constrained = _by_parameters(model, shape, slopes, Coefficients.of(constrained, shape))
    return float(smoothed.llf), by_constrained @ _transformation(model, shape, unconstrained, constrained)


def _slopes(model: Any, smoothed: Any, shape: Shape) -> Slopes:
    before = slice(0, smoothed.nobs - 1)  # the last step leads out of the sample
    r, n = smoothed.scaled_smoothed_estimator[:, before], smoothed.scaled_smoothed_estimator_cov[:, :, before]
    states, cov = smoothed.smoothed_state[:, before], smoothed.predicted_state_cov[:, :, before]
    selection = model.ssm["selection"]
    transition = r @ states.T - np.einsum(
        "ijt,jkt,klt->il", n, smoothed.innovations_transition[:, :, before], cov, optimize=True
    )
    shocks = selection.T @ (r @ r.T - n.sum(axis=2)) @ selection / 2
    mean_slope, start_slope = _start(model, smoothed)
    start_mean, start_cov = smoothed.predicted_state[:, 0], smoothed.predicted_state_cov[:, :, 0]
    transition += np.outer(mean_slope, start_mean) + 2 * start_slope @ model.ssm["transition"] @ start_cov
    intercept = r[: shape.endog].copy()
    intercept[:, 0] += mean_slope[: shape.endog]
    return Slopes(intercept, transition, shocks + selection.T @ start_slope @ selection, _noise(model, smoothed, shape))


def _start(model: Any, smoothed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives by c_0 and by R Q R' through the stationary start (the adjoints of its two equations)."""
    from scipy.linalg import solve_discrete_lyapunov

    transition = model.ssm["transition"]
    r, n = smoothed.scaled_smoothed_estimator_presample, smoothed.scaled_smoothed_estimator_cov_presample
    by_mean = np.linalg.solve((np.eye(len(transition)) - transition).T, r)
    return by_mean, solve_discrete_lyapunov(transition.T, (np.outer(r, r) - n) / 2)


def _noise(model: Any, smoothed: Any, shape: Shape) -> np.ndarray:
    if not shape.specification.measurement_error:
        return np.empty(0)
    variance = np.maximum(np.diag(model.ssm["obs_cov"]), SMALLEST)[:, None]
    k = shape.endog  # the design takes the first k states
    squares = (model.endog.T - smoothed.smoothed_state[:k]) ** 2 + np.einsum("iit->it", smoothed.smoothed_state_cov[:k, :k])
    return np.asarray(np.nansum(squares / variance**2 - 1 / variance, axis=1) / 2)


def _by_parameters(model: Any, shape: Shape, slopes: Slopes, at: Coefficients) -> np.ndarray:
    k, (p, q) = shape.endog, shape.order
    trend = shape.specification.trend_columns(2, model.nobs)
    exog = model.exog[1:] if shape.exog else np.empty((len(trend), 0))
    lags = slopes.transition[:k].reshape(k, -1, k).transpose(1, 0, 2)  # one matrix for each block of k states
    by_shocks = 2 * slopes.shock_cov @ at.shocks if at.shocks.ndim == 2 else np.diag(slopes.shock_cov)
    found = Coefficients(
        slopes.intercept @ trend, lags[:p], lags[max(p, 1) : max(p, 1) + q], slopes.intercept @ exog, by_shocks, slopes.noise
    )
    return found.vector()


def _transformation(model: Any, shape: Shape, unconstrained: np.ndarray, constrained: np.ndarray) -> np.ndarray:
    """Return the derivative (k, k) of the constrained parameters by the unconstrained; trend and exog are not transformed."""
    bounds = np.cumsum((0, *shape.sizes))
    curved = [*range(bounds[1], bounds[3]), *range(bounds[4], bounds[6])]
    jacobian = np.eye(len(unconstrained))
    for i in curved:
        moved = unconstrained.copy()
        moved[i] += STEP
        jacobian[:, i] = (model.transform_params(moved) - constrained) / STEP
    return jacobian
