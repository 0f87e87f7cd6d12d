"""Several processes that upgrade one fresh database at once do not race."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from forecastle_registry.engine import current_revision, open_engine
from registry.tests.poolers import pooled, through
from registry.tests.postgres import Postgres

PROCESSES = 6

# Each waits for the same file to appear, so that they start together however long Python takes to import.
UPGRADE = """
import sys, time
from pathlib import Path
from alembic import command
from alembic.config import Config
from forecastle_registry.engine import open_engine

url, ready, go = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
config = Config()
config.set_main_option("script_location", "forecastle_migrations:")
config.attributes["engine"] = open_engine(url)
ready.touch()
while not go.exists():
    time.sleep(0.001)
command.upgrade(config, "head")
"""


def upgrade_at_once(url: str, folder: Path) -> None:
    """Upgrade a database from several processes, all of which must succeed."""
    go = folder / "go"
    readies = [folder / f"ready-{i}" for i in range(PROCESSES)]
    started = [
        subprocess.Popen([sys.executable, "-c", UPGRADE, url, ready, go], stderr=subprocess.PIPE, text=True)
        for ready in readies
    ]
    while not all(ready.exists() for ready in readies):
        assert all(process.poll() is None for process in started)
    go.touch()
    complaints = [process.communicate(timeout=60)[1] for process in started]
    assert [(process.returncode, text) for process, text in zip(started, complaints, strict=True)] == [(0, "")] * PROCESSES


def check(url: str) -> None:
    """Find the newest revision, and the tables."""
    engine, config = open_engine(url), Config()
    config.set_main_option("script_location", "forecastle_migrations:")
    assert current_revision(engine) == ScriptDirectory.from_config(config).get_current_head()
    assert "events" in sa.inspect(engine).get_table_names()
    engine.dispose()


def test_processes_that_upgrade_one_fresh_database_at_once_all_succeed(tmp_path: Path, new_url: Callable[[], str]):
    url = new_url()
    upgrade_at_once(url, tmp_path)
    check(url)


def test_they_succeed_through_a_pooler_with_two_connections_too(tmp_path: Path, postgres: Postgres):
    with postgres.database() as url, pooled(postgres) as pooler:
        upgrade_at_once(through(pooler, url), tmp_path)
        check(url)
