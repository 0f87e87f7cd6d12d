"""Errors tell a code, a message and places, also after they have travelled between processes."""

import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from forecastle_sdk import errors
from forecastle_sdk.errors import DataError, ExogError, ForecastleError, InputError, Problem


def every_error(root=ForecastleError):
    return [root, *(error for child in root.__subclasses__() for error in every_error(child))]


@pytest.mark.parametrize("kind", every_error())
def test_an_error_survives_pickling_whole(kind):
    error = kind("the column 'x' is text", code="column-text", problems=[Problem("/exog/x/3", "expected a number")])
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.message, again.reason) == ("the column 'x' is text", "the column 'x' is text", "column-text")
    assert again.problems == (Problem("/exog/x/3", "expected a number"),)


@pytest.mark.parametrize("kind", every_error())
def test_without_a_code_of_its_own_an_error_has_that_of_its_class(kind):
    assert kind("something is wrong").reason == kind.code
    assert kind("something is wrong").problems == ()


def test_every_class_has_a_code_and_a_place_in_the_tree_that_the_module_draws():
    codes = [error.code for error in every_error()]
    assert len(codes) == len(set(codes))
    for error in every_error():
        assert f"{error.__name__}" in errors.__doc__


def test_what_a_request_can_cause_is_an_input_error():
    for name in ("HorizonError", "ExogError", "QuantilesError", "ObservationsError", "OverflowingForecast"):
        assert issubclass(getattr(errors, name), InputError)


def _refuse():
    raise ExogError("exog is missing", code="exog-missing", problems=[Problem("/exog", "expected 2 columns")])


def test_an_error_from_a_worker_process_arrives_whole():
    with ProcessPoolExecutor(1) as pool, pytest.raises(ExogError, match="exog is missing") as refusal:
        pool.submit(_refuse).result()
    assert refusal.value.reason == "exog-missing"
    assert refusal.value.problems[0].pointer == "/exog"


def test_problems_may_come_from_any_iterable():
    assert len(DataError("bad", problems=(Problem("/a", "b") for _ in range(3))).problems) == 3
