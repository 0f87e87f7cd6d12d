"""Loads a version for serving: bytes, digest, strict reader, identity, plugin, golden forecast; kept in a bounded cache.

What is live and does not load is told to the log, and the newest version below it on the alias's stack that loads answers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine

from forecastle_registry.aliases import Live
from forecastle_registry.serializers import check_identity, loads, owner_of
from forecastle_registry.signing import signing_key
from forecastle_registry.stacks import stacked_versions
from forecastle_registry.versions import Version, get_version
from forecastle_sdk import Forecaster, Notice, Plugin, Signature
from forecastle_sdk.errors import ForecastleError, StateError

from ..database import open_artifacts
from ..errors import NothingReproduces
from ..golden import check_golden
from ..plugins import Catalogue
from ..settings import Settings
from .failures import UNLOADABLE, Failure, Failures, Key, bare, write_event
from .outages import Outage

FALLBACK = "golden-fallback"
NAMED = 3  # of the versions that failed, in a message


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version that is ready to forecast, with what every answer repeats about it.

    `instead_of` says which live version does not load here, where this one answers in its place.
    """

    version: Version
    forecaster: Forecaster
    signature: Signature
    notices: tuple[dict[str, Any], ...]
    max_horizon: int
    instead_of: Failure | None = None


class VersionCache:
    """The versions loaded last, at most `size` of them. Several threads may ask for one at once; one of them loads it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._loaded: OrderedDict[Key, LoadedVersion] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[Key, threading.Lock] = {}

    def get(self, key: Key, load: Callable[[], LoadedVersion]) -> LoadedVersion:
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

    def _keep(self, key: Key, loaded: LoadedVersion) -> None:
        with self._lock:
            self._loaded[key] = loaded
            while len(self._loaded) > self._size:
                self._loaded.popitem(last=False)


class Loader:
    """Turns the registry's rows into forecasters."""

    def __init__(self, engine: Engine, catalogue: Catalogue, settings: Settings) -> None:
        self._engine, self._catalogue, self._settings = engine, catalogue, settings
        self._store, self._outage = open_artifacts(settings, engine), Outage()
        self._cache = VersionCache(settings.cache)
        self.failures = Failures()

    def load(self, model: str, number: int, digest: str) -> LoadedVersion:
        """Return a version from the cache, or load it. Raises what `load_version` raises."""
        return self._kept((model, number, digest), lambda: self._load(get_version(self._engine, model, number)))

    def load_version(self, version: Version) -> LoadedVersion:
        """Return a version whose row is at hand.

        Raises `PluginUnavailable`, `GoldenMismatch`, `StateError`, or an `ArtifactError` of the registry.
        """
        return self._kept((version.model, version.number, version.artifact_digest), lambda: self._load(version))

    def load_live(self, live: Live) -> LoadedVersion:
        """Return what an alias points at; where that does not load, the newest version below it on the stack that does.

        Raises `NothingReproduces` where none does, and `PluginUnavailable`.
        """
        try:
            return self.load(live.model, live.version_number, live.artifact_digest)
        except UNLOADABLE as error:
            return self._fall_back(live, error)

    def prove(self, version: Version) -> None:
        """Load a version from its bytes, cached or not, and compare its golden forecast. Raises as `load_version`."""
        key = (version.model, version.number, version.artifact_digest)
        try:
            self._attempt(key, lambda: self._load(version))
        except UNLOADABLE:
            self._tell(key)
            raise

    def _kept(self, key: Key, load: Callable[[], LoadedVersion]) -> LoadedVersion:
        """Return a version from the cache, or load it; what failed a moment ago fails again without a look."""

        def attempt() -> LoadedVersion:
            if (failure := self.failures.recent(key)) is not None:
                raise bare(failure.error)
            return self._attempt(key, load)

        try:
            return self._cache.get(key, attempt)
        except UNLOADABLE:
            self._tell(key)  # not where others wait for the same version: a locked database takes its time
            raise

    def _attempt(self, key: Key, load: Callable[[], LoadedVersion]) -> LoadedVersion:
        try:
            loaded = load()
        except UNLOADABLE as error:
            self.failures.add(Failure(*key, bare(error)))
            raise
        self.failures.remove(key)
        return loaded

    def _tell(self, key: Key) -> None:
        failure = self.failures.take_untold(key)
        if failure is not None and not write_event(self._engine, failure):
            self.failures.untell(failure)

    def _fall_back(self, live: Live, error: Exception) -> LoadedVersion:
        """Walk down the stack as it is now: the alias may have moved since its top failed to load."""
        failed: list[Failure] = []
        for each in stacked_versions(self._engine, live.model, live.alias):
            try:
                loaded = self.load(each.model, each.version_number, each.artifact_digest)
            except UNLOADABLE as refusal:
                failed.append(Failure(each.model, each.version_number, each.artifact_digest, refusal))
            else:
                return _in_place_of(loaded, failed[0], live.alias) if failed else loaded
        if not failed:  # nothing is live any more
            raise error
        raise NothingReproduces(_nothing_left(live, failed), failed[0].error)

    def _load(self, version: Version) -> LoadedVersion:
        plugin, max_bytes = self._catalogue.serving(version.plugin), self._settings.max_artifact
        content = self._outage.ask(lambda: self._store.get(version.artifact_digest, max_bytes=max_bytes))
        forecaster = restore(content, plugin, self._settings, version)
        check_golden(forecaster, version.golden, f"version {version.number} of the model {version.model!r}")
        signature = forecaster.signature
        limit = min(signature.max_horizon, self._settings.max_horizon)
        return LoadedVersion(version, forecaster, signature, tuple(version.notices), limit)


def restore(content: bytes, plugin: Plugin, settings: Settings, version: Version) -> Forecaster:
    """Rebuild a version's forecaster from its artifact: digest before parse, and only what the plugin's code trusts.

    Raises an `ArtifactError` of the registry, or `StateError` for whatever the plugin makes of the state.
    """
    pickled = version.serializer == "pickle"
    state = loads(
        content,
        version.serializer,
        digest=version.artifact_digest,
        key=signing_key(settings.signing_key_file) if pickled and settings.allow_pickle else None,
        owner=owner_of(version.model, version.signature) if pickled else "",
        allow_pickle=settings.allow_pickle,
        trusted_types=plugin.trusted_types,
        max_bytes=settings.max_artifact,
    )
    check_identity(state, version.signature, content, version.state_digest, max_bytes=settings.max_artifact)
    return _restored(plugin, state, version.state_format)


def _restored(plugin: Plugin, state: Any, state_format: int) -> Forecaster:
    try:
        return plugin.restore(state, state_format)
    except StateError:
        raise
    except ForecastleError as error:
        raise StateError(error.message) from error
    except Exception as error:  # the plugin border
        message = f"the plugin {plugin.name!r} cannot restore this state ({type(error).__name__}: {error}); tell its author"
        raise StateError(message) from error


def _in_place_of(loaded: LoadedVersion, failure: Failure, alias: str) -> LoadedVersion:
    text = (
        f"version {failure.version}, live as {alias!r}, is not served here ({failure.code}): {failure.message}; "
        f"version {loaded.version.number} answers in its place"
    )
    notices = (*loaded.notices, Notice(FALLBACK, text).to_json())
    return replace(loaded, notices=notices, instead_of=failure)


def _nothing_left(live: Live, failed: Sequence[Failure]) -> str:
    told = "; ".join(f"version {failure.version}: {failure.message}" for failure in failed[:NAMED])
    more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    return f"no version on the stack of {live.alias!r} of the model {live.model!r} can be served: {told}{more}"
