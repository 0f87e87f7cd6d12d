"""Fit one SARIMAX by maximum likelihood. This module imports statsmodels: import it inside `fit` only.

The likelihood of ARMA models has more than one top. `optimize` climbs in scaled coordinates, which copes with many or large
exogenous columns, or in statsmodels' own, so that no fit is below that of the same call in a notebook; `best` chooses, and
`estimation` says what was found, by the stock model on the data as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from statsmodels.tools.sm_exceptions import ConvergenceWarning
from statsmodels.tsa.statespace.sarimax import SARIMAX

from forecastle_sdk import Dataset, Estimate
from forecastle_sdk.errors import FitError, StateError
from forecastle_sdk.statespace import StateSpace

from .extract import state_space
from .parameters import Specification
from .scaling import ScaledSARIMAX

CLOSE = 0.01  # of a log-likelihood: what nobody would call another optimum


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where an optimizer stopped, and its own word on it; `warnings` are statsmodels'."""

    params: np.ndarray
    llf: float
    converged: bool
    message: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Estimation:
    """What came of a fit. `nobs` and `k` are the n and k of the criteria, as statsmodels counts them."""

    system: StateSpace
    estimates: tuple[Estimate, ...]
    llf: float
    criteria: dict[str, float | None]
    nobs: int
    k: int


def optimize(data: Dataset, specification: Specification, *, scaled: bool) -> Optimum:
    """Maximize the likelihood, in scaled coordinates or in statsmodels' own. Raises `FitError` where there is none."""
    kind = ScaledSARIMAX if scaled else SARIMAX
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = kind(data.endog[:, 0], **model_arguments(data, specification))
            # `approx` asks for our exact score; the other climb is to be statsmodels' own, by finite differences.
            score = "approx" if scaled else None
            settings = {"disp": False, "low_memory": True, "cov_type": "none"}
            found = model.fit(maxiter=specification.maxiter, optim_score=score, **settings)
        except (np.linalg.LinAlgError, ValueError) as error:
            raise FitError(
                f"{specification.label} could not be fitted: {error}; try another order, or fewer columns"
            ) from error
    if not np.isfinite(found.llf):
        raise FitError(f"{specification.label} has no finite likelihood on these data; try another order, or scale the columns")
    retvals = found.mle_retvals
    return Optimum(found.params, float(found.llf), bool(retvals["converged"]), _message(retvals), _said(caught))


def best(optima: Sequence[Optimum]) -> Optimum:
    """Return the optimum of the highest likelihood; of those that are as good, one that converged."""
    highest = max(optimum.llf for optimum in optima)
    return max(optima, key=lambda optimum: (optimum.llf >= highest - CLOSE, optimum.converged, optimum.llf))


def estimation(data: Dataset, specification: Specification, optimum: Optimum) -> Estimation:
    """Filter the data with the stock model at an optimum, and take from it what is kept. Raises `FitError`."""
    model = SARIMAX(data.endog[:, 0], **model_arguments(data, specification))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a standard error that cannot be computed is None, which says it
        # low_memory keeps the last state of the filter instead of all; the numbers are the same.
        results = model.filter(optimum.params, low_memory=True, cov_type="opg")
        std_errors = np.asarray(results.bse)
    try:
        system = state_space(results)
    except StateError as error:
        raise FitError(f"{specification.label} leads to a state that is not finite: {error}; scale the columns") from error
    return Estimation(
        system=system,
        estimates=_estimates(data, results, std_errors),
        llf=float(results.llf),
        criteria={name: finite(getattr(results, name)) for name in ("aic", "aicc", "bic", "hqic")},
        nobs=int(results.nobs_effective),
        k=int(results.df_model),
    )


def model_arguments(data: Dataset, specification: Specification) -> dict[str, Any]:
    """Return the keyword arguments of the stock SARIMAX for this data and specification."""
    order, seasonal_order = (
        tuple(list(part) if isinstance(part, tuple) else part for part in parts)
        for parts in (specification.order, specification.seasonal_order)
    )
    return {
        "exog": data.exog if data.exog_names else None,
        "order": order,
        "seasonal_order": seasonal_order,
        "trend": specification.trend,
        "measurement_error": specification.measurement_error,
        "enforce_stationarity": specification.enforce_stationarity,
        "enforce_invertibility": specification.enforce_invertibility,
        "mle_regression": specification.mle_regression,
    }


def _estimates(data: Dataset, results: Any, std_errors: np.ndarray) -> tuple[Estimate, ...]:
    """Return the parameters, with the exogenous columns' own names, and then any coefficients that are states."""
    model = results.model
    names = list(model.param_names)
    if model.mle_regression:
        names[model.k_trend : model.k_trend + model.k_exog] = data.exog_names
    found = [Estimate(*named) for named in zip(names, results.params.tolist(), map(finite, std_errors), strict=True)]
    if model.state_regression:
        filtered = results.filter_results
        means = filtered.filtered_state[-model.k_exog :, -1]
        deviations = np.sqrt(np.maximum(np.diag(filtered.filtered_state_cov[:, :, -1])[-model.k_exog :], 0))
        betas = [f"beta.{name}" for name in data.exog_names]
        found += [Estimate(*named) for named in zip(betas, means.tolist(), map(finite, deviations), strict=True)]
    return tuple(found)


def finite(value: float) -> float | None:
    """Return a float, or None for what is not a finite number."""
    return float(value) if np.isfinite(value) else None


def _message(retvals: dict[str, Any]) -> str:
    iterations = f"{retvals['iterations']} iterations"
    if retvals["converged"]:
        return f"converged after {iterations}"
    if retvals["warnflag"] == 1:
        return f"stopped after {iterations}; raise maxiter"
    return f"the line search found no better point after {iterations}; try another order, or fewer columns"


def _said(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return each warning once; that of the optimizer is the verdict, and arithmetic ones on its way say nothing."""
    told = [str(w.message) for w in caught if not issubclass(w.category, (ConvergenceWarning, RuntimeWarning))]
    return tuple(dict.fromkeys(told))
