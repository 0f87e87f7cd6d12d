"""Loads a version for serving: bytes, digest, strict reader, plugin, golden forecast; kept in a bounded cache."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from forecastle_registry.serializers import loads
from forecastle_registry.signing import signing_key
from forecastle_registry.stores import ArtifactStore
from forecastle_registry.versions import Version, get_version
from forecastle_sdk import Forecaster, Signature

from ..database import open_artifacts
from ..golden import check_golden
from ..plugins import Catalogue
from ..settings import Settings


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version that is ready to forecast, with what every answer repeats about it."""

    version: Version
    forecaster: Forecaster
    signature: Signature
    notices: tuple[dict[str, Any], ...]
    max_horizon: int


class VersionCache:
    """The versions loaded last, at most `size` of them. Several threads may ask for one at once; one of them loads it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._loaded: OrderedDict[tuple[str, int, str], LoadedVersion] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[tuple[str, int, str], threading.Lock] = {}

    def get(self, key: tuple[str, int, str], load: Callable[[], LoadedVersion]) -> LoadedVersion:
        """Return the version under `key`; `load` makes it where it is not there. What `load` raises is not kept."""
        with self._lock:
            if (found := self._loaded.get(key)) is not None:
                self._loaded.move_to_end(key)
                return found
            waiting = self._loading.setdefault(key, threading.Lock())
        with waiting:
            with self._lock:
                if (found := self._loaded.get(key)) is not None:
                    return found
            try:
                loaded = load()
                self._keep(key, loaded)
            finally:
                with self._lock:
                    self._loading.pop(key, None)
        return loaded

    def _keep(self, key: tuple[str, int, str], loaded: LoadedVersion) -> None:
        with self._lock:
            self._loaded[key] = loaded
            while len(self._loaded) > self._size:
                self._loaded.popitem(last=False)


class Loader:
    """Turns the registry's rows into forecasters."""

    def __init__(self, engine: Engine, catalogue: Catalogue, settings: Settings) -> None:
        self._engine, self._catalogue, self._settings = engine, catalogue, settings
        self._store = open_artifacts(settings, engine)
        self._cache = VersionCache(settings.cache)

    def load(self, model: str, number: int, digest: str) -> LoadedVersion:
        """Return a version from the cache, or load it. Raises what `load_version` raises."""
        return self._cache.get((model, number, digest), lambda: self._load(get_version(self._engine, model, number)))

    def load_version(self, version: Version) -> LoadedVersion:
        """Return a version whose row is at hand.

        Raises `PluginUnavailable`, `GoldenMismatch`, or an `ArtifactError` of the registry.
        """
        return self._cache.get((version.model, version.number, version.artifact_digest), lambda: self._load(version))

    def prove(self, version: Version) -> None:
        """Load a version from its bytes, cached or not, and compare its golden forecast. Raises as `load_version`."""
        self._load(version)

    def _load(self, version: Version) -> LoadedVersion:
        forecaster = restore(self._store, self._catalogue, self._settings, version)
        check_golden(forecaster, version.golden, f"version {version.number} of the model {version.model!r}")
        signature = forecaster.signature
        limit = min(signature.max_horizon, self._settings.max_horizon)
        return LoadedVersion(version, forecaster, signature, tuple(version.notices), limit)


def restore(store: ArtifactStore, catalogue: Catalogue, settings: Settings, version: Version) -> Forecaster:
    """Rebuild a version's forecaster from its artifact: digest before parse, and only what the plugin's code trusts."""
    plugin = catalogue.serving(version.plugin)
    content = store.get(version.artifact_digest, max_bytes=settings.max_artifact)
    pickled = version.serializer == "pickle"
    state = loads(
        content,
        version.serializer,
        digest=version.artifact_digest,
        key=signing_key(settings.signing_key_file) if pickled and settings.allow_pickle else None,
        allow_pickle=settings.allow_pickle,
        trusted_types=plugin.trusted_types,
        max_bytes=settings.max_artifact,
    )
    return plugin.restore(state, version.state_format)
