"""Keys over several processes: what one of them, or the command line, says of a key holds at once in every other."""

import subprocess
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from forecastle_registry.keys import get_key
from tests.asking import ask
from tests.command_line import SCRIPT, environment
from tests.ports import free_port
from tests.servers import SECONDS, several_servers

Command = Callable[..., str]


@pytest.fixture
def command(home: Path, plugins: Path) -> Command:
    """Run `forecastle` in a process of its own; give what it prints."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [SCRIPT, *arguments], env=environment(home, plugins), check=True, capture_output=True, text=True, timeout=SECONDS
        )
        return done.stdout.strip()

    return run


@pytest.fixture
def two(home: Path, plugins: Path, tmp_path: Path) -> Iterator[list[str]]:
    with several_servers(2, environment(home, plugins), tmp_path) as urls:
        yield urls


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def code_of(url: str, headers: dict[str, str]) -> int:
    try:
        ask(f"{url}/models", headers=headers)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    return 200


def test_the_first_key_closes_every_running_server_and_its_revocation_is_heard_by_all(
    two: list[str], command: Command, engine: sa.Engine
) -> None:
    assert [code_of(url, {}) for url in two] == [200, 200]
    boss = command("keys", "create", "boss", "--role", "admin")
    assert [code_of(url, {}) for url in two] == [401, 401]
    assert [code_of(url, bearer(boss)) for url in two] == [200, 200]
    for number in range(10):
        name, maker, other = f"ada-{number}", two[number % 2], two[1 - number % 2]
        ada = ask(f"{maker}/admin/keys", {"name": name, "role": "reader"}, bearer(boss))["key"]
        assert code_of(other, bearer(ada)) == 200
        command("keys", "revoke", name) if number == 0 else _delete(f"{maker}/admin/keys/{name}", boss)
        assert code_of(other, bearer(ada)) == 401


def _delete(url: str, secret: str) -> None:
    import urllib.request

    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE", headers=bearer(secret)), timeout=30) as answer:
        assert answer.status == 204


def test_the_use_of_a_key_is_stored_once_over_all_servers(two: list[str], command: Command, engine: sa.Engine) -> None:
    boss = command("keys", "create", "boss", "--role", "admin")
    assert get_key(engine, "boss").last_used_at is None
    for _ in range(20):
        assert [code_of(url, bearer(boss)) for url in two] == [200, 200]
    deadline = time.monotonic() + SECONDS
    while (used := get_key(engine, "boss").last_used_at) is None:
        assert time.monotonic() < deadline, "the use was not stored"
        time.sleep(0.05)
    for _ in range(20):
        assert [code_of(url, bearer(boss)) for url in two] == [200, 200]
    assert get_key(engine, "boss").last_used_at == used


def test_a_server_for_others_starts_once_there_is_a_key(home: Path, plugins: Path, command: Command) -> None:
    port = free_port()
    serve = [SCRIPT, "serve", "--host", "0.0.0.0", "--port", str(port)]
    refused = subprocess.run(serve, env=environment(home, plugins), capture_output=True, text=True, timeout=SECONDS)
    assert refused.returncode == 1
    assert "keys create" in refused.stderr
    boss = command("keys", "create", "boss", "--role", "admin")
    process = subprocess.Popen(
        serve, env=environment(home, plugins), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                assert code_of(url, {}) == 401
                break
            except OSError:
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.05)
        assert code_of(url, bearer(boss)) == 200
        assert code_of(url, {**bearer(boss), "Host": "forecasts.example"}) == 200
    finally:
        process.terminate()
        output = process.communicate(timeout=SECONDS)[0]
    assert "may do everything" not in output
    assert boss not in output
