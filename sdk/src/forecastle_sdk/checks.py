"""The checks that every plugin owes its callers, once: capabilities, horizon, exogenous values, quantiles, observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .data import Dataset, Signature
from .errors import (
    CapabilityError,
    DataError,
    ExogError,
    HorizonError,
    InputError,
    ObservationsError,
    OverflowingForecast,
    Problem,
    QuantilesError,
)
from .plugin import Capability, Plugin

REPORTED = 20  # of a thousand bad cells a person reads the first few


def check_capabilities(plugin: type[Plugin], data: Dataset) -> None:
    """Refuse data that needs a capability which the plugin does not declare. Raises `CapabilityError` or `DataError`."""
    needed = {
        Capability.EXOG: data.exog is not None and data.exog.shape[1] > 0,
        Capability.MULTIVARIATE: data.endog.shape[1] > 1,
        Capability.MISSING: bool(np.isnan(data.endog).any()),
    }
    refusals = {
        Capability.EXOG: f"takes no exogenous columns; leave out {list(data.exog_names)}",
        Capability.MULTIVARIATE: f"forecasts one column; {list(data.endog_names)} are {len(data.endog_names)}",
        Capability.MISSING: "takes no missing values; fill or drop the rows that have them",
    }
    for capability, is_needed in needed.items():
        if is_needed and capability not in plugin.capabilities:
            raise CapabilityError(f"the plugin {plugin.name!r} {refusals[capability]}")
    check_complete(data)


def check_complete(data: Dataset) -> None:
    """Refuse missing values in exog, and an endogenous column with no value at all. Raises `DataError`."""
    if data.exog is not None and np.isnan(data.exog).any():
        problems = [
            Problem(f"/exog/{data.exog_names[j]}/{i}", f"missing at {_stamp(data, i)}; expected a number")
            for i, j in np.argwhere(np.isnan(data.exog))[:REPORTED]
        ]
        row, column = np.argwhere(np.isnan(data.exog))[0]
        raise DataError(
            f"the exogenous column {data.exog_names[column]!r} has no value in row {row + 1} "
            f"({_stamp(data, row)}); fill it, or cut the rows that lack it",
            code="exog-has-missing-values",
            problems=problems,
        )
    for name, values in zip(data.endog_names, data.endog.T, strict=True):
        if np.isnan(values).all():
            raise DataError(f"the column {name!r} has no value at all; expected numbers", code="endog-empty")


def _stamp(data: Dataset, row: int) -> str | int:
    try:
        return data.index.at(int(row) + 1 - data.nobs)
    except HorizonError:  # a calendar that is a table may know the coming stamps only
        return "time unknown"


def checked_horizon(signature: Signature, horizon: int) -> int:
    """Return `horizon` as an int in 1 … max_horizon. Raises `HorizonError`."""
    if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)):
        raise HorizonError(f"the horizon is {horizon!r}; expected a whole number of steps")
    if horizon < 1:
        raise HorizonError(f"the horizon is {horizon}; expected at least 1", code="horizon-too-small")
    if horizon > signature.max_horizon:
        raise HorizonError(f"the horizon is {horizon}; at most {signature.max_horizon} is allowed", code="horizon-too-large")
    return int(horizon)


def checked_exog(signature: Signature, rows: int, exog: np.ndarray | None) -> np.ndarray:
    """Return future exog as float64 (rows, m); m is 0 for a model without. Raises `ExogError` that names column and row."""
    names = signature.exog_names
    if exog is None:
        if names:
            raise ExogError(
                f"this model needs {len(names)} exogenous columns for each step: {', '.join(names)}", code="exog-missing"
            )
        return np.empty((rows, 0))
    values = _numbers(exog, "exog", ExogError)
    if not names and values.size:
        raise ExogError(f"this model takes no exogenous columns, and exog has shape {values.shape}; leave it out")
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ExogError(f"exog has shape {values.shape}; expected ({rows}, {len(names)}) for {list(names)}")
    if len(values) != rows:
        short = "exog-too-short" if len(values) < rows else "exog-too-long"
        raise ExogError(f"exog has {len(values)} rows; expected {rows}, one for each step", code=short)
    if not np.isfinite(values).all():
        problems = [
            Problem(f"/exog/{names[j]}/{i}", f"{values[i, j]} in row {i + 1}; expected a finite number")
            for i, j in np.argwhere(~np.isfinite(values))[:REPORTED]
        ]
        raise ExogError("exog has values that are not finite numbers", code="exog-not-finite", problems=problems)
    return values


def checked_quantiles(quantiles: Sequence[float]) -> np.ndarray:
    """Return the quantiles as float64 (q,), each in the open interval (0, 1). Raises `QuantilesError`."""
    values = _numbers(quantiles, "the list of quantiles", QuantilesError)
    if values.ndim != 1 or not ((values > 0) & (values < 1)).all():
        raise QuantilesError(f"the quantiles are {values.tolist()}; each must lie between 0 and 1, both excluded")
    if len(set(values.tolist())) < len(values):
        raise QuantilesError(f"the quantiles are {values.tolist()}; name each only once")
    return values


def checked_paths(paths: int) -> int:
    """Return the number of sample paths as an int, at least 1. Raises `InputError`."""
    if isinstance(paths, bool) or not isinstance(paths, (int, np.integer)) or paths < 1:
        raise InputError(f"the number of paths is {paths!r}; expected a whole number, at least 1", code="paths-invalid")
    return int(paths)


def checked_finite(values: np.ndarray) -> np.ndarray:
    """Return what a forecast or a simulation came to, when every number of it is finite. Raises `OverflowingForecast`."""
    if not np.isfinite(values).all():
        raise OverflowingForecast("the forecast from this input is not finite; give exogenous values of a usual size")
    return values


def checked_observations(signature: Signature, endog: np.ndarray, *, missing: bool) -> np.ndarray:
    """Return new rows as float64 (n, k), n ≥ 1; NaN is let through where `missing`. Raises `ObservationsError`."""
    values = _numbers(endog, "endog", ObservationsError)
    if values.ndim != 2 or values.shape[1] != len(signature.endog) or not len(values):
        raise ObservationsError(f"endog has shape {values.shape}; expected (rows, {len(signature.endog)}), at least one row")
    wrong = np.argwhere(np.isinf(values) if missing else ~np.isfinite(values))
    if len(wrong):
        problems = [
            Problem(f"/endog/{signature.endog[j]}/{i}", f"{values[i, j]}; expected a finite number")
            for i, j in wrong[:REPORTED]
        ]
        raise ObservationsError("endog has values that are not finite numbers", problems=problems)
    return values


def _numbers(values: object, what: str, error: type[InputError]) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise error(f"{what} has something else than numbers in it, or rows of different lengths") from None
