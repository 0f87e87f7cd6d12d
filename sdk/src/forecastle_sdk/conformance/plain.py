"""States as text: JSON with arrays in it, strict about what is plain data, and exact to the last bit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..data import State

ARRAY = "$array"
FLOAT = "$float"


def dumps(state: State) -> str:
    """Return a state as JSON text. Raises `TypeError` that names the place of the first value that is not plain data."""
    return json.dumps(_encoded(state, ""), separators=(",", ":"), allow_nan=False)


def loads(text: str) -> Any:
    """Return the state that `dumps` wrote, its arrays writable and in C order."""
    return json.loads(text, object_hook=_decoded)


def _encoded(value: Any, place: str) -> Any:
    kind = type(value)  # exactly: a numpy scalar is a float, and a tuple would come back as a list
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {FLOAT: repr(value)}
    if kind is list:
        return [_encoded(item, f"{place}/{i}") for i, item in enumerate(value)]
    if kind is dict:
        return {_key(key, place): _encoded(item, f"{place}/{key}") for key, item in value.items()}
    if kind is np.ndarray:
        return _encoded_array(value, place)
    name = f"{kind.__module__}.{kind.__qualname__}"
    raise TypeError(f"{place or 'the state'} is a {name}; a state holds None, bool, int, float, str, list, dict and arrays")


def _key(key: Any, place: str) -> str:
    if type(key) is not str or key.startswith("$"):
        raise TypeError(f"{place or 'the state'} has the key {key!r}; keys are texts that do not begin with a dollar sign")
    return key


def _encoded_array(array: np.ndarray, place: str) -> dict[str, Any]:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{place} is an array of {array.dtype}; a state holds arrays of numbers or truth values only")
    values = [_encoded(value, place) for value in array.ravel().tolist()]
    return {ARRAY: values, "dtype": array.dtype.str, "shape": list(array.shape)}


def _decoded(found: dict[str, Any]) -> Any:
    if FLOAT in found:
        return float(found[FLOAT])
    if ARRAY in found:
        return np.array(found[ARRAY], dtype=found["dtype"]).reshape(found["shape"])
    return found
