"""The sample data sets that ship with statsmodels, as tables with a real calendar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from forecastle_sdk.errors import DataError

from ..tables import Table

TIME = "timestamp"


def _quarters(frame: Any) -> list[str]:
    return [f"{int(year)}-{3 * int(quarter) - 2:02d}-01" for year, quarter in zip(frame["year"], frame["quarter"], strict=True)]


def _years(column: str) -> Callable[[Any], list[str]]:
    return lambda frame: [f"{int(year)}-01-01" for year in frame[column]]


def _dates(frame: Any) -> list[str]:
    return [stamp.date().isoformat() for stamp in frame.index]


# Name in statsmodels.datasets: how its rows are dated, and the columns which say no more than that.
SAMPLES: dict[str, tuple[Callable[[Any], list[str]], tuple[str, ...]]] = {
    "co2": (_dates, ()),
    "danish_data": (_dates, ()),
    "interest_inflation": (_quarters, ("year", "quarter")),
    "longley": (_years("YEAR"), ("YEAR",)),
    "macrodata": (_quarters, ("year", "quarter")),
    "nile": (_years("year"), ("year",)),
    "sunspots": (_years("YEAR"), ("YEAR",)),
}


def sample_table(name: str) -> Table:
    """Return a sample data set with its times in the column `timestamp`. Raises `DataError` for an unknown name."""
    if name not in SAMPLES:
        raise DataError(f"there is no sample {name!r}; there are {', '.join(SAMPLES)}, or give a file", code="data-not-found")
    from importlib import import_module  # here, and in this way: statsmodels is imported only when something is trained

    frame = import_module(f"statsmodels.datasets.{name}").load_pandas().data
    dated, redundant = SAMPLES[name]
    columns = [column for column in frame.columns if column not in redundant]
    rows = zip(dated(frame), *(frame[column].tolist() for column in columns), strict=True)
    return Table((TIME, *map(str, columns)), tuple(rows))
