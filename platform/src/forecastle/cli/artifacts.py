"""`forecastle artifacts copy`, `forecastle artifacts verify` and `forecastle artifacts gc`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from forecastle_registry.garbage import Collected, collect_garbage
from forecastle_registry.keeping import Copied, Finding, copy_artifacts, verify_artifacts
from forecastle_registry.stores import ArtifactStore, open_store

from ..errors import SettingsError
from .installation import Installation, command_line
from .output import as_json, print_json, progress_report

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType):
    """A length of time: 90s, 30m, 1h, 7d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read a length of time."""
        found = re.fullmatch(r"(\d{1,6})([smhd])", value, re.ASCII)
        if found is None:
            self.fail(f"{value!r} is no length of time; give one such as 30m, 1h or 7d", param, ctx)
        return timedelta(**{UNITS[found[2]]: int(found[1])})


@click.group()
def artifacts() -> None:
    """Look after the artifacts: the stored bytes of versions."""


@artifacts.command(short_help="Copy every artifact to another store, and read each back.")
@click.option("--to", "target", metavar="URL", required=True, help="database, file:///folder or s3://bucket/prefix.")
@click.option("--from", "source", metavar="URL", help="Where the artifacts are; this installation's store unless given.")
@as_json
@click.pass_context
def copy(context: click.Context, target: str, source: str | None, json_: bool) -> None:
    """Copy every version's artifact to another store, and read each back. Nothing is removed.

    It may be interrupted, and repeated: what is there already, whole, is not copied again. Servers go on meanwhile.
    """
    here = Installation.here()
    origin, goal = _opened(here, source), _opened(here, target)
    if origin.name == goal.name:
        raise SettingsError(f"the artifacts are to be copied from {origin.name} to itself; give --from, where they were")
    with progress_report() as report:
        copied = copy_artifacts(
            here.engine, origin, goal, max_bytes=here.settings.max_artifact, progress=report, actor=command_line()
        )
    if json_:
        print_json({"from": origin.name, "to": goal.name, **asdict(copied), "findings": _documents(copied.findings)})
    else:
        _tell_copied(copied, origin, goal, moved=goal.name == _opened(here, None).name)
    context.exit(_status(copied.findings))


@artifacts.command()
@click.option("--store", "url", metavar="URL", help="The store to read; this installation's unless given.")
@as_json
@click.pass_context
def verify(context: click.Context, url: str | None, json_: bool) -> None:
    """Read every version's artifact, and compare it with its SHA-256."""
    here = Installation.here()
    store = _opened(here, url)
    with progress_report() as report:
        verified = verify_artifacts(here.engine, store, max_bytes=here.settings.max_artifact, progress=report)
    if json_:
        print_json({"store": store.name, **asdict(verified), "findings": _documents(verified.findings)})
    else:
        click.echo(
            f"{_count(verified.whole, 'artifact')} in {store.name} {_are(verified.whole)} whole ({verified.size:,} bytes)."
        )
        _tell_findings(verified.findings, verified.left)
    context.exit(_status(verified.findings))


@artifacts.command(short_help="Remove the artifacts that no version names.")
@click.option(
    "--older-than", type=Duration(), default="1h", show_default=True, help="Leave alone what was written or wanted since."
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option("--store", "url", metavar="URL", help="A store that was left: what this installation's store has goes from it.")
@as_json
def gc(older_than: timedelta, dry_run: bool, url: str | None, json_: bool) -> None:
    """Remove the artifacts that no version names, and what interrupted writes left behind."""
    here = Installation.here()
    store, current = _opened(here, url), _opened(here, None)
    with progress_report() as report:
        collected = collect_garbage(
            here.engine,
            store,
            current=None if store.name == current.name else current,
            older_than=older_than,
            dry_run=dry_run,
            max_bytes=here.settings.max_artifact,
            progress=report,
            actor=command_line(),
        )
    if json_:
        print_json({"store": store.name, "dry_run": dry_run, **asdict(collected)})
    else:
        _tell_collected(collected, store, current, dry_run)


def _opened(here: Installation, url: str | None) -> ArtifactStore:
    return open_store(here.settings.artifacts if url is None else url, here.engine)


def _documents(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    named = [[{"model": model, "version": number} for model, number in finding.versions] for finding in findings]
    return [{**asdict(finding), "versions": versions} for finding, versions in zip(findings, named, strict=True)]


def _status(findings: Sequence[Finding]) -> int:
    return 1 if findings else 0


def _tell_copied(copied: Copied, origin: ArtifactStore, goal: ArtifactStore, *, moved: bool) -> None:
    click.echo(
        f"Copied {_count(copied.copied, 'artifact')} ({copied.size:,} bytes) from {origin.name} to {goal.name};"
        f" {copied.already} {_are(copied.already)} there already."
    )
    _tell_findings(copied.findings, copied.left)
    again = f"`forecastle artifacts copy --from {origin.name} --to {goal.name}`"
    if copied.findings:
        click.echo(f"Next: mend what is told above, then again {again}.", err=True)
    elif moved:
        click.echo(f"Next: once no server uses {origin.name}, free it: `forecastle artifacts gc --store {origin.name}`.")
    else:
        click.echo(
            f"Next: set FORECASTLE_ARTIFACTS={goal.name} wherever this installation runs, restart its servers, and run"
            f" {again} for what was trained meanwhile."
        )


def _tell_findings(findings: Sequence[Finding], left: int) -> None:
    for finding in findings:
        needed = ", ".join(f"{model} version {number}" for model, number in finding.versions[:3])
        more = f" and {len(finding.versions) - 3} more" if len(finding.versions) > 3 else ""
        click.echo(f"problem  {needed}{more}: {finding.message}", err=True)
    if left:
        click.echo(f"problem  {_count(left, 'artifact')} not tried, because the store kept failing", err=True)


def _tell_collected(collected: Collected, store: ArtifactStore, current: ArtifactStore, dry_run: bool) -> None:
    removed = "Would remove" if dry_run else "Removed"
    click.echo(f"{removed} {_count(collected.unneeded, 'artifact')} that no version names from {store.name}.")
    if store.name != current.name:
        click.echo(f"{removed} {_count(collected.moved, 'artifact')} that {current.name} has, too.")
    if collected.leftovers:
        click.echo(f"{removed} {_count(collected.leftovers, 'file')} of interrupted writes.")
    click.echo(f"That {'would free' if dry_run else 'freed'} {collected.bytes:,} bytes.")
    if collected.kept:
        click.echo(
            f"Kept {_count(collected.kept, 'artifact')} that {current.name} does not have whole:"
            f" `forecastle artifacts copy --from {store.name} --to {current.name}`"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
