"""The search compares like with like, says what it tried, and never takes what did not converge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from forecastle_sdk import Context, Verdict
from forecastle_sdk.errors import DataError, FitError, ParametersError
from forecastle_sdk.plugin import Item, Result
from forecastle_varmax import VarmaxPlugin
from forecastle_varmax.estimate import raw_model
from forecastle_varmax.parameters import Order, Specification, candidate_orders
from forecastle_varmax.prepare import prepare_exog
from forecastle_varmax.search import Search, Work, find_order, fit_candidate

from .simulated import simulated

pytestmark = pytest.mark.filterwarnings("ignore:Estimation of VARMA")

DATA = simulated((1, 0), rows=120)
ORDERS: list[Order] = [(0, 1), (1, 0), (1, 1)]


class Backwards(Context):
    """A context that finishes the last things first, and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[int, int, str]] = []

    def progress(self, done: int, total: int, what: str) -> None:
        self.told.append((done, total, what))

    def run(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return super().run(function, reversed(list(items)))


def search(criterion: str = "aicc", context: Context | None = None, **changes: object) -> Search:
    specification = Specification(**changes)
    return find_order(prepare_exog(DATA, specification), ORDERS, criterion, specification, context or Context())


@pytest.mark.parametrize("criterion", ["aicc", "aic", "bic", "hqic", "mse"])
def test_the_best_of_the_converged_is_chosen(criterion: str) -> None:
    found = search(criterion)
    assert [c.order for c in found.candidates] == ["0,1", "1,0", "1,1"]
    assert {c.verdict for c in found.candidates} == {Verdict.CONVERGED}
    best = min(found.candidates, key=lambda c: c.criteria[criterion])
    assert found.chosen.candidate().order == best.order


def test_every_candidate_says_its_rows_parameters_and_time() -> None:
    found = search()
    assert [(c.nobs, c.k) for c in found.candidates] == [(120, 11), (120, 11), (120, 15)]
    assert all(c.seconds > 0 and "CONVERGENCE" in c.message for c in found.candidates)


def test_mse_is_the_one_step_error_over_all_rows_in_units_of_the_variance() -> None:
    found = search("mse")
    errors = raw_model(DATA, found.chosen.order, Specification()).filter(found.chosen.vector).forecasts_error
    assert found.chosen.criteria["mse"] == pytest.approx(np.mean(errors**2 / DATA.endog.var(axis=0)[:, None]))


def test_the_choice_does_not_depend_on_the_order_in_which_fits_finish() -> None:
    one, other = search(), search(context=Backwards())
    assert one.chosen.order == other.chosen.order
    assert [c.order for c in one.candidates] == [c.order for c in other.candidates]


def test_progress_names_the_orders_under_way() -> None:
    context = Backwards()
    search(context=context)
    assert context.told[0] == (0, 3, "fitting VARMAX(1,1) (1,0) and 1 more")
    assert [done for done, _, _ in context.told] == [0, 1, 2, 3]


def test_candidates_that_did_not_converge_are_out_and_a_search_without_any_other_fails_with_the_table() -> None:
    with pytest.raises(FitError, match=r"\(0,1\).*failed.*\n\(1,0\).*\n\(1,1\)") as failure:
        search(maxiter=1)
    assert failure.value.reason == "no-candidate-converged"
    assert len(failure.value.problems) == 3


def test_holdout_forecasts_the_last_rows_from_the_rows_before_and_refits_the_best_to_all() -> None:
    specification = Specification()
    prepared = prepare_exog(DATA, specification)
    found = find_order(prepared, ORDERS, "holdout", specification, Context(), validation_size=20)
    assert {c.nobs for c in found.candidates} == {100}
    assert found.chosen.nobs == 120
    best = min(found.candidates, key=lambda c: c.criteria["holdout"])
    assert best.order == found.chosen.candidate().order
    fit = fit_candidate(Work(prepared, (1, 0), specification, held_out=20))
    assert DATA.exog is not None
    theirs = raw_model(DATA.rows(0, 100), (1, 0), specification).filter(fit.vector).get_forecast(20, exog=DATA.exog[100:])
    errors = (np.asarray(theirs.predicted_mean) - DATA.endog[100:]) / DATA.endog.std(axis=0)
    assert fit.criteria["holdout"] == pytest.approx(np.mean(errors**2))


@pytest.mark.parametrize("size", [0.001, 120, 5000])
def test_a_validation_part_that_measures_nothing_is_refused(size: float) -> None:
    with pytest.raises(DataError, match="validation_size"):
        find_order(prepare_exog(DATA, Specification()), ORDERS, "holdout", Specification(), Context(), validation_size=size)


def test_orders_that_the_rows_cannot_tell_are_told_but_not_fitted_and_none_at_all_is_an_error() -> None:
    few = prepare_exog(DATA.rows(0, 9), Specification())
    with pytest.raises(DataError, match="needs at least"):
        find_order(few, [(3, 3), (2, 2)], "aicc", Specification(), Context())
    prepared = prepare_exog(DATA.rows(0, 25), Specification())
    found = find_order(prepared, [(1, 0), (12, 12)], "aicc", Specification(), Context())
    assert [(c.order, c.verdict, c.llf) for c in found.candidates][1:] == [("12,12", Verdict.FAILED, None)]
    assert "needs at least" in found.candidates[1].message
    assert found.chosen.order == (1, 0)


def test_an_order_without_aicc_is_not_fitted_for_it() -> None:
    prepared = prepare_exog(DATA.rows(0, 19), Specification())
    orders: list[Order] = [(1, 0), (2, 0), (2, 1)]
    by_aicc = find_order(prepared, orders, "aicc", Specification(), Context()).candidates
    by_bic = find_order(prepared, orders, "bic", Specification(), Context()).candidates
    assert [candidate.llf is None for candidate in by_aicc] == [False, False, True]
    assert "AICc needs" in by_aicc[-1].message
    assert all(candidate.llf is not None for candidate in by_bic)


def test_the_default_search_is_fifteen_orders_without_the_empty_one() -> None:
    orders = candidate_orders({"max_p": 3, "max_q": 3})
    assert len(orders) == 15
    assert (0, 0) not in orders
    with pytest.raises(ParametersError):
        candidate_orders({"max_p": 0, "max_q": 0})


def test_the_plugin_resolves_the_order_and_keeps_the_candidates() -> None:
    plugin = VarmaxPlugin()
    fit = plugin.fit(DATA, plugin.parameters().load({"max_p": 1, "max_q": 1}), Context())
    assert fit.parameters["order"] in ("0,1", "1,0", "1,1")
    assert len(fit.candidates) == 3
    assert plugin.parameters().load(dict(fit.parameters)) == fit.parameters


def test_an_order_that_was_asked_for_is_returned_with_its_verdict_and_a_notice() -> None:
    plugin = VarmaxPlugin()
    fit = plugin.fit(DATA, plugin.parameters().load({"order": "1, 1", "maxiter": 1}), Context())
    assert (fit.verdict, fit.parameters["order"]) == (Verdict.FAILED, "1,1")
    assert "not-converged" in [notice.code for notice in fit.notices]
    assert fit.forecaster.forecast(2, exog=np.zeros((2, 1))).notices[: len(fit.notices)] == fit.notices


def test_a_near_unit_root_is_said_on_the_version_and_in_its_answers() -> None:
    endog = np.random.default_rng(3).standard_normal((400, 2)).cumsum(axis=0)
    walk = replace(DATA, endog=endog, exog=None, exog_names=())
    plugin = VarmaxPlugin()
    fit = plugin.fit(walk, plugin.parameters().load({"order": "1,0"}), Context())
    assert [notice.code for notice in fit.notices] == ["eigenvalue-near-one"]
    assert fit.forecaster.forecast(1).notices == fit.notices
