"""A linear Gaussian system that stands at its last row: what it is made of, one step forward, and one row taken in.

a = T a + C u,  P = T P T' + R Q R',  y = Z a + D u,  V = Z P Z' + H   (Durbin and Koopman 2012, sections 4.3 and 4.10)

`u` holds the powers of the clock and then the exogenous columns. Where regression coefficients are states, the exogenous
columns stand in Z instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .data import State
from .errors import StateError

SINGULAR = 1e-13  # a variance this small beside what it was before is rounding: the value was known already


@dataclass(frozen=True, slots=True, eq=False)
class StateSpace:
    """System matrices, the filtered state of the last row, and the clock; the arrays are read-only float64 copies.

    s states, r shocks, k endogenous columns, and inputs u = [clock**p for p in powers] + m exogenous columns.
    Raises `StateError` when shapes disagree or a number is not finite.
    """

    transition: np.ndarray  # T (s, s)
    selection: np.ndarray  # R (s, r)
    shock_cov: np.ndarray  # Q (r, r)
    design: np.ndarray  # Z (k, s)
    noise: np.ndarray  # the diagonal of H (k,); correlated noise belongs into the state
    state_input: np.ndarray  # C (s, len(powers) + m)
    output_input: np.ndarray  # D (k, len(powers) + m)
    mean: np.ndarray  # a (s,), filtered
    cov: np.ndarray  # P (s, s), filtered
    clock: int = 0  # what the trend reads during the first coming step
    powers: tuple[int, ...] = ()
    regression: int | None = (
        None  # the state with the first exogenous coefficient: exog column j multiplies state regression + j
    )

    def __post_init__(self) -> None:
        for field in _ARRAYS:
            object.__setattr__(self, field, _frozen(field, getattr(self, field)))
        object.__setattr__(self, "clock", int(self.clock))
        object.__setattr__(self, "powers", tuple(int(p) for p in self.powers))
        states, shocks, endog, inputs = self.states, self.selection.shape[-1], len(self.design), self.state_input.shape[-1]
        expected = {
            "transition": (states, states),
            "selection": (states, shocks),
            "shock_cov": (shocks, shocks),
            "design": (endog, states),
            "noise": (endog,),
            "state_input": (states, inputs),
            "output_input": (endog, inputs),
            "mean": (states,),
            "cov": (states, states),
        }
        for field, shape in expected.items():
            if getattr(self, field).shape != shape:
                raise StateError(f"{field} has shape {getattr(self, field).shape}; expected {shape}")
        if self.exog_count < 0 or (self.regression is not None and not self._holds_coefficients()):
            raise StateError(f"{inputs} inputs and {states} states do not fit the powers {self.powers} and the regression")

    def _holds_coefficients(self) -> bool:
        assert self.regression is not None
        return len(self.design) == 1 and 0 <= self.regression <= self.states - self.exog_count

    @property
    def states(self) -> int:
        """The number of states."""
        return len(self.mean)

    @property
    def exog_count(self) -> int:
        """The number of exogenous columns."""
        return int(self.state_input.shape[1]) - len(self.powers)

    def inputs(self, exog: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what the inputs add to the states (h, s) and to the outputs (h, k) in the coming steps; `exog` is (h, m)."""
        values = exog
        if self.powers:
            clock = np.arange(self.clock, self.clock + len(exog), dtype=np.float64)
            values = np.concatenate((clock[:, None] ** np.array(self.powers, dtype=np.float64), exog), axis=1)
        return values @ self.state_input.T, values @ self.output_input.T

    def designs(self, exog: np.ndarray) -> np.ndarray:
        """Return Z for each coming step (h, k, s): the same one each time, but where coefficients are states."""
        if self.regression is None:
            return np.broadcast_to(self.design, (len(exog), *self.design.shape))
        designs = np.repeat(self.design[None], len(exog), axis=0)
        designs[:, 0, self.regression : self.regression + self.exog_count] = exog
        return designs

    def means(self, exog: np.ndarray) -> np.ndarray:
        """Return the expected outputs of the coming steps, (h, k)."""
        states, offsets = self.inputs(exog)  # what the inputs add becomes the states, row by row
        state, step = self.mean, self.transition.dot
        for row in states:
            row += step(state)
            state = row
        if self.regression is None:
            return states @ self.design.T + offsets
        return np.einsum("hks,hs->hk", self.designs(exog), states) + offsets

    def covariances(self, horizon: int, start: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yield P for `horizon` coming steps, from `start` (the last row's P when None)."""
        shock = self.selection @ self.shock_cov @ self.selection.T
        cov = self.cov if start is None else start
        for _ in range(horizon):
            cov = self.transition @ cov @ self.transition.T + shock
            yield cov

    def after(self, endog: np.ndarray, exog: np.ndarray) -> StateSpace:
        """Return the system after it has seen more rows: endog (n, k) with NaN for missing values, exog (n, m)."""
        added, offsets = self.inputs(exog)
        shock = self.selection @ self.shock_cov @ self.selection.T
        mean, cov = self.mean, self.cov
        for row, change, offset, design in zip(endog, added, offsets, self.designs(exog), strict=True):
            mean = self.transition @ mean + change
            cov = self.transition @ cov @ self.transition.T + shock
            mean, cov = _updated(mean, cov, row - offset, design, self.noise)
        return replace(self, mean=mean, cov=cov, clock=self.clock + len(endog))

    def to_state(self) -> dict[str, State]:
        """Return the system as plain data."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> StateSpace:
        """Read back what `to_state` wrote. Raises `StateError`."""
        names = [field.name for field in fields(cls)]
        if not isinstance(state, Mapping) or sorted(state) != sorted(names):
            raise StateError(f"the stored system does not have exactly the fields {names}; train the version again")
        try:
            return cls(**state)
        except (TypeError, ValueError) as error:
            raise StateError(f"the stored system cannot be read: {error}") from error


_ARRAYS = ("transition", "selection", "shock_cov", "design", "noise", "state_input", "output_input", "mean", "cov")


def _frozen(name: str, values: np.ndarray) -> np.ndarray:
    copy = np.array(values, dtype=np.float64, order="C", copy=True)
    if not np.isfinite(copy).all():
        raise StateError(f"{name} has values that are not finite numbers")
    if copy.ndim != (1 if name in ("noise", "mean") else 2):
        raise StateError(f"{name} has {copy.ndim} dimensions")
    copy.setflags(write=False)
    return copy


def _plain(value: Any) -> State:
    return list(value) if isinstance(value, tuple) else value


def _updated(
    mean: np.ndarray, cov: np.ndarray, row: np.ndarray, design: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take in one row, one observed value after the other (Durbin and Koopman 2012, section 6.4): nothing is inverted."""
    before = np.einsum("ks,st,kt->k", design, cov, design) + noise
    for i in np.flatnonzero(~np.isnan(row)):
        shared = cov @ design[i]
        variance = design[i] @ shared + noise[i]
        if variance > SINGULAR * before[i]:
            mean = mean + shared * ((row[i] - design[i] @ mean) / variance)
            cov = cov - np.outer(shared, shared) / variance
    return mean, (cov + cov.T) / 2


def factor(cov: np.ndarray) -> np.ndarray:
    """Return a lower triangular L with L L' = cov for a covariance that may be singular (a state that is known has none)."""
    lower = np.zeros_like(cov)
    for j in range(len(cov)):
        rest = cov[j:, j] - lower[j:, :j] @ lower[j, :j]
        if rest[0] > SINGULAR * cov[j, j]:
            lower[j:, j] = rest / np.sqrt(rest[0])
    return lower
