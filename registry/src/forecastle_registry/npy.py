"""Arrays as .npy bytes and back, for plain dtypes only: no objects, no records, nothing evaluated.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (version 1.0).
"""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np

MAGIC = b"\x93NUMPY\x01\x00"
MAX_HEADER = 1024  # numpy writes 118 bytes for up to a dozen dimensions

_SIZES = {"b": {1}, "i": {1, 2, 4, 8}, "u": {1, 2, 4, 8}, "f": {2, 4, 8}, "c": {8, 16}, "m": {8}, "M": {8}}
_HEADER = re.compile(
    rb"\{'descr': '(?P<descr>[<>|][a-zA-Z][0-9]{1,6}(?:\[[0-9]{0,6}[a-zA-Z]{1,2}\])?)', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>|[0-9]{1,18},|[0-9]{1,18}(?:, [0-9]{1,18}){1,31})\), \} *\n"
)


class NotPlainArray(ValueError):
    """These bytes, or this array, are not what this module reads and writes."""


def is_plain(dtype: np.dtype[Any]) -> bool:
    """Tell whether a dtype is one whose bytes mean the same on every machine."""
    if dtype.kind in "US":
        return dtype.itemsize > 0
    return dtype.itemsize in _SIZES.get(dtype.kind, ())


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
    dtype = _dtype(header["descr"].decode("ascii"))
    shape = tuple(int(length) for length in header["shape"].split(b",") if length.strip())
    if math.prod(shape) * dtype.itemsize != len(data) - start - size:
        raise NotPlainArray(f"an array whose shape {shape} and size of {len(data) - start - size} bytes disagree")
    return _filled(data, start + size, dtype, shape, "F" if header["fortran"] == b"True" else "C")


def _dtype(descr: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(descr)
    except (TypeError, ValueError) as error:
        raise NotPlainArray(f"an array of the unknown dtype {descr}") from error
    if not is_plain(dtype):
        raise NotPlainArray(f"an array of dtype {descr}, which is not plain")
    return dtype


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
        try:
            array.tolist()
        except ValueError as error:
            raise NotPlainArray("an array of text that holds what is no text") from error
