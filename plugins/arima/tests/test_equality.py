"""Forecasts, bounds and appended rows are those of statsmodels' SARIMAX, over a grid of models and for several horizons."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from forecastle_arima.estimate import model_arguments
from forecastle_arima.extract import state_space
from forecastle_arima.parameters import ArimaParameters, Specification
from forecastle_sdk import Dataset, Index, Signature
from forecastle_sdk.statespace import StateSpaceForecaster

ROWS, AHEAD = 64, 60
HORIZONS = (1, 8, AHEAD)
QUANTILES = (0.025, 0.1, 0.9, 0.975)
ORDERS = (
    ("1,0,0", "0,0,0,0"),
    ("2,1,1", "0,0,0,0"),
    ("0,2,1", "0,0,0,0"),
    ("0,0,0", "0,0,0,0"),
    ("[1,4],0,[2]", "0,0,0,0"),
    ("1,0,1", "1,1,1,4"),
    ("1,1,0", "0,2,1,4"),
    ("0,1,1", "0,1,1,12"),
)
EXOG = ("none", "observation", "state")
VALUES = {"ar.L1": 0.5, "ar.L2": -0.2, "ar.L4": 0.3, "ma.L1": 0.4, "ma.L2": 0.3, "ar.S": 0.4, "ma.S": -0.3}


def data(exog: bool, missing: bool) -> Dataset:
    """Rows to filter and then rows to come: a random walk with drift, season and two drivers."""
    rng = np.random.default_rng(11)
    rows = np.arange(ROWS + AHEAD)
    drivers = rng.normal(size=(len(rows), 2)).cumsum(axis=0)
    values = 0.2 * rows + np.sin(rows * np.pi / 2) + drivers @ [0.6, -0.3] + rng.normal(size=len(rows)).cumsum()
    if missing:
        values[[0, 9, 10, ROWS - 1, ROWS + 2]] = np.nan
    last = Index("time", "2000-01-01", "QS-JAN").shifted(len(rows) - 1)
    return Dataset(values[:, None], ("y",), last, drivers if exog else None, ("x1", "x2") if exog else ())


def compared(specification: Specification, rows: Dataset):
    """Return statsmodels' results on the first rows, at parameters that need no optimizer, and the forecaster from them."""
    seen = rows.rows(0, ROWS)
    model = SARIMAX(seen.endog[:, 0], **model_arguments(seen, specification))
    results = model.filter([value(name) for name in model.param_names])
    return results, StateSpaceForecaster(state_space(results), Signature.of(seen))


def value(name: str) -> float:
    simple = {"intercept": 0.3, "drift": 0.01, "x1": 0.7, "x2": -0.4, "sigma2": 1.3, "var.measurement_error": 0.5}
    return simple[name] if name in simple else VALUES.get(name, VALUES.get(name[:4], 0.0))


def specified(**parameters) -> Specification:
    return Specification.of(ArimaParameters().load(parameters))


def assert_same_forecasts(results, forecaster, future: np.ndarray | None, horizons=HORIZONS) -> None:
    scale = forecaster_scale(results)
    for horizon in horizons:
        exog = None if future is None else future[:horizon]
        expected = results.get_forecast(horizon, exog=exog)
        found = forecaster.forecast(horizon, exog=exog, quantiles=QUANTILES)
        bounds = np.hstack([expected.conf_int(alpha=0.05), expected.conf_int(alpha=0.2)])[:, [0, 2, 3, 1]]
        np.testing.assert_allclose(found.mean[:, 0], expected.predicted_mean, rtol=0, atol=1e-8 * scale)
        np.testing.assert_allclose(found.quantiles[:, :, 0].T, bounds, rtol=0, atol=1e-8 * scale)


def forecaster_scale(results) -> float:
    return float(np.nanstd(results.model.endog))


@pytest.mark.parametrize(("orders", "trend", "exog"), list(product(ORDERS, ("n", "c", "t", "ct"), EXOG)))
def test_forecasts_and_appended_rows_equal_statsmodels(orders, trend, exog):
    specification = specified(
        order=orders[0], seasonal_order=orders[1], trend=trend, mle_regression=exog != "state", measurement_error=False
    )
    for missing in (False, True):
        rows = data(exog != "none", missing)
        assert_equal_to_statsmodels(specification, rows)


@pytest.mark.parametrize("exog", EXOG)
@pytest.mark.parametrize("orders", ORDERS)
def test_measurement_error_and_free_roots_equal_statsmodels(orders, exog):
    specification = specified(
        order=orders[0],
        seasonal_order=orders[1],
        trend="c",
        mle_regression=exog != "state",
        measurement_error=True,
        enforce_stationarity=False,
        enforce_invertibility=False,
    )
    assert_equal_to_statsmodels(specification, data(exog != "none", missing=True))


def assert_equal_to_statsmodels(specification: Specification, rows: Dataset) -> None:
    results, forecaster = compared(specification, rows)
    future = None if rows.exog is None else rows.exog[ROWS:]
    assert_same_forecasts(results, forecaster, future)
    new = rows.rows(ROWS, ROWS + 5)
    later = results.append(new.endog[:, 0], exog=new.exog, refit=False)
    assert_same_forecasts(later, forecaster.append(new.endog, new.exog), None if future is None else future[5:], (8,))


def test_the_kept_state_is_the_last_one_for_any_number_of_rows():
    """statsmodels keeps few states when told to save memory; the one that is read must be the last."""
    for rows in (40, 41, 42):
        seen = data(exog=True, missing=False).rows(0, rows)
        model = SARIMAX(seen.endog[:, 0], **model_arguments(seen, specified(order="1,1,1", trend="c")))
        params = [value(name) for name in model.param_names]
        kept, whole = (state_space(model.filter(params, low_memory=low)) for low in (True, False))
        np.testing.assert_array_equal(kept.mean, whole.mean)
        np.testing.assert_array_equal(kept.cov, whole.cov)
