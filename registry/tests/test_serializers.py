"""One way in and out for both serializers: digest first, then the signature, then the strict reader, and no way around them."""

import hashlib
import hmac
import pickle
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from forecastle_registry.artifacts import digest_of
from forecastle_registry.errors import ArtifactCorrupt, ArtifactRefused, NotPlainData
from forecastle_registry.serializers import SERIALIZERS, dumps, loads, owner_of

KEY = bytes(range(32))
OTHER_KEY = bytes(32)
STATE = {"a": [1, 2.5, None], "b": np.arange(3.0)}
ON = {"key": KEY, "allow_pickle": True}


def loaded(data, serializer, **options):
    return loads(data, serializer, digest=digest_of(data), **options)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_a_state_comes_back(serializer):
    found = loaded(dumps(STATE, serializer, **ON), serializer, **ON)
    assert found["a"] == STATE["a"]
    assert np.array_equal(found["b"], STATE["b"])


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_bytes_of_another_digest_are_corrupt_before_anything_else(serializer):
    data = dumps(STATE, serializer, **ON)
    with pytest.raises(ArtifactCorrupt) as caught:
        loads(b"", serializer, digest=digest_of(data), **ON)
    assert caught.value.digest == digest_of(data)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_an_artifact_above_the_cap_is_refused(serializer):
    data = dumps(STATE, serializer, **ON)
    with pytest.raises(ArtifactRefused, match="FORECASTLE_MAX_ARTIFACT allows") as caught:
        loaded(data, serializer, **ON, max_bytes=len(data) - 1)
    assert caught.value.digest == digest_of(data)


def test_the_cap_holds_for_what_is_unpacked_too():
    data = dumps({"a": np.zeros(100_000)}, "skops")
    assert len(data) < 10_000
    with pytest.raises(ArtifactRefused, match="FORECASTLE_MAX_ARTIFACT allows"):
        loaded(data, "skops", max_bytes=10_000)


def test_an_unknown_serializer_is_refused_with_those_that_there_are():
    for call in (lambda: dumps(STATE, "joblib"), lambda: loaded(b"", "joblib")):
        with pytest.raises(ArtifactRefused, match="pickle, skops"):
            call()


class Opens:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_a_bare_pickle_is_never_unpickled(serializer, tmp_path):
    data = pickle.dumps(Opens(tmp_path / "opened"))
    with pytest.raises(ArtifactRefused):
        loaded(data, serializer, **ON)
    assert not (tmp_path / "opened").exists()


def test_a_pickle_signed_elsewhere_is_never_unpickled(tmp_path):
    data = dumps(Opens(tmp_path / "opened"), "pickle", key=OTHER_KEY, allow_pickle=True)
    with pytest.raises(ArtifactRefused, match="not signed by this installation"):
        loaded(data, "pickle", **ON)
    assert not (tmp_path / "opened").exists()
    loaded(data, "pickle", key=OTHER_KEY, allow_pickle=True)
    assert (tmp_path / "opened").exists()


def test_a_pickle_of_another_owner_is_never_unpickled(tmp_path):
    data = dumps(Opens(tmp_path / "opened"), "pickle", owner=owner_of("sales", {"nobs": 4}), **ON)
    for owner in ("", owner_of("other", {"nobs": 4}), owner_of("sales", {"nobs": 5})):
        with pytest.raises(ArtifactRefused, match="for this model"):
            loaded(data, "pickle", owner=owner, **ON)
    assert not (tmp_path / "opened").exists()
    loaded(data, "pickle", owner=owner_of("sales", {"nobs": 4}), **ON)
    assert (tmp_path / "opened").exists()


def test_every_byte_of_a_pickle_is_under_its_signature():
    data = dumps([1, 2], "pickle", **ON)
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(ArtifactRefused):
            loaded(changed, "pickle", **ON)
        with pytest.raises(ArtifactRefused):
            loaded(data[:place], "pickle", **ON)


def test_the_signature_is_hmac_sha_256():
    data = dumps([1, 2], "pickle", **ON)
    magic, mac, payload = data[:20], data[20:52], data[52:]
    assert mac == hmac.new(KEY, magic + b"\n" + payload, hashlib.sha256).digest()


def test_pickle_is_off_until_it_is_switched_on():
    data = dumps(STATE, "pickle", **ON)
    for call in (lambda: dumps(STATE, "pickle", key=KEY), lambda: loaded(data, "pickle", key=KEY)):
        with pytest.raises(ArtifactRefused, match="FORECASTLE_ALLOW_PICKLE"):
            call()


def test_pickle_needs_a_key():
    for key in (None, b""):
        with pytest.raises(ArtifactRefused, match="FORECASTLE_SIGNING_KEY_FILE"):
            dumps(STATE, "pickle", key=key, allow_pickle=True)


def test_a_pickle_of_a_class_that_is_gone_says_to_train_again():
    payload = pickle.dumps(date(2026, 11, 23)).replace(b"datetime", b"datetimf")
    magic = b"forecastle pickle 2\n"
    data = magic + hmac.digest(KEY, magic + b"\n" + payload, "sha256") + payload
    with pytest.raises(ArtifactRefused, match="train again"):
        loaded(data, "pickle", **ON)


DATES = {"state": {"when": date(2026, 11, 23)}}
DATE = ("datetime.date",)


def test_a_plugins_own_types_go_through_skops_itself():
    with pytest.raises(NotPlainData, match=r"state\.state\.when is a datetime\.date"):
        dumps(DATES, "skops")
    data = dumps(DATES, "skops", trusted_types=DATE)
    assert loaded(data, "skops", trusted_types=DATE) == DATES


@pytest.mark.parametrize("types", [(), ("datetime.time",)])
def test_a_type_that_the_plugin_does_not_declare_is_refused(types):
    data = dumps(DATES, "skops", trusted_types=DATE)
    with pytest.raises(ArtifactRefused, match=r"datetime\.date|a member with the name"):
        loaded(data, "skops", trusted_types=types)


def test_caps_hold_before_skops_itself_reads():
    data = dumps({"a": np.zeros(1000)}, "skops", trusted_types=DATE)
    assert len(data) > 8000
    with pytest.raises(ArtifactRefused, match="FORECASTLE_MAX_ARTIFACT allows"):
        loaded(data, "skops", trusted_types=DATE, max_bytes=8000)
    packed = dumps({"a": np.zeros(1000)}, "skops")
    with pytest.raises(ArtifactRefused, match="FORECASTLE_MAX_ARTIFACT allows"):
        loaded(packed, "skops", trusted_types=DATE, max_bytes=8000)


def test_what_is_no_zip_is_refused_for_a_plugins_own_types_too():
    with pytest.raises(ArtifactRefused):
        loaded(b"nonsense", "skops", trusted_types=DATE)
