"""Divides the data in time order: the first rows train, the last ones test; nothing is ever shuffled."""

from __future__ import annotations

from dataclasses import dataclass

from forecastle_sdk import Dataset
from forecastle_sdk.errors import ParametersError


@dataclass(frozen=True, slots=True)
class Division:
    """The training part, and the number of rows behind it that test (0: none)."""

    train: Dataset
    test_rows: int


def divide(data: Dataset, test_size: float) -> Division:
    """Divide a dataset; `test_size` is a share below 1, or a number of rows. Raises `ParametersError`."""
    if test_size >= 1 and test_size != int(test_size):
        raise ParametersError(f"test_size is {test_size:g}; expected a share below 1, or a whole number of rows")
    rows = round(data.nobs * test_size) if test_size < 1 else int(test_size)
    if rows >= data.nobs:
        raise ParametersError(f"test_size leaves no row for training: {rows} of {data.nobs}; choose a smaller one")
    return Division(data.rows(0, data.nobs - rows), rows)
