"""The checks that plugins share refuse what they must, and name the column, the row and what was expected."""

import numpy as np
import pytest

from forecastle_sdk.calendar import Index
from forecastle_sdk.checks import (
    REPORTED,
    check_capabilities,
    check_complete,
    checked_exog,
    checked_finite,
    checked_horizon,
    checked_observations,
    checked_paths,
    checked_quantiles,
)
from forecastle_sdk.data import Dataset, Signature
from forecastle_sdk.errors import (
    CapabilityError,
    DataError,
    ExogError,
    HorizonError,
    InputError,
    ObservationsError,
    OverflowingForecast,
    QuantilesError,
)
from forecastle_sdk.naive import NaivePlugin
from forecastle_sdk.plugin import Capability

QUARTERS = Index("time", "2004-01-01", "QS")
EXOG = np.arange(8.0).reshape(4, 2)
DATA = Dataset(np.ones((4, 1)), ("gdp",), QUARTERS, EXOG, ("cpi", "unemp"))
SIGNATURE = Signature.of(DATA)
BARE = Signature.of(Dataset(np.ones((4, 1)), ("gdp",), QUARTERS))


def with_hole(values, row, column, hole=np.nan):
    holed = np.array(values)
    holed[row, column] = hole
    return holed


@pytest.mark.parametrize(
    ("capability", "data", "message"),
    [
        (Capability.EXOG, DATA, r"leave out \['cpi', 'unemp'\]"),
        (Capability.MULTIVARIATE, Dataset(np.ones((4, 2)), ("a", "b"), QUARTERS), r"\['a', 'b'\] are 2"),
        (Capability.MISSING, Dataset([[1.0], [np.nan]], ("a",), QUARTERS), "fill or drop the rows"),
    ],
)
def test_data_beyond_the_capabilities_are_refused(capability, data, message):
    class Less(NaivePlugin):
        capabilities = NaivePlugin.capabilities - {capability}

    check_capabilities(NaivePlugin, data)
    with pytest.raises(CapabilityError, match=message):
        check_capabilities(Less, data)


def test_exog_without_columns_needs_no_capability():
    class Less(NaivePlugin):
        capabilities = frozenset()

    check_capabilities(Less, Dataset(np.ones((4, 1)), ("gdp",), QUARTERS, np.empty((4, 0))))


def test_missing_exog_is_refused_by_column_row_and_time():
    data = Dataset(DATA.endog, ("gdp",), QUARTERS, with_hole(EXOG, 1, 1), ("cpi", "unemp"))
    with pytest.raises(DataError, match=r"'unemp' has no value in row 2 \(2003-07-01\)") as refusal:
        check_complete(data)
    assert refusal.value.reason == "exog-has-missing-values"
    assert [problem.pointer for problem in refusal.value.problems] == ["/exog/unemp/1"]


def test_where_the_calendar_is_a_table_the_row_alone_is_named():
    index = Index("time", "2004-01-01", table=("2004-01-05",))
    with pytest.raises(DataError, match=r"row 1 \(time unknown\)"):
        check_complete(Dataset(DATA.endog, ("gdp",), index, with_hole(EXOG, 0, 0), ("cpi", "unemp")))


def test_of_many_faults_the_first_are_reported():
    data = Dataset(np.ones((90, 1)), ("gdp",), QUARTERS, np.full((90, 1), np.nan), ("cpi",))
    with pytest.raises(DataError) as refusal:
        check_complete(data)
    assert len(refusal.value.problems) == REPORTED


def test_an_empty_column_is_refused_by_name():
    with pytest.raises(DataError, match="'b' has no value at all"):
        check_complete(Dataset([[1.0, np.nan], [np.nan, np.nan]], ("a", "b"), QUARTERS))


@pytest.mark.parametrize("horizon", [1, 1000, np.int64(8)])
def test_a_horizon_is_a_whole_number(horizon):
    checked = checked_horizon(SIGNATURE, horizon)
    assert checked == horizon
    assert type(checked) is int


@pytest.mark.parametrize(
    ("horizon", "code"),
    [(0, "horizon-too-small"), (-3, "horizon-too-small"), (1001, "horizon-too-large"), (10**30, "horizon-too-large")]
    + [(wrong, "horizon-invalid") for wrong in (True, 1.0, "8", None, [8])],
)
def test_another_horizon_is_refused(horizon, code):
    with pytest.raises(HorizonError) as refusal:
        checked_horizon(SIGNATURE, horizon)
    assert refusal.value.reason == code


def test_future_exog_becomes_an_array_of_its_shape():
    assert checked_exog(SIGNATURE, 2, [[1, 2], [3, 4]]).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert checked_exog(BARE, 3, None).shape == (3, 0)
    assert checked_exog(BARE, 3, np.empty((3, 0))).shape == (3, 0)


@pytest.mark.parametrize(
    ("exog", "code", "message"),
    [
        (None, "exog-missing", "needs 2 exogenous columns for each step: cpi, unemp"),
        (EXOG[:1], "exog-too-short", "1 rows; expected 2"),
        (EXOG[:3], "exog-too-long", "3 rows; expected 2"),
        (EXOG[:2, :1], "exog-invalid", r"shape \(2, 1\); expected \(2, 2\)"),
        (EXOG[0], "exog-invalid", r"shape \(2,\)"),
        ([["a", "b"]] * 2, "exog-invalid", "something else than numbers"),
        ([[1, 2], [3]], "exog-invalid", "rows of different lengths"),
        (with_hole(EXOG[:2], 1, 0), "exog-not-finite", "not finite"),
        (with_hole(EXOG[:2], 1, 0, -np.inf), "exog-not-finite", "not finite"),
    ],
)
def test_wrong_future_exog_is_refused(exog, code, message):
    with pytest.raises(ExogError, match=message) as refusal:
        checked_exog(SIGNATURE, 2, exog)
    assert refusal.value.reason == code
    if code == "exog-not-finite":
        assert refusal.value.problems[0].pointer == "/exog/cpi/1"


def test_exog_for_a_model_without_is_refused():
    with pytest.raises(ExogError, match="takes no exogenous columns"):
        checked_exog(BARE, 2, EXOG[:2])


@pytest.mark.parametrize("quantiles", [(), [0.5], (0.9, 0.1), np.array([1e-9, 1 - 1e-9])])
def test_quantiles_keep_their_order(quantiles):
    assert checked_quantiles(quantiles).tolist() == list(quantiles)


@pytest.mark.parametrize("quantiles", [[0.0], [1], [0.5, 1.5], [-0.1], [np.nan], [np.inf], [[0.5]], ["half"], [0.1, 0.1], 0.5])
def test_other_quantiles_are_refused(quantiles):
    with pytest.raises(QuantilesError):
        checked_quantiles(quantiles)


def test_observations_become_an_array():
    assert checked_observations(SIGNATURE, [[1], [2]], missing=False).tolist() == [[1.0], [2.0]]
    assert np.isnan(checked_observations(SIGNATURE, [[np.nan]], missing=True)).all()


@pytest.mark.parametrize("endog", [[], [[]], [1.0], [[1.0, 2.0]], [["x"]], [[np.inf]], np.empty((0, 1))])
@pytest.mark.parametrize("missing", [False, True])
def test_wrong_observations_are_refused(endog, missing):
    with pytest.raises(ObservationsError):
        checked_observations(SIGNATURE, endog, missing=missing)


def test_a_missing_observation_is_refused_by_its_place():
    with pytest.raises(ObservationsError) as refusal:
        checked_observations(SIGNATURE, [[1.0], [np.nan]], missing=False)
    assert refusal.value.problems[0].pointer == "/endog/gdp/1"


@pytest.mark.parametrize("paths", [0, -1, 1.0, True, "5", None])
def test_a_number_of_paths_that_is_none_is_refused(paths):
    with pytest.raises(InputError, match="expected a whole number, at least 1"):
        checked_paths(paths)
    assert checked_paths(np.int32(5)) == 5


def test_an_answer_that_is_not_finite_is_refused():
    values = np.ones((2, 1))
    assert checked_finite(values) is values
    for hole in (np.nan, np.inf):
        with pytest.raises(OverflowingForecast):
            checked_finite(with_hole(values, 0, 0, hole))
