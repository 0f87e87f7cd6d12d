"""What is live and does not load: the version below it answers and says so, the log holds it, and every page shows it."""

import io
import logging
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import Engine

from forecastle.errors import PluginUnavailable
from forecastle.http.services import EXTENSION
from forecastle.plugins import Catalogue
from forecastle.serving import failures
from forecastle.serving.forecasts import Forecasting
from forecastle.settings import Settings
from forecastle_registry.aliases import get_alias, live_version
from forecastle_registry.archiving import archive_version
from forecastle_registry.engine import writing
from forecastle_registry.errors import StoreUnusable
from forecastle_registry.events import Event, list_events
from forecastle_registry.tables import versions
from forecastle_registry.versions import Registered, get_version
from forecastle_sdk import Forecaster, State
from forecastle_sdk.errors import StateError
from forecastle_sdk.naive import NaivePlugin
from tests.browser import chromium, open_page, serving
from tests.command_line import CommandLine
from tests.naive import EXOG_OF_THREE, monthly_sales, naive_catalogue
from tests.problems import problem_of

ADDRESS = "/models/sales/forecast"
ASKED = {"exog": EXOG_OF_THREE}
FOUND = ("golden-mismatch", "artifact-refused")


@pytest.fixture
def three(train: Callable[..., Registered]) -> None:
    """Three versions of `sales`, each promoted: 3 is live, 2 and 1 stand below."""
    for number in range(3):
        train(data=monthly_sales(shift=100.0 * number), promote=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""
    monkeypatch.setattr(failures, "RETRY_AFTER", 0.0)


def change(engine: Engine, number: int, **values: object) -> None:
    """Change a version's row, as whoever can write to the database could."""
    with writing(engine) as connection:
        connection.execute(versions.update().where(versions.c.model == "sales", versions.c.number == number).values(**values))


def spoil(engine: Engine, *numbers: int) -> None:
    """Let versions no longer reproduce their golden forecasts."""
    for number in numbers:
        golden = get_version(engine, "sales", number).golden
        golden["mean"][0][0] += 1.0
        change(engine, number, golden=golden)


def mend(engine: Engine, number: int) -> None:
    """Undo `spoil`."""
    golden = get_version(engine, "sales", number).golden
    golden["mean"][0][0] -= 1.0
    change(engine, number, golden=golden)


def found_events(engine: Engine) -> list[Event]:
    return [event for event in list_events(engine, "sales").items if event.what in FOUND]


def fallback_notice(document: Mapping[str, Any]) -> str | None:
    """Return what an answer says of its version, None when it says nothing."""
    messages = [notice["message"] for notice in document["notices"] if notice["code"] == "golden-fallback"]
    assert len(messages) <= 1
    return messages[0] if messages else None


@pytest.mark.usefixtures("three")
def test_the_version_below_answers_with_its_own_number_and_says_why(client: FlaskClient, engine: Engine) -> None:
    spoil(engine, 3)
    document = client.post(ADDRESS, json=ASKED).get_json()
    assert document["model"] == {"name": "sales", "version": 2, "alias": "production", "plugin": "naive"}
    pinned = client.post("/models/sales/versions/2/forecast", json=ASKED).get_json()
    assert document["mean"] == pinned["mean"]
    assert fallback_notice(pinned) is None
    said = fallback_notice(document)
    assert said is not None
    for words in ("version 3", "'production'", "golden-mismatch", "version 2 answers"):
        assert words in said


@pytest.mark.usefixtures("three")
def test_every_form_of_asking_falls_back(client: FlaskClient, engine: Engine) -> None:
    spoil(engine, 3)
    query = "&".join(f"{name}={','.join(map(str, values))}" for name, values in EXOG_OF_THREE.items())
    content = b"price,promo\n" + b"".join(b"%r,%d\n" % row for row in zip(*EXOG_OF_THREE.values(), strict=True))
    answers = [
        client.get(f"{ADDRESS}?{query}"),
        client.post(f"{ADDRESS}/file", data={"file": (io.BytesIO(content), "future.csv")}),
        client.post(ADDRESS, json={**ASKED, "alias": "production"}),
    ]
    assert [answer.get_json()["model"]["version"] for answer in answers] == [2, 2, 2]
    table = client.post(ADDRESS, json=ASKED, headers={"Accept": "text/csv"})
    assert (table.headers["Forecast-Version"], table.headers["Forecast-Notices"]) == ("2", "golden-fallback")


@pytest.mark.usefixtures("three")
def test_the_way_down_goes_on_until_a_version_loads_and_leaves_out_what_is_archived(
    client: FlaskClient, engine: Engine, impatient: None
) -> None:
    spoil(engine, 3, 2)
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 1
    mend(engine, 2)
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    archive_version(engine, "sales", 2)
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 1


@pytest.mark.usefixtures("three")
def test_with_none_that_loads_the_answer_is_503_and_names_each(client: FlaskClient, engine: Engine) -> None:
    spoil(engine, 1, 2, 3)
    document = problem_of(client.post(ADDRESS, json=ASKED), 503, "no-version-reproduces")
    for number in (1, 2, 3):
        assert f"version {number} of the model 'sales' does not reproduce" in document["detail"]


@pytest.mark.usefixtures("three")
def test_a_pinned_version_is_that_version_or_none(client: FlaskClient, engine: Engine) -> None:
    spoil(engine, 3)
    problem_of(client.post("/models/sales/versions/3/forecast", json=ASKED), 503, "golden-mismatch")
    problem_of(client.post(ADDRESS, json={**ASKED, "version": 3}), 503, "golden-mismatch")


@pytest.mark.usefixtures("three")
def test_a_process_writes_one_event_for_a_version_and_a_code(
    engine: Engine, serve: Callable[..., flask.Flask], impatient: None
) -> None:
    spoil(engine, 3)
    app = serve()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: app.test_client().post(ADDRESS, json=ASKED), range(20)))
    (event,) = found_events(engine)
    assert (event.what, event.version, event.alias, event.reason) == ("golden-mismatch", 3, None, None)
    assert (event.who, event.origin) == ("serving", socket.gethostname())
    assert event.details["code"] == "golden-mismatch"
    assert "does not reproduce its golden forecast" in event.details["message"]
    assert event.details["digest"] == get_version(engine, "sales", 3).artifact_digest
    change(engine, 3, state_digest="0" * 64)  # the same version, and another reason
    for _ in range(3):
        app.test_client().post(ADDRESS, json=ASKED)
    assert [event.what for event in found_events(engine)] == ["artifact-refused", "golden-mismatch"]
    serve().test_client().post(ADDRESS, json=ASKED)  # another process
    assert len(found_events(engine)) == 3


class Counting(NaivePlugin):
    """Counts what it restores, and fails as it is told to."""

    def __init__(self) -> None:
        self.restored = 0
        self.fails: Exception | None = None

    def restore(self, state: Mapping[str, State], format: int) -> Forecaster:
        self.restored += 1
        if self.fails is not None and state["level"][0] > 300:  # type: ignore[index, operator, call-overload]
            raise self.fails
        return super().restore(state, format)


@pytest.mark.usefixtures("three")
def test_many_requests_do_not_load_what_failed_again_and_again(
    engine: Engine, serve: Callable[..., flask.Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_AFTER", 60.0)
    spoil(engine, 3)
    plugin = Counting()
    client = serve(plugins=naive_catalogue(plugin)).test_client()
    for _ in range(50):
        assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    assert plugin.restored == 2  # 3 once, and 2 once


@pytest.mark.usefixtures("three")
def test_what_was_mended_is_served_soon_and_said_no_more(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(engine, 3)
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    mend(engine, 3)
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    monkeypatch.setattr(failures, "RETRY_AFTER", 0.0)
    document = client.post(ADDRESS, json=ASKED).get_json()
    assert document["model"]["version"] == 3
    assert fallback_notice(document) is None
    assert client.get("/health/ready").get_json() == {"status": "ok", "problems": []}
    assert failures.RETRY_AFTER <= 5


@pytest.mark.usefixtures("three")
def test_a_promotion_looks_at_the_version_itself_whatever_is_remembered(client: FlaskClient, engine: Engine) -> None:
    spoil(engine, 3)
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    assert client.post("/admin/models/sales/rollback", json={}).status_code == 200
    problem_of(client.post("/admin/models/sales/promote", json={"version": 3}), 409, "target-refused")
    mend(engine, 3)
    assert client.post("/admin/models/sales/promote", json={"version": 3}).status_code == 200
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 3


@pytest.mark.parametrize("error", [StateError("the state is of another time"), KeyError("level"), TypeError("'None'\0")])
@pytest.mark.usefixtures("three")
def test_a_state_that_the_plugin_does_not_understand_is_one_that_does_not_load(
    engine: Engine, serve: Callable[..., flask.Flask], error: Exception
) -> None:
    plugin = Counting()
    plugin.fails = error
    client = serve(plugins=naive_catalogue(plugin)).test_client()
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    problem_of(client.post("/models/sales/versions/3/forecast", json=ASKED), 503, "state-invalid")
    (event,) = found_events(engine)
    assert (event.what, event.details["code"]) == ("artifact-refused", "state-invalid")


@pytest.mark.parametrize("golden", [{}, {"mean": [[1.0]], "quantiles": "none", "quantiles_at": []}, {"mean": None}])
@pytest.mark.usefixtures("three")
def test_a_golden_forecast_that_is_none_is_one_that_is_not_reproduced(
    client: FlaskClient, engine: Engine, golden: dict[str, Any]
) -> None:
    change(engine, 3, golden=golden)
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    assert [event.what for event in found_events(engine)] == ["golden-mismatch"]


@pytest.mark.usefixtures("three")
def test_what_is_an_operators_to_mend_is_answered_by_no_other_version(
    engine: Engine, settings: Settings, catalogue: Catalogue
) -> None:
    unusable = Forecasting(engine, Catalogue([]), settings)
    with pytest.raises(PluginUnavailable):
        unusable.choose("sales")
    away = Forecasting(engine, catalogue, settings)
    away.loader._store = _Away()  # type: ignore[assignment]
    with pytest.raises(StoreUnusable):
        away.choose("sales")
    assert found_events(engine) == []
    assert unusable.loader.failures.models() == away.loader.failures.models() == []


class _Away:
    """A store that cannot be reached."""

    def get(self, digest: str, *, max_bytes: int) -> bytes:
        raise StoreUnusable("the bucket is away")


@pytest.mark.usefixtures("three")
def test_a_version_in_the_cache_needs_no_store(client: FlaskClient, engine: Engine) -> None:
    before = client.post(ADDRESS, json=ASKED).get_json()
    client.application.extensions[EXTENSION].forecasting.loader._store = _Away()
    for _ in range(3):
        assert client.post(ADDRESS, json=ASKED).get_json() == before
    assert client.get("/models/sales").get_json()["problems"] == []
    problem_of(client.post("/models/sales/versions/1/forecast", json=ASKED), 503, "artifact-store-unusable")


@pytest.mark.usefixtures("three")
def test_a_log_that_cannot_be_written_fails_no_request(
    client: FlaskClient, engine: Engine, caplog: pytest.LogCaptureFixture, impatient: None
) -> None:
    spoil(engine, 3)
    with writing(engine) as connection:
        connection.execute(sa.text("ALTER TABLE events RENAME TO moved"))
    with caplog.at_level(logging.WARNING):
        assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    assert "the audit log cannot say so" in caplog.text
    with writing(engine) as connection:
        connection.execute(sa.text("ALTER TABLE moved RENAME TO events"))
    assert client.post(ADDRESS, json=ASKED).get_json()["model"]["version"] == 2
    assert len(found_events(engine)) == 1  # told later, as soon as it could be


@pytest.mark.usefixtures("three")
def test_an_alias_that_moved_meanwhile_is_followed_without_a_word(
    engine: Engine, settings: Settings, catalogue: Catalogue
) -> None:
    forecasting = Forecasting(engine, catalogue, settings)
    seen = live_version(engine, "sales")
    spoil(engine, 3)
    with writing(engine) as connection:
        connection.execute(sa.text("DELETE FROM alias_stack WHERE version = 3"))
    loaded = forecasting.loader.load_live(seen)
    assert (loaded.version.number, loaded.instead_of) == (2, None)


@pytest.mark.usefixtures("three")
def test_rows_are_appended_to_what_is_live_or_to_nothing(client: FlaskClient, engine: Engine) -> None:
    spoil(engine, 3)
    rows = {"endog": {"sales": [1], "returns": [1]}, "exog": {"price": [9], "promo": [0]}}
    problem_of(client.post("/models/sales/observations", json=rows), 503, "golden-mismatch")
    assert get_alias(engine, "sales").stack == (1, 2, 3)
    assert client.get("/models/sales").get_json()["latest"] == 3


@pytest.mark.usefixtures("three")
def test_readiness_and_the_model_show_it_until_it_is_over(client: FlaskClient, engine: Engine) -> None:
    client.post("/admin/models/sales/promote", json={"version": 1, "alias": "staging"})
    spoil(engine, 3)
    assert client.get("/health/ready").get_json() == {"status": "ok", "problems": []}  # nobody has asked yet
    (problem,) = client.get("/models/sales").get_json()["problems"]
    assert "golden forecast" in problem.pop("message")
    expected = {"model": "sales", "alias": "production", "version": 3, "code": "golden-mismatch", "served": 2}
    assert problem == expected
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "degraded")
    (problem,) = ready.get_json()["problems"]
    assert problem.items() >= expected.items()
    assert client.get("/health/live").get_json() == {"status": "ok"}
    assert client.post("/admin/models/sales/rollback", json={}).status_code == 200
    assert client.get("/health/ready").get_json() == {"status": "ok", "problems": []}
    assert client.get("/models/sales").get_json()["problems"] == []


@pytest.mark.usefixtures("three")
def test_a_model_shows_what_is_served_by_nothing(
    engine: Engine, serve: Callable[..., flask.Flask], client: FlaskClient
) -> None:
    (problem,) = serve(plugins=Catalogue([])).test_client().get("/models/sales").get_json()["problems"]
    assert (problem["code"], problem["version"], problem["served"]) == ("plugin-unavailable", 3, None)
    spoil(engine, 1, 2, 3)
    (problem,) = client.get("/models/sales").get_json()["problems"]
    assert (problem["code"], problem["version"], problem["served"]) == ("golden-mismatch", 3, None)
    assert client.get("/health/ready").get_json()["problems"] == [problem]


@pytest.mark.usefixtures("three")
def test_the_models_page_shows_it_to_a_person(engine: Engine, app: flask.Flask) -> None:
    spoil(engine, 3)
    with serving(app) as address, chromium() as browser, open_page(browser) as (page, seen):
        page.goto(f"{address}/models/sales/docs")
        said = page.locator('[role="alert"]')
        assert said.is_visible()
        assert "Version 3 does not load here." in said.inner_text()
        assert "Version 2 answers in its place" in said.inner_text()
        page.wait_for_selector("#chart canvas")
        assert seen.complaints == []


@pytest.mark.usefixtures("three")
def test_the_command_line_says_so_too(engine: Engine, run: CommandLine, tmp_path: Path) -> None:
    future = tmp_path / "future.csv"
    future.write_text("price,promo\n9,0\n")
    assert "loads and repeats its golden forecasts, in 1 model" in run("doctor").out
    spoil(engine, 3)
    said = run("forecast", "sales", "--exog", future)
    assert said.status == 0
    assert "sales version 2 (naive)" in said.out
    told = "Notice (golden-fallback): version 3, live as 'production', is not served here"
    assert told in said.out
    said = run("forecast", "sales", "--exog", future, "--format", "csv")
    assert (told in said.err, told in said.out) == (True, False)
    said = run("doctor")
    assert said.status == 1
    (line,) = [line for line in said.out.splitlines() if line.startswith("problem")]
    assert "live versions that do not load: sales version 3 (production)" in line
