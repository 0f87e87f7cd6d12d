"""What README and docs show is run: shell blocks against a real server, Python blocks as they stand, a page's files together.

README's first block is the two commands themselves; `.ci/bare-debian` runs them on a bare Debian.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from forecastle.database import open_database, upgrade
from forecastle.settings import SETTINGS, settings_from
from forecastle_registry.aliases import live_version
from forecastle_registry.events import WHAT
from tests.naive import train_naive
from tests.ports import free_port
from tests.requirements import require

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEWCOMER = ("make serve", "make test")
US_MACRO = (
    "train us-macro --plugin varmax --data macrodata --endog realgdp,realcons "
    "--exog realinv,realgovt,realdpi,cpi,m1,tbilrate,unemp,pop,infl,realint --set order=1,0 --set test_size=0 --promote"
)
FLOW = "train flow --plugin arima --data nile --endog volume --set order=1,0,0"
STOCK = "train stock --plugin arima --data nile --endog volume --set order=1,0,0"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the page it stands on."""

    page: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    return [Block(page, language, text) for language, text in BLOCK.findall((ROOT / page).read_text())]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the clone a reader stands in."""
    clone = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "docs" / "examples", clone / "docs" / "examples")
    return clone


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "FORECASTLE_HOME": str(folder / "var"), "PYTHONPATH": ""}


@pytest.fixture(scope="module")
def served(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    """The port of a server with the demo model, in an order that is quickly fitted."""
    run(["forecastle", "db", "upgrade"], folder, environment)
    run(["forecastle", *US_MACRO.split()], folder, environment)
    with serving(folder, environment) as port:
        yield port


@contextmanager
def serving(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    """Serve the home of an environment; give the port."""
    port = free_port()
    server = subprocess.Popen(
        ["forecastle", "serve", "--port", str(port)], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health/ready")
        yield port
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(address: str) -> None:
    for _ in range(150):
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"no answer from {address}")


def test_every_block_says_what_it_is() -> None:
    known = {"bash", "python", "toml", "text", "json"}
    assert {block.language for page in PAGES for block in blocks(page)} <= known


def test_every_page_with_commands_is_run_here() -> None:
    assert {block.page for page in PAGES for block in blocks(page) if block.language == "bash"} == {
        "README.md",
        "docs/aliases.md",
        "docs/artifacts.md",
        "docs/audit.md",
        "docs/backup.md",
        "docs/keys.md",
        "docs/plugin-authors.md",
        "docs/reproduce.md",
        "docs/settings.md",
    }


def test_the_newcomers_two_commands_are_run_on_a_bare_debian() -> None:
    first = blocks("README.md")[0].text
    assert [line.split("  ")[0] for line in first.splitlines()] == list(NEWCOMER)
    script = (ROOT / ".ci" / "bare-debian").read_text()
    assert all(command in script for command in NEWCOMER)


def test_the_commands_of_the_readme_work_in_their_order(folder: Path, environment: dict[str, str], served: int) -> None:
    require(shutil.which("curl") is not None, "curl is not installed, with which README asks")
    shell = [block.text for block in blocks("README.md")[1:] if block.language == "bash"]
    text = "\n".join(shell).replace("127.0.0.1:8000", f"127.0.0.1:{served}")
    printed = run(["bash", "-euo", "pipefail", "-c", text], folder, environment)
    assert '"mean":{"realgdp":[' in printed
    assert "shop version 1" in printed
    assert "production is version 2 now; before it was version 1" in printed
    assert "production is version 1 now; before it was version 2" in printed


def test_the_commands_of_the_page_on_aliases_move_as_it_says(folder: Path, environment: dict[str, str], served: int) -> None:
    shell = [block.text for block in blocks("docs/aliases.md") if block.language == "bash"]
    printed = run(["bash", "-euo", "pipefail", "-c", "\n".join(shell)], folder, environment)
    assert "The gate is open." in printed
    assert printed.count("Nothing has moved.") == 3
    assert "river: production is version 2 now; before it was version 1." in printed
    assert "river: production is version 1 now; before it was version 2." in printed
    assert "river version 3 is deleted." in printed


def test_the_commands_of_the_page_on_keys_close_an_installation(tmp_path: Path, environment: dict[str, str]) -> None:
    require(shutil.which("curl") is not None, "curl is not installed, with which the page asks")
    here = {**environment, "FORECASTLE_HOME": str(tmp_path / "locked")}  # its first key would lock out the other pages
    run(["forecastle", "db", "upgrade"], tmp_path, here)
    run(["forecastle", *STOCK.split()], tmp_path, here)
    shell = "\n".join(block.text for block in blocks("docs/keys.md") if block.language == "bash")
    with serving(tmp_path, here) as port:
        text = shell.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        printed = run(["bash", "-euo", "pipefail", "-c", text], tmp_path, here)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/models", timeout=30).close()
    assert printed.count('"items":[{"name":"stock"') == 2
    assert re.search(r"^dashboard +reader +us-\*,stock +10/second; 10000/day +revoked", printed, re.MULTILINE)
    assert re.search(r"^night-batch +trainer +all +– +valid", printed, re.MULTILINE)


def test_the_versions_of_the_page_on_reproducing_are_reproduced(folder: Path, environment: dict[str, str]) -> None:
    run(["forecastle", "db", "upgrade"], folder, environment)
    shell = [block.text for block in blocks("docs/reproduce.md") if block.language == "bash"]
    printed = run(["bash", "-euo", "pipefail", "-c", "\n".join(shell)], folder, environment)
    assert "flow version 1 is reproduced." in printed
    assert '"reproduced": true' in printed


def test_the_commands_of_the_page_on_artifacts_move_them(folder: Path, environment: dict[str, str]) -> None:
    here = {**environment, "FORECASTLE_HOME": str(folder / "moving")}
    run(["forecastle", "db", "upgrade"], folder, here)
    run(["forecastle", *FLOW.split()], folder, here)
    shell = [block.text for block in blocks("docs/artifacts.md") if block.language == "bash"]
    printed = run(["bash", "-euo", "pipefail", "-c", "\n".join(shell)], folder, here)
    assert "Copied 1 artifact " in printed
    assert f"1 artifact in file://{folder}/artifacts is whole" in printed
    assert "Removed 1 artifact that file:" in printed
    assert '"unneeded": 0' in printed


def test_the_commands_of_the_page_on_the_audit_log_read_and_verify_it(
    folder: Path, environment: dict[str, str], served: int
) -> None:
    shell = [block.text for block in blocks("docs/audit.md") if block.language == "bash"]
    printed = run(["bash", "-euo", "pipefail", "-c", "\n".join(shell)], folder, environment)
    assert len(re.findall(r"\d+ events; compared with \d+ kept head", printed)) == 2
    assert "us-macro" in printed
    page = (ROOT / "docs" / "audit.md").read_text()
    assert all(re.search(rf"\b{what}\b", page) for what in WHAT)


def test_the_page_on_settings_has_each_of_them_with_its_default(folder: Path, environment: dict[str, str]) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `(FORECASTLE_\w+)` \| (?:`(.+)`)? ?\| (.+) \|$", page, re.MULTILINE)
    assert [(name, default) for name, default, _ in rows] == [(setting.name, setting.default) for setting in SETTINGS]
    assert all(told.startswith(setting.help) for (_, _, told), setting in zip(rows, SETTINGS, strict=True))
    run(["forecastle", "db", "upgrade"], folder, environment)
    shell = [block.text for block in blocks("docs/settings.md") if block.language == "bash"]
    printed = run(["bash", "-euo", "pipefail", "-c", "\n".join(shell)], folder, environment)
    assert re.search(r"^FORECASTLE_MAX_UPLOAD +2 MB +environment$", printed, re.MULTILINE)
    assert re.search(r"^FORECASTLE_MAX_HORIZON +24 +environment$", printed, re.MULTILINE)


def test_the_commands_of_the_page_on_backups_move_an_installation(
    folder: Path, environment: dict[str, str], served: int
) -> None:
    shell = [block.text for block in blocks("docs/backup.md") if block.language == "bash"]
    printed = run(["bash", "-euo", "pipefail", "-c", "\n".join(shell)], folder, environment)
    assert re.search(r"Backed up \d+ models with \d+ versions to forecastle-20.*\.backup", printed)
    assert re.search(r"Restored \d+ models with \d+ versions, as of 20", printed)
    assert re.search(r"Copied \d+ models, \d+ versions and \d+ events to sqlite:///", printed)
    assert printed.count("The audit log verifies") == 2


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.language == "python" for b in blocks(page))])
def test_the_python_of_a_page_runs(page: str, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "python" and not block.text.startswith("# "):
            run([sys.executable, "-W", "error", "-c", block.text], tmp_path, dict(os.environ))


def test_the_example_of_the_registrys_readme_rolls_back(tmp_path: Path) -> None:
    settings = settings_from({"FORECASTLE_HOME": str(tmp_path)})
    engine = open_database(settings)
    upgrade(engine)
    for _ in range(2):
        train_naive(engine, settings, "us-macro", promote=True)
    (example,) = [block.text for block in blocks("registry/README.md") if block.language == "python"]
    run(
        [sys.executable, "-W", "error", "-c", example.replace("/var/lib/forecastle", str(tmp_path))], tmp_path, dict(os.environ)
    )
    assert live_version(engine, "us-macro").version_number == 1
    engine.dispose()


def test_the_plugin_of_the_authors_page_passes_the_conformance_kit(tmp_path: Path, environment: dict[str, str]) -> None:
    page = blocks("docs/plugin-authors.md")
    for block in page:
        if block.text.startswith("# "):
            file = tmp_path / block.text.split("\n", 1)[0].removeprefix("# ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
    command = next(block.text for block in page if block.language == "bash")
    printed = run(["bash", "-euo", "pipefail", "-c", command], tmp_path, {**environment, "PYTHONPATH": str(tmp_path / "src")})
    assert re.search(r"\d{2,} passed", printed)
    assert "failed" not in printed


def test_the_plugin_of_the_authors_page_is_found_and_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from forecastle.plugins import GROUP, discover

    package = tmp_path / "forecastle_mean"
    package.mkdir()
    (package / "__init__.py").write_text(next(b.text for b in blocks("docs/plugin-authors.md") if b.language == "python"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert discover([EntryPoint("mean", "forecastle_mean:MeanPlugin", GROUP)]).usable("mean").title == "Mean"
