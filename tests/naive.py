"""Trains the sdk's naive plugin on small data, so that the platform's tests have real versions within milliseconds.

The model that most tests ask is `sales`: two endogenous and two exogenous columns, monthly, from January 2015 on.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Engine

from forecastle.plugins import Catalogue, InstalledPlugin
from forecastle.settings import Settings
from forecastle.training.loading import LoadedData
from forecastle.training.service import Training, train
from forecastle_registry.versions import Registered
from forecastle_sdk import Dataset, Index, Plugin
from forecastle_sdk.naive import NaivePlugin

ENDOG = ("sales", "returns")
EXOG = ("price", "promo")
NEXT_MONTHS = ["2018-01-01", "2018-02-01", "2018-03-01"]
EXOG_OF_THREE = {"price": [9.5, 9.0, 9.25], "promo": [0, 1, 0]}


def naive_catalogue(plugin: Plugin | None = None) -> Catalogue:
    """Return a catalogue of the naive plugin alone, or of `plugin`, installed under that name."""
    return Catalogue([InstalledPlugin("naive", "forecastle-sdk", "0.1.0", plugin or NaivePlugin())])


def monthly_sales(*, endog: tuple[str, ...] = ENDOG, exog: tuple[str, ...] = EXOG, rows: int = 36, shift: float = 0) -> Dataset:
    """Return months up to December 2017; `shift` moves the values, so that two trainings differ."""
    index = Index("time", "2017-12-01", "MS")
    return dataset(index, endog, exog, rows, shift)


def numbered_rows(*, exog: tuple[str, ...] = (), rows: int = 20) -> Dataset:
    """Return one column on an integer index that ends at 19."""
    return dataset(Index("integer", 19), ("y",), exog, rows, 0)


def dataset(index: Index, endog: tuple[str, ...], exog: tuple[str, ...], rows: int, shift: float) -> Dataset:
    """Return `rows` rows of made-up columns that end where `index` stands."""
    steps = np.arange(rows)[:, None]
    values = 100 + shift + 10 * np.arange(len(endog)) + steps % 7 + steps / 5
    future = 9 + steps % (5 + np.arange(len(exog))) if exog else None  # no column is a combination of the others
    return Dataset(values, endog, index, future, exog)


def train_naive(
    engine: Engine,
    settings: Settings,
    model: str = "sales",
    data: Dataset | None = None,
    *,
    catalogue: Catalogue | None = None,
    parameters: Mapping[str, Any] | None = None,
    serializer: str = "skops",
    promote: bool | None = None,
) -> Registered:
    """Train and register a version of `model` with the naive plugin, as the training service does for any other."""
    training = Training(
        model=model,
        plugin="naive",
        data=LoadedData(monthly_sales() if data is None else data, {"sample": "made up for a test"}),
        parameters={"test_size": 0, **(parameters or {})},
        serializer=serializer,
        promote=promote,
    )
    return train(engine, catalogue or naive_catalogue(), settings, training, lambda done, total, what: None)
