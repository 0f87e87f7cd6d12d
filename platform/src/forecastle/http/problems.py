"""Every error leaves here, as RFC 9457 problem details: one table from error to status, one payload, its schema beside it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

import flask
import marshmallow
import orjson
from marshmallow import fields
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from forecastle_registry import errors as registry
from forecastle_sdk import errors as sdk
from forecastle_sdk.errors import Problem

from .. import errors as platform
from .credentials import challenges
from .services import services

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TYPE = "urn:forecastle:problem:"

# The first class that fits decides. What a client can cause is 4xx; 503 is an installation that an operator must mend.
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (registry.ModelNotFound, 404),
    (registry.VersionNotFound, 404),
    (registry.AliasNotFound, 404),
    (registry.AliasUnprotected, 404),
    (registry.NothingToRollBackTo, 409),
    (registry.VersionArchived, 409),
    (registry.VersionInUse, 409),
    (registry.GateClosed, 409),
    (registry.AliasProtected, 403),
    (registry.KeyNotFound, 404),
    (registry.KeyNameTaken, 409),
    (registry.KeyTermsRefused, 422),
    (registry.LastAdminKey, 409),
    (registry.PluginMismatch, 409),
    (registry.NameRefused, 422),
    (registry.StaleAlias, 412),
    (registry.RegistryError, 503),
    (platform.PluginUnknown, 404),
    (platform.TargetRefused, 409),
    (platform.KeyRefused, 401),
    (platform.AccessRefused, 403),
    (platform.TooManyRequests, 429),
    (platform.NotAcceptable, 406),
    (platform.UnreadableTable, 422),
    (platform.NothingReproduces, 503),
    (platform.PlatformError, 503),
    (sdk.StateError, 503),
    (sdk.ForecastleError, 422),
)
PASSING = (registry.StoreUnusable, registry.DatabaseUnusable)  # what may be over soon, with nobody's help
RETRY_AFTER = 2  # s
UNTOLD = "this installation cannot answer now; its log holds the reason under this request_id"
TOO_MUCH_FORM = "the form has too many fields, or too much in one that is no file"
HTTP_CODES = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "content-type-wrong",
    429: "too-many-requests",
    431: "headers-too-large",
}


class RequestRefused(sdk.InputError):
    """The envelope of a request is not understood: its names, its types, its parameters."""

    code = "request-invalid"


class ProblemItemSchema(marshmallow.Schema):
    """One thing that is wrong, and where."""

    pointer = fields.String(required=True, metadata={"description": "JSON pointer to what is wrong; empty for the whole"})
    message = fields.String(required=True)


class ProblemSchema(marshmallow.Schema):
    """RFC 9457 problem details."""

    type = fields.String(required=True, metadata={"example": "urn:forecastle:problem:horizon-too-large"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata={"description": "What was wrong, where, and what to do"})
    instance = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable and machine-readable", "example": "horizon-too-large"})
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(ProblemItemSchema), required=True)
    current = fields.Raw(
        metadata={
            "type": ["object", "null"],
            "description": "With `alias-stale`: its `version` and `stack` now",
        }
    )


def register(app: flask.Flask) -> None:
    """Answer every error of this application as problem details."""
    for kind in (registry.RegistryError, platform.PlatformError, sdk.ForecastleError):
        app.register_error_handler(kind, _answer_known)
    app.register_error_handler(HTTPException, _answer_http)


def _answer_known(error: Any) -> flask.Response:
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    code, detail = getattr(error, "reason", error.code), error.message
    if status >= 500:
        log.error("request %s: %s: %s", flask.g.get("request_id"), code, detail)
        detail = detail if _may_hear(error) else UNTOLD
    if isinstance(error, registry.StaleAlias):
        return _answer_stale(status, error)
    response = _problem(status, code, detail, getattr(error, "problems", ()))
    if isinstance(error, platform.KeyRefused):
        response.headers.setlist("WWW-Authenticate", challenges(flask.request, error))
    if isinstance(error, platform.TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, PASSING):
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def _may_hear(error: Any) -> bool:
    """Tell whether the one who asks may know why it is the installation's fault: hosts, users and paths stand in there."""
    harmless = isinstance(error, registry.DatabaseBehind | registry.DatabaseAhead)
    return harmless or "caller" in flask.g or services().keyring.seemed_open()


def _answer_stale(status: int, error: registry.StaleAlias) -> flask.Response:
    """Tell what the alias is now, so that the caller need not ask before deciding again."""
    now = error.current
    current = None if now is None else {"version": now.live, "stack": list(now.stack)}
    response = _problem(status, error.code, error.message, current=current)
    if now is not None:
        response.set_etag(now.etag)
    return response


def _answer_http(error: HTTPException) -> flask.Response:
    if error.response is not None or (error.code or 500) < 400:  # a redirect
        return error.get_response()  # type: ignore[return-value]
    status = error.code or 500
    detail = error.description or error.name
    if status == 500:
        log.error("request %s: %r", flask.g.get("request_id"), getattr(error, "original_exception", error))
        detail = "something is wrong in Forecastle itself; the log holds the reason under this request_id"
    if status == 404:
        detail = "there is nothing at this address; /apidocs shows what there is"
    if isinstance(error, MethodNotAllowed):
        detail = f"{flask.request.method:.20} is not for this address; {', '.join(sorted(error.valid_methods or ()))} are"
    if status == 413:
        limit = flask.current_app.config["MAX_CONTENT_LENGTH"]
        is_short = (flask.request.content_length or limit + 1) <= limit  # then werkzeug has its own limits for forms
        detail = TOO_MUCH_FORM if is_short else body_too_large(limit)
    response = _problem(status, HTTP_CODES.get(status, "http-error"), detail)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _problem(status: int, code: str, detail: str, problems: Iterable[Problem] = (), **members: Any) -> flask.Response:
    request_id = flask.g.get("request_id", "")
    document = problem_document(status, code, detail, flask.request.path, request_id, problems) | members
    return flask.Response(_encoded(document), status=status, content_type=CONTENT_TYPE)


def problem_document(
    status: int, code: str, detail: str, instance: str, request_id: str, problems: Iterable[Problem] = ()
) -> dict[str, Any]:
    """Return RFC 9457's members and ours."""
    return {
        "type": TYPE + code,
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": request_id,
        "errors": [{"pointer": problem.pointer, "message": problem.message} for problem in problems],
    }


def body_too_large(limit: int) -> str:
    """Return what is said of a body of more than `limit` bytes."""
    return f"the body is larger than {limit} bytes (FORECASTLE_MAX_UPLOAD)"


def _encoded(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:  # half a surrogate pair came in with the request; no JSON can say it, escaped or not
        return json.dumps(document, ensure_ascii=False).encode(errors="replace")
