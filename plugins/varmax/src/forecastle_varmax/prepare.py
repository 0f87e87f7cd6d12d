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

    Raises `DataError` for missing exogenous values, for constant columns, and for exogenous columns that are an exact linear
    combination of one another and the trend. Nearly collinear ones are a notice.
    """
    check_complete(data)
    check_constant(data, intercept=specification.has_constant)
    _check_rank(data, specification)
    scaling = Scaling.of(data, centred=specification.has_constant)
    return Prepared(data, scaling, *scaling.standardized(data), exog_notices(data))


def _check_rank(data: Dataset, specification: Specification) -> None:
    if data.exog is None or not data.exog_names:
        return
    if data.nobs <= len(data.exog_names) + len(specification.powers):
        needed = len(data.exog_names) + len(specification.powers) + 1
        raise DataError(
            f"there are {data.nobs} rows for {len(data.exog_names)} exogenous columns; give {needed}, or fewer columns",
            code="too-few-rows",
        )
    columns = np.concatenate((specification.trend_columns(1, data.nobs), data.exog), axis=1)
    if specification.has_constant:
        columns[:, 1:] -= columns[:, 1:].mean(axis=0)
    columns /= np.maximum(np.sqrt((columns**2).sum(axis=0)), np.finfo(float).tiny)
    _, sizes, axes = np.linalg.svd(columns, full_matrices=False)
    if sizes[-1] > DEPENDENT * sizes[0]:
        return
    involved = np.abs(axes[-1])[len(specification.powers) :] > 1e-6
    names = [name for name, is_in in zip(data.exog_names, involved, strict=True) if is_in]
    with_trend = " and the trend" if (np.abs(axes[-1])[: len(specification.powers)] > 1e-6).any() else ""
    raise DataError(
        f"the exogenous columns {', '.join(names)}{with_trend} are an exact linear combination of one another, so that their "
        "coefficients cannot be told apart; leave one of them out",
        code="exog-collinear",
        problems=[Problem(f"/exog/{name}", "an exact linear combination of the others") for name in names],
    )
