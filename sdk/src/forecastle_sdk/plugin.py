"""The contract: what a plugin is, what a forecaster does, and what the platform lends to a fit. There is no transport in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import marshmallow
import numpy as np

from .data import Dataset, Fit, Forecast, Signature, State
from .errors import CapabilityError

CONTRACT = 1
"""The version of this contract; a plugin of another one is listed with that reason and not used."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Capability(StrEnum):
    """What a plugin can do beyond a forecast of the mean and its quantiles; the conformance kit tests each."""

    EXOG = "exog"  # takes exogenous columns
    MULTIVARIATE = "multivariate"  # takes more than one endogenous column
    MISSING = "missing"  # takes missing values in endog
    APPEND = "append"  # takes new observations without a refit
    SIMULATE = "simulate"  # draws joint paths


class Context:
    """What the platform lends to a fit. As it stands here it runs everything in order, in this process, and reports nothing.

    `seed` is the only source of randomness that a fit may use.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def progress(self, done: int, total: int, what: str) -> None:
        """Tell how far the work is: `done` of `total` steps, and what is being done now."""

    def check_cancelled(self) -> None:
        """Raise `errors.Cancelled` when the work was told to stop; call it between steps."""

    def run(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield function(item) for every item, as results finish, in no promised order.

        Function, items and results must be picklable: the platform may spread them over processes or machines.
        """
        for item in items:
            self.check_cancelled()
            yield function(item)


class Forecaster(ABC):
    """A fitted model that forecasts from its state: immutable, thread-safe, deterministic."""

    signature: Signature

    @abstractmethod
    def forecast(
        self, horizon: int, *, exog: np.ndarray | None = None, quantiles: Sequence[float] = (), seed: int = 0
    ) -> Forecast:
        """Forecast `horizon` steps after the last row; `exog` is (horizon, m), `quantiles` lie in (0, 1).

        Raises `HorizonError`, `ExogError`, `QuantilesError`, or `OverflowingForecast`.
        """

    def append(self, endog: np.ndarray, exog: np.ndarray | None = None) -> Forecaster:
        """Return a new forecaster that has also seen `endog` (n, k) and `exog` (n, m), without a refit.

        Raises `ObservationsError`, `ExogError`, or `CapabilityError` where the plugin does not declare `APPEND`.
        """
        raise CapabilityError(f"{type(self).__name__} takes no new observations without a refit; train a new version")

    def simulate(self, horizon: int, paths: int, *, exog: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
        """Draw joint sample paths of the coming `horizon` steps: (paths, horizon, k), the same for the same seed.

        Raises as `forecast`, or `CapabilityError` where the plugin does not declare `SIMULATE`.
        """
        raise CapabilityError(f"{type(self).__name__} draws no sample paths; ask for quantiles")

    @abstractmethod
    def state(self) -> dict[str, State]:
        """Return everything that `Plugin.restore` needs, as plain data. The caller must not change it."""


class Plugin(ABC):
    """Code that fits one kind of model. Its class is what the entry point in the group `forecastle.plugins` names.

    Importing its module must load no science library: those are imported inside `fit`.
    """

    contract: ClassVar[int] = CONTRACT
    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    parameters: ClassVar[type[marshmallow.Schema]]
    trusted_types: ClassVar[tuple[str, ...]] = ()
    state_format: ClassVar[int] = 1

    @abstractmethod
    def fit(self, data: Dataset, parameters: Mapping[str, Any], context: Context) -> Fit:
        """Fit exactly `data` with `parameters` (as the schema loaded them).

        Raises `DataError`, `ParametersError`, `FitError`, `CapabilityError`, or `Cancelled`.
        """

    @abstractmethod
    def restore(self, state: Mapping[str, State], format: int) -> Forecaster:
        """Rebuild a forecaster from its state, for every `format` that was ever released. Raises `StateError`."""
