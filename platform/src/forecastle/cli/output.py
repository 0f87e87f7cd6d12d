"""How commands speak: tables and progress for people, one JSON document for programs. Progress goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ..training.compute import Report

WIDE = 200  # columns when the output is no terminal: nothing is cut there

as_json = click.option("--json", "json_", is_flag=True, help="Print one JSON document and nothing else.")


def print_json(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table; numbers are aligned to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    lines = [[_cell(value) for value in row] for row in rows]
    for i, name in enumerate(header):
        numeric = all(_is_number(line[i]) for line in lines)
        table.add_column(name, justify="right" if numeric and lines else "left", no_wrap=not sys.stdout.isatty())
    for line in lines:
        table.add_row(*line)
    console().print(table)


def console() -> Console:
    """Return a console on stdout that cuts nothing when it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE, markup=False, emoji=False)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.6g}".replace(",", "") if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return text == "–" or text.lstrip("-").replace(".", "", 1).replace("e+", "").replace("e-", "").isdigit()


@contextmanager
def progress_report(*, quiet: bool = False) -> Iterator[Report]:
    """Yield a function that shows progress: a bar with the time left on a terminal, else a line for each step."""
    if quiet:
        yield lambda done, total, what: None
    elif sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task("starting", total=None)
            yield lambda done, total, what: bar.update(task, description=what, completed=done, total=total)
    else:
        yield _line


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _line(done: int, total: int, what: str) -> None:
    click.echo(f"[{done}/{total}] {what}", err=True)
