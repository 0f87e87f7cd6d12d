"""Moves an alias forward or back, after the version that would go live has been loaded and has proved itself."""

from __future__ import annotations

from sqlalchemy import Engine

from forecastle_registry.actors import Actor
from forecastle_registry.aliases import Moved, get_alias, promote_version, roll_back, rollback_target
from forecastle_registry.errors import ArtifactError, StaleAlias, VersionArchived
from forecastle_registry.versions import get_version
from forecastle_sdk.errors import ForecastleError

from .errors import GoldenMismatch, PluginUnavailable, SettingsError, TargetRefused
from .serving.loading import Loader

ATTEMPTS = 5  # a rollback without If-Match looks again when another one was faster


def promote(
    engine: Engine,
    loader: Loader,
    model: str,
    number: int,
    *,
    alias: str,
    if_match: str | None,
    actor: Actor,
    reason: str | None,
) -> Moved:
    """Make a version live. Raises `TargetRefused`, or what the registry's `promote_version` raises."""
    _prove(engine, loader, model, number)
    return promote_version(engine, model, number, alias=alias, if_match=if_match, actor=actor, reason=reason)


def rollback(
    engine: Engine,
    loader: Loader,
    model: str,
    *,
    alias: str,
    to: int | None,
    if_match: str | None,
    actor: Actor,
    reason: str | None,
) -> Moved:
    """Go back to what was live before, or to `to`. Raises `TargetRefused`, or what the registry's `roll_back` raises.

    The move is made only if the alias is still what it was when its target was proved.
    """
    for _ in range(ATTEMPTS):
        current = get_alias(engine, model, alias)
        if if_match is not None and if_match not in ("*", current.etag):
            raise StaleAlias(model, alias, current)
        _prove(engine, loader, model, rollback_target(current, to))
        try:
            return roll_back(engine, model, alias=alias, to=to, if_match=current.etag, actor=actor, reason=reason)
        except StaleAlias:
            if if_match not in (None, "*"):
                raise
    raise StaleAlias(model, alias, get_alias(engine, model, alias))


def _prove(engine: Engine, loader: Loader, model: str, number: int) -> None:
    version = get_version(engine, model, number)
    if version.archived_at is not None:
        raise VersionArchived(model, number)
    try:
        loader.prove(version)
    except (ArtifactError, GoldenMismatch, PluginUnavailable, SettingsError, ForecastleError) as error:
        raise TargetRefused(f"version {number} of {model!r} cannot go live: {error}") from error
