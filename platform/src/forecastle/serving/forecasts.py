"""One forecast, from what the client asks to plain values that any form of answer can be written from.

1. Which version? What the alias points at was read as the request began, or is read now; or the version is pinned.
2. Its forecaster comes from the cache.
3. Horizon, exog and quantiles are checked against its signature.
4. It forecasts from its state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Engine

from forecastle_registry.aliases import PRODUCTION, Live, live_version
from forecastle_registry.versions import Version, get_version
from forecastle_sdk import Forecast, Signature
from forecastle_sdk.errors import OverflowingForecast, Problem

from ..errors import pointer_to
from ..memory import Memory, Told
from ..plugins import Catalogue
from ..settings import Settings
from .loading import LoadedVersion, Loader
from .request import Ask, Spread, exog_array, exog_columns, resolve_horizon, spread


@dataclass(frozen=True, slots=True)
class Answer:
    """A forecast with everything that the client is told about it. `alias` is None where the version was pinned."""

    loaded: LoadedVersion
    alias: str | None
    horizon: int
    timestamps: list[str] | list[int]
    spread: Spread
    forecast: Forecast


class Forecasting:
    """The service that answers forecasts."""

    def __init__(self, engine: Engine, catalogue: Catalogue, settings: Settings) -> None:
        self._engine = engine
        self.memory = Memory(settings.stale_for)
        self.loader = Loader(engine, catalogue, settings)

    def choose(
        self, model: str, version: int | None = None, alias: str | None = None, *, live: Told[Live | None] | None = None
    ) -> LoadedVersion:
        """Return the version that a request means, loaded; see `Loader.load_live` for what is live and does not load.

        `live` is what an alias of the model was seen to point at since the request was here; unless that is the alias that
        is meant, it is read now. Raises `ModelNotFound`, `VersionNotFound` or `AliasNotFound`, and what loading raises.
        """
        if version is not None:
            return self._load_pinned(model, version)
        wanted = alias or PRODUCTION
        if live is not None and live.value is not None and live.value.alias == wanted:
            return _noticed(self.loader.load_live(live.value), live)
        told = self.memory.read(("live", model, wanted), lambda: live_version(self._engine, model, wanted))
        return _noticed(self.loader.load_live(told.value), told)

    def _load_pinned(self, model: str, number: int) -> LoadedVersion:
        told = self.memory.read(("digest", model, number), lambda: get_version(self._engine, model, number).artifact_digest)
        return _noticed(self.loader.load(model, number, told.value), told)

    def describe(self, model: str, alias: str = PRODUCTION) -> Version:
        """Return the row of the version that is live: enough for documents and templates, also when its plugin is gone."""
        return get_version(self._engine, model, live_version(self._engine, model, alias).version_number)

    def forecast(self, model: str, ask: Ask, *, live: Told[Live | None] | None = None) -> Answer:
        """Answer a request. Raises what `choose` and `answer` raise."""
        return answer(self.choose(model, ask.version, ask.alias, live=live), ask)


def answer(loaded: LoadedVersion, ask: Ask) -> Answer:
    """Forecast with a loaded version. Raises `HorizonError`, `ExogError`, `QuantilesError` or `OverflowingForecast`."""
    columns = exog_columns(ask.exog)
    horizon = resolve_horizon(ask.horizon, columns, loaded.max_horizon)
    exog = exog_array(loaded.signature, horizon, columns)
    asked = spread(ask.levels, ask.quantiles)
    try:
        forecast = loaded.forecaster.forecast(horizon, exog=exog, quantiles=asked.quantiles)
    except OverflowingForecast as error:
        raise _overflowing(error, loaded.signature, exog) from None
    alias = None if ask.version is not None else ask.alias or PRODUCTION
    return Answer(loaded, alias, horizon, loaded.signature.index.after(0, horizon), asked, forecast)


def _noticed(loaded: LoadedVersion, told: Told[Any]) -> LoadedVersion:
    """Say with the version that which one it is comes from memory, where it does."""
    notices = told.notices
    return replace(loaded, notices=(*loaded.notices, *(n.to_json() for n in notices))) if notices else loaded


def _overflowing(error: OverflowingForecast, signature: Signature, exog: np.ndarray | None) -> OverflowingForecast:
    """Return the error with the cell of exog (horizon, m) that lies furthest outside what training saw."""
    if exog is None:
        return error
    low, high = (np.array([getattr(column, end) for column in signature.exog]) for end in ("min", "max"))
    with np.errstate(over="ignore"):
        distance = np.maximum(low - exog, exog - high) / np.maximum(high - low, np.finfo(float).tiny)
    row, j = np.unravel_index(int(np.argmax(distance)), exog.shape)
    column = signature.exog[j]
    usual = f"{column.min:g} to {column.max:g}"
    found = f"{exog[row, j]:g} in row {row + 1}; expected a number of the size that training saw ({usual})"
    problem = Problem(pointer_to("exog", column.name, int(row)), found)
    return OverflowingForecast(f"{error.message}: the column {column.name!r} has {found}", problems=[problem])
