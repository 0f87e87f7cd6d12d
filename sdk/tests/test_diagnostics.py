"""The notices about data find what is planted, and nothing in noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecastle_sdk import Dataset, Index
from forecastle_sdk.diagnostics import check_constant, exog_notices, rounding_units
from forecastle_sdk.errors import DataError

QUARTERS = Index("time", "2009-07-01", "QS-JAN")
ROWS = 203


def dataset(index: Index = QUARTERS, **columns: np.ndarray) -> Dataset:
    exog = np.column_stack(list(columns.values()))
    endog = np.linspace(0, 1, len(exog))[:, None]
    return Dataset(endog, ("y",), index, exog, tuple(columns))


def noise(rows: int = ROWS, width: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    values = np.random.default_rng(seed).normal(size=(rows, width))
    return {f"x{number}": column for number, column in enumerate(values.T)}


def macro(seed: int = 1) -> dict[str, np.ndarray]:
    """Columns made as those of the US macroeconomic data are: rounded, derived, and zero where there is no earlier row."""
    rng = np.random.default_rng(seed)
    cpi = np.round(29 * np.exp(np.cumsum(np.abs(rng.normal(0.01, 0.008, ROWS)))), 3)
    tbilrate = np.round(5 + 0.3 * rng.normal(size=ROWS).cumsum(), 2)
    infl = np.round(np.concatenate([[0], 400 * np.diff(np.log(cpi))]), 2)
    realint = np.round(tbilrate - infl, 2)
    realint[0] = 0
    return {"cpi": cpi, "tbilrate": tbilrate, "infl": infl, "realint": realint}


def notices(code: str, data: Dataset) -> list:
    return [notice for notice in exog_notices(data) if notice.code == code]


def test_a_real_rate_is_seen_to_be_a_rate_less_inflation():
    (identity,) = [n for n in notices("accounting-identity", dataset(**macro())) if "realint" in n.columns]
    assert identity.columns == ("tbilrate", "infl", "realint")
    assert identity.message.startswith("realint = tbilrate − infl,")


def test_inflation_is_seen_to_come_from_the_price_level():
    (identity,) = [n for n in notices("accounting-identity", dataset(**macro())) if "cpi" in n.columns]
    assert identity.columns == ("cpi", "infl")
    assert identity.message.startswith("infl = 400·log(cpi[t] / cpi[t−1]),")


def test_a_placeholder_row_is_named_by_its_stamp_and_columns():
    (placeholder,) = notices("placeholder-rows", dataset(**macro()))
    assert placeholder.columns == ("infl", "realint")
    assert "1959-01-01" in placeholder.message


def test_a_placeholder_row_is_found_in_the_middle_too():
    columns = noise()
    columns["x1"][77] = columns["x3"][77] = 0
    (placeholder,) = notices("placeholder-rows", dataset(Index("integer", ROWS - 1), **columns))
    assert placeholder.columns == ("x1", "x3")
    assert " 77 " in placeholder.message


@pytest.mark.parametrize(
    ("growth", "message"),
    [
        (lambda new, old: new - old, "g = x[t] − x[t−1],"),
        (lambda new, old: np.log(new / old), "g = log(x[t] / x[t−1]),"),
        (lambda new, old: 100 * (new / old - 1), "g = 100·(x[t] / x[t−1] − 1),"),
        (lambda new, old: 100 * ((new / old) ** 4 - 1), "g = 100·((x[t] / x[t−1])^4 − 1),"),
        (lambda new, old: 1200 * np.log(new / old), "g = 1200·log(x[t] / x[t−1]),"),
    ],
)
def test_growth_is_recognised_however_it_is_written(growth, message):
    level = np.exp(np.random.default_rng(3).normal(0.01, 0.05, ROWS + 1).cumsum())
    (identity,) = notices("accounting-identity", dataset(x=level[1:], g=growth(level[1:], level[:-1])))
    assert identity.message.startswith(message)


def test_growth_over_a_year_is_recognised():
    level = np.exp(np.random.default_rng(3).normal(0.01, 0.05, ROWS + 4).cumsum())
    (identity,) = notices("accounting-identity", dataset(x=level[4:], g=100 * (level[4:] / level[:-4] - 1)))
    assert identity.message.startswith("g = 100·(x[t] / x[t−4] − 1),")


def test_a_total_and_shares_that_add_up_are_identities():
    columns = noise(width=2)
    columns["total"] = columns["x0"] + columns["x1"]
    (identity,) = notices("accounting-identity", dataset(**columns))
    assert identity.message.startswith("total = x0 + x1,")
    shares = np.random.default_rng(5).dirichlet([3, 4, 5], ROWS)
    (identity,) = notices("accounting-identity", dataset(a=shares[:, 0], b=shares[:, 1], c=100 * shares[:, 2] / 100))
    assert identity.message.startswith("c = 1 − a − b,")


def test_a_column_given_twice_is_reported_once_and_not_again_in_every_triple():
    columns = noise(width=3)
    columns["copy"] = columns["x0"].copy()
    columns["total"] = columns["x0"] + columns["x1"]
    messages = [n.message.split(",")[0] for n in notices("accounting-identity", dataset(**columns))]
    assert messages == ["copy = x0", "total = x0 + x1"]


def test_columns_that_move_together_are_named_with_their_inflation_factors():
    columns = noise()
    columns["near"] = columns["x0"] + columns["x1"] + columns["x2"] + 0.05 * np.random.default_rng(8).normal(size=ROWS)
    (notice,) = notices("collinear-exog", dataset(**columns))
    assert notice.columns == ("x0", "x1", "x2", "near")
    assert "condition number" in notice.message
    assert "near " in notice.message


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(30, 300),
    width=st.integers(2, 20),
    decimals=st.sampled_from([None, 0, 1, 2]),
    scale=st.sampled_from([1e-3, 1.0, 10.0, 1e4]),
    positive=st.booleans(),
)
def test_independent_noise_gives_no_notice(seed, rows, width, decimals, scale, positive):
    values = np.random.default_rng(seed).normal(size=(rows, width))
    values = scale * (np.exp(0.3 * values) if positive else values)
    values = values if decimals is None else np.round(values, decimals)
    data = dataset(Index("integer", rows - 1), **{f"x{j}": column for j, column in enumerate(values.T)})
    assert exog_notices(data) == ()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(30, 300), decimals=st.sampled_from([None, 1, 2]))
def test_independent_random_walks_have_no_identity_and_no_placeholder(seed, rows, decimals):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 10, 12) + rng.normal(0.1, 1, size=(rows, 12)).cumsum(axis=0)
    values = values if decimals is None else np.round(values, decimals)
    data = dataset(Index("integer", rows - 1), **{f"x{j}": column for j, column in enumerate(values.T)})
    assert {notice.code for notice in exog_notices(data)} <= {"collinear-exog"}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(60, 300), share=st.sampled_from([0.02, 0.5, 0.98]))
def test_dummies_and_counts_are_no_placeholders_and_no_growth(seed, rows, share):
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.random((rows, 6)) < share, rng.poisson(4, (rows, 6))]).astype(float)
    data = dataset(Index("integer", rows - 1), **{f"x{j}": column for j, column in enumerate(values.T)})
    assert not notices("placeholder-rows", data)
    assert not [n for n in notices("accounting-identity", data) if "[t" in n.message]


def test_unrelated_zero_one_columns_agree_within_rounding_yet_are_no_identity():
    values = (np.random.default_rng(6).random((ROWS, 5)) < 0.5).astype(float)
    assert not notices("accounting-identity", dataset(**{f"x{j}": column for j, column in enumerate(values.T)}))


def test_noise_with_hardly_more_rows_than_columns_is_not_called_collinear():
    assert not notices("collinear-exog", dataset(Index("integer", 11), **noise(rows=12, width=10)))


def test_no_exog_one_column_and_few_rows_give_no_notice():
    endog = np.arange(10.0)[:, None]
    assert exog_notices(Dataset(endog, ("y",), QUARTERS)) == ()
    assert exog_notices(dataset(x=np.arange(10.0))) == ()
    assert exog_notices(dataset(x=np.array([1.0, 2]), y2=np.array([1.0, 2]))) == ()


def test_the_rounding_of_a_column_is_read_from_its_values():
    values = np.array([[1.25, 300.0, 1.0, 28.98, np.pi], [3.5, 1200.0, 0.0, 29.15, np.e]])
    units = rounding_units(values)
    np.testing.assert_allclose(units[:4], [0.01, 100, 1, 0.01])
    assert units[4] < 1e-14


def test_one_row_is_too_few_to_call_a_column_constant():
    check_constant(dataset(Index("integer", 0), x=np.array([3.0])))


def test_a_constant_endogenous_column_is_refused_by_name():
    flat = np.full((20, 1), 3.0)
    flat[4] = np.nan
    with pytest.raises(DataError, match=r"'y' is 3 in every row") as caught:
        check_constant(Dataset(flat, ("y",), QUARTERS))
    assert caught.value.reason == "constant-column"
    assert caught.value.problems[0].pointer == "/endog/y"


def test_a_constant_exogenous_column_is_refused_beside_an_intercept_only():
    data = dataset(level=np.full(30, 0.1), x=np.arange(30.0))
    with pytest.raises(DataError, match="'level'"):
        check_constant(data)
    check_constant(data, intercept=False)
