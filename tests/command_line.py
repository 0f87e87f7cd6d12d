"""Runs `forecastle` on a home of its own: in this process, because that is quick, or as the script that people start."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from forecastle.cli import main

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = str(Path(sys.executable).with_name("forecastle"))
DATABASE_URL = "database-url"  # the file in a test's home that names its database, where all tests run on Postgres
ENTRY_POINT = "[forecastle.plugins]\nnaive = forecastle_sdk.naive:NaivePlugin\n"


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on stderr, without its end."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


def install_naive(directory: Path) -> Path:
    """Make a folder that, on the path of Python, offers the naive plugin as an installed distribution does."""
    information = directory / "naive_for_tests-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: naive-for-tests\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINT)
    return directory


def environment(home: Path, plugins: Path, **others: str) -> Mapping[str, str]:
    """Return the environment in which a script works on that home, with the naive plugin."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FORECASTLE_")}
    return {**inherited, **variables_of(home), "PYTHONPATH": str(plugins), **others}


def variables_of(home: Path) -> dict[str, str]:
    """Return the variables that name a home, and its database where that is not the one that a home has by itself."""
    file = home / DATABASE_URL
    return {"FORECASTLE_HOME": str(home)} | ({"FORECASTLE_DATABASE_URL_FILE": str(file)} if file.exists() else {})


def use_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let the commands of this process work on that home, whatever the environment says otherwise."""
    for name in [name for name in os.environ if name.startswith("FORECASTLE_") and "_TEST_" not in name]:
        monkeypatch.delenv(name)
    for name, value in variables_of(home).items():
        monkeypatch.setenv(name, value)


class CommandLine:
    """The command line in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> Said:
        """Run a command."""
        self._monkeypatch.setattr(sys, "argv", ["forecastle", *map(str, arguments)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            main()
        captured = self._capsys.readouterr()
        return Said(int(exited.value.code or 0), captured.out, captured.err)

    def set(self, name: str, value: str) -> None:
        """Set a variable of the environment."""
        self._monkeypatch.setenv(name, value)
