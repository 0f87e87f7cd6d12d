"""What an econometrician would object to in the data: collinear columns, accounting identities, placeholder rows, constants.

Nothing here knows a model: every check looks at the columns alone, with numpy, in well under a second at 20,000 × 40.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial

import numpy as np

from .data import Dataset, Notice
from .errors import DataError, ForecastleError, Problem
from .identities import growth_identities, sum_identities

MAX_CONDITION = 30.0  # Belsley, Kuh and Welsch (1980): from 30 on, dependencies harm the estimates
MAX_INFLATION = 30.0  # R² of 0.967 with the other columns, adjusted for their number
MIN_SPARE_ROWS = 10  # with fewer rows to spare, independent noise looks collinear
MAX_ZEROS = 0.05  # a column that is zero more often than this has zero among its ordinary values
MAX_CHANCE = 0.01  # of rows that would share their zeros by accident, how many are expected
NAMED_ROWS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The exogenous columns that vary: `values` (n, m), their names, and the `unit` (m,) to which each was rounded."""

    names: tuple[str, ...]
    values: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, data: Dataset) -> Columns:
        """Take the columns that are not constant from a dataset without missing exog."""
        values = np.empty((data.nobs, 0)) if data.exog is None else data.exog
        varying = ~_constant(values)
        names = tuple(name for name, varies in zip(data.exog_names, varying, strict=True) if varies)
        kept = np.ascontiguousarray(values[:, varying])
        return cls(names, kept, rounding_units(kept))


def exog_notices(data: Dataset) -> tuple[Notice, ...]:
    """Return what should be known about the exogenous columns; constant ones and columns with missing values are left out."""
    columns = Columns.of(_with_complete_exog(data))
    if len(columns.values) < 3 or len(columns.names) < 2:
        return ()
    placeholders = placeholder_rows(columns)
    kept = np.flatnonzero(~placeholders)
    notices = [*_placeholder_notices(data, columns, placeholders)]
    sums = sum_identities(columns.values[kept], columns.unit)
    growths = growth_identities(columns.values, columns.unit, ~placeholders, data.index.season)
    notices += [identity.notice(columns.names) for identity in sums]
    notices += [identity.notice(columns.names) for identity in growths]
    notices += _collinear_notices(columns)
    return tuple(notices)


def check_constant(data: Dataset, *, intercept: bool = True) -> None:
    """Refuse a column that never changes. Raises `DataError` that names the column.

    A constant endogenous column has nothing to explain. A constant exogenous one is collinear where the model has an
    `intercept`; without, it is one, and is let through.
    """
    for name, values in zip(data.endog_names, data.endog.T, strict=True):
        seen = values[~np.isnan(values)]
        if len(seen) > 1 and _constant(seen[:, None])[0]:  # of one value alone nobody can tell
            raise _constant_column(f"/endog/{name}", name, seen[0], "there is nothing to model; leave it out of endog")
    if data.exog is None or not intercept or data.nobs < 2:
        return
    for name, values, constant in zip(data.exog_names, data.exog.T, _constant(data.exog), strict=True):
        if constant:
            advice = "the model's own constant says the same; leave it out of exog, or fit without a trend"
            raise _constant_column(f"/exog/{name}", name, values[0], advice)


def _constant_column(pointer: str, name: str, value: float, advice: str) -> DataError:
    problem = Problem(pointer, "the same value in every row; expected values that differ")
    return DataError(f"the column {name!r} is {value:g} in every row: {advice}", code="constant-column", problems=[problem])


def _constant(values: np.ndarray) -> np.ndarray:
    """Say of each column of (n, m) whether it varies by no more than the last bits of its values."""
    spread = values.max(axis=0) - values.min(axis=0)
    return spread <= 1e-13 * np.abs(values).max(axis=0)


def _with_complete_exog(data: Dataset) -> Dataset:
    if data.exog is None or not np.isnan(data.exog).any():
        return data
    complete = ~np.isnan(data.exog).any(axis=0)
    names = tuple(name for name, whole in zip(data.exog_names, complete, strict=True) if whole)
    return Dataset(data.endog, data.endog_names, data.index, data.exog[:, complete], names)


def rounding_units(values: np.ndarray) -> np.ndarray:
    """Return for each column of (n, m) the largest power of ten, 1e6 to 1e-8, that divides its values, else the float's own."""
    largest = np.abs(values).max(axis=0)
    unit = 4 * np.finfo(float).eps * largest
    left = np.arange(values.shape[1])
    for decimals in range(-6, 9):
        candidates = values[:, left]
        slack = 1e-12 * largest[left]
        if 10.0**-decimals < 1e-9 * largest.max(initial=0.0):
            slack = np.minimum(slack, 1e-3 * 10.0**-decimals)
        fits = (np.abs(candidates - np.round(candidates, decimals)) <= slack).all(axis=0)
        unit[left[fits]] = 10.0**-decimals
        left = left[~fits]
    return unit


def placeholder_rows(columns: Columns) -> np.ndarray:
    """Say of each row (n,) whether two or more columns are exactly zero there that elsewhere are not, beyond chance.

    By chance a column is zero as often as its values near zero, spread over the multiples of its rounding unit, suggest.
    """
    values, nobs = columns.values, len(columns.values)
    zero = _rare_zeros(values)
    together = zero.sum(axis=1)
    near = ((values != 0) & (np.abs(values) <= 10 * columns.unit)).sum(axis=0)
    alone = (zero & (together < 2)[:, None]).sum(axis=0)
    chance = np.maximum((near + 0.5) / 20, alone).sum() / nobs
    by_chance = np.array([nobs * chance**count / factorial(count) for count in range(zero.shape[1] + 1)])
    return np.asarray((together >= 2) & (by_chance[together] < MAX_CHANCE))


def _rare_zeros(values: np.ndarray) -> np.ndarray:
    zero = np.asarray(values == 0)
    zero &= zero.sum(axis=0) <= max(1.0, MAX_ZEROS * len(values))
    return zero


def _placeholder_notices(data: Dataset, columns: Columns, placeholders: np.ndarray) -> Iterator[Notice]:
    rows = np.flatnonzero(placeholders)
    if not len(rows):
        return
    zero = np.asarray(_rare_zeros(columns.values)[rows].any(axis=0))
    names = tuple(name for name, is_zero in zip(columns.names, zero, strict=True) if is_zero)
    stamps = [_stamp(data, int(row)) for row in rows[:NAMED_ROWS]]
    more = f" and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
    yield Notice(
        "placeholder-rows",
        f"{' and '.join(names)} are exactly zero together at {', '.join(stamps)}{more} and hardly ever elsewhere: "
        "this looks like a placeholder for a value that is not known; check such rows, or cut them",
        names,
    )


def _stamp(data: Dataset, row: int) -> str:
    try:
        return str(data.index.at(row + 1 - data.nobs))
    except ForecastleError:  # an irregular calendar need not know the past
        return f"row {row + 1}"


def _collinear_notices(columns: Columns) -> Iterator[Notice]:
    nobs, width = columns.values.shape
    if nobs - width < MIN_SPARE_ROWS:
        return
    inflation, condition = variance_inflation(columns.values)
    high = inflation * (nobs - width) / (nobs - 1) >= MAX_INFLATION
    if condition < MAX_CONDITION or not high.any():
        return
    names = tuple(name for name, is_high in zip(columns.names, high, strict=True) if is_high)
    factors = ", ".join(f"{name} {_rounded(factor)}" for name, factor in zip(names, inflation[high], strict=True))
    yield Notice(
        "collinear-exog",
        f"these columns are nearly linear combinations of the others (condition number {_rounded(condition)}; variance "
        f"inflation factors: {factors}): their separate coefficients say little, and a forecast holds only while they go on "
        "moving together",
        names,
    )


def variance_inflation(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the variance inflation factors (m,) of standardized columns, and the condition number of their matrix.

    Both end near 10⁶ to 10¹³, where the correlations' own rounding begins.
    """
    standardized = (values - values.mean(axis=0)) / values.std(axis=0)
    roots, vectors = np.linalg.eigh(standardized.T @ standardized / len(values))
    roots = np.maximum(roots, 1e-13 * roots[-1])
    return (vectors**2 / roots).sum(axis=1), float(np.sqrt(roots[-1] / roots[0]))


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number < 1e6 else "over 1,000,000"
