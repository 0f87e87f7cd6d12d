"""Writes an answer down: as the JSON document, and as the CSV table, that every client relies on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from .forecasts import Answer

Columns = dict[str, Any]


def as_document(answer: Answer) -> dict[str, Any]:
    """Return the answer as the JSON object that the wire fixes, of plain lists: whoever prints it need not know numpy."""
    loaded, forecast = answer.loaded, answer.forecast
    signature, version = loaded.signature, loaded.version
    names = signature.endog
    document: dict[str, Any] = {
        "model": {"name": version.model, "version": version.number, "alias": answer.alias, "plugin": version.plugin},
        "frequency": signature.index.freq,
        "trained_until": signature.index.last,
        "timestamps": answer.timestamps,
        "mean": _columns(names, forecast.mean),
    }
    if answer.spread.levels:
        document["intervals"] = [
            {
                "level": _level(level),
                "lower": _columns(names, forecast.quantiles[lower]),
                "upper": _columns(names, forecast.quantiles[upper]),
            }
            for level, lower, upper in answer.spread.levels
        ]
    else:
        document["quantiles"] = {
            repr(q): _columns(names, values) for q, values in zip(answer.spread.quantiles, forecast.quantiles, strict=True)
        }
    document["conditional_on"] = list(signature.exog_names)
    document["notices"] = all_notices(answer)
    return document


def all_notices(answer: Answer) -> list[dict[str, Any]]:
    """Return the version's notices and the forecast's own, each once."""
    notices = list(answer.loaded.notices)
    if answer.forecast.notices:
        told = {(notice["code"], tuple(notice["columns"])) for notice in notices}
        notices += [n.to_json() for n in answer.forecast.notices if (n.code, n.columns) not in told]
    return notices


def as_csv(answer: Answer) -> str:
    """Return the answer as CSV: `timestamp`, then for each endogenous column its mean and bounds, one row a step."""
    header, columns = ["timestamp"], []
    for name, values in _table(answer):
        header.append(name)
        columns.append(values.tolist())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(answer.timestamps, *columns, strict=True))
    return text.getvalue()


def _table(answer: Answer) -> Iterator[tuple[str, np.ndarray]]:
    forecast, levels = answer.forecast, answer.spread.levels
    for j, name in enumerate(answer.loaded.signature.endog):
        yield f"{name}__yhat", forecast.mean[:, j]
        if levels:
            _, lower, upper = levels[-1]
            yield f"{name}__yhat_lower", forecast.quantiles[lower, :, j]
            yield f"{name}__yhat_upper", forecast.quantiles[upper, :, j]
        for level, lower, upper in levels[:-1]:
            yield f"{name}__lower_{_level(level)}", forecast.quantiles[lower, :, j]
            yield f"{name}__upper_{_level(level)}", forecast.quantiles[upper, :, j]
        if not levels:
            for q, values in zip(answer.spread.quantiles, forecast.quantiles, strict=True):
                yield f"{name}__quantile_{q!r}", values[:, j]


def _level(level: float) -> int | float:
    """Return a level as a person writes it: 80, but 99.5."""
    return int(level) if level == int(level) else level


def _columns(names: tuple[str, ...], values: np.ndarray) -> Columns:
    return dict(zip(names, values.T.tolist(), strict=True))
