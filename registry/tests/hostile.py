"""The corpus of hostile artifacts: each is bytes under their own digest, as whoever can write to the store could place them.

What a deserializer would run touches the file `mark`: a test that finds it has found a hole. `mild` shows that it would.
"""

import collections
import functools
import io
import json
import operator
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.lib import format as npy

from forecastle_registry.npy import write_npy
from forecastle_registry.serializers import dumps
from forecastle_registry.skops_format import MAX_DEPTH
from forecastle_registry.skops_format import write as write_skops
from forecastle_registry.skops_zip import MAX_MEMBERS, SCHEMA
from registry.tests.zips import DEFLATED, Member, deflated, entry_of, stored, zeros, zip_of

FOREIGN_KEY = b"the key of another installation, long enough"
MAGIC = b"forecastle pickle 2\n"
STATE = {"level": np.arange(3.0), "names": ["a", "b"], "nested": {"pair": (1, 2.5), "none": None}}
CAP = 64 * 2**20  # bytes that an artifact may have, packed and unpacked, wherever the corpus is read


@dataclass(frozen=True)
class Hostile:
    """An artifact that must be refused; `serializer` is what the version's row says."""

    name: str
    content: bytes = field(repr=False)
    serializer: str = "skops"

    def __str__(self) -> str:
        return self.name


class Mark:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def hostile_artifacts(mark: Path, key: bytes) -> list[Hostile]:
    """Return the whole corpus; `key` is the installation's, which an artifact of another kind may well be signed with."""
    return [*pickles(mark, key), *foreign_types(mark), *schemas(), *arrays(mark), *zips()]


def pickles(mark: Path, key: bytes) -> Iterator[Hostile]:
    """Pickles that are not this installation's, and rows whose serializer was changed."""
    opens = pickle.dumps(Mark(mark))
    for serializer in ("pickle", "skops"):
        yield Hostile(f"a bare pickle, as {serializer}", opens, serializer)
        yield Hostile(f"a pickle without a signature, as {serializer}", MAGIC + bytes(32) + opens, serializer)
        yield Hostile(
            f"a pickle of another version of the format, as {serializer}", b"forecastle pickle 0\n" + opens, serializer
        )
        foreign = dumps(Mark(mark), "pickle", key=FOREIGN_KEY, allow_pickle=True)
        yield Hostile(f"a pickle that another installation signed, as {serializer}", foreign, serializer)
    others = dumps(Mark(mark), "pickle", key=key, owner="another model", allow_pickle=True)
    yield Hostile("a pickle that this installation signed for another model", others, "pickle")
    yield Hostile("a pickle with its signature cut off", (MAGIC + bytes(32))[:40], "pickle")
    yield Hostile("a pickle of protocol 0", pickle.dumps(Mark(mark), protocol=0), "pickle")
    yield Hostile("a row changed from pickle to skops", dumps(STATE, "pickle", key=key, allow_pickle=True), "skops")
    yield Hostile("a row changed from skops to pickle", write_skops(STATE), "pickle")
    yield Hostile("a row with a serializer that there is not", write_skops(STATE), "joblib")


def foreign_types(mark: Path) -> Iterator[Hostile]:
    """What skops' own writer makes of objects that are not plain data: it would build most of them unasked."""
    objects = {
        "a function": json.dumps,
        "a function of numpy": np.sum,
        "a method": mark.touch,
        "a method of an array": np.arange(3).sum,
        "a partial": functools.partial(open, str(mark), "w"),
        "an operator's function": operator.attrgetter("touch"),
        "a ufunc": np.add,
        "a type": Path,
        "a builtin type": int,
        "a path": mark,
        "a set": {1, 2},
        "bytes": b"abc",
        "a bytearray": bytearray(b"abc"),
        "a slice": slice(1),
        "a complex array scalar": np.complex128(1j),
        "an ordered dict": collections.OrderedDict(a=1),
        "a default dict": collections.defaultdict(list, a=[1]),
        "a random generator": np.random.default_rng(0),
        "an object with __reduce__": _Reduces(str(mark)),
        "an object with attributes": _Plain(str(mark)),
        "a masked array": np.ma.array([1.0]),
        "an array of objects": np.array([mark, None], dtype=object),
        "a dtype": np.dtype("f8"),
        "numbers as keys": {1: 2},
    }
    for name, value in objects.items():
        yield Hostile(f"skops: {name}", skops.io.dumps({"x": value}))
        yield Hostile(f"skops: {name}, at the root", skops.io.dumps(value))


class _Reduces:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return _Reduces, (self.path,)


class _Plain:
    def __init__(self, path: str) -> None:
        self.path = path


def schemas() -> Iterator[Hostile]:
    """Trees of nodes that skops would not write, or that this reader must not follow."""
    for name, change in _CHANGES.items():
        yield Hostile(f"a schema {name}", with_schema(change))
    for name, text in _texts().items():
        yield Hostile(f"a schema {name}", with_text(text))


def _node(loader: str, module: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": loader, "__id__": 77} | rest


def _json(text: str, number: int = 88) -> dict[str, Any]:
    return _node("JsonNode", "builtins", "str", content=text, is_json=True, __id__=number)


_NO_NAMES = {"content": {}, "key_types": _node("ListNode", "builtins", "list", content=[], __id__=90)}
_EMPTY = _node("DictNode", "builtins", "dict", **_NO_NAMES, __id__=91)
_ARGUMENTS = _node("TupleNode", "builtins", "tuple", content=[_json('"true"')], __id__=92)
_SYSTEM = _node("FunctionNode", "os", "system", content={"module_path": "os", "function": "system"}, __id__=93)
_RUNS = {
    "FunctionNode": _SYSTEM,
    "TypeNode": _node("TypeNode", "subprocess", "Popen"),
    "ObjectNode": _node("ObjectNode", "os", "system", content=_ARGUMENTS),
    "ReduceNode": _node("ReduceNode", "os", "system", reduce={"args": _ARGUMENTS}, constructor=_SYSTEM, content=None),
    "MethodNode": _node("MethodNode", "builtins", "method", content={"func": "system", "obj": _SYSTEM}),
    "PartialNode": _node(
        "PartialNode",
        "functools",
        "partial",
        content={"func": _SYSTEM, "args": _ARGUMENTS, "kwds": _EMPTY, "namespace": _EMPTY},
    ),
    "OperatorFuncNode": _node("OperatorFuncNode", "operator", "methodcaller", attrs=_ARGUMENTS, content=None),
    "CachedNode": {"__class__": None, "__module__": None, "__loader__": "CachedNode", "__id__": 1},
    "SetNode": _node("SetNode", "builtins", "set", content=[]),
    "BytesNode": _node("BytesNode", "builtins", "bytes", file="2.npy"),
    "DefaultDictNode": _node("DefaultDictNode", "collections", "defaultdict", content=_EMPTY, default_factory=_SYSTEM),
    "SparseMatrixNode": _node("SparseMatrixNode", "scipy.sparse", "csr_matrix", type="scipy", file="2.npy"),
    "TreeNode": _node("TreeNode", "sklearn.tree._tree", "Tree", content={}, reduce={"args": _ARGUMENTS}),
}

Change = Callable[[dict[str, Any]], Any]


def _put(name: str, value: Any) -> Change:
    return lambda schema: schema["content"].update({name: value})


def _set(name: str, value: Any) -> Change:
    return lambda schema: schema.update({name: value})


def _cycle(schema: dict[str, Any]) -> None:
    schema["content"]["names"]["content"][0] = {**schema["content"]["nested"], "__id__": schema["content"]["names"]["__id__"]}


_CHANGES: dict[str, Change] = {
    "that names its own trusted types": _set("trusted", ["os.system", "builtins.eval"]),
    "with a node that calls itself trusted": lambda schema: schema["content"]["level"].update(trusted=True),
    "that trusts everything": _set("__trusted__", True),
    "of an older protocol, whose nodes are less strict": _set("protocol", 0),
    "of the protocol before": _set("protocol", 1),
    "of a protocol to come": _set("protocol", 99),
    "with a cyclic node": _cycle,
    "with an array of objects as JSON": lambda schema: schema["content"]["level"].update(type="json", content=[]),
    "whose array is in the schema's own member": lambda schema: schema["content"]["level"].update(file=SCHEMA),
    "whose array is outside": lambda schema: schema["content"]["level"].update(file="../../etc/passwd"),
    "with a list of lists of types": _put(
        "names",
        _node(
            "ListNode",
            "builtins",
            "list",
            __id__=78,
            content=[
                _node("ListNode", "builtins", "list", __id__=79, content=[_node("TypeNode", "builtins", "str", __id__=80)])
            ],
        ),
    ),
    "with half a surrogate pair": _put("names", _json('"\\ud800"')),
    "with an integer of 5,000 digits": _put("names", _json("9" * 5000)),
    "with JSON within JSON": _put("names", _json('{"a": 1}')),
    "with JSON nested within JSON": _put("names", _json("[" * 100_000)),
    "of a class of a megabyte": _set("__class__", "x" * 2**20),
    "with a NUL in a class": _set("__class__", "a\0b\ud800"),
} | {f"with a {name}": _put("names", node) for name, node in _RUNS.items()}


def _texts() -> dict[str, str]:
    text = members_of(write_skops(STATE))[SCHEMA].decode()
    deep: dict[str, Any] = _node("ListNode", "builtins", "list", content=[], __id__=1000)
    for number in range(1001, 1001 + MAX_DEPTH):
        deep = _node("ListNode", "builtins", "list", content=[deep], __id__=number)
    root = {"protocol": 2, "_skops_version": "0.16.0"}
    return {
        "of 100,000 brackets": "[" * 100_000,
        "of 100,000 braces": '{"a":' * 100_000,
        "of a million empty lists": "[" + "[]," * 1_000_000 + "[]]",
        "of as many lists as it has room for": "[" + "[[]]," * 1_600_000 + "[]]",
        "of as many objects as it has room for": "[" + '{"":{}},' * 1_000_000 + "{}]",
        "one level too deep": json.dumps(deep | root),
        "that ends too early": text[:-1],
        "that goes on": text + "{}",
        "with NaN": text.replace('"protocol":2', '"protocol":NaN'),
        "with Infinity": text.replace('"protocol":2', '"protocol":Infinity'),
        "with doubled keys": text.replace('"protocol":2', '"protocol":2,"protocol":2'),
        "with doubled keys in a node": text.replace('"is_json":true', '"is_json":true,"is_json":true', 1),
        "with half a surrogate pair as a name": text.replace('"nested"', '"nes\\ud800ted"'),
        "with comments": text + "// said the zip",
        "that is a text": '"schema"',
        "with a byte order mark": "\ufeff" + text,
    }


def arrays(mark: Path) -> Iterator[Hostile]:
    """Members that are called arrays."""
    good = write_npy(np.arange(3.0))
    objects = io.BytesIO()
    np.save(objects, np.array([Mark(mark)], dtype=object), allow_pickle=True)
    record = io.BytesIO()
    np.save(record, np.zeros(3, [("a", "f8"), ("b", "i4")]))
    contents = {
        "of objects, which numpy would unpickle": objects.getvalue(),
        "of objects, under the header of numbers": good[:128] + objects.getvalue()[128:],
        "of records": record.getvalue(),
        "that is a pickle": pickle.dumps(Mark(mark)),
        "that is empty": b"",
        "with a header of 65,535 bytes": b"\x93NUMPY\1\0\xff\xff" + b" " * 65_535,
        "with a header of 16 megabytes": b"\x93NUMPY\2\0" + struct.pack("<L", 2**24) + b" " * 2**24,
        "with a header longer than the file": b"\x93NUMPY\2\0\xff\xff\xff\xff{",
        "with a header that is an expression": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3 * 10 ** 9,), }"),
        "with a header of brackets": _npy("(" * 900),
        "of 2**60 rows": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976,), }"),
        "of 10**17 rows, and more columns than a computer counts": _npy(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000000000, 100000000000000000), }"
        ),
        "of nothing, 10**17 times": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 100000000000000000, 99999), }"),
        "of a negative number of rows": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }"),
        "of fewer rows than it says": good[:-1],
        "of more rows than it says": good + b"\0",
        "of an unknown dtype": _npy("{'descr': '<x8', 'fortran_order': False, 'shape': (0,), }"),
        "of void": _npy("{'descr': '|V1000000', 'fortran_order': False, 'shape': (0,), }"),
        "of text that is none": write_npy(np.array(["a"]))[:-4] + b"\xff\xff\xff\x7f",
        "of truth values that are none": write_npy(np.array([True]))[:-1] + b"\7",
        "in a zip of its own": _npz(),
    }
    for name, content in contents.items():
        yield Hostile(f"an array {name}", with_array(content))


def _npy(header: str) -> bytes:
    return npy.magic(1, 0) + struct.pack("<H", len(header) + 1) + header.encode() + b"\n"


def _npz() -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, a=np.zeros(2**20))
    return content.getvalue()


def zips() -> Iterator[Hostile]:
    """Files around the members that lie, overlap, or are larger within than without."""
    yield from (Hostile(f"a zip {name}", content) for name, content in _bombs().items())
    yield from (Hostile(f"a zip {name}", content) for name, content in _layouts().items())
    schema, array = GOOD
    names = [
        "../evil.npy",
        "/etc/1.npy",
        "..\\1.npy",
        "C:\\1.npy",
        "1.npy/",
        "./1.npy",
        "1.npy\0.py",
        "²³.npy",
        "",
        "a" * 60_000,
    ]
    for name in names:
        yield Hostile(f"a zip with a member called {name[:20]!r}", zip_of([schema, array, stored(name, b"")]))
    for title, flags, method in [("encrypted", 1, 0), ("encrypted in another way", 65, 0), ("patched", 32, 0),
                                 ("with its size behind it", 8, 0), ("packed by bzip2", 0, 12), ("packed by LZMA", 2, 14),
                                 ("packed by zstd", 0, 93), ("packed by an unknown method", 0, 99)]:  # fmt: skip
        yield Hostile(f"a zip with a member {title}", zip_of([schema, replace(array, flags=flags, method=method)]))


def _bombs() -> dict[str, bytes]:
    schema, array = GOOD
    gigabyte = zeros(array.name.decode(), 1024)
    many = [stored(f"{number}.npy", b"") for number in range(2, 2**16 + 12)]
    one = replace(gigabyte, packed=gigabyte.packed[: len(gigabyte.packed) // 64] + b"\3\0", size=2**24)
    million = entry_of(stored("3.npy", b""), 0) * 1_000_000
    same = [replace(one, name=f"{number}.npy".encode(), at=0) for number in range(2, 200)]
    return {
        "of a gigabyte of zeros": zip_of([schema, gigabyte]),
        "of a gigabyte that says it is small": zip_of([schema, replace(gigabyte, size=152)]),
        "of a gigabyte as its schema": zip_of([zeros(SCHEMA, 1024), array]),
        "of a schema of nine megabytes": zip_of([zeros(SCHEMA, 9), array]),
        "of many members that are one": zip_of([schema, *same]),
        "with a member within another": zip_of([schema, stored("3.npy", zip_of([array])), replace(array, at=80)]),
        "of 65,546 members that says it has ten": zip_of([schema, *many]),
        "of a million members that says it has two": zip_of([schema, array], end=million, size=108 + len(million)),
        f"of {MAX_MEMBERS + 1:,} members": zip_of([schema, *many[:MAX_MEMBERS]]),
        "in a zip": zip_of([stored(SCHEMA, zip_of([schema, array]))]),
    }


def _layouts() -> dict[str, bytes]:
    schema, array = GOOD
    whole, evil = zip_of([schema, array]), zip_of([stored(SCHEMA, b"{}")])
    size64 = struct.pack("<HHQQ", 1, 16, 2**40, len(array.packed))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    end64 = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, 0, 0)
    return {
        "that is none": b"nonsense",
        "of nothing": b"",
        "that is empty": zip_of([]),
        "without its schema": zip_of([array]),
        "with a doubled array": zip_of([schema, array, array]),
        "with two schemas": zip_of([schema, array, stored(SCHEMA, b"{}")]),
        "whose schema is called in capitals": zip_of([replace(schema, name=b"SCHEMA.JSON"), array]),
        "with a member too many": zip_of([schema, array, stored("99.npy", array.packed)]),
        "behind a script": b"#!/bin/sh\ntrue\n" + whole,
        "behind another zip": evil + whole,
        "before another zip": whole + evil,
        "with bytes behind it": whole + b"\0",
        "with bytes between its members and its directory": zip_of([schema, array], between=b"PK"),
        "with bytes before its members": zip_of([schema, array], before=b"PK\3\4"),
        "with a comment": whole[:-2] + b"\4\0said",
        "with a comment that is another end": whole[:-2] + b"\26\0" + whole[-22:],
        "whose directory is elsewhere": zip_of([schema, array], place=0),
        "whose directory is smaller than it is": zip_of([schema, array], size=60),
        "of sizes above 4 GB": zip_of([schema, replace(array, size=0xFFFFFFFF, extra=size64)]),
        "with a directory of the large kind": zip_of([schema, array], end=end64 + locator),
        "with bytes beside a member in its directory": zip_of([schema, replace(array, extra=b"\xaa\xbb\4\0said")]),
        "with bytes beside a member before it": zip_of([schema, replace(array, own_extra=b"\xaa\xbb\4\0said")]),
        "with a wrong checksum": zip_of([schema, replace(array, crc=array.crc ^ 1)]),
        "of a member shorter than it says": zip_of([schema, replace(array, size=array.size + 1)]),
        "of a member longer than it says": zip_of([schema, replace(array, size=array.size - 1)]),
        "of a broken stream": zip_of([schema, replace(array, packed=b"\xff" * 40, method=DEFLATED)]),
    }


def members_of(data: bytes) -> dict[str, bytes]:
    """Return an honest zip's members by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def good_members() -> list[Member]:
    """Return the schema and the one array of `STATE`, as members that can be made to lie."""
    return [deflated(name, content) for name, content in members_of(write_skops(STATE)).items()]


GOOD = good_members()


def with_text(text: str) -> bytes:
    """Return `STATE` with another text as its schema."""
    return zip_of([deflated(SCHEMA, text.encode()), GOOD[1]])


def with_schema(change: Change) -> bytes:
    """Return `STATE` with a schema in which something was changed."""
    schema = json.loads(members_of(write_skops(STATE))[SCHEMA])
    change(schema)
    return with_text(json.dumps(schema))


def with_array(content: bytes) -> bytes:
    """Return `STATE` with other bytes as its array."""
    return zip_of([GOOD[0], deflated(GOOD[1].name.decode(), content)])


def many_places(copies: int = 20_000, rows: int = 2**20) -> bytes:
    """Return a small artifact of plain data in which one array stands in so many places that to go through it is not small."""
    text = json.loads(members_of(write_skops({"x": [np.zeros(rows)]}))[SCHEMA])
    array = write_npy(np.zeros(rows))
    text["content"]["x"]["content"] *= copies
    name = text["content"]["x"]["content"][0]["file"]
    return zip_of([deflated(SCHEMA, json.dumps(text).encode()), deflated(name, array)])
