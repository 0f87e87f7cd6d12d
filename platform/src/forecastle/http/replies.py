"""Writes answers: JSON by orjson, CSV where the client prefers it, and one JSON provider for the whole application."""

from __future__ import annotations

import re
from typing import Any

import flask
import orjson
from flask.json.provider import JSONProvider
from werkzeug.datastructures import MIMEAccept

from ..errors import NotAcceptable
from ..serving.forecasts import Answer
from ..serving.rendering import all_notices, as_csv, as_document

JSON, CSV = "application/json", "text/csv"
ANY = (None, "*/*", JSON)
VERSION, NOTICES = "Forecast-Version", "Forecast-Notices"
HEADERS_OF_CSV = {
    VERSION: {"schema": {"type": "integer"}, "description": "Of an answer in CSV: the version that gave it"},
    NOTICES: {"schema": {"type": "string"}, "description": "Of an answer in CSV: the codes of its notices, if it has any"},
}
TOKEN = re.compile(r"[A-Za-z0-9._-]{1,100}")  # what may stand in a header: a notice's code is its plugin's


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson. It writes NaN as null: numbers are checked before they come here."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as JSON text."""
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Read JSON."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> flask.Response:
        """Return a JSON response of `args` or `kwargs`, as `flask.jsonify` takes them."""
        return flask.Response(self.dumps(self._prepare_response_obj(args, kwargs)), content_type=JSON)


def forecast_reply(answer: Answer) -> flask.Response:
    """Answer a forecast as JSON, or as CSV where the client prefers it. Raises `NotAcceptable`."""
    if flask.request.headers.get("Accept") in ANY or _preferred() == JSON:
        return flask.Response(orjson.dumps(as_document(answer)), content_type=JSON)
    return flask.Response(as_csv(answer), content_type=f"{CSV}; charset=utf-8", headers=_told_beside(answer))


def _told_beside(answer: Answer) -> dict[str, str]:
    """Return as headers what a table has no place for: which version answered, and the codes of its notices."""
    codes = [notice["code"] for notice in all_notices(answer)]
    told = ", ".join(dict.fromkeys(code for code in codes if TOKEN.fullmatch(code)))
    version = {VERSION: str(answer.loaded.version.number)}
    return {**version, NOTICES: told} if told else version


def _preferred() -> str:
    accepted = flask.request.accept_mimetypes
    if not accepted:
        return JSON
    kinds = MIMEAccept((kind.partition(";")[0].strip(), quality) for kind, quality in accepted)  # whatever charset it names
    best = kinds.best_match((JSON, CSV))
    if best is None:
        raise NotAcceptable(f"a forecast can be had as {JSON} or {CSV}; {str(accepted)!r:.80} allows neither")
    return best
