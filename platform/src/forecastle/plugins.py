"""The plugins that are installed: found by their entry points, each with the reason if it cannot be used."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

from forecastle_registry.errors import RegistryError
from forecastle_sdk import CONTRACT, Plugin
from forecastle_sdk.errors import FitError, ForecastleError

from .errors import DuplicatePlugin, PlatformError, PluginUnavailable, PluginUnknown

GROUP = "forecastle.plugins"


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One entry point: `plugin` is there when it is usable, otherwise `problem` says why not."""

    name: str
    distribution: str
    version: str
    plugin: Plugin | None
    problem: str | None = None

    @property
    def usable(self) -> bool:
        """Whether the plugin can fit and forecast."""
        return self.plugin is not None


class Catalogue:
    """The plugins of this installation, sorted by name."""

    def __init__(self, plugins: Iterable[InstalledPlugin]) -> None:
        self._plugins = {plugin.name: plugin for plugin in sorted(plugins, key=lambda plugin: plugin.name)}

    def __iter__(self) -> Iterator[InstalledPlugin]:
        return iter(self._plugins.values())

    def get(self, name: str) -> InstalledPlugin:
        """Return the plugin of that name, usable or not. Raises `PluginUnknown`."""
        if name not in self._plugins:
            known = ", ".join(self._plugins) or "none"
            raise PluginUnknown(f"there is no plugin {name!r}; installed are: {known}")
        return self._plugins[name]

    def usable(self, name: str) -> Plugin:
        """Return a plugin that can be used. Raises `PluginUnknown` or `PluginUnavailable`."""
        found = self.get(name)
        if found.plugin is None:
            raise PluginUnavailable(f"the plugin {name!r} of {found.distribution} cannot be used: {found.problem}")
        return found.plugin

    def serving(self, name: str) -> Plugin:
        """Return the plugin that a stored version needs. Raises `PluginUnavailable` whatever the reason is."""
        if name not in self._plugins:
            raise PluginUnavailable(f"the plugin {name!r} is not installed; install its distribution, then restart")
        return self.usable(name)


@contextmanager
def plugin_at_work(name: str, doing: str) -> Iterator[None]:
    """Turn what a plugin raises by mistake into `FitError`, so that a person reads whose mistake it is."""
    try:
        yield
    except (ForecastleError, RegistryError, PlatformError):
        raise
    except Exception as error:  # the plugin border
        message = f"the plugin {name!r} failed while {doing} ({type(error).__name__}: {error}); tell its author"
        raise FitError(message, code="plugin-failed") from error


def discover(entry_points: Iterable[metadata.EntryPoint] | None = None) -> Catalogue:
    """Load every plugin of the group. One that fails is listed with its reason. Raises `DuplicatePlugin`."""
    found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    by_name: dict[str, metadata.EntryPoint] = {}
    for entry in sorted(found, key=lambda entry: (entry.name, _distribution(entry)[0])):
        if entry.name in by_name and _distribution(by_name[entry.name]) != _distribution(entry):
            raise DuplicatePlugin(
                f"two distributions offer the plugin {entry.name!r}: {_distribution(by_name[entry.name])[0]} and "
                f"{_distribution(entry)[0]}; uninstall one of them"
            )
        by_name[entry.name] = entry
    return Catalogue(_load(entry) for entry in by_name.values())


def _distribution(entry: metadata.EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist else ("an unknown distribution", "")


def _load(entry: metadata.EntryPoint) -> InstalledPlugin:
    distribution, version = _distribution(entry)
    try:
        loaded = entry.load()
        problem = _objection(entry.name, loaded)
        plugin = None if problem else loaded()
    except (Exception, SystemExit) as error:  # noqa: BLE001  the plugin border: whatever a plugin raises must not take the platform down
        plugin, problem = None, f"{type(error).__name__}: {error}"
    return InstalledPlugin(entry.name, distribution, version, plugin, problem)


def _objection(name: str, loaded: object) -> str | None:
    contract = getattr(loaded, "contract", None)
    if contract != CONTRACT:
        return f"it follows contract {contract!r}, this platform follows contract {CONTRACT}; install a matching release"
    if not (inspect.isclass(loaded) and issubclass(loaded, Plugin)):
        return f"its entry point names {loaded!r}; expected a subclass of forecastle_sdk.Plugin"
    if loaded.name != name:
        return f"it calls itself {loaded.name!r}, its entry point {name!r}; the two must be equal"
    return None
