"""`forecastle forecast` and `forecastle observe`."""

from __future__ import annotations

from pathlib import Path

import click

from forecastle_sdk.errors import QuantilesError

from ..describing import refusal_document, version_document
from ..observing import observations_from_file
from ..observing import observe as run_observe
from ..serving.files import exog_from_file
from ..serving.forecasts import Answer, answer
from ..serving.rendering import all_notices, as_csv, as_document
from ..serving.request import Ask, spread
from .installation import Installation, command_line
from .moving import live_words
from .output import Whole, as_json, print_json, print_table

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def percentages(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    """Read a comma-separated list of percentages."""
    if text is None:
        return None
    try:
        levels = tuple(float(part) for part in text.split(","))
        spread(levels, None)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no comma-separated list of numbers, such as 80,95", context, parameter) from None
    except QuantilesError as error:
        raise click.BadParameter(error.message, context, parameter) from None
    return levels


@click.command()
@click.argument("model")
@click.option("--horizon", type=Whole(1), help="Steps ahead; as many as --exog has rows unless given.")
@click.option("--exog", "exog_file", type=FILE, help="A CSV or Excel file with future values of the exogenous columns.")
@click.option("--levels", callback=percentages, metavar="80,95", help="Prediction intervals in percent.  [default: 95]")
@click.option("--version", type=Whole(1), help="A version, live or not.")
@click.option("--alias", help="Follow another alias than production.")
@click.option(
    "--format", "form", type=click.Choice(("table", "json", "csv")), default="table", show_default=True, help="How to print it."
)
def forecast(
    model: str,
    horizon: int | None,
    exog_file: Path | None,
    levels: tuple[float, ...] | None,
    version: int | None,
    alias: str | None,
    form: str,
) -> None:
    """Forecast with MODEL, from its state, without a server."""
    if version is not None and alias is not None:
        raise click.UsageError("give --version or --alias, not both")
    loaded = Installation.here().forecasting.choose(model, version, alias)
    exog = None if exog_file is None else exog_from_file(loaded.signature, exog_file.read_bytes(), loaded.max_horizon)
    found = answer(loaded, Ask(horizon, exog, levels, None, version, alias))
    if form == "json":
        print_json(as_document(found))
    elif form == "csv":
        click.echo(as_csv(found), nl=False)
        _tell_notices(found, err=True)  # a table has no place for them
    else:
        _print_answer(found)


def _print_answer(found: Answer) -> None:
    version, signature = found.loaded.version, found.loaded.signature
    header = ["time"]
    columns: list[list[float]] = []
    for j, name in enumerate(signature.endog):
        header.append(name)
        columns.append(found.forecast.mean[:, j].tolist())
        for level, lower, upper in found.spread.levels:
            header += [f"{level:g} % from", "to"]
            columns += [found.forecast.quantiles[lower, :, j].tolist(), found.forecast.quantiles[upper, :, j].tolist()]
    title = f"{version.model} version {version.number} ({version.plugin}), trained until {signature.index.last}"
    print_table(header, zip(found.timestamps, *columns, strict=True), title=title)
    if signature.exog:
        click.echo(f"Conditional on {', '.join(signature.exog_names)}.")
    _tell_notices(found)


def _tell_notices(found: Answer, *, err: bool = False) -> None:
    for notice in all_notices(found):
        click.echo(f"Notice ({notice['code']}): {notice['message']}", err=err)


@click.command(short_help="Let MODEL see new rows, without a refit.")
@click.argument("model")
@click.option(
    "--data", "file", type=FILE, required=True, help="A CSV or Excel file with the rows that follow the last known one."
)
@click.option("--promote", is_flag=True, help="Make the child version live at once, if `production` lets it.")
@as_json
def observe(model: str, file: Path, promote: bool, json_: bool) -> None:
    """Let MODEL see new rows without a refit: a child version is registered, its parameters unchanged."""
    here = Installation.here()
    content = file.read_bytes()
    registered = run_observe(
        here.engine,
        here.catalogue,
        here.settings,
        here.forecasting,
        model,
        lambda signature: observations_from_file(signature, content),
        promote=promote,
        actor=command_line(),
    )
    version = registered.version
    if json_:
        told = {"live": registered.live, "refusal": refusal_document(registered.refusal)}
        print_json({**version_document(version), **told})
        return
    live = live_words(registered, "live now")
    last = version.signature["index"]["last"]
    click.echo(f"{model} version {version.number} has seen the rows until {last} (child of version {version.parent}), {live}.")
