"""`forecastle archive` and `forecastle delete`."""

from __future__ import annotations

import click

from forecastle_registry.archiving import archive_version, delete_version, restore_version
from forecastle_registry.versions import get_version

from .installation import Installation, command_line
from .moving import why
from .output import Whole


@click.command(short_help="Keep a version of MODEL from ever going live again.")
@click.argument("model")
@click.argument("number", type=Whole(1))
@click.option("--undo", is_flag=True, help="Let it go live again.")
@why
def archive(model: str, number: int, undo: bool, reason: str | None) -> None:
    """Keep version NUMBER of MODEL from ever going live again; `--version NUMBER` still forecasts with it."""
    engine = Installation.here().engine
    change = restore_version if undo else archive_version
    changed = change(engine, model, number, actor=command_line(), reason=reason)
    now = "may go live again" if undo else "is archived: it cannot go live"
    click.echo(f"{model} version {number} {now}." if changed else f"{model} version {number} {now}; nothing changed.")


@click.command()
@click.argument("model")
@click.argument("number", type=Whole(1))
@why
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(model: str, number: int, reason: str | None, yes: bool) -> None:
    """Remove version NUMBER of MODEL for ever. Its number is not given again, and the log keeps its digest."""
    engine = Installation.here().engine
    get_version(engine, model, number)
    if not yes:
        click.confirm(f"Remove version {number} of {model} for ever? `forecastle archive` can be undone", abort=True, err=True)
    delete_version(engine, model, number, actor=command_line(), reason=reason)
    click.echo(f"{model} version {number} is deleted.")
