"""The kit notices what it is for: one broken plugin per rule fails that rule and no other."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forecastle_sdk.conformance import Case, PluginConformance, dumps, freeze, loads, sample
from forecastle_sdk.conformance.identity import science_loaded_by
from forecastle_sdk.naive import NaiveForecaster, NaivePlugin
from forecastle_sdk.plugin import Capability

from .broken_plugins import BROKEN, Modest

FROZEN = Path(__file__).parent / "frozen" / "naive"
IMPORT_RULE = "test_importing_its_module_loads_no_science_library"
NO_COLUMNS_RULE = "test_what_is_declared_is_there_to_be_checked"
RULES = sorted(name for name in dir(PluginConformance) if name.startswith("test_"))


def case_of(plugin, **other):
    return Case(
        plugin, **{"parameters": {"drift": True}, "wrong_parameters": ({"drift": "perhaps"},), "frozen": FROZEN} | other
    )


def broken_rules(case):
    """Return the names of the rules that a case breaks; every rule is run with each of its parameters, as pytest would."""
    broken = set()
    for name in RULES:
        rule = getattr(PluginConformance(), name)
        marks = [mark.args for mark in getattr(rule, "pytestmark", ()) if mark.name == "parametrize"]
        for arguments in [{marks[0][0]: value} for value in marks[0][1]] if marks else [{}]:
            try:
                rule(case, **arguments)
            except pytest.skip.Exception:
                continue
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  # whatever way a rule fails
                broken.add(name)
    return broken


@pytest.mark.parametrize("plugin", [NaivePlugin, Modest])
def test_a_whole_plugin_breaks_no_rule(plugin):
    assert broken_rules(case_of(plugin)) == set()


@pytest.mark.parametrize("plugin", BROKEN, ids=lambda plugin: plugin.__name__)
def test_a_broken_plugin_breaks_its_rule_and_no_other(plugin):
    assert broken_rules(case_of(plugin)) == {plugin.breaks}


def test_every_rule_has_a_plugin_that_breaks_it():
    assert {plugin.breaks for plugin in BROKEN} | {IMPORT_RULE, NO_COLUMNS_RULE} == set(RULES)


def test_a_module_that_imports_a_science_library_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "heavy_plugin.py").write_text("import pandas\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "pandas" in science_loaded_by("heavy_plugin")
    heavy = type("Heavy", (NaivePlugin,), {"__module__": "heavy_plugin"})
    with pytest.raises(AssertionError, match="import them inside fit"):
        PluginConformance().test_importing_its_module_loads_no_science_library(case_of(heavy))


def test_data_without_the_columns_that_are_declared_is_noticed():
    assert broken_rules(case_of(NaivePlugin, data=sample(columns=1, exog=1))) == {NO_COLUMNS_RULE}


def test_a_forecaster_that_append_changes_in_place_is_noticed():
    class InPlace(Modest):
        capabilities = NaivePlugin.capabilities

        class forecaster(NaiveForecaster):  # noqa: N801
            def append(self, endog, exog=None):
                object.__setattr__(self, "level", super().append(endog, exog).level)
                return self

    with pytest.raises(AssertionError, match="return a new one"):
        PluginConformance().test_append_gives_a_new_forecaster_further_on(case_of(InPlace))


def test_a_plugin_must_keep_frozen_states(tmp_path, monkeypatch):
    monkeypatch.delenv("FORECASTLE_FREEZE", raising=False)
    rule = PluginConformance().test_frozen_states_still_load
    with pytest.raises(AssertionError, match="names no folder"):
        rule(case_of(NaivePlugin, frozen=None))
    with pytest.raises(AssertionError, match="set FORECASTLE_FREEZE=1"):
        rule(case_of(NaivePlugin, frozen=tmp_path))
    monkeypatch.setenv("FORECASTLE_FREEZE", "1")
    rule(case_of(NaivePlugin, frozen=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["format-1.json"]


def test_what_is_frozen_never_changes(tmp_path):
    path = freeze(case_of(NaivePlugin), tmp_path / "states" / "format-1.json")
    with pytest.raises(FileExistsError):
        freeze(case_of(NaivePlugin), path)


def test_a_frozen_state_is_kept_with_what_it_forecast(tmp_path):
    case = case_of(NaivePlugin)
    record = loads(freeze(case, tmp_path / "format-1.json").read_text())
    forecaster = NaivePlugin().restore(record["state"], record["format"])
    answer = forecaster.forecast(record["horizon"], exog=record["exog"], quantiles=record["quantiles"], seed=record["seed"])
    assert np.array_equal(answer.mean, record["mean"])
    assert np.array_equal(answer.quantiles, record["bounds"])


def test_rows_are_held_back_as_the_future():
    case = case_of(NaivePlugin, horizon=4)
    assert (case.training.nobs, case.coming.nobs) == (82, 4)
    assert case.training.index.after(0, 4)[-1] == case.coming.index.at(0) == case.all_rows.index.at(0)
    assert np.array_equal(case.future(2), case.all_rows.exog[82:84])


def test_a_case_must_be_given():
    with pytest.raises(NotImplementedError, match="must override the fixture `case`"):
        PluginConformance.case.__wrapped__(PluginConformance())


steady = settings(deadline=None, derandomize=True)  # a busy machine is no failure, and what fails once fails again
numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
arrays = hnp.arrays(st.sampled_from(["<f8", ">f8", "<f4", "<i8", "|u1", "|b1"]), hnp.array_shapes(min_dims=0, min_side=0))
keys = st.text(max_size=5).filter(lambda key: not key.startswith("$"))
states = st.recursive(numbers | arrays, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


@steady
@given(state=states)
def test_plain_data_comes_back_as_it_was(state):
    np.testing.assert_equal(loads(dumps(state)), state)
    assert dumps(loads(dumps(state))) == dumps(state)


def test_the_sign_of_zero_and_the_last_bit_survive():
    values = np.array([-0.0, np.nextafter(0.1, 1), 5e-324, np.inf, np.nan])
    back = loads(dumps({"values": values}))["values"]
    assert back.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"a": {"b": (1,)}}, "/a/b is a builtins.tuple"),
        ({"a": [1.0, np.float64(1)]}, "/a/1 is a numpy.float64"),
        ({"a": np.array([None])}, "/a is an array of object"),
        ({"a": np.array(["x"])}, "/a is an array of <U1"),
        ({"a": {1: 2}}, "/a has the key 1"),
        ({"$array": 1}, "the state has the key"),
        ({"a": Capability.EXOG}, "/a is a forecastle_sdk.plugin.Capability"),
    ],
)
def test_what_is_not_plain_data_is_refused_by_its_place(state, place):
    with pytest.raises(TypeError, match=place.replace("$", r"\$")):
        dumps(state)
