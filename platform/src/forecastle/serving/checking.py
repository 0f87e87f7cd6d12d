"""Which live versions do not load here: for `/health/ready`, a model's page and `forecastle doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from forecastle_registry.aliases import live_version
from forecastle_registry.errors import AliasNotFound, ArtifactError, ModelNotFound, SigningKeyUnusable, StoreUnusable
from forecastle_registry.versions import Model, get_model

from ..errors import NothingReproduces, PluginUnavailable
from .failures import code_of, message_of
from .loading import LoadedVersion, Loader

MODELS = 20  # that are looked at for one answer of `/health/ready`
ALIASES = 50  # of one model

# What keeps a version from being loaded, and is not over with the next request. A database that is away is no problem of
# one version.
_PROBLEMS = (NothingReproduces, PluginUnavailable, ArtifactError, StoreUnusable, SigningKeyUnusable)


@dataclass(frozen=True, slots=True)
class LiveProblem:
    """A live version that this process cannot load; `served` is the version that answers in its place, None when none does."""

    model: str
    alias: str
    version: int
    code: str
    message: str
    served: int | None


def problems_of(engine: Engine, loader: Loader, model: Model) -> list[LiveProblem]:
    """Load what each alias of a model points at, through the cache, and return those that do not load."""
    found = (problem_at(engine, loader, model.name, alias) for alias in sorted(model.aliases)[:ALIASES])
    return [problem for problem in found if problem is not None]


def known_problems(engine: Engine, loader: Loader) -> list[LiveProblem]:
    """Return what this process found to be unloadable and still is, among what is live; each is looked at again."""
    found: list[LiveProblem] = []
    for name in loader.failures.models()[:MODELS]:
        try:
            found += problems_of(engine, loader, get_model(engine, name))
        except ModelNotFound:
            continue  # deleted since
    return found


def problem_at(engine: Engine, loader: Loader, model: str, alias: str) -> LiveProblem | None:
    """Load what one alias points at, through the cache; return why it does not load, None when it does."""
    try:
        live = live_version(engine, model, alias)
    except AliasNotFound:
        return None  # it points at nothing any more
    try:
        loaded = loader.load_live(live)
    except _PROBLEMS as error:
        cause = error.cause if isinstance(error, NothingReproduces) else error
        return LiveProblem(model, alias, live.version_number, code_of(cause), message_of(cause), None)
    return _replacement(loaded, alias)


def _replacement(loaded: LoadedVersion, alias: str) -> LiveProblem | None:
    failure = loaded.instead_of
    if failure is None:
        return None
    return LiveProblem(failure.model, alias, failure.version, failure.code, failure.message, loaded.version.number)
