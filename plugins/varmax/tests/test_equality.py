"""Forecasts and appended rows equal statsmodels' at the same parameters: the whole grid that the project promises."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from forecastle_sdk import Dataset, Index, Signature
from forecastle_sdk.statespace import StateSpaceForecaster
from forecastle_varmax.coefficients import Shape
from forecastle_varmax.estimate import raw_model
from forecastle_varmax.extract import extract
from forecastle_varmax.parameters import Specification
from forecastle_varmax.prepare import prepare_exog
from forecastle_varmax.start import starting_values

pytestmark = pytest.mark.filterwarnings("ignore:Estimation of VARMA")

TRENDS = ("n", "c", "t", "ct")
ORDERS = ((1, 0), (2, 0), (0, 1), (1, 1), (2, 1))
HORIZONS = (1, 8, 60)
NOBS, NEW = 80, 4
TOLERANCE = 1e-8


def walks(exog: bool, missing: bool) -> Dataset:
    """Two wandering columns of very different size; the last row and the new ones have missing values too."""
    rng = np.random.default_rng(11)
    endog = np.cumsum(rng.standard_normal((NOBS + NEW, 2)), axis=0) * [1.0, 500.0] + [3.0, 20_000.0]
    if missing:
        endog[[0, 17, NOBS - 1, NOBS + 1], [0, 1, 0, 1]] = np.nan
        endog[[40, NOBS + 2]] = np.nan
    drivers = rng.standard_normal((NOBS + NEW, 2)) * [1.0, 30.0] if exog else None
    return Dataset(endog, ("rate", "output"), Index("integer", NOBS + NEW - 1), drivers, ("x", "z") if exog else ())


def fitted_at(
    data: Dataset, order: tuple[int, int], specification: Specification
) -> tuple[np.ndarray, Any, StateSpaceForecaster]:
    """Return sensible parameters without optimizing, statsmodels' results at them, and our forecaster."""
    shape = Shape(2, len(data.exog_names), order, specification)
    prepared = prepare_exog(data, specification)
    start = starting_values(prepared.endog, prepared.exog, shape)
    vector = prepared.scaling.raw(start).vector()
    results = raw_model(data, order, specification).filter(vector)
    system = extract(prepared, order, specification, start.vector())
    return vector, results, StateSpaceForecaster(system, Signature.of(data))


def assert_same_forecast(ours: StateSpaceForecaster, results: Any, scale: np.ndarray, exog_columns: int) -> None:
    rng = np.random.default_rng(3)
    for horizon in HORIZONS:
        exog = rng.standard_normal((horizon, exog_columns)) * [1.0, 30.0] if exog_columns else None
        answer = ours.forecast(horizon, exog=exog, quantiles=(0.025, 0.1, 0.9, 0.975))
        theirs = results.get_forecast(horizon, exog=exog)
        pairs = [(answer.mean, theirs.predicted_mean)]
        for alpha, low, high in ((0.05, 0, 3), (0.2, 1, 2)):
            bounds = theirs.conf_int(alpha=alpha).to_numpy()
            pairs += [(answer.quantiles[low], bounds[:, :2]), (answer.quantiles[high], bounds[:, 2:])]
        for our, their in pairs:
            np.testing.assert_allclose(our / scale, np.asarray(their) / scale, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize("exog", [False, True], ids=["alone", "exog"])
@pytest.mark.parametrize(("trend", "order"), list(itertools.product(TRENDS, ORDERS)))
def test_forecasts_and_append_equal_statsmodels(trend: str, order: tuple[int, int], exog: bool, missing: bool) -> None:
    everything = walks(exog, missing)
    data = everything.rows(0, NOBS)
    scale = np.nanstd(data.endog, axis=0)
    _, results, ours = fitted_at(data, order, Specification(trend))
    assert_same_forecast(ours, results, scale, len(data.exog_names))
    new_exog = None if everything.exog is None else everything.exog[NOBS:]
    appended = results.append(everything.endog[NOBS:], exog=new_exog, refit=False)
    assert_same_forecast(ours.append(everything.endog[NOBS:], new_exog), appended, scale, len(data.exog_names))


@pytest.mark.parametrize("order", [(1, 0), (2, 1)])
@pytest.mark.parametrize("error_cov_type", ["unstructured", "diagonal"])
def test_measurement_error_and_diagonal_shocks_equal_statsmodels(order: tuple[int, int], error_cov_type: str) -> None:
    everything = walks(exog=True, missing=True)
    assert everything.exog is not None
    data = everything.rows(0, NOBS)
    scale = np.nanstd(data.endog, axis=0)
    _, results, ours = fitted_at(data, order, Specification("ct", error_cov_type, measurement_error=True))
    assert_same_forecast(ours, results, scale, 2)
    appended = results.append(everything.endog[NOBS:], exog=everything.exog[NOBS:], refit=False)
    assert_same_forecast(ours.append(everything.endog[NOBS:], everything.exog[NOBS:]), appended, scale, 2)


def test_the_clock_of_the_trend_is_that_of_the_first_coming_row() -> None:
    data = walks(exog=False, missing=False).rows(0, NOBS)
    _, _, ours = fitted_at(data, (1, 0), Specification("ct"))
    assert ours.system.clock == NOBS + 1
