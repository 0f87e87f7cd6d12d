"""The plugin: check the data, fit the order that was asked for, and say what a person should know about it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from forecastle_sdk import (
    Candidate,
    Capability,
    Context,
    Dataset,
    Fit,
    Notice,
    Plugin,
    Signature,
    State,
    Verdict,
)
from forecastle_sdk.checks import check_capabilities
from forecastle_sdk.diagnostics import check_constant, exog_notices
from forecastle_sdk.errors import DataError, FitError, ParametersError, StateError
from forecastle_sdk.statespace import StateSpaceForecaster, stability_notices

from .parameters import ArimaParameters, Specification, lags

if TYPE_CHECKING:
    from .estimate import Estimation, Optimum

MAX_STATES = 500  # each step of the filter costs their cube: a year of days still fits


class ArimaPlugin(Plugin):
    """SARIMAX with given orders, on statsmodels."""

    name = "arima"
    title = "ARIMA"
    description = "Seasonal ARIMA of one column with a trend and a regression on exogenous columns, of the orders given."
    capabilities = frozenset({Capability.EXOG, Capability.MISSING, Capability.APPEND, Capability.SIMULATE})
    parameters = ArimaParameters

    def fit(self, data: Dataset, parameters: Mapping[str, Any], context: Context) -> Fit:
        """Fit the orders given. Raises `DataError`, `ParametersError`, `FitError`, `CapabilityError` or `Cancelled`."""
        specification = Specification.of(parameters)
        check_capabilities(type(self), data)
        check_fits(data, specification)
        from .estimate import best, estimation

        started = time.perf_counter()
        optimum = best(list(_optima(data, specification, context)))
        found = estimation(data, specification, optimum)
        return _fit(data, parameters, found, _candidate(specification, found, optimum, time.perf_counter() - started), optimum)

    def restore(self, state: Mapping[str, State], format: int) -> StateSpaceForecaster:
        """Rebuild a forecaster. Raises `StateError`."""
        if format != self.state_format:
            raise StateError(f"the state has the format {format}; the plugin arima reads {self.state_format}")
        return StateSpaceForecaster.restore(state)


def check_fits(data: Dataset, specification: Specification) -> None:
    """Refuse constant columns, and too few rows for the order. Raises `DataError` or `ParametersError`."""
    width = len(data.exog_names)
    if specification.states(width) > MAX_STATES:
        raise ParametersError(
            f"{specification.label} needs {specification.states(width)} states; at most {MAX_STATES} are allowed. "
            "Lower the order, or train on rows of a longer period"
        )
    # Differences take a constant column away, as a constant trend takes its place.
    check_constant(data, intercept="c" in specification.trend or specification.differences > 0)
    observed, needed = int((~np.isnan(data.endog)).sum()), specification.rows_needed(width)
    if observed < needed:
        columns = f" with {width} exogenous columns" if width else ""
        raise DataError(
            f"{specification.label}{columns} needs at least {needed} rows with a value in {data.endog_names[0]!r}; "
            f"there are {observed}. Give more rows, or lower the order",
            code="too-few-rows",
        )


def _optima(data: Dataset, specification: Specification, context: Context) -> Iterator[Optimum]:
    """Yield what the optimizer finds on each way; one way that leads nowhere is no matter when the other does."""
    from .estimate import optimize  # the first import of statsmodels

    failure = None
    for done, scaled in enumerate((True, False)):
        context.check_cancelled()
        context.progress(done, 2, f"fitting {specification.label}")
        try:
            yield optimize(data, specification, scaled=scaled)
        except FitError as error:
            if failure is not None:
                raise
            failure = error
    context.progress(2, 2, f"fitted {specification.label}")


def _candidate(specification: Specification, found: Estimation, optimum: Optimum, seconds: float) -> Candidate:
    return Candidate(
        order=specification.label,
        llf=found.llf,
        criteria=found.criteria,
        seconds=seconds,
        verdict=Verdict.CONVERGED if optimum.converged else Verdict.FAILED,
        nobs=found.nobs,
        k=found.k,
        message=optimum.message,
    )


def _fit(data: Dataset, parameters: Mapping[str, Any], found: Estimation, candidate: Candidate, optimum: Optimum) -> Fit:
    specification = Specification.of(parameters)
    notices = (*exog_notices(data), *_unit_root_notices(specification, found), *_optimizer_notices(optimum))
    return Fit(
        forecaster=StateSpaceForecaster(found.system, Signature.of(data, season=specification.period or None), notices),
        parameters=dict(parameters),
        estimates=found.estimates,
        llf=found.llf,
        criteria=found.criteria,
        candidates=(candidate,),
        verdict=candidate.verdict,
        notices=notices + tuple(Notice("estimation-warning", said) for said in optimum.warnings),
    )


def _unit_root_notices(specification: Specification, found: Estimation) -> tuple[Notice, ...]:
    """Look at the autoregression between neighbouring rows: the roots of a seasonal one are near one by nature."""
    values = {estimate.name: estimate.value for estimate in found.estimates}
    coefficients = {lag: values[f"ar.L{lag}"] for lag in lags(specification.order[0])}
    size = max(coefficients, default=0)
    companion = np.eye(size, k=1)
    for lag, value in coefficients.items():
        companion[lag - 1, 0] = value
    return stability_notices(companion)


def _optimizer_notices(optimum: Optimum) -> Iterator[Notice]:
    if not optimum.converged:
        yield Notice("not-converged", f"the fit did not converge: {optimum.message}")
