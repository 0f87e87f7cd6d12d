"""How a request presents a key, and how a 401 asks for one."""

from __future__ import annotations

import flask

from ..errors import KeyRefused

REALM = "Forecastle"


def presented(request: flask.Request) -> str | None:
    """Return what a request presents as its key, None where it presents nothing, empty for what is not understood."""
    if "Authorization" not in request.headers:
        return None
    given = request.authorization
    if given is None or given.type not in ("bearer", "basic"):
        return ""
    return (given.token if given.type == "bearer" else given.password) or ""


def is_ambient(request: flask.Request) -> bool:
    """Tell whether a browser could have sent a request's credentials by itself, for whatever page made it ask."""
    return request.authorization is None or request.authorization.type != "bearer"


def challenges(request: flask.Request, error: KeyRefused) -> list[str]:
    """Return the values of `WWW-Authenticate`: Bearer always, Basic where a person's browser can then ask for the key.

    A script's request gets no Basic: the browser would put its own dialog before the page's words.
    """
    bearer = f'Bearer realm="{REALM}"'
    if "Authorization" in request.headers:
        bearer += f', error="invalid_token", error_description="{error.reason}"'  # RFC 6750, section 3.1
    return [bearer, f'Basic realm="{REALM}", charset="UTF-8"'] if is_navigation(request) else [bearer]


def is_navigation(request: flask.Request) -> bool:
    """Tell whether a person's browser opens a page: it says so, or it is old and asks for HTML."""
    mode = request.headers.get("Sec-Fetch-Mode")
    return mode == "navigate" if mode is not None else "text/html" in request.headers.get("Accept", "")
