"""Reads and writes skops' file format for plain data, and nothing else, without importing skops.

The file is a zip: `schema.json` is a tree of nodes, each naming its class and the loader that builds it, and each array is
a member of its own. Of skops' many loaders this module knows six: dict, list, tuple, a JSON scalar, an array, and the type
`str` (of a dict's keys). What it reads equals what `skops.io.load` gives; all else is refused, before anything is built.

Read: caps on the zip's directory → members, each of its declared size → schema → nodes → no member left over.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any, NoReturn

import numpy as np

from .errors import NotPlainData
from .npy import NotPlainArray, read_npy, write_npy
from .plain import is_unicode
from .skops_zip import BROKEN, MAX_MEMBERS, SCHEMA, is_bounded, not_readable, packed, refuse, unpacked

PROTOCOL = 2  # of skops 0.16; later ones read it too
SKOPS_VERSION = "0.16.0"
MAX_DEPTH = 64

_SCALARS = (type(None), bool, int, float, str)
_ROOT = {"protocol", "_skops_version"}


def write(state: Any) -> bytes:
    """Return a state as the bytes of a skops file; equal states give equal bytes. Raises `NotPlainData`.

    Arrays come back in C order. Lists and dicts that stand in two places come back as two.
    """
    writer = _Writer()
    schema = writer.node(state, "state", 1)
    schema |= {"protocol": PROTOCOL, "_skops_version": SKOPS_VERSION}
    text = json.dumps(schema, separators=(",", ":")).encode("ascii")
    if not is_bounded(text) or len(writer.members) >= MAX_MEMBERS:
        raise NotPlainData("state", "of too many single values; put numbers that belong together into one array. It")
    return packed({SCHEMA: text} | writer.members)


def read(data: bytes, max_bytes: int) -> Any:
    """Return the state in the bytes of a skops file of at most `max_bytes` when unpacked. Raises `ArtifactRefused`."""
    try:
        return _Reader(unpacked(data, max_bytes)).state()
    except NotPlainArray as error:
        refuse(str(error))
    except BROKEN as error:
        raise not_readable(error) from error


class _Writer:
    """Turns values into nodes, and collects the arrays' members on the way."""

    def __init__(self) -> None:
        self.members: dict[str, bytes] = {}
        self._ids = count(2)  # 1 is the type `str`: one object in every file, as in skops' own

    def node(self, value: Any, where: str, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise NotPlainData(where, f"nested deeper than {MAX_DEPTH}, or within itself,")
        kind = type(value)
        if kind in _SCALARS:
            return self._scalar(value, where)
        if kind is np.ndarray:
            return self._array(value, where)
        if kind is dict:
            return self._dict(value, where, depth)
        if kind in (list, tuple):
            items = [self.node(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
            return self._built(kind.__name__, f"{kind.__name__.title()}Node", content=items)
        raise NotPlainData(where, f"a {kind.__module__}.{kind.__qualname__}")

    def _scalar(self, value: Any, where: str) -> dict[str, Any]:
        if type(value) is str:
            _check_text(value, where)
        try:
            content = json.dumps(value)
        except ValueError as error:
            raise NotPlainData(where, "an int of more digits than can be read back") from error
        return self._built("str", "JsonNode", content=content, is_json=True)

    def _array(self, value: np.ndarray[Any, Any], where: str) -> dict[str, Any]:
        try:
            content = write_npy(value)
        except NotPlainArray as error:
            raise NotPlainData(where, str(error)) from error
        node = self._built("ndarray", "NdArrayNode", module="numpy", type="numpy")
        node["file"] = f"{node['__id__']}.npy"
        self.members[node["file"]] = content
        return node

    def _dict(self, value: dict[Any, Any], where: str, depth: int) -> dict[str, Any]:
        for key in value:
            if type(key) is not str:
                raise NotPlainData(where, f"a dict with the key {key!r}, which is no text")
            _check_text(key, where)
        content = {key: self.node(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
        types = self._built("list", "ListNode", content=[_node("str", "TypeNode", 1) for _ in value])
        return self._built("dict", "DictNode", content=content, key_types=types)

    def _built(self, name: str, loader: str, module: str = "builtins", **rest: Any) -> dict[str, Any]:
        return _node(name, loader, next(self._ids), module, **rest)


class _Reader:
    """Turns nodes into values; every node must have exactly the keys and the class that its loader writes."""

    def __init__(self, members: dict[str, bytes]) -> None:
        self._members = members
        self._unread = set(members) - {SCHEMA}
        self._known: dict[int, tuple[dict[str, Any], Any]] = {}
        self._open: set[int] = set()
        self._loaders: dict[str, tuple[tuple[str, str], set[str], Callable[[dict[str, Any], int], Any]]] = {
            "DictNode": (("builtins", "dict"), {"content", "key_types"}, self._dict),
            "ListNode": (("builtins", "list"), {"content"}, self._list),
            "TupleNode": (("builtins", "tuple"), {"content"}, lambda node, depth: tuple(self._list(node, depth))),
            "JsonNode": (("builtins", "str"), {"content", "is_json"}, self._scalar),
            "NdArrayNode": (("numpy", "ndarray"), {"type", "file"}, self._array),
            "TypeNode": (("builtins", "str"), set(), lambda node, depth: str),
        }

    def state(self) -> Any:
        schema = _schema(self._members)
        if type(schema.get("protocol")) is not int or schema["protocol"] != PROTOCOL:
            refuse(f"protocol {schema.get('protocol')!r} of skops, not {PROTOCOL}")
        if type(schema.get("_skops_version")) is not str:
            refuse("no version of skops")
        state = self._data({key: value for key, value in schema.items() if key not in _ROOT}, 1)
        if self._unread:
            refuse("members that belong to nothing")
        return state

    def _data(self, node: Any, depth: int) -> Any:
        value = self._value(node, depth)
        if value is str or _holds_types(value):
            refuse("a type where data should be")
        return value

    def _value(self, node: Any, depth: int) -> Any:
        """Return what a node stands for: data, or (only for a dict's keys) the type `str`."""
        if type(node) is not dict or depth > MAX_DEPTH:
            refuse("something other than a node" if depth <= MAX_DEPTH else f"data nested deeper than {MAX_DEPTH}")
        saved = node.get("__id__")
        if type(saved) is not int or saved <= 0 or saved in self._open:
            refuse(f"a node of the id {saved!r}")
        if saved in self._known:  # the same object in two places: skops writes it twice, and builds it once
            earlier, value = self._known[saved]
            if earlier != node:
                refuse(f"two different nodes of the id {saved}")
            return value
        self._open.add(saved)
        value = self._built(node, depth)
        self._open.remove(saved)
        self._known[saved] = node, value
        return value

    def _built(self, node: dict[str, Any], depth: int) -> Any:
        loader = node.get("__loader__")
        if type(loader) is not str or loader not in self._loaders:
            refuse(f"a node for the loader {loader!r}, which is not for plain data")
        kind, keys, build = self._loaders[loader]
        if (node.get("__module__"), node.get("__class__")) != kind:
            refuse(f"a {node.get('__module__')}.{node.get('__class__')}, which is not plain data")
        if node.keys() != keys | {"__module__", "__class__", "__loader__", "__id__"}:
            refuse(f"a {loader} with the keys {sorted(node)}")
        return build(node, depth)

    def _list(self, node: dict[str, Any], depth: int) -> list[Any]:
        if type(node["content"]) is not list:
            refuse("a list without items")
        items = [self._value(item, depth + 1) for item in node["content"]]
        if any(map(_holds_types, items)):  # a list of types belongs to a dict's keys, and in no other list
            refuse("a type where data should be")
        return items

    def _dict(self, node: dict[str, Any], depth: int) -> dict[str, Any]:
        content = node["content"]
        types = self._value(node["key_types"], depth - 1)  # so that a key's type is no deeper than the dict itself
        if type(content) is not dict or type(types) is not list or types != [str] * len(content):
            refuse("a dict whose keys are not all text")
        if not all(map(is_unicode, content)):
            refuse("a key with half a surrogate pair")
        return {key: self._data(item, depth + 1) for key, item in content.items()}

    def _scalar(self, node: dict[str, Any], _depth: int) -> Any:
        if type(node["content"]) is not str or node["is_json"] is not True:
            refuse("a JSON node without JSON")
        value = json.loads(node["content"])
        if type(value) not in _SCALARS:
            refuse(f"a JSON node with a {type(value).__name__}")
        if type(value) is str and not is_unicode(value):
            refuse("text with half a surrogate pair")
        return value

    def _array(self, node: dict[str, Any], _depth: int) -> np.ndarray[Any, Any]:
        name = node["file"]
        if node["type"] != "numpy" or type(name) is not str or name not in self._unread:
            refuse("an array of objects, or one whose member is missing or belongs to another")
        self._unread.remove(name)
        return read_npy(self._members.pop(name))


def _holds_types(value: Any) -> bool:
    return type(value) in (list, tuple) and any(item is str for item in value)


def _node(name: str, loader: str, number: int, module: str = "builtins", **rest: Any) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": loader, **rest, "__id__": number}


def _schema(members: dict[str, bytes]) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            refuse("a schema with doubled keys")
        return found

    def no_constant(name: str) -> NoReturn:
        refuse(f"a schema with {name}")

    schema = json.loads(members[SCHEMA].decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant)
    if type(schema) is not dict:
        refuse("a schema that is no tree")
    return dict(schema)


def _check_text(value: str, where: str) -> None:
    if not is_unicode(value):
        raise NotPlainData(where, "text with half a surrogate pair, which JSON cannot keep")
