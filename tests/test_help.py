"""What the command line says of itself, and how it words what everybody reads first."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from forecastle.cli import forecastle
from tests.command_line import CommandLine

GROUPS = [(), *((name,) for name, command in forecastle.commands.items() if isinstance(command, click.Group))]


@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_no_line_of_a_list_of_commands_is_cut_off(run: CommandLine, group: tuple[str, ...]) -> None:
    run.set("COLUMNS", "80")
    said = run(*group, "--help")
    assert said.status == 0
    assert [line for line in said.out.splitlines() if line.endswith("...") and not line.startswith("Usage:")] == []


def test_help_speaks_of_numbers(run: CommandLine) -> None:
    assert "RANGE" not in run("events", "list", "--help").out
    assert "'two' is not a valid number; see" in run("promote", "shop", "two").error


def test_a_command_that_is_nearly_right_is_named(run: CommandLine) -> None:
    assert run("alias").error.endswith("Did you mean 'aliases'? See `forecastle --help`")


def test_an_option_says_what_its_own_command_does(run: CommandLine) -> None:
    assert "The alias to free." in run("unprotect", "--help").out
    assert "The alias to protect." in run("protect", "--help").out


@pytest.mark.parametrize(("role", "whose"), [("reader", "a reader's"), ("trainer", "a trainer's"), ("admin", "an admin's")])
def test_a_new_key_is_told_of_in_english(run: CommandLine, role: str, whose: str) -> None:
    assert f"This is the key 'ada', {whose}." in run("keys", "create", "ada", "--role", role).err


def test_a_backup_that_is_not_there_is_wrong_use(run: CommandLine) -> None:
    said = run("restore", "nowhere.backup")
    assert (said.status, said.error) == (
        2,
        "forecastle: Invalid value for 'FILE': File 'nowhere.backup' does not exist; see `forecastle restore --help`",
    )


def test_doctor_shows_settings_as_they_would_be_set(run: CommandLine) -> None:
    said = " ".join(run("doctor").out.split())
    assert "FORECASTLE_OPEN false default" in said
    assert "FORECASTLE_MAX_UPLOAD 10 MB default" in said
    assert "FORECASTLE_STALE_FOR 0 default" in said
    assert "FORECASTLE_RATE_LIMIT – default" in said


def test_a_database_without_tables_is_said_to_have_none(run: CommandLine, tmp_path: Path) -> None:
    run.set("FORECASTLE_HOME", str(tmp_path / "new"))
    run.set("FORECASTLE_DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
    assert run("models").error.startswith("forecastle: the database has no tables yet, this release needs revision ")
    assert run("db", "upgrade").out.startswith("The tables are made (revision ")


def test_a_version_is_described_with_its_accuracy(run: CommandLine) -> None:
    run("train", "river", "--plugin", "naive", "--data", "nile", "--endog", "volume")
    assert "random walk with drift" in run("versions", "river", "1").out


def test_a_single_day_is_one_day(run: CommandLine) -> None:
    assert "last row at most 1 day old" in run("protect", "river", "--max-age", 1).out
    assert "last row at most 2 days old" in run("protect", "river", "--max-age", 2).out
