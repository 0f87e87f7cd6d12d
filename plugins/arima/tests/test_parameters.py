"""Orders are read strictly, spelled in one way, and default to statsmodels' own."""

from __future__ import annotations

import inspect

import marshmallow
import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from forecastle_arima.estimate import model_arguments
from forecastle_arima.parameters import ArimaParameters, Specification
from forecastle_sdk import Dataset, Index


def load(**parameters) -> dict:
    return ArimaParameters().load(parameters)


def test_the_defaults_are_those_of_statsmodels():
    ours = Specification.of(load())
    for name, parameter in inspect.signature(SARIMAX.__init__).parameters.items():
        if hasattr(ours, name):
            expected = "n" if name == "trend" else parameter.default  # statsmodels writes None
            assert getattr(ours, name) == expected, name
    assert ours.maxiter == inspect.signature(SARIMAX.fit).parameters["maxiter"].default


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("1,1,2", "1,1,2"),
        (" 1, 1 ,2 ", "1,1,2"),
        ([2, 0, 1], "2,0,1"),
        ("[1,4],0,[2]", "[1,4],0,[2]"),
        ("[1,2,3],0,[]", "3,0,0"),
        ([[1, 4], 0, 1], "[1,4],0,1"),
    ],
)
def test_an_order_has_one_spelling(written, spelled):
    assert load(order=written)["order"] == spelled
    assert load(order=spelled)["order"] == spelled


@pytest.mark.parametrize(
    "wrong", ["", "1", "1,0,0,0", "1;0;0", "1.5,0,0", "true,0,0", "[1,1],0,0", "[0],0,0", "[[1]],0,0", 3, None]
)
def test_what_is_no_order_is_refused_with_what_was_expected(wrong):
    with pytest.raises(marshmallow.ValidationError) as caught:
        load(order=wrong)
    assert "order" in caught.value.messages


def test_a_lag_in_both_orders_is_refused_by_number():
    with pytest.raises(marshmallow.ValidationError, match=r"the AR lags \[4\]"):
        load(order="4,0,0", seasonal_order="1,0,0,4")
    load(order="[1,5],0,0", seasonal_order="1,0,0,4")


def test_each_parameter_is_described():
    assert all(field.metadata["description"] for field in ArimaParameters().fields.values())


@pytest.mark.parametrize("exog", [0, 2])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"order": "2,1,1", "trend": "ct"},
        {"order": "[1,4],0,[3]", "measurement_error": True},
        {"order": "1,1,1", "seasonal_order": "0,1,2,4", "trend": "t"},
        {"order": "0,0,0", "seasonal_order": "1,2,0,12", "mle_regression": False},
    ],
)
def test_states_and_parameters_are_counted_as_statsmodels_does(parameters, exog):
    rng = np.random.default_rng(0)
    names = tuple(f"x{i}" for i in range(exog))
    data = Dataset(rng.normal(size=(60, 1)), ("y",), Index("integer", 59), rng.normal(size=(60, exog)) if exog else None, names)
    specification = Specification.of(load(**parameters))
    model = SARIMAX(data.endog[:, 0], **model_arguments(data, specification))
    assert specification.states(exog) == model.k_states
    assert specification.parameters(exog) == model.k_params
    assert specification.rows_needed(exog) > model.loglikelihood_burn + model.k_params + 1
