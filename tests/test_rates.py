"""Limits of a key, and of everybody; what is told; what happens when redis does not answer; that they cost nothing when off."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from forecastle.errors import SettingsError
from forecastle.rates import limits_from
from forecastle.settings import Settings, settings_from
from forecastle_registry.engine import writing
from forecastle_registry.keys import create_key
from forecastle_registry.tables import keys
from tests.command_line import variables_of
from tests.ports import free_port
from tests.problems import problem_of
from tests.requirements import require

Serve = Callable[..., flask.Flask]
NO_LIMITS = [
    "often",
    "0/second",
    "1/fortnight",
    "-1/second",
    "1/second;;",
    "1",
    "1 per 11 year",
    f"{10**13}/day",
]
REDIS = Path("/usr/bin/redis-server")


def statuses(client: FlaskClient, secret: str | None, times: int, path: str = "/models") -> list[int]:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    return [client.get(path, headers=headers).status_code for _ in range(times)]


def test_a_keys_own_limit_counts_on_a_running_server(client: FlaskClient, engine: sa.Engine) -> None:
    ada = create_key(engine, "ada", "reader", limits="2/day").secret
    bob = create_key(engine, "bob", "reader").secret
    assert statuses(client, ada, 4) == [200, 200, 429, 429]
    assert statuses(client, bob, 4) == [200] * 4


def test_who_asked_too_often_is_told_when_to_ask_again(client: FlaskClient, engine: sa.Engine) -> None:
    ada = create_key(engine, "ada", "reader", limits="1/hour; 5/day").secret
    headers = {"Authorization": f"Bearer {ada}"}
    client.get("/models", headers=headers)
    answer = client.get("/models", headers=headers)
    problem = problem_of(answer, 429, "too-many-requests")
    assert "1 per 1 hour" in problem["detail"]
    assert 3500 <= int(answer.headers["Retry-After"]) <= 3601


def test_after_that_time_it_may_ask_again(client: FlaskClient, engine: sa.Engine) -> None:
    ada = create_key(engine, "ada", "reader", limits="1/second").secret
    headers = {"Authorization": f"Bearer {ada}"}
    while (answer := client.get("/models", headers=headers)).status_code == 200:
        pass
    time.sleep(int(answer.headers["Retry-After"]))
    assert client.get("/models", headers=headers).status_code == 200


def test_the_long_limit_is_a_quota_over_the_short_one(client: FlaskClient, engine: sa.Engine) -> None:
    ada = create_key(engine, "ada", "reader", limits="1000/second; 3/day").secret
    assert statuses(client, ada, 5) == [200] * 3 + [429] * 2


def test_the_setting_is_everybodys_limit_unless_a_key_has_its_own(settings: Settings, serve: Serve, engine: sa.Engine) -> None:
    client = serve(replace(settings, rate_limit="2/day")).test_client()
    ada, bob = (create_key(engine, name, "reader").secret for name in ("ada", "bob"))
    free = create_key(engine, "free", "reader", limits="1000/second").secret
    assert statuses(client, ada, 3) == [200, 200, 429]
    assert statuses(client, bob, 3) == [200, 200, 429]
    assert statuses(client, free, 5) == [200] * 5


def test_without_keys_the_limit_is_each_addresss(settings: Settings, serve: Serve) -> None:
    client = serve(replace(settings, rate_limit="2/day")).test_client()
    assert statuses(client, None, 3) == [200, 200, 429]
    elsewhere = {"REMOTE_ADDR": "127.0.0.2"}
    assert client.get("/models", environ_overrides=elsewhere).status_code == 200


def test_public_addresses_are_never_counted(settings: Settings, serve: Serve) -> None:
    client = serve(replace(settings, rate_limit="1/day")).test_client()
    for path in ("/health/live", "/health/ready", "/apidocs"):
        assert statuses(client, None, 3, path) == [200] * 3


def test_a_refused_key_uses_up_nobodys_limit(client: FlaskClient, engine: sa.Engine) -> None:
    ada = create_key(engine, "ada", "reader", limits="1/day").secret
    assert statuses(client, ada[:-3] + "AAA", 3) == [401] * 3
    assert statuses(client, ada, 2) == [200, 429]


@pytest.mark.parametrize("text", NO_LIMITS)
def test_a_wrong_limit_is_a_wrong_setting(text: str) -> None:
    with pytest.raises(SettingsError, match="FORECASTLE_RATE_LIMIT"):
        settings_from({"FORECASTLE_RATE_LIMIT": text})


def test_limits_are_read_as_people_write_them() -> None:
    assert limits_from("10/second; 10000/day") == limits_from("10000 per day,10 per 1 second")
    assert [item.get_expiry() for item in limits_from("5/day;5/minute")] == [60, 86400]
    assert settings_from({"FORECASTLE_RATE_LIMIT": "100/minute"}).rate_limit == "100/minute"


@pytest.mark.parametrize("url", ["memcached://x", "redis", "file:///x"])
def test_a_wrong_storage_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="FORECASTLE_RATE_STORAGE"):
        settings_from({"FORECASTLE_RATE_STORAGE": url})


def test_limits_that_another_release_wrote_do_not_stop_a_key(
    client: FlaskClient, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    ada = create_key(engine, "ada", "reader").secret
    with writing(engine) as connection:
        connection.execute(keys.update().values(limits="10 each blue moon"))
    assert statuses(client, ada, 2) == [200, 200]
    assert "do not count" in caplog.text


def test_without_a_limit_nothing_is_imported(home: Path) -> None:
    code = (
        "import sys; from forecastle.http import create_app; from forecastle.settings import settings_from;"
        f"app = create_app(settings_from({variables_of(home)!r}), loopback=True);"
        "assert app.test_client().get('/models').status_code == 200; assert 'limits' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@contextmanager
def redis() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A redis-server of this test's own."""
    require(REDIS.exists(), f"there is no {REDIS}; Debian's package redis-server has it")
    pytest.importorskip("redis")
    port = free_port()
    command = [str(REDIS), "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        import redis as client

        deadline = time.monotonic() + 20
        with client.Redis(port=port) as connection:
            while True:
                try:
                    connection.ping()
                    break
                except client.ConnectionError:
                    assert time.monotonic() < deadline, "redis does not answer"
                    time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def test_processes_that_share_a_redis_share_the_count(settings: Settings, serve: Serve, engine: sa.Engine) -> None:
    ada = create_key(engine, "ada", "reader").secret
    with redis() as (url, _):
        first, second = (serve(replace(settings, rate_limit="3/day", rate_storage=url)).test_client() for _ in range(2))
        assert statuses(first, ada, 2) + statuses(second, ada, 2) == [200, 200, 200, 429]
        assert statuses(first, ada, 1) == [429]


def test_each_process_counts_for_itself_in_memory(settings: Settings, serve: Serve, engine: sa.Engine) -> None:
    ada = create_key(engine, "ada", "reader").secret
    first, second = (serve(replace(settings, rate_limit="2/day")).test_client() for _ in range(2))
    assert statuses(first, ada, 3) + statuses(second, ada, 3) == [200, 200, 429] * 2


def test_while_redis_is_gone_requests_are_answered_and_the_log_says_so(
    settings: Settings, serve: Serve, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    ada = create_key(engine, "ada", "reader").secret
    with redis() as (url, process):
        app = serve(replace(settings, rate_limit="1/day", rate_storage=url))
        assert statuses(app.test_client(), ada, 2) == [200, 429]
        process.kill()
        process.wait()
        assert statuses(app.test_client(), ada, 20) == [200] * 20
        assert caplog.text.count("requests are not counted") == 1
