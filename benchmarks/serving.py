"""Compares one forecast over HTTP: the platform, a bare Flask route on a results object, a bare Flask route on the state.

    python benchmarks/serving.py [--rounds 7] [--seconds 3] [--connections 2]

All three answer the same request (8 steps, ten exogenous columns, 95 % intervals) of the same VARMAX, under the same server
(waitress, one thread for each connection), on one core, while the load comes from the other. In each round every one of them
is asked in turn; the ratios are those within a round, and their medians are printed. Before anything is measured the three
must give the same numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ENDOG = "realgdp,realcons"
EXOG = "realinv,realgovt,realdpi,cpi,m1,tbilrate,unemp,pop,infl,realint"
HORIZON = 8
PLATFORM, RESULTS, STATE = "platform", "bare Flask, results object (a)", "bare Flask, state (b)"
GOALS = {RESULTS: 6.0, STATE: 0.6}


@dataclass(frozen=True)
class Contender:
    """A server that is running: its name, its port, its process, and the address that forecasts."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    path: str

    def memory(self) -> float:
        """Return the resident memory of the process in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    """Train once, start the three, measure, print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="forecastle-benchmark-") as folder:
        home = Path(folder)
        body = _prepare(home, options.order)
        with _running(home, options.connections) as contenders:
            _keep_off_server_core()
            _agree(contenders, body)
            for contender in contenders:
                _load(contender, body, 1.0, options.connections)
            rounds = [
                {c.name: _load(c, body, options.seconds, options.connections) for c in contenders}
                for _ in range(options.rounds)
            ]
            _print(rounds, contenders, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare serving a forecast with two bare Flask routes.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each contender in each round")
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--order", default="1,1", help="p,q of the VARMAX")
    return parser.parse_args()


def _prepare(home: Path, order: str) -> bytes:
    """Train the model, pickle statsmodels' results object at the same parameters, and return the request's body."""
    environment = {**os.environ, "FORECASTLE_HOME": str(home)}
    command = [sys.executable, "-m", "forecastle.cli"]
    subprocess.run([*command, "db", "upgrade"], env=environment, check=True, stdout=subprocess.DEVNULL)
    training = ["train", "us-macro", "--plugin", "varmax", "--data", "macrodata", "--endog", ENDOG, "--exog", EXOG]
    training += ["--set", f"order={order}", "--set", "test_size=0", "--promote", "--json"]
    done = subprocess.run([*command, *training], env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    version = json.loads(done.stdout)
    _pickle_results(version, home / "results.pickle")
    columns = version["signature"]["exog"]
    exog = {column["name"]: [round(column["last"] * (1 + 0.001 * step), 3) for step in range(HORIZON)] for column in columns}
    return json.dumps({"horizon": HORIZON, "exog": exog}).encode()


def _pickle_results(version: dict[str, Any], path: Path) -> None:
    import warnings

    import pandas as pd
    from statsmodels.datasets import macrodata
    from statsmodels.tsa.api import VARMAX

    warnings.simplefilter("ignore")  # statsmodels warns of every mixed order

    frame = macrodata.load_pandas().data.set_index(pd.period_range("1959Q1", periods=203, freq="Q").to_timestamp())
    order = tuple(int(part) for part in version["parameters"]["order"].split(","))
    model = VARMAX(frame[ENDOG.split(",")], frame[EXOG.split(",")], order=order, trend=version["parameters"]["trend"])
    estimates = {estimate["name"]: estimate["value"] for estimate in version["estimates"]}
    path.write_bytes(pickle.dumps(model.smooth([estimates[name] for name in model.param_names])))


@contextmanager
def _running(home: Path, threads: int) -> Iterator[list[Contender]]:
    contenders = []
    try:
        for name, path in ((PLATFORM, "/models/us-macro/forecast"), (RESULTS, "/forecast"), (STATE, "/forecast")):
            contenders.append(_start(name, path, home, threads))
        yield contenders
    finally:
        for contender in contenders:
            contender.process.send_signal(signal.SIGTERM)
            contender.process.wait(10)


def _start(name: str, path: str, home: Path, threads: int) -> Contender:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "FORECASTLE_HOME": str(home), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    serve = ["-m", "forecastle.cli", "serve", "--port", str(port), "--threads", str(threads)]
    bare = [str(HERE / "bare.py"), "results" if name == RESULTS else "state", str(port), str(threads)]
    command = [sys.executable, *(serve if name == PLATFORM else bare)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_on_server_core
    )
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Contender(name, port, process, path)
        time.sleep(0.1)
    raise SystemExit(f"{name} did not start")


def _on_server_core() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])


def _agree(contenders: list[Contender], body: bytes) -> None:
    """Stop unless all three answer the same means and bounds."""
    answers = []
    for contender in contenders:
        document = json.loads(_ask_once(contender, body))
        interval = document["intervals"][0]
        answers.append(
            [[part[c] for c in ENDOG.split(",")] for part in (document["mean"], interval["lower"], interval["upper"])]
        )
    for contender, answer in zip(contenders[1:], answers[1:], strict=True):
        np.testing.assert_allclose(answer, answers[0], rtol=1e-7, err_msg=f"{contender.name} answers other numbers")


def _request(contender: Contender, body: bytes) -> bytes:
    head = f"POST {contender.path} HTTP/1.1\r\nHost: 127.0.0.1:{contender.port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _ask_once(contender: Contender, body: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", contender.port)) as connection:
        return _exchange(connection, _request(contender, body))


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send a request on a connection that is kept, and return the body of the answer, which must be a 200."""
    connection.sendall(request)
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not a 200: {data[:600]!r}")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return body


def _load(contender: Contender, body: bytes, seconds: float, connections: int) -> float:
    """Return the requests answered in a second, by as many connections as are kept busy."""
    counts = [0] * connections
    request = _request(contender, body)
    until = time.perf_counter() + seconds

    def keep_busy(i: int) -> None:
        with socket.create_connection(("127.0.0.1", contender.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.perf_counter() < until:
                _exchange(connection, request)
                counts[i] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=keep_busy, args=(i,)) for i in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def _print(rounds: list[dict[str, float]], contenders: list[Contender], options: argparse.Namespace) -> None:
    print(
        f"VARMAX({options.order}), {HORIZON} steps, 10 exog, 95 % intervals; {options.rounds} rounds of {options.seconds:g} s,"
    )
    print(f"{options.connections} connections, {os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}\n")
    print(f"| {'served by':<30} | requests/s, median | memory, MB | platform is | goal  |")
    print(f"| {'-' * 30} | ------------------ | ---------- | ----------- | ----- |")
    for contender in contenders:
        rate = median(one[contender.name] for one in rounds)
        ratio = median(one[PLATFORM] / one[contender.name] for one in rounds)
        goal = f"{GOALS[contender.name]:.1f} ×" if contender.name in GOALS else ""
        print(f"| {contender.name:<30} | {rate:>18.0f} | {contender.memory():>10.0f} | {ratio:>9.2f} × | {goal:>5} |")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _keep_off_server_core() -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[1:])


if __name__ == "__main__":
    main()
