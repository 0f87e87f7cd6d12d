"""Who may ask: its page, its key, the key's role and scope are looked at before each request. What declares no role is shut.

1. A foreign `Origin` never drives this service, nor does another site's form with a password that the browser remembers.
2. The key must be good, unless the server is open; while it is, only this machine's own names are answered. One read of the
   database tells the key and what is live.
3. The key, or the address of who needs none, must not have asked too often.
4. The role must be what the address asks for, and the model within the key's scope.
5. The body is read only now: nobody keeps a thread waiting for one without a key. Where it was slow to come, 2 is done again,
   so that what is live, and whether the key is still good, is as of when the answer begins.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import flask

from forecastle_registry.actors import Actor
from forecastle_registry.aliases import Live
from forecastle_registry.keys import ADMIN, ROLES, Admission, Key

from ..errors import AccessRefused, KeyRefused
from ..issuing import of_a
from ..memory import Told
from .credentials import is_ambient, presented
from .security import documented
from .services import services

View = TypeVar("View", bound=Callable[..., object])

HOST = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(:[0-9]*)?")  # RFC 9110, 7.2: an IPv6 address stands in brackets
SAFE = ("GET", "HEAD", "OPTIONS")
PORTS = {"http": ":80", "https": ":443"}  # that a browser leaves out of `Origin`, and a proxy may put into `Host`
AT_ONCE = 0.01  # s in which a body that is here already has been read
OWN_PAGES = (None, "same-origin", "none")  # of Sec-Fetch-Site; browsers alone send it, `none` is what a person typed


class Role(StrEnum):
    """What an address asks of its caller; each role includes the ones before it."""

    PUBLIC = "public"
    READER = "reader"
    TRAINER = "trainer"
    ADMIN = "admin"


RANK = {role: rank for rank, role in enumerate(ROLES)}
OF_THE_FRAMEWORKS = {"static": Role.PUBLIC, "api-docs.openapi_json": Role.PUBLIC}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what the database said as they were let in. `key` is None where the server is open to everybody."""

    key: Key | None
    told: Told[Admission]

    @property
    def admission(self) -> Admission:
        """What the database said, now or, where it cannot be reached, some time ago."""
        return self.told.value

    def sees(self, model: str) -> bool:
        """Tell whether a model is within the scope of the key, if there is one."""
        return self.key is None or self.key.covers(model)


def needs(role: Role) -> Callable[[View], View]:
    """Declare the role that a view needs. A test walks the URL map and finds the view that declares none."""

    def declare(view: View) -> View:
        vars(view)["role"] = role  # functools.wraps carries it through every decorator
        if role is not Role.PUBLIC:
            vars(view)["_apidoc"] = {"manual_doc": documented(role)}  # as flask-smorest's `doc` keeps it
        return view

    return declare


def role_of(app: flask.Flask, endpoint: str) -> Role:
    """Return what an endpoint asks for. Raises `AccessRefused` for one that declares nothing: it is nobody's."""
    role = OF_THE_FRAMEWORKS.get(endpoint) or getattr(app.view_functions[endpoint], "role", None)
    if not isinstance(role, Role):
        raise AccessRefused(f"the address {endpoint!r} declares no role, so nobody may use it", code="role-undeclared")
    return role


def enforce() -> None:
    """Let the current request in, or raise `AccessRefused`, `KeyRefused` or `TooManyRequests`."""
    request = flask.request
    _check_origin(request)
    endpoint = request.endpoint
    role = Role.PUBLIC if endpoint is None else role_of(flask.current_app, endpoint)
    if role is Role.PUBLIC:
        _check_public_host(request)
        return
    changes = role is not Role.READER and request.method not in SAFE
    known = _let_in(request, changes)
    services().rates.count(known.key, request.remote_addr)
    if known.key is not None:
        _check_role(known.key, role)
        _check_scope(known.key, role, _model_of(request))
    if request.mimetype == "application/json" and _body_was_slow(request):
        known = _let_in(request, changes)
    flask.g.caller, flask.g.changes = known, changes


def caller() -> Caller:
    """Return who makes the current request, which is to an address that is not public."""
    found: Caller = flask.g.caller
    return found


def visitor() -> Caller | None:
    """Return who looks at a public address, None for somebody whom only public addresses answer. Raises `DatabaseUnusable`."""
    try:
        return _let_in(flask.request, changes=False)
    except (AccessRefused, KeyRefused):
        return None


def actor() -> Actor:
    """Return who asks, for the log and for the rules of protected aliases."""
    key, origin = caller().key, flask.request.remote_addr
    return Actor("open", origin) if key is None else Actor(key.name, origin, key.prefix, admin=key.role == ADMIN)


def live() -> Told[Live | None]:
    """Return what `production` of the address's model points at, as of when the request was let in."""
    told = caller().told
    return Told(told.value.live, told.age)


def sees_all() -> bool:
    """Tell whether the caller may see every model."""
    key = caller().key
    return key is None or key.models is None


def in_scope(model: str) -> bool:
    """Tell whether the caller may see a model: listings show no other."""
    return caller().sees(model)


def open_notice() -> str | None:
    """Return why the server is open, for people to see; None while it is not."""
    found: Caller | None = flask.g.get("caller")
    return services().keyring.why_open(None if found is None else found.admission)


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address is this machine's own."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _let_in(request: flask.Request, changes: bool) -> Caller:
    """Read whose key this is, and what is live. What changes something is never let in from memory.

    Raises `AccessRefused` or `KeyRefused`.
    """
    keyring, secret, model = services().keyring, presented(request), _model_of(request)
    told = Told(keyring.admit(secret, model)) if changes else keyring.recall(secret, model)
    key = keyring.authenticate(secret, told.value)
    if keyring.why_open(told.value):
        _check_host(request)
    return Caller(key, told)


def _model_of(request: flask.Request) -> str | None:
    return (request.view_args or {}).get("model")


def _body_was_slow(request: flask.Request) -> bool:
    """Read the body, which the request then keeps; tell whether that took its time."""
    began = time.monotonic()
    request.get_data()
    return time.monotonic() - began > AT_ONCE


def _check_role(key: Key, role: Role) -> None:
    if RANK.get(key.role, -1) < RANK[role]:
        raise AccessRefused(f"the key {key.name!r} is {of_a(key.role)}; this address needs {of_a(role)}", code="role-too-small")


def _check_scope(key: Key, role: Role, model: str | None) -> None:
    """Keep a key within its models; an admin's address that is about no single model is beyond every scope."""
    if model is not None and not key.covers(model):
        raise AccessRefused(f"the key {key.name!r} is for {key.models}, not for {model!r:.100}", code="model-out-of-scope")
    if model is None and role is Role.ADMIN and key.models is not None:
        raise AccessRefused(f"the key {key.name!r} is for {key.models}; this address is about all", code="model-out-of-scope")


def _check_origin(request: flask.Request) -> None:
    """Refuse a page of another site, and its form that the browser sends with what it remembers."""
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
    own = (f"{scheme}://{host.removesuffix(port)}" for scheme in PORTS for port in ("", PORTS[scheme]))
    if origin is not None and origin.lower() not in map(str.lower, own):
        raise AccessRefused(
            f"the page {origin!r:.80} may not use this service; call it from its own pages", code="origin-refused"
        )
    if origin is None and request.method not in SAFE:
        site = request.headers.get("Sec-Fetch-Site")
        if site not in OWN_PAGES and is_ambient(request):
            raise AccessRefused(f"a page of another site ({site:.20}) may not use this service", code="origin-refused")


def _check_public_host(request: flask.Request) -> None:
    """While the server is open, answer no foreign name; that it is closed is believed without a read."""
    keyring = services().keyring
    if not _has_own_name(request) and keyring.seemed_open() and keyring.why_open():
        _check_host(request)


def _check_host(request: flask.Request) -> None:
    """Refuse a foreign `Host`: a name that was bound to this machine to reach it from a page."""
    if not _has_own_name(request):
        host = request.headers.get("Host", "")
        raise AccessRefused(
            f"the host {host!r:.80} is not this machine; open http://127.0.0.1 or http://localhost", code="host-refused"
        )


def _has_own_name(request: flask.Request) -> bool:
    parts = HOST.fullmatch(request.headers.get("Host", ""))
    return parts is not None and is_loopback(parts[1])
