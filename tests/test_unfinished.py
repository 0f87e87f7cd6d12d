"""What a process that was killed has left goes at the next run; what a living one works in, and what is another's, stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forecastle.unfinished import LOCK, ON_THE_WAY, PREFIX, clear_unfinished, unfinished
from tests.requirements import require

WORK = """
import os, signal, sys
from pathlib import Path
from forecastle.unfinished import unfinished
with unfinished(Path(sys.argv[1])) as folder:
    (folder / "signing.key").write_bytes(b"secret")
    print(folder, flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_is_its_owners_only_and_goes_in_the_end(tmp_path: Path) -> None:
    with unfinished(tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "signing.key").touch()
    assert not list(tmp_path.iterdir())


def test_it_goes_as_well_where_the_work_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), unfinished(tmp_path):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_goes_at_the_next_run_and_not_before(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORK, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with unfinished(tmp_path):
            assert (left / "signing.key").exists()
        process.communicate()
    assert (left / "signing.key").exists()
    with unfinished(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_without_its_lock_goes_when_it_is_old(tmp_path: Path) -> None:
    old, new = tmp_path / f"{PREFIX}old", tmp_path / f"{PREFIX}new"
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * ON_THE_WAY,) * 2)
    clear_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_what_is_no_folder_of_our_own_stays(tmp_path: Path) -> None:
    require(os.geteuid() == 0, "not root: nothing can be given to another user")
    precious = tmp_path / "precious"
    for folder in (precious, tmp_path / f"{PREFIX}of-another"):
        folder.mkdir()
        (folder / LOCK).touch()
    os.chown(folder, 65534, 65534)
    (tmp_path / f"{PREFIX}link").symlink_to(precious)
    (tmp_path / f"{PREFIX}file").touch()
    before = sorted(tmp_path.rglob("*"))
    clear_unfinished(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
