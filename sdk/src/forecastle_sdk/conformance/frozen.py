"""States that were released, each a file with the forecast it gave, so that later code can be held to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .case import QUANTILES, SEED, Case, fitted
from .plain import dumps, loads


def freeze(case: Case, path: Path) -> Path:
    """Fit the case and write its state and forecast to `path`. Raises `FileExistsError`: what is frozen never changes."""
    forecaster = fitted(case).forecaster
    answer = case.ask(forecaster)
    record: Any = {
        "plugin": case.plugin.name,
        "contract": case.plugin.contract,
        "format": case.plugin.state_format,
        "state": forecaster.state(),
        "horizon": case.horizon,
        "exog": case.future(case.horizon),
        "quantiles": list(QUANTILES),
        "seed": SEED,
        "mean": answer.mean,
        "bounds": answer.quantiles,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(dumps(record) + "\n")
    return path


def frozen_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the records of a folder by file name, sorted."""
    return {path.name: loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def same(answer: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Tell whether two arrays (…, k) agree within `tolerance` of each column's scale."""
    if answer.shape != expected.shape:
        return False
    scale = np.abs(expected).max(axis=tuple(range(expected.ndim - 1)), initial=0.0)
    return bool((np.abs(answer - expected) <= tolerance * scale).all())
