"""The container of docker/: it builds from a clone, trains its example once, answers, and stops when asked."""

from collections.abc import Iterator

import pytest

from tests.asking import ask, forecast_at_last_values
from tests.container import SECONDS_TO_TRAIN, Service, composed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with composed(tmp_path_factory.mktemp("compose")) as service:
        service.wait_until_live(SECONDS_TO_TRAIN)
        yield service


def test_the_container_answers_a_forecast(web: Service) -> None:
    forecast = forecast_at_last_values(web.url, "us-macro", 8)
    assert {name: len(steps) for name, steps in forecast["mean"].items()} == {"realgdp": 8, "realcons": 8}


def test_the_engine_sees_that_the_container_is_healthy(web: Service) -> None:
    web.run("up", "--detach", "--no-build", "--wait", "--wait-timeout", "60")
    assert web.run("ps", "--format", "{{.Health}}").strip() == "healthy"


def test_nothing_in_the_container_runs_as_root(web: Service) -> None:
    assert web.run("exec", "-T", "web", "id", "-un").strip() == "forecastle"


def test_a_second_start_serves_the_same_model_and_trains_nothing(web: Service) -> None:
    before = ask(f"{web.url}/models/us-macro/versions")
    web.run("stop")
    web.run("start")
    web.wait_until_live(60)
    assert ask(f"{web.url}/models/us-macro/versions") == before


def test_stopping_ends_it_with_success(web: Service) -> None:
    web.run("stop")
    try:
        assert "Exited (0)" in web.run("ps", "--all", "--format", "{{.Status}}")
    finally:
        web.run("start")
        web.wait_until_live(60)
