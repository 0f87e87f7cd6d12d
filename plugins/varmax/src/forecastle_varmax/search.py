"""Find the order: fit every candidate, wherever the platform runs them, and take the best of those that converged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecastle_sdk import Candidate, Context, Verdict
from forecastle_sdk.errors import DataError, FitError, Problem

from .coefficients import Shape
from .estimate import OrderFit, check_rows, failed_fit, fit_order
from .extract import extract
from .parameters import Order, Specification
from .prepare import Prepared, prepare_exog


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One candidate to fit, all that a worker needs; `held_out` rows at the end are forecast instead of fitted."""

    prepared: Prepared
    order: Order
    specification: Specification
    held_out: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What a search found: the best order's fit to all rows, and every candidate in the order of the orders."""

    chosen: OrderFit
    candidates: tuple[Candidate, ...]


def find_order(
    prepared: Prepared,
    orders: Sequence[Order],
    criterion: str,
    specification: Specification,
    context: Context,
    *,
    validation_size: float = 0.1,
) -> Search:
    """Fit all `orders` and choose the smallest `criterion` among those that converged.

    For `holdout` each candidate is fitted without the last rows and forecasts them, once, from their origin, with their
    exogenous values known; the chosen order is then fitted to all rows. An order that the rows do not suffice for is not
    fitted; it stands among the candidates as failed, with the reason.
    Raises `DataError` when no order has enough rows, and `FitError` with the table when no candidate converged.
    """
    held_out = _held_out(prepared, validation_size) if criterion == "holdout" else 0
    feasible, refused = _feasible(prepared, orders, specification, criterion, held_out)
    work = [Work(prepared, order, specification, held_out) for order in feasible]
    fits = sorted([*refused, *_fitted(work, context)], key=lambda fit: (sum(fit.order), fit.order))
    candidates = tuple(fit.candidate() for fit in fits)
    ranked = [fit for fit in fits if fit.verdict is Verdict.CONVERGED and fit.criteria.get(criterion) is not None]
    if not ranked:
        raise _none_converged(candidates, criterion)
    chosen = min(ranked, key=lambda fit: fit.criteria[criterion])  # type: ignore[arg-type,return-value]  # None is out
    if held_out:
        context.check_cancelled()
        chosen = fit_order(prepared, chosen.order, specification)
    return Search(chosen, candidates)


def fit_candidate(work: Work) -> OrderFit:
    """Fit one candidate: to all rows, or to all but those held out, on which it is then measured."""
    if not work.held_out:
        return fit_order(work.prepared, work.order, work.specification)
    data = work.prepared.data
    begin = data.nobs - work.held_out
    shorter = prepare_exog(data.rows(0, begin), work.specification)
    fit = fit_order(shorter, work.order, work.specification)
    if fit.standardized is None:
        return fit
    exog = np.empty((work.held_out, 0)) if data.exog is None else data.exog[begin:]
    system = extract(shorter, work.order, work.specification, fit.standardized)
    errors = (system.means(exog) - data.endog[begin:]) / work.prepared.scaling.scale
    return replace(fit, criteria={**fit.criteria, "holdout": float(np.nanmean(errors**2))})


def _held_out(prepared: Prepared, size: float) -> int:
    nobs = prepared.data.nobs
    rows = round(size * nobs) if size < 1 else int(size)
    if not 0 < rows < nobs or np.isnan(prepared.data.endog[nobs - rows :]).all():
        raise DataError(
            f"a validation part of {rows} of {nobs} rows has nothing to measure; choose another validation_size",
            code="too-few-rows",
        )
    return rows


def _feasible(
    prepared: Prepared, orders: Iterable[Order], specification: Specification, criterion: str, held_out: int
) -> tuple[list[Order], list[OrderFit]]:
    """Return the orders that the rows suffice for, and the others as failed; raise the first `DataError` when there is none."""
    rows = prepared.data.rows(0, prepared.data.nobs - held_out)
    feasible, refused, refusals = [], [], []
    for order in orders:
        shape = Shape(len(rows.endog_names), len(rows.exog_names), order, specification)
        try:
            check_rows(rows, order, specification)
            if criterion == "aicc":
                _check_aicc(rows.nobs, order, shape)
            feasible.append(order)
        except DataError as refusal:
            refused.append(failed_fit(rows, shape, refusal.message))
            refusals.append(refusal)
    if not feasible:
        raise refusals[0]
    return feasible, refused


def _check_aicc(nobs: int, order: Order, shape: Shape) -> None:
    """Refuse an order that has no AICc, and so could never be chosen by it, before it is climbed for minutes."""
    if nobs - shape.parameters - 1 <= 0:
        raise DataError(
            f"the order ({order[0]},{order[1]}) has {shape.parameters} parameters, and AICc needs at least two rows more; "
            f"there are {nobs}; give more rows, ask for fewer lags or columns, or choose another criterion",
            code="too-few-rows",
        )


def _fitted(work: Sequence[Work], context: Context) -> Iterable[OrderFit]:
    """Yield fits as they finish, telling what is under way; the largest go first, so that no core waits for one at the end."""
    left = sorted((item.order for item in work), key=lambda order: (sum(order), order), reverse=True)
    by_order = {item.order: item for item in work}
    total = len(work)
    context.check_cancelled()
    context.progress(0, total, _under_way(left))
    for done, fit in enumerate(context.run(fit_candidate, [by_order[order] for order in left]), start=1):
        context.check_cancelled()
        left.remove(fit.order)
        context.progress(done, total, _under_way(left) if left else "comparing the orders")
        yield fit


def _under_way(left: Sequence[Order]) -> str:
    more = f" and {len(left) - 2} more" if len(left) > 2 else ""
    return "fitting VARMAX" + " ".join(f"({p},{q})" for p, q in left[:2]) + more


def _none_converged(candidates: Sequence[Candidate], criterion: str) -> FitError:
    rows = [
        f"({c.order})  llf {_number(c.llf)}  {criterion} {_number(c.criteria.get(criterion))}  {c.verdict}: {c.message}"
        for c in candidates
    ]
    return FitError(
        f"no candidate converged with a finite {criterion}; ask for an order, allow more iterations (maxiter), or leave out "
        "columns:\n" + "\n".join(rows),
        code="no-candidate-converged",
        problems=[Problem(f"/candidates/{i}", row) for i, row in enumerate(rows)],
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
