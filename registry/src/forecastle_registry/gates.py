"""What a protected alias asks of a version before it may go live there, and how good a version is beside the baseline.

Skill is 1 - RMSE / RMSE of the baseline, over all errors of a column at all horizons: 0 is as good as the baseline, 1 is
without error, below 0 is worse (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, section 5.9).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .protections import Protection

BASELINE = "random walk with drift"
HONEST = ("ex ante", "conditional")  # the first that was measured counts: exog that came true is not known beforehand
PUBLISHABLE = (None, "converged")  # None is the verdict of a plugin that has none

Found = float | str | None


@dataclass(frozen=True, slots=True)
class ColumnSkill:
    """One column's errors: RMSE of the version and of the baseline, and the skill; None where it cannot be said."""

    rmse: float | None
    baseline: float | None
    skill: float | None


@dataclass(frozen=True, slots=True)
class Skill:
    """How good a version was on rows that it had not seen; `label` says which of its forecasts were counted."""

    label: str
    columns: dict[str, ColumnSkill]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is asked for: what was found and needed, in a form for programs; `message` is for people."""

    name: str
    passed: bool
    found: Found | dict[str, float | None]
    needed: Found
    message: str


@dataclass(frozen=True, slots=True)
class Gate:
    """All conditions of an alias, judged for one version."""

    conditions: tuple[Condition, ...]

    @property
    def passed(self) -> bool:
        """Whether the version may go live."""
        return all(condition.passed for condition in self.conditions)

    @property
    def reasons(self) -> tuple[str, ...]:
        """A sentence for each condition that fails."""
        return tuple(condition.message for condition in self.conditions if not condition.passed)


def judge(rules: Protection, version: Mapping[str, Any], now: datetime | None = None) -> Gate:
    """Judge a version by its `verdict`, `accuracy` and `signature`; `now` is aware, this moment unless given."""
    found = [condition for judged in _CONDITIONS if (condition := judged(rules, version, now or datetime.now(UTC))) is not None]
    return Gate(tuple(found))


def skill_of(accuracy: Mapping[str, Any] | None) -> Skill | None:
    """Return a version's skill from the accuracy in its row, None where there is nothing that could be compared."""
    tables = {table["label"]: table["columns"] for table in (accuracy or {}).get("forecasts", ())}
    label = next((label for label in HONEST if label in tables), None)
    if label is None or BASELINE not in tables:
        return None
    return Skill(label, {name: _column_skill(rows, tables[BASELINE].get(name, ())) for name, rows in tables[label].items()})


def _column_skill(rows: Sequence[Mapping[str, Any]], baseline: Sequence[Mapping[str, Any]]) -> ColumnSkill:
    own, other = _overall(rows), _overall(baseline)
    if own is None or other is None or other == 0:
        return ColumnSkill(own, other, None)
    return ColumnSkill(own, other, 1 - own / other)


def _overall(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the RMSE over all horizons, each of which has its RMSE of `n` errors."""
    known = [row for row in rows if row["n"] and row["rmse"] is not None]
    count = sum(row["n"] for row in known)
    return math.sqrt(sum(row["n"] * row["rmse"] ** 2 for row in known) / count) if count else None


def _judge_verdict(rules: Protection, version: Mapping[str, Any], now: datetime) -> Condition | None:
    if not rules.converged:
        return None
    verdict, needed = version["verdict"], "converged"
    if verdict in PUBLISHABLE:
        message = "its plugin has no verdicts" if verdict is None else "its verdict is 'converged'"
        return Condition("verdict", True, verdict, needed, message)
    remedy = "train it again with other parameters or more iterations"
    return Condition("verdict", False, verdict, needed, f"its verdict is {verdict!r}, 'converged' is needed: {remedy}")


def _judge_skill(rules: Protection, version: Mapping[str, Any], now: datetime) -> Condition | None:
    if rules.min_skill is None:
        return None
    needed, skill = rules.min_skill, skill_of(version["accuracy"])
    if skill is None:
        message = (
            f"its accuracy was not measured, a skill of {needed:g} is needed: train it with a test part (--set test_size=)"
        )
        return Condition("skill", False, None, needed, message)
    by_column = {name: skill.columns[name].skill if name in skill.columns else None for name in version["signature"]["endog"]}
    low = [name for name, found in by_column.items() if found is None or found < needed]
    if low:
        words = ", ".join(_skill_words(name, by_column[name]) for name in low)
        remedy = f"at least {needed:g} is needed in every column (1 - RMSE / RMSE of a {BASELINE}): train a better version"
        return Condition("skill", False, by_column, needed, f"its skill ({skill.label}) is {words}; {remedy}")
    words = ", ".join(_skill_words(name, found) for name, found in by_column.items())
    return Condition("skill", True, by_column, needed, f"its skill ({skill.label}) is {words}; at least {needed:g} is needed")


def _skill_words(name: str, skill: float | None) -> str:
    return f"unknown for {name!r}" if skill is None else f"{skill:.3g} for {name!r}"


def _judge_age(rules: Protection, version: Mapping[str, Any], now: datetime) -> Condition | None:
    if rules.max_age_days is None:
        return None
    last, needed = version["signature"].get("index", {}).get("last"), rules.max_age_days
    age = _age_in_days(last, now)
    if age is None:
        message = f"its last row is {last}, which is no date, so that its age is unknown; at most {needed} days are allowed"
        return Condition("age", False, None, needed, f"{message}: protect the alias without --max-age")
    message = f"its last row is of {last}, {age} days ago; at most {needed} are allowed"
    if age <= needed:
        return Condition("age", True, age, needed, message)
    return Condition("age", False, age, needed, f"{message}: train it on newer rows, or let it see them (`forecastle observe`)")


def _age_in_days(last: Any, now: datetime) -> int | None:
    """Return how many days ago a row was, by its own calendar; negative where it is of a period that has not ended."""
    if not isinstance(last, str):
        return None
    try:
        stamp = datetime.fromisoformat(last)
    except ValueError:
        return None
    return (now.astimezone(stamp.tzinfo or UTC).date() - stamp.date()).days


_CONDITIONS: tuple[Callable[[Protection, Mapping[str, Any], datetime], Condition | None], ...] = (
    _judge_verdict,
    _judge_skill,
    _judge_age,
)
