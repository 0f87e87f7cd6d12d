"""The command line, `forecastle`: one line per error with what to do next, exit 2 for wrong use, 1 for failure."""

from __future__ import annotations

import logging
import os
import sys
import traceback

import click

from forecastle_registry.errors import RegistryError
from forecastle_sdk.errors import ForecastleError, ParametersError

from .. import __version__
from ..errors import PlatformError
from ..settings import SHOW_TRACEBACK
from . import (
    archiving,
    artifacts,
    auditing,
    backups,
    database,
    doctor,
    forecasting,
    keys,
    listing,
    moving,
    protecting,
    reproducing,
    serving,
    training,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="forecastle")
def forecastle() -> None:
    """Turn a time-series model into a service.

    Train a model from your data, look at its accuracy, serve forecasts, and go back a version when you must. Settings are
    environment variables; `forecastle doctor` prints them all.
    """


for command in (
    training.train,
    forecasting.forecast,
    forecasting.observe,
    moving.promote,
    moving.rollback,
    protecting.aliases,
    protecting.protect,
    protecting.unprotect,
    archiving.archive,
    archiving.delete,
    reproducing.reproduce,
    listing.models,
    listing.versions,
    listing.plugins,
    auditing.events,
    keys.keys,
    serving.serve,
    database.db,
    artifacts.artifacts,
    backups.backup,
    backups.restore,
    doctor.doctor,
):
    forecastle.add_command(command)


def main() -> None:
    """Run the command line and exit with its status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    sys.exit(_run())


def _run() -> int:
    try:
        return int(forecastle.main(prog_name="forecastle", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:  # wrong use: click words it, with the option's name
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "forecastle"
        message = " ".join(error.format_message().split()).rstrip(".")  # click lists choices on lines of their own
        then = " See" if message.endswith("?") else "; see"  # click asks what was meant
        click.echo(f"forecastle: {message}{then} `{where} --help`", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        click.echo("forecastle: stopped; nothing half-made was left", err=True)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  lives until the process ends, a few lines on
        return 1
    except (RegistryError, PlatformError, ForecastleError) as error:
        _trace()
        _explain(error)
        return 2 if isinstance(error, ParametersError) else 1
    except Exception as error:  # noqa: BLE001  the outermost border: a person gets a sentence, and the way to a traceback
        _trace()
        message = f"forecastle: unexpected {type(error).__name__}: {error}; this is a bug, {SHOW_TRACEBACK}=1 shows where"
        click.echo(message, err=True)
        return 1


def _trace() -> None:
    if os.environ.get(SHOW_TRACEBACK):
        traceback.print_exc()


def _explain(error: RegistryError | PlatformError | ForecastleError) -> None:
    click.echo(f"forecastle: {error.message}", err=True)
    problems = getattr(error, "problems", ())
    told = all(problem.message in error.message for problem in problems)  # as a search tells its whole table
    for problem in problems if len(problems) > 1 and not told else ():
        click.echo(f"  {problem.pointer.lstrip('/')}: {problem.message}", err=True)
