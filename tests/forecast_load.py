"""Asks servers for one forecast over and over: `python -m tests.forecast_load MODEL BODY CONNECTIONS URL...`.

1. Connections are kept open, each in a thread; they take the servers in turn, and wait a moment between two requests.
2. When each of them has had an answer, a line is printed.
3. When stdin is closed they stop, and all answers are printed as one JSON list of the fields of `tests.liveness.Answer`.
"""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from tests.liveness import Answer

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 60
PAUSE = 0.01  # at most: the servers are busy, and have time left for the moves that are to be seen


class Load:
    """The processes that ask, from outside: `stop` ends them and returns what they were answered."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def stop(self) -> list[Answer]:
        """End the load. Return its answers, in no order."""
        answers = []
        for process in self._processes:
            printed, _ = process.communicate()
            assert process.returncode == 0
            answers += [Answer(*fields) for fields in json.loads(printed)]
        return answers


@contextmanager
def load_on(urls: Sequence[str], model: str, body: object, *, processes: int = 2, connections: int = 4) -> Iterator[Load]:
    """Ask from so many processes with so many connections each, from when every connection has had an answer."""
    command = [sys.executable, "-m", "tests.forecast_load", model, json.dumps(body), str(connections)]
    running = []
    try:
        for i in range(processes):  # each begins at another server, so that every server is asked equally often
            turned = [urls[(i * connections + j) % len(urls)] for j in range(len(urls))]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            running.append(subprocess.Popen([*command, *turned], cwd=ROOT, **pipes))
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield Load(running)
    finally:
        for process in running:
            process.kill()
            process.communicate()


def main(model: str, body: str, connections: int, urls: Sequence[str]) -> None:
    """Ask until stdin is closed."""
    stop = threading.Event()
    answers: list[list[Answer]] = [[] for _ in range(connections)]
    ready = threading.Barrier(connections + 1)
    threads = []
    for i, found in enumerate(answers):
        thread = threading.Thread(target=_ask, args=(urls[i % len(urls)], model, body, found, ready, stop))
        thread.start()
        threads.append(thread)
    ready.wait()
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps([astuple(answer) for found in answers for answer in found]))


def _ask(url: str, model: str, body: str, answers: list[Answer], ready: threading.Barrier, stop: threading.Event) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)
    answers.append(_answer(connection, url, model, body))
    ready.wait()
    pauses = random.Random(url)
    while not stop.wait(pauses.uniform(0, PAUSE)):
        answers.append(_answer(connection, url, model, body))
    connection.close()


def _answer(connection: http.client.HTTPConnection, server: str, model: str, body: str) -> Answer:
    begun = time.monotonic()
    try:
        connection.request("POST", f"/models/{model}/forecast", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        ended = time.monotonic()
        if answer.status != 200:
            return Answer(begun, ended, server, answer.status, None, None, content.decode(errors="replace")[:500])
        document = json.loads(content)
        return Answer(begun, ended, server, 200, document["model"]["version"], document["mean"])
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        return Answer(begun, time.monotonic(), server, 0, None, None, repr(error))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
