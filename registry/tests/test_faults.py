"""A process may be killed at any moment: nothing half-made is ever listed or served, and nothing committed is lost."""

from __future__ import annotations

import uuid
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from forecastle_registry.aliases import get_alias, promote_version, roll_back
from forecastle_registry.engine import open_engine
from forecastle_registry.errors import ModelNotFound
from forecastle_registry.events import Event, list_events
from forecastle_registry.stores import open_store
from forecastle_registry.verifying import verify_events
from forecastle_registry.versions import NewVersion, get_version, list_versions, register_version
from registry.tests.buckets import BUCKET
from registry.tests.conftest import KEY
from registry.tests.dying import Mortals

MANY = 500


def a_training(artifact: str) -> NewVersion:
    return NewVersion(
        model="m",
        plugin="naive",
        plugin_version="0.1.0",
        serializer="skops",
        artifact=artifact.encode(),
        state_format=1,
        state_digest="0" * 64,
        signature={"endog": ["y"]},
        parameters={"artifact": artifact},
        verdict="converged",
    )


# The jobs: each opens the registry anew, as a process that starts does.


def register(url: str, store: str, artifacts: list[str]) -> None:
    engine = open_engine(url, key=lambda: KEY)
    for artifact in artifacts:
        register_version(engine, a_training(artifact), promote=True, store=open_store(store, engine))
    engine.dispose()


def promote_other(url: str) -> None:
    engine = open_engine(url, key=lambda: KEY)
    promote_version(engine, "m", 3 - get_alias(engine, "m").live, reason="the other")
    engine.dispose()


def go_back(url: str) -> None:
    engine = open_engine(url, key=lambda: KEY)
    roll_back(engine, "m")
    engine.dispose()


# What holds after every death.


def whole_versions(engine: sa.Engine, store: str) -> list[str]:
    """Return the artifacts of all versions, oldest first, having checked that each version is there with all it has."""
    try:
        numbers = [version.number for version in reversed(list_versions(engine, "m", limit=MANY).items)]
    except ModelNotFound:
        return []
    assert numbers == list(range(1, len(numbers) + 1))
    found = [get_version(engine, "m", number) for number in numbers]
    contents = [open_store(store, engine).get(version.artifact_digest).decode() for version in found]
    assert [version.parameters for version in found] == [{"artifact": content} for content in contents]
    log = events_of(engine)
    assert sorted(event.version for event in log if event.what == "register") == numbers
    assert sorted(event.version for event in log if event.what == "promote") == numbers
    assert get_alias(engine, "m").stack == tuple(numbers)
    return contents


def events_of(engine: sa.Engine) -> list[Event]:
    """Return the log, newest first, having checked its seals."""
    log = verify_events(engine, KEY)
    assert not log.findings
    return list_events(engine, "m", limit=MANY).items


@pytest.fixture(params=["database", "directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "bucket":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-tests")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
        return f"s3://{BUCKET}/{uuid.uuid4().hex}"
    (tmp_path / "store").mkdir()
    return "database" if request.param == "database" else f"file://{tmp_path}/store"


def test_a_registration_that_is_killed_at_any_step_left_all_or_nothing(
    url: str, engine: sa.Engine, store: str, tmp_path: Path
) -> None:
    killed = {"before": 0, "after": 0}
    register(url, store, ["at first"])
    now = whole_versions(engine, store)
    with Mortals("registry.tests.test_faults:register", tmp_path / "store") as mortals:
        for step in count(1):
            died = mortals.kill_at(step, url=url, store=store, artifacts=[f"at step {step}"])
            before, now = now, whole_versions(engine, store)
            assert now in (before, [*before, f"at step {step}"])
            if not died:
                break
            killed["before" if now == before else "after"] += 1
    assert now[-1] == f"at step {step}"
    assert killed["before"] > 8
    assert killed["after"] > 0  # committed, though nobody was told so


def test_a_model_whose_first_registration_is_killed_at_any_step_begins_with_version_1(url: str, engine: sa.Engine) -> None:
    with Mortals("registry.tests.test_faults:register") as mortals:
        for step in count(1):
            assert mortals.kill_at(step, url=url, store="database", artifacts=[f"at step {step}"])
            if now := whole_versions(engine, "database"):
                break
    assert step > 8
    assert now == [f"at step {step}"]


@pytest.mark.parametrize(("job", "what"), [("promote_other", "promote"), ("go_back", "rollback")])
def test_a_move_that_is_killed_at_any_step_was_made_with_its_event_or_not_at_all(
    url: str, engine: sa.Engine, job: str, what: str
) -> None:
    register(url, "database", ["one", "two"])
    for _ in range(20):
        promote_version(engine, "m", 3 - get_alias(engine, "m").live)
    killed = {"before": 0, "after": 0}
    alias, log = get_alias(engine, "m"), events_of(engine)
    with Mortals(f"registry.tests.test_faults:{job}") as mortals:
        for step in count(1):
            died = mortals.kill_at(step, url=url)
            before, known = alias, log
            alias, log = get_alias(engine, "m"), events_of(engine)
            if alias == before:
                assert log == known
                killed["before"] += 1
            else:
                assert alias.revision == before.revision + 1
                assert log[1:] == known
                assert (log[0].what, log[0].version) == (what, alias.live)
                assert log[0].details["stack"] == list(alias.stack)
                killed["after"] += 1
            if not died:
                break
    assert killed["before"] > 3
    assert killed["after"] > 1


def test_trainings_that_register_at_once_get_numbers_of_their_own_and_none_is_lost(
    url: str, engine: sa.Engine, store: str, tmp_path: Path
) -> None:
    jobs = [{"url": url, "store": store, "artifacts": [f"{who}{i}" for i in range(4)]} for who in "abcd"]
    with Mortals("registry.tests.test_faults:register", tmp_path / "store") as mortals:
        assert mortals.at_once(*jobs) == [0] * 4
    found = whole_versions(engine, store)
    assert sorted(found) == sorted(artifact for job in jobs for artifact in job["artifacts"])
    assert all([a for a in found if a[0] == who] == [f"{who}{i}" for i in range(4)] for who in "abcd")
