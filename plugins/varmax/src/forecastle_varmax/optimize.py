"""Maximize a likelihood with scipy's L-BFGS-B, in coordinates in which the likelihood is nearly round.

Each round measures the curvature where it stands by the outer product of the scores, takes coordinates whose unit is about
one standard error, and runs the optimizer in them; a next round starts from the point that was found. So "the gradient is
small" means small beside the estimates' uncertainty, whatever the columns' units and however collinear they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ROUND = 60  # iterations until the curvature is measured anew
GAIN = 1e-4  # a round that gains less after one that converged has confirmed it
RIDGE = 1e-8  # keeps the curvature positive where the scores do not show any
IMPOSSIBLE = 1e10  # the negative log-likelihood of parameters that have none

Vector = np.ndarray
Likelihood = Callable[[Vector], tuple[float, Vector]]
Scores = Callable[[Vector], Vector]


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where the optimizer stopped: the parameters, the log-likelihood there, its own word, and its iterations."""

    vector: np.ndarray
    llf: float
    converged: bool
    message: str
    iterations: int


def maximize(likelihood: Likelihood, by_row: Scores, start: np.ndarray, maxiter: int) -> Optimum:
    """Climb from `start` in at most `maxiter` iterations.

    `likelihood` returns the log-likelihood of parameters (k,) and its gradient, `by_row` the log-likelihood of each row.
    """
    from scipy.optimize import minimize

    point, before, iterations = start, np.inf, 0
    while True:
        axes = curvature_axes(by_row, point)
        result = minimize(
            _in_coordinates(likelihood, point, axes),
            np.zeros(len(point)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": min(ROUND, maxiter - iterations), "maxcor": 50, "ftol": 1e-12, "gtol": 1e-3, "maxls": 30},
        )
        point = point + axes @ result.x
        iterations += int(result.nit)
        confirmed = result.success and before - result.fun < GAIN
        stuck = not result.nit and not result.success  # the line search finds no way from here, nor would it a second time
        if confirmed or stuck or iterations >= maxiter:
            return Optimum(point, -float(result.fun), bool(result.success), str(result.message), iterations)
        before = result.fun if result.success else np.inf


def curvature_axes(by_row: Scores, point: np.ndarray) -> np.ndarray:
    """Return L (k, k) with L L' near the inverse of the information at `point`."""
    information = outer_product(by_row, point)
    size = np.sqrt(np.diag(information)) + np.finfo(float).tiny ** 0.5
    roots, vectors = np.linalg.eigh(information / np.outer(size, size) + RIDGE * np.eye(len(point)))
    return np.asarray(vectors / np.sqrt(np.maximum(roots, RIDGE)) / size[:, None])


def outer_product(by_row: Scores, point: np.ndarray) -> np.ndarray:
    """Return the sum over rows of the outer product of the scores at `point`, (k, k), by central differences."""
    steps = 1e-6 * np.maximum(1.0, np.abs(point))
    differences = [by_row(point + step) - by_row(point - step) for step in np.diag(steps)]
    slopes = np.array(differences) / (2 * steps[:, None])
    return np.asarray(slopes @ slopes.T)


def _in_coordinates(likelihood: Likelihood, origin: np.ndarray, axes: np.ndarray) -> Likelihood:
    """Return the negative likelihood and its gradient by coordinates along the axes; where there is none, a wall."""

    def negative(coordinates: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            value, gradient = likelihood(origin + axes @ coordinates)
        except (np.linalg.LinAlgError, ValueError):
            value, gradient = np.nan, coordinates
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return IMPOSSIBLE, np.zeros_like(coordinates)
        return -value, -(gradient @ axes)

    return negative
