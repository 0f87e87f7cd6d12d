"""A fit is no worse than statsmodels', says what it found by its names, and what a person should know about it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.datasets import macrodata
from statsmodels.tsa.statespace.sarimax import SARIMAX

from forecastle_arima import ArimaPlugin
from forecastle_arima.estimate import best, model_arguments, optimize
from forecastle_arima.parameters import Specification
from forecastle_sdk import Context, Dataset, Fit, Index, Verdict
from forecastle_sdk.conformance import sample
from forecastle_sdk.errors import DataError, FitError, ParametersError

EXOG = ("realinv", "realgovt", "realdpi", "cpi", "m1", "tbilrate", "unemp", "pop", "infl", "realint")


def macro(endog: str, exog: tuple[str, ...] = ()) -> Dataset:
    table = macrodata.load_pandas().data
    last = Index("time", "2009-07-01", "QS-JAN")
    return Dataset(table[[endog]].to_numpy(), (endog,), last, table[list(exog)].to_numpy() if exog else None, exog)


def fit(data: Dataset, **parameters) -> Fit:
    return ArimaPlugin().fit(data, ArimaPlugin.parameters().load(parameters), Context())


def stock(data: Dataset, **parameters) -> SARIMAX:
    specification = Specification.of(ArimaPlugin.parameters().load(parameters))
    return SARIMAX(data.endog[:, 0], **model_arguments(data, specification))


def codes(found: Fit) -> set[str]:
    return {notice.code for notice in found.notices}


@pytest.mark.parametrize(
    ("endog", "exog", "parameters"),
    [
        ("realgdp", EXOG, {"order": "1,1,1"}),
        ("realgdp", ("unemp", "m1"), {"order": "2,0,1", "trend": "ct"}),
        ("realgdp", ("unemp",), {"order": "1,1,1", "seasonal_order": "0,1,1,4", "measurement_error": True}),
        ("infl", ("unemp", "cpi"), {"order": "3,0,2", "trend": "c", "mle_regression": False}),
    ],
)
def test_no_fit_is_below_that_of_a_notebook(endog, exog, parameters):
    data = macro(endog, exog)
    found = fit(data, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        notebook = stock(data, **parameters).fit(disp=False)
    assert found.llf > notebook.llf - 0.01


def test_ten_exogenous_columns_converge_where_statsmodels_alone_needs_more_iterations():
    data = macro("realgdp", EXOG)
    optima = [
        optimize(data, Specification.of(ArimaPlugin.parameters().load({"order": "1,1,1"})), scaled=s) for s in (True, False)
    ]
    assert [optimum.converged for optimum in optima] == [True, False]
    assert best(optima) is optima[0]
    assert fit(data, order="1,1,1").verdict is Verdict.CONVERGED


def test_the_better_top_is_chosen_and_among_equals_one_that_converged():
    optimum = optimize(macro("infl"), Specification.of(ArimaPlugin.parameters().load({})), scaled=True)
    stopped = replace(optimum, llf=optimum.llf + 0.001, converged=False)
    higher = replace(optimum, llf=optimum.llf + 1, converged=False)
    assert best([stopped, optimum]) is optimum
    assert best([optimum, higher, stopped]) is higher


def test_the_likelihood_and_criteria_are_stock_statsmodels_at_the_stored_parameters():
    parameters = {"order": "1,1,1", "trend": "c", "seasonal_order": "1,0,0,4"}
    data = macro("realgdp", ("unemp",))
    found = fit(data, **parameters)
    (candidate,) = found.candidates
    results = stock(data, **parameters).smooth([estimate.value for estimate in found.estimates])
    assert found.llf == pytest.approx(results.llf, rel=1e-12)
    for name, criterion in found.criteria.items():
        assert criterion == pytest.approx(getattr(results, name), rel=1e-12)
    assert (candidate.nobs, candidate.k) == (results.nobs_effective, results.df_model)
    assert candidate.order == "(1,1,1)×(1,0,0,4)"
    assert candidate.criteria == found.criteria
    np.testing.assert_allclose([estimate.std_error for estimate in found.estimates], results.bse, rtol=1e-9)


def test_estimates_have_the_names_that_a_notebook_shows():
    data = macro("realgdp", ("unemp", "m1"))
    found = fit(data, order="[1,4],1,1", trend="ct", measurement_error=True, seasonal_order="0,0,1,4")
    frame = pd.DataFrame(data.exog, columns=data.exog_names)
    endog = pd.Series(data.endog[:, 0])
    model = SARIMAX(endog, frame, ([1, 4], 1, 1), (0, 0, 1, 4), trend="ct", measurement_error=True)
    assert [estimate.name for estimate in found.estimates] == model.param_names


def test_coefficients_that_are_states_are_estimates_too():
    data = macro("infl", ("unemp",))
    found = fit(data, order="1,0,0", mle_regression=False)
    beta = found.estimates[-1]
    assert beta.name == "beta.unemp"
    results = stock(data, order="1,0,0", mle_regression=False).smooth([e.value for e in found.estimates[:-1]])
    assert beta.value == pytest.approx(results.states.filtered[-1, -1])
    assert beta.std_error == pytest.approx(np.sqrt(results.states.filtered_cov[-1, -1, -1]))


def test_a_standard_error_that_cannot_be_computed_is_none():
    rows = sample(rows=12)
    found = fit(rows, order="0,0,3", trend="n", measurement_error=True)
    assert all(estimate.std_error is None or np.isfinite(estimate.std_error) for estimate in found.estimates)


def test_too_few_iterations_are_a_failed_verdict_and_a_notice_in_answers():
    found = fit(macro("realgdp"), order="2,1,2", trend="c", maxiter=1)
    assert found.verdict is Verdict.FAILED
    assert "raise maxiter" in found.candidates[0].message
    assert "not-converged" in {notice.code for notice in found.forecaster.forecast(1).notices}


def test_what_statsmodels_warns_of_is_a_notice():
    found = fit(macro("unemp"), order="1,0,1", seasonal_order="1,0,1,4", trend="c")
    (notice,) = [notice for notice in found.notices if notice.code == "estimation-warning"]
    assert "starting" in notice.message


@pytest.mark.parametrize("parameters", [{"order": "1,0,0"}, {"order": "0,1,1", "seasonal_order": "0,1,1,4", "trend": "c"}])
def test_too_few_rows_are_refused_with_a_number_that_is_enough(parameters):
    rows = sample(exog=1)
    needed = Specification.of(ArimaPlugin.parameters().load(parameters)).rows_needed(1)
    with pytest.raises(DataError, match=f"needs at least {needed} rows with a value in 'y1'; there are {needed - 1}") as caught:
        fit(rows.rows(0, needed - 1), **parameters)
    assert caught.value.reason == "too-few-rows"
    assert fit(rows.rows(0, needed), **parameters).criteria["aicc"] is not None


def test_rows_without_a_value_do_not_count():
    endog = sample(rows=20).endog.copy()
    endog[4:] = np.nan
    with pytest.raises(DataError, match="there are 4"):
        fit(Dataset(endog, ("y",), Index("integer", 19)), order="1,0,0", trend="c")


def test_a_constant_exogenous_column_is_refused_where_a_trend_or_differences_make_it_say_nothing():
    rows = sample(rows=40)
    data = Dataset(rows.endog, rows.endog_names, rows.index, np.ones((40, 1)), ("one",))
    for parameters in ({"trend": "c"}, {"order": "1,1,0"}, {"seasonal_order": "0,1,0,4"}):
        with pytest.raises(DataError, match="'one'"):
            fit(data, **parameters)
    assert fit(data).estimates[0].name == "one"


def test_an_order_with_too_many_states_is_refused_before_it_fills_the_memory():
    with pytest.raises(ParametersError, match="901 states"):
        fit(sample(rows=2000), order="0,0,0", seasonal_order="1,0,0,901")


def test_values_without_a_finite_likelihood_are_a_fit_error():
    rows = sample(rows=40)
    with pytest.raises(FitError, match=r"finite|cannot be fitted"):
        fit(Dataset(rows.endog * 1e200, ("y",), rows.index), order="1,0,0")


def test_a_root_near_one_is_noticed_until_differencing_takes_it_away():
    assert "eigenvalue-near-one" in codes(fit(macro("cpi"), order="1,0,0"))
    assert "eigenvalue-near-one" not in codes(fit(macro("realgdp"), order="1,1,0", trend="c"))
    rng = np.random.default_rng(2)
    seasonal = Dataset(np.tile(rng.normal(size=4) * 9, 40)[:, None] + rng.normal(size=(160, 1)), ("y",), Index("integer", 159))
    assert "eigenvalue-near-one" not in codes(fit(seasonal, order="1,0,0", seasonal_order="1,0,0,4"))


def test_what_an_econometrician_would_object_to_is_said_in_the_version_and_in_answers():
    found = fit(macro("realgdp", EXOG), order="1,1,1")
    answer = found.forecaster.forecast(1, exog=macro("realgdp", EXOG).exog[-1:])
    said = {"collinear-exog", "accounting-identity", "placeholder-rows"}
    assert said <= codes(found)
    assert said <= {notice.code for notice in answer.notices}
    messages = [notice.message for notice in found.notices]
    assert any(message.startswith("realint = tbilrate − infl,") for message in messages)
    assert any(message.startswith("infl = 400·log(cpi[t] / cpi[t−1]),") for message in messages)
    assert any("1959-01-01" in message for message in messages)


def test_the_season_of_the_model_is_in_the_signature():
    assert fit(sample(rows=60), seasonal_order="1,0,0,6").forecaster.signature.season == 6
    assert fit(sample(rows=60)).forecaster.signature.season == 4


def test_a_change_of_scale_changes_nothing_else():
    rows = sample(rows=60, exog=1)
    big = Dataset(rows.endog * 1e6, rows.endog_names, rows.index, rows.exog * 1e-4, rows.exog_names)
    small, large = (fit(data, order="1,0,1", trend="c") for data in (rows, big))
    assert large.verdict is small.verdict is Verdict.CONVERGED
    assert large.llf + 60 * np.log(1e6) == pytest.approx(small.llf, abs=0.01)
    means = [found.forecaster.forecast(5, exog=np.zeros((5, 1))).mean for found in (small, large)]
    np.testing.assert_allclose(means[1] / 1e6, means[0], rtol=1e-3)


def test_the_state_does_not_grow_with_the_history():
    sizes = [len(repr(fit(sample(rows=rows, exog=2), order="1,1,1").forecaster.state())) for rows in (60, 600)]
    assert abs(sizes[1] - sizes[0]) < 300


def test_the_entry_point_names_the_plugin():
    (found,) = entry_points(group="forecastle.plugins", name="arima")
    assert found.load() is ArimaPlugin


def test_a_process_that_restores_and_forecasts_loads_no_science_library():
    frozen = Path(__file__).parent / "frozen" / "format-1.json"
    code = (
        "import sys; from pathlib import Path; from forecastle_arima import ArimaPlugin\n"
        "from forecastle_sdk.conformance.plain import loads\n"
        f"record = loads(Path({str(frozen)!r}).read_text())\n"
        "forecaster = ArimaPlugin().restore(record['state'], record['format'])\n"
        "forecaster = forecaster.append([[100.0]], record['exog'][:1])\n"
        "print(len(forecaster.forecast(3, exog=record['exog'][:3], quantiles=[0.1]).mean))\n"
        "print(sorted({'statsmodels', 'pandas', 'scipy', 'sklearn', 'skops', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "3\n[]\n"
