"""Makes the README's picture: serves the model us-macro of FORECASTLE_HOME and takes a picture of its page in Chromium.

`make pictures` trains the model first, if it is not there.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # run as a file, so that the tests' browser is not on the path

from forecastle.http import create_app  # noqa: E402  after the path
from forecastle.settings import settings_from  # noqa: E402
from tests.browser import chromium, open_page, serving  # noqa: E402

PICTURE = HERE / "model-page.png"
SIZE = {"width": 1200, "height": 1010}


def main() -> None:
    """Take the picture once the charts are drawn and the operations are listed."""
    app = create_app(settings_from(os.environ), loopback=True)
    with serving(app) as url, chromium() as browser, open_page(browser, viewport=SIZE) as (page, seen):
        page.goto(f"{url}/models/us-macro/docs")
        page.locator(".panels canvas").nth(1).wait_for()
        page.locator(".opblock").last.wait_for()
        page.screenshot(path=str(PICTURE))
        if seen.complaints:
            sys.exit(f"the page complains: {seen.complaints}")
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
