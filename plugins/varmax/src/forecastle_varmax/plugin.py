"""The plugin: the steps in order. Science libraries are imported by the steps, and only while fitting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecastle_sdk import Candidate, Capability, Context, Dataset, Fit, Forecaster, Notice, Plugin, Signature, State, Verdict
from forecastle_sdk.checks import check_capabilities
from forecastle_sdk.errors import FitError, StateError
from forecastle_sdk.statespace import StateSpaceForecaster, stability_notices

from .coefficients import Coefficients, Shape, companion
from .estimate import OrderFit, check_rows, estimates, fit_order
from .extract import extract
from .parameters import Specification, VarmaxParameters, asked_order, candidate_orders
from .prepare import Prepared, prepare_exog
from .search import find_order


class VarmaxPlugin(Plugin):
    """Vector autoregressive moving-average models with exogenous columns."""

    name = "varmax"
    title = "VARMAX"
    description = (
        "Several columns that move one another: a vector autoregression with moving averages, a trend and exogenous columns, "
        "estimated by maximum likelihood. Missing values in the endogenous columns are allowed."
    )
    capabilities = frozenset(Capability)
    parameters = VarmaxParameters
    state_format = 1

    def fit(self, data: Dataset, parameters: Mapping[str, Any], context: Context) -> Fit:
        """Prepare the columns, find the order or take the one that was asked for, fit it, and extract its state."""
        context.check_cancelled()
        check_capabilities(type(self), data)
        specification = Specification.of(parameters)
        prepared = prepare_exog(data, specification)
        fit, candidates = self._fit_order(prepared, parameters, specification, context)
        if fit.standardized is None:
            raise FitError(f"no fit came of the order ({fit.order[0]},{fit.order[1]}): {fit.message}")
        context.check_cancelled()
        notices = prepared.notices + _fit_notices(data, fit, specification)
        system = extract(prepared, fit.order, specification, fit.standardized)
        return Fit(
            forecaster=StateSpaceForecaster(system, Signature.of(data), notices),
            parameters={**parameters, "order": ",".join(map(str, fit.order))},
            estimates=estimates(prepared, fit, specification),
            llf=fit.llf,
            criteria=fit.criteria,
            candidates=candidates,
            verdict=fit.verdict,
            notices=notices,
        )

    def restore(self, state: Mapping[str, State], format: int) -> Forecaster:
        """Rebuild the forecaster: format 1 is the state-space runtime's own. Raises `StateError`."""
        if format != 1:
            raise StateError(f"the state has format {format}; this version of the plugin varmax reads 1; install a newer one")
        return StateSpaceForecaster.restore(state)

    def _fit_order(
        self, prepared: Prepared, parameters: Mapping[str, Any], specification: Specification, context: Context
    ) -> tuple[OrderFit, tuple[Candidate, ...]]:
        order = asked_order(parameters)
        if order is None:
            search = find_order(
                prepared,
                candidate_orders(parameters),
                parameters["criterion"],
                specification,
                context,
                validation_size=parameters["validation_size"],
            )
            return search.chosen, search.candidates
        check_rows(prepared.data, order, specification)
        what = f"fitting VARMAX({order[0]},{order[1]})"
        context.progress(0, 1, what)
        fit = fit_order(prepared, order, specification)
        context.progress(1, 1, what)
        return fit, (fit.candidate(),)


def _fit_notices(data: Dataset, fit: OrderFit, specification: Specification) -> tuple[Notice, ...]:
    assert fit.vector is not None
    shape = Shape(len(data.endog_names), len(data.exog_names), fit.order, specification)
    notices = stability_notices(companion(Coefficients.of(fit.vector, shape).ar))
    if fit.verdict is not Verdict.CONVERGED:
        message = f"the optimizer did not converge for the order ({fit.order[0]},{fit.order[1]}): {fit.message}"
        notices = (Notice("not-converged", message), *notices)
    return notices
