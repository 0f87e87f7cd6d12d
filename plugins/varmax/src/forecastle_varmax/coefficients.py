"""The parameters of a VARMAX model as matrices, in the order in which statsmodels stacks them into a vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parameters import Order, Specification


@dataclass(frozen=True, slots=True)
class Shape:
    """How many of everything a model has: k endogenous and m exogenous columns, (p, q), and what the specification adds."""

    endog: int
    exog: int
    order: Order
    specification: Specification

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of parameters in each block: trend, ar, ma, exog, shocks, noise."""
        k, (p, q) = self.endog, self.order
        shocks = k if self.specification.error_cov_type == "diagonal" else k * (k + 1) // 2
        noise = k * self.specification.measurement_error
        return k * len(self.specification.powers), k * k * p, k * k * q, k * self.exog, shocks, noise

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(self.sizes)

    @property
    def per_equation(self) -> int:
        """The number of coefficients in each endogenous column's equation."""
        return len(self.specification.powers) + self.exog + self.endog * sum(self.order)


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """y_t = trend (k, powers) + sum of ar[i] (k, k) y_{t-1-i} + exog (k, m) x_t + e_t + sum of ma[i] (k, k) e_{t-1-i}.

    `shocks` is the lower Cholesky factor (k, k) of e's covariance, or its diagonal (k,) variances; `noise` (k,) are the
    variances of the measurement error, or empty.
    """

    trend: np.ndarray
    ar: np.ndarray
    ma: np.ndarray
    exog: np.ndarray
    shocks: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, vector: np.ndarray, shape: Shape) -> Coefficients:
        """Read a vector of statsmodels' parameters."""
        k = shape.endog
        trend, ar, ma, exog, shocks, noise = np.split(vector, np.cumsum(shape.sizes)[:-1])
        if shape.specification.error_cov_type == "unstructured":
            lower = np.zeros((k, k))
            lower[np.tril_indices(k)] = shocks
            shocks = lower
        p, q = shape.order
        return cls(trend.reshape(k, -1), _matrices(ar, k, p), _matrices(ma, k, q), exog.reshape(k, shape.exog), shocks, noise)

    def vector(self) -> np.ndarray:
        """Return the vector that statsmodels takes."""
        shocks = self.shocks[np.tril_indices(len(self.shocks))] if self.shocks.ndim == 2 else self.shocks
        blocks = (self.trend.ravel(), _stacked(self.ar), _stacked(self.ma), self.exog.ravel(), shocks, self.noise)
        return np.concatenate(blocks)


def _matrices(block: np.ndarray, k: int, lags: int) -> np.ndarray:
    return np.ascontiguousarray(block.reshape(k, lags, k).transpose(1, 0, 2))


def _stacked(matrices: np.ndarray) -> np.ndarray:
    return np.asarray(matrices.transpose(1, 0, 2).ravel())


def companion(matrices: np.ndarray) -> np.ndarray:
    """Return the companion matrix (lags k, lags k) of lag matrices (lags, k, k)."""
    lags, k, _ = matrices.shape
    square = np.zeros((lags * k, lags * k))
    if lags:
        square[:k] = matrices.transpose(1, 0, 2).reshape(k, lags * k)
        square[k:, :-k] = np.eye((lags - 1) * k)
    return square
