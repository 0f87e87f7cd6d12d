"""Arrays as .npy bytes and back, for plain dtypes only: no objects, no records, nothing evaluated.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (version 1.0).
"""

from __future__ import annotations

import io
import math
import re
import sys
from typing import Any

import numpy as np

MAGIC = b"\x93NUMPY\x01\x00"
MAX_HEADER = 1024  # numpy writes 118 bytes for up to a dozen dimensions

# The dtypes whose bytes mean the same on every machine: long double does not.
_PLAIN = r"[<>|](?:b1|[iu][1248]|f[248]|c8|c16|[mM]8\[(?:[1-9][0-9]{0,5})?[a-zA-Z]{1,2}\]|[US][1-9][0-9]{0,5})"
_DTYPE = re.compile(_PLAIN)
_HEADER = re.compile(
    rb"\{'descr': '(?P<descr>" + _PLAIN.encode() + rb")', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>|[0-9]{1,18},|[0-9]{1,18}(?:, [0-9]{1,18}){1,31})\), \} *\n"
)


class NotPlainArray(ValueError):
    """These bytes, or this array, are not what this module reads and writes."""


def is_plain(dtype: np.dtype[Any]) -> bool:
    """Tell whether a dtype is one that is read and written: truth values, numbers, times and text of a fixed width."""
    return _DTYPE.fullmatch(dtype.str) is not None


def write_npy(array: np.ndarray[Any, Any]) -> bytes:
    """Return an array as .npy bytes, in C order. Raises `NotPlainArray` for a dtype that is not plain."""
    if not is_plain(array.dtype):
        raise NotPlainArray(f"an array of dtype {array.dtype}")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def read_npy(data: bytes) -> np.ndarray[Any, Any]:
    """Return the array of .npy bytes, writable and of its own memory. Raises `NotPlainArray` for anything unusual."""
    start = len(MAGIC) + 2
    size = int.from_bytes(data[len(MAGIC) : start], "little")
    if not data.startswith(MAGIC) or not 0 < size <= MAX_HEADER:
        raise NotPlainArray("an array whose header is not numpy's")
    header = _HEADER.fullmatch(data, start, start + size)
    if header is None:
        raise NotPlainArray("an array whose header is not numpy's, or of a dtype that is not plain")
    try:
        dtype = np.dtype(header["descr"].decode("ascii"))
    except TypeError as error:
        raise NotPlainArray(f"an array of the unknown dtype {header['descr']!r}") from error
    shape = tuple(int(length) for length in header["shape"].split(b",") if length.strip())
    if math.prod(shape) * dtype.itemsize != len(data) - start - size:
        raise NotPlainArray(f"an array whose shape {shape} and size of {len(data) - start - size} bytes disagree")
    return _filled(data, start + size, dtype, shape, "F" if header["fortran"] == b"True" else "C")


def _filled(data: bytes, start: int, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any) -> np.ndarray[Any, Any]:
    try:
        array = np.empty(shape, dtype, order=order)
    except ValueError as error:  # lengths beside a zero whose product numpy cannot hold
        raise NotPlainArray(f"an array of the impossible shape {shape}") from error
    if array.size:
        array.reshape(-1, order=order)[:] = np.frombuffer(data, dtype, offset=start)
    _check_values(array)
    return array


def _check_values(array: np.ndarray[Any, Any]) -> None:
    """Refuse bytes that are no value of their dtype: a bool of 7, a character beyond Unicode."""
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise NotPlainArray("an array of truth values that holds others")
    if array.dtype.kind == "U":
        points = np.frombuffer(array.tobytes(), array.dtype.byteorder + "u4")
        if points.max(initial=0) > sys.maxunicode:
            raise NotPlainArray("an array of text that holds what is no text")
