"""Loads the data: a sample of statsmodels, or a file with a time column, as the dataset that a plugin fits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forecastle_sdk import Dataset
from forecastle_sdk.errors import DataError

from ..errors import UnreadableTable
from ..serving.request import RESERVED
from ..tables import Table, read_table, time_column
from .calendars import index_of
from .samples import SAMPLES, TIME, sample_table


@dataclass(frozen=True, slots=True)
class LoadedData:
    """A dataset, and as JSON for the lineage where it came from and how its times were read (`freq` None: inferred)."""

    dataset: Dataset
    source: dict[str, Any]


def load_data(
    name: str, endog: Sequence[str], exog: Sequence[str] = (), *, time: str | None = None, freq: str | None = None
) -> LoadedData:
    """Load a sample by its name, or a CSV, Excel or Parquet file by its path.

    `time` names the time column; without it a column with a usual name is taken. Columns named nowhere take no part.
    Raises `DataError` or `UnreadableTable` that name column and row.
    """
    if name in SAMPLES and not Path(name).exists():
        table, source = sample_table(name), {"sample": name}
        time = time or TIME
    else:
        table, source = _read_file(name, [*endog, *exog])
    dataset = dataset_from(table, endog, exog, time=time, freq=freq)
    return LoadedData(dataset, {**source, "time": time or _time_column(table, [*endog, *exog]), "freq": freq})


def _read_file(name: str, wanted: Sequence[str]) -> tuple[Table, dict[str, Any]]:
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        samples = ", ".join(SAMPLES)
        message = f"{name!r} is neither a file that can be read ({error.strerror}) nor a sample ({samples})"
        raise DataError(message, code="data-not-found") from None
    try:
        return read_table(content, wanted), {"file": Path(name).name, "sha256": hashlib.sha256(content).hexdigest()}
    except UnreadableTable as error:
        raise UnreadableTable(f"{name}: {error.message}", code=error.reason, problems=error.problems) from None


def dataset_from(
    table: Table, endog: Sequence[str], exog: Sequence[str], *, time: str | None = None, freq: str | None = None
) -> Dataset:
    """Return a table's columns as a dataset. Raises `DataError` for a column that is not there, and as `load_data`."""
    _check_columns(table, endog, exog)
    time = _time_column(table, [*endog, *exog]) if time is None else _present(table, time)
    index = index_of(table.column(time), time, freq, table.first_row)
    columns = [table.numbers(name, missing=name in endog) for name in (*endog, *exog)]
    values = np.array(columns, dtype=np.float64).T
    future = values[:, len(endog) :] if exog else None
    return Dataset(values[:, : len(endog)], tuple(endog), index, future, tuple(exog))


def _check_columns(table: Table, endog: Sequence[str], exog: Sequence[str]) -> None:
    if not endog:
        raise DataError("there is no endogenous column; name at least one (--endog)", code="endog-missing")
    for name in (*endog, *exog):
        _present(table, name)
    for name in exog:
        if name in RESERVED:
            raise DataError(f"an exogenous column must not be called {name!r}: requests have that name themselves; rename it")


def _present(table: Table, name: str) -> str:
    if name not in table.header:
        raise DataError(f"there is no column {name!r}; the data has {', '.join(table.header)}", code="column-not-found")
    return name


def _time_column(table: Table, taken: Sequence[str]) -> str:
    name = time_column(table.header, taken)
    if name is not None:
        return name
    raise DataError(f"which column is the time? Name it (--time); the data has {', '.join(table.header)}", code="time-missing")
