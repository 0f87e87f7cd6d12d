"""Reads request bodies and queries strictly: what is doubled, unknown, not JSON or not a number never gets further."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

import flask
import marshmallow
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from forecastle_sdk.errors import Problem

from ..errors import pointer_to
from ..serving.request import REPORTED
from .problems import RequestRefused

JSON = "application/json"
MULTIPART = "multipart/form-data"
DEEPEST = 32  # nothing here nests deeper than four; what could be read just so could not be told about in an error
TOO_DEEP = "the body is nested too deeply"


class StrictParser(FlaskParser):
    """webargs' parser, made strict: a wrong content type is 415, broken JSON 400, and nothing unknown is dropped in silence."""

    DEFAULT_UNKNOWN_BY_LOCATION = {}  # noqa: RUF012  webargs declares it so; every schema decides, and ours raise

    def load_json(self, req: flask.Request, schema: marshmallow.Schema) -> Any:
        """Return the body as JSON; without one, an empty object where the schema lets it be left out."""
        return {} if getattr(schema, "BODYLESS", False) and not has_body(req) else read_json(req)

    def load_querystring(self, req: flask.Request, schema: marshmallow.Schema) -> dict[str, str]:
        """Return the query as a dict in which every name stands once."""
        return read_query(req)

    def handle_error(self, error: marshmallow.ValidationError, *args: object, **kwargs: object) -> NoReturn:
        """Turn marshmallow's messages into problems that point at their places."""
        (messages,) = error.normalized_messages().values()  # webargs puts them under the location, which is no part of a body
        problems = problems_from(messages)[:REPORTED]
        where = problems[0].pointer and f"{problems[0].pointer}: "
        raise RequestRefused(f"the request is not understood: {where}{problems[0].message}", problems=problems) from None


def read_json(req: flask.Request) -> Any:
    """Return the body as JSON. Raises 415 for another content type, 400 for what is not JSON or too large, `RequestRefused`.

    NaN and Infinity come through, as 1e999 does: whoever checks the numbers can name the column and the row, the parser cannot.
    """
    require_content_type(req, JSON)
    body = req.get_data(cache=False)
    if req.content_length is None and len(body) == req.max_content_length:
        raise RequestEntityTooLarge  # a body of unknown length is cut off at the cap in silence
    try:
        document = json.loads(body, object_pairs_hook=_no_doubles)
    except RequestRefused:
        raise
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8; send JSON as UTF-8") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if body.count(b"[") + body.count(b"{") > DEEPEST and _is_too_deep(document):
        raise BadRequest(TOO_DEEP)
    return document


def has_body(req: flask.Request) -> bool:
    """Tell whether a request brings a body."""
    return bool(req.content_length) or "Transfer-Encoding" in req.headers


def read_query(req: flask.Request) -> dict[str, str]:
    """Return the query as a dict. Raises `RequestRefused` for a name that stands twice."""
    doubled = [name for name, values in req.args.lists() if len(values) > 1]
    if doubled:
        message = f"the parameter {doubled[0]!r} is given twice; give several steps as one comma-separated list"
        raise RequestRefused(
            message, code="parameter-doubled", problems=[Problem(pointer_to(name), "given twice") for name in doubled]
        )
    return req.args.to_dict()


def refuse_query(req: flask.Request) -> None:
    """Raise `RequestRefused` for a query where the body says everything: dropped in silence, it would seem obeyed."""
    if req.query_string:
        names = list(req.args) or [req.query_string.decode(errors="replace")]
        problems = [Problem(pointer_to(name), "this address takes no such parameter") for name in names[:REPORTED]]
        raise RequestRefused(f"there is no parameter {names[0]!r:.40} here; say it in the body", problems=problems)


def require_content_type(req: flask.Request, expected: str) -> None:
    """Raise 415 unless the request's body is of the expected type, and sent as it is."""
    if req.mimetype != expected:
        raise UnsupportedMediaType(f"the content type is {req.mimetype or 'not given'}; send {expected}")
    if (coding := req.content_encoding or "identity").lower() != "identity":
        raise UnsupportedMediaType(f"the content encoding is {coding:.40}; send the body as it is")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        doubled = Counter(name for name, _ in pairs).most_common(1)[0][0]
        message = f"the name {doubled!r:.80} stands twice in one object; JSON would keep only the last"
        raise RequestRefused(message, code="name-doubled", problems=[Problem(pointer_to(doubled), "given twice")])
    return document


def _is_too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(DEEPEST):
        level = [
            inner
            for part in level
            if isinstance(part, dict | list)
            for inner in (part.values() if isinstance(part, dict) else part)
        ]
    return bool(level)


def problems_from(messages: Any, pointer: str = "") -> list[Problem]:
    """Flatten marshmallow's nested messages to problems with JSON pointers."""
    if isinstance(messages, Mapping):
        return [
            problem
            for name, inner in messages.items()
            for problem in problems_from(inner, pointer if name == "_schema" else pointer + pointer_to(name))
        ]
    return [Problem(pointer, str(message)) for message in (messages if isinstance(messages, list) else [messages])]
