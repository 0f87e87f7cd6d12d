"""How commands speak: tables and progress for people, one JSON document for programs. Progress goes to stderr."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..training.compute import Report

NOTHING = "–"
NUMERIC = re.compile(rf"{NOTHING}|-?\d+(\.\d+)?(e[+-]?\d+)?( %)?")
GAP = "  "
NARROW = 16  # a column of text is wrapped at no less


class Whole(click.IntRange):
    """A whole number within bounds; click calls it an integer range, which people do not."""

    name = "number"


as_json = click.option("--json", "json_", is_flag=True, help="Print one JSON document and nothing else.")


def print_json(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table; on a terminal its widest columns of text are wrapped to fit, elsewhere a row is a line."""
    if title:
        click.echo(title)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    names, *lines = table_lines(header, rows, width)
    if names:
        click.secho(names, bold=True)
    for line in lines:
        click.echo(line)


def table_lines(header: Sequence[str], rows: Iterable[Sequence[Any]], width: int | None = None) -> list[str]:
    """Return a table's lines, the header first; numbers are aligned to the right, and nothing is ever cut.

    Where `width` is given, columns of text are wrapped until a line has at most so many characters, if that can be had.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [bool(cells) and all(NUMERIC.fullmatch(row[j]) for row in cells) for j in range(len(header))]
    widths = [max(map(cell_len, column)) for column in zip(header, *cells, strict=True)]
    _narrow(widths, numeric, width)
    head = _joined([[name] for name in header], widths, numeric)
    wrapped = [[_wrapped(text, room) for text, room in zip(row, widths, strict=True)] for row in cells]
    return [*head, *(line for row in wrapped for line in _joined(row, widths, numeric))]


def _narrow(widths: list[int], numeric: Sequence[bool], width: int | None) -> None:
    """Take what is too wide from the widest column of text, as often as that helps."""
    texts = [j for j, is_number in enumerate(numeric) if not is_number]
    while width is not None and texts and (excess := sum(widths) + len(GAP) * (len(widths) - 1) - width) > 0:
        widest = max(texts, key=widths.__getitem__)
        if widths[widest] <= NARROW:
            return
        widths[widest] = max(NARROW, widths[widest] - excess)


def _wrapped(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _joined(row: Sequence[Sequence[str]], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    lines = []
    for parts in zip_longest(*row, fillvalue=""):
        blanks = [" " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True)]
        placed = [b + p if n else p + b for p, b, n in zip(parts, blanks, numeric, strict=True)]
        lines.append(GAP.join(placed).rstrip())
    return lines


def _cell(value: Any) -> str:
    if value is None:
        return NOTHING
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"


@contextmanager
def progress_report() -> Iterator[Report]:
    """Yield a function that shows progress on stderr: a bar with the time left on a terminal, else a line for each step."""
    if sys.stderr.isatty():
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
