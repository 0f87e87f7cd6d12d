"""Columns that other columns define: sums and differences of one or two others, and growth rates, found to rounding.

An identity is believed only when rounding is fine beside the columns' own spread: 0/1 columns would satisfy anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .data import Notice

MAX_COARSENESS = 0.05  # rounding errors, as a share of a column's standard deviation, up to which a match says something
MIN_TOLERANCE = 1e-6  # of a standard deviation: what was stored in single precision still counts as equal
MIN_ROWS = 8
MIN_CORRELATION = 0.98  # below it no growth rate can agree with a column to rounding


@dataclass(frozen=True, slots=True)
class SumIdentity:
    """The column `left` is `constant` plus the columns `right`, each with the sign ±1."""

    left: int
    right: tuple[int, ...]
    signs: tuple[int, ...]
    constant: float

    def notice(self, names: tuple[str, ...]) -> Notice:
        """Say the identity with the columns' names."""
        terms = [("−" if sign < 0 else "+", names[column]) for sign, column in zip(self.signs, self.right, strict=True)]
        terms.sort(key=lambda term: term[0] == "−")
        if self.constant:
            terms.insert(0, ("−" if self.constant < 0 else "+", f"{abs(self.constant):g}"))
        text = " ".join(f"{sign} {term}" for sign, term in terms).removeprefix("+ ")
        columns = tuple(names[column] for column in sorted((self.left, *self.right)))
        return _notice(f"{names[self.left]} = {text}", columns)


@dataclass(frozen=True, slots=True)
class GrowthIdentity:
    """The column `left` is a rate of growth (or a difference) of the column `right`: `formula` has its name as x."""

    left: int
    right: int
    formula: str

    def notice(self, names: tuple[str, ...]) -> Notice:
        """Say the identity with the columns' names."""
        return _notice(
            f"{names[self.left]} = {self.formula.format(x=names[self.right])}", (names[self.right], names[self.left])
        )


def _notice(equation: str, columns: tuple[str, ...]) -> Notice:
    return Notice(
        "accounting-identity",
        f"{equation}, to the rounding of the data: the columns are not free of each other, and future values must keep to it",
        columns,
    )


def sum_identities(values: np.ndarray, unit: np.ndarray) -> Iterator[SumIdentity]:
    """Yield each column of (n, m) that is, up to a constant, ± one or two others; `unit` (m,) is what they were rounded to.

    The last column stands on the left: what is derived mostly comes after what it is derived from. A column that repeats
    another takes no further part.
    """
    if len(values) < MIN_ROWS:
        return
    repeated: set[int] = set()
    for size in (2, 3):
        for identity in _of_size(size, values, unit):
            if repeated.isdisjoint((identity.left, *identity.right)):
                yield identity
                repeated |= {identity.left} if size == 2 else set()


def _of_size(size: int, values: np.ndarray, unit: np.ndarray) -> list[SumIdentity]:
    """Return the identities among `size` columns: those whose covariances allow it, then checked row by row."""
    covariance = np.atleast_2d(np.cov(values, rowvar=False, bias=True))
    members = np.array(list(combinations(range(values.shape[1]), size)), dtype=int).reshape(-1, size)
    tolerance = _tolerance(unit[members].sum(axis=1) / 2, np.sqrt(np.diag(covariance))[members].min(axis=1))
    found = []
    for pattern in np.ndindex(*(2,) * (size - 1)):
        weights = np.array([*(1 - 2 * np.array(pattern)), -1])
        blocks = covariance[members[:, :, None], members[:, None, :]]
        variance = np.einsum("i,nij,j->n", weights, blocks, weights)
        noise = 1e-12 * np.trace(blocks, axis1=1, axis2=2)
        for at in np.flatnonzero(variance <= tolerance**2 + noise):
            rest = values[:, members[at]] @ weights
            middle = (rest.max() + rest.min()) / 2
            if np.abs(rest - middle).max() <= tolerance[at]:
                found.append(_identity(members[at], weights, -middle, tolerance[at]))
    return found


def _identity(members: np.ndarray, weights: np.ndarray, constant: float, tolerance: float) -> SumIdentity:
    *right, left = (int(column) for column in members)
    constant = 0.0 if abs(constant) <= tolerance else constant
    return SumIdentity(left, tuple(right), tuple(int(w) for w in weights[:-1]), constant)


def _tolerance(rounding: np.ndarray, spread: np.ndarray) -> np.ndarray:
    informative = np.where(rounding <= MAX_COARSENESS * spread, rounding * (1 + 1e-6), 0.0)
    return np.maximum(informative, MIN_TOLERANCE * spread)


@dataclass(frozen=True, slots=True, eq=False)
class _Rates:
    """One way to make rates (n - lag, m) from columns: `slope` is how much a rounding error of the column moves the rate."""

    lag: int
    formula: str
    factors: tuple[float, ...]
    rate: np.ndarray
    slope: np.ndarray


def growth_identities(values: np.ndarray, unit: np.ndarray, usable: np.ndarray, season: int) -> Iterator[GrowthIdentity]:
    """Yield each column of (n, m) that is a growth rate of another, over a row or a year, plain, in percent or annualised.

    Rows that are not `usable` (n,) take no part, nor do the rates that need them. The closest formula of a pair is given.
    """
    best: dict[tuple[int, int], tuple[float, GrowthIdentity]] = {}
    for rates in _ways(values, season):
        rows = usable[rates.lag :] & usable[: -rates.lag]
        if rows.sum() < MIN_ROWS:
            continue
        for error, identity in _matches(values[rates.lag :][rows], unit, rates, rows):
            pair = identity.left, identity.right
            if pair not in best or error < best[pair][0]:
                best[pair] = error, identity
    for pair in sorted(best):
        yield best[pair][1]


def _ways(values: np.ndarray, season: int) -> Iterator[_Rates]:
    """Yield differences, logarithmic and relative growth over one row and over a year, and growth compounded to a year."""
    positive = np.where((values > 0).all(axis=0), values, np.nan)
    years = sorted({season, 4, 12} - {1})
    yearly = tuple(float(factor) for year in (1, *years) for factor in (year, 100 * year))
    for lag in sorted({1, *years}):
        if len(values) <= lag + MIN_ROWS:
            continue
        factors = yearly if lag == 1 else (1.0, 100.0)
        old, new = values[:-lag], values[lag:]
        yield _Rates(lag, f"{{factor}}{{x}}[t] − {{x}}[t−{lag}]", (1.0,), new - old, np.full(new.shape, 2.0))
        old, new = positive[:-lag], positive[lag:]
        ratio, slope = new / old, 1 / new + 1 / old
        yield _Rates(lag, f"{{factor}}log({{x}}[t] / {{x}}[t−{lag}])", factors, np.log(ratio), slope)
        yield _Rates(lag, f"{{factor}}({{x}}[t] / {{x}}[t−{lag}] − 1)", factors, ratio - 1, slope * ratio)
        for year in years if lag == 1 else ():
            with np.errstate(over="ignore"):
                compound = ratio**year
            formula = f"{{factor}}(({{x}}[t] / {{x}}[t−1])^{year} − 1)"
            yield _Rates(1, formula, (1.0, 100.0), compound - 1, year * slope * compound)


def _matches(columns: np.ndarray, unit: np.ndarray, rates: _Rates, rows: np.ndarray) -> Iterator[tuple[float, GrowthIdentity]]:
    """Yield (mean error, identity) for the columns (n, m) that equal a rate times one of its factors in all rows."""
    rate, slope = rates.rate[rows], rates.slope[rows]
    spread = columns.std(axis=0)
    for left, right, ratio in _related(columns, rate):
        if len(np.unique(columns[:, left])) < MIN_ROWS:  # a few events are the difference of a few others by accident
            continue
        factor = min(rates.factors, key=lambda known: abs(known - ratio))
        rounding = unit[left] / 2 + factor * slope[:, right] * unit[right] / 2
        coarse = rounding.mean() > MAX_COARSENESS * spread[left]
        tolerance = 0.0 if coarse else rounding * (1 + 1e-6)
        error = np.abs(columns[:, left] - factor * rate[:, right])
        if (error <= np.maximum(tolerance, MIN_TOLERANCE * spread[left])).all():
            multiple = "" if factor == 1 else f"{factor:g}·"
            yield float(error.mean()), GrowthIdentity(left, right, rates.formula.format(factor=multiple, x="{x}"))


def _related(columns: np.ndarray, rate: np.ndarray) -> list[tuple[int, int, float]]:
    """Return (column, rate, slope) where the correlation is high; a column is not compared with its own rate."""
    usable = np.isfinite(rate).all(axis=0)
    rate = np.where(usable, rate, 0.0)
    rate, columns = rate - rate.mean(axis=0), columns - columns.mean(axis=0)
    products, size = columns.T @ rate, (rate**2).sum(axis=0)
    norm = np.sqrt(np.outer((columns**2).sum(axis=0), size))
    with np.errstate(invalid="ignore", divide="ignore"):
        high = (products / norm > MIN_CORRELATION) & usable
        slopes = products / size
    np.fill_diagonal(high, False)
    return [(int(left), int(right), float(slopes[left, right])) for left, right in np.argwhere(high)]
