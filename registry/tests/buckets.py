"""A real S3 server for tests, moto's over HTTP, and a proxy in front of it that fails as networks and servers do."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKET = "artifacts"
PAGE = 3  # so many objects has a page of the server's listings
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@contextmanager
def running_moto() -> Iterator[str]:
    """Start moto's server with an empty bucket; give its address."""
    port = _free_port()
    environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _make_bucket(f"{address}/{BUCKET}")
        yield address
    finally:
        server.terminate()
        server.wait(20)


def _make_bucket(address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="PUT"), timeout=10).close()
            return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FaultyProxy(ThreadingHTTPServer):
    """Passes requests on to a server, but for one fault per request as long as `faults` has any.

    A fault is None, a status with which to answer, or `cut-request` (before all of it was read), `no-answer` (though it
    was carried out), `cut-answer` (in the middle of the body), `short-answer` (half of it, as if that were all) or
    `silence`. `seen` has the method and path of every request.
    """

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = address.removeprefix("http://")
        self.faults: deque[int | str | None] = deque()
        self.seen: list[str] = []
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away are what this is for."""


@contextmanager
def running_proxy(address: str) -> Iterator[FaultyProxy]:
    """Start a proxy in front of a server."""
    proxy = FaultyProxy(address)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _answer(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        fault = self.server.faults.popleft() if self.server.faults else None
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "cut-request":
            self.rfile.read(length // 2)
            self._hang_up()
            return
        body = self.rfile.read(length)
        if fault == "silence":
            self.server.closing.wait(60)
        elif isinstance(fault, int):
            self._send(fault, {"Content-Type": "application/xml"}, SLOW_DOWN, len(SLOW_DOWN))
        else:
            self._pass_on(body, fault)

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _answer  # noqa: N815  the library's names

    def _pass_on(self, body: bytes, fault: str | None) -> None:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))  # its Host too: it is signed
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault == "no-answer":
            self._hang_up()
            return
        headers = {name: value for name, value in answer.getheaders() if name not in ("Content-Length", "Connection")}
        sent = content[: len(content) // 2] if fault in ("cut-answer", "short-answer") else content
        self._send(answer.status, headers, sent, len(content) if fault == "cut-answer" else len(sent))
        if fault == "cut-answer":
            self._hang_up()

    def _send(self, status: int, headers: dict[str, str], content: bytes, length: int) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
