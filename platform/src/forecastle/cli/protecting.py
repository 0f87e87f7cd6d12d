"""`forecastle protect`, `forecastle unprotect` and `forecastle aliases`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from forecastle_registry.alias_states import AliasState, list_aliases
from forecastle_registry.aliases import PRODUCTION
from forecastle_registry.pages import MANY, every
from forecastle_registry.plain import MAX_NUMBER
from forecastle_registry.protections import ProtectedAlias, Protection, protect_alias, unprotect_alias

from ..describing import alias_document, protection_document
from .installation import Installation, command_line
from .moving import why
from .output import Whole, as_json, print_json, print_table

Command = TypeVar("Command", bound=Callable[..., Any])


def which_alias(use: str) -> Callable[[Command], Command]:
    """Return the option that names an alias, and what for."""
    return click.option("--alias", default=PRODUCTION, show_default=True, help=f"The alias to {use}.")


def finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what is no number, or none that anything could be compared with."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number", context, parameter)
    return value


@click.command(short_help="Let only an admin move an alias, and only through a gate.")
@click.argument("model")
@which_alias("protect")
@click.option(
    "--min-skill",
    type=click.FloatRange(max=1),
    callback=finite,
    metavar="X",
    help="At least this skill in every column: 1 - RMSE / RMSE of a random walk with drift.",
)
@click.option(
    "--max-age", type=Whole(0, MAX_NUMBER), metavar="DAYS", help="At most so many days since the last row it has seen."
)
@click.option("--allow-unconverged", is_flag=True, help="Let versions through whose verdict is not `converged`.")
@click.option("--approval", is_flag=True, help="A second admin's key must promote the same version.")
@why
@as_json
def protect(
    model: str,
    alias: str,
    min_skill: float | None,
    max_age: int | None,
    allow_unconverged: bool,
    approval: bool,
    reason: str | None,
    json_: bool,
) -> None:
    """Let only an admin move an alias of MODEL, and only to versions that meet what is asked for here.

    What is not given is not asked for, whatever was asked before. Neither the alias nor MODEL need be there yet.
    """
    asked = Protection(min_skill, not allow_unconverged, max_age, approval)
    engine = Installation.here().engine
    found = protect_alias(engine, model, alias, asked, actor=command_line(), reason=reason)
    if json_:
        print_json(protection_document(found))
        return
    click.echo(f"{model}: {alias} is protected ({_asked(found)}); only an admin moves it.")
    if approval:
        click.echo("Each promotion waits for the key of a second admin: `forecastle keys create NAME --role admin`.")


@click.command()
@click.argument("model")
@which_alias("free")
@why
def unprotect(model: str, alias: str, reason: str | None) -> None:
    """Let an alias of MODEL be moved freely again."""
    unprotect_alias(Installation.here().engine, model, alias, actor=command_line(), reason=reason)
    click.echo(f"{model}: {alias} is not protected any more.")


@click.command(short_help="List the aliases of MODEL: what is live, what protects it.")
@click.argument("model")
@as_json
def aliases(model: str, json_: bool) -> None:
    """List the aliases of MODEL: what is live, what a rollback would go back to, what protects it, what waits there."""
    engine = Installation.here().engine
    found = every(lambda cursor: list_aliases(engine, model, after=cursor, limit=MANY))
    if json_:
        print_json({"items": [alias_document(state) for state in found], "next": None})
        return
    if not found:
        click.echo(f"{model} has no alias yet; `forecastle promote {model} N` makes one.")
        return
    print_table(("alias", "live", "stack", "protected", "waiting"), [_row(state) for state in found])
    for state in found:
        if state.waiting is not None:
            click.echo(f"Waiting: {state.waiting.needs}.")


def _row(state: AliasState) -> tuple[Any, ...]:
    stack = () if state.alias is None else state.alias.stack
    return (
        state.name,
        None if state.alias is None else state.alias.live,
        " ".join(map(str, stack[-8:])) if len(stack) <= 8 else f"… {' '.join(map(str, stack[-8:]))}",
        None if state.protected is None else _asked(state.protected),
        None if state.waiting is None else f"version {state.waiting.version}",
    )


def _asked(protected: ProtectedAlias) -> str:
    asked = protected.protection
    words = [
        "converged" if asked.converged else None,
        None if asked.min_skill is None else f"skill {asked.min_skill:g} or more",
        None if asked.max_age_days is None else f"last row at most {_days(asked.max_age_days)} old",
        "a second key" if asked.approval else None,
    ]
    return ", ".join(word for word in words if word) or "any version"


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"
