"""Runs a job in a process that is killed at its k-th step, as the kernel or a power switch would: no cleanup, no goodbye.

A step is what leaves a trace: a statement that writes, before and after a commit, a file of a folder that is opened, renamed
or removed, before and after an fsync. The product knows nothing of it. Processes are forked from one that has everything
imported: a hundred deaths in a few seconds.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READS = re.compile(r"\s*(SELECT|PRAGMA|SHOW)\b", re.IGNORECASE)
FILE_EVENTS = ("open", "os.rename", "os.link", "os.remove", "os.mkdir")


class Mortals:
    """Gives processes that do `job`, `module:function`, with keywords that are plain data; `folder` is whose files count."""

    def __init__(self, job: str, folder: Path | None = None) -> None:
        command = [sys.executable, "-W", "ignore", __file__, job, str(folder or "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )

    def __enter__(self) -> Mortals:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)

    def kill_at(self, step: int, **keywords: Any) -> bool:
        """Do the job in a process that is killed at a step; tell whether it came to it. A job that fails is an error."""
        (status,) = self._ask(step, [keywords])
        assert status in (0, -signal.SIGKILL), f"the job ended with {status}"
        return status != 0

    def at_once(self, *jobs: Mapping[str, Any]) -> list[int]:
        """Do the job in several processes at once, none of which is killed; return how each ended."""
        return self._ask(0, list(jobs))

    def _ask(self, step: int, jobs: list[Any]) -> list[int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([step, jobs]) + "\n")
        self._process.stdin.flush()
        found: list[int] = json.loads(self._process.stdout.readline())
        return found


class _Steps:
    """Counts steps, and kills this process when the last one begins."""

    def __init__(self, last: int, folder: str) -> None:
        self._left, self._folder = last, folder

    def install(self) -> None:
        import sqlalchemy as sa

        sa.event.listen(sa.Engine, "before_cursor_execute", self._statement)
        sa.event.listen(sa.Engine, "commit", lambda connection: self._step())
        sa.event.listen(sa.Pool, "reset", lambda *_: self._step())  # what follows a commit
        fsync = os.fsync

        def fsync_between(descriptor: int) -> None:
            self._step()
            fsync(descriptor)
            self._step()

        os.fsync = fsync_between
        sys.addaudithook(self._audited)

    def _statement(self, connection: Any, cursor: Any, statement: str, *_: object) -> None:
        if not READS.match(statement):
            self._step()

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._folder and event in FILE_EVENTS and str(arguments[0]).startswith(self._folder):
            self._step()

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _fork(job: Callable[..., object], step: int, folder: str, keywords: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        _Steps(step, folder).install()
        job(**keywords)
        status = 0
    except BaseException:  # noqa: BLE001  this process ends here, and says why
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def _serve(module: str, function: str, folder: str) -> None:
    job = getattr(importlib.import_module(module), function)
    for driver in ("psycopg", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite"):
        importlib.import_module(driver)  # now, and not in every child
    for line in sys.stdin:
        step, jobs = json.loads(line)
        children = [_fork(job, step, folder, keywords) for keywords in jobs]
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]), flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1].split(":"), sys.argv[2])
