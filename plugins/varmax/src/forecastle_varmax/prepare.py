"""Prepare the columns: refuse what no VARMAX can use, standardize the rest, and say what an econometrician would object to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecastle_sdk import Dataset, Notice
from forecastle_sdk.checks import check_complete
from forecastle_sdk.diagnostics import check_constant, exog_notices
from forecastle_sdk.errors import DataError, Problem

from .parameters import Specification
from .scaling import Scaling

DEPENDENT = 1e-10  # of unit columns: below this a combination of them is zero but for rounding
NEGLIGIBLE = 1e-6  # a weight in that combination
LARGEST = 1e100  # beyond it, or below its inverse, squares leave the range of a float, and LAPACK may never come back


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Columns that a VARMAX can use: as given, as the optimizer sees them (exog None where there is none), and the notices."""

    data: Dataset
    scaling: Scaling
    endog: np.ndarray
    exog: np.ndarray | None
    notices: tuple[Notice, ...]


def prepare_exog(data: Dataset, specification: Specification) -> Prepared:
    """Check the columns, standardize them, and collect notices about them.

    Raises `DataError` for missing exogenous values, for constant columns, for values too large or too small to be squared, and
    for columns that are an exact linear combination of one another (exogenous ones: or of the trend). Nearly collinear ones
    are a notice.
    """
    check_complete(data)
    check_constant(data, intercept=specification.has_constant)
    _check_rows(data, specification)
    _check_size(data)
    _check_endog(data)
    _check_exog(data, specification)
    scaling = Scaling.of(data, centred=specification.has_constant)
    return Prepared(data, scaling, *scaling.standardized(data), exog_notices(data))


def _check_rows(data: Dataset, specification: Specification) -> None:
    needed = len(data.exog_names) + len(specification.powers) + 2
    if data.nobs < needed:
        raise DataError(
            f"there are {data.nobs} rows; {len(data.exog_names)} exogenous columns and the trend {specification.trend!r} alone "
            f"need {needed}; give more rows, or fewer columns",
            code="too-few-rows",
        )


def _check_size(data: Dataset) -> None:
    columns = [("endog", name, values) for name, values in zip(data.endog_names, data.endog.T, strict=True)]
    if data.exog is not None:
        columns += [("exog", name, values) for name, values in zip(data.exog_names, data.exog.T, strict=True)]
    for kind, name, values in columns:
        size = float(np.nanmax(np.abs(values)))
        if size and not 1 / LARGEST < size < LARGEST:  # one that is all zeros is constant, not small
            raise DataError(
                f"the largest value of the column {name!r} is {size:.3g} in size; expected one between {1 / LARGEST:g} and "
                f"{LARGEST:g}; give it in other units",
                code="column-out-of-range",
                problems=[Problem(f"/{kind}/{name}", f"{size:.3g} in size; give it in other units")],
            )


def _check_endog(data: Dataset) -> None:
    whole = data.endog[~np.isnan(data.endog).any(axis=1)]
    if len(whole) <= len(data.endog_names):
        return
    names = _dependent(whole - whole.mean(axis=0), data.endog_names)
    if names:
        raise DataError(
            f"the endogenous columns {', '.join(names)} are an exact linear combination of one another, so that one of them "
            "has no shock of its own; leave one out",
            code="endog-collinear",
            problems=[Problem(f"/endog/{name}", "an exact linear combination of the others") for name in names],
        )


def _check_exog(data: Dataset, specification: Specification) -> None:
    if data.exog is None or not data.exog_names:
        return
    trend = specification.trend_columns(1, data.nobs)
    columns = np.concatenate((trend, data.exog), axis=1)
    if specification.has_constant:
        columns[:, 1:] -= columns[:, 1:].mean(axis=0)
    names = _dependent(columns, ("the trend",) * trend.shape[1] + data.exog_names)
    if names:
        raise DataError(
            f"the exogenous columns {', '.join(names)} are an exact linear combination of one another, so that their "
            "coefficients cannot be told apart; leave one of them out",
            code="exog-collinear",
            problems=[
                Problem(f"/exog/{name}", "an exact linear combination of the others")
                for name in names
                if name in data.exog_names
            ],
        )


def _dependent(columns: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Return the names of columns (n, m) of which a combination is zero but for rounding, or none."""
    size = np.sqrt((columns**2).sum(axis=0))
    _, sizes, axes = np.linalg.svd(columns / np.where(size > 0, size, 1.0), full_matrices=False)
    if sizes[-1] > DEPENDENT * sizes[0]:
        return []
    return [name for name, weight in zip(names, np.abs(axes[-1]), strict=True) if weight > NEGLIGIBLE]
