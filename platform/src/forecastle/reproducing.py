"""Fits a version again from its lineage and compares what comes out with what was registered. Nothing is written.

1. The version that was fitted is found: of a child, which only appended rows, the first of its line.
2. Its data is loaded again, and must be the same by its digest.
3. The plugin searches and fits as it did, with the parameters as they were asked for and the same rows and seed.
4. The rows that the children appended are appended.
5. Parameters, verdict, log-likelihood and the golden request's forecasts are compared, and so are the libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from forecastle_registry.versions import Version, get_version
from forecastle_sdk import Dataset, Fit, Forecaster, Plugin
from forecastle_sdk.errors import DataError

from .observing import Observations, append_rows
from .outcomes import Comparison, Difference, compare, environment_differences
from .parameters import load_parameters
from .plugins import Catalogue, plugin_at_work
from .training.compute import LokyContext, Report
from .training.division import divide
from .training.lineage import environment_of
from .training.loading import LoadedData, load_data
from .training.service import find, settle

NO_SEARCH = (
    "the parameters as they were asked for (the version was made by a release that did not keep them): what was found "
    "is fitted again, and not searched for again"
)
NO_TIME = "which column was the time (the version was made by a release that did not keep it): it was guessed again"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How a version came out when it was fitted again.

    `fitted` is the version whose fit was repeated, the version itself unless that only appended rows to another's;
    `appended` counts those rows. `differences` are between the machine and libraries then and now; `unknown` names, each in
    a sentence's part, what the version does not tell.
    """

    model: str
    version: int
    fitted: int
    appended: int
    comparisons: tuple[Comparison, ...]
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]

    @property
    def reproduced(self) -> bool:
        """Whether everything came out as it did."""
        return all(comparison.same for comparison in self.comparisons)


def reproduce(
    engine: Engine,
    catalogue: Catalogue,
    model: str,
    number: int,
    report: Report,
    *,
    data: str | None = None,
    time: str | None = None,
) -> Reproduction:
    """Fit a version again and compare. `data` is a file or a sample to read instead of the lineage's, `time` its column.

    Raises `ModelNotFound`, `VersionNotFound`, `PluginUnavailable`, `DataError` with the code `data-not-found`,
    `data-changed` or `lineage-missing`, and what a training raises.
    """
    version = get_version(engine, model, number)
    line = _line_of(engine, version)
    plugin = catalogue.serving(version.plugin)
    loaded, guessed = _load(line[0], data, time)
    fit = _fitted(plugin, line[0], loaded.dataset, report)
    report(0, 1, "comparing")
    with plugin_at_work(plugin.name, "appending rows and forecasting"):
        comparisons = compare(version, fit, _with_appended(fit.forecaster, line[1:]))
    unknown = [NO_SEARCH] if "asked" not in line[0].lineage else []
    report(1, 1, "compared")
    return Reproduction(
        model,
        number,
        line[0].number,
        sum(child.lineage["appended"]["rows"] for child in line[1:]),
        tuple(comparisons),
        tuple(environment_differences(version.lineage, environment_of(catalogue.get(version.plugin)))),
        (*unknown, NO_TIME) if guessed else tuple(unknown),
    )


def _line_of(engine: Engine, version: Version) -> list[Version]:
    """Return the versions from the one that was fitted to this one, each the parent of the next."""
    line = [version]
    while line[0].parent is not None:
        line.insert(0, get_version(engine, version.model, line[0].parent))
    if not {"dataset", "training"} <= line[0].lineage.keys():
        message = f"version {line[0].number} of {version.model!r} does not say what it was fitted on; train a new version"
        raise DataError(message, code="lineage-missing")
    return line


def _load(version: Version, data: str | None, time: str | None) -> tuple[LoadedData, bool]:
    """Return the data that a version was fitted on, and whether its time column had to be guessed."""
    then = version.lineage["dataset"]
    name = data or _source_of(version)
    # An earlier release did not keep how the times were read; what it inferred stands in the signature.
    frequencies = [then["freq"]] if "freq" in then else [None, version.signature["index"]["freq"]]
    failure: DataError | None = None
    for freq in frequencies:
        try:
            loaded = load_data(name, then["endog"], then["exog"], time=time or then.get("time"), freq=freq)
        except DataError as error:
            failure = error
            continue
        if loaded.dataset.digest == then["digest"]:
            return loaded, time is None and "time" not in then
        failure = _changed(version, name, loaded)
    assert failure is not None  # there is at least one frequency to try
    raise failure


def _source_of(version: Version) -> str:
    """Return the sample or the file that a version was fitted on. A file is looked for where this process runs."""
    then = version.lineage["dataset"]
    file = then.get("file")
    if file is not None and not Path(file).is_file():
        message = (
            f"version {version.number} of {version.model!r} was fitted on the file {file!r} (SHA-256 {then['sha256']}), "
            f"which is not in {Path.cwd()}; say where it is: --data FILE"
        )
        raise DataError(message, code="data-not-found")
    name = file or then.get("sample")
    if name is None:
        message = f"version {version.number} of {version.model!r} does not say where its data is; give it: --data FILE"
        raise DataError(message, code="data-not-found")
    return str(name)


def _changed(version: Version, name: str, loaded: LoadedData) -> DataError:
    then = version.lineage["dataset"]
    message = (
        f"{name!r} is not what version {version.number} of {version.model!r} was fitted on: its digest is "
        f"{loaded.dataset.digest}, that of the data then was {then['digest']}; find the data as it was: --data FILE"
    )
    return DataError(message, code="data-changed")


def _fitted(plugin: Plugin, version: Version, data: Dataset, report: Report) -> Fit:
    """Repeat the fit: search and all where the parameters as asked for are known, else with those that were found."""
    lineage = version.lineage
    own = {name: value for name, value in lineage["training"].items() if name != "test_rows"}
    context = LokyContext(own["seed"], report)
    if "asked" in lineage:
        _, parameters = load_parameters(plugin, lineage["asked"])
        division = divide(data, lineage["training"]["test_rows"])
        return settle(plugin, data, division, own, find(plugin, division, parameters, context), context)
    _, parameters = load_parameters(plugin, _resolved(version.parameters, own))
    with plugin_at_work(plugin.name, "fitting"):
        return plugin.fit(data.rows(*lineage["dataset"]["rows"]), parameters, context)


def _resolved(parameters: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in own}


def _with_appended(forecaster: Forecaster, children: list[Version]) -> Forecaster:
    for child in children:
        rows = child.lineage["appended"]
        forecaster = append_rows(forecaster, forecaster.signature, Observations(rows["endog"], rows["exog"]))
    return forecaster
