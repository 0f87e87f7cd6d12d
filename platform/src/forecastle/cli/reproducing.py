"""`forecastle reproduce`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ..outcomes import Comparison
from ..reproducing import Reproduction
from ..reproducing import reproduce as run_reproduce
from .installation import Installation
from .output import Whole, as_json, print_json, print_table, progress_report


@click.command(short_help="Fit a version again from its lineage, and compare.")
@click.argument("model")
@click.argument("number", type=Whole(1))
@click.option(
    "--data", metavar="FILE", help="Where the data is now; without it, where the version says: a sample, or a file here."
)
@click.option("--time", metavar="COLUMN", help="The column of the times, for a version that does not remember it.")
@as_json
def reproduce(model: str, number: int, data: str | None, time: str | None, json_: bool) -> int:
    """Fit version NUMBER of MODEL again from its lineage, and tell whether it comes out the same.

    Parameters and verdict must be equal, the log-likelihood within 0.001, and forecasts within a millionth of the column's
    scale. Nothing is registered. Exit status 0 says that it was reproduced, 1 that it was not.
    """
    here = Installation.here()
    with progress_report() as report:
        found = run_reproduce(here.engine, here.catalogue, model, number, report, data=data, time=time)
    if json_:
        print_json({**asdict(found), "reproduced": found.reproduced})
    else:
        _print(found)
    return 0 if found.reproduced else 1


def _print(found: Reproduction) -> None:
    rows = [(c.what, c.then, c.now, _off(c), "yes" if c.same else "NO") for c in found.comparisons]
    print_table(("", "then", "now", "off by", "the same"), rows, title=_title(found))
    click.echo()
    if found.differences:
        print_table(("what computes", "then", "now"), [(d.what, d.then, d.now) for d in found.differences])
    else:
        click.echo("Libraries, Python and processor kernel are those of then.")
    for what in found.unknown:
        click.echo(f"Not known: {what}.")
    verdict = "is reproduced" if found.reproduced else "is NOT reproduced"
    click.echo(f"{found.model} version {found.version} {verdict}.")


def _title(found: Reproduction) -> str:
    if found.fitted == found.version:
        return f"{found.model} version {found.version}, fitted again"
    return f"{found.model} version {found.version}: version {found.fitted} fitted again, and {found.appended} rows appended"


def _off(comparison: Comparison) -> Any:
    return None if comparison.off is None else f"{comparison.off:.1e} of {comparison.allowed:g} allowed"
