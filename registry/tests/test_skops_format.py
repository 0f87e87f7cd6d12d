"""Our reader and writer of skops' format beside skops itself: equal where ours accepts, and ours refuses all else."""

import io
import json
import math
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forecastle_registry.errors import ArtifactRefused, NotPlainData
from forecastle_registry.skops_format import MAX_DEPTH, read, write
from forecastle_registry.skops_zip import MAX_SCHEMA_BYTES, SCHEMA

CAP = 2**24
DTYPES = ["<f8", "<f4", ">f8", "<i8", "|u1", "|b1", "<c16", "<U3", "|S2", "<M8[ns]", "<m8[s]"]

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
arrays = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))
states = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=12,
)
quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def same(one: Any, other: Any) -> bool:
    """Tell whether two states are the same: types, order of keys, signs of zero, and every bit of an array."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (one == other and math.copysign(1, one) == math.copysign(1, other))
    return bool(one == other)


# A state as VARMAX's is: a few matrices, names, and what the index needs.
STATE = {
    "order": [1, 1], "names": ["realgdp", "realcons"], "scale": None, "last": "2009-07-01", "trend": True, "llf": -1234.5,
    "T": np.random.default_rng(0).normal(size=(6, 6)), "P": np.random.default_rng(1).normal(size=(6, 6)),
    "beta": np.random.default_rng(2).normal(size=(2, 10)), "nested": {"a": [np.arange(3), (1, 2)], "b": {}},
}  # fmt: skip


@quick
@given(states)
def test_what_we_write_we_read(state):
    assert same(read(write(state), CAP), state)


@quick
@given(states)
def test_what_we_write_skops_loads_without_an_untrusted_type(state):
    data = write(state)
    assert skops.io.get_untrusted_types(data=data) == []
    assert same(skops.io.loads(data, trusted=None), state)


@quick
@given(states)
def test_what_skops_writes_we_read_as_skops_does(state):
    data = skops.io.dumps(state)
    assert same(read(data, CAP), skops.io.loads(data))


@quick
@given(states)
def test_equal_states_have_equal_bytes(state):
    assert write(state) == write(read(write(state), CAP))


def test_one_object_in_two_places_of_skops_own_file_is_read():
    shared = np.arange(3.0)
    data = skops.io.dumps({"a": shared, "b": [shared, {"c": shared}]})
    found = read(data, CAP)
    assert same(found, skops.io.loads(data))
    assert found["a"] is found["b"][0] is found["b"][1]["c"]


def test_neither_the_hour_nor_the_system_is_in_the_bytes():
    with zipfile.ZipFile(io.BytesIO(write(STATE))) as archive:
        assert {(info.date_time, info.create_system) for info in archive.infolist()} == {((1980, 1, 1, 0, 0, 0), 3)}


def test_a_small_model_is_a_small_file():
    assert len(write(STATE)) < 4_000


def test_the_layout_of_an_array_is_not_in_the_bytes():
    array = np.arange(6.0).reshape(2, 3)
    assert write({"a": array}) == write({"a": np.asfortranarray(array)})


def nested(depth):
    state: Any = "leaf"
    for _ in range(depth - 1):
        state = {"a": state}
    return state


def test_the_deepest_that_is_written_is_read():
    assert read(write(nested(MAX_DEPTH)), CAP) == nested(MAX_DEPTH)
    with pytest.raises(NotPlainData, match="nested deeper"):
        write(nested(MAX_DEPTH + 1))


def within_itself():
    state: list[Any] = []
    state.append(state)
    return state


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": [np.float64(1)]}, r"state\.a\[0\] is a numpy\.float64"),
        ({"a": {1: 2}}, r"state\.a is a dict with the key 1"),
        ({"a": OrderedDict()}, r"state\.a is a collections\.OrderedDict"),
        ({"a": np.array([None])}, r"state\.a is an array of dtype object"),
        ({"a": np.ma.array([1])}, r"state\.a is a numpy\.ma\.MaskedArray"),
        ({"a": b"bytes"}, r"state\.a is a builtins\.bytes"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        (10**5000, "digits"),
        (within_itself(), "nested deeper"),
        ([0.5] * 100_000, "too many single values"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_what_is_not_plain_is_not_written(state, where):
    with pytest.raises(NotPlainData, match=where):
        write(state)


# What skops' own writer makes of data that is not plain.
NOT_PLAIN = {
    "a set": {1, 2},
    "bytes": b"abc",
    "a slice": slice(1),
    "a type": {"a": int},
    "a type of a key": {"a": str},
    "types": [str, str],
    "an ordered dict": OrderedDict(a=1),
    "keys that are numbers": {1: 2},
    "a numpy scalar": np.int64(3),
    "an array of objects": np.array([None, "a"], dtype=object),
    "a masked array": np.ma.array([1, 2], mask=[True, False]),
    "a long double": np.zeros(1, "g"),
    "records": np.zeros(1, [("x", "f8")]),
    "a generator": np.random.default_rng(0),
    "a function": np.add,
    "a date": __import__("datetime").date(2026, 11, 23),
}


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_what_skops_writes_of_other_data_is_refused(what):
    with pytest.raises(ArtifactRefused):
        read(skops.io.dumps({"state": NOT_PLAIN[what]}), CAP)
    with pytest.raises(ArtifactRefused):
        read(skops.io.dumps(NOT_PLAIN[what]), CAP)


def members_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of doubled names, which are the point
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


SMALL = {"a": np.arange(3.0), "b": [1, {"c": "x"}], "d": ()}


def with_schema(change) -> bytes:
    """The file of SMALL, after a change to its schema."""
    members = members_of(write(SMALL))
    schema = json.loads(members[SCHEMA])
    members[SCHEMA] = json.dumps(change(schema) or schema).encode()
    return zipped(list(members.items()))


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(schema):
        for key in path:
            schema = schema[key]
        schema[last] = value

    return change


def drop(*path):
    def change(schema):
        for key in path[:-1]:
            schema = schema[key]
        del schema[path[-1]]

    return change


A, B, D = ("content", "a"), ("content", "b"), ("content", "d")
C = (*B, "content", 1, "content", "c")
CACHED = {"__class__": None, "__module__": None, "__loader__": "CachedNode"}
TYPE = {"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode", "__id__": 1}


def test_the_changed_file_is_read_when_nothing_is_changed():
    assert same(read(with_schema(lambda schema: None), CAP), SMALL)


@pytest.mark.parametrize(
    "change",
    [
        put("protocol", 1), put("protocol", 3), put("protocol", True), put("protocol", 2.0), drop("protocol"),
        put("_skops_version", None), drop("_skops_version"), put("extra", 1), put(*A, "extra", 1),
        put("__class__", "OrderedDict"), put("__module__", "os"), put("__loader__", "ObjectNode"),
        put("__loader__", ["DictNode"]), put("__loader__", "DefaultDictNode"), put("content", []), put("content", None),
        drop("content"), drop("key_types"), put("key_types", "content", [TYPE]), put("key_types", "content", [TYPE] * 4),
        put("key_types", None), put("key_types", "content", 0, "__class__", "int"),
        put("key_types", "content", 0, "__module__", "os"), put("key_types", "__loader__", "TupleNode"),
        put("key_types", "content", 0, None), put("__id__", 0), put("__id__", -1), put("__id__", None), put("__id__", "1"),
        put("__id__", True), put("__id__", 1.0), drop("__id__"), put(*A, "file", "schema.json"), put(*A, "file", "9.npy"),
        put(*A, "file", "../a.npy"), put(*A, "file", None), put(*A, "file", {}), put(*A, "type", "json"),
        put(*A, "__class__", "float64"), put(*A, "__class__", "matrix"), put(*A, "__loader__", "BytesNode"),
        put(*B, "content", {}), put(*B, "content", [TYPE]), put(*B, "content", [None]), put(*B, "__loader__", "SetNode"),
        put(*B, "__class__", "tuple"), put(*D, "content", [TYPE]), put(*D, "__class__", "struct_time"),
        put(*C, "content", "[1]"), put(*C, "content", "{}"), put(*C, "content", "nonsense"), put(*C, "content", 1),
        put(*C, "is_json", False), put(*C, "content", "[" * 100_000), put(*C, "content", "9" * 5000), put(*C, TYPE),
        lambda schema: [schema], lambda schema: "text", lambda schema: 3,
        # A cached node, as an old skops wrote it, a node within itself, and two nodes of one id.
        lambda schema: put(*C, CACHED | {"__id__": schema["content"]["a"]["__id__"]})(schema),
        lambda schema: put(*C, "__id__", schema["__id__"])(schema),
        lambda schema: put(*C, "__id__", schema["content"]["a"]["__id__"])(schema),
        lambda schema: put(*C, "__id__", 1)(schema),
        lambda schema: put("key_types", "__id__", schema["content"]["b"]["__id__"])(schema),
        lambda schema: put(*D, "content", [{**schema["content"]["a"], "__id__": 99}])(schema),
    ],
)  # fmt: skip
def test_a_schema_that_is_not_what_we_write_is_refused(change):
    with pytest.raises(ArtifactRefused):
        read(with_schema(change), CAP)


def small(**changes: Any) -> list[tuple[str, bytes]]:
    members = members_of(write(SMALL)) | changes
    return list(members.items())


GOOD = write(SMALL)
SCHEMA_TEXT = members_of(GOOD)[SCHEMA]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"not a zip file at all",
        GOOD[:-1],
        GOOD + b"\0",
        b"\0" + GOOD,
        GOOD[: len(GOOD) // 2],
        zipped([]),
        zipped(small(**{SCHEMA: b""})),
        zipped(small(**{SCHEMA: b"\xff\xfe"})),
        zipped(small(**{SCHEMA: b"{" * 100_000})),
        zipped(small(**{SCHEMA: b"[" * 100_000})),
        zipped(small(**{SCHEMA: SCHEMA_TEXT[:-1]})),
        zipped(small(**{SCHEMA: SCHEMA_TEXT.replace(b'"is_json":true', b'"is_json":NaN')})),
        zipped(small(**{SCHEMA: SCHEMA_TEXT[:-1] + b',"protocol":2}'})),
        zipped([*small(), ("99.npy", b"")]),
        zipped([*small(), (SCHEMA, SCHEMA_TEXT)]),
        zipped([*small(), small()[1]]),
        zipped([*small(), ("../evil.npy", b"")]),
        zipped([*small(), ("/etc/1.npy", b"")]),
        zipped([*small(), ("1.npy/", b"")]),
        zipped([*small(), ("\u00b2.npy", b"")]),
        zipped([(SCHEMA, SCHEMA_TEXT)]),
        zipped([member for member in small() if member[0] != SCHEMA]),
        zipped(small(), zipfile.ZIP_BZIP2),
        zipped(small(), zipfile.ZIP_LZMA),
        zipped([*small(), *((f"{i}.npy", b"") for i in range(1000, 6000))]),
    ],
    ids=range(27),
)
def test_a_zip_that_is_not_what_we_write_is_refused(data):
    with pytest.raises(ArtifactRefused):
        read(data, CAP)


def test_caps_hold_before_anything_is_unpacked():
    bomb = zipped([(SCHEMA, bytes(CAP + 1))], zipfile.ZIP_DEFLATED)
    assert len(bomb) < CAP / 500
    with pytest.raises(ArtifactRefused, match="that FORECASTLE_MAX_ARTIFACT allows"):
        read(bomb, CAP)
    with pytest.raises(ArtifactRefused, match="schema of more than"):
        read(zipped([(SCHEMA, bytes(MAX_SCHEMA_BYTES + 1))], zipfile.ZIP_DEFLATED), CAP)
    with pytest.raises(ArtifactRefused, match="that FORECASTLE_MAX_ARTIFACT allows"):
        read(write({"a": np.zeros(1000)}), 8000)


def declared(data: bytes, size: int) -> bytes:
    """The file with another size declared for its first member, in both places."""
    changed = bytearray(data)
    directory = changed.index(b"PK\x01\x02")
    changed[22:26] = changed[directory + 24 : directory + 28] = size.to_bytes(4, "little")
    return bytes(changed)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_larger_or_smaller_than_it_declares_is_refused(compression):
    array_first = sorted(small())
    size = len(array_first[0][1])
    data = zipped(array_first, compression)
    assert same(read(declared(data, size), CAP), SMALL)
    for wrong in (10, size - 1, size + 1, 2**20, 2**31):
        with pytest.raises(ArtifactRefused):
            read(declared(data, wrong), CAP)


def test_deep_nesting_is_refused_not_followed():
    deep: Any = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [], "__id__": 2}
    for number in range(3, 300):
        deep = {**deep, "content": [deep], "__id__": number}
    schema = {**deep, "protocol": 2, "_skops_version": "0.16.0"}
    with pytest.raises(ArtifactRefused, match="nested deeper"):
        read(zipped([(SCHEMA, json.dumps(schema).encode())]), CAP)


BASES = [write(STATE), write(SMALL), skops.io.dumps(STATE), zipped(small())]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(BASES), st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 4)), max_size=4))
def test_damaged_bytes_are_plain_data_or_refused(data, changes):
    for place, content, removed in changes:
        at = place % (len(data) + 1)
        data = data[:at] + content + data[at + removed :]
    check_read(data)


WORDS = st.sampled_from(
    [*"0123456789", "1.0", "-1", "null", "true", '"x"', "{}", "[]", "NaN", "[[", '"str"', '"builtins"', '"DictNode"']
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_schemas_are_plain_data_or_refused(data):
    """Here the zip is whole, so that damage reaches the reader of nodes and not only the checksums."""
    text = SCHEMA_TEXT.decode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        text = text[:start] + data.draw(WORDS) + text[start + data.draw(st.integers(0, 12)) :]
    check_read(zipped(small(**{SCHEMA: text.encode()})))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 200), st.binary(max_size=6), st.integers(0, 6))
def test_damaged_arrays_are_plain_data_or_refused(at, content, removed):
    name, array = next(member for member in small() if member[0] != SCHEMA)
    check_read(zipped(small(**{name: array[:at] + content + array[at + removed :]})))


def check_read(data: bytes) -> None:
    """Read, and where that succeeds: plain data it is, and skops agrees."""
    try:
        state = read(data, CAP)
    except ArtifactRefused:
        return
    write(state)
    assert same(state, skops.io.loads(data, trusted=None))


SERVER = """
import sys
from forecastle_registry.serializers import dumps, loads
from forecastle_registry.artifacts import digest_of
import numpy as np
data = dumps({"a": np.arange(3.0)}, "skops")
loads(data, "skops", digest=digest_of(data))
import forecastle_registry.versions, forecastle_registry.aliases, forecastle_registry.events, forecastle_registry.signing
heavy = {"skops", "scipy", "pandas", "sklearn", "statsmodels", "flask", "alembic"}
print(sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""


def test_a_server_that_reads_and_writes_imports_no_science():
    finished = subprocess.run([sys.executable, "-c", SERVER], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
