"""Models, versions, events and plugins as JSON, the same for the HTTP answers and for `--json` at the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from forecastle_registry.events import Event
from forecastle_registry.history import VersionThen
from forecastle_registry.pages import Page
from forecastle_registry.tables import time_text as stored_time
from forecastle_registry.versions import Model, Version, VersionSummary

from .parameters import json_schema
from .plugins import InstalledPlugin


def time_text(moment: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC; None stays None."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def page(found: Page[Any], describe: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return a page of the registry as `{items, next}`."""
    return {"items": [describe(item) for item in found.items], "next": found.next}


def model_document(model: Model) -> dict[str, Any]:
    """Return a model as JSON."""
    return {**asdict(model), "created_at": time_text(model.created_at)}


def version_document(version: Version | VersionSummary, live: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return a version, or its line in a listing, as JSON; `live` is what each alias of its model points at, where known."""
    document = asdict(version)
    if live is not None:
        document["aliases"] = [alias for alias, number in live.items() if number == version.number]
    document["created_at"] = time_text(version.created_at)
    document["archived_at"] = time_text(version.archived_at)
    return document


def listed_version_document(version: VersionSummary) -> dict[str, Any]:
    """Return a version's line in a listing as JSON."""
    return {**version_document(version), "deleted": False}


def version_then_document(then: VersionThen) -> dict[str, Any]:
    """Return a version that was live at a moment, as JSON; of one that was deleted since, only number and aliases are known."""
    if then.version is not None:
        return listed_version_document(then.version)
    known = {"number": then.number, "aliases": list(then.aliases), "deleted": True}
    return {**dict.fromkeys(field.name for field in fields(VersionSummary)), **known}


def event_document(event: Event) -> dict[str, Any]:
    """Return a line of the audit log as JSON; its time is whole, so that it can be given back as a filter."""
    return {**asdict(event), "at": stored_time(event.at)}


def plugin_document(installed: InstalledPlugin) -> dict[str, Any]:
    """Return an installed plugin as JSON; what is not known of an unusable one is null."""
    plugin = installed.plugin
    return {
        "name": installed.name,
        "title": plugin.title if plugin else None,
        "description": plugin.description if plugin else None,
        "version": installed.version,
        "distribution": installed.distribution,
        "contract": plugin.contract if plugin else None,
        "capabilities": sorted(map(str, plugin.capabilities)) if plugin else [],
        "parameters": json_schema(plugin.parameters) if plugin else None,
        "usable": installed.usable,
        "problem": installed.problem,
    }
