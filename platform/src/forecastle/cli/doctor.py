"""`forecastle doctor`: the settings with where each came from, and whether the parts of the installation are well."""

from __future__ import annotations

import os
import platform as machine
from collections.abc import Callable

import click

from forecastle_registry.errors import RegistryError
from forecastle_registry.versions import list_models

from .. import __version__
from ..database import expected_revision, open_database, require_current
from ..errors import PlatformError
from ..plugins import discover
from ..settings import SETTINGS, Settings, settings_from, unknown_settings
from .output import print_table

SECRET = "database_url"  # may hold a password


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Explain this installation: its settings, its database, its plugins, and what is wrong with them."""
    click.echo(f"forecastle {__version__} on Python {machine.python_version()} ({machine.machine()})\n")
    settings = settings_from(os.environ)
    print_table(("setting", "value", "from"), [(s.name, _shown(settings, s.field), settings.sources[s.name]) for s in SETTINGS])
    click.echo()
    checks: tuple[Callable[[Settings], str], ...] = (_check_home, _check_database, _check_plugins, _check_names)
    well = [_run(check, settings) for check in checks]
    context.exit(0 if all(well) else 1)


def _run(check: Callable[[Settings], str], settings: Settings) -> bool:
    try:
        click.echo(f"ok       {check(settings)}")
    except (PlatformError, RegistryError) as error:
        click.echo(f"problem  {error.message}")
        return False
    return True


def _shown(settings: Settings, field: str) -> str:
    if field == SECRET:
        from sqlalchemy import make_url

        return make_url(settings.database_url).render_as_string(hide_password=True)
    return str(getattr(settings, field))


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
    count = len(list_models(engine, limit=500).items)
    return f"the database is at revision {expected_revision()}, with {count} model{'s' if count != 1 else ''}"


def _check_plugins(settings: Settings) -> str:
    plugins = list(discover())
    broken = [f"{plugin.name} of {plugin.distribution}: {plugin.problem}" for plugin in plugins if not plugin.usable]
    if broken:
        raise PlatformError("plugins that cannot be used: " + "; ".join(broken))
    if not plugins:
        raise PlatformError("no plugin is installed; install a distribution that offers one")
    return "the plugins can be used: " + ", ".join(plugin.name for plugin in plugins)


def _check_names(settings: Settings) -> str:
    unknown = unknown_settings(os.environ)
    if unknown:
        raise PlatformError(f"no such setting: {', '.join(unknown)}; compare with the table above")
    return "every FORECASTLE_ variable is a setting"
