"""Rules on capabilities: what is declared works, and what is not is refused with the contract's error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ..data import Dataset
from ..errors import CapabilityError, DataError, ExogError, HorizonError, InputError, ObservationsError
from ..plugin import Capability, Forecaster
from .case import SEED, Case, fitted, sample
from .frozen import same
from .storing import stored

PATHS = 400


class CapabilityRules:
    """One group of rules for each `Capability`; those of an undeclared one are skipped but for its refusal."""

    @pytest.mark.parametrize("capability", [Capability.EXOG, Capability.MULTIVARIATE, Capability.MISSING])
    def test_data_that_needs_an_undeclared_capability_is_refused(self, case: Case, capability: Capability) -> None:
        if case.declares(capability):
            pytest.skip(f"{capability} is declared")
        with pytest.raises(CapabilityError):
            case.fit(_data_that_needs(capability, case))

    def test_an_undeclared_append_is_refused(self, case: Case) -> None:
        if case.declares(Capability.APPEND):
            pytest.skip("append is declared")
        with pytest.raises(CapabilityError):
            fitted(case).forecaster.append(case.coming.endog, case.coming.exog)

    def test_undeclared_simulations_are_refused(self, case: Case) -> None:
        if case.declares(Capability.SIMULATE):
            pytest.skip("simulate is declared")
        with pytest.raises(CapabilityError):
            fitted(case).forecaster.simulate(1, 1, exog=case.future(1))

    def test_what_is_declared_is_there_to_be_checked(self, case: Case) -> None:
        data = case.training
        columns = {Capability.EXOG: len(data.exog_names), Capability.MULTIVARIATE: len(data.endog_names) - 1}
        idle = [str(capability) for capability, there in columns.items() if case.declares(capability) and not there]
        assert not idle, f"the plugin declares {', '.join(idle)}, but Case.data has no columns for it"

    # exog

    def test_missing_exog_is_refused_in_training(self, case: Case) -> None:
        _needs(case, Capability.EXOG)
        exog = np.array(case.training.exog)
        exog[3, -1] = np.nan
        with pytest.raises(DataError):
            case.fit(replace(case.training, exog=exog))

    # missing

    def test_missing_values_are_fitted_around(self, case: Case) -> None:
        _needs(case, Capability.MISSING)
        answer = case.ask(case.fit(_with_holes(case.training)).forecaster)
        finite = np.isfinite(answer.mean).all() and np.isfinite(answer.quantiles).all()
        assert finite, "missing values in training, also in the last row, must not reach the forecast"

    def test_missing_values_are_appended_around(self, case: Case) -> None:
        _needs(case, Capability.MISSING, Capability.APPEND)
        rows = case.coming.endog.copy()
        rows[-1] = np.nan
        answer = case.ask(fitted(case).forecaster.append(rows, case.coming.exog))
        assert np.isfinite(answer.mean).all(), "a missing value among appended rows must not reach the forecast"

    # append

    def test_append_gives_a_new_forecaster_further_on(self, case: Case) -> None:
        _needs(case, Capability.APPEND)
        old, coming = case.fit().forecaster, case.coming  # its own fit, which it may spoil
        state, signature = stored(old), old.signature
        new = old.append(coming.endog, coming.exog)
        unchanged = stored(old) == state and old.signature == signature
        assert unchanged, "append changed the forecaster that it was called on; return a new one"
        expected = signature.extended(coming.nobs, coming.exog)
        assert new.signature == expected, f"after append the signature is {new.signature}; expected {expected}"
        assert new.signature.index.at(0) == coming.index.at(0), "after append the index must stand at the last new row"

    def test_append_sees_the_new_rows(self, case: Case) -> None:
        _needs(case, Capability.APPEND)
        forecaster, coming = fitted(case).forecaster, case.coming
        spread = np.nanmax(case.training.endog, axis=0) - np.nanmin(case.training.endog, axis=0)
        low = case.ask(forecaster.append(coming.endog, coming.exog))
        high = case.ask(forecaster.append(coming.endog + spread, coming.exog))
        assert not np.array_equal(low.mean, high.mean), "the forecast after append does not depend on what was appended"

    def test_rows_appended_one_by_one_or_at_once_are_the_same(self, case: Case) -> None:
        _needs(case, Capability.APPEND)
        coming = case.coming
        at_once = stepwise = fitted(case).forecaster
        at_once = at_once.append(coming.endog, coming.exog)
        for row in range(coming.nobs):
            exog = None if coming.exog is None else coming.exog[row : row + 1]
            stepwise = stepwise.append(coming.endog[row : row + 1], exog)
        _same_forecaster(case, stepwise, at_once, "rows appended one by one give another forecast than all at once")

    @pytest.mark.parametrize("fault", ["no rows", "a column more", "flat", "infinite", "NaN"])
    def test_wrong_observations_are_refused(self, case: Case, fault: str) -> None:
        _needs(case, Capability.APPEND)
        if fault == "NaN" and case.declares(Capability.MISSING):
            pytest.skip("missing is declared")
        rows, exog = case.coming.endog.copy(), case.coming.exog
        if fault in ("infinite", "NaN"):
            rows[0, 0] = float(fault.lower().removesuffix("inite"))
        faults = {"no rows": rows[:0], "a column more": np.hstack([rows, rows[:, :1]]), "flat": rows[:, 0]}
        with pytest.raises(ObservationsError):
            fitted(case).forecaster.append(faults.get(fault, rows), None if exog is None or fault == "no rows" else exog)

    def test_observations_need_the_exog_of_their_rows(self, case: Case) -> None:
        _needs(case, Capability.APPEND, Capability.EXOG)
        coming = case.coming
        for exog in (None, np.array(coming.exog)[:-1]):
            with pytest.raises(ExogError):
                fitted(case).forecaster.append(coming.endog, exog)

    # simulate

    def test_simulated_paths_come_from_the_seed(self, case: Case) -> None:
        _needs(case, Capability.SIMULATE)
        forecaster, exog = fitted(case).forecaster, case.future(case.horizon)
        first, again, other = (forecaster.simulate(case.horizon, 5, exog=exog, seed=seed) for seed in (SEED, SEED, SEED + 1))
        shape = (5, case.horizon, len(case.training.endog_names))
        assert first.shape == shape, f"the paths have shape {first.shape}; expected {shape}"
        assert np.array_equal(first, again), "the same seed must draw the same paths"
        assert not np.array_equal(first, other), "another seed must draw other paths"

    def test_simulated_paths_scatter_as_the_forecast_says(self, case: Case) -> None:
        _needs(case, Capability.SIMULATE)
        forecaster, exog = fitted(case).forecaster, case.future(case.horizon)
        paths = forecaster.simulate(case.horizon, PATHS, exog=exog, seed=SEED)
        answer = forecaster.forecast(case.horizon, exog=exog, quantiles=(0.1, 0.9))
        error = paths.std(axis=0) / np.sqrt(PATHS)
        assert (np.abs(paths.mean(axis=0) - answer.mean) <= 6 * error).all(), "the paths' mean is not the forecast's"
        inside = ((paths >= answer.quantiles[0]) & (paths <= answer.quantiles[1])).mean(axis=0)
        assert (np.abs(inside - 0.8) < 0.15).all(), (
            f"the 80 % interval holds {inside.min():.0%} to {inside.max():.0%} of the paths"
        )

    def test_wrong_questions_get_no_paths(self, case: Case) -> None:
        _needs(case, Capability.SIMULATE)
        forecaster = fitted(case).forecaster
        with pytest.raises(HorizonError):
            forecaster.simulate(0, 1, exog=case.future(1))
        with pytest.raises(InputError):
            forecaster.simulate(1, 0, exog=case.future(1))
        with pytest.raises(ExogError):
            forecaster.simulate(1, 1, exog=np.zeros((2, 9)))


def _needs(case: Case, *capabilities: Capability) -> None:
    for capability in capabilities:
        if not case.declares(capability):
            pytest.skip(f"{capability} is not declared")


def _data_that_needs(capability: Capability, case: Case) -> Dataset:
    if capability is Capability.MISSING:
        return _with_holes(case.training)
    return sample(columns=2) if capability is Capability.MULTIVARIATE else sample(exog=1)


def _with_holes(data: Dataset) -> Dataset:
    endog = data.endog.copy()
    endog[[data.nobs // 3, data.nobs // 2, -1], 0] = np.nan
    return replace(data, endog=endog)


def _same_forecaster(case: Case, found: Forecaster, expected: Forecaster, otherwise: str) -> None:
    assert found.signature == expected.signature, otherwise
    now, was = case.ask(found), case.ask(expected)
    assert same(now.mean, was.mean, case.tolerance), otherwise
    assert same(now.quantiles, was.quantiles, case.tolerance), otherwise
