"""What a client asks for, as plain values, and its checks against a version's signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np

from forecastle_sdk import Signature
from forecastle_sdk.errors import ExogError, HorizonError, InputError, Problem, QuantilesError

from ..errors import pointer_to

RESERVED = ("horizon", "h", "steps", "levels", "quantiles", "version", "alias")  # of a query; no column may be called so
REPORTED = 20  # of a thousand bad cells a person reads the first few
DEFAULT_LEVELS = (95.0,)
MAX_QUANTILES = 100
NUMBERS = {int, float}

Exog = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a forecast: as the client wrote it, but for the names.

    `exog` is columns (`{"unemp": [4.4, 4.5]}`) or records (`[{"unemp": 4.4}, …]`). Neither `levels` nor `quantiles` means
    levels of 95 percent. `version` and `alias` exclude each other.
    """

    horizon: int | None = None
    exog: Exog | None = None
    levels: tuple[float, ...] | None = None
    quantiles: tuple[float, ...] | None = None
    version: int | None = None
    alias: str | None = None

    def __post_init__(self) -> None:
        if self.levels is not None and self.quantiles is not None:
            raise QuantilesError("give levels or quantiles, not both", code="levels-and-quantiles")
        if self.version is not None and self.alias is not None:
            raise InputError("give a version or an alias, not both", code="version-and-alias")


@dataclass(frozen=True, slots=True)
class Spread:
    """Which quantiles a forecaster is asked for, ascending, and which of them bound each level."""

    quantiles: tuple[float, ...]
    levels: tuple[tuple[float, int, int], ...]


def spread(levels: Sequence[float] | None, quantiles: Sequence[float] | None) -> Spread:
    """Turn levels (percent) into pairs of quantiles, or take the quantiles as they are. Raises `QuantilesError`."""
    if quantiles is not None:
        _check_each(quantiles, "quantiles", 0.0, 1.0)
        return Spread(tuple(sorted(quantiles)), ())
    asked = DEFAULT_LEVELS if levels is None else levels
    _check_each(asked, "levels", 0.0, 100.0)
    ordered = sorted(asked)
    lower = [0.5 - level / 200 for level in reversed(ordered)]
    upper = [0.5 + level / 200 for level in ordered]
    count = len(ordered)
    bounds = tuple((level, count - 1 - i, count + i) for i, level in enumerate(ordered))
    quantiles = (*lower, *upper)
    if not all(a < b for a, b in pairwise((0.0, *quantiles, 1.0))):
        message = f"levels are too near to each other, to 0 or to 100 to be told apart: {', '.join(map(repr, ordered))}"
        raise QuantilesError(message, code="levels-invalid")
    return Spread(quantiles, bounds)


def _check_each(values: Sequence[float], what: str, low: float, high: float) -> None:
    if len(values) > MAX_QUANTILES:
        raise QuantilesError(f"{len(values)} {what} are too many; at most {MAX_QUANTILES} are answered", code=f"{what}-invalid")
    for i, value in enumerate(values):
        if not low < value < high:
            problem = Problem(pointer_to(what, i), f"{value:g}; expected a number between {low:g} and {high:g}, both excluded")
            raise QuantilesError(f"{what} must lie between {low:g} and {high:g}", code=f"{what}-invalid", problems=[problem])
    if len(set(values)) < len(values):
        raise QuantilesError(f"{what} has a value twice; give each once", code=f"{what}-invalid")


def resolve_horizon(asked: int | None, exog: Mapping[str, Sequence[Any]], limit: int) -> int:
    """Return the horizon: as asked for, or as many steps as exog has rows. Raises `HorizonError`."""
    horizon = asked
    if horizon is None:
        if not exog:
            raise HorizonError("there is no horizon; give it, or future exogenous values", code="horizon-missing")
        horizon = max(len(values) for values in exog.values())
    if horizon < 1:
        raise HorizonError(f"the horizon is {horizon}; expected at least 1", code="horizon-too-small", problems=_at_horizon())
    if horizon > limit:
        message = f"the horizon is {horizon}; at most {limit} steps are answered"
        raise HorizonError(message, code="horizon-too-large", problems=_at_horizon())
    return horizon


def _at_horizon() -> list[Problem]:
    return [Problem("/horizon", "expected a whole number of steps that this version answers")]


def exog_columns(exog: Exog | None, what: str = "exog") -> dict[str, Sequence[Any]]:
    """Return values as columns, whether they came as columns or as records; `what` names them. Raises `ExogError`."""
    if exog is None:
        return {}
    if isinstance(exog, Mapping):
        return {name: values if isinstance(values, list) else [values] for name, values in exog.items()}
    for i, record in enumerate(exog):
        if not isinstance(record, Mapping):
            problem = Problem(pointer_to(what, i), "expected an object with one number for each column")
            raise ExogError(f"{what} is neither columns nor records", problems=[problem])
        if record.keys() != exog[0].keys():
            problem = Problem(
                pointer_to(what, i), f"has the columns {_shown(sorted(record))}; the first record has {_shown(sorted(exog[0]))}"
            )
            raise ExogError(f"the records of {what} differ in their columns, first in row {i + 1}", problems=[problem])
    return {name: [record[name] for record in exog] for name in (exog[0] if exog else ())}


def exog_array(signature: Signature, horizon: int, columns: Mapping[str, Sequence[Any]]) -> np.ndarray | None:
    """Return exog as float64 (horizon, m) in the signature's order; None for a model without.

    Raises `ExogError` for unknown and absent columns, for columns of another length than the horizon, and for a cell that is
    no finite number; it names column and row.
    """
    _check_names(signature, columns)
    if not signature.exog:
        return None
    ordered = [columns[name] for name in signature.exog_names]
    cells = list(chain.from_iterable(ordered))
    if set(map(len, ordered)) == {horizon} and set(map(type, cells)) <= NUMBERS:
        try:
            array = np.array(cells, dtype=np.float64)
        except OverflowError:  # an integer beyond the largest float
            array = np.array([np.nan])
        if np.isfinite(array).all():
            return array.reshape(len(ordered), horizon).T
    raise _wrong_cell(signature, horizon, ordered)


def _check_names(signature: Signature, columns: Mapping[str, Sequence[Any]]) -> None:
    if columns.keys() == set(signature.exog_names):
        return
    unknown = [name for name in columns if name not in signature.exog_names]
    absent = [name for name in signature.exog_names if name not in columns]
    problems = [Problem(pointer_to("exog", name), "is no exogenous column of this version") for name in unknown[:REPORTED]]
    problems += [Problem(pointer_to("exog", name), "is absent; a number is needed for each step") for name in absent]
    if not signature.exog:
        message, code = "this version takes no exogenous columns; leave exog out", "exog-unknown"
    elif not columns:
        message, code = (
            f"this version needs future values of {', '.join(absent)}; give exog, one value for each step",
            "exog-missing",
        )
    elif unknown:
        message, code = (
            f"exog has columns that this version does not know; it takes {', '.join(signature.exog_names)}",
            "exog-unknown",
        )
    else:
        message, code = f"exog lacks {', '.join(absent)}", "exog-missing"
    raise ExogError(message, code=code, problems=problems)


def _wrong_cell(signature: Signature, horizon: int, ordered: Sequence[Sequence[Any]]) -> ExogError:
    """Return the error for the first column that is of another length, or has a cell that is no finite number."""
    for name, values in zip(signature.exog_names, ordered, strict=True):
        if len(values) != horizon:
            return _wrong_length(name, len(values), horizon)
        if not all(map(is_number, values)):
            return _wrong_cells(name, values)
    raise AssertionError("every cell is a finite number, yet their array is not")  # a bug here, not in what was sent


def _wrong_length(name: str, length: int, horizon: int) -> ExogError:
    code = "exog-too-short" if length < horizon else "exog-too-long"
    message = f"the exogenous column {name!r} has {length} values; expected {horizon}, one for each step"
    return ExogError(message, code=code, problems=[Problem(pointer_to("exog", name), f"{length} values; expected {horizon}")])


def _wrong_cells(name: str, values: Sequence[Any]) -> ExogError:
    bad = [(i, value) for i, value in enumerate(values) if not is_number(value)]
    problems = [
        Problem(pointer_to("exog", name, i), f"{_shown(value)} in row {i + 1}; expected a finite number")
        for i, value in bad[:REPORTED]
    ]
    row, value = bad[0]
    message = f"the exogenous column {name!r} has {_shown(value)} in row {row + 1}; expected a finite number"
    return ExogError(message, code="exog-not-finite" if type(value) in NUMBERS else "exog-not-a-number", problems=problems)


def is_number(value: Any) -> bool:
    """Tell whether a cell of JSON is a finite number that a float holds."""
    return type(value) in NUMBERS and abs(value) <= 1.7976931348623157e308


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value) if type(value) is float else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
