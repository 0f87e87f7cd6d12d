"""Who may ask: the role that each address declares, and the open laptop, where only pages of our own may drive the browser.

Keys come with a later release. Until then an installation is open or does not start: docs/decisions/0001-no-keys-yet.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import flask

from forecastle_registry.actors import Actor

from ..errors import AccessRefused
from ..settings import Settings

View = TypeVar("View", bound=Callable[..., object])

HOST = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(:[0-9]*)?")  # RFC 9110, 7.2: an IPv6 address stands in brackets

CLOSED = (
    "no key has been created, and this address may be reached by others: bind to 127.0.0.1, or set FORECASTLE_OPEN=true "
    "where only you can reach it"
)


class Role(StrEnum):
    """What an address asks of its caller; each role includes the ones before it."""

    PUBLIC = "public"
    READER = "reader"
    TRAINER = "trainer"
    ADMIN = "admin"


def needs(role: Role) -> Callable[[View], View]:
    """Declare the role that a view needs. A test walks the URL map and finds the view that declares none."""

    def declare(view: View) -> View:
        vars(view)["role"] = role  # functools.wraps carries it through every decorator
        return view

    return declare


def require_open(settings: Settings, *, loopback: bool) -> None:
    """Raise `AccessRefused` for a server that anyone could drive."""
    if not (settings.open or loopback):
        raise AccessRefused(CLOSED)


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address is this machine's own."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def actor() -> Actor:
    """Return who asks, for the log."""
    return Actor("open", flask.request.remote_addr)


def check_origin() -> None:
    """Refuse a foreign `Host` (a name rebound to this machine) and a foreign `Origin` (a page of another site)."""
    request = flask.request
    host = request.headers.get("Host", "")
    if not is_loopback(_name_of(host)):
        raise AccessRefused(
            f"the host {host!r:.80} is not this machine; open http://127.0.0.1 or http://localhost", code="host-refused"
        )
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
        raise AccessRefused(
            f"the page {origin!r:.80} may not use this service; call it from its own pages", code="origin-refused"
        )


def _name_of(host: str) -> str:
    """Return a `Host` without its port, empty for what is none."""
    parts = HOST.fullmatch(host)
    return parts[1] if parts else ""
