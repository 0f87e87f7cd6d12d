"""The training service: the same steps for every plugin, from loaded data to a registered version.

1. The names, the serializer, the parameters and the plugin are checked before anything is fitted.
2. The data is divided in time order.
3. The plugin prepares, searches and fits on the training part.
4. Accuracy is measured on the test part, which never chose anything.
5. What was found is fitted again on all rows, unless `refit=false`.
6. The version is registered, in one transaction: a training that fails leaves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Engine

from forecastle_registry.actors import LOCAL, Actor
from forecastle_registry.errors import ModelNotFound, PluginMismatch
from forecastle_registry.versions import Registered, get_model
from forecastle_sdk import Context, Dataset, Fit, Notice, Plugin
from forecastle_sdk.errors import DataError

from ..parameters import load_parameters
from ..plugins import Catalogue, InstalledPlugin, plugin_at_work
from ..registering import Draft, check_serializer, register
from ..settings import Settings
from .accuracy import measure_accuracy
from .compute import LokyContext, Report
from .division import Division, divide
from .lineage import lineage_of
from .loading import LoadedData

OF_TRAINING_PART = "about the fit on the training part, whose accuracy was measured; the one that forecasts has seen all rows: "
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is to be trained. `promote` None means: live if it is the model's first version and its verdict is `converged`."""

    model: str
    plugin: str
    data: LoadedData
    parameters: Mapping[str, Any] = field(default_factory=dict)
    serializer: str = "skops"
    promote: bool | None = None
    actor: Actor = LOCAL
    reason: str | None = None


def train(engine: Engine, catalogue: Catalogue, settings: Settings, training: Training, report: Report) -> Registered:
    """Train and register a version. Raises `DataError`, `ParametersError`, `FitError`, and the registry's errors."""
    plugin = catalogue.usable(training.plugin)
    installed = catalogue.get(training.plugin)
    check_training(engine, settings, training)
    own, parameters = load_parameters(plugin, training.parameters)
    context = LokyContext(own["seed"], report)
    division = divide(training.data.dataset, own["test_size"])
    found, fit, accuracy = _fitted(plugin, training.data.dataset, division, own, parameters, context)
    draft = _draft(training, installed, own, division.test_rows, found, fit, accuracy)
    registered = register(
        engine, settings, installed, draft, promote=training.promote, actor=training.actor, reason=training.reason
    )
    report(1, 1, f"registered version {registered.version.number}")
    return registered


def check_training(engine: Engine, settings: Settings, training: Training) -> None:
    """Refuse first what would be refused in the end. Raises `DataError`, `SettingsError` or `PluginMismatch`."""
    if not MODEL_NAME.fullmatch(training.model):
        message = f"{training.model!r:.120} is no name for a model; use lower-case letters, digits, '.', '_' and '-'"
        raise DataError(message, code="model-name-invalid")
    check_serializer(training.serializer, settings)
    try:
        owner = get_model(engine, training.model).plugin
    except ModelNotFound:
        return
    if owner != training.plugin:
        raise PluginMismatch(training.model, owner, training.plugin)


def _fitted(
    plugin: Plugin, data: Dataset, division: Division, own: Mapping[str, Any], parameters: Mapping[str, Any], context: Context
) -> tuple[Fit, Fit, dict[str, Any] | None]:
    """Return what the plugin found on the training part, the fit to register, and the accuracy on the test part."""
    found = find(plugin, division, parameters, context)
    accuracy = None
    if division.test_rows:
        context.progress(0, 1, "measuring accuracy")
        with plugin_at_work(plugin.name, "forecasting the test part"):
            accuracy = measure_accuracy(plugin, found.forecaster, data, division.test_rows, context)
    return found, settle(plugin, data, division, own, found, context), accuracy


def find(plugin: Plugin, division: Division, parameters: Mapping[str, Any], context: Context) -> Fit:
    """Let a plugin search and fit on the training part. Raises what `Plugin.fit` raises."""
    with plugin_at_work(plugin.name, "fitting"):
        return plugin.fit(division.train, parameters, context)


def settle(plugin: Plugin, data: Dataset, division: Division, own: Mapping[str, Any], found: Fit, context: Context) -> Fit:
    """Return the fit that is registered: what was found, fitted again on all rows if some were kept and `refit` is wanted."""
    if not (division.test_rows and own["refit"]):
        return found
    context.progress(0, 1, "fitting on all rows")
    with plugin_at_work(plugin.name, "fitting on all rows"):  # what was found: its resolved parameters repeat it
        return plugin.fit(data, plugin.parameters().load(dict(found.parameters)), context)


def _draft(
    training: Training,
    installed: InstalledPlugin,
    own: dict[str, Any],
    test_rows: int,
    found: Fit,
    fit: Fit,
    accuracy: dict[str, Any] | None,
) -> Draft:
    asked = {name: value for name, value in training.parameters.items() if name not in own}
    return Draft(
        model=training.model,
        forecaster=fit.forecaster,
        serializer=training.serializer,
        parameters={**fit.parameters, **own},
        lineage=lineage_of(training.data, installed, own, asked, test_rows),
        estimates=[asdict(estimate) for estimate in fit.estimates],
        llf=fit.llf,
        criteria=fit.criteria,
        candidates=[candidate.to_json() for candidate in found.candidates],
        verdict=None if fit.verdict is None else str(fit.verdict),
        accuracy=accuracy,
        notices=[notice.to_json() for notice in _distinct(fit, found)],
    )


def _distinct(fit: Fit, found: Fit) -> list[Notice]:
    """Return the notices without repetitions: of the registered fit, then what only the one on the training part had to say."""
    distinct: dict[tuple[str, tuple[str, ...]], Notice] = {}
    for notice in fit.notices:
        distinct.setdefault((notice.code, notice.columns), notice)
    for notice in found.notices:
        distinct.setdefault((notice.code, notice.columns), replace(notice, message=OF_TRAINING_PART + notice.message))
    return list(distinct.values())
