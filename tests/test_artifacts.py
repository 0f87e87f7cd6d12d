"""Artifacts in another store than the database: served, moved by the command line, and missed when the store is gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import flask
import pytest
from sqlalchemy import Engine

from forecastle.serving.loading import Loader
from forecastle.settings import Settings
from forecastle_registry.artifacts import digest_of
from forecastle_registry.errors import ArtifactRefused
from forecastle_registry.events import list_events
from forecastle_registry.stores import DirectoryStore
from forecastle_registry.versions import Registered, version_count
from tests.command_line import CommandLine
from tests.naive import EXOG_OF_THREE, monthly_sales, naive_catalogue, train_naive
from tests.problems import problem_of

ADDRESS = "/models/sales/forecast"
ASKED = {"exog": EXOG_OF_THREE}
SOON = ("--older-than", "0s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "artifacts"
    path.mkdir()
    return path


@pytest.fixture
def elsewhere(settings: Settings, folder: Path) -> Settings:
    """The settings, with the artifacts in a directory."""
    return replace(settings, artifacts=f"file://{folder}")


@pytest.fixture
def three(train: Callable[..., Registered]) -> list[Registered]:
    """Three versions of `sales`, whose artifacts are in the database."""
    return [train(data=monthly_sales(shift=shift), promote=True) for shift in (0, 1, 2)]


def file_of(folder: Path, registered: Registered) -> Path:
    digest = registered.version.artifact_digest
    return folder / digest[:2] / digest[2:]


def test_a_version_in_a_directory_is_trained_served_and_observed(
    engine: Engine, elsewhere: Settings, serve: Callable[..., flask.Flask], folder: Path
) -> None:
    registered = train_naive(engine, elsewhere)
    content = file_of(folder, registered).read_bytes()
    assert digest_of(content) == registered.version.artifact_digest
    client = serve(elsewhere).test_client()
    assert client.post(ADDRESS, json=ASKED).status_code == 200
    rows = {"endog": {"sales": [1], "returns": [1]}, "exog": {"price": [9], "promo": [0]}}
    assert client.post("/models/sales/observations?promote=true", json=rows).status_code == 201
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    assert len(list(DirectoryStore(folder).stored())) == 2


def test_serving_goes_on_while_the_store_is_gone_for_what_is_loaded(
    engine: Engine, elsewhere: Settings, serve: Callable[..., flask.Flask], folder: Path
) -> None:
    for shift in (0, 1):
        train_naive(engine, elsewhere, data=monthly_sales(shift=shift), promote=True)
    client = serve(elsewhere).test_client()
    before = client.post(ADDRESS, json=ASKED)
    folder.rename(folder.with_name("unmounted"))
    for _ in range(3):
        assert client.post(ADDRESS, json=ASKED).data == before.data
        document = problem_of(client.post("/models/sales/versions/1/forecast", json=ASKED), 503, "artifact-store-unusable")
        assert "No such file or directory" in document["detail"]
    rows = {"endog": {"sales": [1], "returns": [1]}, "exog": {"price": [9], "promo": [0]}}
    problem_of(client.post("/models/sales/observations", json=rows), 503, "artifact-store-unusable")
    assert [item["number"] for item in client.get("/models/sales/versions").get_json()["items"]] == [2, 1]
    assert client.get("/health/live").status_code == 200
    for move in ({"version": 1}, {}):
        address = f"/admin/models/sales/{'promote' if move else 'rollback'}"
        problem_of(client.post(address, json=move), 503, "artifact-store-unusable")
    assert client.post(ADDRESS, json=ASKED).data == before.data
    folder.with_name("unmounted").rename(folder)
    assert client.post("/models/sales/versions/1/forecast", json=ASKED).status_code == 200
    assert client.post("/models/sales/observations", json=rows).status_code == 201


def test_a_store_that_cannot_be_opened_stops_the_start(settings: Settings, serve: Callable[..., flask.Flask]) -> None:
    from forecastle_registry.errors import StoreUnusable

    with pytest.raises(StoreUnusable, match="s3://bucket/prefix"):
        serve(replace(settings, artifacts="s3://"))


def test_an_installation_moves_to_a_directory_step_by_step(
    run: CommandLine,
    three: list[Registered],
    train: Callable[..., Registered],
    folder: Path,
    engine: Engine,
    elsewhere: Settings,
    serve: Callable[..., flask.Flask],
) -> None:
    address = f"file://{folder}"
    said = run("artifacts", "copy", "--to", address)
    assert said.status == 0
    assert "Copied 3 artifacts" in said.out
    assert f"set FORECASTLE_ARTIFACTS={address}" in said.out.splitlines()[-1]
    train(data=monthly_sales(shift=3), promote=True)  # by a server that was not restarted yet
    run.set("FORECASTLE_ARTIFACTS", address)
    again = run("artifacts", "copy", "--from", "database", "--to", address)
    assert "Copied 1 artifact " in again.out
    assert "3 are there already" in again.out
    assert "`forecastle artifacts gc --store database`" in again.out.splitlines()[-1]
    freed = run("artifacts", "gc", "--store", "database")
    assert (freed.status, "Removed 4 artifacts that file:" in freed.out) == (0, True)
    assert f"4 artifacts in {address} are whole" in run("artifacts", "verify").out
    assert serve(elsewhere).test_client().post("/models/sales/versions/1/forecast", json=ASKED).status_code == 200
    events = [event for event in list_events(engine).items if event.what.startswith("artifacts-")]
    assert [event.what for event in events] == ["artifacts-gc", "artifacts-copy", "artifacts-copy"]
    assert {event.who for event in events} == {"command line"}
    assert f"ok       artifacts are kept in {address}, which" in run("doctor").out


def test_what_cannot_be_copied_is_told_and_the_exit_status_is_1(
    run: CommandLine, three: list[Registered], folder: Path, tmp_path: Path
) -> None:
    run("artifacts", "copy", "--to", f"file://{folder}")
    file_of(folder, three[0]).write_bytes(b"damaged")
    file_of(folder, three[2]).unlink()
    (tmp_path / "other").mkdir()
    said = run("artifacts", "copy", "--from", f"file://{folder}", "--to", f"file://{tmp_path}/other")
    assert said.status == 1
    assert "Copied 1 artifact " in said.out
    assert "problem  sales version 1: the artifact" in said.err
    assert "problem  sales version 3: the artifact" in said.err
    assert "Next: mend what is told above" in said.err.splitlines()[-1]


def test_verify_names_what_is_missing_or_damaged(run: CommandLine, three: list[Registered], folder: Path) -> None:
    assert "3 artifacts in database are whole" in run("artifacts", "verify").out
    run("artifacts", "copy", "--to", f"file://{folder}")
    file_of(folder, three[1]).write_bytes(b"damaged")
    said = run("artifacts", "verify", "--store", f"file://{folder}", "--json")
    document = json.loads(said.out)
    assert (said.status, document["whole"], document["left"]) == (1, 2, 0)
    (finding,) = document["findings"]
    assert finding["code"] == "artifact-corrupt"
    assert finding["digest"] == three[1].version.artifact_digest
    assert finding["versions"] == [{"model": "sales", "version": 2}]


def test_a_store_that_is_gone_is_told_once_for_many(run: CommandLine, train: Callable[..., Registered], tmp_path: Path) -> None:
    for shift in range(5):
        train(data=monthly_sales(shift=shift))
    said = run("artifacts", "verify", "--store", f"file://{tmp_path}/no/mount")
    assert said.status == 1
    assert said.err.count("cannot be read") == 3
    assert "2 artifacts not tried, because the store kept failing" in said.err


def test_gc_removes_what_no_version_names(run: CommandLine, three: list[Registered], folder: Path) -> None:
    run("artifacts", "copy", "--to", f"file://{folder}")
    run.set("FORECASTLE_ARTIFACTS", f"file://{folder}")
    DirectoryStore(folder).put(digest_of(b"lost"), b"lost")
    assert "Removed 0 artifacts" in run("artifacts", "gc").out
    assert "Would remove 1 artifact that" in run("artifacts", "gc", *SOON, "--dry-run").out
    said = run("artifacts", "gc", *SOON, "--json")
    document = json.loads(said.out)
    assert (document["unneeded"], document["bytes"], document["dry_run"]) == (1, 4, False)
    assert len(list(DirectoryStore(folder).stored())) == 3


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("copy",), 2, "Missing option '--to'"),
        (("copy", "--to", "database"), 1, "copied from database to itself; give --from"),
        (("copy", "--to", "nonsense"), 1, "'nonsense' is no artifact store"),
        (("gc", "--older-than", "soon"), 2, "'soon' is no length of time; give one such as 30m"),
        (("gc", "--older-than", "99999999999d"), 2, "is no length of time"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_to_do(
    run: CommandLine, arguments: tuple[str, ...], status: int, message: str
) -> None:
    said = run("artifacts", *arguments)
    assert said.status == status
    assert message in said.error


def test_doctor_tries_the_store(run: CommandLine, three: list[Registered], folder: Path) -> None:
    assert "ok       artifacts are kept in the database" in run("doctor").out
    run.set("FORECASTLE_ARTIFACTS", f"file://{folder}/no/mount")
    said = run("doctor")
    assert said.status == 1
    assert f"problem  the artifact store file://{folder}/no/mount cannot be written to" in said.out


def test_what_a_server_would_refuse_for_its_size_is_not_registered(engine: Engine, settings: Settings) -> None:
    """Packed, unpacked, or gone through: an artifact that is within the cap by one of them only is no version."""
    whole = train_naive(engine, settings).version
    refused = 0
    for cap in range(whole.artifact_size - 100, whole.artifact_size * 12, 400):
        capped = replace(settings, max_artifact=cap)
        try:
            version = train_naive(engine, capped).version
        except ArtifactRefused:
            refused += 1
        else:
            Loader(engine, naive_catalogue(), capped).load_version(version)
    assert refused > 10
    assert version_count(engine) > 1
