"""`forecastle promote` and `forecastle rollback`."""

from __future__ import annotations

import click

from forecastle_registry.aliases import PRODUCTION, Moved

from .. import moves
from .installation import Installation, command_line
from .output import as_json, print_json

which_alias = click.option("--alias", default=PRODUCTION, show_default=True, help="The alias to move.")
why = click.option("--reason", help="Why; it is kept in the log.")


@click.command()
@click.argument("model")
@click.argument("number", type=click.IntRange(1))
@which_alias
@why
@as_json
def promote(model: str, number: int, alias: str, reason: str | None, json_: bool) -> None:
    """Make version NUMBER of MODEL live, once it has been loaded and has reproduced its golden forecast."""
    here = Installation.here()
    loader = here.forecasting.loader
    _tell(
        moves.promote(here.engine, loader, model, number, alias=alias, if_match=None, actor=command_line(), reason=reason),
        json_,
    )


@click.command()
@click.argument("model")
@which_alias
@click.option("--to", type=click.IntRange(1), help="Go back to this version, not just one step.")
@why
@as_json
def rollback(model: str, alias: str, to: int | None, reason: str | None, json_: bool) -> None:
    """Go back to the version of MODEL that was live before. To undo it, promote the version that was left."""
    here = Installation.here()
    loader = here.forecasting.loader
    _tell(
        moves.rollback(here.engine, loader, model, alias=alias, to=to, if_match=None, actor=command_line(), reason=reason),
        json_,
    )


def _tell(moved: Moved, json_: bool) -> None:
    alias = moved.alias
    if json_:
        document = {"model": alias.model, "alias": alias.name, "version": alias.live, "previous": moved.previous}
        print_json({**document, "changed": moved.changed, "stack": list(alias.stack)})
    elif not moved.changed:
        click.echo(f"{alias.model} version {alias.live} is live as {alias.name} already; nothing changed.")
    else:
        before = "nothing" if moved.previous is None else f"version {moved.previous}"
        click.echo(f"{alias.model}: {alias.name} is version {alias.live} now; before it was {before}.")
