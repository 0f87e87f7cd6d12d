"""What a gate asks, judged on versions as training writes them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from forecastle_registry.gates import judge, skill_of
from forecastle_registry.protections import Protection

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def table(label: str, **columns: list[tuple[int, float | None]]) -> dict[str, Any]:
    rows = {name: [{"horizon": h + 1, "n": n, "rmse": rmse} for h, (n, rmse) in enumerate(of)] for name, of in columns.items()}
    return {"label": label, "columns": rows}


def accuracy(*tables: dict[str, Any], baseline: dict[str, list[tuple[int, float | None]]]) -> dict[str, Any]:
    return {"forecasts": [*tables, table("random walk with drift", **baseline)]}


def version(**changes: Any) -> dict[str, Any]:
    signature = {"endog": ["y", "z"], "index": {"kind": "time", "last": "2026-11-01", "freq": "MS"}}
    measured = accuracy(table("conditional", y=[(4, 1.0)], z=[(4, 3.0)]), baseline={"y": [(4, 2.0)], "z": [(4, 4.0)]})
    return {"verdict": "converged", "accuracy": measured, "signature": signature} | changes


def only(protection: Protection, **changes: Any) -> Any:
    (condition,) = judge(protection, version(**changes), NOW).conditions
    return condition


def test_skill_weighs_each_horizon_by_its_errors() -> None:
    found = skill_of(accuracy(table("conditional", y=[(3, 1.0), (1, 3.0)]), baseline={"y": [(3, 2.0), (1, 2.0)]}))
    assert found is not None
    assert found.columns["y"].rmse == pytest.approx((12 / 4) ** 0.5)
    assert found.columns["y"].baseline == pytest.approx(2)
    assert found.columns["y"].skill == pytest.approx(1 - (12 / 4) ** 0.5 / 2)


def test_skill_is_of_what_could_have_been_known() -> None:
    honest = table("ex ante", y=[(4, 3.0)])
    found = skill_of(accuracy(table("conditional", y=[(4, 1.0)]), honest, baseline={"y": [(4, 2.0)]}))
    assert found is not None
    assert (found.label, found.columns["y"].skill) == ("ex ante", -0.5)


@pytest.mark.parametrize("measured", [None, {}, {"forecasts": []}, {"forecasts": [table("conditional", y=[(1, 1.0)])]}])
def test_without_a_baseline_there_is_no_skill(measured: Any) -> None:
    assert skill_of(measured) is None


@pytest.mark.parametrize("rows", [[(4, 0.0)], [(0, None)], []])
def test_against_a_baseline_without_error_no_skill_can_be_said(rows: list[tuple[int, float | None]]) -> None:
    measured = accuracy(table("conditional", y=[(4, 1.0)], z=[(4, 1.0)]), baseline={"y": rows, "z": [(4, 2.0)]})
    condition = only(Protection(min_skill=-5, converged=False), accuracy=measured)
    assert (condition.passed, condition.found) == (False, {"y": None, "z": 0.5})
    assert "unknown for 'y'" in condition.message


def test_nothing_asked_is_an_open_gate() -> None:
    gate = judge(Protection(converged=False), version(verdict="failed", accuracy=None), NOW)
    assert (gate.passed, gate.conditions) == (True, ())


@pytest.mark.parametrize(("verdict", "passed"), [("converged", True), (None, True), ("flat", False), ("boundary", False)])
def test_a_verdict_must_be_converged_where_the_plugin_has_any(verdict: str | None, passed: bool) -> None:
    condition = only(Protection(), verdict=verdict)
    assert (condition.name, condition.passed, condition.found, condition.needed) == ("verdict", passed, verdict, "converged")


@pytest.mark.parametrize(("needed", "passed"), [(0.2, True), (0.25, True), (0.26, False), (0.5, False)])
def test_every_column_must_reach_the_skill(needed: float, passed: bool) -> None:
    condition = only(Protection(min_skill=needed, converged=False))
    assert (condition.passed, condition.found, condition.needed) == (passed, {"y": 0.5, "z": 0.25}, needed)
    assert "0.25 for 'z'" in condition.message
    assert f"{needed:g}" in condition.message
    assert ("train a better version" in condition.message) is not passed
    assert ("'y'" in condition.message) is passed  # a column that is good enough is no reason


def test_a_version_whose_accuracy_was_not_measured_does_not_pass() -> None:
    condition = only(Protection(min_skill=0.0, converged=False), accuracy=None)
    assert (condition.passed, condition.found) == (False, None)
    assert "--set test_size=" in condition.message


def test_a_column_that_was_not_measured_does_not_pass() -> None:
    measured = accuracy(table("conditional", y=[(4, 1.0)]), baseline={"y": [(4, 2.0)]})
    assert only(Protection(min_skill=-1, converged=False), accuracy=measured).found == {"y": 0.5, "z": None}


@pytest.mark.parametrize(
    ("last", "age"),
    [
        ("2026-11-01", 22),
        ("2026-11-23", 0),
        ("2026-11-30", -7),
        ("2026-11-22T23:00:00", 1),
        ("2026-11-24T01:00:00+14:00", 0),
        ("2026-11-22T23:30:00-10:00", 1),
    ],
)
def test_age_is_in_days_of_the_row_s_own_calendar(last: str, age: int) -> None:
    signature = {"endog": ["y"], "index": {"kind": "time", "last": last}}
    for allowed in (0, 1, 21, 22, 23):
        condition = only(Protection(converged=False, max_age_days=allowed), signature=signature)
        assert (condition.name, condition.passed, condition.found, condition.needed) == ("age", age <= allowed, age, allowed)
        assert last in condition.message


@pytest.mark.parametrize("last", [19, "some day", None])
def test_what_is_no_date_has_no_age(last: Any) -> None:
    signature = {"endog": ["y"], "index": {"kind": "integer", "last": last}}
    condition = only(Protection(converged=False, max_age_days=10**6), signature=signature)
    assert (condition.passed, condition.found) == (False, None)
    assert "no date" in condition.message


def test_a_gate_gives_every_reason() -> None:
    gate = judge(Protection(0.9, True, 3), version(verdict="flat"), NOW)
    assert [condition.name for condition in gate.conditions] == ["verdict", "skill", "age"]
    assert (gate.passed, len(gate.reasons)) == (False, 3)


@pytest.mark.parametrize(
    "wrong", [{"min_skill": float("nan")}, {"min_skill": 1.1}, {"min_skill": float("-inf")}, {"max_age_days": -1}]
)
def test_what_no_version_could_meet_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Protection(**wrong)
