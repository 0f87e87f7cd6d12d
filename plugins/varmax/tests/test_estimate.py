"""A fit is statsmodels' likelihood at its maximum, in the columns' own units."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from forecastle_sdk import Dataset, Verdict
from forecastle_sdk.errors import DataError
from forecastle_varmax.coefficients import Coefficients, Shape, companion
from forecastle_varmax.estimate import OrderFit, check_rows, estimates, fit_order, raw_model
from forecastle_varmax.extract import extract
from forecastle_varmax.parameters import Specification
from forecastle_varmax.prepare import prepare_exog
from forecastle_varmax.scaling import Scaling
from forecastle_varmax.start import INSIDE, starting_values

from .simulated import simulated

pytestmark = pytest.mark.filterwarnings("ignore:Estimation of VARMA")


def macrodata_growth() -> Dataset:
    """Growth rates of the American national accounts, with their yearly change of unemployment: stationary, and real."""
    from statsmodels.datasets import macrodata

    rows = macrodata.load_pandas().data
    endog = 100 * np.diff(np.log(rows[["realgdp", "realcons"]].to_numpy()), axis=0)
    change = np.diff(rows[["unemp"]].to_numpy(), axis=0)
    return replace(simulated((1, 0)), endog=endog, exog=change, exog_names=("unemp",), endog_names=("gdp", "consumption"))


def with_gaps(data: Dataset) -> Dataset:
    endog = data.endog.copy()
    endog[[0, 9, 30, 31, len(endog) - 1], [1, 0, 0, 0, 1]] = np.nan
    endog[50] = np.nan
    return replace(data, endog=endog)


CASES = {
    "1,0": (simulated((1, 0)), (1, 0), Specification()),
    "2,0 with two exog": (simulated((2, 0), exog=2, seed=1), (2, 0), Specification("ct")),
    "0,1": (simulated((0, 1), seed=2), (0, 1), Specification()),
    "1,1 alone": (simulated((1, 1), exog=0, seed=3), (1, 1), Specification()),
    "2,1": (simulated((2, 1), rows=120, seed=4), (2, 1), Specification()),
    "1,0 without trend": (simulated((1, 0), seed=5), (1, 0), Specification("n")),
    "1,1 with a trend": (simulated((1, 1), seed=6), (1, 1), Specification("t")),
    "1,0 diagonal": (simulated((1, 0), seed=7), (1, 0), Specification(error_cov_type="diagonal")),
    "1,0 with gaps": (with_gaps(simulated((1, 0), seed=8)), (1, 0), Specification()),
    "1,1 with noise": (simulated((1, 0), rows=150, seed=9), (1, 0), Specification(measurement_error=True)),
    "growth 1,0": (macrodata_growth(), (1, 0), Specification()),
    "growth 1,1": (macrodata_growth(), (1, 1), Specification()),
}


@lru_cache(maxsize=len(CASES))
def fitted(case: str) -> OrderFit:
    data, order, specification = CASES[case]
    return fit_order(prepare_exog(data, specification), order, specification)


@pytest.mark.parametrize("case", CASES)
def test_the_likelihood_is_not_below_statsmodels_own_fit(case: str) -> None:
    data, order, specification = CASES[case]
    fit = fitted(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = raw_model(data, order, specification).fit(maxiter=2000, disp=0, cov_type="none")
    assert fit.verdict is Verdict.CONVERGED
    assert fit.llf is not None
    assert fit.llf > theirs.llf - 0.01


@pytest.mark.parametrize("case", CASES)
def test_the_likelihood_is_statsmodels_at_the_parameters_that_were_found(case: str) -> None:
    data, order, specification = CASES[case]
    fit = fitted(case)
    results = raw_model(data, order, specification).smooth(fit.vector, cov_type="none")
    assert fit.llf == pytest.approx(results.llf, abs=1e-7)
    for name in ("aic", "bic", "hqic", "aicc"):
        assert fit.criteria[name] == pytest.approx(getattr(results, name), abs=1e-6)
    assert (fit.nobs, fit.k) == (data.nobs, len(results.params))


@pytest.mark.parametrize("trend", ["n", "c", "t", "ct"])
@pytest.mark.parametrize("order", [(1, 0), (0, 2), (2, 1)])
@pytest.mark.parametrize("error_cov_type", ["unstructured", "diagonal"])
def test_standardized_and_raw_parameters_are_the_same_model(trend: str, order: tuple[int, int], error_cov_type: str) -> None:
    data = with_gaps(simulated(order, exog=2))
    specification = Specification(trend, error_cov_type, measurement_error=True)
    prepared = prepare_exog(data, specification)
    start = starting_values(prepared.endog, prepared.exog, Shape(2, 2, order, specification))
    standardized = replace(data, endog=prepared.endog, exog=prepared.exog)
    on_standardized = raw_model(standardized, order, specification).loglike(start.vector())
    on_raw = raw_model(data, order, specification).loglike(prepared.scaling.raw(start).vector())
    change_of_units = (~np.isnan(data.endog)).sum(axis=0) @ np.log(prepared.scaling.scale)
    assert on_raw == pytest.approx(on_standardized - change_of_units, abs=1e-7)


def test_standard_errors_equal_statsmodels_from_the_outer_product_of_scores() -> None:
    data, order, specification = CASES["growth 1,1"]
    prepared = prepare_exog(data, specification)
    fit = fit_order(prepared, order, specification)
    found = estimates(prepared, fit, specification)
    theirs = raw_model(data, order, specification).smooth(fit.vector, cov_type="opg")
    assert [e.name for e in found] == theirs.model.param_names
    np.testing.assert_array_equal([e.value for e in found], fit.vector)
    np.testing.assert_allclose([e.std_error for e in found], theirs.bse, rtol=1e-4)


def test_standard_errors_do_not_depend_on_the_units_of_the_columns() -> None:
    data, order, specification = CASES["growth 1,1"]
    assert data.exog is not None
    other = replace(data, endog=data.endog * [1e-6, 1e9] + [0, 5e9], exog=data.exog * 1e5 - 3e6)
    both = []
    for rows in (data, other):
        prepared = prepare_exog(rows, specification)
        both.append(estimates(prepared, fit_order(prepared, order, specification), specification))
    ratios = [[e.value / e.std_error for e in found if not e.name.startswith("intercept")] for found in both]
    np.testing.assert_allclose(ratios[1], ratios[0], rtol=0, atol=0.01)


def test_standard_errors_are_none_where_the_rows_do_not_tell() -> None:
    data = simulated((1, 0), rows=24, exog=4)
    specification = Specification(maxiter=30)
    prepared = prepare_exog(data, specification)
    fit = fit_order(prepared, (2, 1), specification)
    assert {e.std_error for e in estimates(prepared, fit, specification)} == {None}


UNUSUAL = np.array([1e-6, 1e9])


def test_columns_of_very_different_size_are_fitted_as_well_as_any() -> None:
    data, order, specification = CASES["growth 1,1"]
    fit = fit_order(prepare_exog(replace(data, endog=data.endog * UNUSUAL), specification), order, specification)
    assert fit.llf == pytest.approx(fitted("growth 1,1").llf - data.nobs * np.log(1e3), abs=1e-5)


def test_the_state_is_right_where_statsmodels_filter_of_the_raw_columns_loses_its_precision() -> None:
    data, order, specification = CASES["growth 1,1"]
    systems = []
    for units in (np.ones(2), UNUSUAL):
        prepared = prepare_exog(replace(data, endog=data.endog * units).rows(0, 12), specification)
        start = starting_values(prepared.endog, prepared.exog, Shape(2, 1, order, specification))
        start = replace(start, ar=np.array([[[0.999, 0.3], [0.0, 0.998]]]), ma=np.array([[[-0.99, 0.0], [0.2, -0.98]]]))
        systems.append(extract(prepared, order, specification, start.vector()))
    usual, unusual = systems
    by_state = np.tile(UNUSUAL, 2)
    np.testing.assert_allclose(unusual.mean / by_state, usual.mean, atol=1e-8)
    np.testing.assert_allclose(unusual.cov / np.outer(by_state, by_state), usual.cov, atol=1e-8)


def test_one_endogenous_column_is_fitted_too() -> None:
    data = simulated((1, 1))
    alone = Dataset(data.endog[:, :1], ("rate",), data.index, data.exog, data.exog_names)
    prepared = prepare_exog(alone, Specification())
    fit = fit_order(prepared, (1, 1), Specification())
    assert fit.verdict is Verdict.CONVERGED
    assert [e.name for e in estimates(prepared, fit, Specification())][:3] == [
        "intercept.rate",
        "L1.rate.rate",
        "L1.e(rate).rate",
    ]


def test_a_fit_that_runs_out_of_iterations_says_failed_in_the_optimizers_words() -> None:
    data, order, _ = CASES["1,1 alone"]
    specification = Specification(maxiter=2)
    fit = fit_order(prepare_exog(data, specification), order, specification)
    assert fit.verdict is Verdict.FAILED
    assert "ITERATIONS" in fit.message
    assert fit.llf is not None


def test_warnings_of_the_fit_are_in_its_message_and_nowhere_else(capfd: pytest.CaptureFixture[str]) -> None:
    data, order, specification = CASES["1,1 alone"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_order(prepare_exog(data, specification), order, specification)
    assert capfd.readouterr() == ("", "")


def test_too_few_rows_for_an_order_name_the_column_and_the_rows_that_are_needed() -> None:
    data = with_gaps(simulated((1, 0), rows=60))
    with pytest.raises(DataError, match=r"'rate' has 5\d values.*needs at least 6\d") as refusal:
        check_rows(data, (12, 12), Specification())
    assert refusal.value.reason == "too-few-rows"


def test_starting_values_lie_inside_the_unit_circle_even_for_a_random_walk() -> None:
    rng = np.random.default_rng(0)
    endog = rng.standard_normal((100, 2)).cumsum(axis=0)
    for order in ((1, 0), (3, 0), (0, 2), (2, 2)):
        start = starting_values(endog, None, Shape(2, 0, order, Specification("n")))
        for lags in (start.ar, start.ma):
            assert np.abs(np.linalg.eigvals(companion(lags))).max(initial=0) <= INSIDE + 1e-9


def test_coefficients_and_statsmodels_vector_are_the_same_thing() -> None:
    specification = Specification("ct", measurement_error=True)
    shape = Shape(2, 3, (2, 1), specification)
    vector = np.arange(1.0, shape.parameters + 1)
    np.testing.assert_array_equal(Coefficients.of(vector, shape).vector(), vector)
    model = raw_model(simulated((1, 0), exog=3), (2, 1), specification)
    model.update(vector)
    found = Coefficients.of(vector, shape)
    np.testing.assert_array_equal(model.ssm["transition"][:2], np.concatenate((*found.ar, *found.ma), axis=1))
    np.testing.assert_array_equal(model.ssm["state_cov"], found.shocks @ found.shocks.T)
    np.testing.assert_array_equal(np.diag(model.ssm["obs_cov"]), found.noise)


def test_the_mixture_of_exogenous_columns_is_uncorrelated_and_of_unit_size() -> None:
    rng = np.random.default_rng(0)
    first = rng.standard_normal(80)
    exog = np.column_stack((first * 1e6, first + 1e-4 * rng.standard_normal(80), np.arange(80.0)))
    data = Dataset(simulated((1, 0), rows=80).endog, ("a", "b"), simulated((1, 0), rows=80).index, exog, ("x", "y", "z"))
    _, mixed = Scaling.of(data, centred=True).standardized(data)
    assert mixed is not None
    np.testing.assert_allclose(mixed.T @ mixed / 80, np.eye(3), atol=1e-7)
