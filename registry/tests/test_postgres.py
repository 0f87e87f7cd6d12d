"""Postgres restarts, vanishes, and is shared through a pooler: a request fails only while nobody could answer it."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from forecastle_registry.aliases import get_alias, live_version, promote_version
from forecastle_registry.engine import open_engine, reading, writing
from forecastle_registry.errors import DatabaseUnusable
from forecastle_registry.keys import admit
from forecastle_registry.tables import alias_stack, metadata, versions
from forecastle_registry.versions import register_version, version_count
from registry.tests.poolers import pooled, through
from registry.tests.postgres import own_postgres

on_postgres = pytest.mark.parametrize("url", ["postgres"], indirect=True)


@contextmanager
def opened(url):
    """Open a database for as long as the context lasts, with a key for the seals of its events."""
    engine = open_engine(url, lambda: b"k" * 32)
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def restartable(postgres):
    """A server that this test may stop; `postgres` says whether there can be one."""
    with own_postgres() as server:
        yield server


@on_postgres
def test_a_connection_goes_straight_to_seconds_not_minutes(engine):
    with reading(engine) as connection:
        told = connection.connection.driver_connection.info.get_parameters()
        shown = connection.exec_driver_sql("SHOW application_name").scalar()
    assert (told["connect_timeout"], told["tcp_user_timeout"], told["keepalives_idle"]) == ("3", "10000", "20")
    assert shown == "forecastle"


@on_postgres
def test_what_the_url_says_wins(url):
    with opened(f"{url}&application_name=mine&connect_timeout=7") as engine, reading(engine) as connection:
        assert connection.connection.driver_connection.info.get_parameters()["connect_timeout"] == "7"
        assert connection.exec_driver_sql("SHOW application_name").scalar() == "mine"


@on_postgres
def test_a_transaction_neither_waits_nor_rests_for_ever(engine):
    with writing(engine) as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "10s"
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "1min"
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"


def test_a_host_that_accepts_and_says_nothing_is_given_up(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with opened(f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/x") as engine, pytest.raises(DatabaseUnusable):
            version_count(engine)
    assert time.monotonic() - began < 6


def test_another_driver_is_refused_with_the_url_to_give():
    with pytest.raises(DatabaseUnusable, match=r"postgresql\+psycopg://"):
        open_engine("postgresql+psycopg2://me@127.0.0.1/x")


@on_postgres
def test_the_reads_of_every_forecast_are_prepared_and_planned_once_for_all(engine, training):
    register_version(engine, training(), promote=True)
    numbers = range(2, 2000)
    with writing(engine) as connection:  # only where there are many does a plan for any model look worse than one for this
        row = connection.execute(sa.select(versions)).mappings().one()
        connection.execute(versions.insert(), [{**row, "number": number} for number in numbers])
        top = {"model": "m", "alias": "production"}
        connection.execute(alias_stack.insert(), [{**top, "position": n, "version": n} for n in numbers[:100]])
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()  # a new connection has prepared nothing yet
    for _ in range(20):  # psycopg prepares at the fifth; Postgres plans five times before it settles
        live_version(engine, "m")
        admit(engine, "0" * 8, "m")
    with reading(engine) as connection:
        plans = sa.text("SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement LIKE '%alias_stack%'")
        found = connection.execute(plans).all()
    assert len(found) == 2
    assert all(custom <= 5 < generic for custom, generic in found)


@on_postgres
def test_connections_that_the_server_closed_meanwhile_cost_nothing(engine, training, postgres):
    register_version(engine, training(), promote=True)
    with reading(engine), reading(engine):  # so that there are two
        live_version(engine, "m")
    postgres.run(
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{engine.url.database}'"
        " AND application_name = 'forecastle'"
    )
    assert live_version(engine, "m").version_number == 1
    assert version_count(engine) == 1
    assert register_version(engine, training(), promote=True).live


class Load:
    """Threads that read and write again and again, and when which of their requests failed with what."""

    def __init__(self, engine, threads=4):
        self.engine, self.answered, self.failed, self.over = engine, 0, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(threads)]

    def run(self, number):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                live_version(self.engine, "m")
                promote_version(self.engine, "m", self.answered % 2 + 1, alias=f"alias-{number}")
                self.answered += 1
            except Exception as error:  # noqa: BLE001  which ones it may be is what the test asks
                self.failed.append((began, time.monotonic(), error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *caught):
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_a_restart_fails_nothing_but_what_asked_meanwhile(restartable, training):
    url = restartable.create()
    with opened(url) as engine:
        with writing(engine) as connection:
            metadata.create_all(connection)
        for _ in range(2):
            register_version(engine, training(), promote=True)
        with Load(engine) as load:
            time.sleep(0.5)
            stopped = time.monotonic()
            restartable.own.stop()
            time.sleep(0.5)
            restartable.own.start()
            started, before = time.monotonic(), load.answered
            time.sleep(1)
        assert load.answered > before > 0
        assert load.failed
        for began, ended, error in load.failed:
            assert isinstance(error, DatabaseUnusable), error
            assert began < started
            assert ended > stopped


def test_many_clients_share_few_connections_of_a_pooler(postgres, training):
    with postgres.database() as url, pooled(postgres) as pooler:
        with opened(through(pooler, url)) as engine:
            with writing(engine) as connection:
                metadata.create_all(connection)
            register_version(engine, training(), promote=True)
            with ThreadPoolExecutor(12) as threads:
                registered = [threads.submit(register_version, engine, training(), promote=True) for _ in range(40)]
                read = [threads.submit(live_version, engine, "m") for _ in range(400)]
                assert {future.result().version.number for future in registered} == set(range(2, 42))
                assert all(future.result().model == "m" for future in read)
            assert get_alias(engine, "m").live == 41
        with opened(url) as engine, reading(engine) as connection:
            count = sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> ''"
            )
            assert connection.execute(count).scalar() <= 3  # two of the pooler's, and this one
