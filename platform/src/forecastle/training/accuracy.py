"""Measures a forecaster on rows it has not seen: over rolling origins, by horizon, twice, beside a random walk with drift.

*Conditional* takes the exogenous values that came true, *ex ante* holds them at the last value known at the origin: the first
says how good the equations are, the second how good a forecast would have been. A random walk with drift is what both must
beat (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, sections 5.2, 5.8 and 5.9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from forecastle_sdk import Capability, Context, Dataset, Forecaster, Plugin

LEVELS = (80, 95)
QUANTILES = (0.025, 0.1, 0.9, 0.975)
BOUNDS = ((1, 2), (0, 3))  # which quantiles are the bounds of each level
MAX_ORIGINS = 200
LABELS = {
    "conditional": "exogenous columns as they came true",
    "ex ante": "exogenous columns held at their last value",
    "random walk with drift": "the last value, and the mean change per step",
}

Predict = Callable[[int, int], tuple[np.ndarray, np.ndarray]]  # origin, horizon -> mean (h, k), quantiles (4, h, k)


@dataclass(frozen=True, slots=True)
class Errors:
    """What one way of forecasting got wrong: errors (origins, H, k) and hits (levels, origins, H, k), NaN where unknown."""

    errors: np.ndarray
    hits: np.ndarray


def measure_accuracy(plugin: Plugin, forecaster: Forecaster, data: Dataset, test_rows: int, context: Context) -> dict[str, Any]:
    """Return the accuracy of `forecaster`, fitted on all rows of `data` but the last `test_rows`, as JSON.

    Without the capability to append there is one origin, the end of the training part.
    """
    start, season = data.nobs - test_rows, forecaster.signature.season
    longest = min(test_rows, max(8, 2 * season))
    rolling = Capability.APPEND in plugin.capabilities
    origins = (
        np.unique(np.linspace(start, data.nobs - 1, min(test_rows, MAX_ORIGINS)).astype(int)) if rolling else np.array([start])
    )
    measured = _measure(forecaster, data, origins, longest, context)
    scale = _naive_scale(data.endog[:start], season)
    labels = LABELS if data.exog is not None and data.exog.shape[1] else {k: v for k, v in LABELS.items() if k != "ex ante"}
    return {
        "test_rows": test_rows,
        "from": data.index.at(1 - test_rows),
        "until": data.index.at(0),
        "origins": len(origins),
        "season": season,
        "forecasts": [
            {"label": label, "description": description, "columns": _table(measured[label], data.endog_names, scale)}
            for label, description in labels.items()
        ],
    }


def _measure(forecaster: Forecaster, data: Dataset, origins: np.ndarray, longest: int, context: Context) -> dict[str, Errors]:
    shape = (len(origins), longest, data.endog.shape[1])
    measured = {label: Errors(np.full(shape, np.nan), np.full((len(LEVELS), *shape), np.nan)) for label in LABELS}
    for i, (origin, known) in enumerate(_rolling(forecaster, data, origins, context)):
        horizon = min(longest, data.nobs - origin)
        truth = data.endog[origin : origin + horizon]
        for label, predict in _ways(known, data).items():
            _compare(measured[label], i, truth, *predict(origin, horizon))
    return measured


def _rolling(forecaster: Forecaster, data: Dataset, origins: np.ndarray, context: Context) -> Iterator[tuple[int, Forecaster]]:
    """Yield each origin with a forecaster that has seen exactly the rows before it."""
    seen = int(origins[0])
    for origin in map(int, origins):
        context.check_cancelled()
        if origin > seen:
            exog = None if data.exog is None else data.exog[seen:origin]
            forecaster, seen = forecaster.append(data.endog[seen:origin], exog), origin
        yield origin, forecaster


def _compare(measured: Errors, i: int, truth: np.ndarray, mean: np.ndarray, quantiles: np.ndarray) -> None:
    """Record what a forecast (h, k) with its `QUANTILES` (4, h, k) got wrong about the truth (h, k), as origin `i`."""
    errors = truth - mean
    measured.errors[i, : len(truth)] = errors
    for level, (low, high) in enumerate(BOUNDS):
        inside = (truth >= quantiles[low]) & (truth <= quantiles[high])
        measured.hits[level, i, : len(truth)] = np.where(np.isnan(errors), np.nan, inside)


def _ways(forecaster: Forecaster, data: Dataset) -> dict[str, Predict]:
    def with_exog(origin: int, horizon: int, exog: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        answer = forecaster.forecast(horizon, exog=exog, quantiles=QUANTILES)
        return answer.mean, answer.quantiles

    def conditional(origin: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        return with_exog(origin, horizon, None if data.exog is None else data.exog[origin : origin + horizon])

    def ex_ante(origin: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        held = None if data.exog is None else np.repeat(data.exog[origin - 1 : origin], horizon, axis=0)
        return with_exog(origin, horizon, held)

    def random_walk(origin: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        return _random_walk_with_drift(data.endog[:origin], horizon)

    return {"conditional": conditional, "ex ante": ex_ante, "random walk with drift": random_walk}


def _random_walk_with_drift(history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (h, k) and quantiles (4, h, k); the variance is s² h (1 + h / (T - 1)), with s² that of the changes.

    A missing value makes a longer step of the changes beside it; the mean is NaN where no value is known.
    """
    steps = np.arange(1, horizon + 1)[:, None]
    mean, deviation = np.empty((horizon, history.shape[1])), np.empty((horizon, history.shape[1]))
    for j, values in enumerate(history.T):
        known = np.flatnonzero(~np.isnan(values))
        gaps, changes = np.diff(known), np.diff(values[known])
        drift = changes.sum() / max(gaps.sum(), 1)
        spread = ((changes - drift * gaps) ** 2 / gaps).sum() / max(len(gaps) - 1, 1) if len(gaps) else 0.0
        ahead = steps[:, 0] + len(values) - 1 - (known[-1] if len(known) else 0)
        mean[:, j] = (values[known[-1]] if len(known) else np.nan) + drift * ahead
        deviation[:, j] = np.sqrt(spread * ahead * (1 + ahead / max(gaps.sum(), 1)))
    scores = np.array([NormalDist().inv_cdf(q) for q in QUANTILES])
    return mean, mean + scores[:, None, None] * deviation


def _naive_scale(train: np.ndarray, season: int) -> np.ndarray:
    """Return the mean absolute error of the seasonal naive forecast within the training part, (k,): MASE's denominator."""
    lag = season if len(train) > season else 1
    if len(train) <= lag:
        return np.full(train.shape[1], np.nan)
    changes = np.abs(train[lag:] - train[:-lag])
    known = (~np.isnan(changes)).sum(axis=0)
    return np.where(known > 0, np.nansum(changes, axis=0) / np.maximum(known, 1), np.nan)


def _table(measured: Errors, names: tuple[str, ...], scale: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [
            _row(measured.errors[:, h, j], measured.hits[:, :, h, j], h + 1, scale[j]) for h in range(measured.errors.shape[1])
        ]
        for j, name in enumerate(names)
    }


def _row(errors: np.ndarray, hits: np.ndarray, horizon: int, scale: float) -> dict[str, Any]:
    known = errors[~np.isnan(errors)]
    if not len(known):
        return {"horizon": horizon, "n": 0, "rmse": None, "mae": None, "mase": None, "coverage_80": None, "coverage_95": None}
    mae = float(np.abs(known).mean())
    return {
        "horizon": horizon,
        "n": len(known),
        "rmse": float(np.sqrt((known**2).mean())),
        "mae": mae,
        "mase": mae / float(scale) if scale > 0 else None,
        **{f"coverage_{level}": float(np.nanmean(hits[i])) for i, level in enumerate(LEVELS)},
    }
