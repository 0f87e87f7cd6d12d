"""`forecastle serve` as a person starts it: it migrates its own SQLite, trains nothing, and stops when it is told to."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.asking import ask, is_live
from tests.command_line import SCRIPT, environment
from tests.ports import free_port

SECONDS = 30


@contextlib.contextmanager
def serving(home: Path, plugins: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a server on a free port in a process group of its own; give it with its address, and kill what is left."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    process = subprocess.Popen(
        [SCRIPT, "serve", "--port", str(port), *arguments],
        env=environment(home, plugins),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + SECONDS
        while not is_live(url):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
        yield process, url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def members_of(group: int) -> list[int]:
    """Return the processes of a process group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, rest = path.read_text().split(" (", 1)
            state, _, process_group = rest.rsplit(") ", 1)[1].split()[:3]
            if int(process_group) == group and state != "Z":
                found.append(int(pid))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(home: Path, plugins: Path, number: signal.Signals) -> None:
    with serving(home, plugins) as (process, url):
        os.killpg(process.pid, number)
        output = process.communicate(timeout=SECONDS)[0]
        assert process.returncode == 0
        assert output.splitlines()[-1] == "Stopped."
        assert "Traceback" not in output
        assert members_of(process.pid) == []
        assert not is_live(url)


def test_it_tells_where_to_look(home: Path, plugins: Path) -> None:
    with serving(home, plugins) as (process, url):
        process.terminate()
        output = process.communicate(timeout=SECONDS)[0]
    assert f"Forecastle serves on {url}" in output
    assert f"{url}/apidocs" in output
    assert f"export FORECASTLE_HOME={home}" in output


def test_a_page_that_loads_its_parts_at_once_is_nothing_to_warn_of(home: Path, plugins: Path) -> None:
    with serving(home, plugins, "--threads", "1") as (process, url):
        with ThreadPoolExecutor(16) as browser:
            assert all(browser.map(lambda _: ask(f"{url}/openapi.json"), range(64)))
        process.terminate()
        output = process.communicate(timeout=SECONDS)[0]
    assert "queue" not in output


def test_it_makes_its_own_sqlite_and_trains_nothing(tmp_path: Path, plugins: Path) -> None:
    with serving(tmp_path / "new", plugins) as (_, url):
        assert ask(f"{url}/models") == {"items": [], "next": None}
        assert ask(f"{url}/health/ready")


def test_no_worker_is_accepted_already(home: Path, plugins: Path) -> None:
    with serving(home, plugins, "--no-worker") as (_, url):
        assert is_live(url)


def test_it_serves_what_was_trained_and_a_second_start_trains_nothing(home: Path, plugins: Path, tmp_path: Path) -> None:
    data = tmp_path / "sales.csv"
    data.write_text("t,sales\n" + "".join(f"{i},{100 + i % 7}\n" for i in range(20)))
    command = [SCRIPT, "train", "sales", "--plugin", "naive", "--data", str(data), "--endog", "sales", "--promote"]
    subprocess.run(command, env=environment(home, plugins), check=True, capture_output=True)
    for _ in range(2):
        with serving(home, plugins) as (process, url):
            assert ask(f"{url}/models/sales/forecast", {"horizon": 2})["timestamps"] == [20, 21]
            process.send_signal(signal.SIGINT)
            assert f"{url}/models/sales/docs" in process.communicate(timeout=SECONDS)[0]
    with contextlib.closing(sqlite3.connect(home / "forecastle.db")) as connection:
        assert connection.execute("SELECT count(*) FROM versions").fetchone() == (1,)


def test_a_port_in_use_is_one_line_and_exit_1(home: Path, plugins: Path) -> None:
    with serving(home, plugins) as (_, url):
        port = url.rsplit(":", 1)[1]
        command = [SCRIPT, "serve", "--port", port]
        done = subprocess.run(command, env=environment(home, plugins), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
    assert lines == [
        f"forecastle: cannot listen on 127.0.0.1:{port}: Address already in use; stop what is there, or choose another --port"
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_port_0_takes_a_free_one_and_tells_which(home: Path, plugins: Path, host: str) -> None:
    process = subprocess.Popen(
        [SCRIPT, "serve", "--host", host, "--port", "0"],
        env=environment(home, plugins, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        assert not address.endswith(":0")
        assert is_live(address)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"POST /models/a%20b/forecast HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000000\r\n\r\n", 413, "body-too-large"),
        (b"GET /models HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 300_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET /models HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400, "malformed-request"),
        (b"POST /models HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "malformed-request"),
    ],
    ids=["too large by far", "large headers", "a length below nothing", "an unknown transfer coding"],
)
def test_what_the_server_refuses_by_itself_is_a_problem_too(
    home: Path, plugins: Path, sent: bytes, status: int, code: str
) -> None:
    with (
        serving(home, plugins) as (_, url),
        socket.create_connection(url.removeprefix("http://").split(":"), SECONDS) as connection,
    ):
        connection.sendall(sent)
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            document = json.loads(answer.read())
    assert answer.status == document["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert document["code"] == code
    assert document["request_id"] == answer.headers["X-Request-ID"]
    if status == 413:
        assert "FORECASTLE_MAX_UPLOAD" in document["detail"]
        assert document["instance"] == "/models/a b/forecast"
