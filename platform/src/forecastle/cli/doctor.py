"""`forecastle doctor`: the settings with where each came from, and whether the parts of the installation are well."""

from __future__ import annotations

import os
import platform as machine
from collections.abc import Callable, Sequence
from functools import partial

import click
from sqlalchemy import Engine

from forecastle_registry.engine import reading
from forecastle_registry.errors import RegistryError
from forecastle_registry.events import ANOTHERS
from forecastle_registry.heads import read_head
from forecastle_registry.keeping import try_store
from forecastle_registry.keys import admit, has_admin
from forecastle_registry.pages import MANY, every
from forecastle_registry.seals import is_sealed_with
from forecastle_registry.signing import signing_key
from forecastle_registry.stores import DatabaseStore
from forecastle_registry.versions import Model, list_models

from .. import __version__
from ..database import expected_revision, open_artifacts, open_database, require_current
from ..errors import PlatformError, SettingsError
from ..issuing import NO_ADMIN
from ..keyring import OPEN, OPEN_ANYWAY
from ..plugins import discover
from ..serving.checking import problems_of
from ..serving.loading import Loader
from ..settings import SETTINGS, Settings, settings_from, text_of, unknown_settings
from .output import NOTHING, print_table

SECRETS = ("database_url", "rate_storage")  # they may hold a password
SIZES = ("max_upload", "max_artifact")
MB = 1000**2
SHOWN = 20  # of the versions that do not load


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Explain this installation, and tell what is wrong with it."""
    click.echo(f"forecastle {__version__} on Python {machine.python_version()} ({machine.machine()})\n")
    chains: list[list[Callable[[], str]]] = [[_check_plugins], [_check_names]]  # each check of a chain needs the one before
    try:
        settings = settings_from(os.environ)
    except SettingsError as error:
        _print_texts()
        wrong = [problem.message for problem in error.problems]
    else:
        rows = [(setting.name, _shown(settings, setting.field), settings.sources[setting.name]) for setting in SETTINGS]
        print_table(("setting", "value", "from"), rows)
        chains[:0] = [
            [partial(_check_home, settings)],
            [
                partial(check, settings)
                for check in (_check_database, _check_log, _check_artifacts, _check_versions, _check_access)
            ],
        ]
        wrong = []
    click.echo()
    for message in wrong:
        click.echo(f"problem  {message}")
    well = [all(_run(check) for check in chain) for chain in chains]
    context.exit(0 if all(well) and not wrong else 1)


def _print_texts() -> None:
    """Print the settings as they were written, because one of them cannot be understood."""
    rows = []
    for setting in SETTINGS:
        try:
            text, source = text_of(setting, os.environ)
        except SettingsError:
            text, source = "?", "?"
        rows.append((setting.name, _without_password(text) if setting.field in SECRETS else text, source))
    print_table(("setting", "as written", "from"), rows)


def _run(check: Callable[[], str]) -> bool:
    try:
        click.echo(f"ok       {check()}")
    except (PlatformError, RegistryError) as error:
        click.echo(f"problem  {error.message}")
        return False
    return True


def _shown(settings: Settings, field: str) -> str:
    value = getattr(settings, field)
    if field in SECRETS:
        return _without_password(str(value))
    if field in SIZES:
        return f"{value // MB} MB" if value % MB == 0 else f"{value:,} bytes"
    if isinstance(value, bool):
        return str(value).lower()  # as it would be set
    return f"{value:g}" if isinstance(value, float) else NOTHING if value is None else str(value)


def _without_password(url: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url) if url else None
    except (ArgumentError, ValueError):  # ValueError: of a port that is no number
        return "?"
    if parsed is None:
        return ""
    return parsed.difference_update_query([n for n in parsed.query if "password" in n]).render_as_string(hide_password=True)


def _check_home(settings: Settings) -> str:
    home = settings.home
    if not home.exists():
        return f"the home {home} will be made at first use"
    if not os.access(home, os.W_OK):
        raise PlatformError(f"the home {home} cannot be written to; change its owner, or set FORECASTLE_HOME")
    return f"the home {home} can be written to"


def _check_database(settings: Settings) -> str:
    engine = open_database(settings)
    require_current(engine)
    return f"the database is at revision {expected_revision()}, with {_count_of(_all_models(engine))}"


def _check_log(settings: Settings) -> str:
    engine, path = open_database(settings), settings.signing_key_file
    with reading(engine) as connection:
        if path.exists() and is_sealed_with(connection, signing_key(path)):
            shared = ", which others on this machine can reach: `chmod 600` it" if path.stat().st_mode & 0o077 else ""
            return f"the audit log is sealed with the key in {path}{shared}"
        if read_head(connection) is not None:
            raise PlatformError(
                ANOTHERS if path.exists() else f"the signing key {path} is not there: bring it from where the log was written"
            )
    return f"the signing key {path} will be made at first use"


def _check_access(settings: Settings) -> str:
    engine = open_database(settings)
    any_key = admit(engine, None).any_key
    if settings.open:
        return OPEN_ANYWAY if any_key else OPEN
    if not any_key:
        return "no key has been created: a server on 127.0.0.1 is open to this machine, on another address it does not start"
    if not has_admin(engine):
        raise PlatformError(NO_ADMIN)
    return "every request needs a key"


def _check_artifacts(settings: Settings) -> str:
    store = open_artifacts(settings, open_database(settings))
    if isinstance(store, DatabaseStore):
        return "artifacts are kept in the database"
    try_store(store)
    return f"artifacts are kept in {store.name}, which can be written to and read"


def _check_versions(settings: Settings) -> str:
    """Load every live version from its bytes, and compare its golden forecast."""
    engine = open_database(settings)
    require_current(engine)
    loader = Loader(engine, discover(), settings)
    models = _all_models(engine)
    problems = [problem for model in models for problem in problems_of(engine, loader, model)]
    if problems:
        told = [f"{problem.model} version {problem.version} ({problem.alias}): {problem.message}" for problem in problems]
        more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        raise PlatformError("live versions that do not load: " + "; ".join(told[:SHOWN]) + more)
    return f"what is live loads and repeats its golden forecasts, in {_count_of(models)}"


def _all_models(engine: Engine) -> list[Model]:
    return every(lambda cursor: list_models(engine, after=cursor, limit=MANY))


def _count_of(models: Sequence[Model]) -> str:
    return f"{len(models)} model{'s' if len(models) != 1 else ''}"


def _check_plugins() -> str:
    plugins = list(discover())
    broken = [f"{plugin.name} of {plugin.distribution}: {plugin.problem}" for plugin in plugins if not plugin.usable]
    if broken:
        raise PlatformError("plugins that cannot be used: " + "; ".join(broken))
    if not plugins:
        raise PlatformError("no plugin is installed; install a distribution that offers one")
    return "the plugins can be used: " + ", ".join(plugin.name for plugin in plugins)


def _check_names() -> str:
    unknown = unknown_settings(os.environ)
    if unknown:
        raise PlatformError(f"no such setting: {', '.join(unknown)}; compare with the table above")
    return "every FORECASTLE_ variable is a setting"
