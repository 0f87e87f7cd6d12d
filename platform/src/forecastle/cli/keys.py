"""`forecastle keys`: makes, lists and revokes the keys with which others may ask."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import click

from forecastle_registry.keys import ROLES, get_key, has_admin, list_keys, revoke_key
from forecastle_registry.pages import MANY, every

from ..issuing import LONGEST_DAYS, after_days, created_document, issue_key, key_document, of_a, state_of, warning_for
from ..moments import moment_from
from .installation import Installation, command_line
from .output import as_json, print_json, print_table

DAYS = re.compile(r"(\d{1,5})d")


class Expiry(click.ParamType):
    """A number of days, or a time."""

    name = "days or date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read `90d`, `2027-01-31`, or a time with its zone."""
        if isinstance(value, datetime):
            return value
        days = DAYS.fullmatch(value.strip())
        if days and not 1 <= int(days[1]) <= LONGEST_DAYS:
            self.fail(f"{value!r}: give 1d to {LONGEST_DAYS}d", param, ctx)
        try:
            return after_days(int(days[1])) if days else moment_from(value)
        except ValueError as error:
            self.fail(f"{error}; or days, as 90d", param, ctx)


@click.group()
def keys() -> None:
    """Decide who may ask: make, list and revoke keys."""


@keys.command(short_help="Make a key, and print it: this once.")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may do; each may do what those before it may.")
@click.option("--models", metavar="PATTERN", help="For these models only: patterns separated by commas, as 'sales-*,stock'.")
@click.option("--expires", "expires_at", type=Expiry(), help="When it ends: 90d, or 2027-01-31. Never, unless given.")
@click.option("--limits", help="How often it may ask: '100/minute', or with a quota '10/second; 10000/day'.")
@as_json
def create(name: str, role: str, models: str | None, expires_at: datetime | None, limits: str | None, json_: bool) -> None:
    """Make a key called NAME, and print it: this once, for only its hash is kept.

    The first key closes an installation that was open to this machine: from then on every request needs one.
    """
    engine = Installation.here().engine
    created = issue_key(engine, name, role, models=models, expires_at=expires_at, limits=limits, actor=command_line())
    if warning := warning_for(engine, created.key):
        click.echo(f"Warning: {warning}.", err=True)
    if json_:
        print_json(created_document(created))
        return
    click.echo(created.secret)
    click.echo(f"This is the key {name!r}, {of_a(role)}. Keep it now: it cannot be shown again.", err=True)
    click.echo("Send it as the header `Authorization: Bearer KEY`; a browser asks for it as a password.", err=True)


@keys.command("list")
@as_json
def list_(json_: bool) -> None:
    """List the keys, those that are no longer good too."""
    engine = Installation.here().engine
    found = every(lambda cursor: list_keys(engine, after=cursor, limit=MANY))
    if json_:
        print_json({"items": [key_document(key) for key in found], "next": None})
        return
    if not found:
        click.echo("There is no key; `forecastle keys create NAME --role admin` makes the first one.")
        return
    header = ("key", "role", "models", "limits", "state", "made (UTC)", "ends (UTC)", "last used (UTC)")
    rows = [
        (k.name, k.role, k.models or "all", k.limits, state_of(k), *map(_minute, (k.created_at, k.expires_at, k.last_used_at)))
        for k in found
    ]
    print_table(header, rows)


@keys.command(short_help="Revoke a key, at once in every process.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask, also when it is the last admin's key.")
def revoke(name: str, yes: bool) -> None:
    """Revoke the key NAME, at once in every process. Its name stays taken, so that the log stays readable."""
    engine = Installation.here().engine
    if get_key(engine, name).revoked_at is not None:
        click.echo(f"The key {name!r} was revoked already.")
        return
    revoke_key(engine, name, keep_admin=not yes, actor=command_line())
    click.echo(f"The key {name!r} is revoked.")
    if not has_admin(engine):
        click.echo("Now there is no admin's key: `forecastle keys create NAME --role admin` makes one.", err=True)


def _minute(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M}"
