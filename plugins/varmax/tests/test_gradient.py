"""The gradient from the smoother equals differences of statsmodels' likelihood."""

from __future__ import annotations

import numpy as np
import pytest

from forecastle_varmax.coefficients import Shape
from forecastle_varmax.estimate import stock_model
from forecastle_varmax.gradient import value_and_gradient
from forecastle_varmax.parameters import Specification
from forecastle_varmax.start import starting_values


@pytest.mark.parametrize("order", [(1, 0), (3, 0), (0, 1), (0, 2), (1, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize(
    ("specification", "exog_columns", "missing"),
    [
        (Specification("n"), 0, False),
        (Specification("c"), 0, True),
        (Specification("c"), 2, False),
        (Specification("ct", "diagonal"), 2, True),
        (Specification("t", "unstructured", measurement_error=True), 1, True),
        (Specification("c", "diagonal", measurement_error=True), 0, False),
    ],
)
def test_the_gradient_equals_central_differences(
    order: tuple[int, int], specification: Specification, exog_columns: int, missing: bool
) -> None:
    rng = np.random.default_rng(4)
    endog = rng.standard_normal((60, 2)).cumsum(axis=0) * 0.3 + rng.standard_normal((60, 2))
    exog = rng.standard_normal((60, exog_columns)) if exog_columns else None
    if missing:
        endog[[0, 5, 59], [0, 1, 1]] = np.nan
        endog[7] = np.nan
    shape = Shape(2, exog_columns, order, specification)
    model = stock_model(endog, exog, order, specification)
    start = model.untransform_params(starting_values(endog, exog, shape).vector())
    point = start + 0.05 * rng.standard_normal(len(start))
    value, gradient = value_and_gradient(model, shape, point)
    at = [[model.loglike(point + sign * step, transformed=False) for sign in (1, -1)] for step in 1e-5 * np.eye(len(point))]
    differences = -np.diff(at, axis=1)[:, 0] / 2e-5
    assert value == pytest.approx(model.loglike(point, transformed=False), abs=1e-9)
    np.testing.assert_allclose(gradient, differences, rtol=0, atol=1e-6 * np.abs(differences).max())
