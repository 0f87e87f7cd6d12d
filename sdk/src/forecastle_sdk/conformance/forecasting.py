"""Rules on `Forecaster.forecast`: shapes, order, refusals, and that asking changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from ..data import Forecast
from ..errors import ExogError, HorizonError, OverflowingForecast, QuantilesError
from ..plugin import Capability
from .case import QUANTILES, SEED, Case, fitted
from .storing import stored

THREADS = 8
HUGE = 1e308


class ForecastingRules:
    """What every answer is like, and which questions get none."""

    @pytest.mark.parametrize("quantiles", [(), QUANTILES])
    def test_a_forecast_has_a_row_for_each_step_and_a_column_for_each_series(
        self, case: Case, quantiles: tuple[float, ...]
    ) -> None:
        forecaster = fitted(case).forecaster
        for horizon in (1, case.horizon):
            answer = forecaster.forecast(horizon, exog=case.future(horizon), quantiles=quantiles)
            shape = (horizon, len(case.training.endog_names))
            assert isinstance(answer, Forecast), f"forecast returned {type(answer).__name__}; expected a Forecast"
            assert answer.mean.shape == shape, f"mean has shape {answer.mean.shape}; expected {shape}"
            expected = (len(quantiles), *shape)
            assert answer.quantiles.shape == expected, f"quantiles have shape {answer.quantiles.shape}; expected {expected}"
            finite = np.isfinite(answer.mean).all() and np.isfinite(answer.quantiles).all()
            assert finite, "the forecast is not finite; raise OverflowingForecast where the input asks for it"

    def test_each_column_is_forecast_in_its_own_place_and_units(self, case: Case) -> None:
        seen = case.training.endog
        middle, spread = np.nanmean(seen, axis=0), np.nanmax(seen, axis=0) - np.nanmin(seen, axis=0)
        apart = np.abs(case.ask(fitted(case).forecaster).mean - middle) / spread
        assert (apart < 10).all(), f"the mean lies up to {apart.max():.0f} ranges away from what the column has been"

    def test_quantiles_are_answered_in_the_order_asked_and_never_cross(self, case: Case) -> None:
        forecaster, future = fitted(case).forecaster, case.future(case.horizon)
        rising = forecaster.forecast(case.horizon, exog=future, quantiles=(0.05, 0.5, 0.95)).quantiles
        assert (np.diff(rising, axis=0) >= 0).all(), "a lower quantile lies above a higher one"
        mixed = forecaster.forecast(case.horizon, exog=future, quantiles=(0.95, 0.05, 0.5)).quantiles
        assert np.array_equal(mixed, rising[[2, 0, 1]]), "quantiles must be answered in the order in which they were asked"

    @pytest.mark.parametrize("horizon", [0, -1, 1.5, True, "3", None])
    def test_a_horizon_that_is_no_number_of_steps_is_refused(self, case: Case, horizon: Any) -> None:
        with pytest.raises(HorizonError):
            fitted(case).forecaster.forecast(horizon, exog=case.future(1))

    def test_a_horizon_beyond_the_limit_is_refused(self, case: Case) -> None:
        forecaster = fitted(case).forecaster
        too_far = forecaster.signature.max_horizon + 1
        future = case.future(1)
        exog = None if future is None else np.repeat(future, too_far, axis=0)
        with pytest.raises(HorizonError):
            forecaster.forecast(too_far, exog=exog)

    @pytest.mark.parametrize("quantiles", [(0.0,), (1.0,), (-0.1,), (1.5,), (float("nan"),), (0.5, 0.5)])
    def test_a_quantile_outside_its_range_or_given_twice_is_refused(self, case: Case, quantiles: tuple[float, ...]) -> None:
        with pytest.raises(QuantilesError):
            fitted(case).forecaster.forecast(1, exog=case.future(1), quantiles=quantiles)

    @pytest.mark.parametrize("fault", ["absent", "too short", "too long", "a column more", "flat", "NaN", "infinite"])
    def test_wrong_future_exog_is_refused(self, case: Case, fault: str) -> None:
        exog = _wrong_exog(case, fault)
        with pytest.raises(ExogError):
            fitted(case).forecaster.forecast(case.horizon, exog=exog)

    def test_a_forecast_that_overflows_is_refused(self, case: Case) -> None:
        future = case.future(case.horizon)
        if future is None:
            pytest.skip("the plugin takes no exog")
        try:
            answer = fitted(case).forecaster.forecast(case.horizon, exog=np.full_like(future, HUGE), quantiles=QUANTILES)
        except OverflowingForecast:
            return
        finite = np.isfinite(answer.mean).all() and np.isfinite(answer.quantiles).all()
        assert finite, "exog of 1e308 gives a forecast that is not finite; raise OverflowingForecast"

    def test_asking_changes_nothing(self, case: Case) -> None:
        forecaster, exog = case.fit().forecaster, case.future(case.horizon)  # its own fit, which it may spoil
        state, given = stored(forecaster), np.array(exog)
        first = forecaster.forecast(case.horizon, exog=exog, quantiles=QUANTILES, seed=SEED)
        kept = first.mean.copy(), first.quantiles.copy()
        for answer in (first.mean, first.quantiles):
            if answer.flags.writeable:
                answer[...] = 0.0  # an answer is its receiver's, to do with as they like
        second = forecaster.forecast(case.horizon, exog=exog, quantiles=QUANTILES, seed=SEED)
        repeated = np.array_equal(kept[0], second.mean) and np.array_equal(kept[1], second.quantiles)
        assert repeated, "the same question got another answer; a forecaster must be immutable, and draw from its seed only"
        assert stored(forecaster) == state, "a forecast changed the forecaster's state"
        assert exog is None or np.array_equal(exog, given), "a forecast changed the exog that it was given"

    def test_eight_threads_get_the_answers_that_one_gets(self, case: Case) -> None:
        forecaster = fitted(case).forecaster
        horizons = [1 + i % case.horizon for i in range(8 * THREADS)]
        alone = {horizon: case.ask(forecaster, horizon) for horizon in set(horizons)}
        with ThreadPoolExecutor(THREADS) as pool:
            together = list(pool.map(lambda horizon: case.ask(forecaster, horizon), horizons))
        for horizon, answer in zip(horizons, together, strict=True):
            expected = alone[horizon]
            agree = np.array_equal(answer.mean, expected.mean) and np.array_equal(answer.quantiles, expected.quantiles)
            assert agree, "two threads that ask one forecaster disturb each other; keep what a question needs out of self"


def _wrong_exog(case: Case, fault: str) -> np.ndarray | None:
    """Return future exog with a fault; where the plugin takes none, any column is one too many."""
    future = case.future(case.horizon)
    if future is None or not case.declares(Capability.EXOG):
        return np.zeros((case.horizon, 1))
    wrong = future.copy()
    wrong[-1, -1] = np.nan if fault == "NaN" else np.inf
    faults = {
        "absent": None,
        "too short": future[:-1],
        "too long": np.vstack([future, future[-1:]]),
        "a column more": np.hstack([future, future[:, -1:]]),
        "flat": future[:, 0],
    }
    return faults.get(fault, wrong)
