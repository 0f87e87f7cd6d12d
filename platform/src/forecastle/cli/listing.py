"""`forecastle models`, `forecastle versions` and `forecastle plugins`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from sqlalchemy import Engine

from forecastle_registry.history import versions_live_at
from forecastle_registry.pages import MANY, every
from forecastle_registry.versions import VersionSummary, get_model, get_version, list_models, list_versions

from ..describing import (
    listed_version_document,
    model_document,
    plugin_document,
    version_document,
    version_then_document,
)
from .accuracy import print_accuracy
from .installation import Installation
from .output import Whole, as_json, print_json, print_table
from .times import Moment

VERSIONS = ("version", "made (UTC)", "verdict", "llf", "serializer", "bytes", "parent", "live as")


@click.command()
@as_json
def models(json_: bool) -> None:
    """List the models, and what is live."""
    engine = Installation.here().engine
    found = every(lambda cursor: list_models(engine, after=cursor, limit=MANY))
    if json_:
        print_json({"items": [model_document(model) for model in found], "next": None})
        return
    if not found:
        click.echo("There is no model yet; `forecastle train --help` shows how to make one.")
        return
    live = [", ".join(f"{alias} {number}" for alias, number in model.aliases.items()) or "nothing" for model in found]
    rows = [(model.name, model.plugin, lives, model.latest) for model, lives in zip(found, live, strict=True)]
    print_table(("model", "plugin", "live", "latest"), rows)


@click.command(short_help="List the versions of MODEL, or describe one.")
@click.argument("model")
@click.argument("number", type=Whole(1), required=False)
@click.option("--live-at", type=Moment(past=True), help="Only what was live at a time, as 2026-05-03T12:00:00Z.")
@as_json
def versions(model: str, number: int | None, live_at: datetime | None, json_: bool) -> None:
    """List the versions of MODEL, newest first, or everything about version NUMBER."""
    engine = Installation.here().engine
    if live_at is not None:
        if number is not None:
            raise click.UsageError("--live-at lists versions: leave NUMBER out")
        _list_then(engine, model, live_at, json_)
        return
    if number is not None:
        document = version_document(get_version(engine, model, number), get_model(engine, model).aliases)
        print_json(document) if json_ else _print_version(document)
        return
    get_model(engine, model)
    found = every(lambda cursor: list_versions(engine, model, before=_number(cursor), limit=MANY))
    if json_:
        print_json({"items": [listed_version_document(version) for version in found], "next": None})
        return
    print_table(VERSIONS, [_row(version) for version in found])


def _list_then(engine: Engine, model: str, moment: datetime, json_: bool) -> None:
    found = every(lambda cursor: versions_live_at(engine, model, moment, before=_number(cursor), limit=MANY))
    if json_:
        print_json({"items": [version_then_document(then) for then in found], "next": None})
    elif not found:
        click.echo(f"No version of {model} was live then.")
    else:
        deleted = ("deleted since", *[None] * (len(VERSIONS) - 3))
        rows = [_row(t.version) if t.version else (t.number, *deleted, ", ".join(t.aliases)) for t in found]
        print_table((*VERSIONS[:-1], "live then as"), rows)


def _row(version: VersionSummary) -> tuple[Any, ...]:
    v = version
    made = f"{v.created_at:%Y-%m-%d %H:%M}"
    use = ", ".join(v.aliases) or ("nothing: archived" if v.archived_at else "")
    return v.number, made, v.verdict, v.llf, v.serializer, v.artifact_size, v.parent, use


def _number(cursor: str | None) -> int | None:
    return None if cursor is None else int(cursor)


def _print_version(document: dict[str, Any]) -> None:
    index = document["signature"]["index"]
    rows: list[tuple[str, Any]] = [
        ("model", document["model"]),
        ("version", document["number"]),
        ("made", document["created_at"]),
        ("plugin", f"{document['plugin']} {document['plugin_version']}"),
        ("verdict", document["verdict"]),
        ("log-likelihood", document["llf"]),
        ("parameters", ", ".join(f"{name}={value}" for name, value in document["parameters"].items())),
        ("endog", ", ".join(document["signature"]["endog"])),
        ("exog", ", ".join(column["name"] for column in document["signature"]["exog"]) or "none"),
        ("rows", f"{document['signature']['nobs']} until {index['last']} ({index['freq'] or index['kind']})"),
        (
            "artifact",
            f"{document['artifact_size']} bytes, {document['serializer']}, sha256 {document['artifact_digest'][:16]}…",
        ),
        ("parent", document["parent"]),
        ("live as", ", ".join(document["aliases"]) or "nothing"),
        ("archived", document["archived_at"] or "no"),
    ]
    print_table(("", ""), rows)
    if document["estimates"]:
        click.echo()
        estimates = [(e["name"], e["value"], e["std_error"]) for e in document["estimates"]]
        print_table(("estimate", "value", "std. error"), estimates)
    if document["accuracy"]:
        print_accuracy(document["accuracy"])
    for notice in document["notices"]:
        click.echo(f"Notice ({notice['code']}): {notice['message']}")
    click.echo("Everything else, lineage and signature among it: the same command with --json.")


@click.command(short_help="List the plugins, or describe one with its parameters.")
@click.argument("name", required=False)
@as_json
def plugins(name: str | None, json_: bool) -> None:
    """List the installed plugins, or describe the plugin NAME with its parameters."""
    catalogue = Installation.here().catalogue
    if name is not None:
        document = plugin_document(catalogue.get(name))
        print_json(document) if json_ else _print_plugin(document)
        return
    documents = [plugin_document(plugin) for plugin in catalogue]
    if json_:
        print_json({"items": documents, "next": None})
        return
    rows = [(d["name"], d["version"], "yes" if d["usable"] else f"no: {d['problem']}", d["title"]) for d in documents]
    print_table(("plugin", "version", "usable", ""), rows)


def _print_plugin(document: dict[str, Any]) -> None:
    click.echo(f"{document['name']} {document['version']} ({document['distribution']})")
    if not document["usable"]:
        click.echo(f"It cannot be used: {document['problem']}")
        return
    click.echo(f"{document['title']}. {document['description']}")
    click.echo(f"Capabilities: {', '.join(document['capabilities']) or 'none beyond forecasting'}\n")
    rows = []
    for name, schema in document["parameters"]["properties"].items():
        kind = schema.get("type", "any")
        rows.append(
            (name, kind if isinstance(kind, str) else kind[0], str(schema.get("default", "–")), schema.get("description", ""))
        )
    print_table(("--set", "type", "default", ""), rows)
