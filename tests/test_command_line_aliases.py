"""Protecting, archiving, deleting and dry runs at the command line, for people and for programs."""

import io
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from forecastle_registry.events import list_events
from forecastle_registry.versions import Registered
from tests.command_line import CommandLine
from tests.naive import monthly_sales


@pytest.fixture
def sales(run: CommandLine, train: Callable[..., Registered]) -> CommandLine:
    """A command line whose home has three versions of `sales`, the first of them live."""
    train(data=monthly_sales(), promote=True, parameters={"test_size": 6})
    train(data=monthly_sales(shift=10), promote=False, parameters={"test_size": 6})
    train(data=monthly_sales(shift=20), promote=False)
    return run


def document(said: Any) -> Any:
    assert said.status == 0, said.err
    return json.loads(said.out)


def test_a_dry_run_is_told_in_tables_and_moves_nothing(sales: CommandLine) -> None:
    said = sales("promote", "sales", 2, "--dry-run")
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[0] == "sales: production is version 1; it would be version 2 (stack 1 2)."
    assert lines[1] == "Trained until 2017-12-01; what is live, until 2017-12-01."
    assert lines[-1] == "Nothing has moved."
    table = next(line for line in lines if line.startswith("sales") and "2018-01-01" in line).split()
    assert float(table[4]) == pytest.approx(10)
    assert "Largest differences" in said.out
    assert said.out.count("ex ante") == 4
    assert document(sales("models", "--json"))["items"][0]["aliases"] == {"production": 1}


def test_a_dry_run_is_one_json_document_too(sales: CommandLine) -> None:
    found = document(sales("promote", "sales", 2, "--dry-run", "--json"))
    assert (found["version"], found["preview"]["gate"]) == (2, None)
    sales("promote", "sales", 2)
    back = document(sales("rollback", "sales", "--dry-run", "--json"))
    assert (back["version"], back["previous"], back["stack"]) == (1, 2, [1])
    assert sales("rollback", "sales", "--dry-run").out.startswith("sales: production is version 2; it would be version 1")


def test_a_dry_run_tells_what_would_stand_in_the_way(sales: CommandLine) -> None:
    sales("protect", "sales", "--min-skill", 0.9, "--max-age", 30)
    said = sales("promote", "sales", 3, "--dry-run")
    assert "The gate is closed." in said.out
    assert "failed  skill: its accuracy was not measured" in said.out
    assert "passed  verdict" in said.out
    assert "As things are it would not move" in said.out
    assert "They were not measured on the same rows" in said.out


def test_a_dry_run_where_nothing_is_live_or_nothing_would_change(sales: CommandLine) -> None:
    said = sales("promote", "sales", 2, "--alias", "candidate", "--dry-run")
    assert said.out.startswith("sales: candidate points at nothing; it would be version 2 (stack 2).")
    assert "Notice (nothing-live)" in said.out
    assert sales("promote", "sales", 1, "--dry-run").out.startswith("sales: production is version 1 already.")


def test_an_alias_is_protected_listed_and_freed(sales: CommandLine, engine: Engine) -> None:
    said = sales("protect", "sales", "--min-skill", 0.1, "--max-age", 40, "--approval", "--reason", "it is looked at")
    assert said.out.splitlines() == [
        "sales: production is protected (converged, skill 0.1 or more, last row at most 40 days old, a second key);"
        " only an admin moves it.",
        "Each promotion waits for the key of a second admin: `forecastle keys create NAME --role admin`.",
    ]
    assert list_events(engine, limit=1).items[0].reason == "it is looked at"
    found = document(sales("protect", "sales", "--alias", "later", "--allow-unconverged", "--json"))
    assert (found["alias"], found["converged"], found["min_skill"]) == ("later", False, None)
    header, *rows = sales("aliases", "sales").out.splitlines()
    assert header.split() == ["alias", "live", "stack", "protected", "waiting"]
    assert [row.split()[:4] for row in rows] == [["later", "–", "any", "version"], ["production", "1", "1", "converged,"]]
    listed = document(sales("aliases", "sales", "--json"))["items"]
    assert [(alias["alias"], alias["live"], alias["protection"]["approval"]) for alias in listed] == [
        ("later", None, False), ("production", 1, True),
    ]  # fmt: skip
    assert sales("unprotect", "sales").out == "sales: production is not protected any more.\n"
    said = sales("unprotect", "sales")
    assert (said.status, "is not protected" in said.error) == (1, True)


def test_a_promotion_that_needs_approval_is_proposed(sales: CommandLine) -> None:
    sales("protect", "sales", "--approval")
    said = sales("promote", "sales", 2)
    assert said.status == 0
    assert said.out.startswith("Nothing has moved: version 2 of 'sales' waits to go live as 'production'")
    assert document(sales("promote", "sales", 2, "--json"))["code"] == "approval-needed"
    assert "Waiting: version 2" in sales("aliases", "sales").out


def test_a_training_that_may_not_go_live_says_why(sales: CommandLine, tmp_path: Path) -> None:
    sales("protect", "sales", "--min-skill", 0.99)
    data = tmp_path / "sales.csv"
    rows = [f"{2015 + i // 12}-{i % 12 + 1:02}-01,{100 + i % 7}" for i in range(36)]
    data.write_text("\n".join(["month,sales", *rows]))
    arguments = ("train", "sales", "--plugin", "naive", "--data", data, "--endog", "sales", "--promote")
    said = sales(*arguments)
    assert said.status == 0
    assert (
        "sales version 4 is registered, not live: version 4 of 'sales' may not go live as 'production': its skill" in said.out
    )
    assert document(sales(*arguments, "--json"))["refusal"]["code"] == "gate-closed"


def test_an_observation_that_may_not_go_live_says_why(sales: CommandLine, tmp_path: Path) -> None:
    sales("protect", "sales", "--max-age", 10)
    data = tmp_path / "new.csv"
    data.write_text("month,sales,returns,price,promo\n2018-01-01,101,111,9,10\n")
    said = sales("observe", "sales", "--data", data, "--promote")
    assert "(child of version 1), not live: version 4 of 'sales' may not go live as 'production': its last row" in said.out
    assert document(sales("observe", "sales", "--data", data, "--json"))["refusal"] is None


def test_the_log_names_the_user_that_the_system_knows(
    sales: CommandLine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales.set("LOGNAME", "somebody-else")
    assert sales("promote", "sales", 2).status == 0
    monkeypatch.setattr(os, "getuid", lambda: 54321)  # as in a container that runs as a user without a name
    assert sales("rollback", "sales").status == 0
    back, forth = list_events(engine, "sales", limit=2).items
    assert back.origin == f"uid 54321@{socket.gethostname()}"
    assert forth.origin not in (None, f"somebody-else@{socket.gethostname()}")


def test_a_version_is_archived_and_restored(sales: CommandLine) -> None:
    assert sales("archive", "sales", 2).out == "sales version 2 is archived: it cannot go live.\n"
    assert sales("archive", "sales", 2).out.endswith("nothing changed.\n")
    assert "archived" in sales("promote", "sales", 2).error
    assert [line.endswith("archived") for line in sales("versions", "sales").out.splitlines()[1:]] == [False, True, False]
    assert "archived        20" in sales("versions", "sales", 2).out
    assert sales("archive", "sales", 2, "--undo").out == "sales version 2 may go live again.\n"
    assert "it is live there" in sales("archive", "sales", 1).error


def test_a_deletion_asks_first(sales: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    said = sales("delete", "sales", 3)
    assert (said.status, "Remove version 3 of sales for ever?" in said.err) == (130, True)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert sales("delete", "sales", 3).out == "sales version 3 is deleted.\n"
    assert sales("delete", "sales", 2, "--yes").status == 0
    assert "archive it instead" in sales("delete", "sales", 1, "--yes").error
    assert [version["number"] for version in document(sales("versions", "sales", "--json"))["items"]] == [1]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("protect sales --min-skill 1.5", "1.5 is not in the range"),
        ("protect sales --min-skill nan", "nan is no finite number"),
        ("protect sales --min-skill=-inf", "-inf is no finite number"),
        ("protect sales --max-age=-1", "-1 is not in the range"),
        ("archive sales", "Missing argument 'NUMBER'"),
        ("delete sales 0", "0 is not in the range"),
        ("promote sales 2 --reason \udcff", "is no text in UTF-8"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(run: CommandLine, command: str, message: str) -> None:
    said = run(*command.split())
    assert (said.status, said.out) == (2, "")
    assert message in said.error


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("aliases nothing", "nothing"),
        ("protect no/name", "cannot be a name"),
        ("archive nothing 1", "nothing"),
        ("delete sales 9 --yes", "9"),
    ],
)
def test_a_failure_is_one_line_and_exit_1(sales: CommandLine, command: str, message: str) -> None:
    said = sales(*command.split())
    assert (said.status, said.out) == (1, "")
    assert message in said.error
