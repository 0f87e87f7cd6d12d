"""The scaled coordinates change where the optimizer walks, and nothing of what it finds."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tools.numdiff import approx_fprime
from statsmodels.tsa.statespace.sarimax import SARIMAX

from forecastle_arima.estimate import model_arguments
from forecastle_arima.parameters import ArimaParameters, Specification
from forecastle_arima.scaling import ScaledSARIMAX
from forecastle_sdk import Dataset
from forecastle_sdk.conformance import sample

MODELS = (
    {"order": "1,0,1", "trend": "c"},
    {"order": "2,1,0", "trend": "ct", "measurement_error": True},
    {"order": "1,0,0", "seasonal_order": "1,1,1,4", "mle_regression": False},
    {"order": "0,1,2", "enforce_stationarity": False, "enforce_invertibility": False},
)


def rows(exog: bool = True) -> Dataset:
    return sample(rows=70, exog=2 if exog else 0)


def both(parameters: dict, data: Dataset) -> tuple[SARIMAX, ScaledSARIMAX]:
    arguments = model_arguments(data, Specification.of(ArimaParameters().load(parameters)))
    return SARIMAX(data.endog[:, 0], **arguments), ScaledSARIMAX(data.endog[:, 0], **arguments)


@pytest.mark.parametrize("exog", [False, True])
@pytest.mark.parametrize("parameters", MODELS)
def test_the_likelihood_at_a_parameter_is_the_stock_one(parameters, exog):
    stock, scaled = both(parameters, rows(exog))
    params = scaled.start_params
    assert scaled.loglike(params) == stock.loglike(params)
    assert np.isfinite(stock.loglike(params))


@pytest.mark.parametrize("exog", [False, True])
@pytest.mark.parametrize("parameters", MODELS)
def test_points_of_the_optimizer_and_parameters_map_to_each_other(parameters, exog):
    scaled = both(parameters, rows(exog))[1]
    point = scaled.untransform_params(scaled.start_params)
    np.testing.assert_allclose(scaled.transform_params(point), scaled.start_params, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("parameters", MODELS)
def test_the_score_is_the_slope_of_the_likelihood_at_a_point_of_the_optimizer(parameters):
    scaled = both(parameters, rows())[1]
    point = scaled.untransform_params(scaled.start_params) + 0.05
    steps = np.full(len(point), 1e-3)  # shorter ones drown in the rounding of a diffuse start
    slope = approx_fprime(point, lambda at: scaled.loglike(at, transformed=False), epsilon=steps, centered=True)
    np.testing.assert_allclose(scaled.score(point), slope, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("parameters", MODELS)
def test_the_likelihood_is_about_as_steep_in_every_direction_of_regression(parameters):
    """Columns that nearly repeat each other, at sizes that differ by 10⁸, make the stock curvatures differ by 10²⁰."""
    data = rows()
    near = np.column_stack([data.exog[:, 0] * 1e-4, (data.exog @ [1, 0.01]) * 1e4])
    data = Dataset(data.endog, data.endog_names, data.index, near, data.exog_names)
    scaled = both(parameters, data)[1]
    point, steps = scaled.untransform_params(scaled.start_params), 1e-3 * np.eye(len(scaled.start_params))
    effects = range(scaled.k_trend, scaled.k_trend + (scaled.k_exog if scaled.mle_regression else 0))
    curvature = np.array([(scaled.score(point + steps[i]) - scaled.score(point - steps[i]))[list(effects)] for i in effects])
    if len(curvature):
        assert np.linalg.cond(curvature) < 100


def test_exogenous_columns_that_repeat_each_other_still_have_coordinates():
    data = rows()
    data = Dataset(data.endog, data.endog_names, data.index, data.exog[:, [0, 0]], data.exog_names)
    scaled = both({"order": "1,0,0"}, data)[1]
    assert np.isfinite(scaled.untransform_params(scaled.start_params)).all()
