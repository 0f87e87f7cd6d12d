"""Datasets and signatures are what was given, checked, frozen, and the same after JSON or pickle."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forecastle_sdk.calendar import Index
from forecastle_sdk.data import Candidate, Dataset, ExogColumn, Notice, Signature, Verdict
from forecastle_sdk.errors import DataError

QUARTERS = Index("time", "2004-01-01", "QS")
steady = settings(deadline=None, derandomize=True)  # a busy machine is no failure, and what fails once fails again
floats = st.floats(allow_infinity=False, width=64)


def dataset(**changes):
    parts = {
        "endog": np.arange(8.0).reshape(4, 2),
        "endog_names": ("gdp", "cons"),
        "index": QUARTERS,
        "exog": np.array([[3.0], [1.0], [4.0], [2.0]]),
        "exog_names": ("unemp",),
    }
    return Dataset(**parts | changes)


def test_a_dataset_is_a_copy_that_nobody_can_change():
    given = np.asfortranarray(np.arange(8).reshape(4, 2))
    data = dataset(endog=given, endog_names=["gdp", "cons"])
    given[0] = 99
    assert data.endog[0, 0] == 0.0
    assert data.endog.dtype == np.float64
    assert data.endog.flags.c_contiguous
    assert data.endog_names == ("gdp", "cons")
    for values in (data.endog, data.exog, data.rows(0, 2).endog):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1.0


def test_a_dataset_that_went_to_another_process_is_still_read_only():
    data = dataset()
    again = pickle.loads(pickle.dumps(data))
    assert again.digest == data.digest
    assert not again.endog.flags.writeable
    assert not again.exog.flags.writeable


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"endog": np.zeros(4)}, r"endog has shape \(4,\); expected \(rows, 2\)"),
        ({"endog": np.zeros((4, 3))}, r"endog has shape \(4, 3\)"),
        ({"endog": [["a", "b"]]}, "something else than numbers"),
        ({"endog": [[1.0, 2.0], [3.0]]}, "rows of different lengths"),
        ({"endog": np.empty((0, 2)), "exog": np.empty((0, 1))}, "no rows"),
        ({"endog": np.empty((4, 0)), "endog_names": ()}, "no endogenous column"),
        ({"exog": np.zeros((3, 1))}, "exog has 3 rows, endog has 4"),
        ({"exog": None}, r"exog has shape \(4, 0\); expected \(rows, 1\)"),
        ({"exog_names": ("gdp",)}, "'gdp' is named twice"),
        ({"endog_names": ("gdp", "gdp")}, "'gdp' is named twice"),
    ],
)
def test_parts_that_do_not_agree_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        dataset(**changes)


def test_an_infinite_value_is_refused_by_column_and_row():
    with pytest.raises(DataError, match="'unemp' is infinite in row 3") as refusal:
        dataset(exog=[[1.0], [2.0], [-np.inf], [0.0]])
    assert refusal.value.problems[0].pointer == "/exog/unemp/2"


def test_missing_values_are_let_through():
    assert np.isnan(dataset(endog=[[np.nan, 1.0]] * 4).endog[0, 0])


def test_rows_are_cut_with_the_index_at_their_last_one():
    first, last = dataset().rows(0, 3), dataset().rows(3, 4)
    assert (first.nobs, first.index.last) == (3, "2003-10-01")
    assert (last.nobs, last.index.last) == (1, "2004-01-01")
    assert last.exog.tolist() == [[2.0]]
    assert dataset(exog=None, exog_names=()).rows(1, 3).exog is None


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 2), (3, 2), (0, 5)])
def test_rows_that_are_not_there_are_refused(start, stop):
    with pytest.raises(DataError, match="not among the 4 rows"):
        dataset().rows(start, stop)


@steady
@given(endog=hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=4), elements=floats))
def test_the_digest_is_of_the_values_and_not_of_their_bits(endog):
    names = tuple("abcd"[: endog.shape[1]])
    given = Dataset(endog, names, QUARTERS)
    turned = np.asfortranarray(np.where(endog == 0, -endog, endog)).astype(">f8")
    assert Dataset(turned, names, QUARTERS).digest == given.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"endog": np.arange(1.0, 9.0).reshape(4, 2)},
        {"endog": [[np.nan, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]},
        {"exog": np.ones((4, 1))},
        {"exog": None, "exog_names": ()},
        {"endog_names": ("cons", "gdp")},
        {"exog_names": ("infl",)},
        {"index": QUARTERS.shifted(1)},
        {"index": Index("integer", 3)},
    ],
)
def test_another_dataset_has_another_digest(changes):
    assert dataset(**changes).digest != dataset().digest


def test_the_digest_is_the_same_on_every_machine():
    assert dataset().digest == "e89ac28e171011e1998e8bbe69245e4157511420d73087b84ee3d88fd1d8fe1c"


def test_a_signature_describes_the_columns_as_training_saw_them():
    signature = Signature.of(dataset())
    assert signature.endog == ("gdp", "cons")
    assert signature.exog == (ExogColumn("unemp", last=2.0, min=1.0, max=4.0),)
    assert signature.exog_names == ("unemp",)
    assert (signature.nobs, signature.season, signature.max_horizon) == (4, 4, 1000)
    assert Signature.of(dataset(), season=1, max_horizon=8).season == 1
    assert Signature.of(dataset(exog=None, exog_names=())).exog == ()


def test_a_signature_goes_on_with_new_rows():
    extended = Signature.of(dataset()).extended(2, np.array([[9.0], [0.5]]))
    assert extended.exog == (ExogColumn("unemp", last=0.5, min=0.5, max=9.0),)
    assert (extended.nobs, extended.index.last) == (6, "2004-07-01")
    inside = Signature.of(dataset()).extended(1, np.array([[2.5]]))
    assert inside.exog == (ExogColumn("unemp", last=2.5, min=1.0, max=4.0),)
    assert Signature.of(dataset()).extended(0) == Signature.of(dataset())


@pytest.mark.parametrize("index", [QUARTERS, Index("integer", 9), Index("time", "2004-01-02", table=("2004-01-05",))])
def test_signatures_survive_json(index):
    signature = Signature.of(dataset(index=index))
    document = json.loads(json.dumps(signature.to_json(), allow_nan=False))
    assert Signature.from_json(document) == signature


def test_notices_and_candidates_are_json():
    notice = Notice("collinear", "cpi and m1 move together", ("cpi", "m1"))
    assert Notice.from_json(json.loads(json.dumps(notice.to_json()))) == notice
    candidate = Candidate("1,0", -12.5, {"aicc": 3.0, "bic": None}, 0.1, Verdict.CONVERGED, nobs=80, k=7)
    document = json.loads(json.dumps(candidate.to_json()))
    assert document["verdict"] == "converged"
    assert document["criteria"] == {"aicc": 3.0, "bic": None}
