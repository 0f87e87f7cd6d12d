"""The plain data that crosses the border between a plugin and the platform: frozen, without pandas, JSON where it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .calendar import Index
from .errors import DataError, Problem

if TYPE_CHECKING:
    from .plugin import Forecaster

State: TypeAlias = "None | bool | int | float | str | list[State] | dict[str, State] | np.ndarray"
"""What an artifact may hold: plain data, and arrays of numbers (no object dtype)."""


class Verdict(StrEnum):
    """What is known about a fit's optimum."""

    CONVERGED = "converged"
    FLAT = "flat"
    BOUNDARY = "boundary"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person should know about a fit or a forecast: a stable `code`, a sentence, and the columns it is about."""

    code: str
    message: str
    columns: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the notice as it stands in answers and in the version's row."""
        return {"code": self.code, "message": self.message, "columns": list(self.columns)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Notice:
        """Read back what `to_json` wrote."""
        return cls(document["code"], document["message"], tuple(document["columns"]))


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimated parameter: statsmodels' name, its value, and its standard error (None where there is none)."""

    name: str
    value: float
    std_error: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One specification that a search tried, whether it was chosen or not.

    `nobs` and `k` are the n and k of the information criteria; `message` is the optimizer's own word or the error.
    """

    order: str
    llf: float | None
    criteria: Mapping[str, float | None]
    seconds: float
    verdict: Verdict
    nobs: int
    k: int
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the candidate as a JSON object."""
        return {**asdict(self), "verdict": str(self.verdict)}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Observations in time order: `endog` (n, k) where NaN is a missing value, `exog` (n, m) or None, and their names.

    `index` stands at the last row. The arrays are float64, C-contiguous and read-only copies of what was given.
    Raises `DataError` when shapes and names do not agree.
    """

    endog: np.ndarray
    endog_names: tuple[str, ...]
    index: Index
    exog: np.ndarray | None = None
    exog_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "endog_names", tuple(self.endog_names))
        object.__setattr__(self, "exog_names", tuple(self.exog_names))
        object.__setattr__(self, "endog", _frozen(self.endog, self.endog_names, "endog"))
        if self.exog is not None or self.exog_names:
            exog = np.empty((self.nobs, 0)) if self.exog is None else self.exog
            object.__setattr__(self, "exog", _frozen(exog, self.exog_names, "exog"))
        if not self.endog_names:
            raise DataError("there is no endogenous column; name at least one", code="endog-missing")
        if self.exog is not None and len(self.exog) != self.nobs:
            raise DataError(f"exog has {len(self.exog)} rows, endog has {self.nobs}; they must be the same rows")
        names = self.endog_names + self.exog_names
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"the column {name!r} is named twice; a column is either endog or exog, and only once")

        if not self.nobs:
            raise DataError("there are no rows; expected at least one", code="too-few-rows")

    def __reduce__(self) -> tuple[object, ...]:
        # In another process the arrays must be read-only too, which numpy's pickles forget.
        return Dataset, (self.endog, self.endog_names, self.index, self.exog, self.exog_names)

    @property
    def nobs(self) -> int:
        """The number of rows."""
        return len(self.endog)

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of names, index and values: two datasets are the same when their digests are."""
        seen = hashlib.sha256()
        seen.update(repr((self.endog_names, self.exog_names, self.index.to_json(), self.endog.shape)).encode())
        for values in (self.endog, self.exog):
            if values is not None:
                seen.update(np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8").tobytes())
        return seen.hexdigest()

    def rows(self, start: int, stop: int) -> Dataset:
        """Return the rows start (inclusive) to stop (exclusive), 0-based, with the index standing at their last one."""
        if not 0 <= start < stop <= self.nobs:
            raise DataError(f"rows {start} to {stop} are not among the {self.nobs} rows")
        exog = None if self.exog is None else self.exog[start:stop]
        return Dataset(self.endog[start:stop], self.endog_names, self.index.shifted(stop - self.nobs), exog, self.exog_names)


def _frozen(values: np.ndarray, names: tuple[str, ...], what: str) -> np.ndarray:
    try:
        copy = np.array(values, dtype=np.float64, order="C", copy=True)
    except (TypeError, ValueError):
        raise DataError(f"{what} has something else than numbers in it, or rows of different lengths") from None
    if copy.ndim != 2 or copy.shape[1] != len(names):
        raise DataError(f"{what} has shape {copy.shape}; expected (rows, {len(names)}) for the columns {list(names)}")
    infinite = np.argwhere(np.isinf(copy))
    if len(infinite):
        row, column = infinite[0]
        problem = Problem(f"/{what}/{names[column]}/{row}", "infinite; expected a finite number")
        raise DataError(
            f"the column {names[column]!r} is infinite in row {row + 1}; expected a finite number", problems=[problem]
        )
    copy.setflags(write=False)
    return copy


@dataclass(frozen=True, slots=True)
class ExogColumn:
    """One exogenous column as training saw it: its name, its last value, and its range."""

    name: str
    last: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Signature:
    """What a version takes and gives. It is JSON in the version's row, so that no reader of it needs the artifact.

    `season` is the number of periods in a season (1: none), `nobs` the rows that the state has seen.
    """

    endog: tuple[str, ...]
    exog: tuple[ExogColumn, ...]
    index: Index
    nobs: int
    season: int = 1
    max_horizon: int = 1000
    exog_names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Read for every forecast, so made once: the names in the order that `forecast` expects.
        object.__setattr__(self, "exog_names", tuple(column.name for column in self.exog))

    @classmethod
    def of(cls, data: Dataset, *, season: int | None = None, max_horizon: int = 1000) -> Signature:
        """Describe a dataset; `season` defaults to what the index's frequency suggests."""
        columns = []
        for name, values in zip(data.exog_names, () if data.exog is None else data.exog.T, strict=True):
            columns.append(ExogColumn(name, float(values[-1]), float(values.min()), float(values.max())))
        season = data.index.season if season is None else season
        return cls(data.endog_names, tuple(columns), data.index, data.nobs, season, max_horizon)

    def extended(self, rows: int, exog: np.ndarray | None = None) -> Signature:
        """Return the signature after `rows` more rows, with their exog (rows, m) if the model has any."""
        columns = self.exog
        if exog is not None and rows:
            columns = tuple(
                ExogColumn(c.name, float(v[-1]), min(c.min, float(v.min())), max(c.max, float(v.max())))
                for c, v in zip(self.exog, exog.T, strict=True)
            )
        return Signature(self.endog, columns, self.index.shifted(rows), self.nobs + rows, self.season, self.max_horizon)

    def to_json(self) -> dict[str, Any]:
        """Return the signature as a JSON object."""
        return {
            "endog": list(self.endog),
            "exog": [asdict(column) for column in self.exog],
            "index": self.index.to_json(),
            "nobs": self.nobs,
            "season": self.season,
            "max_horizon": self.max_horizon,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Signature:
        """Read back what `to_json` wrote."""
        return cls(
            endog=tuple(document["endog"]),
            exog=tuple(ExogColumn(**column) for column in document["exog"]),
            index=Index.from_json(document["index"]),
            nobs=document["nobs"],
            season=document["season"],
            max_horizon=document["max_horizon"],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """The answer to a request: `mean` (h, k) and `quantiles` (q, h, k), in the columns' own units."""

    mean: np.ndarray
    quantiles: np.ndarray
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What came of one call of `Plugin.fit`.

    `parameters` are resolved and JSON: the plugin's schema loads them, and fitting them again repeats this fit.
    `verdict` is None for a plugin that has none.
    """

    forecaster: Forecaster
    parameters: Mapping[str, Any]
    estimates: tuple[Estimate, ...] = ()
    llf: float | None = None
    criteria: Mapping[str, float | None] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    verdict: Verdict | None = None
    notices: tuple[Notice, ...] = ()
