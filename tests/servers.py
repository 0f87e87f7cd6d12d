"""Starts several servers on one home, as an installation with several processes has them."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.asking import is_live
from tests.command_line import SCRIPT
from tests.ports import free_port

SECONDS = 60


@contextlib.contextmanager
def several_servers(count: int, environment: Mapping[str, str], logs: Path) -> Iterator[list[str]]:
    """Start so many `forecastle serve` at once, and give their URLs when all of them answer; kill them in the end."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    with contextlib.ExitStack() as stack:
        started = {}
        for port in sorted(ports):
            log = stack.enter_context((logs / f"server-{port}.log").open("w+"))
            command = [SCRIPT, "serve", "--port", str(port)]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(process.wait)
            stack.callback(process.kill)
            started[f"http://127.0.0.1:{port}"] = process, log.name
        for url, (process, log_name) in started.items():
            _wait_for(url, process, Path(log_name))
        yield list(started)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_live(url):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"{url} does not answer: {log.read_text()}"
        time.sleep(0.05)
