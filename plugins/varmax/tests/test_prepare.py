"""What the preparation refuses, with the column's name, and what it only says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecastle_sdk import Dataset
from forecastle_sdk.errors import DataError
from forecastle_varmax.parameters import Specification
from forecastle_varmax.prepare import prepare_exog

from .simulated import simulated


def with_exog(*columns: np.ndarray) -> Dataset:
    names = tuple(f"x{j}" for j in range(len(columns)))
    return replace(simulated((1, 0), rows=80), exog=np.column_stack(columns), exog_names=names)


NOISE = np.random.default_rng(1).standard_normal((80, 3))
TIME = np.arange(80.0)


def refused(data: Dataset, specification: Specification | None = None) -> DataError:
    with pytest.raises(DataError) as refusal:
        prepare_exog(data, specification or Specification())
    return refusal.value


def test_missing_exogenous_values_are_refused() -> None:
    exog = NOISE.copy()
    exog[3, 1] = np.nan
    assert "'x1' has no value in row 4" in refused(with_exog(*exog.T)).message


def test_a_constant_exogenous_column_is_refused_where_the_trend_has_a_constant() -> None:
    data = with_exog(NOISE[:, 0], np.full(80, 4.0))
    assert "'x1'" in refused(data).message
    assert prepare_exog(data, Specification("n")).exog is not None


def test_a_constant_endogenous_column_is_refused() -> None:
    data = simulated((1, 0))
    assert "'output'" in refused(replace(data, endog=np.column_stack((data.endog[:, 0], np.full(data.nobs, 2.0))))).message


def test_exactly_collinear_exogenous_columns_are_refused_by_name() -> None:
    error = refused(with_exog(NOISE[:, 0], NOISE[:, 1], 3 * NOISE[:, 0] + 1e6, NOISE[:, 2]))
    assert error.reason == "exog-collinear"
    assert [problem.pointer for problem in error.problems] == ["/exog/x0", "/exog/x2"]


def test_a_shifted_copy_is_another_column_where_nothing_takes_up_the_shift() -> None:
    data = with_exog(NOISE[:, 0], 3 * NOISE[:, 0] + 1e2)
    assert refused(data).reason == "exog-collinear"
    assert prepare_exog(data, Specification("n")).exog is not None


def test_a_linear_column_is_collinear_with_a_linear_trend_only() -> None:
    data = with_exog(NOISE[:, 0], 2 * TIME + 5)
    error = refused(data, Specification("ct"))
    assert "the trend" in error.message
    assert [problem.pointer for problem in error.problems] == ["/exog/x1"]
    assert prepare_exog(data, Specification("c")).exog is not None


def test_endogenous_columns_that_are_multiples_of_each_other_are_refused() -> None:
    data = simulated((1, 0))
    assert refused(replace(data, endog=data.endog[:, :1] * [1.0, 1000.0])).reason == "endog-collinear"


def test_nearly_collinear_columns_are_said_and_fitted() -> None:
    prepared = prepare_exog(with_exog(NOISE[:, 0], NOISE[:, 0] + 1e-4 * NOISE[:, 1], NOISE[:, 2]), Specification())
    (notice,) = prepared.notices
    assert notice.columns == ("x0", "x1")


def test_fewer_rows_than_columns_are_refused_with_the_rows_that_are_needed() -> None:
    error = refused(simulated((1, 0), exog=9).rows(0, 10))
    assert error.reason == "too-few-rows"
    assert "12" in error.message


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("kind", ["endog", "exog"])
def test_values_that_cannot_be_squared_are_refused_by_name_before_anything_is_decomposed(unit: float, kind: str) -> None:
    data = simulated((1, 0), rows=80)
    error = refused(replace(data, **{kind: getattr(data, kind) * unit}))
    assert error.reason == "column-out-of-range"
    assert error.problems[0].pointer == {"endog": "/endog/rate", "exog": "/exog/x0"}[kind]
    assert "other units" in error.message
