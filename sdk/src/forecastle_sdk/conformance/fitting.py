"""Rules on parameters and on `Plugin.fit`: what it may touch, what it must refuse, what it owes to the one who waits."""

from __future__ import annotations

import copy
import json
import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import marshmallow
import numpy as np
import pytest

from ..data import Candidate, Estimate, Fit, Notice, Signature, Verdict
from ..errors import Cancelled, CapabilityError, DataError, ParametersError
from ..plugin import Capability, Context, Forecaster, Item, Result
from .case import SEED, Case, fitted
from .frozen import same


class Watch(Context):
    """A context that remembers what it was told, and stops the work at one of the times that it is asked."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__(SEED)
        self.told: list[tuple[int, int, str]] = []
        self.asked = 0
        self.stop_at = stop_at

    def progress(self, done: int, total: int, what: str) -> None:
        self.told.append((done, total, what))

    def check_cancelled(self) -> None:
        self.asked += 1
        if self.asked == self.stop_at:
            raise Cancelled("the work was told to stop")


class Elsewhere(Context):
    """A context whose work goes through pickle, as to another process, and finishes last things first."""

    def run(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        for item in reversed(list(items)):
            self.check_cancelled()
            there, given = _travelled((function, item))
            yield _travelled(there(given))


class FittingRules:
    """What holds before, during and after a fit."""

    def test_an_unknown_parameter_is_refused(self, case: Case) -> None:
        with pytest.raises(marshmallow.ValidationError):
            case.loaded({**case.parameters, "no_such_parameter": 1})

    def test_a_wrong_parameter_is_refused(self, case: Case) -> None:
        for wrong in case.wrong_parameters:
            with pytest.raises((marshmallow.ValidationError, ParametersError)):
                case.plugin().fit(case.training, case.loaded(wrong), Context(SEED))

    def test_a_fit_leaves_its_input_as_it_was(self, case: Case) -> None:
        data, parameters = case.training, case.loaded()
        digest, before = data.digest, copy.deepcopy(parameters)
        case.plugin().fit(data, parameters, Context(SEED))
        assert data.digest == digest, "fit changed the values of its dataset; work on a copy"
        writable = data.endog.flags.writeable or (data.exog is not None and data.exog.flags.writeable)
        assert not writable, "fit made the arrays of its dataset writable; work on a copy"
        assert parameters == before, (
            "fit changed its parameters; work on a copy, and return the resolved ones in Fit.parameters"
        )

    def test_a_fit_depends_on_the_seed_of_its_context_alone(self, case: Case) -> None:
        with _global_randomness(1):
            first = case.fit()
        with _global_randomness(2):
            second = case.fit()
        _agree(case, first, second, "two fits with one seed differ; draw from numpy.random.default_rng(context.seed) only")

    def test_a_fit_says_what_it_found(self, case: Case) -> None:
        fit = fitted(case)
        is_fit = isinstance(fit, Fit) and isinstance(fit.forecaster, Forecaster)
        assert is_fit, "fit must return a Fit with a Forecaster"
        assert fit.verdict is None or isinstance(fit.verdict, Verdict), f"verdict is {fit.verdict!r}; make it a Verdict or None"
        for part, kind in (("estimates", Estimate), ("candidates", Candidate), ("notices", Notice)):
            items = getattr(fit, part)
            typed = isinstance(items, tuple) and all(isinstance(item, kind) for item in items)
            assert typed, f"Fit.{part} is {items!r}; make it a tuple of {kind.__name__}"
            _through_json([asdict(item) for item in items], f"Fit.{part}")
        _through_json([fit.llf, dict(fit.criteria)], "Fit.llf and Fit.criteria")

    def test_the_signature_describes_the_training_rows(self, case: Case) -> None:
        expected, found = Signature.of(case.training), fitted(case).forecaster.signature
        for part in ("endog", "exog", "index", "nobs"):
            was, ought = getattr(found, part), getattr(expected, part)
            assert was == ought, f"signature.{part} is {was}; expected {ought}, as Signature.of(data) gives"
        survived = Signature.from_json(_through_json(found.to_json(), "the signature"))
        assert survived == found, "the signature does not survive JSON"

    def test_the_resolved_parameters_load_again_and_repeat_the_fit(self, case: Case) -> None:
        fit = fitted(case)
        resolved = _through_json(dict(fit.parameters), "Fit.parameters")
        again = case.plugin().fit(case.training, case.loaded(resolved), Context(SEED))
        _agree(case, again, fit, "a fit with Fit.parameters does not repeat the fit that returned them")
        assert again.parameters == resolved, f"{resolved} were resolved once more, to {again.parameters}"

    def test_too_few_rows_are_refused(self, case: Case) -> None:
        with pytest.raises(DataError):
            case.fit(case.training.rows(0, case.too_few))

    def test_a_column_without_any_value_is_refused(self, case: Case) -> None:
        endog = case.training.endog.copy()
        endog[:, -1] = np.nan
        with pytest.raises(DataError if case.declares(Capability.MISSING) else (DataError, CapabilityError)):
            case.fit(replace(case.training, endog=endog))

    def test_progress_never_goes_back(self, case: Case) -> None:
        watch = Watch()
        case.fit(context=watch)
        assert all(total > 0 for _, total, _ in watch.told), f"progress must be out of at least one step: {watch.told}"
        shares = [done / total for done, total, _ in watch.told]
        assert shares == sorted(shares), f"progress went back: {watch.told}"
        assert all(0 <= share <= 1 for share in shares), f"progress left 0 … total: {watch.told}"
        assert all(isinstance(what, str) and what for _, _, what in watch.told), "progress must say what is being done"

    def test_a_cancelled_fit_stops(self, case: Case) -> None:
        watch = Watch()
        case.fit(context=watch)
        assert watch.asked, "fit never calls context.check_cancelled; call it between steps"
        for time in {1, watch.asked}:
            with pytest.raises(Cancelled):
                case.fit(context=Watch(stop_at=time))

    def test_work_lent_to_the_context_may_run_elsewhere_in_any_order(self, case: Case) -> None:
        _agree(case, case.fit(context=Elsewhere(SEED)), fitted(case), "the fit depends on where and in what order its work ran")


def _travelled(cargo: Any) -> Any:
    return pickle.loads(pickle.dumps(cargo))  # noqa: S301  # it was made a moment ago, here


def _agree(case: Case, fit: Fit, expected: Fit, otherwise: str) -> None:
    answers = case.ask(fit.forecaster), case.ask(expected.forecaster)
    assert same(answers[0].mean, answers[1].mean, case.tolerance), otherwise
    assert same(answers[0].quantiles, answers[1].quantiles, case.tolerance), otherwise


def _through_json(value: Any, what: str) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        pytest.fail(f"{what} cannot be stored as JSON ({error}); use finite floats, int, str, list and dict: {value!r}")


@contextmanager
def _global_randomness(seed: int) -> Iterator[None]:
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
