"""Prints what a move would change, for people; the document is the one of the HTTP answer."""

from __future__ import annotations

from typing import Any

import click

from .output import print_table


def print_preview(document: dict[str, Any]) -> None:
    """Print what would be live, what stands in the way, and both versions side by side."""
    preview = document["preview"]
    _print_move(document)
    _print_gate(preview["gate"])
    if preview["refusal"] is not None:
        click.echo(f"As things are it would not move: {preview['refusal']['message']}.")
    if preview["schema"] is not None:
        _print_schema(preview["schema"])
    _print_accuracy(preview["accuracy"])
    _print_forecasts(preview["forecasts"])
    for notice in preview["notices"]:
        click.echo(f"Notice ({notice['code']}): {notice['message']}")
    click.echo("Nothing has moved.")


def _print_move(document: dict[str, Any]) -> None:
    now = "points at nothing" if document["previous"] is None else f"is version {document['previous']}"
    if not document["changed"]:
        click.echo(f"{document['model']}: {document['alias']} {now} already.")
        return
    stack = " ".join(map(str, document["stack"]))
    click.echo(f"{document['model']}: {document['alias']} {now}; it would be version {document['version']} (stack {stack}).")


def _print_gate(gate: dict[str, Any] | None) -> None:
    if gate is None:
        return
    click.echo(f"The gate is {'open' if gate['passed'] else 'closed'}.")
    for condition in gate["conditions"]:
        click.echo(f"  {'passed' if condition['passed'] else 'failed'}  {condition['name']}: {condition['message']}")


def _print_schema(schema: dict[str, Any]) -> None:
    for kind in ("endog", "exog"):
        for change in ("added", "removed"):
            if schema[kind][change]:
                click.echo(f"Columns {change} ({kind}): {', '.join(schema[kind][change])}")
    for name in ("frequency", "index"):
        if schema[name] is not None:
            click.echo(f"The {name} changes from {schema[name]['live']} to {schema[name]['target']}.")
    until = schema["trained_until"]
    click.echo(f"Trained until {until['target']}; what is live, until {until['live']}.")


def _print_accuracy(accuracy: dict[str, Any]) -> None:
    rows = [
        (
            column,
            side,
            measured["label"],
            found["rmse"],
            found["baseline"],
            found["skill"],
            f"{measured['from']} … {measured['until']}",
        )
        for side in ("live", "target")
        if (measured := accuracy[side]) is not None
        for column, found in measured["columns"].items()
    ]
    if not rows:
        return
    click.echo()
    header = ("column", "", "forecast", "RMSE", "baseline", "skill", "measured on")
    print_table(header, sorted(rows, key=lambda row: row[0]), title="Accuracy over all horizons (skill: 1 - RMSE / baseline)")
    if not accuracy["same_test_rows"]:
        click.echo("They were not measured on the same rows: compare their skills rather than their errors.")


def _print_forecasts(forecasts: dict[str, Any]) -> None:
    rows, largest = [], []
    for name, column in forecasts["columns"].items():
        for i, stamp in enumerate(forecasts["timestamps"]):
            values = [None if column[side] is None else column[side][i] for side in ("live", "target", "difference")]
            rows.append((name, str(stamp), *values))
        if (worst := column["largest"]) is not None:
            largest.append((name, str(worst["timestamp"]), worst["absolute"], f"{100 * worst['relative']:.2f} %"))
    click.echo()
    title = "Forecasts, exogenous columns (if any) at their last values"
    print_table(("column", "time", "live", "target", "difference"), rows, title=title)
    if largest:
        click.echo()
        print_table(("column", "time", "absolute", "of its scale"), largest, title="Largest differences")
