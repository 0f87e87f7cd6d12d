"""What every command opens: the settings, the registry's database, the plugins. Opened when asked for, not before."""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Engine

from forecastle_registry.actors import Actor

from ..database import open_database, require_current
from ..plugins import Catalogue, discover
from ..serving.forecasts import Forecasting
from ..settings import Settings, settings_from


def command_line() -> Actor:
    """Return who uses the command line. Whoever reaches the database this way may do everything in it anyway."""
    return Actor("command line", f"{_user()}@{socket.gethostname()}"[:200])


def _user() -> str:
    """Return the user as the system knows it, not as the environment says; containers may run as one that has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


@dataclass(frozen=True)
class Installation:
    """This machine's Forecastle, as the environment describes it."""

    settings: Settings

    @classmethod
    def here(cls) -> Installation:
        """Read the settings from the environment."""
        return cls(settings_from(os.environ))

    @cached_property
    def engine(self) -> Engine:
        """The registry's database, up to date. Raises `DatabaseBehind` when it is not."""
        engine = open_database(self.settings)
        require_current(engine)
        return engine

    @cached_property
    def catalogue(self) -> Catalogue:
        """The installed plugins."""
        return discover()

    @cached_property
    def forecasting(self) -> Forecasting:
        """The forecasting service."""
        return Forecasting(self.engine, self.catalogue, self.settings)
