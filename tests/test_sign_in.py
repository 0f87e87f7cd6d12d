"""The pages of an installation with keys: a real Chromium is asked for one, and Swagger UI's Authorize sends one."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import flask
import pytest
from flask.testing import FlaskClient

from forecastle.database import open_database
from forecastle.http import create_app
from forecastle.http.services import EXTENSION
from forecastle.settings import settings_from
from forecastle_registry.keys import create_key
from tests.browser import chromium, open_page, serving
from tests.naive import monthly_sales, naive_catalogue, train_naive

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

KEPT_OUT = "Failed to load resource: the server responded with a status of 401 (UNAUTHORIZED)"


@dataclass(frozen=True)
class Site:
    """A served home that has keys, the key of a reader, and the browser that looks at it."""

    url: str
    secret: str
    browser: "Browser"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, database_template: Path) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("sign-in")
    shutil.copy(database_template, home / "forecastle.db")
    settings = settings_from({"FORECASTLE_HOME": str(home)})
    engine = open_database(settings)
    train_naive(engine, settings, "macro", monthly_sales())
    secret = create_key(engine, "ada", "reader").secret
    engine.dispose()
    app = create_app(settings, loopback=True, plugins=naive_catalogue())
    with chromium() as browser, serving(app) as url:
        yield Site(url, secret, browser)
    app.extensions[EXTENSION].engine.dispose()


def execute(page: "Page", path: str) -> str:
    """Open the first operation of a path, press Execute, and return the status that the page then shows."""
    block = page.locator(".opblock").filter(has=page.locator(f'[data-path="{path}"]')).first
    block.locator(".opblock-summary-control").click()
    block.locator(".execute").click()
    return status_of(block)


def status_of(block: "Locator") -> str:
    return block.locator(".live-responses-table tbody .response-col_status").inner_text().strip()


def test_authorize_sends_the_key_and_its_dialog_offends_no_policy(site: Site) -> None:
    with open_page(site.browser) as (page, seen):
        page.goto(f"{site.url}/apidocs")
        page.locator(".btn.authorize").click()
        bearer = page.locator(".auth-container").filter(has_text="Bearer")
        bearer.locator("input").fill(site.secret)
        bearer.locator("button.authorize").click()
        page.locator(".modal-ux .close-modal").click()
        assert execute(page, "/models") == "200"
        assert execute(page, "/plugins") == "200"
        assert execute(page, "/admin/keys") == "403"
        refused = [KEPT_OUT, KEPT_OUT.replace("401 (UNAUTHORIZED)", "403 (FORBIDDEN)")]
        assert (
            seen.complaints == refused
        )  # the list of models, asked without a key, and the keys, for which a reader is too small
        assert [url for url in seen.requests if not url.startswith(site.url)] == []


def test_the_platforms_page_says_how_to_sign_in_and_shows_the_models_after_it(site: Site) -> None:
    with open_page(site.browser, http_credentials={"username": "me", "password": site.secret}) as (page, seen):
        page.goto(f"{site.url}/apidocs")
        assert page.locator(".cards li").count() == 0
        assert page.get_by_role("note").count() == 0
        page.get_by_role("link", name="Sign in with a key").click()
        page.get_by_role("link", name="macro").click()
        page.locator("#chart canvas").first.wait_for()
        assert execute(page, "/models/macro/forecast") == "200"
        assert seen.complaints == [KEPT_OUT]


def test_a_models_page_asks_for_the_key_by_itself(site: Site) -> None:
    with open_page(site.browser, http_credentials={"username": "me", "password": site.secret}) as (page, seen):
        answer = page.goto(f"{site.url}/models/macro/docs")
        assert answer is not None
        assert answer.status == 200
        page.locator("#chart canvas").first.wait_for()
        page.locator(".opblock").first.wait_for()
        assert seen.complaints == []


def test_after_signing_in_a_browser_is_led_to_pages_of_this_service_only(client: FlaskClient, app: flask.Flask) -> None:
    for after in ("/models/sales/docs", "/apidocs?x=1#y"):
        assert client.get("/sign-in", query_string={"next": after}).location == after
    foreign = [
        "",
        "apidocs",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "https://evil.example",
        "/a\r\nX: y",
        "///a",
    ]
    for after in foreign:
        assert client.get("/sign-in", query_string={"next": after}).location == "/apidocs", after
