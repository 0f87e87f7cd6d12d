"""The signing key is made once, for everybody."""

import os
import stat
import subprocess
import sys

import pytest

from forecastle_registry.errors import SigningKeyUnusable
from forecastle_registry.signing import signing_key


def test_the_key_is_made_at_first_use_and_stays(tmp_path):
    path = tmp_path / "not" / "yet" / "signing.key"
    key = signing_key(path)
    assert len(key) == 32
    assert signing_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_new_key_and_its_name_are_forced_to_the_disk(tmp_path, monkeypatch):
    forced, fsync = [], os.fsync

    def note(descriptor):
        forced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    for _ in range(2):
        signing_key(tmp_path / "key")
    assert forced == [(tmp_path / "key").stat().st_ino, tmp_path.stat().st_ino]


def test_two_installations_have_different_keys(tmp_path):
    assert signing_key(tmp_path / "a") != signing_key(tmp_path / "b")


def test_a_short_key_is_refused(tmp_path):
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(SigningKeyUnusable, match="5 bytes"):
        signing_key(tmp_path / "key")


def test_a_key_that_cannot_be_made_is_an_error_that_names_the_setting(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SigningKeyUnusable, match="FORECASTLE_SIGNING_KEY_FILE"):
        signing_key(tmp_path / "file" / "key")


MAKE = """
import sys
from forecastle_registry.signing import signing_key
sys.stdin.readline()
print(signing_key(sys.argv[1]).hex())
"""


def test_processes_that_start_at_once_get_the_same_key(tmp_path):
    command = [sys.executable, "-c", MAKE, tmp_path / "key"]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0].strip() for process in started}
    assert keys == {signing_key(tmp_path / "key").hex()}
