"""What a view needs of the rest of the platform, made once for an application."""

from __future__ import annotations

from dataclasses import dataclass

import flask
from sqlalchemy import Engine

from ..keyring import Keyring
from ..plugins import Catalogue
from ..rates import Rates
from ..serving.forecasts import Forecasting
from ..settings import Settings

EXTENSION = "forecastle"


@dataclass(frozen=True, slots=True)
class Services:
    """The settings, the registry, the plugins, the forecasting service, the keys and the limits of this application."""

    settings: Settings
    engine: Engine
    catalogue: Catalogue
    forecasting: Forecasting
    keyring: Keyring
    rates: Rates


def services() -> Services:
    """Return the services of the current application."""
    found: Services = flask.current_app.extensions[EXTENSION]
    return found
