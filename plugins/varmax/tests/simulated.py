"""Data for the tests: simulated vector autoregressive moving averages with exogenous columns, well inside the unit circle."""

from __future__ import annotations

import numpy as np

from forecastle_sdk import Dataset, Index

AR = np.array([[0.5, 0.1], [-0.2, 0.4]])
MA = np.array([[0.3, -0.1], [0.2, 0.25]])
SCALES = np.array([1.0, 1000.0])


def simulated(order: tuple[int, int], *, rows: int = 160, exog: int = 1, seed: int = 0) -> Dataset:
    """Simulate two columns of very different size; lags beyond the first are a quarter of it, with the other sign."""
    rng = np.random.default_rng(seed)
    burn = 30
    shocks = rng.standard_normal((rows + burn, 2)) @ np.array([[1.0, 0.4], [0.0, 0.8]])
    drivers = rng.standard_normal((rows + burn, exog))
    endog = np.zeros((rows + burn, 2))
    for t in range(3, rows + burn):
        endog[t] = 1.0 + shocks[t] + 0.7 * drivers[t].sum()
        for lags, matrix, before in ((order[0], AR, endog), (order[1], MA, shocks)):
            for lag in range(1, lags + 1):
                endog[t] += (-0.25) ** (lag - 1) * matrix @ before[t - lag]
    names = tuple(f"x{j}" for j in range(exog))
    return Dataset(
        endog[burn:] * SCALES, ("rate", "output"), Index("integer", rows - 1), drivers[burn:] * 50 + 7 if exog else None, names
    )
