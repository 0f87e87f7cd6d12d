"""`forecastle backup` and `forecastle restore`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from .. import backups
from ..settings import settings_from
from .database import explain_log
from .installation import Installation, command_line
from .output import as_json, print_json, progress_report


@click.command(short_help="Write everything into one file, while others serve and train.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--without-key", is_flag=True, help="Leave the signing key out, which is a secret; keep it elsewhere then.")
@click.option("--skip-damaged", is_flag=True, help="Leave out artifacts that are missing or damaged, instead of stopping.")
@as_json
def backup(file: Path, force: bool, without_key: bool, skip_damaged: bool, json_: bool) -> None:
    """Write everything into FILE, from which a new machine starts: while others serve, train and promote."""
    here = Installation.here()
    with progress_report() as report:
        made = backups.back_up(
            here.settings,
            here.engine,
            file,
            actor=command_line(),
            progress=report,
            force=force,
            with_key=not without_key,
            skip_damaged=skip_damaged,
        )
    if json_:
        print_json({"file": str(file), **asdict(made)})
        return
    click.echo(f"Backed up {made.rows['models']} models with {made.rows['versions']} versions to {file}.")
    click.echo(f"Head of the audit log: event {made.head.id}, seal {made.head.mac or 'none'}.")
    if made.left_out:
        click.echo(f"Left out, because they are missing or damaged: {', '.join(made.left_out)}", err=True)
    click.echo(
        f"The signing key is not in it: without {here.settings.signing_key_file} the log of a restored installation never"
        " verifies, and pickled versions are refused."
        if without_key
        else "The signing key is in it: keep the file as you keep a secret."
    )


@click.command(short_help="Start an empty installation from a backup.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--without-key", is_flag=True, help="Restore a backup without its signing key, which is lost.")
def restore(file: Path, without_key: bool) -> None:
    """Start this installation, which must be empty, from the backup in FILE.

    Its database, its artifact store and its signing key are those that the settings name.
    """
    settings = settings_from(os.environ)
    with progress_report() as report:
        restored = backups.restore_backup(settings, file, actor=command_line(), progress=report, without_key=without_key)
    rows = restored.manifest.rows
    click.echo(
        f"Restored {rows.get('models')} models with {rows.get('versions')} versions, as of {restored.manifest.created_at}."
    )
    if restored.manifest.left_out:
        click.echo(f"Artifacts that the backup does not have: {', '.join(restored.manifest.left_out)}", err=True)
    if restored.log is None:
        click.echo("The audit log cannot be verified: the key that sealed it is not here.", err=True)
    else:
        explain_log(restored.log)
    click.echo("Next: `forecastle serve`, or restart the servers of this installation.")
