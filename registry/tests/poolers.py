"""A real pgbouncer in transaction mode, between a test and its Postgres; it may have few connections for many clients."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from registry.tests.postgres import Postgres, text_of, unavailable

SECONDS = 10

CONFIGURATION = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 500
"""


@contextmanager
def pooled(postgres: Postgres, connections: int = 2) -> Iterator[Postgres]:
    """Give the same server through a pgbouncer that has so many connections to each database; skip where there is none."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        unavailable("no pgbouncer: apt-get install pgbouncer")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="forecastle-pgbouncer-") as folder:
        os.chmod(folder, 0o755)
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(server=_server(postgres.url), port=port, connections=connections))
        # It refuses to run as root, and only the server's user reaches the server's socket.
        user = {"user": postgres.own.system_user if postgres.own else "nobody"} if os.geteuid() == 0 else {}
        with open(Path(folder) / "log", "w+") as log:
            process = subprocess.Popen([program, str(file)], stdout=log, stderr=log, **user)  # type: ignore[call-overload]
            try:
                _wait_for(port, process, log.name)
                yield Postgres(
                    sa.make_url(f"postgresql+psycopg://{postgres.url.username}@127.0.0.1:{port}/{postgres.url.database}")
                )
            finally:
                process.kill()
                process.wait()


def through(pooler: Postgres, url: str) -> str:
    """Return a database's URL by way of the pooler."""
    return text_of(pooler.url.set(database=sa.make_url(url).database))


def _server(url: sa.URL) -> str:
    host = url.host or url.query["host"]
    parts = {"host": host, "port": url.port or 5432, "user": url.username, "password": url.password}
    return " ".join(f"{name}={value}" for name, value in parts.items() if value)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: str) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        assert process.poll() is None, Path(log).read_text()
        assert time.monotonic() < deadline, Path(log).read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
