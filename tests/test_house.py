"""The rules of the house that no linter knows."""

from __future__ import annotations

import platform
import re
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("sdk", "registry", "migrations", "platform", "plugins/arima", "plugins/varmax")
PLUGINS = [path.name for path in sorted((ROOT / "plugins").iterdir()) if (path / "pyproject.toml").exists()]


def project(folder: str) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return found


def test_all_distributions_have_one_version() -> None:
    assert len({project(folder)["version"] for folder in FOLDERS}) == 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_installed_is_this_version(folder: str) -> None:
    found = project(folder)
    assert metadata.version(str(found["name"])) == found["version"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_ours_require_ours_in_their_own_version(folder: str) -> None:
    found = project(folder)
    requirements = [r for r in found["dependencies"] if r.startswith("forecastle")]  # type: ignore[attr-defined]
    assert all(r.endswith(f"=={found['version']}") for r in requirements)


def test_platform_is_still_the_standard_librarys_module() -> None:
    assert Path(platform.__file__).parent == Path(sysconfig.get_paths()["stdlib"])


def test_the_folder_platform_is_no_package() -> None:
    found = {path.name for path in (ROOT / "platform").iterdir() if not path.name.startswith(".")}  # a tool's cache
    assert found - {"build", "__pycache__"} == {"pyproject.toml", "README.md", "src"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_the_platform_names_no_plugin(plugin: str) -> None:
    sources = sorted((ROOT / "platform" / "src" / "forecastle").rglob("*.py"))
    naming = [str(path) for path in sources if re.search(rf"\b{plugin}\b", path.read_text(), re.IGNORECASE)]
    assert not naming


def test_every_setting_of_the_makefile_and_the_container_is_one() -> None:
    from forecastle.settings import unknown_settings

    texts = "".join((ROOT / name).read_text() for name in ("Makefile", "docker/Dockerfile", "docker/compose.yaml"))
    assert not unknown_settings(dict.fromkeys(re.findall(r"FORECASTLE_[A-Z_]+", texts), ""))
