"""Builds the application: configuration, then services, then what is asked before and after each request, then blueprints."""

from __future__ import annotations

import logging
import secrets

import flask

from .. import __version__
from ..database import open_database, require_current
from ..keyring import Keyring
from ..plugins import Catalogue, discover
from ..rates import Rates
from ..serving.forecasts import Forecasting
from ..settings import Settings
from . import audit, changes, forecasts, health, keys, pages, problems, versions_admin
from . import catalogue as catalogue_views
from .access import enforce
from .blueprints import Api
from .replies import OrjsonProvider
from .services import EXTENSION, Services, services

log = logging.getLogger(__name__)

# Everything comes from this package, and nothing is inline: Swagger UI and uPlot set styles by script, which the policy allows.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_app(settings: Settings, *, loopback: bool = False, plugins: Catalogue | None = None) -> flask.Flask:
    """Return the WSGI application. `loopback` says that the server is bound to this machine's own address.

    Raises `AccessRefused` where others could reach it without a key, `DatabaseBehind` where `forecastle db upgrade` is due,
    and `DuplicatePlugin`.
    """
    app = flask.Flask("forecastle", static_folder="static", template_folder="templates")
    app.json = OrjsonProvider(app)
    app.config.update(
        API_TITLE="Forecastle",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        API_SPEC_OPTIONS=Api.OPTIONS,
        MAX_CONTENT_LENGTH=settings.max_upload,
        PROPAGATE_EXCEPTIONS=False,
    )
    engine = open_database(settings)
    require_current(engine)
    found = discover() if plugins is None else plugins
    forecasting = Forecasting(engine, found, settings)
    keyring = Keyring(engine, settings, forecasting.memory, loopback=loopback)
    keyring.require_open_or_key()
    rates = Rates(settings.rate_limit, settings.rate_storage)
    app.extensions[EXTENSION] = Services(settings, engine, found, forecasting, keyring, rates)
    app.before_request(_begin)
    app.after_request(_finish)
    problems.register(app)
    api = Api(app)
    for blueprint in (
        forecasts.blueprint,
        catalogue_views.models,
        changes.observations,
        changes.admin,
        versions_admin.blueprint,
        audit.blueprint,
        catalogue_views.plugins,
        keys.blueprint,
        health.blueprint,
    ):
        api.register_blueprint(blueprint)
    app.register_blueprint(pages.blueprint)
    if reason := keyring.why_open():
        log.warning("open: %s", reason)
    return app


def _begin() -> None:
    flask.g.request_id = secrets.token_hex(8)
    enforce()


def _finish(response: flask.Response) -> flask.Response:
    if flask.g.get("changes"):  # what was read before is not to be told once this has been answered
        services().forecasting.memory.forget()
    response.headers["X-Request-ID"] = flask.g.get("request_id", "")
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "same-origin"
    return response
