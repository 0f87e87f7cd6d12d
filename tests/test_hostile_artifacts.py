"""The registry's corpus of hostile artifacts under a version's row: no loader deserializes one, and each leaves an event."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from forecastle.plugins import Catalogue
from forecastle.serving.loading import Loader
from forecastle.settings import Settings
from forecastle_registry.artifacts import claim_artifact, digest_of
from forecastle_registry.engine import writing
from forecastle_registry.errors import ArtifactCorrupt, ArtifactRefused
from forecastle_registry.events import list_events
from forecastle_registry.serializers import dumps, loads, owner_of
from forecastle_registry.signing import signing_key
from forecastle_registry.stores import ArtifactStore, DatabaseStore, open_store
from forecastle_registry.tables import artifacts, events, versions
from forecastle_registry.versions import Registered, get_version
from forecastle_sdk import Forecaster, State
from forecastle_sdk.naive import NaivePlugin
from registry.tests.buckets import BUCKET, running_moto
from registry.tests.hostile import CAP, Hostile, hostile_artifacts, many_places
from tests.naive import EXOG_OF_THREE, monthly_sales, naive_catalogue, train_naive
from tests.problems import problem_of

ADDRESS = "/models/sales/forecast"
ASKED = {"exog": EXOG_OF_THREE}
KEY = b"the key of this installation, as long as it must be"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of an installation whose key the corpus knows, from its first event on."""
    settings.signing_key_file.parent.mkdir(parents=True, exist_ok=True)
    settings.signing_key_file.write_bytes(KEY)
    return settings


@pytest.fixture
def hard(settings: Settings) -> Settings:
    """Settings with which the most could go wrong: pickle is on."""
    return replace(settings, allow_pickle=True, max_artifact=CAP)


def place(engine: Engine, number: int, content: bytes, store: ArtifactStore | None = None, **values: object) -> str:
    """Put bytes under their own digest into a store, and let a version's row name them; return the digest."""
    digest = digest_of(content)
    claim_artifact(engine, digest, len(content))
    (store or DatabaseStore(engine)).put(digest, content)
    with writing(engine) as connection:
        this = (versions.c.model == "sales") & (versions.c.number == number)
        connection.execute(versions.update().where(this).values(artifact_digest=digest, **values))
    return digest


def content_of(engine: Engine, number: int) -> bytes:
    digest = get_version(engine, "sales", number).artifact_digest
    with writing(engine) as connection:
        return bytes(connection.execute(sa.select(artifacts.c.content).where(artifacts.c.digest == digest)).scalar_one())


def refused_alone(engine: Engine, catalogue: Catalogue, settings: Settings) -> dict[str, Any]:
    """Load version 1 as a process of its own would, which must refuse; return what its one event says."""
    before = event_count(engine)
    with pytest.raises((ArtifactRefused, ArtifactCorrupt)) as caught:
        Loader(engine, catalogue, settings).load_version(get_version(engine, "sales", 1))
    assert event_count(engine) == before + 1
    event = list_events(engine, "sales").items[0]
    assert (event.what, event.version, event.who) == ("artifact-refused", 1, "serving")
    assert event.details["code"] == caught.value.code
    assert event.details["digest"] == get_version(engine, "sales", 1).artifact_digest
    return dict(event.details)


def event_count(engine: Engine) -> int:
    with writing(engine) as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one())


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that would be there if something was deserialized."""
    return tmp_path_factory.mktemp("hostile") / "mark"


@pytest.fixture(scope="module")
def whole_corpus(mark: Path) -> list[Hostile]:
    return hostile_artifacts(mark, KEY)


@pytest.fixture
def corpus(whole_corpus: list[Hostile], mark: Path) -> Iterator[list[Hostile]]:
    """The corpus; the mark must not be there in the end."""
    yield whole_corpus
    assert not mark.exists()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server."""
    with running_moto() as address:
        yield address


@pytest.fixture(params=["database", "directory", "bucket"])
def kept(request: pytest.FixtureRequest, hard: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Hard settings, with the artifacts in each kind of store."""
    if request.param == "bucket":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-tests")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
        return replace(hard, artifacts=f"s3://{BUCKET}/hostile")
    if request.param == "directory":
        (tmp_path / "artifacts").mkdir()
        return replace(hard, artifacts=f"file://{tmp_path}/artifacts")
    return hard


@pytest.mark.usefixtures("registered_model")
def test_every_artifact_of_the_corpus_is_refused_by_the_loader_with_an_event_whatever_store_has_it(
    corpus: list[Hostile], engine: Engine, catalogue: Catalogue, kept: Settings, mark: Path
) -> None:
    store = open_store(kept.artifacts, engine)
    for hostile in corpus:
        place(engine, 1, hostile.content, store, serializer=hostile.serializer)
        details = refused_alone(engine, catalogue, kept)
        assert details["code"] == "artifact-refused", hostile
        assert details["message"], hostile
        assert not mark.exists(), hostile


@pytest.mark.usefixtures("registered_model")
def test_a_signed_pickle_is_refused_where_pickle_is_off(engine: Engine, catalogue: Catalogue, hard: Settings) -> None:
    key = signing_key(hard.signing_key_file)
    version = get_version(engine, "sales", 1)
    state = loads(content_of(engine, 1), "skops", digest=version.artifact_digest)
    owner = owner_of("sales", version.signature)
    place(engine, 1, dumps(state, "pickle", key=key, owner=owner, allow_pickle=True), serializer="pickle")
    Loader(engine, catalogue, hard).load_version(get_version(engine, "sales", 1))
    details = refused_alone(engine, catalogue, replace(hard, allow_pickle=False))
    assert "FORECASTLE_ALLOW_PICKLE" in details["message"]


def test_another_versions_artifact_is_refused_whatever_the_row_says(
    train: Callable[..., Registered], engine: Engine, catalogue: Catalogue, settings: Settings
) -> None:
    train()
    train(data=monthly_sales(shift=1.0))
    train("other", data=monthly_sales(exog=()))
    own, second, other = (get_version(engine, *which) for which in (("sales", 1), ("sales", 2), ("other", 1)))
    place(engine, 1, content_of(engine, 2))
    assert "its row was changed" in refused_alone(engine, catalogue, settings)["message"]
    change = {"artifact_digest": own.artifact_digest}
    for values in ({"signature": other.signature}, {"state_digest": second.state_digest}, {"state_digest": "0" * 64}):
        with writing(engine) as connection:
            this = (versions.c.model == "sales") & (versions.c.number == 1)
            connection.execute(versions.update().where(this).values(change | values))
        assert "its row was changed" in refused_alone(engine, catalogue, settings)["message"]
        change |= {"signature": own.signature, "state_digest": own.state_digest}


@pytest.mark.usefixtures("registered_model")
def test_a_byte_flipped_in_the_store_and_an_end_cut_off_are_corrupt(
    engine: Engine, catalogue: Catalogue, settings: Settings
) -> None:
    content = content_of(engine, 1)
    for wrong in (content[:50] + bytes([content[50] ^ 1]) + content[51:], content[:-1], b""):
        with writing(engine) as connection:
            connection.execute(artifacts.update().values(content=wrong))
        assert refused_alone(engine, catalogue, settings)["code"] == "artifact-corrupt"


@pytest.mark.usefixtures("registered_model")
def test_one_array_in_many_places_reaches_no_plugin(engine: Engine, hard: Settings) -> None:
    place(engine, 1, many_places())
    assert "in so many places" in refused_alone(engine, naive_catalogue(_Never()), hard)["message"]


class _Never(NaivePlugin):
    def restore(self, state: Mapping[str, State], format: int) -> Forecaster:
        raise AssertionError("a hostile state came through")


def test_a_client_reads_the_version_below_or_the_reason(
    train: Callable[..., Registered], engine: Engine, serve: Callable[..., flask.Flask], hard: Settings, corpus: list[Hostile]
) -> None:
    train()
    train(data=monthly_sales(shift=1.0), promote=True)
    for hostile in corpus[::40]:
        digest = place(engine, 2, hostile.content, serializer=hostile.serializer)
        client = serve(hard).test_client()
        document = client.post(ADDRESS, json=ASKED).get_json()
        assert document["model"]["version"] == 1
        assert [notice["code"] for notice in document["notices"]] == ["golden-fallback"]
        problem_of(client.post("/models/sales/versions/2/forecast", json=ASKED), 503, "artifact-refused")
        (problem,) = client.get("/health/ready").get_json()["problems"]
        assert (problem["code"], problem["served"]) == ("artifact-refused", 1)
        found = client.get("/admin/models/sales/events").get_json()["items"][0]
        assert (found["what"], found["version"], found["details"]["digest"]) == ("artifact-refused", 2, digest)


class Dated(NaivePlugin):
    """A plugin with a type of its own in its states, which its code declares."""

    trusted_types = ("datetime.date",)
    day = date(2026, 11, 23)

    def restore(self, state: Mapping[str, State], format: int) -> Any:
        assert state["day"] == self.day
        return super().restore({name: value for name, value in state.items() if name != "day"}, format)

    def fit(self, *arguments: Any) -> Any:
        fitted = super().fit(*arguments)
        return replace(fitted, forecaster=_WithDay.of(fitted.forecaster, self.day))


class _WithDay(Forecaster):
    @classmethod
    def of(cls, forecaster: Forecaster, day: date) -> "_WithDay":
        found = cls()
        found.forecaster, found.day, found.signature = forecaster, day, forecaster.signature  # type: ignore[attr-defined, misc]
        return found

    def forecast(self, *arguments: Any, **options: Any) -> Any:
        return self.forecaster.forecast(*arguments, **options)  # type: ignore[attr-defined]

    def state(self) -> dict[str, Any]:
        return {**self.forecaster.state(), "day": self.day}  # type: ignore[attr-defined]


def test_a_plugins_own_type_is_served_and_nothing_else_of_the_corpus(
    engine: Engine, hard: Settings, corpus: list[Hostile], mark: Path
) -> None:
    catalogue = naive_catalogue(Dated())
    train_naive(engine, hard, catalogue=catalogue)
    Loader(engine, catalogue, hard).load_version(get_version(engine, "sales", 1))
    own = content_of(engine, 1)
    for hostile in corpus[::5]:
        place(engine, 1, hostile.content, serializer=hostile.serializer)
        refused_alone(engine, catalogue, hard)
        assert not mark.exists(), hostile
    state = loads(own, "skops", digest=digest_of(own), trusted_types=Dated.trusted_types)
    place(
        engine, 1, dumps({**state, "level": state["level"] + 1}, "skops", trusted_types=Dated.trusted_types), serializer="skops"
    )
    assert "its row was changed" in refused_alone(engine, catalogue, hard)["message"]
    place(engine, 1, own)
    Loader(engine, catalogue, hard).load_version(get_version(engine, "sales", 1))
    assert (
        "a member with the name" in refused_alone(engine, naive_catalogue(), hard)["message"]
    )  # to a plugin that declares none
