"""SQLite under several processes of several threads, and where it must not lie."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forecastle_registry.aliases import get_alias
from forecastle_registry.engine import open_engine
from forecastle_registry.versions import version_count
from tests.command_line import SCRIPT, environment
from tests.requirements import require

PROCESSES, THREADS = 4, 4
PATIENCE = 5.0  # s; a read waits for no writer, though it may for the processor

WORK = """
import json, sys, threading, time
from forecastle_registry.aliases import live_version, promote_version, roll_back
from forecastle_registry.engine import open_engine
from forecastle_registry.errors import NothingToRollBackTo
from forecastle_registry.events import list_events
from forecastle_registry.versions import NewVersion, list_versions, register_version

url, seconds, threads, name = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
engine = open_engine(url, lambda: b"k" * 32)
told = {"registered": 0, "moves": 0, "reads": 0, "longest": 0.0, "errors": []}
lock = threading.Lock()

def new():
    return NewVersion(model="m", plugin="naive", plugin_version="1", serializer="skops", artifact=name.encode() * 1000,
                      state_format=1, state_digest="0" * 64, signature={}, parameters={}, verdict="converged")

def work(alias):
    register_version(engine, new(), promote=True, alias=alias)
    registered, moves, reads, longest = 1, 0, 0, 0.0
    while time.monotonic() < end:
        version = register_version(engine, new(), promote=False).version
        promote_version(engine, "m", version.number, alias=alias)
        roll_back(engine, "m", alias=alias)
        registered, moves = registered + 1, moves + 2
        for read in (lambda: live_version(engine, "m", alias), lambda: list_versions(engine, "m", limit=5),
                     lambda: list_events(engine, limit=5)) * 5:
            began = time.monotonic()
            read()
            longest = max(longest, time.monotonic() - began)
            reads += 1
    with lock:
        told["registered"] += registered
        told["moves"] += moves
        told["reads"] += reads
        told["longest"] = max(told["longest"], longest)

def guarded(alias):
    try:
        work(alias)
    except Exception as error:
        told["errors"].append(repr(error))

end = time.monotonic() + seconds
running = [threading.Thread(target=guarded, args=(f"{name}-{i}",)) for i in range(threads)]
for thread in running: thread.start()
for thread in running: thread.join()
print(json.dumps(told))
"""


@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_processes_of_threads_write_and_read_and_nothing_is_locked(
    database_template: Path, tmp_path: Path, seconds: int
) -> None:
    shutil.copy(database_template, tmp_path / "forecastle.db")
    url = f"sqlite:///{tmp_path}/forecastle.db"
    commands = [[sys.executable, "-c", WORK, url, str(seconds), str(THREADS), f"p{i}"] for i in range(PROCESSES)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    told = [json.loads(process.communicate(timeout=seconds + 60)[0]) for process in started]
    assert [each["errors"] for each in told] == [[]] * PROCESSES
    assert all(each["longest"] < PATIENCE for each in told)
    assert all(each["moves"] and each["reads"] for each in told)
    engine = open_engine(url)
    assert version_count(engine, "m") == sum(each["registered"] for each in told)
    for i in range(PROCESSES):
        for j in range(THREADS):
            assert len(get_alias(engine, "m", f"p{i}-{j}").stack) == 1
    engine.dispose()


def may_make_up_mounts() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def test_serve_refuses_a_home_on_a_network_file_system(tmp_path: Path) -> None:
    """In a namespace of mounts of its own, the server is shown a table in which everything is on NFS."""
    require(may_make_up_mounts(), "not root, no unshare, or a container that does not allow it: mounts cannot be made up")
    (tmp_path / "mounts").write_text("server:/export / nfs4 rw 0 0\n")
    show = 'mount --bind "$0" /proc/$$/mounts && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", show, str(tmp_path / "mounts"), SCRIPT, "serve", "--port", "0"]
    done = subprocess.run(command, env=environment(tmp_path / "home", tmp_path), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("use a local disk, or Postgres")
    assert "network file system (nfs4)" in done.stderr
    assert not (tmp_path / "home" / "forecastle.db").exists()
