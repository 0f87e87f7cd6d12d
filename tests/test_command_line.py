"""The command line: what each command prints for people and for programs, and how it refuses."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from forecastle.cli import forecastle
from forecastle.cli.output import table_lines
from forecastle.training.samples import SAMPLES
from tests.command_line import ROOT, SCRIPT, CommandLine, environment

ROWS = 36
MONTHS = [f"{2015 + i // 12}-{i % 12 + 1:02}-01" for i in range(ROWS + 4)]
TRAIN = ("--plugin", "naive", "--endog", "sales", "--exog", "price", "--set", "test_size=6")
COMMANDS = {
    "train",
    "forecast",
    "observe",
    "reproduce",
    "promote",
    "rollback",
    "aliases",
    "protect",
    "unprotect",
    "archive",
    "delete",
    "models",
    "versions",
    "events",
    "plugins",
    "keys",
    "serve",
    "db",
    "artifacts",
    "doctor",
    "backup",
    "restore",
}
GROUPED = {
    f"{name} {command}": group.commands[command]
    for name, group in forecastle.commands.items()
    if isinstance(group, click.Group)
    for command in group.commands
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    lines = ["month,sales,price,note", *(f"{MONTHS[i]},{100 + i % 7},{9 + i % 5 / 10},n{i}" for i in range(ROWS))]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def sales(run: CommandLine, data: Path) -> CommandLine:
    """A command line whose home has the model `sales` in one version."""
    said = run("train", "sales", "--data", data, *TRAIN, "--promote")
    assert said.status == 0, said.err
    return run


@pytest.fixture
def future(tmp_path: Path) -> Path:
    path = tmp_path / "future.csv"
    path.write_text("month,price\n" + "".join(f"{month},9.5\n" for month in MONTHS[ROWS : ROWS + 3]))
    return path


@pytest.fixture
def observed(tmp_path: Path) -> Path:
    path = tmp_path / "observed.csv"
    path.write_text(f"month,sales,price\n{MONTHS[ROWS]},111,9.5\n{MONTHS[ROWS + 1]},,9.6\n")
    return path


def document(said: Any) -> Any:
    """Return the one JSON document that is all of stdout."""
    assert said.status == 0, said.err
    found, end = json.JSONDecoder().raw_decode(said.out)
    assert said.out[end:] == "\n"
    return found


def test_the_commands_are_those_of_this_release() -> None:
    assert set(forecastle.commands) == COMMANDS


@pytest.mark.parametrize("command", ["", *sorted(COMMANDS | GROUPED.keys())])
def test_every_command_has_a_help_for_people(run: CommandLine, command: str) -> None:
    said = run(*command.split(), "--help")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("Usage: forecastle")


def test_every_option_and_command_is_explained() -> None:
    for name, command in (forecastle.commands | GROUPED).items():
        assert command.help, name
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or (isinstance(parameter, click.Option) and parameter.help), parameter


def test_no_plugin_s_name_stands_in_a_help_text(run: CommandLine) -> None:
    texts = [run(*command.split(), "--help").out for command in ["", *sorted(COMMANDS | GROUPED.keys())]]
    assert not [name for name in ("arima", "varmax", "naive") if any(name in text.lower() for text in texts)]


def test_train_tells_what_came_of_it(run: CommandLine, data: Path) -> None:
    said = run("train", "sales", "--data", data, *TRAIN, "--promote")
    assert said.status == 0
    assert "sales version 1 is registered, live as production." in said.out
    assert "Accuracy on 6 rows from 2017-07-01, 6 rolling origins" in said.out
    assert "random walk with drift" in said.out
    assert "Parameters: drift=False, test_size=6.0, refit=True, seed=0." in said.out
    assert "[1/1] registered version 1" in said.err


def test_train_says_how_to_make_a_version_live(sales: CommandLine, data: Path) -> None:
    said = sales("train", "sales", "--data", data, *TRAIN)
    assert "sales version 2 is registered, not live; `forecastle promote sales 2` makes it so." in said.out


def test_without_exog_there_is_none_and_other_columns_take_no_part(run: CommandLine, data: Path) -> None:
    found = document(run("train", "m", "--plugin", "naive", "--data", data, "--endog", "sales", "--json"))
    assert (found["signature"]["endog"], found["signature"]["exog"]) == (["sales"], [])


def test_a_sample_is_data_too(run: CommandLine) -> None:
    arguments = ("train", "gdp", "--plugin", "naive", "--data", "macrodata", "--endog", "realgdp,realcons")
    found = document(run(*arguments, "--exog", "unemp, infl", "--set", "test_size=0", "--json"))
    assert found["signature"]["index"]["freq"] == "QS-JAN"
    assert [column["name"] for column in found["signature"]["exog"]] == ["unemp", "infl"]


def test_the_help_of_train_names_the_samples(run: CommandLine) -> None:
    text = " ".join(run("train", "--help").out.split())
    assert all(sample in text for sample in SAMPLES)


def test_every_listing_and_change_is_one_json_document(sales: CommandLine, data: Path, observed: Path, future: Path) -> None:
    trained = document(sales("train", "sales", "--data", data, *TRAIN, "--json"))
    assert (trained["number"], trained["live"]) == (2, False)
    assert document(sales("models", "--json"))["items"][0]["aliases"] == {"production": 1}
    assert [version["number"] for version in document(sales("versions", "sales", "--json"))["items"]] == [2, 1]
    assert document(sales("versions", "sales", 2, "--json"))["lineage"]["dataset"]["file"] == "sales.csv"
    assert [document(sales("versions", "sales", n, "--json"))["aliases"] for n in (1, 2)] == [["production"], []]
    assert "naive" in [plugin["name"] for plugin in document(sales("plugins", "--json"))["items"]]
    assert document(sales("plugins", "naive", "--json"))["usable"] is True
    promoted = document(sales("promote", "sales", 2, "--json"))
    assert promoted == {
        "model": "sales", "alias": "production", "version": 2, "previous": 1, "changed": True, "stack": [1, 2],
    }  # fmt: skip
    assert document(sales("promote", "sales", 2, "--json"))["changed"] is False
    child = document(sales("observe", "sales", "--data", observed, "--json"))
    assert (child["number"], child["parent"], child["live"]) == (3, 2, False)
    assert document(sales("rollback", "sales", "--json"))["version"] == 1
    forecast = document(sales("forecast", "sales", "--exog", future, "--format", "json"))
    assert forecast["timestamps"] == MONTHS[ROWS : ROWS + 3]


def test_a_forecast_in_all_three_forms_has_the_same_numbers(sales: CommandLine, future: Path) -> None:
    arguments = ("forecast", "sales", "--exog", future, "--levels", "80,95", "--format")
    as_json = document(sales(*arguments, "json"))
    rows = list(csv.DictReader(io.StringIO(sales(*arguments, "csv").out)))
    assert [row["timestamp"] for row in rows] == as_json["timestamps"]
    assert [float(row["sales__yhat"]) for row in rows] == as_json["mean"]["sales"]
    widest = {interval["level"]: interval for interval in as_json["intervals"]}[95]
    assert [float(row["sales__yhat_lower"]) for row in rows] == widest["lower"]["sales"]
    table = sales(*arguments, "table").out.splitlines()
    assert table[0] == "sales version 1 (naive), trained until 2017-12-01"
    assert table[1].split("  ")[0] == "time"
    assert [line.split()[0] for line in table[2:5]] == as_json["timestamps"]
    assert [float(line.split()[1]) for line in table[2:5]] == as_json["mean"]["sales"]
    assert table[5] == "Conditional on price."


def test_a_forecast_of_a_version_or_another_alias(sales: CommandLine, data: Path, future: Path) -> None:
    sales("train", "sales", "--data", data, *TRAIN)
    sales("promote", "sales", 2, "--alias", "staging")
    of = ("forecast", "sales", "--exog", future, "--format", "json")
    assert document(sales(*of))["model"]["version"] == 1
    assert document(sales(*of, "--alias", "staging"))["model"] == {
        "name": "sales", "version": 2, "alias": "staging", "plugin": "naive",
    }  # fmt: skip
    assert document(sales(*of, "--version", 2))["model"]["alias"] is None


def test_promote_and_rollback_tell_what_they_did(sales: CommandLine, data: Path) -> None:
    sales("train", "sales", "--data", data, *TRAIN)
    assert sales("promote", "sales", 2).out == "sales: production is version 2 now; before it was version 1.\n"
    assert sales("promote", "sales", 2).out == "sales version 2 is live as production already; nothing changed.\n"
    assert sales("rollback", "sales", "--reason", "too high").out == (
        "sales: production is version 1 now; before it was version 2.\n"
    )
    said = sales("rollback", "sales")
    assert said.status == 1
    assert "there is nothing below the live version on the stack of 'production'" in said.error


def test_observe_registers_the_child(sales: CommandLine, observed: Path) -> None:
    said = sales("observe", "sales", "--data", observed, "--promote")
    assert said.out == "sales version 2 has seen the rows until 2018-02-01 (child of version 1), live now.\n"


def test_versions_of_one_number_tell_its_story(sales: CommandLine) -> None:
    said = sales("versions", "sales", 1)
    assert said.out.startswith("model")
    assert "rows            36 until 2017-12-01 (MS)" in said.out
    assert "sigma2.sales" in said.out


def test_plugins_describe_their_parameters(run: CommandLine) -> None:
    assert "naive" in run("plugins").out
    said = run("plugins", "naive")
    assert said.out.startswith("naive 1.0 (naive-for-tests)")
    for name in ("drift", "test_size", "refit", "seed"):
        assert name in said.out


def test_an_empty_home_says_how_to_begin(run: CommandLine) -> None:
    assert run("models").out == "There is no model yet; `forecastle train --help` shows how to make one.\n"


WRONG_USE: dict[str, tuple[str, str]] = {
    "no model": ("train", "Missing argument 'MODEL'"),
    "no plugin": ("train m --data D --endog sales", "Missing option '--plugin'"),
    "no endog": ("train m --plugin naive --data D", "Missing option '--endog'"),
    "set twice": ("train m --plugin naive --data D --endog sales --set seed=1 --set seed=2", "'seed' is set twice"),
    "set without a value": ("train m --plugin naive --data D --endog sales --set seed", "'seed' is no NAME=VALUE"),
    "set without a name": ("train m --plugin naive --data D --endog sales --set =1", "'=1' is no NAME=VALUE"),
    "an unknown parameter": ("train m --plugin naive --data D --endog sales --set order=1", "'order': Unknown field"),
    "a column twice": ("train m --plugin naive --data D --endog sales,sales", "'sales' is named twice"),
    "an unknown serializer": ("train m --plugin naive --data D --endog sales --serializer json", "'json' is not one of"),
    "an unknown option": ("forecast sales --steps 3", "No such option"),
    "an unknown command": ("predict", "No such command 'predict'"),
    "levels that are text": ("forecast sales --levels high", "'high' is no comma-separated list of numbers"),
    "a level of 100": ("forecast sales --levels 80,100", "levels must lie between 0 and 100"),
    "a negative level": ("forecast sales --levels=-5", "levels must lie between 0 and 100"),
    "a level that is no number": ("forecast sales --levels nan", "levels must lie between 0 and 100"),
    "a level twice": ("forecast sales --levels 80,80", "levels has a value twice"),
    "no step ahead": ("forecast sales --horizon 0", "0 is not in the range"),
    "steps back": ("forecast sales --horizon=-3", "-3 is not in the range"),
    "version and alias": ("forecast sales --version 1 --alias production", "--version or --alias, not both"),
    "version 0": ("promote sales 0", "0 is not in the range"),
    "a version that is text": ("promote sales latest", "'latest' is not a valid number"),
    "a directory as exog": ("forecast sales --exog /", "is a directory"),
    "a file that is not there": ("forecast sales --exog /no/such/file.csv", "does not exist"),
    "a directory as observations": ("observe sales --data /", "is a directory"),
    "a port that is none": ("serve --port 70000", "70000 is not in the range"),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use_is_one_line_and_exit_2(run: CommandLine, data: Path, case: str) -> None:
    command, message = WRONG_USE[case]
    said = run(*(str(data) if word == "D" else word for word in command.split()))
    assert (said.status, said.out) == (2, "")
    assert said.error.startswith("forecastle: ")
    assert message in said.error


FAILURES: dict[str, tuple[str, str]] = {
    "an unknown model": ("forecast nothing --horizon 3", "nothing"),
    "an unknown model of versions": ("versions nothing", "nothing"),
    "an unknown model of promote": ("promote nothing 1", "nothing"),
    "an unknown model of rollback": ("rollback nothing", "nothing"),
    "an unknown version": ("forecast sales --version 9 --horizon 3", "9"),
    "an unknown version of versions": ("versions sales 9", "9"),
    "an unknown version of promote": ("promote sales 9", "9"),
    "an unknown alias": ("forecast sales --alias staging --horizon 3", "staging"),
    "an unknown plugin": ("train m --plugin nothing --data D --endog sales", "there is no plugin 'nothing'; installed are:"),
    "an unknown plugin of plugins": ("plugins nothing", "there is no plugin 'nothing'"),
    "another plugin": ("train sales --plugin arima --data D --endog sales", "naive"),
    "a name that is none": ("train Sales --plugin naive --data D --endog sales", "no name for a model"),
    "pickle": ("train m --plugin naive --data D --endog sales --serializer pickle", "FORECASTLE_ALLOW_PICKLE=true"),
    "no such data": ("train m --plugin naive --data nothing.csv --endog sales", "nor a sample (co2"),
    "a directory as data": ("train m --plugin naive --data / --endog sales", "Is a directory"),
    "an unknown column": ("train m --plugin naive --data D --endog sale", "no column 'sale'; the data has month, sales"),
    "an unknown time": ("train m --plugin naive --data D --endog sales --time when", "there is no column 'when'"),
    "text in a column": ("train m --plugin naive --data D --endog note", "'note': 'n0' in row 2; expected a number"),
    "an unknown frequency": ("train m --plugin naive --data D --endog sales --freq often", "'often' is not known"),
    "another frequency": ("train m --plugin naive --data D --endog sales --freq h", "row 3: 2015-02-01, where 2015-01-01T01"),
    "a column that is both": ("train m --plugin naive --data D --endog sales --exog sales", "either endog or exog"),
    "no exog": ("forecast sales --horizon 3", "needs future values of price"),
    "no horizon": ("forecast sales", "no horizon"),
    "a file that is no table": ("forecast sales --exog B", "binary"),
    "observations that are no table": ("observe sales --data B", "binary"),
    "observations of the past": ("observe sales --data D", "2018-01-01"),
    "nothing below": ("rollback sales", "there is nothing below the live version on the stack of 'production'"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_and_exit_1(sales: CommandLine, data: Path, tmp_path: Path, case: str) -> None:
    command, message = FAILURES[case]
    binary = tmp_path / "binary.csv"
    binary.write_bytes(bytes(range(256)))
    files = {"D": str(data), "B": str(binary)}
    said = sales(*(files.get(word, word) for word in command.split()))
    assert (said.status, said.out) == (1, "")
    line = next(line for line in said.err.splitlines() if not line.startswith("["))
    assert line.startswith("forecastle: ")
    assert message in line
    assert "bug" not in line


def test_several_problems_are_listed_under_the_line(sales: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "future.csv"
    path.write_text("month,price\n2018-01-01,x\n2018-02-01,\n")
    said = sales("forecast", "sales", "--exog", path)
    assert said.status == 1
    assert said.err.splitlines() == [
        "forecastle: the column 'price': 'x' in row 2; expected a number",
        "  price/0: 'x' in row 2; expected a number",
        "  price/1: nothing in row 3; expected a number",
    ]


@pytest.mark.on_sqlite
def test_a_database_that_is_behind_says_what_to_run(run: CommandLine, tmp_path: Path) -> None:
    run.set("FORECASTLE_HOME", str(tmp_path / "new"))
    said = run("models")
    assert said.status == 1
    assert said.error.endswith("run `forecastle db upgrade`")
    assert run("db", "upgrade").out == "The tables are made (revision 0006).\n"
    assert run("db", "upgrade").out == "The database is up to date (revision 0006).\n"
    assert run("models").status == 0


@pytest.mark.on_sqlite
@pytest.mark.parametrize("command", ["models", "db upgrade", "doctor", "serve"])
def test_a_database_that_is_garbage_is_a_failure_with_a_sentence(run: CommandLine, home: Path, command: str) -> None:
    (home / "forecastle.db").write_bytes(b"no database, but longer than the header of one " * 30)
    said = run(*command.split())
    assert said.status == 1
    assert "not a database" in said.out + said.err
    assert "bug" not in said.out + said.err


@pytest.mark.on_sqlite
@pytest.mark.parametrize("command", ["models", "db upgrade", "doctor", "serve"])
def test_a_home_that_cannot_be_made_is_a_failure_with_a_sentence(run: CommandLine, data: Path, command: str) -> None:
    run.set("FORECASTLE_HOME", str(data / "home"))
    said = run(*command.split())
    assert said.status == 1
    assert "set FORECASTLE_HOME" in said.out + said.err
    assert "bug" not in said.out + said.err


def test_doctor_finds_a_sound_installation_well(sales: CommandLine, home: Path) -> None:
    said = sales("doctor")
    assert said.status == 0, said.out
    assert f"FORECASTLE_HOME              {home}" in said.out
    assert "with 1 model\n" in said.out
    assert "problem" not in said.out


def test_doctor_explains_wrong_settings(run: CommandLine) -> None:
    run.set("FORECASTLE_CACHE", "many")
    run.set("FORECASTLE_OPEN", "perhaps")
    run.set("FORECASTLE_HOEM", "/srv")
    said = run("doctor")
    assert (said.status, said.err) == (1, "")
    assert "problem  FORECASTLE_CACHE is 'many': expected a whole number of at least 1\n" in said.out
    assert "problem  FORECASTLE_OPEN is 'perhaps': expected true or false\n" in said.out
    assert "problem  no such setting: FORECASTLE_HOEM" in said.out
    assert "FORECASTLE_MAX_UPLOAD 10 MB default" in " ".join(said.out.split())


def test_doctor_shows_no_password(run: CommandLine) -> None:
    for cache in ("2", "many"):
        run.set("FORECASTLE_CACHE", cache)
        run.set("FORECASTLE_DATABASE_URL", "postgresql+psycopg://me:secret@localhost:1/db")
        said = run("doctor")
        assert said.status == 1
        assert "secret" not in said.out + said.err
        assert "me:***@localhost" in said.out
        run.set(
            "FORECASTLE_DATABASE_URL",
            "postgresql+psycopg://me@localhost:1/db?password=secret&sslpassword=secret&sslmode=prefer",
        )
        said = run("doctor")
        assert "secret" not in said.out + said.err
        assert "sslmode=prefer" in said.out


def test_a_port_that_is_no_number_is_no_bug(run: CommandLine, tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:secret@localhost:port/db"
    for command in (("db", "copy", "--from", url, "--to", f"sqlite:///{tmp_path}/x.db"), ("db", "copy", "--to", url)):
        assert "this database URL is not understood" in run(*command).error
    run.set("FORECASTLE_DATABASE_URL", url)
    said = run("doctor")
    assert "problem  this database URL is not understood" in said.out
    assert "secret" not in said.out + said.err


def test_other_commands_refuse_a_wrong_setting(run: CommandLine) -> None:
    run.set("FORECASTLE_CACHE", "many")
    said = run("models")
    assert (said.status, said.error) == (1, "forecastle: FORECASTLE_CACHE is 'many': expected a whole number of at least 1")


def test_a_server_that_others_could_reach_does_not_start(run: CommandLine) -> None:
    said = run("serve", "--host", "0.0.0.0", "--port", 0)
    assert said.status == 1
    assert "FORECASTLE_OPEN=true" in said.error


TABLE = (("name", "value", "what"), [("a", 1234567.5, "short"), ("b", -0.5, "a long text that goes on and on " * 3)])


def test_a_table_off_a_terminal_has_a_line_for_each_row_and_no_blanks_at_their_ends() -> None:
    lines = table_lines(*TABLE)
    assert lines[0] == "name    value  what"
    assert lines[1] == "a     1234568  short"
    assert lines[2] == "b        -0.5  " + ("a long text that goes on and on " * 3).rstrip()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_table_on_a_terminal_is_as_wide_as_that_and_nothing_is_cut(width: int) -> None:
    lines = table_lines(*TABLE, width)
    assert max(map(len, lines)) <= width
    assert sorted(" ".join(lines).split()) == sorted(" ".join(table_lines(*TABLE)).split())


def test_a_table_that_cannot_be_narrow_enough_is_whole() -> None:
    header = [f"column{i}" for i in range(20)]
    assert table_lines(header, [[1.5] * 20], 80) == table_lines(header, [[1.5] * 20])


def test_wide_characters_count_twice() -> None:
    assert table_lines(("列", "x"), [("a", "b")]) == ["列  x", "a   b"]


def test_nothing_of_a_version_is_cut_or_padded_when_piped(sales: CommandLine) -> None:
    said = sales("versions", "sales", 1)
    assert "log-likelihood" in said.out
    assert [line for line in said.out.splitlines() if line != line.rstrip()] == []


def script(home: Path, plugins: Path, *arguments: object, **others: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)], env=environment(home, plugins), capture_output=True, text=True, cwd=ROOT, **others
    )


def test_the_script_answers_with_json_alone_while_it_shows_progress(home: Path, plugins: Path, data: Path) -> None:
    done = script(home, plugins, "train", "sales", "--data", data, *TRAIN, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["number"] == 1
    assert "[1/1] registered version 1" in done.stderr


def test_the_script_refuses_in_one_line(home: Path, plugins: Path) -> None:
    done = script(home, plugins, "forecast", "nothing", "--horizon", 3)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert script(home, plugins, "forecast").returncode == 2


def test_a_reader_that_goes_away_is_no_traceback(home: Path, plugins: Path) -> None:
    command = f"set -o pipefail; {SCRIPT} plugins --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], env=environment(home, plugins), capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{", "")


def test_a_plugin_that_is_installed_trains_and_forecasts(home: Path, plugins: Path) -> None:
    arguments = ("train", "nile", "--plugin", "arima", "--data", "nile", "--endog", "volume", "--set", "order=1,0,0")
    done = script(home, plugins, *arguments, "--set", "trend=c", "--promote")
    assert done.returncode == 0, done.stderr
    done = script(home, plugins, "forecast", "nile", "--horizon", 2, "--format", "csv")
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["timestamp", "1971-01-01", "1972-01-01"]


TWO_ORDERS = ("--plugin", "varmax", "--data", "macrodata", "--endog", "realgdp,realcons", "--set=max_p=2", "--set=max_q=0")


def test_on_a_terminal_a_bar_shows_the_orders_and_the_time_left(home: Path, plugins: Path) -> None:
    terminal, stderr = pty.openpty()
    command, env = [SCRIPT, "train", "m", *TWO_ORDERS], environment(home, plugins, TERM="xterm", COLUMNS="120")
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=stderr):
        os.close(stderr)
        shown = b""
        with contextlib.suppress(OSError):  # what Linux answers once the other end is closed
            while part := os.read(terminal, 65536):
                shown += part
    os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"fitting VARMAX\(2,0\) \(1,0\) .*0/2 .*left [-0-9]", text)
    assert "registered version 1" in text


def test_a_search_without_any_converged_candidate_shows_its_table_once(home: Path, plugins: Path) -> None:
    said = script(home, plugins, "train", "m", *TWO_ORDERS, "--set=maxiter=1").stderr
    assert [said.count(f"\n({order})  llf ") for order in ("1,0", "2,0")] == [1, 1]
    assert said.count("llf") == 2


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.7"])
def test_a_host_that_is_not_ours_cannot_be_listened_on(home: Path, plugins: Path, host: str) -> None:
    command = [SCRIPT, "serve", "--host", host]  # a process of its own, because waitress leaves the socket open
    done = subprocess.run(command, env=environment(home, plugins, FORECASTLE_OPEN="true"), capture_output=True, text=True)
    assert done.returncode == 1
    assert f"forecastle: cannot listen on {host}:8000: " in done.stderr
    assert "bug" not in done.stderr
