"""`forecastle events`: the audit log, whether it is still as it was written, and its head."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from forecastle_registry.errors import SigningKeyUnusable
from forecastle_registry.events import WHAT, Event, EventFilter, list_events
from forecastle_registry.heads import EMPTY, HEADS_FILE, Head, export_head, read_heads
from forecastle_registry.pages import Page
from forecastle_registry.plain import MAX_NUMBER, is_unicode
from forecastle_registry.signing import signing_key
from forecastle_registry.verifying import Verification, verify_events
from forecastle_registry.versions import get_model

from ..describing import event_document, page
from .installation import Installation
from .output import Whole, as_json, print_json, print_table
from .times import Moment

LIST = "list"
TOLD = {  # the details without which a line says too little; --json has all of them
    "key-create": ("key", "role", "models"),
    "key-revoke": ("key",),
    "artifact-refused": ("code",),
    "golden-mismatch": ("code",),
    "artifacts-copy": ("from", "to"),
    "artifacts-gc": ("store",),
    "database-copy": ("from", "to"),
    "backup": ("file",),
    "restore-backup": ("backup_of",),
}


class ListedByDefault(click.Group):
    """A group that lists where no other of its commands is named: `forecastle events us-macro`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in that was left out."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


@click.group(
    short_help="Read the audit log, and verify that it is as it was written.",
    cls=ListedByDefault,
    subcommand_metavar="[list] [MODEL] [OPTIONS] | verify | head",
)
def events() -> None:
    """Read the audit log, newest first, and see whether it is still as it was written.

    Without a command it is listed: `forecastle events us-macro --what promote`.
    """


@events.command(LIST)
@click.argument("model", required=False)
@click.option("--what", type=click.Choice(WHAT), metavar="WHAT", help=f"What was done: {', '.join(WHAT)}.")
@click.option("--who", help="The name of a key, or: command line, open, serving.")
@click.option("--version", type=Whole(1, MAX_NUMBER), help="Only what was done to this version.")
@click.option("--alias", help="Only what was done to this alias.")
@click.option("--since", type=Moment(), help="From this time on, as 2026-05-03T12:00:00Z; a date is its midnight in UTC.")
@click.option("--until", type=Moment(), help="Before this time.")
@click.option("--limit", type=Whole(1, 10_000), default=50, show_default=True, help="How many lines.")
@click.option("--after", type=Whole(1, MAX_NUMBER), help="Go on behind this line, as the end of a listing tells.")
@as_json
def listed(
    model: str | None,
    what: str | None,
    who: str | None,
    version: int | None,
    alias: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    after: int | None,
    json_: bool,
) -> None:
    """List the audit log, newest first, of MODEL or of everything."""
    for text in (model, who, alias):
        if text is not None and not is_unicode(text):
            raise click.UsageError(f"{text!a} is no text")
    matching = EventFilter(what, who, version, alias, since, until)
    engine = Installation.here().engine
    found = list_events(engine, model, matching=matching, before=after, limit=limit)
    if model is not None and not list_events(engine, model, limit=1).items:
        get_model(engine, model)  # which says that there is none
    print_json(page(found, event_document)) if json_ else _print(found)


@events.command(short_help="Find lines that were edited, dropped, moved or cut off.")
@click.option(
    "--head",
    "files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A file of heads that were kept elsewhere, as `forecastle events head` prints them; more than one may be given.",
)
@click.option("--allow-unsealed", is_flag=True, help="Accept lines without a seal, as the release before seals writes them.")
@as_json
@click.pass_context
def verify(ctx: click.Context, files: tuple[Path, ...], allow_unsealed: bool, json_: bool) -> None:
    """Find every line that was edited, dropped, reordered, added or cut off. Exit status 1 where there is one.

    Each line carries a seal over itself and the line before, made with the signing key. That lines at the end were cut off
    is known from heads: those of event-heads.jsonl in the home, which every backup writes, and those of --head.
    """
    here = Installation.here()
    heads = [*_heads_of(here.settings.home / HEADS_FILE), *(head for file in files for head in _heads_of(file, some=True))]
    found = verify_events(here.engine, _key(here), heads, allow_unsealed=allow_unsealed)
    if json_:
        print_json({"verified": not found.findings, **asdict(found)})
    else:
        _tell(found, len(heads))
    if found.findings:
        total = len(found.findings) + found.more
        several = "finding" if total == 1 else "findings"
        click.echo(f"forecastle: the log does not verify ({total} {several}); compare it with a backup", err=True)
        ctx.exit(1)


@events.command(short_help="Print the log's head as one line of JSON, to be kept.")
def head() -> None:
    """Print the log's head as one line of JSON, to be kept where whoever can write to the database cannot.

    `forecastle events verify --head FILE` takes a file of such lines.
    """
    click.echo(json.dumps(asdict(export_head(Installation.here().engine))))


def _print(found: Page[Event]) -> None:
    header = ("id", "when (UTC)", "who", "from", "what", "model", "version", "alias", "details", "why")
    rows = [
        (e.id, f"{e.at:%Y-%m-%d %H:%M:%S}", e.who, e.origin, e.what, e.model, e.version, e.alias, _details(e), e.reason)
        for e in found.items
    ]
    print_table(header, rows) if rows else click.echo("There is no such event.")
    if found.next is not None:
        click.echo(f"There are more: the same command with --after {found.next}.")


def _details(event: Event) -> str | None:
    told = {name: event.details.get(name) for name in TOLD.get(event.what, ())}
    if event.what == "protect":
        told = event.details.get("new") or {}
    return ", ".join(_named(name, value) for name, value in told.items() if value is not None and value is not False) or None


def _named(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    return words if value is True else f"{words} {value}"


def _heads_of(file: Path, *, some: bool = False) -> Iterator[Head]:
    try:
        kept = read_heads(file)
    except OSError as error:
        raise click.FileError(str(file), error.strerror) from None
    for number in kept.unreadable:
        click.echo(f"forecastle: line {number} of {file} holds no head, and is passed over", err=True)
    if some and not kept.heads:
        raise click.UsageError(f"{file} holds no head; keep what `forecastle events head` prints")
    yield from kept.heads


def _key(here: Installation) -> bytes:
    """Return the key; one that is missing is not made, because no seal could be its own."""
    path = here.settings.signing_key_file
    if not path.exists() and export_head(here.engine) != EMPTY:
        raise SigningKeyUnusable(f"the signing key {path} is not there: bring it from where the log was written")
    return signing_key(path)


def _tell(found: Verification, heads: int) -> None:
    for finding in found.findings:
        click.echo(f"{finding.kind}: {finding.message}")
    if found.more:
        click.echo(f"and {found.more} more")
    unsealed = f", {found.unsealed} of them without a seal" if found.unsealed else ""
    click.echo(f"{found.count} events{unsealed}; compared with {heads} kept {'head' if heads == 1 else 'heads'}.")
    if found.head != EMPTY:
        click.echo(f"Head: event {found.head.id} of {found.head.at}, seal {found.head.mac}.")
