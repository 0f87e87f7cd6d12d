"""The pages as a person meets them: a real server, a real Chromium, the network unplugged by the content policy and watched."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

import forecastle
from forecastle.database import open_database
from forecastle.http import create_app
from forecastle.http.services import EXTENSION
from forecastle.plugins import Catalogue
from forecastle.settings import settings_from
from forecastle_registry.aliases import promote_version
from forecastle_registry.archiving import archive_version
from forecastle_sdk import Dataset
from tests.asking import ask
from tests.browser import Seen, chromium, open_page, serving
from tests.command_line import variables_of
from tests.naive import monthly_sales, naive_catalogue, numbered_rows, train_naive

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

STATIC = Path(forecastle.__file__).parent / "static"
TEN = ("realinv", "realgovt", "realdpi", "cpi", "m1", "tbilrate", "unemp", "pop", "infl", "realint")
STRANGE = (
    "<img src=x onerror=alert(1)>",
    "**bold** _x_ `code` ``more",
    "</script><script>alert(2)</script>",
    "{{ 7 * 7 }}",
    "price per unit",
    "a.b/c",
    'größe & "quote", comma',
    "50%+tax?#1=[x]",
    "売上 🙂",
)
OPERATIONS = ("forecastByQuery", "forecast", "forecastByFile", "exogTemplate")


def strange_rows() -> Dataset:
    """Return rows on an integer index whose columns are called anything, and whose last exogenous values are 0."""
    rows = numbered_rows(exog=STRANGE)
    assert rows.exog is not None
    return Dataset(rows.endog, ("<i>sold</i> **b**",), rows.index, rows.exog - rows.exog[-1], STRANGE)


@pytest.mark.parametrize("package", ["swagger-ui", "uplot"])
def test_vendored_files_are_byte_for_byte_those_of_the_package(package: str) -> None:
    folder = STATIC / package
    lines = [line.split() for line in (folder / "SHA256SUMS").read_text().splitlines() if not line.startswith("#")]
    recorded = {name: digest for digest, name in lines}
    assert {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "SHA256SUMS"
    } == recorded


@dataclass(frozen=True)
class Site:
    """A served home, its address, and the browser that looks at it."""

    url: str
    home: Path
    browser: "Browser"

    @contextmanager
    def visit(self, path: str) -> "Iterator[tuple[Page, Seen]]":
        """Open a page and wait until Swagger UI has drawn its operations."""
        with open_page(self.browser) as (page, seen):
            page.goto(self.url + path)
            page.locator(".opblock").first.wait_for()
            yield page, seen


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, database_template: Path) -> Path:
    """A home with a model of ten exogenous columns, one with none, and one whose columns are called anything."""
    path = tmp_path_factory.mktemp("pages")
    shutil.copy(database_template, path / "forecastle.db")
    settings = settings_from({"FORECASTLE_HOME": str(path)})
    engine = open_database(settings)
    train_naive(engine, settings, "macro", monthly_sales(exog=TEN))
    for promote in [None] + [False] * 11:
        train_naive(engine, settings, "alone", numbered_rows(), promote=promote)
    promote_version(engine, "alone", 12, alias="staging")
    archive_version(engine, "alone", 11)
    train_naive(engine, settings, "strange", strange_rows())
    engine.dispose()
    return path


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def site(home: Path, browser: "Browser") -> Iterator[Site]:
    with served(home, naive_catalogue()) as url:
        yield Site(url, home, browser)


@contextmanager
def served(home: Path, plugins: Catalogue) -> Iterator[str]:
    app = create_app(settings_from(variables_of(home)), loopback=True, plugins=plugins)
    try:
        with serving(app) as url:
            yield url
    finally:
        app.extensions[EXTENSION].engine.dispose()


def opened(page: "Page", operation: str) -> "Locator":
    """Open one operation, as a click on its line does."""
    block = page.locator(f"#operations-forecast-{operation}")
    block.locator(".opblock-summary-control").click()
    block.locator(".execute").wait_for()
    return block


def executed(block: "Locator") -> str:
    """Press Execute; return the status that the page then shows."""
    block.locator(".execute").click()
    return block.locator(".live-responses-table tbody .response-col_status").inner_text().strip()


def test_the_platforms_page_asks_no_other_server_offends_no_policy_and_says_that_all_is_open(site: Site) -> None:
    with site.visit("/apidocs") as (page, seen):
        page.wait_for_load_state("networkidle")
        assert [url for url in seen.requests if not url.startswith(site.url)] == []
        assert seen.complaints == []
        assert "no key has been created" in page.get_by_role("note").inner_text()


@pytest.mark.parametrize("model", ["macro", "alone", "strange"])
def test_execute_answers_200_with_every_example_and_asks_no_other_server(site: Site, model: str) -> None:
    with site.visit(f"/models/{model}/docs") as (page, seen):
        statuses = {operation: executed(opened(page, operation)) for operation in OPERATIONS}
        assert statuses == dict.fromkeys(OPERATIONS, "200")
        assert [url for url in seen.requests if not url.startswith((site.url, "blob:" + site.url))] == []
        assert seen.complaints == []


def test_the_query_has_a_list_for_each_column_and_nothing_for_what_is_left_empty(site: Site) -> None:
    with site.visit("/models/macro/docs") as (page, _):
        block = opened(page, "forecastByQuery")
        executed(block)
        query = parse_qs(urlsplit(block.locator(".request-url pre").inner_text()).query)
    assert set(query) == {"horizon", "levels", *TEN}
    last = ask(f"{site.url}/models/macro/versions/1")["signature"]["exog"][0]["last"]
    assert [float(step) for step in query["realinv"][0].split(",")] == [last] * 4
    assert query["levels"] == ["80,95"]


def test_a_last_value_of_zero_is_shown_as_zero(site: Site) -> None:
    with site.visit("/models/strange/docs") as (page, _):
        boxes = opened(page, "forecastByQuery").locator("tr", has_text="price per unit").locator("input")
        assert [box.input_value() for box in boxes.all()] == ["0"] * 4


def test_the_example_file_is_chosen_and_stays_so_after_a_reset(site: Site) -> None:
    with site.visit("/models/macro/docs") as (page, _):
        block = opened(page, "forecastByFile")
        assert block.locator("input[type=file]").evaluate("input => input.files[0].name") == "example.csv"
        block.get_by_role("button", name="Reset").click()
        assert executed(block) == "200"


def test_a_person_may_choose_another_file(site: Site) -> None:
    rows = [",".join(TEN), *[",".join("1" * len(TEN))] * 2]
    with site.visit("/models/macro/docs") as (page, _):
        block = opened(page, "forecastByFile")
        file = {"name": "mine.csv", "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}
        block.locator("input[type=file]").set_input_files(file)
        assert executed(block) == "200"
        answer = json.loads(block.locator(".live-responses-table code").first.inner_text())
    assert answer["timestamps"] == ["2018-01-01", "2018-02-01"]


def test_names_from_the_data_are_shown_as_they_are(site: Site) -> None:
    with site.visit("/models/strange/docs") as (page, seen):
        opened(page, "forecastByQuery")
        page.get_by_text("9 exogenous columns, and").click()
        assert [name.inner_text() for name in page.locator("details:not(.versions) tbody th").all()] == list(STRANGE)
        for name in STRANGE:
            page.locator(".parameter__name", has_text=name).wait_for()
        assert page.locator(".panels h2").inner_text() == "<i>sold</i> **b**"
        assert page.locator("img[src=x]").count() == 0
        assert seen.complaints == []


def test_names_stand_in_a_description_as_code_whatever_is_in_them(site: Site) -> None:
    description = ask(f"{site.url}/models/strange/openapi.json")["info"]["description"]
    assert "`<img src=x onerror=alert(1)>`" in description
    assert "``` **bold** _x_ `code` ``more ```" in description
    assert "forecasts `<i>sold</i> **b**`" in description


def test_a_models_page_says_what_is_live_and_draws_its_forecast(site: Site) -> None:
    with site.visit("/models/macro/docs") as (page, _):
        page.locator(".panels canvas").nth(1).wait_for()
        assert page.locator("h1").inner_text().split() == ["macro", "version", "1", "naive"]
        assert page.locator(".facts").inner_text().split("\n")[:6] == [
            "Frequency", "MS", "Trained until", "2017-12-01", "Next step", "2018-01-01",
        ]  # fmt: skip
        assert [title.inner_text() for title in page.locator(".panels h2").all()] == ["sales", "returns"]
        assert page.locator(".panels p").first.inner_text().startswith("2018-01-01: ")


def test_a_models_page_lists_its_newest_versions_and_how_to_go_back(site: Site) -> None:
    with site.visit("/models/alone/docs") as (page, seen):
        versions = page.locator(".versions")
        versions.locator("summary").click()
        assert versions.locator("summary").inner_text() == "Versions; live: production 1, staging 12"
        rows = [row.inner_text().split("\t") for row in versions.locator("tbody tr").all()]
        assert [row[0] for row in rows] == [str(number) for number in range(12, 2, -1)]
        assert [row[1] for row in rows[:3]] == ["staging", "nothing: archived", "–"]
        earlier = ask(site.url + str(versions.get_by_role("link", name="history").get_attribute("href")))
        assert [version["number"] for version in earlier["items"]] == [2, 1]
        assert versions.locator("pre").inner_text().splitlines() == [
            f"curl -X POST '{site.url}/admin/models/alone/rollback?dry_run=true'",
            f"curl -X POST '{site.url}/admin/models/alone/rollback'",
        ]
        assert seen.complaints == []


def test_pages_lead_to_each_other(site: Site) -> None:
    with site.visit("/apidocs") as (page, _):
        page.locator(".cards a").first.wait_for()
        assert [link.inner_text() for link in page.locator(".cards a").all()] == ["alone", "macro", "strange"]
        page.get_by_role("link", name="macro").click()
        page.wait_for_url("**/models/macro/docs")
        page.get_by_role("link", name="All models").click()
        page.wait_for_url("**/apidocs")


def test_a_model_whose_plugin_is_gone_still_has_a_page_that_says_so(site: Site) -> None:
    with served(site.home, Catalogue([])) as url, open_page(site.browser) as (page, _):
        page.goto(f"{url}/models/macro/docs")
        page.get_by_text("There is no forecast to draw: the plugin 'naive' is not installed").wait_for()
        assert "2017-12-01" in page.locator(".facts").inner_text()
