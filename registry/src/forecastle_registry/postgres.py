"""Opens Postgres so that a restart, a host that vanished and a pooler in between cost a request no more than they must.

- A connection is looked at before it is used: a server that restarted has closed it, which the socket tells without asking
  over the network. A ping would cost a round trip on the way of every forecast.
- A host that vanished closes nothing. Then TCP itself gives up after seconds, not after minutes.
- Statements are prepared where the connection goes straight to the server, because planning the read of a forecast costs
  several times its execution. A pooler gives each transaction any of its connections, where nothing is prepared.
- What waits in a transaction for another one gives up, and a transaction whose client vanished ends: it may hold a model's row.

Whatever stands in the URL's query wins over what is set here.
"""

from __future__ import annotations

import select
from typing import Any

import sqlalchemy as sa

LOCK_SECONDS = 10  # writers wait in a queue here
IDLE_SECONDS = 60  # far longer than any of our transactions does nothing
CONNECT: dict[str, object] = {
    "application_name": "forecastle",
    "connect_timeout": 3,  # s
    "keepalives_idle": 20,  # s without traffic, then three questions of five seconds each
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms that what was sent may stay unacknowledged
}
BEGINNING = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"


def open_postgres(url: sa.URL) -> sa.Engine:
    """Return the engine; nothing is connected yet. As many connections may be in use at once as a server has threads.

    Raises SQLAlchemy's ArgumentError for another driver than psycopg.
    """
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise sa.exc.ArgumentError(f"the driver {url.drivername} is not supported")
    url = url.set(drivername="postgresql+psycopg")
    arguments = {name: value for name, value in CONNECT.items() if name not in url.query}
    engine = sa.create_engine(url, connect_args=arguments, pool_size=16, max_overflow=48, pool_timeout=5, pool_use_lifo=True)
    sa.event.listen(engine, "connect", _prepare_nothing_behind_a_pooler)
    sa.event.listen(engine, "checkout", _refuse_what_the_server_closed)
    return engine


def _prepare_nothing_behind_a_pooler(connection: Any, record: Any) -> None:
    """Compare the process that greeted us with the one that answers: a pooler greets with a number that it made up."""
    connection.autocommit = True
    answering = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    connection.autocommit = False
    if answering != connection.info.backend_pid:
        connection.prepare_threshold = None
    record.info["fresh"] = True


def _refuse_what_the_server_closed(connection: Any, record: Any, _proxy: object) -> None:
    """Let the pool connect anew where there is something to read: on a connection at rest that is the server's farewell."""
    if record.info.pop("fresh", False):
        return
    if not connection.closed:
        socket = select.poll()
        socket.register(connection.fileno(), select.POLLIN)
        if not socket.poll(0):
            return
    raise sa.exc.DisconnectionError("the server closed this connection")
