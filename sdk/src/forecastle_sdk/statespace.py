"""The state-space runtime: forecasts, updates and sample paths of any linear Gaussian model, from its state and numpy alone.

A plugin extracts a `StateSpace` from its fit and wraps it in a `StateSpaceForecaster`; nothing of the library that
estimated it is needed after that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from .checks import (
    checked_exog,
    checked_finite,
    checked_horizon,
    checked_observations,
    checked_paths,
    checked_quantiles,
)
from .data import Forecast, Notice, Signature, State
from .errors import ForecastleError, OverflowingForecast, StateError
from .plugin import Forecaster
from .system import StateSpace, factor

__all__ = ["StateSpace", "StateSpaceForecaster", "stability_notices"]

NEAR_ONE = 0.98  # a shock halves in 34 steps or more
FAR_OUTSIDE = 1.0  # in widths of the training range


class StateSpaceForecaster(Forecaster):
    """A fitted linear Gaussian model: immutable, thread-safe, and the same numbers in every order of calls.

    `notices` are what its version should say in every answer; each answer adds what is to be said about it alone.
    Raises `StateError` when the system does not fit the signature.
    """

    def __init__(self, system: StateSpace, signature: Signature, notices: Sequence[Notice] = ()) -> None:
        if len(system.design) != len(signature.endog) or system.exog_count != len(signature.exog):
            raise StateError(
                f"a system of {len(system.design)} endogenous and {system.exog_count} exogenous columns "
                f"does not fit a signature of {len(signature.endog)} and {len(signature.exog)}"
            )
        self.signature = signature
        self.system = system
        self.notices = tuple(notices)
        low, high = (np.array([getattr(column, end) for column in signature.exog]) for end in ("min", "max"))
        width = (high - low) * FAR_OUTSIDE
        self._low, self._high = low - width, high + width
        # Standard errors (n, k) of the first n steps and P after them. It grows to max_horizon at most, and is only ever
        # replaced as a whole: threads that meet here compute the same numbers, and either's result is right.
        self._spread: tuple[np.ndarray, np.ndarray] = (np.empty((0, len(signature.endog))), system.cov)

    def forecast(
        self, horizon: int, *, exog: np.ndarray | None = None, quantiles: Sequence[float] = (), seed: int = 0
    ) -> Forecast:
        """Forecast `horizon` steps: normal quantiles around the mean. There is nothing random; `seed` is not used."""
        horizon = checked_horizon(self.signature, horizon)
        values = checked_exog(self.signature, horizon, exog)
        scores = np.array([_score(q) for q in checked_quantiles(quantiles).tolist()])
        with np.errstate(over="ignore", invalid="ignore"):
            mean = self.system.means(values)
            bounds = np.empty((0, *mean.shape))
            if len(scores):
                bounds = mean + scores[:, None, None] * self._standard_errors(horizon, values)
        return Forecast(checked_finite(mean), checked_finite(bounds), self.notices + self._range_notices(values))

    def append(self, endog: np.ndarray, exog: np.ndarray | None = None) -> StateSpaceForecaster:
        """Return the forecaster after it has seen endog (n, k), NaN where missing, and exog (n, m): a Kalman update."""
        rows = checked_observations(self.signature, endog, missing=True)
        values = checked_exog(self.signature, len(rows), exog)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                system = self.system.after(rows, values)
        except StateError as error:
            raise OverflowingForecast("the state after these rows is not finite; look for values of another scale") from error
        return StateSpaceForecaster(system, self.signature.extended(len(rows), values), self.notices)

    def simulate(self, horizon: int, paths: int, *, exog: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
        """Draw joint paths (paths, horizon, k) of state, shocks and noise; a longer horizon starts with the same steps."""
        horizon = checked_horizon(self.signature, horizon)
        values = checked_exog(self.signature, horizon, exog)
        paths = checked_paths(paths)
        with np.errstate(over="ignore", invalid="ignore"):
            drawn = self._paths(values, paths, np.random.default_rng(seed))
        return checked_finite(drawn)

    def state(self) -> dict[str, State]:
        """Return the system, the signature and the notices; its size does not depend on the length of the history.

        The last two are JSON text: a serializer that keeps a record of every number would need ten times the room.
        """
        return {
            "system": self.system.to_state(),
            "signature": json.dumps(self.signature.to_json(), sort_keys=True),
            "notices": json.dumps([notice.to_json() for notice in self.notices], sort_keys=True),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> StateSpaceForecaster:
        """Rebuild the forecaster from what `state` returned. Raises `StateError`."""
        try:
            signature = Signature.from_json(json.loads(state["signature"]))
            notices = [Notice.from_json(notice) for notice in json.loads(state["notices"])]
            system = state["system"]
        except (KeyError, TypeError, ValueError, AttributeError, ForecastleError) as error:
            raise StateError(f"the stored state cannot be read ({error!r}); train the version again") from error
        return cls(StateSpace.from_state(system), signature, notices)

    def _standard_errors(self, horizon: int, exog: np.ndarray) -> np.ndarray:
        if self.system.regression is not None:
            designs = self.system.designs(exog)
            return np.sqrt([self._variance(*pair) for pair in zip(designs, self.system.covariances(horizon), strict=True)])
        known, cov = self._spread
        if len(known) < horizon:
            more = max(horizon, min(2 * len(known), self.signature.max_horizon)) - len(known)
            covs = list(self.system.covariances(more, cov))
            errors = np.sqrt([self._variance(self.system.design, cov) for cov in covs])
            known = np.concatenate((known, errors))
            self._spread = (known, covs[-1])
        return known[:horizon]

    def _variance(self, design: np.ndarray, cov: np.ndarray) -> np.ndarray:
        return np.maximum(((design @ cov) * design).sum(axis=1) + self.system.noise, 0.0)

    def _paths(self, exog: np.ndarray, paths: int, rng: np.random.Generator) -> np.ndarray:
        system = self.system
        added, offsets = system.inputs(exog)
        shocks = system.selection @ factor(system.shock_cov)
        noise = np.sqrt(system.noise)
        states = system.mean + rng.standard_normal((paths, system.states)) @ factor(system.cov).T
        drawn = np.empty((paths, len(exog), len(noise)))
        for step, design in enumerate(system.designs(exog)):
            states = states @ system.transition.T + added[step] + rng.standard_normal((paths, shocks.shape[1])) @ shocks.T
            drawn[:, step] = states @ design.T + offsets[step] + rng.standard_normal((paths, len(noise))) * noise
        return drawn

    def _range_notices(self, exog: np.ndarray) -> tuple[Notice, ...]:
        outside = (exog < self._low) | (exog > self._high)
        if not np.count_nonzero(outside):
            return ()
        columns = tuple(self.signature.exog_names[j] for j in np.flatnonzero(outside.any(axis=0)))
        message = (
            f"{', '.join(columns)}: the exogenous values lie further outside the range that training saw than that range is "
            "wide; the forecast extrapolates"
        )
        return (Notice("exog-outside-training-range", message, columns),)


def stability_notices(transition: np.ndarray, *, threshold: float = NEAR_ONE) -> tuple[Notice, ...]:
    """Say where the autoregressive companion matrix (s, s) has an eigenvalue whose modulus is near one, or above it.

    Leave out states that have unit roots by construction, as differences do.
    """
    modulus = float(np.abs(np.linalg.eigvals(transition)).max()) if len(transition) else 0.0
    if modulus < threshold:
        return ()
    if modulus >= 1:
        said = "shocks never die out, and the intervals widen without end"
    else:
        said = f"a shock takes {np.log(0.5) / np.log(modulus):.0f} steps to halve; consider differences or growth rates"
    return (Notice("eigenvalue-near-one", f"the largest eigenvalue has modulus {modulus:.4f}: {said}"),)


@lru_cache(maxsize=1024)
def _score(quantile: float) -> float:
    return NormalDist().inv_cdf(quantile)
