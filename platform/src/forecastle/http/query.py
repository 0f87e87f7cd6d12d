"""Requests that come as text: the query of a GET, the fields of a form."""

from __future__ import annotations

import math
from collections.abc import Mapping

import flask

from forecastle_registry.plain import MAX_NUMBER, NAME
from forecastle_sdk.errors import Problem

from ..errors import UnreadableTable, pointer_to
from ..serving.request import RESERVED, Ask, resolve_horizon
from ..tables import NUMBER
from .problems import RequestRefused

NOT_FINITE = ("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")
FORM = ("file", "horizon", "levels")
TEMPLATE_HORIZON = 12


def ask_from_query(query: Mapping[str, str]) -> Ask:
    """Read a request from a query: what is not reserved is an exogenous column. Raises `RequestRefused`."""
    exog = {name: [_cell(part) for part in text.split(",")] for name, text in query.items() if name not in RESERVED}
    alias = query.get("alias")
    if alias is not None and not NAME.fullmatch(alias):
        raise _wrong("alias", alias, "the name of an alias")
    version = _whole(query, "version")
    if version is not None and not 1 <= version <= MAX_NUMBER:
        raise _wrong("version", str(version), "a version's number")
    return Ask(_horizon(query), exog or None, _numbers(query, "levels"), _numbers(query, "quantiles"), version, alias)


def ask_from_form(request: flask.Request) -> tuple[bytes, Ask]:
    """Return the uploaded file's bytes and what the other fields ask for. Raises `UnreadableTable` or `RequestRefused`."""
    given = [name for fields in (request.form, request.files) for name, values in fields.lists() for _ in values]
    for name in given:
        if name not in FORM:
            raise RequestRefused(
                f"the form has a field {name!r:.40}; it takes {', '.join(FORM)}",
                problems=[Problem(pointer_to(name), "unknown")],
            )
        if given.count(name) > 1:
            raise RequestRefused(
                f"the field {name!r} is given twice",
                code="parameter-doubled",
                problems=[Problem(pointer_to(name), "given twice")],
            )
    if "file" not in request.files:
        problems = [Problem("/file", "absent; expected an upload")]
        raise UnreadableTable("there is no file; upload one as the field `file`", code="file-missing", problems=problems)
    fields = {name: text for name, text in request.form.items() if text.strip()}  # Swagger UI sends what was left empty
    return request.files["file"].read(), Ask(_horizon(fields), None, _numbers(fields, "levels"))


def template_horizon(query: Mapping[str, str], limit: int) -> int:
    """Return the number of rows of a template. Raises `RequestRefused` or `HorizonError`."""
    for name in query:
        if name != "horizon":
            raise RequestRefused(
                f"there is no parameter {name!r:.40}; give horizon", problems=[Problem(pointer_to(name), "unknown")]
            )
    asked = _whole(query, "horizon")
    return resolve_horizon(TEMPLATE_HORIZON if asked is None else asked, {}, limit)


def number_after(query: Mapping[str, object]) -> int | None:
    """Return the number below which a listing goes on, as `after` gives it. Raises `RequestRefused`."""
    after = query.get("after")
    if after is None:
        return None
    text = str(after)
    if not text.isascii() or not text.isdigit() or int(text) > MAX_NUMBER:
        raise RequestRefused(f"after is {text!r:.40}; give `next` of the page before")
    return int(text)


def _horizon(texts: Mapping[str, str]) -> int | None:
    given = {name: _whole(texts, name) for name in ("horizon", "h", "steps") if name in texts}
    if len(set(given.values())) > 1:
        problems = [
            Problem(pointer_to(name), f"{value} here; horizon, h and steps must agree") for name, value in given.items()
        ]
        raise RequestRefused("horizon, h and steps do not agree", problems=problems)
    return next(iter(given.values()), None)


def _whole(texts: Mapping[str, str], name: str) -> int | None:
    text = texts.get(name)
    if text is None:
        return None
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise _wrong(name, text, "a whole number")
    return int(text)


def _numbers(texts: Mapping[str, str], name: str) -> tuple[float, ...] | None:
    if name not in texts:
        return None
    return tuple(_number(name, part, f"/{name}/{i}") for i, part in enumerate(texts[name].split(",")))


def _cell(text: str) -> float | str:
    """Return a number, or the text that is none: the signature's check names its column and row, or the column as unknown."""
    return float(text) if NUMBER.fullmatch(text.strip()) or text.strip().lower() in NOT_FINITE else text


def _number(name: str, text: str, pointer: str) -> float:
    if NUMBER.fullmatch(text.strip()) and math.isfinite(float(text)):
        return float(text)
    problem = Problem(pointer, f"{text!r:.40}; expected a finite number")
    raise RequestRefused(f"{name} has {text!r:.40}; expected a comma-separated list of numbers", problems=[problem])


def _wrong(name: str, text: str, expected: str) -> RequestRefused:
    return RequestRefused(
        f"{name} is {text!r:.40}; expected {expected}", problems=[Problem(pointer_to(name), f"expected {expected}")]
    )
