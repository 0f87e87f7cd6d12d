"""Rules on states: plain data that restores to the same forecaster, now and in every later release."""

from __future__ import annotations

import os

import pytest

from ..errors import StateError
from ..plugin import Capability, Forecaster
from .case import Case, fitted
from .frozen import freeze, frozen_records, same
from .plain import dumps, loads

FREEZE = "FORECASTLE_FREEZE"


class StoringRules:
    """What a state is made of, and what comes back from it."""

    def test_a_state_is_plain_data(self, case: Case) -> None:
        try:
            dumps(fitted(case).forecaster.state())
        except TypeError as error:
            pytest.fail(str(error))

    def test_a_restored_forecaster_is_the_one_that_was_stored(self, case: Case) -> None:
        _restores(case, fitted(case).forecaster)

    def test_an_appended_forecaster_is_restored_like_any_other(self, case: Case) -> None:
        if not case.declares(Capability.APPEND):
            pytest.skip("append is not declared")
        _restores(case, fitted(case).forecaster.append(case.coming.endog, case.coming.exog))

    def test_a_state_of_an_unknown_format_is_refused(self, case: Case) -> None:
        with pytest.raises(StateError):
            case.plugin().restore(fitted(case).forecaster.state(), case.plugin.state_format + 1)

    def test_a_state_with_nothing_in_it_is_refused(self, case: Case) -> None:
        with pytest.raises(StateError):
            case.plugin().restore({}, case.plugin.state_format)

    def test_frozen_states_still_load(self, case: Case) -> None:
        assert case.frozen is not None, "Case.frozen names no folder of frozen states; every released format must load for ever"
        present = case.frozen / f"format-{case.plugin.state_format}.json"
        if os.environ.get(FREEZE) and not present.exists():
            freeze(case, present)
        records = frozen_records(case.frozen)
        released, kept = set(range(1, case.plugin.state_format + 1)), {record["format"] for record in records.values()}
        assert kept == released, f"{case.frozen} has the formats {sorted(kept)} of {sorted(released)}; set {FREEZE}=1 once"
        for name, record in records.items():
            forecaster = case.plugin().restore(record["state"], record["format"])
            quantiles = tuple(record["quantiles"])
            answer = forecaster.forecast(record["horizon"], exog=record["exog"], quantiles=quantiles, seed=record["seed"])
            assert same(answer.mean, record["mean"], case.tolerance), f"{name} has another mean than when it was frozen"
            assert same(answer.quantiles, record["bounds"], case.tolerance), (
                f"{name} has other quantiles than when it was frozen"
            )


def stored(forecaster: Forecaster) -> str:
    """Return the forecaster's state as text; without plain data there is none, which one rule says for all."""
    try:
        return dumps(forecaster.state())
    except TypeError as error:
        pytest.skip(f"the state is not plain data: {error}")


def _restores(case: Case, forecaster: Forecaster) -> None:
    text = stored(forecaster)
    state = loads(text)
    restored = case.plugin().restore(state, case.plugin.state_format)
    was, now = case.ask(forecaster), case.ask(restored)
    assert restored.signature == forecaster.signature, "the restored forecaster has another signature"
    assert same(now.mean, was.mean, case.tolerance), "the restored forecaster has another mean"
    assert same(now.quantiles, was.quantiles, case.tolerance), "the restored forecaster has other quantiles"
    assert stored(restored) == text, "the restored forecaster has another state"
    assert dumps(state) == text, "restore, or a forecast after it, changed the state that it was given"
