"""Moves an alias forward or back, after the version that would go live has been loaded and has proved itself.

A dry run goes the same way up to the move itself, and tells what it would change.
"""

from __future__ import annotations

from sqlalchemy import Engine

from forecastle_registry.actors import Actor
from forecastle_registry.aliases import (
    Alias,
    IfMatch,
    Moved,
    Waiting,
    check_match,
    get_alias,
    promote_version,
    roll_back,
    stack_after_rollback,
)
from forecastle_registry.clearance import Outlook, Refusal, foresee, refusal_of
from forecastle_registry.errors import AliasNotFound, AliasProtected, ArtifactError, StaleAlias, VersionArchived
from forecastle_registry.plain import check_name
from forecastle_registry.protections import get_protection
from forecastle_registry.versions import Version, get_version
from forecastle_sdk.errors import ForecastleError

from .comparing import Preview, compare
from .errors import GoldenMismatch, PluginUnavailable, SettingsError, TargetRefused
from .serving.loading import Loader

ATTEMPTS = 5  # a rollback looks again when somebody else was faster


def promote(
    engine: Engine,
    loader: Loader,
    model: str,
    number: int,
    *,
    alias: str,
    if_match: IfMatch,
    actor: Actor,
    reason: str | None,
) -> Moved | Waiting:
    """Make a version live. Raises `TargetRefused`, or what the registry's `promote_version` raises."""
    _prove(engine, loader, model, number)
    return promote_version(engine, model, number, alias=alias, if_match=if_match, actor=actor, reason=reason)


def preview_promotion(
    engine: Engine, loader: Loader, model: str, number: int, *, alias: str, if_match: IfMatch, actor: Actor
) -> Preview:
    """Tell what `promote` would change, whose errors it raises but for those of protection and gate."""
    check_name(alias)
    target = _prove(engine, loader, model, number)
    current = _current(engine, model, alias)
    check_match(model, alias, current, if_match)
    stack, revision = ((), 0) if current is None else (current.stack, current.revision)
    if stack[-1:] == (number,):
        return _preview(engine, loader, current, target, alias, stack, Outlook())
    outlook = foresee(engine, model, number, alias=alias, revision=revision, actor=actor)
    return _preview(engine, loader, current, target, alias, (*stack, number), outlook)


def rollback(
    engine: Engine,
    loader: Loader,
    model: str,
    *,
    alias: str,
    to: int | None,
    if_match: IfMatch,
    actor: Actor,
    reason: str | None,
) -> Moved:
    """Go back to what was live before, or to `to`. Raises `TargetRefused`, or what the registry's `roll_back` raises.

    Who moves the alias meanwhile changes what lies below: nothing goes live but what was proved.
    """
    proved: set[int] = set()
    for _ in range(ATTEMPTS):
        current = get_alias(engine, model, alias)
        check_match(model, alias, current, if_match)
        target = stack_after_rollback(current, to)[-1]
        _prove(engine, loader, model, target)
        proved.add(target)
        try:
            return roll_back(engine, model, alias=alias, to=to, among=proved, if_match=if_match, actor=actor, reason=reason)
        except StaleAlias:
            continue  # another version lies below now, or `if_match` fits no longer: both are looked at again
    raise StaleAlias(model, alias, get_alias(engine, model, alias))


def preview_rollback(
    engine: Engine, loader: Loader, model: str, *, alias: str, to: int | None, if_match: IfMatch, actor: Actor
) -> Preview:
    """Tell what `rollback` would change, whose errors it raises but for that of protection. No gate stands on the way back."""
    current = get_alias(engine, model, alias)
    check_match(model, alias, current, if_match)
    stack = stack_after_rollback(current, to)
    target = _prove(engine, loader, model, stack[-1])
    refusal: Refusal | None = None
    if not actor.admin and get_protection(engine, model, alias) is not None:
        refusal = refusal_of(AliasProtected(model, alias))
    return _preview(engine, loader, current, target, alias, stack, Outlook(refusal=refusal))


def _preview(
    engine: Engine,
    loader: Loader,
    current: Alias | None,
    target: Version,
    alias: str,
    stack: tuple[int, ...],
    outlook: Outlook,
) -> Preview:
    live = None if current is None else get_version(engine, target.model, current.live)
    return Preview(
        model=target.model,
        alias=alias,
        version=target.number,
        previous=None if live is None else live.number,
        stack=stack,
        etag=None if current is None else current.etag,
        outlook=outlook,
        comparison=compare(loader, live, target),
    )


def _current(engine: Engine, model: str, alias: str) -> Alias | None:
    try:
        return get_alias(engine, model, alias)
    except AliasNotFound:
        return None


def _prove(engine: Engine, loader: Loader, model: str, number: int) -> Version:
    version = get_version(engine, model, number)
    if version.archived_at is not None:
        raise VersionArchived(model, number)
    try:
        loader.prove(version)
    except (ArtifactError, GoldenMismatch, PluginUnavailable, SettingsError, ForecastleError) as error:
        raise TargetRefused(f"version {number} of {model!r} cannot go live: {error}") from error
    return version
