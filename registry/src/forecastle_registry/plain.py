"""Checks what comes in from outside before it reaches a table: names, numbers, and plain data."""

from __future__ import annotations

import math
import re
from typing import Any

from .errors import NameRefused, NotPlainData

MAX_NUMBER = 2**31 - 1  # what an INTEGER holds everywhere

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def is_name(name: str) -> bool:
    """Tell whether a model or an alias can have this name: it stands in addresses, file names and headers as it is."""
    return NAME.fullmatch(name) is not None


def is_number(number: int) -> bool:
    """Tell whether a version can have this number."""
    return 0 < number <= MAX_NUMBER


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a model or an alias. Raises `NameRefused`."""
    if not is_name(name):
        raise NameRefused(name)


def is_unicode(value: str) -> bool:
    """Tell whether text can be stored as UTF-8: half a surrogate pair cannot."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def plain(value: Any, where: str) -> Any:
    """Return a value as JSON gives it back: tuples as lists, numbers that are not finite as None.

    `where` names the value in the error. Raises `NotPlainData`.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {_key(key, where): plain(item, f"{where}.{key}") for key, item in value.items()}
    raise NotPlainData(where, f"a {type(value).__module__}.{type(value).__qualname__}")


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise NotPlainData(where, f"a dict with the key {key!r}, which is no text")
    return _text(key, where)


def _text(value: str, where: str) -> str:
    if "\0" in value or not is_unicode(value):
        raise NotPlainData(where, "text with a NUL or half a surrogate pair, which Postgres cannot store")
    return str(value)
