"""The columns as the optimizer sees them, and the exact way back to parameters in the columns' own units.

Endogenous columns are shifted and divided by their scale. Exogenous ones are shifted and then mixed so that the mixtures are
uncorrelated and of unit size: collinear columns would otherwise leave the optimizer in a narrow valley. Both maps are linear
in the data, so the model is the same model; shifts are made only where the trend has a constant to take them up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from forecastle_sdk import Dataset

from .coefficients import Coefficients, Shape


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """endog becomes (endog - shift) / scale, each (k,); exog becomes (exog - exog_shift) @ mix, (m,) and (m, m)."""

    shift: np.ndarray
    scale: np.ndarray
    exog_shift: np.ndarray
    mix: np.ndarray

    @classmethod
    def of(cls, data: Dataset, *, centred: bool) -> Scaling:
        """Measure the columns of a dataset; without `centred`, scale is the distance from zero."""
        exog = np.empty((data.nobs, 0)) if data.exog is None else data.exog
        shift, exog_shift = np.nanmean(data.endog, axis=0), exog.mean(axis=0)
        if not centred:
            shift, exog_shift = np.zeros_like(shift), np.zeros_like(exog_shift)
        scale = np.sqrt(np.nanmean((data.endog - shift) ** 2, axis=0))
        return cls(shift, scale, exog_shift, _mix(exog - exog_shift))

    def standardized(self, data: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
        """Return endog (n, k), and exog (n, m) or None where there is no column, as the optimizer sees them."""
        endog = (data.endog - self.shift) / self.scale
        if data.exog is None or not data.exog_names:
            return endog, None
        return endog, (data.exog - self.exog_shift) @ self.mix

    def log_units(self, data: Dataset) -> float:
        """Return how much higher the log-likelihood of standardized columns is: the log of the change of units, by value."""
        return float((~np.isnan(data.endog)).sum(axis=0) @ np.log(self.scale))

    def raw(self, found: Coefficients) -> Coefficients:
        """Return what was found on standardized columns in the columns' own units: the same model, exactly."""
        ar, ma = (m * self.scale[:, None] / self.scale for m in (found.ar, found.ma))
        exog = self.scale[:, None] * found.exog @ self.mix.T
        trend = self.scale[:, None] * found.trend
        if trend.shape[1]:  # where there is no constant the shifts are zero
            trend[:, 0] += self.shift - ar.sum(axis=0) @ self.shift - exog @ self.exog_shift
        shocks = self.scale[:, None] * found.shocks if found.shocks.ndim == 2 else self.scale**2 * found.shocks
        noise = self.scale**2 * found.noise if found.noise.size else found.noise
        return replace(found, trend=trend, ar=ar, ma=ma, exog=exog, shocks=shocks, noise=noise)

    def raw_state(self, mean: np.ndarray, cov: np.ndarray, lags: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a state (s,) and its covariance (s, s) in the columns' own units; the first `lags` blocks have a level."""
        blocks = len(mean) // len(self.scale)
        units = np.tile(self.scale, blocks)
        level = np.concatenate((np.tile(self.shift, lags), np.zeros((blocks - lags) * len(self.scale))))
        return units * mean + level, units[:, None] * cov * units

    def raw_vector(self, vector: np.ndarray, shape: Shape) -> np.ndarray:
        """Do the same for statsmodels' vectors."""
        return self.raw(Coefficients.of(vector, shape)).vector()

    def jacobian(self, shape: Shape) -> np.ndarray:
        """Return the derivative of the raw vector by the standardized one. The map is affine, so it is the same everywhere."""
        origin = self.raw_vector(np.zeros(shape.parameters), shape)
        return np.array([self.raw_vector(unit, shape) - origin for unit in np.eye(shape.parameters)]).T


def _mix(exog: np.ndarray) -> np.ndarray:
    """Return W (m, m) such that exog @ W has uncorrelated columns of unit mean square."""
    width = np.sqrt((exog**2).mean(axis=0))
    _, sizes, axes = np.linalg.svd(exog / width, full_matrices=False)
    return np.asarray(axes.T * (np.sqrt(len(exog)) / sizes) / width[:, None])
