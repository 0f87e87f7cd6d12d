"""The wheel holds everything that an upgrade needs, and works far from the repository."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]

UPGRADE = """
import sys
sys.path.insert(0, sys.argv[1])
import forecastle_migrations
assert forecastle_migrations.__file__.startswith(sys.argv[1]), forecastle_migrations.__file__
from alembic import command
from alembic.config import Config
config = Config()
config.set_main_option("script_location", "forecastle_migrations:")
config.set_main_option("sqlalchemy.url", sys.argv[2])
command.upgrade(config, "head")
import platform
assert platform.__file__.endswith("platform.py")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build from a copy: building in place would leave a build folder behind, and take old files from it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for path in [*FOLDER.glob("*.*"), *(FOLDER / "src").rglob("*")]:
        if path.is_file() and not {"__pycache__", "build"} & set(path.parts) and ".egg-info" not in str(path):
            target = source / path.relative_to(FOLDER)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(build, check=True, capture_output=True, cwd=folder)
    return next(folder.glob("*.whl"))


def test_the_wheel_contains_the_environment_and_every_revision(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {str(path.relative_to(FOLDER / "src")) for path in (FOLDER / "src").rglob("*.py")}
    assert shipped | {"forecastle_migrations/script.py.mako"} <= names
    assert any("versions/0002" in name for name in names)


def test_the_wheel_upgrades_a_database_from_a_directory_outside_the_repository(wheel, tmp_path):
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    command = [sys.executable, "-W", "error", "-c", UPGRADE, installed, f"sqlite:///{tmp_path}/registry.db"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert (tmp_path / "registry.db").stat().st_size > 0
