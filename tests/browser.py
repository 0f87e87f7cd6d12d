"""A real server and a real Chromium for the tests of the pages, and for the command that makes the README's picture."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
from waitress.server import create_server

from tests.requirements import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
# Debian's Chromium as root in a container; without these flags it looks for its maker's hosts at every start
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
)
SECONDS = 20


@dataclass(frozen=True)
class Seen:
    """What a page did: the addresses that it asked, what the console called an error or a warning, what it threw."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextmanager
def serving(app: flask.Flask) -> Iterator[str]:
    """Serve an application on a free port of the loopback address; give its address."""
    server = create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        thread.join()


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Start Chromium; skip, or fail, where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        require(False, "playwright is not installed")
    require(CHROMIUM.exists(), f"there is no {CHROMIUM}; Debian's package chromium has it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS.split())
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: "Browser", **options: Any) -> Iterator[tuple["Page", Seen]]:
    """Open an empty page whose doings are written down; the options are those of a browser context."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
    try:
        page, seen = context.new_page(), Seen()
        page.set_default_timeout(SECONDS * 1000)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("console", lambda said: seen.complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("dialog", lambda dialog: (seen.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        yield page, seen
    finally:
        context.close()
