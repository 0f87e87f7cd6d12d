"""Accuracy on held-out rows: the numbers against plain loops and pandas, the yardstick against statsmodels."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from forecastle.training.accuracy import measure_accuracy
from forecastle.training.division import divide
from forecastle_sdk import Capability, Context, Dataset, Forecast, Forecaster, Index, Signature
from forecastle_sdk.errors import Cancelled, ParametersError
from forecastle_sdk.naive import NaivePlugin

NORMAL_95 = 1.959963984540054
NORMAL_80 = 1.2815515655446004


class LastPlusExog(Forecaster):
    """Forecasts the last value of endog it has seen plus the future exog, plus or minus one in every quantile above a half."""

    def __init__(self, signature: Signature, last: np.ndarray) -> None:
        self.signature, self.last = signature, last

    def forecast(self, horizon: int, *, exog: Any = None, quantiles: Any = (), seed: int = 0) -> Forecast:
        mean = np.repeat(self.last[None], horizon, axis=0) + (0 if exog is None else exog.sum(axis=1, keepdims=True))
        scores = norm.ppf(np.array(quantiles))[:, None, None]
        return Forecast(mean, mean + scores)

    def append(self, endog: Any, exog: Any = None) -> "LastPlusExog":
        return LastPlusExog(self.signature.extended(len(endog), exog), endog[-1])

    def state(self) -> dict[str, Any]:
        return {}


class RollingPlugin(NaivePlugin):
    """Its capabilities are all that is looked at."""


class FixedPlugin(NaivePlugin):
    """Cannot append, so that there is one origin."""

    capabilities = frozenset(Capability) - {Capability.APPEND}


def made_up(rows: int = 40, *, exog: bool = True, freq: str = "QS") -> Dataset:
    generator = np.random.default_rng(1)
    endog = 100 + generator.normal(0.3, 1, (rows, 2)).cumsum(axis=0)
    index = Index("time", "2019-10-01", freq)
    future = generator.normal(0, 0.5, (rows, 1)) if exog else None
    return Dataset(endog, ("a", "b"), index, future, ("x",) if exog else ())


def measure(data: Dataset, test_rows: int, plugin: NaivePlugin | None = None, context: Context | None = None) -> dict[str, Any]:
    train = data.rows(0, data.nobs - test_rows)
    forecaster = LastPlusExog(Signature.of(train), train.endog[-1])
    return measure_accuracy(plugin or RollingPlugin(), forecaster, data, test_rows, context or Context())


def rows_of(accuracy: dict[str, Any], label: str, column: str) -> list[dict[str, Any]]:
    found = [forecasts["columns"][column] for forecasts in accuracy["forecasts"] if forecasts["label"] == label]
    assert len(found) == 1
    rows: list[dict[str, Any]] = found[0]
    return rows


def by_loops(data: Dataset, test_rows: int, column: int, horizon: int, *, held: bool) -> dict[str, float]:
    """Return the same measures, one origin after the other, without numpy."""
    start, y = data.nobs - test_rows, data.endog[:, column]
    x = np.zeros(data.nobs) if data.exog is None else data.exog[:, 0]
    errors = []
    for origin in range(start, data.nobs):
        target = origin + horizon - 1
        if target < data.nobs and not math.isnan(y[target]):
            errors.append(y[target] - (y[origin - 1] + (x[origin - 1] if held else x[target])))
    changes = pd.Series(y[:start]).diff(data.index.season).abs().dropna()
    return {
        "n": len(errors),
        "rmse": math.sqrt(sum(e * e for e in errors) / len(errors)),
        "mae": sum(abs(e) for e in errors) / len(errors),
        "mase": sum(abs(e) for e in errors) / len(errors) / changes.mean(),
        "coverage_80": sum(abs(e) <= NORMAL_80 for e in errors) / len(errors),
        "coverage_95": sum(abs(e) <= NORMAL_95 for e in errors) / len(errors),
    }


@pytest.mark.parametrize(("label", "held"), [("conditional", False), ("ex ante", True)])
@pytest.mark.parametrize("horizon", [1, 3, 8])
@pytest.mark.parametrize("column", ["a", "b"])
def test_every_measure_equals_plain_loops(label: str, held: bool, horizon: int, column: str) -> None:
    data = made_up()
    found = rows_of(measure(data, 10), label, column)[horizon - 1]
    expected = by_loops(data, 10, data.endog_names.index(column), horizon, held=held)
    assert found == {"horizon": horizon, **{name: pytest.approx(value, rel=1e-12) for name, value in expected.items()}}


def test_a_missing_value_in_the_test_part_is_left_out() -> None:
    data = made_up()
    endog = data.endog.copy()
    endog[35, 0] = np.nan
    holed = Dataset(endog, data.endog_names, data.index, data.exog, data.exog_names)
    accuracy = measure(holed, 10, FixedPlugin())
    assert [row["n"] for row in rows_of(accuracy, "conditional", "a")] == [1, 1, 1, 1, 1, 0, 1, 1]
    assert rows_of(accuracy, "conditional", "a")[5]["rmse"] is None
    assert [row["n"] for row in rows_of(accuracy, "conditional", "b")] == [1] * 8


def test_a_column_that_never_changed_has_no_mase() -> None:
    data = made_up()
    endog = data.endog.copy()
    endog[:, 0] = 7
    constant = Dataset(endog, data.endog_names, data.index, data.exog, data.exog_names)
    assert rows_of(measure(constant, 10), "conditional", "a")[0]["mase"] is None


def test_the_origins_roll_through_the_test_part() -> None:
    accuracy = measure(made_up(), 10)
    assert (accuracy["origins"], accuracy["test_rows"]) == (10, 10)
    assert (accuracy["from"], accuracy["until"]) == ("2017-07-01", "2019-10-01")
    assert [row["n"] for row in rows_of(accuracy, "conditional", "a")] == [10, 9, 8, 7, 6, 5, 4, 3]


def test_without_append_there_is_one_origin() -> None:
    accuracy = measure(made_up(), 10, FixedPlugin())
    assert accuracy["origins"] == 1
    assert [row["n"] for row in rows_of(accuracy, "conditional", "a")] == [1] * 8


def test_many_test_rows_are_sampled() -> None:
    accuracy = measure(made_up(900), 700)
    assert accuracy["origins"] == 200
    assert rows_of(accuracy, "conditional", "a")[0]["n"] == 200


def test_the_horizons_are_two_seasons_and_at_least_eight() -> None:
    assert len(rows_of(measure(made_up(freq="QS"), 20), "conditional", "a")) == 8
    assert len(rows_of(measure(made_up(90, freq="MS"), 40), "conditional", "a")) == 24
    assert len(rows_of(measure(made_up(), 3), "conditional", "a")) == 3


def test_without_exog_there_is_nothing_to_hold() -> None:
    labels = [forecasts["label"] for forecasts in measure(made_up(exog=False), 10)["forecasts"]]
    assert labels == ["conditional", "random walk with drift"]


def test_with_exog_both_ways_stand_beside_the_random_walk() -> None:
    labels = [forecasts["label"] for forecasts in measure(made_up(), 10)["forecasts"]]
    assert labels == ["conditional", "ex ante", "random walk with drift"]


def drift_by_hand(y: np.ndarray, horizon: int) -> tuple[float, float]:
    """Return mean and standard deviation of a random walk with drift, by the formulas of the textbook."""
    changes = np.diff(y)
    drift = (y[-1] - y[0]) / (len(y) - 1)
    sigma = changes.std(ddof=1)
    return y[-1] + drift * horizon, sigma * math.sqrt(horizon * (1 + horizon / (len(y) - 1)))


@pytest.mark.parametrize("horizon", [1, 8])
def test_the_random_walk_has_the_textbook_s_mean_and_spread(horizon: int) -> None:
    data = made_up()
    found = rows_of(measure(data, 10, FixedPlugin()), "random walk with drift", "a")[horizon - 1]
    mean, deviation = drift_by_hand(data.endog[:30, 0], horizon)
    error = data.endog[29 + horizon, 0] - mean
    assert found["mae"] == pytest.approx(abs(error), rel=1e-12)
    assert found["coverage_80"] == float(abs(error) <= NORMAL_80 * deviation)
    assert found["coverage_95"] == float(abs(error) <= NORMAL_95 * deviation)


def test_the_random_walk_s_bounds_lie_where_the_formula_puts_them() -> None:
    data = made_up(exog=False)
    mean, deviation = drift_by_hand(data.endog[:30, 0], 4)
    for score, level in ((NORMAL_80, "coverage_80"), (NORMAL_95, "coverage_95")):
        for inside, factor in ((1.0, 0.999), (0.0, 1.001)):
            endog = data.endog.copy()
            endog[33, 0] = mean + factor * score * deviation
            moved = Dataset(endog, data.endog_names, data.index)
            assert rows_of(measure(moved, 10, FixedPlugin()), "random walk with drift", "a")[3][level] == inside


def test_the_random_walk_is_arima_0_1_0_with_a_trend() -> None:
    from statsmodels.tsa.arima.model import ARIMA

    data = made_up(exog=False)
    fitted = ARIMA(data.endog[:30, 0], order=(0, 1, 0), trend="t").fit()
    error = data.endog[34, 0] - fitted.forecast(5)[-1]
    found = rows_of(measure(data, 10, FixedPlugin()), "random walk with drift", "a")[4]
    assert found["mae"] == pytest.approx(abs(error), rel=1e-4)


def test_the_random_walk_bridges_missing_values() -> None:
    data = made_up(exog=False)
    endog = data.endog.copy()
    endog[[5, 6, 29], 0] = np.nan  # inside, and at the end of the training part
    holed = Dataset(endog, data.endog_names, data.index)
    found = rows_of(measure(holed, 10, FixedPlugin()), "random walk with drift", "a")[1]
    drift = (endog[28, 0] - endog[0, 0]) / 28
    assert found["mae"] == pytest.approx(abs(endog[31, 0] - (endog[28, 0] + 3 * drift)), rel=1e-12)


def test_measuring_stops_when_it_is_told_to() -> None:
    class Stopped(Context):
        def check_cancelled(self) -> None:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        measure(made_up(), 10, context=Stopped())


@pytest.mark.parametrize(
    ("test_size", "test_rows"), [(0, 0), (0.1, 4), (0.25, 10), (0.9, 36), (1, 1), (12, 12), (39.0, 39), (0.001, 0)]
)
def test_the_last_rows_test_and_the_first_ones_train(test_size: float, test_rows: int) -> None:
    data = made_up()
    division = divide(data, test_size)
    assert division.test_rows == test_rows
    np.testing.assert_array_equal(division.train.endog, data.endog[: 40 - test_rows])
    assert division.train.index.at(test_rows) == data.index.last


@pytest.mark.parametrize("test_size", [40, 41, 0.999, 1.5, 1e9])
def test_a_test_part_that_leaves_nothing_or_half_a_row_is_refused(test_size: float) -> None:
    with pytest.raises(ParametersError, match="test_size"):
        divide(made_up(), test_size)
