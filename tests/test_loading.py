"""From an artifact to a forecaster that is served: once, within bounds, and only if it is what was trained."""

import gc
import pickle
import sqlite3
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import Engine

from forecastle.errors import SettingsError
from forecastle.http.services import EXTENSION
from forecastle.settings import Settings
from forecastle_registry.artifacts import digest_of
from forecastle_registry.engine import writing
from forecastle_registry.errors import DatabaseBehind
from forecastle_registry.tables import artifacts, versions
from forecastle_registry.versions import Registered
from forecastle_sdk import Forecaster, State
from forecastle_sdk.errors import StateError
from forecastle_sdk.naive import NaivePlugin
from tests.naive import EXOG_OF_THREE, monthly_sales, naive_catalogue, train_naive
from tests.problems import problem_of

ADDRESS = "/models/sales/forecast"
PINNED = "/models/sales/versions/1/forecast"
ASKED = {"exog": EXOG_OF_THREE}


class CountingPlugin(NaivePlugin):
    """Keeps count of what it restores."""

    def __init__(self) -> None:
        self.restored: list[float] = []

    def restore(self, state: Mapping[str, State], format: int) -> Forecaster:
        forecaster = super().restore(state, format)
        self.restored.append(float(forecaster.level[0]))
        return forecaster


@pytest.fixture
def counting() -> CountingPlugin:
    return CountingPlugin()


def change(engine: Engine, **values: object) -> None:
    """Change the row of the only version, as whoever can write to the database could."""
    with writing(engine) as connection:
        connection.execute(versions.update().values(**values))


def replace_artifact(engine: Engine, content: bytes, **values: object) -> None:
    """Put other bytes under their own digest, and let the only version name them."""
    with writing(engine) as connection:
        row = {"digest": digest_of(content), "size": len(content), "created_at": datetime.now(UTC), "content": content}
        connection.execute(artifacts.insert(), row)
        connection.execute(versions.update().values(artifact_digest=digest_of(content), **values))


def test_a_version_is_loaded_once(
    registered_model: Registered, serve: Callable[..., flask.Flask], counting: CountingPlugin
) -> None:
    client = serve(plugins=naive_catalogue(counting)).test_client()
    for _ in range(5):
        assert client.post(ADDRESS, json=ASKED).status_code == 200
        assert client.post("/models/sales/versions/1/forecast", json=ASKED).status_code == 200
    assert len(counting.restored) == 1


def test_eight_threads_that_ask_at_once_get_equal_answers_from_one_load(
    registered_model: Registered, serve: Callable[..., flask.Flask], counting: CountingPlugin
) -> None:
    app = serve(plugins=naive_catalogue(counting))
    together = Barrier(8)

    def ask(_: int) -> list[bytes]:
        client = app.test_client()
        together.wait()
        return [client.post(ADDRESS, json={**ASKED, "levels": [50, 80, 95]}).data for _ in range(10)]

    with ThreadPoolExecutor(8) as threads:
        answers = {answer for each in threads.map(ask, range(8)) for answer in each}
    assert len(answers) == 1
    assert b'"intervals"' in answers.pop()
    assert len(counting.restored) == 1


def test_the_cache_keeps_the_versions_used_last_and_no_more(
    train: Callable[..., Registered], serve: Callable[..., flask.Flask], settings: Settings, counting: CountingPlugin
) -> None:
    for number in range(3):
        train(data=monthly_sales(shift=100.0 * number))
    client = serve(replace(settings, cache=2), naive_catalogue(counting)).test_client()

    def ask(*numbers: int) -> int:
        before = len(counting.restored)
        for number in numbers:
            assert client.post(f"/models/sales/versions/{number}/forecast", json=ASKED).status_code == 200
        return len(counting.restored) - before

    assert ask(1, 2) == 2
    assert ask(1, 2, 1) == 0
    assert ask(3) == 1  # 2 was used least lately
    assert ask(1, 3) == 0
    assert ask(2) == 1
    assert len(client.application.extensions[EXTENSION].forecasting.loader._cache._loaded) == 2


def test_a_version_that_does_not_reproduce_its_golden_forecast_is_not_served(
    registered_model: Registered, client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = registered_model.version.golden
    golden["mean"][0][0] *= 1 + 1e-6
    change(engine, golden=golden)
    for _ in range(2):  # a refusal is not kept as if it were an answer
        document = problem_of(client.post(PINNED, json=ASKED), 503, "golden-mismatch")
        assert "not served" in document["detail"]
    golden["mean"][0][0] /= 1 + 1e-6
    change(engine, golden=golden)
    problem_of(client.post(PINNED, json=ASKED), 503, "golden-mismatch")  # for a moment it is not tried again
    monkeypatch.setattr("forecastle.serving.failures.RETRY_AFTER", 0.0)
    assert client.post(ADDRESS, json=ASKED).status_code == 200


def test_a_golden_forecast_may_differ_in_the_last_bits(
    registered_model: Registered, client: FlaskClient, engine: Engine
) -> None:
    golden = registered_model.version.golden
    golden["mean"][0][0] *= 1 + 1e-13
    change(engine, golden=golden)
    assert client.post(ADDRESS, json=ASKED).status_code == 200


def test_bytes_that_are_not_those_that_were_stored_are_not_read(
    registered_model: Registered, client: FlaskClient, engine: Engine
) -> None:
    with writing(engine) as connection:
        content = connection.execute(sa.select(artifacts.c.content)).scalar_one()
        connection.execute(artifacts.update().values(content=content[:-1] + b"\1"))
    problem_of(client.post(PINNED, json=ASKED), 503, "artifact-corrupt")


@pytest.mark.on_sqlite
def test_an_artifact_that_is_gone_is_503(registered_model: Registered, client: FlaskClient, home: Path) -> None:
    with sqlite3.connect(home / "forecastle.db") as connection:  # foreign keys are off here: as a bad restore leaves it
        connection.execute("DELETE FROM artifacts")
    connection.close()
    problem_of(client.post(PINNED, json=ASKED), 503, "artifact-missing")
    assert client.get("/models/sales/versions/1").status_code == 200


def test_pickle_is_off_unless_it_is_switched_on(engine: Engine, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="FORECASTLE_ALLOW_PICKLE=true"):
        train_naive(engine, settings, serializer="pickle")
    assert not settings.signing_key_file.exists()


@pytest.fixture
def with_pickle(settings: Settings) -> Settings:
    return replace(settings, allow_pickle=True)


@pytest.fixture
def pickled(engine: Engine, with_pickle: Settings) -> Registered:
    """A version whose artifact is a pickle, signed by this installation."""
    return train_naive(engine, with_pickle, serializer="pickle")


def test_a_signed_pickle_is_served_where_pickle_is_on(
    pickled: Registered, serve: Callable[..., flask.Flask], with_pickle: Settings
) -> None:
    assert pickled.version.serializer == "pickle"
    client = serve(with_pickle).test_client()
    assert client.post(ADDRESS, json=ASKED).status_code == 200
    rows = {"endog": {"sales": [1], "returns": [1]}, "exog": {"price": [9], "promo": [0]}}
    assert client.post("/models/sales/observations", json=rows).status_code == 201
    assert client.get("/models/sales/versions/2").get_json()["serializer"] == "pickle"
    assert with_pickle.signing_key_file.stat().st_mode & 0o777 == 0o600


def test_a_pickle_is_refused_where_pickle_is_off(pickled: Registered, client: FlaskClient) -> None:
    document = problem_of(client.post(PINNED, json=ASKED), 503, "artifact-refused")
    assert "switched off" in document["detail"]
    problem_of(client.post("/admin/models/sales/promote", json={"version": 1}), 409, "target-refused")


def test_a_pickle_that_another_installation_signed_is_refused(
    pickled: Registered, serve: Callable[..., flask.Flask], with_pickle: Settings
) -> None:
    with_pickle.signing_key_file.write_bytes(b"another installation's key, long enough")
    client = serve(with_pickle).test_client()
    document = problem_of(client.post(PINNED, json=ASKED), 503, "artifact-refused")
    assert "not signed by this installation" in document["detail"]
    problem_of(client.post("/admin/models/sales/promote", json={"version": 1}), 409, "target-refused")


class Proof:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_row_that_was_changed_from_skops_to_pickle_runs_nothing(
    registered_model: Registered, engine: Engine, serve: Callable[..., flask.Flask], with_pickle: Settings, tmp_path: Path
) -> None:
    evidence = tmp_path / "unpickled"
    replace_artifact(engine, pickle.dumps(Proof(evidence)), serializer="pickle")
    problem_of(serve(with_pickle).test_client().post(PINNED, json=ASKED), 503, "artifact-refused")
    replace_artifact(engine, b"forecastle pickle 2\n" + bytes(32) + pickle.dumps(Proof(evidence)))
    problem_of(serve(with_pickle).test_client().post(PINNED, json=ASKED), 503, "artifact-refused")
    assert not evidence.exists()
    pickle.loads(pickle.dumps(Proof(evidence)))
    assert evidence.exists()  # so that it would have been seen


def test_a_row_that_was_changed_from_pickle_to_skops_is_refused(
    pickled: Registered, engine: Engine, serve: Callable[..., flask.Flask], with_pickle: Settings
) -> None:
    change(engine, serializer="skops")
    problem_of(serve(with_pickle).test_client().post(PINNED, json=ASKED), 503, "artifact-refused")


def test_a_serializer_that_does_not_exist_is_refused(registered_model: Registered, engine: Engine, client: FlaskClient) -> None:
    change(engine, serializer="joblib")
    problem_of(client.post(PINNED, json=ASKED), 503, "artifact-refused")


def test_a_state_of_a_format_that_the_plugin_does_not_read_is_503(
    registered_model: Registered, engine: Engine, client: FlaskClient
) -> None:
    change(engine, state_format=99)
    document = problem_of(client.post(PINNED, json=ASKED), 503, "state-invalid")
    assert "99" in document["detail"]
    problem_of(client.post("/admin/models/sales/promote", json={"version": 1}), 409, "target-refused")


def test_a_database_that_is_behind_stops_the_start(engine: Engine, serve: Callable[..., flask.Flask]) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    with pytest.raises(DatabaseBehind, match="forecastle db upgrade"):
        serve()


class RefusingPlugin(NaivePlugin):
    """Refuses every state, and remembers one weakly."""

    def restore(self, state: Mapping[str, State], format: int) -> Forecaster:
        self.seen = weakref.ref(state["level"])
        raise StateError("no")


def test_what_did_not_load_is_forgotten_but_for_the_reason(
    registered_model: Registered, serve: Callable[..., flask.Flask]
) -> None:
    """A thousand failures are remembered, and an artifact may have 256 MB: the error's traceback kept both its forms."""
    plugin = RefusingPlugin()
    client = serve(plugins=naive_catalogue(plugin)).test_client()
    for _ in range(2):
        problem_of(client.post(PINNED, json=ASKED), 503, "state-invalid")
        gc.collect()
        assert plugin.seen() is None
