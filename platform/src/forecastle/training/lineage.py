"""What a training was made of, so that `forecastle reproduce` can repeat it: data, rows, libraries, seed, kernel."""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from threadpoolctl import threadpool_info

from forecastle_sdk import Dataset

from ..plugins import InstalledPlugin
from .loading import LoadedData

LIBRARIES = ("forecastle-platform", "forecastle-sdk", "numpy", "scipy", "pandas", "statsmodels", "skops")


def lineage_of(
    data: LoadedData,
    installed: InstalledPlugin,
    training: Mapping[str, Any],
    asked: Mapping[str, Any],
    test_rows: int,
) -> dict[str, Any]:
    """Return the lineage of a training as JSON; `training` are its own parameters, `asked` the plugin's as they were given.

    The dataset's digest is that of all rows; `rows`, `from` and `until` are of those that the registered fit has seen.
    """
    return {
        "dataset": _dataset(data, data.dataset.nobs - (0 if training["refit"] else test_rows)),
        "training": {**training, "test_rows": test_rows},
        "asked": dict(asked),
        "seed": training["seed"],
        **environment_of(installed),
        "job": None,
        "parent": None,
    }


def environment_of(installed: InstalledPlugin) -> dict[str, Any]:
    """Return what computes here, as JSON: plugin, libraries, Python, machine, and the kernels of the BLAS loaded so far."""
    return {
        "plugin": {"name": installed.name, "distribution": installed.distribution, "version": installed.version},
        "libraries": {name: _version(name) for name in LIBRARIES},
        "python": machine.python_version(),
        "machine": machine.machine(),
        "blas": _kernels(),
    }


def _dataset(data: LoadedData, fitted: int) -> dict[str, Any]:
    dataset: Dataset = data.dataset
    return {
        **data.source,
        "digest": dataset.digest,
        "rows": [0, fitted],
        "from": dataset.index.at(1 - dataset.nobs),
        "until": dataset.index.at(fitted - dataset.nobs),
        "endog": list(dataset.endog_names),
        "exog": list(dataset.exog_names),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _kernels() -> list[dict[str, Any]]:
    """Return the BLAS libraries in this process, with the kernel that each chose for this processor."""
    wanted = ("internal_api", "version", "architecture")
    return [{name: pool.get(name) for name in wanted} for pool in threadpool_info() if pool.get("user_api") == "blas"]
