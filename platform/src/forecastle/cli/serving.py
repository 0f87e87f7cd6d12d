"""`forecastle serve`."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..database import open_database
from ..database import upgrade as upgrade_database
from ..errors import PlatformError
from ..settings import Settings, settings_from
from .output import Whole

if TYPE_CHECKING:
    import flask

SLACK = 1000**2  # what is a little too large is read to its end, so that clients that write before they read see the answer


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to bind to.")
@click.option("--port", default=8000, show_default=True, type=Whole(0, 65535), help="The port; 0 takes a free one.")
@click.option("--threads", default=4, show_default=True, type=Whole(1, 64), help="How many requests are answered at once.")
@click.option("--no-worker", is_flag=True, help="Start no worker for jobs beside the server; in this release there is none.")
def serve(host: str, port: int, threads: int, no_worker: bool) -> None:
    """Serve every model over HTTP, until Ctrl-C. Nothing is trained here."""
    from ..http import create_app  # here, so that the other commands start faster
    from ..http.access import is_loopback

    settings = settings_from(os.environ)
    _migrate_embedded(settings)
    server = _listen(create_app(settings, loopback=is_loopback(host)), settings, host, port, threads)
    signal.signal(signal.SIGTERM, _stop)
    _announce(settings, host, _port_of(server))
    try:
        server.run()
    finally:
        server.close()
        click.echo("Stopped.")


def _listen(app: flask.Flask, settings: Settings, host: str, port: int, threads: int) -> Any:
    """Return waitress' server for the application, bound. Raises `PlatformError` where the address cannot be had."""
    from waitress.server import create_server  # here, so that the other commands start faster

    from ..http.unheard import ProblemChannel

    listeners: dict[int, Any] = {}
    try:
        server = create_server(
            app,
            listeners,
            host=host,
            port=port,
            threads=threads,
            ident="",
            max_request_body_size=settings.max_upload + SLACK,
            clear_untrusted_proxy_headers=True,
        )
    except (OSError, ValueError) as error:  # waitress says ValueError of a host that it cannot find
        reason = error.strerror if isinstance(error, OSError) else "there is no such host"
        raise PlatformError(f"cannot listen on {host}:{port}: {reason}; stop what is there, or choose another --port") from None
    for listener in listeners.values():  # a name as localhost may mean two addresses
        listener.channel_class = partial(ProblemChannel, max_upload=settings.max_upload)
    # It warns whenever a request waits for a thread, as the parts of any page do.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return server


def _port_of(server: Any) -> int:
    """Return the port that was bound, the first one of several addresses."""
    return int(server.effective_port if hasattr(server, "effective_port") else server.effective_listen[0][1])


def _migrate_embedded(settings: Settings) -> None:
    """Bring an SQLite database up to date: it belongs to this server. Any other is migrated by `forecastle db upgrade`."""
    if settings.database_url.startswith("sqlite"):
        upgrade_database(open_database(settings))


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _announce(settings: Settings, host: str, port: int) -> None:
    name = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host
    address = f"http://{name}:{port}"
    lines = ["", f"Forecastle serves on {address}"]
    lines += [f"  {address}/apidocs" + " " * 24 + "the platform"]
    lines += [f"  {address}/models/{model}/docs".ljust(len(address) + 34) + f"the model {model}" for model in _models(settings)]
    lines += [
        "",
        "For the command line, in another terminal:",
        f"  export FORECASTLE_HOME={shlex.quote(str(settings.home))}",
        "",
        "Ctrl-C stops it.",
    ]
    click.echo("\n".join(lines))


def _models(settings: Settings) -> list[str]:
    from forecastle_registry.versions import list_models

    return [model.name for model in list_models(open_database(settings), limit=5).items]
