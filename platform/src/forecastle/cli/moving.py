"""`forecastle promote` and `forecastle rollback`."""

from __future__ import annotations

from typing import Any

import click

from forecastle_registry.aliases import PRODUCTION, Moved, Waiting
from forecastle_registry.plain import is_unicode
from forecastle_registry.versions import Registered

from .. import moves
from ..describing import move_document, preview_document
from .installation import Installation, command_line
from .output import Whole, as_json, print_json
from .previewing import print_preview


def text(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse what cannot be stored."""
    if value is not None and not is_unicode(value):
        raise click.BadParameter(f"{value!a:.40} is no text in UTF-8", context, parameter)
    return value


which_alias = click.option("--alias", default=PRODUCTION, show_default=True, help="The alias to move.")
why = click.option("--reason", callback=text, help="Why; it is kept in the log.")
dry = click.option("--dry-run", is_flag=True, help="Tell what would change, forecasts side by side, and move nothing.")


@click.command(short_help="Make a version of MODEL live.")
@click.argument("model")
@click.argument("number", type=Whole(1))
@which_alias
@why
@dry
@as_json
def promote(model: str, number: int, alias: str, reason: str | None, dry_run: bool, json_: bool) -> None:
    """Make version NUMBER of MODEL live, once it has been loaded and has reproduced its golden forecast.

    A protected alias asks for more: `forecastle aliases MODEL` shows what.
    """
    here = Installation.here()
    where = (here.engine, here.forecasting.loader, model, number)
    how: dict[str, Any] = {"alias": alias, "if_match": None, "actor": command_line()}
    if dry_run:
        _show(preview_document(moves.preview_promotion(*where, **how)), json_)
    else:
        _tell(moves.promote(*where, **how, reason=reason), json_)


@click.command()
@click.argument("model")
@which_alias
@click.option("--to", type=Whole(1), help="Go back to this version, not just one step.")
@why
@dry
@as_json
def rollback(model: str, alias: str, to: int | None, reason: str | None, dry_run: bool, json_: bool) -> None:
    """Go back to the version of MODEL that was live before. To undo it, promote the version that was left.

    No gate and no approval stand in the way.
    """
    here = Installation.here()
    where = (here.engine, here.forecasting.loader, model)
    how: dict[str, Any] = {"alias": alias, "to": to, "if_match": None, "actor": command_line()}
    if dry_run:
        _show(preview_document(moves.preview_rollback(*where, **how)), json_)
    else:
        _tell(moves.rollback(*where, **how, reason=reason), json_)


def live_words(registered: Registered, live: str) -> str:
    """Return whether a version that was just registered is live, in the words of `live`, or why not and what makes it so."""
    if registered.live:
        return live
    if registered.refusal is not None:
        return f"not live: {registered.refusal.message}"
    version = registered.version
    return f"not live; `forecastle promote {version.model} {version.number}` makes it so"


def _show(document: dict[str, Any], json_: bool) -> None:
    print_json(document) if json_ else print_preview(document)


def _tell(moved: Moved | Waiting, json_: bool) -> None:
    if json_:
        print_json(move_document(moved))
    elif isinstance(moved, Waiting):
        click.echo(f"Nothing has moved: {moved.proposal.needs}.")
    elif not moved.changed:
        click.echo(f"{moved.alias.model} version {moved.alias.live} is live as {moved.alias.name} already; nothing changed.")
    else:
        before = "nothing" if moved.previous is None else f"version {moved.previous}"
        click.echo(f"{moved.alias.model}: {moved.alias.name} is version {moved.alias.live} now; before it was {before}.")
