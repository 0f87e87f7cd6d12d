"""Reads and writes skops' file format for plain data, and nothing else, without importing skops.

The file is a zip: `schema.json` is a tree of nodes, each naming its class and the loader that builds it, and each array is
a member of its own. Of skops' many loaders this module knows six: dict, list, tuple, a JSON scalar, an array, and the type
`str` (of a dict's keys). What it reads equals what `skops.io.load` gives; all else is refused, before anything is built.

Read: caps on the zip's directory → members, each of its declared size → schema → nodes → no member left over.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from itertools import count
from typing import Any, NoReturn

import numpy as np

from .errors import ArtifactRefused, NotPlainData
from .npy import NotPlainArray, read_npy, write_npy
from .plain import is_unicode

PROTOCOL = 2  # of skops 0.16; later ones read it too
SKOPS_VERSION = "0.16.0"
SCHEMA = "schema.json"
MAX_MEMBERS = 4096
MAX_SCHEMA_BYTES = 8 * 2**20
MAX_DEPTH = 64

_SCALARS = (type(None), bool, int, float, str)
_ROOT = {"protocol", "_skops_version"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: equal states give equal bytes
_END_OF_ZIP = 22  # bytes of the directory's end without a comment
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError, RuntimeError)


def write(state: Any) -> bytes:
    """Return a state as the bytes of a skops file; equal states give equal bytes. Raises `NotPlainData`.

    Arrays come back in C order. Lists and dicts that stand in two places come back as two.
    """
    writer = _Writer()
    schema = writer.node(state, "state", 1)
    schema |= {"protocol": PROTOCOL, "_skops_version": SKOPS_VERSION}
    text = json.dumps(schema, separators=(",", ":")).encode("ascii")
    if len(text) > MAX_SCHEMA_BYTES or len(writer.members) >= MAX_MEMBERS:
        raise NotPlainData("state", "of too many single values; put numbers that belong together into one array. It")
    return _packed({SCHEMA: text} | writer.members)


def check_declared(data: bytes, max_bytes: int) -> None:
    """Check a zip's caps, and nothing else, for a file that skops itself is to read. Raises `ArtifactRefused`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_sizes(archive.infolist(), max_bytes)
    except _BROKEN as error:
        raise ArtifactRefused(f"the artifact is no readable skops file ({error})") from error


def read(data: bytes, max_bytes: int) -> Any:
    """Return the state in the bytes of a skops file of at most `max_bytes` when unpacked. Raises `ArtifactRefused`."""
    try:
        reader = _Reader(_unpacked(data, max_bytes))
        state = reader.state()
    except NotPlainArray as error:
        raise ArtifactRefused(f"the artifact holds {error}") from error
    except _BROKEN as error:
        raise ArtifactRefused(f"the artifact is no readable skops file ({error})") from error
    return state


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
            _refuse(f"protocol {schema.get('protocol')!r} of skops, not {PROTOCOL}")
        if type(schema.get("_skops_version")) is not str:
            _refuse("no version of skops")
        state = self._data({key: value for key, value in schema.items() if key not in _ROOT}, 1)
        if self._unread:
            _refuse("members that belong to nothing")
        return state

    def _data(self, node: Any, depth: int) -> Any:
        value = self._value(node, depth)
        if value is str or (type(value) in (list, tuple) and any(item is str for item in value)):
            _refuse("a type where data should be")
        return value

    def _value(self, node: Any, depth: int) -> Any:
        """Return what a node stands for: data, or (only for a dict's keys) the type `str`."""
        if type(node) is not dict or depth > MAX_DEPTH:
            _refuse("something other than a node" if depth <= MAX_DEPTH else f"data nested deeper than {MAX_DEPTH}")
        saved = node.get("__id__")
        if type(saved) is not int or saved <= 0 or saved in self._open:
            _refuse(f"a node of the id {saved!r}")
        if saved in self._known:  # the same object in two places: skops writes it twice, and builds it once
            earlier, value = self._known[saved]
            if earlier != node:
                _refuse(f"two different nodes of the id {saved}")
            return value
        self._open.add(saved)
        value = self._built(node, depth)
        self._open.remove(saved)
        self._known[saved] = node, value
        return value

    def _built(self, node: dict[str, Any], depth: int) -> Any:
        loader = node.get("__loader__")
        if type(loader) is not str or loader not in self._loaders:
            _refuse(f"a node for the loader {loader!r}, which is not for plain data")
        kind, keys, build = self._loaders[loader]
        if (node.get("__module__"), node.get("__class__")) != kind:
            _refuse(f"a {node.get('__module__')}.{node.get('__class__')}, which is not plain data")
        if node.keys() != keys | {"__module__", "__class__", "__loader__", "__id__"}:
            _refuse(f"a {loader} with the keys {sorted(node)}")
        return build(node, depth)

    def _list(self, node: dict[str, Any], depth: int) -> list[Any]:
        if type(node["content"]) is not list:
            _refuse("a list without items")
        return [self._value(item, depth + 1) for item in node["content"]]

    def _dict(self, node: dict[str, Any], depth: int) -> dict[str, Any]:
        content = node["content"]
        types = self._value(node["key_types"], depth - 1)  # so that a key's type is no deeper than the dict itself
        if type(content) is not dict or type(types) is not list or types != [str] * len(content):
            _refuse("a dict whose keys are not all text")
        return {key: self._data(item, depth + 1) for key, item in content.items()}

    def _scalar(self, node: dict[str, Any], _depth: int) -> Any:
        if type(node["content"]) is not str or node["is_json"] is not True:
            _refuse("a JSON node without JSON")
        value = json.loads(node["content"])
        if type(value) not in _SCALARS:
            _refuse(f"a JSON node with a {type(value).__name__}")
        return value

    def _array(self, node: dict[str, Any], _depth: int) -> np.ndarray[Any, Any]:
        name = node["file"]
        if node["type"] != "numpy" or type(name) is not str or name not in self._unread:
            _refuse("an array of objects, or one whose member is missing or belongs to another")
        self._unread.remove(name)
        return read_npy(self._members.pop(name))


def _node(name: str, loader: str, number: int, module: str = "builtins", **rest: Any) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": loader, **rest, "__id__": number}


def _schema(members: dict[str, bytes]) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            _refuse("a schema with doubled keys")
        return found

    def no_constant(name: str) -> NoReturn:
        _refuse(f"a schema with {name}")

    schema = json.loads(members[SCHEMA].decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant)
    if type(schema) is not dict:
        _refuse("a schema that is no tree")
    return dict(schema)


def _packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # as on Unix, wherever this runs
            info.external_attr = 0o600 << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def _unpacked(data: bytes, max_bytes: int) -> dict[str, bytes]:
    """Return the members by name. Everything the directory declares is checked before anything is decompressed."""
    if not data.startswith(b"PK\x03\x04") or data[-_END_OF_ZIP:][:4] != b"PK\x05\x06":
        _refuse("bytes before or after its zip file, or none")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _check_sizes(archive.infolist(), max_bytes)
        _check_directory(archive.infolist())
        return {info.filename: _content(archive, info) for info in archive.infolist()}


def _check_sizes(infos: list[zipfile.ZipInfo], max_bytes: int) -> None:
    if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > max_bytes:
        _refuse(f"more than {MAX_MEMBERS:,} members, or than the {max_bytes:,} bytes that are allowed")


def _check_directory(infos: list[zipfile.ZipInfo]) -> None:
    names = [info.filename for info in infos]
    if len(set(names)) != len(names) or SCHEMA not in names:
        _refuse(f"doubled members, or no {SCHEMA}")
    for info in infos:
        number = info.filename.removesuffix(".npy")
        if info.filename != SCHEMA and not (info.filename.endswith(".npy") and number.isascii() and number.isdigit()):
            _refuse(f"a member with the name {info.filename!r}")
        if info.filename == SCHEMA and info.file_size > MAX_SCHEMA_BYTES:
            _refuse(f"a schema of more than {MAX_SCHEMA_BYTES:,} bytes")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            _refuse("members that are encrypted, or packed in an unusual way")


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        _refuse("a member of another size than it declares")
    return content


def _check_text(value: str, where: str) -> None:
    if not is_unicode(value):
        raise NotPlainData(where, "text with half a surrogate pair, which JSON cannot keep")


def _refuse(found: str) -> NoReturn:
    raise ArtifactRefused(f"the artifact holds {found}")
