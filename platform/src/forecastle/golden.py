"""The golden forecast: made at training, compared at every load, so that no machine serves other numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from forecastle_sdk import Forecast, Forecaster, Signature

from .errors import GoldenMismatch

TOLERANCE = 1e-9  # relative to the column's scale: processors differ in the last bits
HORIZON = 4
QUANTILES = (0.025, 0.5, 0.975)


def record_golden(forecaster: Forecaster) -> dict[str, Any]:
    """Forecast a few steps with exog held at their last value, and return request and answer as JSON."""
    horizon = min(HORIZON, forecaster.signature.max_horizon)
    answer = _answer(forecaster, horizon, QUANTILES)
    return {
        "horizon": horizon,
        "quantiles_at": list(QUANTILES),
        "mean": answer.mean.tolist(),
        "quantiles": answer.quantiles.tolist(),
    }


def check_golden(forecaster: Forecaster, golden: Mapping[str, Any], what: str) -> None:
    """Raise `GoldenMismatch`, naming `what`, unless the forecaster gives the recorded numbers within `TOLERANCE`."""
    try:
        expected = np.concatenate([np.array(golden["mean"], float)[None], np.array(golden["quantiles"], float)])
        answer = _answer(forecaster, len(expected[0]), golden["quantiles_at"])
        given = np.concatenate([answer.mean[None], answer.quantiles])
    except Exception as error:  # the plugin border, and a row that was changed by hand
        message = f"{what} cannot repeat its golden forecast ({type(error).__name__}: {error}): it is not served"
        raise GoldenMismatch(message) from error
    if expected.shape != given.shape:
        raise GoldenMismatch(f"{what} answers {given.shape}, its golden forecast has {expected.shape}: it is not served")
    scale = np.abs(expected).max(axis=(0, 1))
    off = np.abs(given - expected).max(axis=(0, 1)) / np.where(scale > 0, scale, 1.0)
    if not (off <= TOLERANCE).all():
        raise GoldenMismatch(
            f"{what} does not reproduce its golden forecast (off by {off.max():.2g} of the column's scale, "
            f"{TOLERANCE:g} is allowed): it is not served; train it again on this machine, or roll back"
        )


def held_exog(signature: Signature, horizon: int) -> np.ndarray | None:
    """Return exog (horizon, m) that stays at the last value of each column; None for a model without."""
    if not signature.exog:
        return None
    return np.tile([column.last for column in signature.exog], (horizon, 1))


def _answer(forecaster: Forecaster, horizon: int, quantiles: tuple[float, ...]) -> Forecast:
    return forecaster.forecast(horizon, exog=held_exog(forecaster.signature, horizon), quantiles=quantiles, seed=0)
