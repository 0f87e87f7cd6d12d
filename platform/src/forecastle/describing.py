"""Models, versions, events and plugins as JSON, the same for the HTTP answers and for `--json` at the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from forecastle_registry.alias_states import AliasState
from forecastle_registry.aliases import Moved, Waiting
from forecastle_registry.clearance import Refusal
from forecastle_registry.events import Event
from forecastle_registry.history import VersionThen
from forecastle_registry.pages import Page
from forecastle_registry.proposals import APPROVAL_NEEDED, Proposal
from forecastle_registry.protections import ProtectedAlias
from forecastle_registry.tables import time_text as stored_time
from forecastle_registry.versions import Model, Version, VersionSummary

from .comparing import Accuracy, Comparison, Preview
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
    """Return a version that was live at a moment as JSON; of one that was deleted since, what the log does not keep is null."""
    if then.version is not None:
        return listed_version_document(then.version)
    known = {"number": then.number, "aliases": list(then.aliases), "deleted": True}
    return {**{field.name: then.kept.get(field.name) for field in fields(VersionSummary)}, **known}


def event_document(event: Event) -> dict[str, Any]:
    """Return a line of the audit log as JSON; its time is whole, so that it can be given back as a filter."""
    return {**asdict(event), "at": stored_time(event.at)}


def refusal_document(refusal: Refusal | None) -> dict[str, Any] | None:
    """Return why something did not go live as JSON."""
    return None if refusal is None else asdict(refusal)


def move_document(moved: Moved | Waiting) -> dict[str, Any]:
    """Return where an alias points after a move as JSON, or what waits there for a second key."""
    if isinstance(moved, Waiting):
        return {**proposal_document(moved.proposal), "live": moved.live}
    alias = moved.alias
    named = {"model": alias.model, "alias": alias.name, "version": alias.live}
    return {**named, "previous": moved.previous, "changed": moved.changed, "stack": list(alias.stack)}


def proposal_document(proposal: Proposal) -> dict[str, Any]:
    """Return a promotion that waits as JSON; its `message` says who must do what."""
    return {
        "model": proposal.model,
        "alias": proposal.alias,
        "version": proposal.version,
        "proposed_at": time_text(proposal.proposed_at),
        "proposed_by": proposal.proposed_by,
        "reason": proposal.reason,
        "code": APPROVAL_NEEDED,
        "message": proposal.needs,
    }


def protection_document(protected: ProtectedAlias) -> dict[str, Any]:
    """Return how an alias is protected as JSON."""
    named = {"model": protected.model, "alias": protected.alias, **asdict(protected.protection)}
    return {**named, "created_at": time_text(protected.created_at), "created_by": protected.created_by}


def alias_document(state: AliasState) -> dict[str, Any]:
    """Return all that is known of an alias as JSON; `live` and `etag` are null where it points at nothing."""
    alias = state.alias
    return {
        "model": state.model,
        "alias": state.name,
        "live": None if alias is None else alias.live,
        "stack": [] if alias is None else list(alias.stack),
        "revision": 0 if alias is None else alias.revision,
        "etag": None if alias is None else alias.etag,
        "protection": None if state.protected is None else protection_document(state.protected),
        "waiting": None if state.waiting is None else proposal_document(state.waiting),
    }


def preview_document(preview: Preview) -> dict[str, Any]:
    """Return what a move would change as JSON: the answer of the move itself, and a `preview`."""
    gate, refusal = preview.outlook.gate, preview.outlook.refusal
    return {
        "model": preview.model,
        "alias": preview.alias,
        "version": preview.version,
        "previous": preview.previous,
        "changed": preview.changed,
        "stack": list(preview.stack),
        "preview": {
            "refusal": refusal_document(refusal),
            "gate": None if gate is None else {"passed": gate.passed, **asdict(gate)},
            **_comparison_document(preview.comparison),
        },
    }


def _comparison_document(found: Comparison) -> dict[str, Any]:
    return {
        "schema": None if found.columns is None else asdict(found.columns),
        "accuracy": {
            "live": _accuracy_document(found.live_accuracy),
            "target": _accuracy_document(found.target_accuracy),
            "same_test_rows": found.same_test_rows,
        },
        "forecasts": asdict(found.forecasts),
        "notices": list(found.notices),
    }


def _accuracy_document(accuracy: Accuracy | None) -> dict[str, Any] | None:
    if accuracy is None:
        return None
    document = asdict(accuracy)
    document["from"] = document.pop("since")
    return document


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
