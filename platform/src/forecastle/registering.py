"""From a fitted forecaster to a registered version: serialize, read back, record the golden forecast, register."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from forecastle_registry.actors import Actor
from forecastle_registry.artifacts import digest_of
from forecastle_registry.serializers import SERIALIZERS, dumps, identity_of, loads, owner_of
from forecastle_registry.signing import signing_key
from forecastle_registry.versions import NewVersion, Registered, register_version
from forecastle_sdk import Forecaster

from .database import open_artifacts
from .errors import SettingsError
from .golden import record_golden
from .plugins import InstalledPlugin, plugin_at_work
from .settings import Settings


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A version before it is registered: the forecaster and what is known about it, as JSON."""

    model: str
    forecaster: Forecaster
    serializer: str
    parameters: Mapping[str, Any]
    lineage: Mapping[str, Any]
    estimates: Sequence[Mapping[str, Any]] = ()
    llf: float | None = None
    criteria: Mapping[str, Any] = field(default_factory=dict)
    candidates: Sequence[Mapping[str, Any]] = ()
    verdict: str | None = None
    accuracy: Mapping[str, Any] | None = None
    notices: Sequence[Mapping[str, Any]] = ()
    parent: int | None = None


def check_serializer(serializer: str, settings: Settings) -> None:
    """Refuse a serializer that does not exist, or pickle where it is off. Raises `SettingsError`."""
    if serializer not in SERIALIZERS:
        raise SettingsError(f"there is no serializer {serializer!r}; choose one of {', '.join(SERIALIZERS)}")
    if serializer == "pickle" and not settings.allow_pickle:
        raise SettingsError("pickle is off, because a pickle can run code; use skops, or set FORECASTLE_ALLOW_PICKLE=true")


def register(
    engine: Engine,
    settings: Settings,
    installed: InstalledPlugin,
    draft: Draft,
    *,
    promote: bool | None,
    actor: Actor,
    reason: str | None = None,
) -> Registered:
    """Register a draft as its model's next version. `promote` as in the registry's `register_version`, whose errors it raises.

    What is recorded is what a server will see: the forecaster is restored from its own bytes first.
    """
    check_serializer(draft.serializer, settings)
    new = _serialized(settings, installed, draft)
    store = open_artifacts(settings, engine)
    return register_version(
        engine, new, promote=promote, store=store, max_bytes=settings.max_artifact, actor=actor, reason=reason
    )


def _serialized(settings: Settings, installed: InstalledPlugin, draft: Draft) -> NewVersion:
    plugin = installed.plugin
    assert plugin is not None  # nothing was fitted without it
    key = signing_key(settings.signing_key_file) if draft.serializer == "pickle" else None
    with plugin_at_work(plugin.name, "giving its state"):
        state, signature = draft.forecaster.state(), draft.forecaster.signature.to_json()
    trust: dict[str, Any] = {
        "key": key,
        "owner": owner_of(draft.model, signature),
        "allow_pickle": settings.allow_pickle,
        "trusted_types": plugin.trusted_types,
    }
    artifact = dumps(state, draft.serializer, **trust)
    cap = settings.max_artifact  # as a server has it: what it would refuse must not be registered
    read_back = loads(artifact, draft.serializer, digest=digest_of(artifact), **trust, max_bytes=cap)
    with plugin_at_work(plugin.name, "restoring its own state"):
        golden = record_golden(plugin.restore(read_back, plugin.state_format))
    return NewVersion(
        model=draft.model,
        plugin=installed.name,
        plugin_version=installed.version,
        serializer=draft.serializer,
        artifact=artifact,
        state_format=plugin.state_format,
        state_digest=identity_of(state, signature, artifact, max_bytes=cap),
        signature=signature,
        parameters=dict(draft.parameters),
        estimates=list(draft.estimates),
        llf=draft.llf,
        criteria=dict(draft.criteria),
        candidates=list(draft.candidates),
        verdict=draft.verdict,
        accuracy=None if draft.accuracy is None else dict(draft.accuracy),
        lineage=dict(draft.lineage),
        notices=list(draft.notices),
        golden=golden,
        parent=draft.parent,
    )
