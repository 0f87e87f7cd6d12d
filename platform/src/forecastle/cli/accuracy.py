"""Prints the accuracy of a version, after a training and where the version is described."""

from __future__ import annotations

from typing import Any

import click

from .output import print_table


def print_accuracy(accuracy: dict[str, Any]) -> None:
    """Print how well a version forecast the rows that it had not seen, at the first and at the last horizon."""
    rows = []
    for forecasts in accuracy["forecasts"]:
        for column, by_horizon in forecasts["columns"].items():
            for row in (by_horizon[0], by_horizon[-1]) if len(by_horizon) > 1 else by_horizon:
                covered = [
                    None if row[f"coverage_{level}"] is None else f"{100 * row[f'coverage_{level}']:.0f} %"
                    for level in (80, 95)
                ]
                rows.append((column, forecasts["label"], row["horizon"], row["rmse"], row["mae"], row["mase"], *covered))
    rows.sort(key=lambda row: (row[0], row[2]))
    title = f"Accuracy on {accuracy['test_rows']} rows from {accuracy['from']}, {accuracy['origins']} rolling origins"
    click.echo()
    print_table(("column", "forecast", "horizon", "RMSE", "MAE", "MASE", "in 80 %", "in 95 %"), rows, title=title)
    click.echo()
