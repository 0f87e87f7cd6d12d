"""`forecastle train`."""

from __future__ import annotations

from typing import Any

import click

from forecastle_registry.serializers import SERIALIZERS
from forecastle_registry.versions import Registered

from ..describing import refusal_document, version_document
from ..training.loading import load_data
from ..training.samples import SAMPLES
from ..training.service import Training
from ..training.service import train as run_training
from .accuracy import print_accuracy
from .installation import Installation, command_line
from .moving import live_words
from .output import as_json, print_json, print_table, progress_report


def columns(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Split a comma-separated list of columns."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise click.BadParameter(f"{doubled[0]!r} is named twice", context, parameter)
    return names


def assignments(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=VALUE pairs."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is no NAME=VALUE", context, parameter)
        if name in values:
            raise click.BadParameter(f"{name!r} is set twice", context, parameter)
        values[name] = value
    return values


@click.command()
@click.argument("model")
@click.option("--plugin", required=True, help="The kind of model; `forecastle plugins` lists what is installed.")
@click.option("--data", required=True, metavar="FILE|SAMPLE", help=f"A CSV or Excel file, or a sample: {', '.join(SAMPLES)}.")
@click.option("--endog", required=True, callback=columns, metavar="A,B", help="The columns to forecast.")
@click.option(
    "--exog", callback=columns, metavar="C,D", help="Columns whose future values will be given. Without it there are none."
)
@click.option("--time", metavar="COLUMN", help="The column of the times, unless its name says so.")
@click.option("--freq", metavar="FREQ", help="The frequency in pandas' spelling (QS-JAN, MS, D, h), unless it can be inferred.")
@click.option(
    "--set",
    "parameters",
    multiple=True,
    callback=assignments,
    metavar="NAME=VALUE",
    help="A parameter of the plugin or of the training; `forecastle plugins NAME` lists them.",
)
@click.option(
    "--serializer", type=click.Choice(SERIALIZERS), default="skops", show_default=True, help="How the artifact is written."
)
@click.option(
    "--promote",
    is_flag=True,
    default=None,
    help="Make the version live, whatever its verdict, unless `production` is protected and asks for more. A model's first"
    " version goes live by itself when it converged and nothing protects `production`.",
)
@as_json
def train(
    model: str,
    plugin: str,
    data: str,
    endog: tuple[str, ...],
    exog: tuple[str, ...],
    time: str | None,
    freq: str | None,
    parameters: dict[str, str],
    serializer: str,
    promote: bool | None,
    json_: bool,
) -> None:
    """Train MODEL on data and register it as its next version.

    The last tenth of the rows measures accuracy and never chooses anything; then what was found is fitted again on all rows
    (--set test_size=0 and --set refit=false change that).

    \b
    Example:
      forecastle train sales --plugin NAME --data sales.csv --endog sold --set NAME=VALUE
    """
    here = Installation.here()
    engine = here.engine
    training = Training(
        model=model,
        plugin=plugin,
        data=load_data(data, endog, exog, time=time, freq=freq),
        parameters=parameters,
        serializer=serializer,
        promote=promote,
        actor=command_line(),
    )
    with progress_report() as report:
        registered = run_training(engine, here.catalogue, here.settings, training, report)
    if json_:
        told = {"live": registered.live, "refusal": refusal_document(registered.refusal)}
        print_json({**version_document(registered.version), **told})
    else:
        _print_summary(registered)


def _print_summary(registered: Registered) -> None:
    version = registered.version
    click.echo(f"{version.model} version {version.number} is registered, {live_words(registered, 'live as production')}.")
    llf = "" if version.llf is None else f", log-likelihood {version.llf:.2f}"
    verdict = "" if version.verdict is None else f"Verdict: {version.verdict}{llf}. "
    click.echo(f"{verdict}Parameters: {', '.join(f'{name}={value}' for name, value in version.parameters.items())}.")
    _print_candidates(version.candidates)
    if version.accuracy:
        print_accuracy(version.accuracy)
    for notice in version.notices:
        click.echo(f"Notice ({notice['code']}): {notice['message']}")


def _print_candidates(candidates: list[dict[str, Any]]) -> None:
    if len(candidates) < 2:
        return
    names = list(candidates[0]["criteria"])
    rows = [
        (c["order"], c["verdict"], c["llf"], *(c["criteria"].get(name) for name in names), round(c["seconds"], 2))
        for c in candidates
    ]
    click.echo()
    print_table(("order", "verdict", "llf", *names, "seconds"), rows, title=f"What was tried (n {candidates[0]['nobs']})")
