"""A directory of artifacts survives kills and full disks, and is never left through a link."""

import multiprocessing
import os
import resource
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forecastle_registry.artifacts import digest_of
from forecastle_registry.errors import ArtifactCorrupt, ArtifactMissing, StoreUnusable
from forecastle_registry.stores import DirectoryStore

CONTENT = bytes(range(256)) * 4000
DIGEST = digest_of(CONTENT)
LATER = timedelta(days=1)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "artifacts"
    path.mkdir()
    return path


@pytest.fixture
def store(folder):
    store = DirectoryStore(folder)
    store.put(DIGEST, CONTENT)
    return store


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_artifact_is_a_file_named_by_its_digest(store, folder):
    assert files(folder) == [f"{DIGEST[:2]}/{DIGEST[2:]}"]
    assert (folder / DIGEST[:2] / DIGEST[2:]).read_bytes() == CONTENT


def test_whoever_made_the_folders_all_of_them_are_forced_to_the_disk(store, folder, monkeypatch):
    forced, fsync = [], os.fsync

    def note(descriptor):
        forced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    store.put(DIGEST, CONTENT)
    place = folder / DIGEST[:2] / DIGEST[2:]
    assert forced == [path.stat().st_ino for path in (folder, place, place.parent)]


@pytest.mark.parametrize(
    ("umask", "of_folder", "of_file"), [(0o022, 0o750, 0o640), (0o007, 0o770, 0o660), (0o077, 0o700, 0o600)]
)
def test_the_group_has_what_the_umask_allows_and_others_nothing(folder, umask, of_folder, of_file):
    before = os.umask(umask)
    try:
        DirectoryStore(folder).put(DIGEST, CONTENT)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder / "partial", folder / DIGEST[:2])}
    assert modes == {of_folder}
    assert stat.S_IMODE((folder / DIGEST[:2] / DIGEST[2:]).stat().st_mode) == of_file


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    """It is rather a mount that is missing, and the artifact would be lost below it."""
    store = DirectoryStore(tmp_path / "mount")
    with pytest.raises(StoreUnusable, match=r"No such file or directory\): see that it is there, mounted"):
        store.put(DIGEST, CONTENT)
    assert not (tmp_path / "mount").exists()


def test_a_folder_that_is_gone_is_unusable_not_empty(store, folder):
    folder.rename(folder.with_name("elsewhere"))
    for call in (lambda: store.get(DIGEST), lambda: list(store.stored()), lambda: store.delete(DIGEST)):
        with pytest.raises(StoreUnusable, match="No such file or directory"):
            call()


def test_a_folder_to_which_nothing_was_ever_put_is_unusable_not_empty(store, folder):
    """So looks the place of a mount that is missing."""
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()
    with pytest.raises(StoreUnusable, match="mounted"):
        store.get(DIGEST)


def test_a_file_in_the_folders_place_is_unusable(folder):
    folder.rmdir()
    folder.write_text("no folder")
    with pytest.raises(StoreUnusable, match="Not a directory"):
        DirectoryStore(folder).put(DIGEST, CONTENT)


def test_a_link_in_an_artifacts_place_is_not_followed_and_put_replaces_it(store, folder, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(CONTENT)
    place = folder / DIGEST[:2] / DIGEST[2:]
    place.unlink()
    place.symlink_to(outside)
    with pytest.raises(ArtifactCorrupt, match="a link"):
        store.get(DIGEST)
    assert list(store.stored()) == []
    store.put(DIGEST, CONTENT)
    assert store.get(DIGEST) == CONTENT
    assert not place.is_symlink()
    assert outside.exists()


def test_a_link_in_a_folders_place_is_not_followed(store, folder, tmp_path):
    (folder / DIGEST[:2]).rename(tmp_path / "outside")
    (folder / DIGEST[:2]).symlink_to(tmp_path / "outside")
    for call in (lambda: store.get(DIGEST), lambda: store.put(DIGEST, b""), lambda: store.delete(DIGEST)):
        with pytest.raises(StoreUnusable):
            call()
    assert list(store.stored()) == []
    assert (tmp_path / "outside" / DIGEST[2:]).read_bytes() == CONTENT


def test_the_store_itself_may_be_a_link(store, folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert DirectoryStore(tmp_path / "link").get(DIGEST) == CONTENT


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_corrupt_and_holds_nobody(store, folder, make):
    place = folder / DIGEST[:2] / DIGEST[2:]
    place.unlink()
    make(place)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ArtifactCorrupt, match="no file at all"):
        store.get(DIGEST)
    assert list(store.stored()) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_strange_files_are_not_listed(store, folder):
    (folder / "README").write_text("what this is")
    (folder / DIGEST[:2] / "notes").write_text("?")
    (folder / "zz").mkdir()
    (folder / "partial" / DIGEST).write_bytes(CONTENT)
    assert [item.digest for item in store.stored()] == [DIGEST]


def test_what_a_killed_write_left_is_swept_once_it_is_old(store, folder):
    left = folder / "partial" / f"{DIGEST[2:]}.0123456789abcdef"
    left.write_bytes(CONTENT[:100])
    now = datetime.now(UTC)
    assert store.sweep(now - LATER) == 0
    assert store.sweep(now + LATER, dry_run=True) == 1
    assert left.exists()
    assert store.sweep(now + LATER) == 1
    assert files(folder) == [f"{DIGEST[:2]}/{DIGEST[2:]}"]


PUT_AND_DIE = """
import itertools, os, signal, sys
from pathlib import Path
from forecastle_registry.artifacts import digest_of
from forecastle_registry.stores import DirectoryStore
store = DirectoryStore(Path(sys.argv[1]))
def put(number, deadly):
    content = number.to_bytes(2, "big") * 10_000
    digest, calls = digest_of(content), itertools.count(1)
    def die(frame, event, argument):
        if event in ("c_call", "c_return") and next(calls) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(die)
    store.put(digest, content)
    sys.setprofile(None)
for number in itertools.count(1):
    child = os.fork()
    if child == 0:
        put(number, number)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
    whole = [store.get(item.digest) for item in store.stored()]
    print(number, len(whole), flush=True)
"""


def test_whatever_step_of_a_write_it_is_killed_at_an_artifact_is_whole_or_not_listed(folder):
    done = subprocess.run([sys.executable, "-c", PUT_AND_DIE, folder], capture_output=True, text=True, check=True)
    killed = [[int(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert len(killed) > 50  # so many steps a write has
    listed = [count for _, count in killed]
    assert listed[10] == 0 < listed[-1]  # first nothing, and whole once it was renamed
    store = DirectoryStore(folder)
    assert store.sweep(datetime.now(UTC) + LATER) >= 5  # steps with a file aside
    assert len(files(folder)) == listed[-1] + 1  # the last one was not killed


def _put_on_a_small_disk(folder: Path) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        DirectoryStore(folder).put(DIGEST, CONTENT)
    except StoreUnusable as error:
        return error.message
    return "put"


def test_a_limit_on_files_leaves_nothing_half_made(store, folder):
    other = b"small"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        message = pool.apply(_put_on_a_small_disk, (folder,))
    assert "File too large" in message
    assert "make room" in message
    assert files(folder) == [f"{DIGEST[:2]}/{DIGEST[2:]}"]
    store.put(digest_of(other), other)
    assert store.get(DIGEST) == CONTENT


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk; the limit on files is tested instead")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk_is_unusable_and_leaves_nothing_half_made(small_disk):
    store = DirectoryStore(small_disk)
    for _ in range(3):
        with pytest.raises(StoreUnusable, match=r"No space left on device\): make room there"):
            store.put(DIGEST, CONTENT)
        assert list(store.stored()) == []
        assert files(small_disk) == []
    with pytest.raises(ArtifactMissing):
        store.get(DIGEST)
    content = CONTENT[:100_000]
    store.put(digest_of(content), content)
    assert store.get(digest_of(content)) == content
