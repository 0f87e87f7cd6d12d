"""One canonical encoding of plain data, so that equal models have equal digests whatever wrote their bytes.

Every value is a tag, its length where it needs one, and its content. Dicts go by sorted keys, floats by their IEEE bytes,
arrays by dtype, shape and C-ordered little-endian bytes. Numbers that compare equal encode equal: −0.0 is 0.0, and there is
one NaN. An int is no float, though, and a list no tuple.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import ArtifactRefused, NotPlainData
from .npy import is_plain
from .plain import plain

_Feed = Callable[[bytes], None]


def state_digest(state: Any, signature: dict[str, Any], *, max_bytes: int | None = None) -> str:
    """Return the SHA-256, in hexadecimal, of a state and the signature that belongs to it.

    Raises `NotPlainData`, and `ArtifactRefused` for an encoding above `max_bytes`: one array that stands in a million
    places is small in an artifact, and in memory, but not for whoever goes through it.
    """
    digest = hashlib.sha256(b"forecastle state 1\n")
    feed = digest.update if max_bytes is None else _bounded(digest.update, max_bytes)
    _encode(state, feed, "state")
    _encode(plain(signature, "signature"), feed, "signature")
    return digest.hexdigest()


def _bounded(feed: _Feed, max_bytes: int) -> _Feed:
    left = max_bytes

    def counted(content: bytes) -> None:
        nonlocal left
        left -= len(content)
        if left < 0:
            raise ArtifactRefused(f"the artifact holds values in so many places that they exceed {max_bytes:,} bytes")
        feed(content)

    return counted


def canonical_bytes(value: Any, where: str) -> bytes:
    """Return the encoding itself; `where` names the value in the error. Raises `NotPlainData`."""
    parts: list[bytes] = []
    _encode(value, parts.append, where)
    return b"".join(parts)


def _encode(value: Any, feed: _Feed, where: str) -> None:
    encode = _ENCODERS.get(type(value))
    if encode is None:
        raise NotPlainData(where, f"a {type(value).__module__}.{type(value).__qualname__}")
    encode(value, feed, where)


def _none(_value: None, feed: _Feed, _where: str) -> None:
    feed(b"n")


def _bool(value: bool, feed: _Feed, _where: str) -> None:
    feed(b"t" if value else b"f")


def _int(value: int, feed: _Feed, _where: str) -> None:
    _sized(b"i", b"%d" % value, feed)


def _float(value: float, feed: _Feed, _where: str) -> None:
    feed(b"d" + struct.pack("<d", math.nan if math.isnan(value) else value + 0.0))


def _str(value: str, feed: _Feed, _where: str) -> None:
    _sized(b"s", value.encode("utf-8", "surrogatepass"), feed)


def _list(value: list[Any] | tuple[Any, ...], feed: _Feed, where: str) -> None:
    feed(b"l" if type(value) is list else b"u")
    feed(struct.pack("<Q", len(value)))
    for i, item in enumerate(value):
        _encode(item, feed, f"{where}[{i}]")


def _dict(value: dict[Any, Any], feed: _Feed, where: str) -> None:
    if not all(type(key) is str for key in value):
        raise NotPlainData(where, "a dict with keys that are no text")
    feed(b"m")
    feed(struct.pack("<Q", len(value)))
    for key in sorted(value):
        _str(key, feed, where)
        _encode(value[key], feed, f"{where}.{key}")


def _array(value: np.ndarray[Any, Any], feed: _Feed, where: str) -> None:
    if not is_plain(value.dtype):
        raise NotPlainData(where, f"an array of dtype {value.dtype}")
    plain_order = np.array(value, dtype=value.dtype.newbyteorder("<"), order="C")
    if value.dtype.kind in "fc":
        parts = plain_order.reshape(-1).view(plain_order.real.dtype)
        with np.errstate(invalid="ignore"):  # a signalling NaN
            parts += 0.0
        parts[np.isnan(parts)] = np.nan
    _sized(b"a", plain_order.dtype.str.encode(), feed)
    feed(struct.pack(f"<B{value.ndim}Q", value.ndim, *value.shape))
    feed(plain_order.tobytes())


def _sized(tag: bytes, content: bytes, feed: _Feed) -> None:
    feed(tag + struct.pack("<Q", len(content)))
    feed(content)


_ENCODERS: dict[type, Callable[[Any, _Feed, str], None]] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    list: _list,
    tuple: _list,
    dict: _dict,
    np.ndarray: _array,
}
