"""The release before goes on working while the schema moves on: its recorded statements run on today's tables.

`frozen/record.py` tells how the statements of the next release are recorded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from forecastle_registry.actors import Actor
from forecastle_registry.aliases import get_alias, live_version, promote_version
from forecastle_registry.archiving import delete_version
from forecastle_registry.engine import open_engine
from forecastle_registry.events import list_events
from forecastle_registry.stores import DatabaseStore
from forecastle_registry.verifying import verify_events
from forecastle_registry.versions import NewVersion, get_version, list_models, list_versions, register_version
from migrations.tests.frozen.record import replay

KEY = b"the installation's key of the tests"
FROZEN = sorted((Path(__file__).parent / "frozen").glob("*.json"))
ME = Actor("me", "a test")

Scenes = list[dict[str, Any]]


@pytest.fixture
def engine(new_url: Callable[[], str]) -> Any:
    engine = open_engine(new_url(), key=lambda: KEY)
    yield engine
    engine.dispose()


def upgrade(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "forecastle_migrations:")
    config.attributes["engine"] = engine
    command.upgrade(config, revision)


def scenes_of(path: Path, engine: sa.Engine) -> Scenes:
    found: Scenes = json.loads(path.read_text())[engine.dialect.name]
    return found


def play(engine: sa.Engine, scenes: Scenes) -> None:
    """Run scenes, and compare every row that comes back with what came back then."""
    for scene in scenes:
        expected = [rows for _, _, rows in scene["steps"]]
        assert replay(engine, scene["steps"]) == expected, scene["scene"]


def until(scenes: Scenes, name: str) -> int:
    """Return how many scenes there are up to and with that one."""
    return next(i for i, scene in enumerate(scenes, 1) if scene["scene"] == name)


def a_training(model: str, artifact: bytes) -> NewVersion:
    signature = {"endog": ["y"]}
    return NewVersion(
        model=model,
        plugin="naive",
        plugin_version="0.2.0",
        serializer="skops",
        artifact=artifact,
        state_format=1,
        state_digest="0" * 64,
        signature=signature,
        parameters={},
        verdict="converged",
    )


def test_there_is_a_release_before() -> None:
    assert [path.stem for path in FROZEN] == ["0002"]


@pytest.mark.parametrize("before", [0, 1, 4, 9])
@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_old_code_goes_on_after_an_upgrade_as_if_there_had_been_none(engine: sa.Engine, frozen: Path, before: int) -> None:
    scenes = scenes_of(frozen, engine)
    upgrade(engine, frozen.stem)
    play(engine, scenes[:before])
    upgrade(engine, "head")
    play(engine, scenes[before:])


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_new_code_serves_and_moves_what_old_code_registered_after_the_upgrade(engine: sa.Engine, frozen: Path) -> None:
    upgrade(engine, "head")
    play(engine, scenes_of(frozen, engine))
    assert [model.name for model in list_models(engine).items] == ["old", "other"]
    assert [version.number for version in list_versions(engine, "old").items] == [4, 3, 2, 1]
    live = live_version(engine, "old")
    assert live.version_number == get_alias(engine, "old").live == 4
    assert DatabaseStore(engine).get(live.artifact_digest) == b"last"
    assert get_version(engine, "old", 3).parent == 2
    assert promote_version(engine, "old", 3, actor=ME).alias.stack == (1, 2, 4, 3)


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_lines_that_old_code_writes_beside_new_code_are_unsealed_and_no_tampering(engine: sa.Engine, frozen: Path) -> None:
    scenes = scenes_of(frozen, engine)
    upgrade(engine, frozen.stem)
    play(engine, scenes[:1])
    upgrade(engine, "head")
    register_version(engine, a_training("new", b"new"), promote=True, actor=ME)  # which seals what was there
    assert not verify_events(engine, KEY).findings
    for scene in scenes[1:]:
        replay(engine, scene["steps"])  # the numbers of its lines are others now
    register_version(engine, a_training("new", b"newer"), promote=True, actor=ME)
    found = verify_events(engine, KEY)
    assert {finding.kind for finding in found.findings} == {"unsealed"}
    assert found.unsealed == sum(event.who == "local" for event in list_events(engine, limit=500).items) - 2
    assert not verify_events(engine, KEY, allow_unsealed=True).findings


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_a_number_that_old_code_gave_is_not_given_again(engine: sa.Engine, frozen: Path) -> None:
    scenes = scenes_of(frozen, engine)
    upgrade(engine, "head")
    play(engine, scenes[: until(scenes, "a child does not go live")])
    delete_version(engine, "old", 3, actor=ME)
    assert register_version(engine, a_training("old", b"new"), promote=False, actor=ME).version.number == 4
