"""Turns a state into an artifact's bytes and back: the only way in and out, for both serializers.

Reading goes: size → digest → (pickle: signature) → parse → is it the state that was registered? Nothing falls back to another
loader. What is trusted beyond plain data is the caller's to say, from the plugin's code; nothing in the bytes or in a row can
widen it.
"""

from __future__ import annotations

import hashlib
import hmac
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import skops_format
from .artifacts import MAX_ARTIFACT_BYTES, check_digest, check_size, digest_of
from .canonical import state_digest
from .errors import ArtifactRefused, NotPlainData
from .skops_zip import check_declared, shown

__all__ = ["SERIALIZERS", "check_identity", "dumps", "identity_of", "loads", "owner_of"]

_PICKLE_MAGIC = b"forecastle pickle 2\n"
_MAC_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class _Trust:
    key: bytes | None
    owner: str
    allow_pickle: bool
    types: tuple[str, ...]


def owner_of(model: str, signature: dict[str, Any]) -> str:
    """Return whose a pickle is, for `dumps` and `loads`: a model, with what a version of it takes and gives."""
    return state_digest(model, signature)


def dumps(
    state: Any,
    serializer: str,
    *,
    key: bytes | None = None,
    owner: str = "",
    allow_pickle: bool = False,
    trusted_types: tuple[str, ...] = (),
) -> bytes:
    """Return a state as bytes. `key` signs a pickle, for its `owner` alone.

    Raises `NotPlainData` where the state holds what neither plain data nor `trusted_types` cover, and `ArtifactRefused` for
    an unknown serializer, or for pickle that is not switched on.
    """
    write, _ = _of(serializer)
    return write(state, _Trust(key, owner, allow_pickle, trusted_types))


def loads(
    data: bytes,
    serializer: str,
    *,
    digest: str,
    key: bytes | None = None,
    owner: str = "",
    allow_pickle: bool = False,
    trusted_types: tuple[str, ...] = (),
    max_bytes: int = MAX_ARTIFACT_BYTES,
) -> Any:
    """Return the state that bytes of this digest hold; `max_bytes` caps them packed and unpacked.

    Raises `ArtifactCorrupt` when the digest differs, `ArtifactRefused` for everything else that is not as it should be.
    """
    check_size(len(data), digest, max_bytes)
    check_digest(data, digest)
    try:
        _, read = _of(serializer)
        return read(data, _Trust(key, owner, allow_pickle, trusted_types), max_bytes)
    except ArtifactRefused as refusal:
        refusal.digest = digest
        raise


def identity_of(state: Any, signature: dict[str, Any], data: bytes, *, max_bytes: int | None = None) -> str:
    """Return what a version stores as `state_digest`: that of its state and signature, whatever wrote the bytes.

    A state of a plugin's own types has no canonical form: there the bytes themselves stand for it.
    """
    try:
        return state_digest(state, signature, max_bytes=max_bytes)
    except NotPlainData:
        return state_digest({"artifact": digest_of(data)}, signature)


def check_identity(
    state: Any, signature: dict[str, Any], data: bytes, expected: str, *, max_bytes: int = MAX_ARTIFACT_BYTES
) -> None:
    """Refuse a state that is not the one registered under `expected`: another model's artifact in this version's row.

    Raises `ArtifactRefused`.
    """
    try:
        found = identity_of(state, signature, data, max_bytes=max_bytes)
    except ArtifactRefused as refusal:
        refusal.digest = digest_of(data)
        raise
    except RecursionError as error:
        raise ArtifactRefused("the artifact holds values nested too deep, or within themselves", digest_of(data)) from error
    if not hmac.compare_digest(found.encode(), expected.encode()):
        raise ArtifactRefused(
            f"the artifact and the signature are not those that this version was registered with (state digest {found[:12]}…, "
            f"not {shown(expected)[:12]}…): its row was changed; restore it from a backup, or train again",
            digest_of(data),
        )


def _write_skops(state: Any, trust: _Trust) -> bytes:
    if not trust.types:
        return skops_format.write(state)
    library = _skops()
    try:
        return bytes(library.dumps(state))
    except Exception as error:  # the plugin's own types run here
        raise ArtifactRefused(f"skops cannot write this state ({error})") from error


def _read_skops(data: bytes, trust: _Trust, max_bytes: int) -> Any:
    if not trust.types:
        return skops_format.read(data, max_bytes)
    check_declared(data, max_bytes)
    library = _skops()
    try:
        return library.loads(data, trusted=list(trust.types))
    except Exception as error:  # the plugin's own types run here
        raise ArtifactRefused(f"skops refuses the artifact ({shown(str(error))})") from error


def _write_pickle(state: Any, trust: _Trust) -> bytes:
    key = _pickle_key(trust)
    payload = pickle.dumps(state, protocol=5)
    return _PICKLE_MAGIC + _mac(key, trust.owner, payload) + payload


def _read_pickle(data: bytes, trust: _Trust, max_bytes: int) -> Any:
    key = _pickle_key(trust)
    start = len(_PICKLE_MAGIC) + _MAC_BYTES
    mac, payload = data[len(_PICKLE_MAGIC) : start], data[start:]
    if not data.startswith(_PICKLE_MAGIC) or not hmac.compare_digest(mac, _mac(key, trust.owner, payload)):
        raise ArtifactRefused(
            "this pickle is not signed by this installation for this model: train the model here, or bring its signing key"
        )
    try:
        return pickle.loads(payload)  # noqa: S301 - signed by this installation, as was checked above
    except Exception as error:  # whatever the plugin's classes raise
        raise ArtifactRefused(f"this pickle does not load with what is installed ({shown(str(error))}): train again") from error


def _pickle_key(trust: _Trust) -> bytes:
    if not trust.allow_pickle:
        raise ArtifactRefused("pickle is switched off: use skops, or set FORECASTLE_ALLOW_PICKLE=true if you must")
    if not trust.key:
        raise ArtifactRefused("a pickle needs the installation's signing key: set FORECASTLE_SIGNING_KEY_FILE")
    return trust.key


def _mac(key: bytes, owner: str, payload: bytes) -> bytes:
    return hmac.digest(key, _PICKLE_MAGIC + owner.encode() + b"\n" + payload, "sha256")


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ArtifactRefused("this plugin's types need skops: pip install 'forecastle-registry[skops]'") from error
    return skops.io


_Write = Callable[[Any, _Trust], bytes]
_Read = Callable[[bytes, _Trust, int], Any]

_SERIALIZERS: dict[str, tuple[_Write, _Read]] = {
    "pickle": (_write_pickle, _read_pickle),
    "skops": (_write_skops, _read_skops),
}
SERIALIZERS = tuple(_SERIALIZERS)


def _of(serializer: str) -> tuple[_Write, _Read]:
    if serializer not in _SERIALIZERS:
        raise ArtifactRefused(f"there is no serializer {shown(repr(serializer))}; choose one of {', '.join(SERIALIZERS)}")
    return _SERIALIZERS[serializer]
