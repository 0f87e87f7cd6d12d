"""The smallest whole plugin: the last value stays, and its variance grows as a random walk's does.

It fits in microseconds and declares every capability, so that the platform's own tests need no other; for authors it is the
example of all that a plugin must do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import marshmallow
import numpy as np
from marshmallow import fields

from .checks import (
    check_capabilities,
    checked_exog,
    checked_finite,
    checked_horizon,
    checked_observations,
    checked_paths,
    checked_quantiles,
)
from .data import Dataset, Estimate, Fit, Forecast, Signature, State
from .errors import DataError, StateError
from .plugin import Capability, Context, Forecaster, Plugin


class NaiveParameters(marshmallow.Schema):
    """What a training of the naive plugin accepts."""

    drift = fields.Boolean(
        load_default=False, metadata={"description": "Go on by the mean change per step, instead of staying at the last value."}
    )


@dataclass(frozen=True, slots=True, eq=False)
class NaiveForecaster(Forecaster):
    """A random walk of each column by itself: `level`, `drift`, `variance` per step, and `age`, the steps since `level`.

    All arrays are (k,). Exogenous values are checked and then take no part.
    """

    signature: Signature
    level: np.ndarray
    drift: np.ndarray
    variance: np.ndarray
    age: np.ndarray

    def forecast(
        self, horizon: int, *, exog: np.ndarray | None = None, quantiles: Sequence[float] = (), seed: int = 0
    ) -> Forecast:
        """See `Forecaster.forecast`."""
        horizon = checked_horizon(self.signature, horizon)
        checked_exog(self.signature, horizon, exog)
        scores = np.array([NormalDist().inv_cdf(quantile) for quantile in checked_quantiles(quantiles)])
        steps = self.age + np.arange(1, horizon + 1)[:, None]
        with np.errstate(all="ignore"):  # what overflows is refused below, with a sentence
            mean = self.level + self.drift * steps
            bounds = mean + scores[:, None, None] * np.sqrt(self.variance * steps)
        return Forecast(checked_finite(mean), checked_finite(bounds))

    def append(self, endog: np.ndarray, exog: np.ndarray | None = None) -> NaiveForecaster:
        """See `Forecaster.append`."""
        rows = checked_observations(self.signature, endog, missing=True)
        columns = checked_exog(self.signature, len(rows), exog)
        level, age = _latest(rows)
        unseen = np.isnan(level)
        return replace(
            self,
            signature=self.signature.extended(len(rows), columns),
            level=_readonly(np.where(unseen, self.level, level)),
            age=_readonly(np.where(unseen, self.age + len(rows), age)),
        )

    def simulate(self, horizon: int, paths: int, *, exog: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
        """See `Forecaster.simulate`."""
        horizon = checked_horizon(self.signature, horizon)
        checked_exog(self.signature, horizon, exog)
        shocks = np.random.default_rng(seed).standard_normal((checked_paths(paths), horizon, len(self.level)))
        with np.errstate(all="ignore"):
            moves = self.drift + shocks * np.sqrt(self.variance)
            moves[:, 0] = self.drift * (self.age + 1) + shocks[:, 0] * np.sqrt(self.variance * (self.age + 1))
            return checked_finite(self.level + moves.cumsum(axis=1))

    def state(self) -> dict[str, State]:
        """See `Forecaster.state`."""
        return {
            "signature": self.signature.to_json(),
            "level": self.level,
            "drift": self.drift,
            "variance": self.variance,
            "age": self.age,
        }


class NaivePlugin(Plugin):
    """Forecasts that nothing changes: the yardstick that any other model should beat."""

    name = "naive"
    title = "Naive"
    description = "The last value of each column, with the variance of a random walk."
    capabilities = frozenset(Capability)
    parameters = NaiveParameters

    def fit(self, data: Dataset, parameters: Mapping[str, Any], context: Context) -> Fit:
        """See `Plugin.fit`. Raises `DataError` for a column with fewer than two values."""
        context.check_cancelled()
        context.progress(0, 1, "fitting a random walk")
        check_capabilities(type(self), data)
        walks = [_walk(name, column, parameters["drift"]) for name, column in zip(data.endog_names, data.endog.T, strict=True)]
        drift, variance = (_readonly(np.array(values)) for values in zip(*walks, strict=True))
        level, age = (_readonly(values) for values in _latest(data.endog))
        forecaster = NaiveForecaster(Signature.of(data), level, drift, variance, age)
        estimates = [Estimate(f"sigma2.{name}", float(value)) for name, value in zip(data.endog_names, variance, strict=True)]
        if parameters["drift"]:
            estimates += [Estimate(f"drift.{name}", float(value)) for name, value in zip(data.endog_names, drift, strict=True)]
        context.progress(1, 1, "fitting a random walk")
        return Fit(forecaster, {"drift": parameters["drift"]}, tuple(estimates))

    def restore(self, state: Mapping[str, State], format: int) -> NaiveForecaster:
        """See `Plugin.restore`."""
        if format != self.state_format:
            raise StateError(f"the state has the format {format}; the plugin naive reads {self.state_format}")
        try:
            document: Any = state["signature"]
            signature = Signature.from_json(document)
            arrays = {name: _readonly(np.array(state[name])) for name in ("level", "drift", "variance", "age")}
        except (KeyError, TypeError, DataError) as error:
            raise StateError(f"the state is not one of the plugin naive: {error!r}") from error
        return NaiveForecaster(signature, **arrays)


def _walk(name: str, column: np.ndarray, drifts: bool) -> tuple[float, float]:
    """Return drift and variance per step of one column (n,), whose missing values only lengthen the step."""
    seen = np.flatnonzero(~np.isnan(column))
    if len(seen) < 2:
        raise DataError(f"the column {name!r} has {len(seen)} values; at least 2 are needed", code="too-few-rows")
    lengths, changes = np.diff(seen), np.diff(column[seen])
    drift = float(changes.sum() / lengths.sum()) if drifts else 0.0
    return drift, float(np.mean((changes - drift * lengths) ** 2 / lengths))


def _latest(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last value of each column of `rows` (n, k), NaN where there is none, and how many steps ago it was."""
    age = np.argmax(~np.isnan(rows[::-1]), axis=0)
    return rows[len(rows) - 1 - age, np.arange(rows.shape[1])], age


def _readonly(values: np.ndarray) -> np.ndarray:
    values.setflags(write=False)
    return values
