"""New observations without a refit: the state moves on, and the child version is registered with its parent in the lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine

from forecastle_registry.actors import Actor
from forecastle_registry.versions import Registered, Version
from forecastle_sdk import Capability, Forecaster, Notice, Signature
from forecastle_sdk.errors import CapabilityError, ExogError, InputError, ObservationsError, Problem

from .errors import pointer_to
from .plugins import Catalogue, InstalledPlugin
from .registering import Draft, register
from .serving.files import check_times
from .serving.forecasts import Forecasting
from .serving.request import REPORTED, Exog, exog_array, exog_columns, is_number
from .settings import Settings
from .tables import read_table, time_column

APPENDED = "observations-appended"


@dataclass(frozen=True, slots=True)
class Observations:
    """New rows as the client wrote them: `index` are their stamps or None; the columns are lists, None is a missing value."""

    endog: Mapping[str, Sequence[Any]]
    exog: Mapping[str, Sequence[Any]]
    index: Sequence[Any] | None = None

    @classmethod
    def of(cls, endog: Exog, exog: Exog | None, index: Sequence[Any] | None) -> Observations:
        """Read rows that came as columns or as records. Raises `InputError`."""
        return cls(exog_columns(endog, "endog"), exog_columns(exog), index)


def observations_from_file(signature: Signature, content: bytes) -> Observations:
    """Read new rows from a CSV, Excel or Parquet file; columns that the model does not know take no part."""
    table = read_table(content, (*signature.endog, *signature.exog_names))
    absent = [name for name in (*signature.endog, *signature.exog_names) if name not in table.header]
    if absent:
        problems = [Problem(pointer_to("file", name), "is absent; every column of the model is needed") for name in absent]
        raise ObservationsError(f"the file lacks {', '.join(absent)}", code="observations-incomplete", problems=problems)
    time = time_column(table.header, (*signature.endog, *signature.exog_names))
    if time is not None:
        check_times(signature.index, table, time)
    endog = {name: [None if v != v else v for v in table.numbers(name, missing=True)] for name in signature.endog}
    exog = {name: table.numbers(name) for name in signature.exog_names}
    return Observations(endog, exog)


def observe(
    engine: Engine,
    catalogue: Catalogue,
    settings: Settings,
    forecasting: Forecasting,
    model: str,
    read: Callable[[Signature], Observations],
    *,
    promote: bool,
    actor: Actor,
) -> Registered:
    """Append rows to the live version's state and register the child; `read` turns the signature into `Observations`.

    Where the live version does not load, its error is raised: no other takes its place. Raises `CapabilityError`,
    `ObservationsError`, `ExogError`, and what choosing and registering raise.
    """
    parent = forecasting.choose(model)
    if parent.instead_of is not None:  # rows are never appended to another version than the one that is live
        raise parent.instead_of.error
    installed = catalogue.get(parent.version.plugin)
    _require_append(installed)
    rows = read(parent.signature)
    forecaster = append_rows(parent.forecaster, parent.signature, rows)
    draft = _child(parent.version, forecaster, rows)
    return register(engine, settings, installed, draft, promote=promote, actor=actor)


def _require_append(installed: InstalledPlugin) -> None:
    assert installed.plugin is not None  # the parent was loaded with it
    if Capability.APPEND not in installed.plugin.capabilities:
        raise CapabilityError(f"the plugin {installed.name!r} takes no new observations without a refit; train a new version")


def append_rows(forecaster: Forecaster, signature: Signature, rows: Observations) -> Forecaster:
    """Return a forecaster that has also seen new rows. Raises `ObservationsError`, `ExogError` or `InputError`."""
    endog = _endog_array(signature, rows.endog)
    _check_index(signature, rows.index, len(endog))
    if rows.exog and not signature.exog:
        raise ExogError("this model takes no exogenous columns; leave exog out", code="exog-unknown")
    return forecaster.append(endog, exog_array(signature, len(endog), rows.exog))


def _endog_array(signature: Signature, columns: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """Return new endogenous rows as float64 (n, k), NaN for what is missing. Raises `ObservationsError`."""
    if set(columns) != set(signature.endog):
        problems = [
            Problem(pointer_to("endog", name), "is no endogenous column of this model")
            for name in columns
            if name not in signature.endog
        ]
        problems += [Problem(pointer_to("endog", name), "is absent") for name in signature.endog if name not in columns]
        message = f"endog must have exactly the columns {', '.join(signature.endog)}"
        raise ObservationsError(message, code="observations-incomplete", problems=problems[:REPORTED])
    lengths = {len(columns[name]) for name in signature.endog}
    if len(lengths) > 1 or lengths == {0}:
        raise ObservationsError(f"the columns of endog have {sorted(lengths)} rows; expected the same number, at least one")
    for name in signature.endog:
        _check_cells(name, columns[name])
    return np.array([[np.nan if cell is None else float(cell) for cell in columns[name]] for name in signature.endog]).T


def _check_cells(name: str, cells: Sequence[Any]) -> None:
    problems = [
        Problem(
            pointer_to("endog", name, i), f"{cell!r:.40} in row {i + 1}; expected a finite number, or null for a missing value"
        )
        for i, cell in enumerate(cells)
        if cell is not None and not is_number(cell)
    ]
    if problems:
        raise ObservationsError(f"the column {name!r}: {problems[0].message}", problems=problems[:REPORTED])


def _check_index(signature: Signature, index: Sequence[Any] | None, rows: int) -> None:
    if index is None:
        return
    if len(index) != rows:
        raise ObservationsError(f"index has {len(index)} stamps for {rows} rows; expected as many")
    for i, stamp in enumerate(index):
        if not signature.index.matches(stamp if isinstance(stamp, int) else str(stamp), i + 1):
            problem = Problem(pointer_to("index", i), f"{stamp!r:.40} in row {i + 1}; expected {signature.index.at(i + 1)}")
            message = f"the rows do not go on where the model ended ({signature.index.last}): {problem.message}"
            raise InputError(message, code="times-do-not-match", problems=[problem])


def _floats(columns: Mapping[str, Sequence[Any]]) -> dict[str, list[float | None]]:
    """Return rows as the state has seen them: JSON's integers may be larger than its readers take."""
    return {name: [None if cell is None else float(cell) for cell in cells] for name, cells in columns.items()}


def _inherited(parent: Version) -> dict[str, Any] | None:
    """Return the accuracy of the same parameters, which the child has too, with the version it was measured of."""
    return None if parent.accuracy is None else {"measured_of": parent.number, **parent.accuracy}


def _child(parent: Version, forecaster: Forecaster, rows: Observations) -> Draft:
    count, last = forecaster.signature.nobs - parent.signature["nobs"], forecaster.signature.index.last
    text = f"{count} rows up to {last} were appended to version {parent.number} without a refit; its parameters are unchanged"
    notices = [notice for notice in parent.notices if notice["code"] != APPENDED]
    return Draft(
        model=parent.model,
        forecaster=forecaster,
        serializer=parent.serializer,
        parameters=parent.parameters,
        lineage={
            **parent.lineage,
            "parent": parent.number,
            "appended": {"rows": count, "until": last, "endog": _floats(rows.endog), "exog": _floats(rows.exog)},
        },
        estimates=parent.estimates,
        llf=parent.llf,
        criteria=parent.criteria,
        verdict=parent.verdict,
        accuracy=_inherited(parent),
        notices=[*notices, Notice(APPENDED, text).to_json()],
        parent=parent.number,
    )
