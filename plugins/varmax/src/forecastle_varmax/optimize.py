"""Maximize statsmodels' likelihood with scipy's L-BFGS-B, in coordinates in which the likelihood is nearly round.

Each round measures the curvature where it stands by the outer product of the scores, takes coordinates whose unit is about
one standard error, and runs the optimizer in them; a next round starts from the point that was found. So "the gradient is
small" means small beside the estimates' uncertainty, whatever the columns' units and however collinear they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUND = 60  # iterations until the curvature is measured anew
GAIN = 1e-4  # a round that gains less after one that converged has confirmed it
STEP = 1e-5  # for differences, in standard errors
RIDGE = 1e-8  # keeps the curvature positive where the scores do not show any
IMPOSSIBLE = 1e10  # the negative log-likelihood of parameters that have none

Vector = np.ndarray
Objective = Callable[[Vector], float]


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where the optimizer stopped: unconstrained parameters, the log-likelihood there, its own word, and its iterations."""

    vector: np.ndarray
    llf: float
    converged: bool
    message: str
    iterations: int


def maximize(model: Any, start: np.ndarray, maxiter: int) -> Optimum:
    """Climb from `start` (unconstrained) in at most `maxiter` iterations; `model` is a statsmodels MLEModel."""
    from scipy.optimize import minimize

    point, before, iterations = start, np.inf, 0
    while True:
        axes = curvature_axes(lambda vector: model.loglikeobs(vector, transformed=False), point)
        result = minimize(
            _with_gradient(_objective(model, point, axes)),
            np.zeros(len(point)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": min(ROUND, maxiter - iterations), "maxcor": 50, "ftol": 1e-11, "gtol": 1e-3, "maxls": 30},
        )
        point = point + axes @ result.x
        iterations += int(result.nit)
        confirmed = result.success and before - result.fun < GAIN
        if confirmed or iterations >= maxiter:
            return Optimum(point, -float(result.fun), bool(result.success), str(result.message), iterations)
        if not result.nit and not result.success:  # the line search finds no way from here, nor would it a second time
            return Optimum(point, -float(result.fun), False, str(result.message), iterations)
        before = result.fun if result.success else np.inf


def curvature_axes(scores: Callable[[Vector], Vector], point: np.ndarray) -> np.ndarray:
    """Return L (k, k) with L L' near the inverse of the information at `point`; `scores` gives the log-likelihood by row."""
    information = outer_product(scores, point)
    size = np.sqrt(np.diag(information)) + np.finfo(float).tiny ** 0.5
    roots, vectors = np.linalg.eigh(information / np.outer(size, size) + RIDGE * np.eye(len(point)))
    return np.asarray(vectors / np.sqrt(np.maximum(roots, RIDGE)) / size[:, None])


def outer_product(scores: Callable[[Vector], Vector], point: np.ndarray) -> np.ndarray:
    """Return the sum over rows of the outer product of the scores at `point`, (k, k), by central differences."""
    steps = 1e-6 * np.maximum(1.0, np.abs(point))
    differences = [scores(point + step) - scores(point - step) for step in np.diag(steps)]
    slopes = np.array(differences) / (2 * steps[:, None])
    return np.asarray(slopes @ slopes.T)


def _objective(model: Any, origin: np.ndarray, axes: np.ndarray) -> Objective:
    def negative(coordinates: np.ndarray) -> float:
        try:
            value = -float(model.loglike(origin + axes @ coordinates, transformed=False))
        except np.linalg.LinAlgError:
            return IMPOSSIBLE
        return value if np.isfinite(value) else IMPOSSIBLE

    return negative


def _with_gradient(objective: Objective) -> Callable[[Vector], tuple[float, Vector]]:
    def both(point: np.ndarray) -> tuple[float, Vector]:
        here = objective(point)
        return here, np.array([(objective(point + step) - here) / STEP for step in STEP * np.eye(len(point))])

    return both
