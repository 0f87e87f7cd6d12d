"""Arrays go to .npy bytes and back exactly; unusual bytes are refused before numpy builds anything."""

import io

import numpy as np
import pytest

from forecastle_registry.npy import NotPlainArray, read_npy, write_npy

ARRAYS = [
    np.arange(6.0).reshape(2, 3), np.array(3.5), np.zeros((0, 3)), np.zeros((3, 0), "i2"), np.array([True, False]),
    np.array([1 + 2j]), np.array([np.nan, -0.0, np.inf]), np.arange(3, dtype=">i4"), np.array(["a", "bcd", ""]),
    np.array([b"a", b""]), np.array(["2026-11-23", "NaT"], "M8[ns]"), np.array([1, 2], "m8[15m]"),
    np.arange(24, dtype="u1").reshape(2, 3, 4), np.ones(3, "f2"), np.zeros((1,) * 12),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_an_array_comes_back_as_numpy_would_load_it(array):
    data = write_npy(array)
    ours, theirs = read_npy(data), np.load(io.BytesIO(data), allow_pickle=False)
    for found in (ours, theirs):
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert ours.flags.writeable
    assert ours.flags.owndata


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_what_numpy_saved_is_read_as_numpy_loads_it(array):
    buffer = io.BytesIO()
    np.save(buffer, np.asfortranarray(array) if array.ndim > 1 else array)
    ours, theirs = read_npy(buffer.getvalue()), np.load(io.BytesIO(buffer.getvalue()))
    assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())
    assert ours.strides == theirs.strides or not ours.size


def test_equal_arrays_have_equal_bytes_whatever_their_layout():
    array = np.arange(6.0).reshape(2, 3)
    assert write_npy(array) == write_npy(np.asfortranarray(array)) == write_npy(np.arange(12.0)[::2].reshape(2, 3) / 2)


@pytest.mark.parametrize(
    "array", [np.array([None]), np.zeros(1, [("x", "f8")]), np.zeros(1, "g"), np.zeros(1, "M8"), np.zeros(1, "V3")]
)
def test_a_dtype_that_is_not_plain_is_not_written(array):
    with pytest.raises(NotPlainArray):
        write_npy(array)


GOOD = write_npy(np.arange(3.0))


def with_header(text: str, data: bytes = bytes(24)) -> bytes:
    header = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        GOOD[:50],
        GOOD[:-1],
        GOOD + b"\0",
        b"\x93NUMPY\x02\x00" + GOOD[8:],
        GOOD.replace(b"<f8", b"|O8"),
        GOOD.replace(b"<f8", b"<g8"),
        GOOD.replace(b"(3,)", b"(4,)"),
        GOOD.replace(b"False", b"Wrong"),
        with_header("{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (3,), }"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3), }"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'shape': (3,), }"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': __import__('os').getcwd(), }"),
        with_header("{'descr': '<M8[xx]', 'fortran_order': False, 'shape': (3,), }"),
        with_header("{'descr': '<M8[0s]', 'fortran_order': False, 'shape': (3,), }"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999, 999999999999999999, 0), }", b""),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999, 999999999999999999), }"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 40 + "3), }"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }" + " " * 2000),
        with_header("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", b"\0\1\2"),
        with_header("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", b"\xff\xff\xff\xff"),
    ],
)
def test_unusual_bytes_are_refused(data):
    with pytest.raises(NotPlainArray):
        read_npy(data)
