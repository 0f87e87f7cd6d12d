"""Registers a training as the next version of its model, in one transaction, and reads what was registered."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .actors import LOCAL, Actor
from .aliases import PRODUCTION
from .artifacts import MAX_ARTIFACT_BYTES, check_size, claim_artifact, digest_of, hold_artifact, store_artifact
from .clearance import Refusal
from .engine import reading, writing
from .errors import ArtifactMissing, ModelNotFound, PluginMismatch, VersionNotFound
from .events import log_event
from .pages import Page, page_of
from .plain import check_name, is_name, is_number, plain
from .publishing import publish
from .rows import check_model, insert_once, lock_model
from .stores import ArtifactStore, DatabaseStore
from .tables import alias_stack, artifacts, models, versions

NOBODYS = "0" * 64  # a digest to ask a store by whether it is there


@dataclass(frozen=True, kw_only=True)
class _Training:
    """What is known of a training before and after it is registered. Dicts and lists hold plain data."""

    model: str
    plugin: str
    plugin_version: str
    serializer: str
    state_format: int
    state_digest: str
    signature: dict[str, Any]
    parameters: dict[str, Any]
    estimates: list[Any] = field(default_factory=list)
    llf: float | None = None
    criteria: dict[str, Any] = field(default_factory=dict)
    candidates: list[Any] = field(default_factory=list)
    verdict: str | None = None
    accuracy: dict[str, Any] | None = None
    lineage: dict[str, Any] = field(default_factory=dict)
    notices: list[Any] = field(default_factory=list)
    golden: dict[str, Any] = field(default_factory=dict)
    parent: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewVersion(_Training):
    """A training that is to become a version."""

    artifact: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Version(_Training):
    """A registered training: immutable but for `archived_at`. Times are aware, in UTC."""

    number: int
    artifact_digest: str
    artifact_size: int
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """A line of a model's history; `aliases` are those that it is live as."""

    model: str
    number: int
    created_at: datetime
    archived_at: datetime | None
    plugin: str
    plugin_version: str
    serializer: str
    artifact_size: int
    parent: int | None
    verdict: str | None
    llf: float | None
    parameters: dict[str, Any]
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A named thing that is served: `aliases` maps each to its live version, `latest` is the newest version, if any is left."""

    name: str
    plugin: str
    created_at: datetime
    aliases: dict[str, int]
    latest: int | None


@dataclass(frozen=True, slots=True)
class Registered:
    """A version that was just registered, whether it went live at once, and why not where it was to."""

    version: Version
    live: bool
    refusal: Refusal | None = None


def register_version(
    engine: sa.Engine,
    new: NewVersion,
    *,
    promote: bool | None,
    alias: str = PRODUCTION,
    store: ArtifactStore | None = None,
    max_bytes: int = MAX_ARTIFACT_BYTES,
    actor: Actor = LOCAL,
    reason: str | None = None,
) -> Registered:
    """Register a training as its model's next version, all of it or nothing, and promote it when that is wanted.

    The artifact goes to `store`, the database unless given; another store holds it before the version is there.
    `promote=None` promotes a model's first version, unless its verdict is worse than `converged` or the alias is protected.
    What may not go live is registered all the same, with a `refusal`: no training is lost. Numbers that are not finite
    become None, as JSON has no word for them. Raises `PluginMismatch`, `NotPlainData`, `NameRefused`,
    `ArtifactRefused` for one above `max_bytes`, `StoreUnusable`, or `VersionNotFound` for an unknown parent.
    """
    check_name(new.model)
    check_name(alias)
    check_size(len(new.artifact), None, max_bytes)
    training = {name: plain(getattr(new, name), name) for name in _TRAINING}
    digest, size = digest_of(new.artifact), len(new.artifact)
    elsewhere = _put_elsewhere(engine, store, digest, new.artifact)
    with writing(engine) as connection:
        version = _insert(connection, training, digest, size, None if elsewhere else new.artifact)
        details = {name: getattr(version, name) for name in ("plugin", "artifact_digest", "state_digest", "parent")}
        log_event(connection, actor, "register", model=version.model, version=version.number, reason=reason, details=details)
        published = publish(
            connection,
            version.model,
            version.number,
            version.verdict,
            promote=promote,
            alias=alias,
            actor=actor,
            reason=reason,
        )
    return Registered(version, published.live, published.refusal)


def get_version(engine: sa.Engine, model: str, number: int) -> Version:
    """Return all that is stored of one version. Raises `ModelNotFound` or `VersionNotFound`."""
    columns = [versions.c[f.name] for f in fields(Version)]
    query = sa.select(*columns).where(versions.c.model == model, versions.c.number == number)
    with reading(engine) as connection:
        row = connection.execute(query).mappings().first() if is_name(model) and is_number(number) else None
        if row is None:
            check_model(connection, model)
            raise VersionNotFound(model, number)
    return Version(**row)


def list_versions(engine: sa.Engine, model: str, *, before: int | None = None, limit: int = 50) -> Page[VersionSummary]:
    """Return a model's versions, newest first; `before` is a number: go on below it. Raises `ModelNotFound`."""
    columns = [versions.c[f.name] for f in fields(VersionSummary) if f.name != "aliases"]
    query = sa.select(*columns).where(versions.c.model == model).order_by(versions.c.number.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(versions.c.number < before)
    with reading(engine) as connection:
        check_model(connection, model)
        live = live_versions(connection, [model]).get(model, {})
        rows = connection.execute(query).mappings().all()
    found = [VersionSummary(**row, aliases=tuple(a for a, n in live.items() if n == row["number"])) for row in rows]
    return page_of(found, limit, lambda version: version.number)


def list_models(engine: sa.Engine, *, after: str | None = None, limit: int = 50) -> Page[Model]:
    """Return the models by name; `after` is a name: go on behind it."""
    query = _MODELS.order_by(models.c.name).limit(limit + 1)
    if after is not None:
        query = query.where(models.c.name > after)
    with reading(engine) as connection:
        found = _read_models(connection, query)
    return page_of(found, limit, lambda model: model.name)


def get_model(engine: sa.Engine, name: str) -> Model:
    """Return one model. Raises `ModelNotFound`."""
    with reading(engine) as connection:
        found = _read_models(connection, _MODELS.where(models.c.name == name)) if is_name(name) else []
    if not found:
        raise ModelNotFound(name)
    return found[0]


def version_count(engine: sa.Engine, model: str | None = None) -> int:
    """Count the versions of one model, or of all."""
    query = sa.select(sa.func.count()).select_from(versions)
    if model is not None:
        query = query.where(versions.c.model == model)
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def last_number(connection: sa.Connection, model: str) -> int:
    """Return the highest number ever given; the release before this one does not keep `last_number`."""
    highest = sa.select(sa.func.max(versions.c.number)).where(versions.c.model == model).scalar_subquery()
    query = sa.select(highest, models.c.last_number).where(models.c.name == model)
    present, given = connection.execute(query).one()
    return max(present or 0, given)


_TRAINING = tuple(f.name for f in fields(_Training))

_MODELS = sa.select(
    models.c.name,
    models.c.plugin,
    models.c.created_at,
    sa.select(sa.func.max(versions.c.number)).where(versions.c.model == models.c.name).scalar_subquery().label("latest"),
)


def _put_elsewhere(engine: sa.Engine, store: ArtifactStore | None, digest: str, content: bytes) -> bool:
    """Put an artifact into a store other than the database, behind the row that claims it; tell whether there was one."""
    if store is None or isinstance(store, DatabaseStore):
        return False
    _refuse_missing_mount(engine, store)
    claim_artifact(engine, digest, len(content))
    store.put(digest, content)
    return True


def _refuse_missing_mount(engine: sa.Engine, store: ArtifactStore) -> None:
    """Raise `StoreUnusable` where nothing was ever put, though versions have artifacts elsewhere than in the database.

    What went into the folder that a mount hides would be lost as soon as the mount is back.
    """
    elsewhere = sa.select(versions.c.number).join(artifacts).where(artifacts.c.content.is_(None)).limit(1)
    with reading(engine) as connection:
        if connection.execute(elsewhere).first() is None:
            return
    with suppress(ArtifactMissing):
        store.get(NOBODYS)


def _insert(connection: sa.Connection, training: dict[str, Any], digest: str, size: int, content: bytes | None) -> Version:
    model, parent = training["model"], training["parent"]
    _claim_model(connection, model, training["plugin"])
    latest = last_number(connection, model)
    if parent is not None and not _is_there(connection, model, parent):
        raise VersionNotFound(model, parent)
    version = Version(**training, number=latest + 1, artifact_digest=digest, artifact_size=size, created_at=datetime.now(UTC))
    if content is None:
        hold_artifact(connection, digest)
    else:
        store_artifact(connection, digest, size, content)
    connection.execute(versions.insert(), asdict(version))
    connection.execute(models.update().where(models.c.name == model).values(last_number=version.number))
    return version


def _is_there(connection: sa.Connection, model: str, number: int) -> bool:
    query = sa.select(versions.c.number).where(versions.c.model == model, versions.c.number == number)
    return is_number(number) and connection.execute(query).first() is not None


def _claim_model(connection: sa.Connection, model: str, plugin: str) -> None:
    """Hold the model's row, made when it is not there, so that two trainings get their numbers one after the other."""
    try:
        owner = lock_model(connection, model)
    except ModelNotFound:
        insert_once(connection, models, {"name": model, "plugin": plugin, "created_at": datetime.now(UTC)})
        owner = lock_model(connection, model)
    if owner != plugin:
        raise PluginMismatch(model, owner, plugin)


def _read_models(connection: sa.Connection, query: sa.Select[Any]) -> list[Model]:
    rows = connection.execute(query).mappings().all()
    live = live_versions(connection, [row["name"] for row in rows])
    return [Model(**row, aliases=live.get(row["name"], {})) for row in rows]


def live_versions(connection: sa.Connection, names: list[str]) -> dict[str, dict[str, int]]:
    """Return what each alias of some models points at, by model and alias."""
    below = alias_stack.alias("below")
    same = (below.c.model == alias_stack.c.model) & (below.c.alias == alias_stack.c.alias)
    top = sa.select(sa.func.max(below.c.position)).where(same).scalar_subquery()
    query = (
        sa.select(alias_stack.c.model, alias_stack.c.alias, alias_stack.c.version)
        .where(alias_stack.c.model.in_(names), alias_stack.c.position == top)
        .order_by(alias_stack.c.model, alias_stack.c.alias)
    )
    live: dict[str, dict[str, int]] = {}
    for model, alias, version in connection.execute(query):
        live.setdefault(model, {})[alias] = version
    return live
