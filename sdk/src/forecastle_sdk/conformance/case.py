"""What the conformance kit checks a plugin with: the case, data made for it, and one fit that the rules share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..calendar import Index
from ..data import Dataset, Fit, Forecast
from ..plugin import Capability, Context, Forecaster, Plugin

QUANTILES = (0.1, 0.5, 0.9)
SEED = 7


@dataclass(frozen=True, eq=False)
class Case:
    """A plugin and what to check it with; all but the plugin has a default.

    `parameters` as a person writes them, before the schema. `data`, of which the last `horizon` rows are held back as the
    future; by default `sample` with as many columns as the plugin's capabilities allow. `frozen` is the folder of states that
    must load for ever. `too_few` rows are too few to fit. `wrong_parameters` are sets that the schema or `fit` must refuse.
    `tolerance` is relative to a column's scale, and holds where a state may have come from another machine.
    """

    plugin: type[Plugin]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    data: Dataset | None = None
    frozen: Path | None = None
    horizon: int = 6
    too_few: int = 1
    wrong_parameters: tuple[Mapping[str, Any], ...] = ()
    tolerance: float = 1e-9

    def declares(self, capability: Capability) -> bool:
        """Tell whether the plugin declares a capability."""
        return capability in self.plugin.capabilities

    @property
    def all_rows(self) -> Dataset:
        """The data with the rows that are held back."""
        if self.data is not None:
            return self.data
        return sample(columns=1 + self.declares(Capability.MULTIVARIATE), exog=int(self.declares(Capability.EXOG)))

    @property
    def training(self) -> Dataset:
        """The rows to fit."""
        rows = self.all_rows
        return rows.rows(0, rows.nobs - self.horizon)

    @property
    def coming(self) -> Dataset:
        """The `horizon` rows after them."""
        rows = self.all_rows
        return rows.rows(rows.nobs - self.horizon, rows.nobs)

    def loaded(self, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return parameters, by default the case's, as the plugin's schema loads them."""
        return self.plugin.parameters().load(dict(self.parameters if parameters is None else parameters))

    def fit(self, data: Dataset | None = None, context: Context | None = None) -> Fit:
        """Fit afresh, by default the training rows."""
        return self.plugin().fit(data or self.training, self.loaded(), context or Context(SEED))

    def ask(self, forecaster: Forecaster, horizon: int | None = None) -> Forecast:
        """Forecast the coming rows, or the first `horizon` of them, with three quantiles."""
        steps = horizon or self.horizon
        return forecaster.forecast(steps, exog=self.future(steps), quantiles=QUANTILES, seed=SEED)

    def future(self, horizon: int) -> np.ndarray | None:
        """Return the exogenous values (horizon, m) of the first coming rows, or None."""
        exog = self.coming.exog
        return None if exog is None else exog[:horizon].copy()

    def _key(self) -> tuple[object, ...]:
        return self.plugin, self.all_rows.digest, self.horizon, json.dumps(dict(self.parameters), sort_keys=True, default=repr)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@lru_cache(maxsize=4)
def fitted(case: Case) -> Fit:
    """Return a fit of the case; rules that only look at one share it, whatever the scope of their fixture."""
    return case.fit()


def sample(*, columns: int = 1, exog: int = 0, rows: int = 86, seed: int = SEED) -> Dataset:
    """Return quarterly data that most models can fit: each column goes back to a level of its own, far from the others'.

    The exogenous columns move the endogenous ones. Equal arguments give equal data.
    """
    rng = np.random.default_rng(seed)
    drivers = rng.standard_normal((rows, exog))
    effects = np.linspace(0.5, 1.0, exog)[:, None] * np.ones(columns)
    shocks = rng.standard_normal((rows, columns)) + drivers @ effects
    swings = np.zeros((rows, columns))
    for row in range(1, rows):
        swings[row] = 0.6 * swings[row - 1] + shocks[row]
    last = Index("time", "2000-01-01", "QS-JAN").shifted(rows - 1)
    levels = 100.0 * np.arange(1, columns + 1)
    names = tuple(f"y{i + 1}" for i in range(columns)), tuple(f"x{i + 1}" for i in range(exog))
    return Dataset(levels + swings, names[0], last, drivers if exog else None, names[1])
