"""Compares what a fit gives with what was registered, and the machine and libraries of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecastle_registry.plain import plain
from forecastle_registry.versions import Version
from forecastle_sdk import Fit, Forecaster

from .golden import held_exog
from .parameters import TrainingParameters

LLF_TOLERANCE = 1e-3  # absolute
FORECAST_TOLERANCE = 1e-6  # relative to the column's scale


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing `then` and `now`. `off` says by how much they differ and `allowed` by how much they may, None for no number.

    Of forecasts, `then` and `now` are the two numbers that differ most, and `off` is relative to the column's scale.
    """

    what: str
    then: Any
    now: Any
    same: bool
    off: float | None = None
    allowed: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of the machine or a library that is another one now; None where it was not there."""

    what: str
    then: str | None
    now: str | None


def compare(version: Version, fit: Fit, forecaster: Forecaster) -> Iterator[Comparison]:
    """Compare a version with a fit and the forecaster that came of it: parameters, verdict, log-likelihood, forecasts."""
    own = TrainingParameters().fields
    then, now = version.parameters, plain(dict(fit.parameters), "parameters")
    for name in sorted({*then, *now} - own.keys()):
        yield _equal(name, then.get(name), now.get(name))
    yield _equal("verdict", version.verdict, None if fit.verdict is None else str(fit.verdict))
    yield _log_likelihoods(version.llf, plain(fit.llf, "llf"))
    yield from _forecasts(version.golden, forecaster)


def environment_differences(lineage: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    """Tell what is another one now than in the lineage; what that does not mention cannot be told apart from nothing."""
    before, after = _environment(lineage), _environment(now)
    for what in sorted({*before, *after}):
        if before.get(what) != after.get(what):
            yield Difference(what, before.get(what), after.get(what))


def _equal(what: str, then: Any, now: Any) -> Comparison:
    return Comparison(what, then, now, then == now)


def _log_likelihoods(then: float | None, now: float | None) -> Comparison:
    if then is None or now is None:
        return _equal("log-likelihood", then, now)
    off = abs(now - then)
    return Comparison("log-likelihood", then, now, off <= LLF_TOLERANCE, off, LLF_TOLERANCE)


def _forecasts(golden: Mapping[str, Any], forecaster: Forecaster) -> Iterator[Comparison]:
    """Compare the golden request's answer column by column, its mean and quantiles together."""
    horizon, quantiles = golden["horizon"], golden["quantiles_at"]
    exog = held_exog(forecaster.signature, horizon)
    answer = forecaster.forecast(horizon, exog=exog, quantiles=quantiles, seed=0)
    then = np.concatenate([np.array(golden["mean"])[None], np.array(golden["quantiles"])])
    now = np.concatenate([answer.mean[None], answer.quantiles])
    if then.shape != now.shape:
        yield _equal("forecast", f"{then.shape}", f"{now.shape}")
        return
    for j, name in enumerate(forecaster.signature.endog):
        yield _column(name, then[:, :, j].ravel(), now[:, :, j].ravel())


def _column(name: str, then: np.ndarray, now: np.ndarray) -> Comparison:
    scale = np.abs(then).max() or 1.0
    off = np.abs(now - then) / scale
    worst = int(off.argmax())
    same = bool(off[worst] <= FORECAST_TOLERANCE)
    what = f"forecast of {name}"
    return Comparison(what, float(then[worst]), float(now[worst]), same, float(off[worst]), FORECAST_TOLERANCE)


def _environment(lineage: Mapping[str, Any]) -> dict[str, str | None]:
    """Return plugin, libraries, Python, machine and processor kernels as texts by name."""
    plugin = lineage.get("plugin", {})
    kernels = {f"{k['internal_api']} {k['version']} on {k['architecture']}" for k in lineage.get("blas", ())}
    return {
        **lineage.get("libraries", {}),
        f"plugin {plugin.get('name')}": f"{plugin.get('distribution')} {plugin.get('version')}",
        "Python": lineage.get("python"),
        "machine": lineage.get("machine"),
        "processor kernel": ", ".join(sorted(kernels)) or None,
    }
