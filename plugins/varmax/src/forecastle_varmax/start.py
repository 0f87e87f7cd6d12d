"""Where the optimizer starts: two least-squares regressions, first for the shocks, then on them (Hannan and Rissanen 1982)."""

from __future__ import annotations

import numpy as np

from .coefficients import Coefficients, Shape, companion

INSIDE = 0.97  # the largest modulus of a root to start from; stationarity is enforced, and the border is flat
LONGEST = 8
SMALLEST = 1e-8  # variance of a shock, on columns of unit variance


def starting_values(endog: np.ndarray, exog: np.ndarray | None, shape: Shape) -> Coefficients:
    """Return coefficients to start from, for standardized endog (n, k), NaN where missing, and exog (n, m) or None."""
    filled = _filled(endog)
    p, q = shape.order
    trend = shape.specification.trend_columns(1, len(filled))
    known = trend if exog is None else np.concatenate((trend, exog), axis=1)
    shocks, first = _long_regression(filled, known, shape) if q else (np.zeros_like(filled), 0)
    first = max(first + q, p)
    lagged = np.concatenate((_lags(filled, p, first), _lags(shocks, q, first)), axis=1)
    found = _regression(np.concatenate((lagged, known[first:]), axis=1), filled[first:])
    matrices = found[: lagged.shape[1]].reshape(p + q, shape.endog, shape.endog).transpose(0, 2, 1)
    ar, ma = _pulled_inside(matrices[:p]), _pulled_inside(matrices[p:])
    rest = filled[first:] - lagged @ np.concatenate((ar, ma)).transpose(0, 2, 1).reshape(-1, shape.endog)
    level = _regression(known[first:], rest)
    return _coefficients(shape, level.T, ar, ma, rest - known[first:] @ level)


def _coefficients(shape: Shape, level: np.ndarray, ar: np.ndarray, ma: np.ndarray, left: np.ndarray) -> Coefficients:
    powers = len(shape.specification.powers)
    covariance = left.T @ left / len(left) + SMALLEST * np.eye(shape.endog)
    unstructured = shape.specification.error_cov_type == "unstructured"
    shocks = np.linalg.cholesky(covariance) if unstructured else np.diag(covariance)
    noise = 0.1 * np.diag(covariance) if shape.specification.measurement_error else np.empty(0)
    return Coefficients(level[:, :powers], ar, ma, level[:, powers:], shocks, noise)


def _long_regression(endog: np.ndarray, known: np.ndarray, shape: Shape) -> tuple[np.ndarray, int]:
    """Estimate the shocks by an autoregression long enough to stand for the moving averages; return them and its lags."""
    room = (len(endog) - known.shape[1]) // (3 * shape.endog)
    lags = max(1, min(LONGEST, room))
    regressors = np.concatenate((_lags(endog, lags, lags), known[lags:]), axis=1)
    shocks = np.zeros_like(endog)
    shocks[lags:] = endog[lags:] - regressors @ _regression(regressors, endog[lags:])
    return shocks, lags


def _lags(values: np.ndarray, count: int, first: int) -> np.ndarray:
    """Return rows first … n of the `count` lags side by side, (n - first, count k)."""
    lagged = [values[first - lag : len(values) - lag] for lag in range(1, count + 1)]
    return np.concatenate(lagged, axis=1) if lagged else np.empty((len(values) - first, 0))


def _regression(regressors: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.lstsq(regressors, values, rcond=None)[0])


def _pulled_inside(matrices: np.ndarray) -> np.ndarray:
    """Return lag matrices (lags, k, k) whose roots have a modulus of at most INSIDE, by shrinking them all alike."""
    if not len(matrices):
        return matrices
    modulus = np.abs(np.linalg.eigvals(companion(matrices))).max()
    shrink = min(1.0, INSIDE / modulus) if modulus else 1.0
    return np.asarray(matrices * (shrink ** np.arange(1, len(matrices) + 1))[:, None, None])


def _filled(endog: np.ndarray) -> np.ndarray:
    """Fill missing values by straight lines between their neighbours, for the start only."""
    filled, rows = endog.copy(), np.arange(len(endog))
    for column in filled.T:
        seen = ~np.isnan(column)
        column[~seen] = np.interp(rows[~seen], rows[seen], column[seen])
    return filled
