"""`forecastle db upgrade` and `forecastle db copy`."""

from __future__ import annotations

import os

import click

from forecastle_registry.verifying import Verification

from ..copying import copy_database, shown_url
from ..database import open_database
from ..database import upgrade as upgrade_database
from ..errors import PlatformError
from ..settings import settings_from
from .installation import command_line
from .output import progress_report


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
def upgrade() -> None:
    """Bring the database's tables to this release's revision. Safe to run from several processes at once."""
    before, after = upgrade_database(open_database(settings_from(os.environ)))
    if before == after:
        click.echo(f"The database is up to date (revision {after}).")
    else:
        click.echo(
            f"The database went from revision {before} to {after}." if before else f"The tables are made (revision {after})."
        )


@db.command(short_help="Copy everything to another, empty database.")
@click.option("--from", "source", metavar="URL", help="The database to copy; this installation's unless given.")
@click.option("--to", "target", metavar="URL", required=True, help="An empty database; its tables are made.")
def copy(source: str | None, target: str) -> None:
    """Copy everything to another, empty database, as from SQLite to Postgres.

    The copy is of one moment. Stop trainings and promotions first: what is written meanwhile stays behind. Forecasts may
    go on.
    """
    settings = settings_from(os.environ)
    with progress_report() as report:
        copied = copy_database(settings, source or settings.database_url, target, actor=command_line(), progress=report)
    counts = [f"{copied.rows[name]} {name}" for name in ("models", "versions", "events")]
    click.echo(f"Copied {counts[0]}, {counts[1]} and {counts[2]} to {shown_url(target)}.")
    explain_log(copied.log)
    click.echo(
        "Next: set FORECASTLE_DATABASE_URL to the new database wherever this installation runs, and restart its servers."
    )


def explain_log(log: Verification) -> None:
    """Say whether the audit log fits its seals. Raises `PlatformError` where it does not."""
    if log.findings:
        first = log.findings[0].message
        raise PlatformError(
            f"everything was copied, but the audit log does not verify, as it did not before: {first};"
            " `forecastle events verify` tells all"
        )
    click.echo(f"The audit log verifies: {log.count} events, up to number {log.head.id}.")
