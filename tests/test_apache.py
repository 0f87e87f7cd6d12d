"""docker/httpd.conf under the real Apache: what it promises any application, and Forecastle behind it."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apache import Apache, prepare_directory, processes_of, require_apache, serving, stop
from tests.asking import ask, forecast_at_last_values

ECHO = '''\
"""Answers with what an application can see from behind this Apache."""
import json, os, sys
import numpy

def application(environ, start_response):
    seen = {
        "authorization": environ.get("HTTP_AUTHORIZATION"),
        "environment": os.environ.get("FORECASTLE_HOME"),
        "encoding": sys.getfilesystemencoding(),
        "prefix": sys.prefix,
        "processes": environ["mod_wsgi.process_group"],
        "path": environ["PATH_INFO"],
        "product": float((numpy.ones((64, 64)) @ numpy.ones((64, 64)))[0, 0]),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
'''


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    require_apache()
    with prepare_directory() as path:
        yield path


@pytest.fixture(scope="module")
def echo(directory: Path) -> Iterator[Apache]:
    with serving(directory, {"FORECASTLE_HOME": "/here"}, app=make_echo(directory)) as apache:
        yield apache


def make_echo(directory: Path) -> Path:
    app = directory / "echo"
    app.mkdir()
    (app / "forecastle.wsgi").write_text(ECHO)
    return app


def test_numpy_works_behind_apache(echo: Apache) -> None:
    assert ask(echo.url)["product"] == 64


def test_the_application_runs_in_daemon_processes_of_this_virtual_environment(echo: Apache) -> None:
    seen = ask(echo.url)
    assert (seen["processes"], seen["prefix"]) == ("forecastle", str(echo.python_home))


def test_settings_in_the_environment_of_apache_reach_the_application(echo: Apache) -> None:
    assert ask(echo.url)["environment"] == "/here"


def test_the_authorization_header_reaches_the_application(echo: Apache) -> None:
    assert ask(echo.url, headers={"Authorization": "Bearer key"})["authorization"] == "Bearer key"


def test_an_encoded_slash_is_the_applications_to_judge(echo: Apache) -> None:
    assert ask(f"{echo.url}/models/us%2Fmacro")["path"] == "/models/us/macro"


def test_a_long_query_reaches_the_application(echo: Apache) -> None:
    assert ask(f"{echo.url}/?unemp={','.join(['4.25'] * 4000)}")["path"] == "/"


def test_files_are_read_as_utf_8(echo: Apache) -> None:
    assert ask(echo.url)["encoding"] == "utf-8"


def test_a_graceful_stop_leaves_no_process() -> None:
    require_apache()
    with prepare_directory() as directory:
        app = make_echo(directory)
        with serving(directory, {}, app=app) as apache:
            assert len(processes_of(apache)) >= 4  # Apache, its child that talks to clients, two daemon processes
            stop(apache)
            assert apache.process.returncode == 0
            assert processes_of(apache) == []


@pytest.fixture(scope="module")
def forecastle() -> Iterator[Apache]:
    require_apache()
    with prepare_directory() as directory:
        settings = {"FORECASTLE_HOME": str(directory / "home"), "FORECASTLE_OPEN": "true"}
        train_a_model(directory, settings)
        with serving(directory, settings) as apache:
            yield apache


def train_a_model(directory: Path, settings: dict[str, str]) -> None:
    """Make a home whose one model, `sales`, forecasts from its own past and a price."""
    months = [f"{2015 + month // 12}-{month % 12 + 1:02}-01" for month in range(72)]
    rows = [f"{stamp},{100 + month % 7 + month / 5},{9 + month % 5}" for month, stamp in enumerate(months)]
    data = directory / "sales.csv"
    data.write_text("\n".join(["month,sales,price", *rows]))
    training = f"train sales --plugin arima --data {data} --endog sales --exog price --set order=1,0,0 --promote"
    for arguments in ("db upgrade", training):
        command(arguments, settings)


def command(arguments: str, settings: dict[str, str]) -> str:
    """Run `forecastle` with these words, and return what it printed."""
    program = Path(sys.executable).with_name("forecastle")
    environment = {**os.environ, **settings}
    return subprocess.run([program, *arguments.split()], env=environment, check=True, capture_output=True, text=True).stdout


def test_apache_answers_a_forecast(forecastle: Apache) -> None:
    answer = forecast_at_last_values(forecastle.url, "sales", 3)
    assert answer["timestamps"] == ["2021-01-01", "2021-02-01", "2021-03-01"]
    assert len(answer["mean"]["sales"]) == 3


def test_apache_serves_swagger_ui_from_the_package(forecastle: Apache) -> None:
    with urllib.request.urlopen(f"{forecastle.url}/models/sales/docs", timeout=30) as page:
        assert b"swagger-ui" in page.read()


@pytest.mark.parametrize(("blanks", "status"), [(0, 200), (11 * 10**6, 413)])
def test_a_body_of_unknown_length_is_the_applications_to_cap(forecastle: Apache, blanks: int, status: int) -> None:
    body = [b" " * blanks, b'{"horizon": 1, "exog": {"price": [9]}}']  # of an iterable urllib cannot know the length
    request = urllib.request.Request(f"{forecastle.url}/models/sales/forecast", filter(None, body), method="POST")
    request.add_header("Content-Type", "application/json")
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        assert answer.status == status
        assert answer.headers["Content-Type"].startswith("application/")


def test_an_error_behind_apache_is_still_problem_json(forecastle: Apache) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(f"{forecastle.url}/models/absent/forecast", {"horizon": 3})
    with refused.value as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_a_closed_forecastle_says_in_apaches_log_why_it_does_not_start() -> None:
    require_apache()
    with prepare_directory() as directory:
        settings = {"FORECASTLE_HOME": str(directory / "home"), "FORECASTLE_OPEN": "false"}
        command("db upgrade", settings)
        with pytest.raises(RuntimeError, match="FORECASTLE_OPEN=true"), serving(directory, settings):
            pass


def test_behind_apache_a_key_opens_what_is_closed_without_one() -> None:
    require_apache()
    with prepare_directory() as directory:
        settings = {"FORECASTLE_HOME": str(directory / "home"), "FORECASTLE_OPEN": "false"}
        train_a_model(directory, settings)
        key = command("keys create ada --role admin", settings).strip()
        with serving(directory, settings) as apache:
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(f"{apache.url}/models")
            with refused.value as answer:
                assert answer.status == 401
            models = ask(f"{apache.url}/models", headers={"Authorization": f"Bearer {key}"})
            assert [model["name"] for model in models["items"]] == ["sales"]
