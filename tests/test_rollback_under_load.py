"""From the moment a promotion or rollback has returned 200, no process begins an answer from another version.

Four real servers, eight connections that ask all the time, and an operator who moves the alias over and over at one server
after the other. `tests.liveness` judges every single answer, its numbers too.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from forecastle.database import open_database, upgrade
from forecastle.settings import settings_from
from tests.apache import prepare_directory, require_apache, serving
from tests.asking import ask
from tests.command_line import environment, install_naive
from tests.forecast_load import load_on
from tests.liveness import Answer, Life, Mean, Move, allowed_versions, lives_of, violations
from tests.naive import EXOG_OF_THREE, monthly_sales, train_naive
from tests.servers import several_servers

SERVERS = 4
VERSIONS = (1, 2, 3, 4, 5)
ASKED = {"horizon": 3, "exog": EXOG_OF_THREE}
PAUSES = (0.0, 0.03, 0.09)  # an operator hurries, or looks at the numbers first; both must be safe

STALE = '''\
"""Makes a server keep for 50 ms what it read of an alias, as a careless cache would."""
import time
from forecastle import keyring

kept = {}
admit = keyring.admit

def remembered(engine, *asked):
    if asked not in kept or kept[asked][0] < time.monotonic():
        kept[asked] = time.monotonic() + 0.05, admit(engine, *asked)
    return kept[asked][1]

keyring.admit = remembered
'''


@dataclass(frozen=True)
class Trial:
    """What a load was answered while an alias moved, and how long that took."""

    answers: list[Answer]
    moves: list[Move]
    means: Mapping[int, Mean]
    seconds: float

    @property
    def lives(self) -> list[Life]:
        return lives_of(1, self.moves)

    @property
    def certain(self) -> int:
        """The number of requests within which one version alone was live."""
        return sum(len(allowed_versions(answer, self.lives)) == 1 for answer in self.answers)

    def violations(self) -> list[str]:
        return violations(self.answers, self.lives, self.means)

    def __str__(self) -> str:
        took = median(1000 * (move.returned - move.called) for move in self.moves)
        versions = dict(sorted(Counter(answer.version or 0 for answer in self.answers).items()))
        return (
            f"{len(self.answers):,} requests, {len(self.moves)} moves (median {took:.0f} ms), {self.seconds:.1f} s; "
            f"{self.certain:,} requests which one version alone could answer; answers by version {versions}"
        )


class Operator:
    """Promotes and rolls back at one server after the other, and knows from the truth table what must be live then."""

    def __init__(self, urls: Sequence[str], seed: int) -> None:
        self.connections = [http.client.HTTPConnection(url.removeprefix("http://"), timeout=60) for url in urls]
        self._random = random.Random(seed)
        self._stack = [1]
        self.moves: list[Move] = []

    def move(self) -> Move:
        """Make one move, which must change what is live or at least the stack; return what is live then."""
        verb, body, self._stack = self._next()
        connection = self.connections[len(self.moves) % len(self.connections)]
        called = time.monotonic()
        connection.request("POST", f"/admin/models/sales/{verb}", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        returned = time.monotonic()
        assert answer.status == 200, content
        assert json.loads(content)["stack"] == self._stack
        self.moves.append(Move(called, returned, self._stack[-1]))
        return self.moves[-1]

    def _next(self) -> tuple[str, dict[str, int], list[int]]:
        *below, live = self._stack
        kind = self._random.choice(("promote", "rollback", "to")) if below else "promote"
        if kind == "promote":
            version = self._random.choice([number for number in VERSIONS if number != live])
            return "promote", {"version": version}, [*self._stack, version]
        if kind == "rollback":
            return "rollback", {}, below
        to = self._random.choice(below[-3:])
        while below[-1] != to:
            below.pop()
        return "rollback", {"to": to}, below

    def pause(self) -> None:
        """Do nothing for a moment, or go on at once."""
        time.sleep(self._random.choice(PAUSES))


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of an installation's database that differ from the default."""
    if request.param == "sqlite":
        yield {}
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield {"FORECASTLE_DATABASE_URL": url}


@pytest.fixture
def installation(tmp_path: Path, plugins: Path, database: dict[str, str]) -> Mapping[str, str]:
    """The environment of an installation with five versions of `sales`, of which the first is live."""
    made = environment(tmp_path / "home", plugins, **database)
    prepare(made)
    return made


def prepare(variables: Mapping[str, str]) -> None:
    settings = settings_from({name: value for name, value in variables.items() if name.startswith("FORECASTLE_")})
    engine = open_database(settings)
    upgrade(engine)
    for number in VERSIONS:
        train_naive(engine, settings, data=monthly_sales(shift=100.0 * number), promote=number == 1)
    engine.dispose()


def means_of_versions(url: str) -> dict[int, Mean]:
    found = {number: ask(f"{url}/models/sales/versions/{number}/forecast", ASKED)["mean"] for number in VERSIONS}
    assert len({json.dumps(mean) for mean in found.values()}) == len(VERSIONS)  # else a wrong answer could not be seen
    return found


def trial(urls: Sequence[str], moves: int, *, seed: int = 20261123) -> Trial:
    """Move the alias so many times under load."""
    means = means_of_versions(urls[0])
    operator = Operator(urls, seed)
    with load_on(urls, "sales", ASKED) as load:
        started = time.monotonic()
        for _ in range(moves):
            operator.move()
            operator.pause()
        seconds = time.monotonic() - started
        answers = load.stop()
    for connection in operator.connections:
        connection.close()
    return Trial(answers, operator.moves, means, seconds)


def prove(urls: Sequence[str], moves: int) -> None:
    """Hold every answer of a trial to the promise, and the trial to having been one."""
    found = trial(urls, moves)
    print(found)
    assert found.violations() == []
    assert len(found.moves) == moves
    assert {answer.version for answer in found.answers} == set(VERSIONS)
    assert {answer.server for answer in found.answers} == set(urls)
    assert found.certain > moves  # else the judge had little to judge


def test_no_process_begins_an_answer_from_another_version(installation: Mapping[str, str], tmp_path: Path) -> None:
    with several_servers(SERVERS, installation, tmp_path) as urls:
        prove(urls, 40)


@pytest.mark.slow
def test_no_process_begins_an_answer_from_another_version_in_200_moves(installation: Mapping[str, str], tmp_path: Path) -> None:
    with several_servers(SERVERS, installation, tmp_path) as urls:
        prove(urls, 200)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_server_that_kept_an_alias_for_50_ms_would_be_seen(
    installation: Mapping[str, str], plugins: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(STALE)
    stale = {**installation, "PYTHONPATH": f"{tmp_path}:{plugins}"}
    with several_servers(2, stale, tmp_path) as urls:
        found = trial(urls, 20)
    seen = found.violations()
    print(found, f"{len(seen)} violations, the first: {seen[:1]}", sep="\n")
    assert seen
    assert all("which was left" in sentence for sentence in seen)


@contextmanager
def half_sent(url: str, address: str, content_type: str, content: bytes) -> Iterator[Callable[[], Any]]:
    """Send the head of a forecast's request and half of its body; what is given sends the rest and returns the answer."""
    half = len(content) // 2
    lines = [f"POST /models/sales/{address} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}"]
    head = "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""])
    with socket.create_connection(url.removeprefix("http://").split(":"), 30) as connection:
        connection.sendall(head.encode() + content[:half])

        def finish() -> Any:
            connection.sendall(content[half:])
            with http.client.HTTPResponse(connection) as answer:
                answer.begin()
                return json.loads(answer.read())

        yield finish


def as_file() -> tuple[str, bytes]:
    """Return what is asked as a form with a file: its content type, and its bytes."""
    rows = "\n".join(["price,promo", *(f"{price},{promo}" for price, promo in zip(*EXOG_OF_THREE.values(), strict=True))])
    lines = ["--border", 'Content-Disposition: form-data; name="file"; filename="future.csv"', "", rows, "--border--", ""]
    return "multipart/form-data; boundary=border", "\r\n".join(lines).encode()


FORMS = {"forecast": ("application/json", json.dumps(ASKED).encode()), "forecast/file": as_file()}


def check_slow_client(urls: Sequence[str], address: str) -> None:
    """Move the alias while a request is on its way: the answer begins when the request is whole, from what is live then."""
    promoted = ask(f"{urls[-1]}/admin/models/sales/promote", {"version": 2})
    with half_sent(urls[0], address, *FORMS[address]) as finish:
        time.sleep(0.3)  # enough for a server that reads the alias too early to have done so
        rolled_back = ask(f"{urls[-1]}/admin/models/sales/rollback", {})
        answer = finish()
    assert (promoted["version"], rolled_back["version"]) == (2, 1)
    assert answer["model"]["version"] == 1
    assert answer["mean"] == means_of_versions(urls[0])[1]


def test_a_request_that_arrives_slowly_is_answered_from_what_is_live_when_it_is_whole(
    installation: Mapping[str, str], tmp_path: Path
) -> None:
    with several_servers(2, installation, tmp_path) as urls:
        for address in FORMS:
            check_slow_client(urls, address)


@pytest.fixture
def apache_url() -> Iterator[str]:
    """The URL of Apache with two daemon processes on such an installation."""
    require_apache()
    with prepare_directory() as directory:
        plugins = install_naive(directory / "plugins")
        made = {"FORECASTLE_HOME": str(directory / "home"), "FORECASTLE_OPEN": "true", "PYTHONPATH": str(plugins)}
        prepare(made)
        with serving(directory, made) as apache:
            yield apache.url


def test_behind_apache_too_no_process_begins_an_answer_from_another_version(apache_url: str) -> None:
    prove([apache_url], 40)


def test_behind_apache_too_a_request_that_arrives_slowly_is_answered_from_what_is_live_then(apache_url: str) -> None:
    for address in FORMS:
        check_slow_client([apache_url], address)


# The judge himself: version 1 until the first move (called at 10, returned at 11), then 2, from the second move on (20, 21) 3.
MOVES = (Move(10.0, 11.0, 2), Move(20.0, 21.0, 3))
MEANS = {1: {"y": [1.0]}, 2: {"y": [2.0]}, 3: {"y": [3.0]}}
GOOD = Answer(12.0, 13.0, "a", 200, 2, {"y": [2.0]})


def judged(answer: Answer, moves: Sequence[Move] = MOVES) -> list[str]:
    return violations([answer], lives_of(1, moves), MEANS)


def of(version: int) -> dict[str, Any]:
    return {"version": version, "mean": MEANS[version]}


def test_versions_live_from_the_call_that_made_them_so_to_the_return_that_ended_them() -> None:
    assert lives_of(1, MOVES) == [Life(1, -math.inf, 11.0), Life(2, 10.0, 21.0), Life(3, 20.0, math.inf)]
    assert lives_of(1, [Move(1.0, 2.0, 1)]) == [Life(1, -math.inf, math.inf)]  # the stack moved, the version did not


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        replace(GOOD, begun=10.5, ended=10.6),  # within the call nobody can tell
        replace(GOOD, begun=10.5, ended=10.6, **of(1)),
        replace(GOOD, begun=10.9, ended=15.0, **of(1)),  # it began before the call had returned
        replace(GOOD, begun=1.0, ended=30.0, **of(3)),
    ],
)
def test_an_answer_from_what_was_live_within_its_request_is_no_violation(answer: Answer) -> None:
    assert judged(answer) == []


def test_an_answer_from_what_was_left_before_it_began_is_a_violation() -> None:
    (found,) = judged(replace(GOOD, begun=11.002, ended=11.5, **of(1)))
    assert found == "a began an answer from version 1, which was left 2.0 ms before; allowed are [2]"


def test_an_answer_from_what_went_live_after_it_had_ended_is_a_violation() -> None:
    (found,) = judged(replace(GOOD, begun=8.0, ended=9.9))
    assert found == "a began an answer from version 2, which was not live before; allowed are [1]"


def test_other_numbers_under_the_right_version_are_a_violation() -> None:
    (found,) = judged(replace(GOOD, mean={"y": [2.0000001]}))
    assert found == "a says version 2, and answers other numbers than that version"


@pytest.mark.parametrize("status", [0, 404, 500, 503])
def test_a_request_that_failed_is_a_violation(status: int) -> None:
    (found,) = judged(replace(GOOD, status=status, version=None, mean=None, said="why"))
    assert found == f"a failed with {status}: why"


def test_a_version_that_came_back_may_answer_again() -> None:
    back = (*MOVES, Move(30.0, 31.0, 2))
    assert judged(replace(GOOD, begun=30.5, ended=32.0), back) == []
    assert len(judged(replace(GOOD, begun=25.0, ended=26.0), back)) == 1
