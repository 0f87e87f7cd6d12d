"""`forecastle reproduce`: a version is fitted again from its lineage, and what differs is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from forecastle.cli.installation import Installation
from forecastle.plugins import Catalogue
from forecastle.reproducing import NO_SEARCH, NO_TIME, Reproduction, reproduce
from forecastle_registry.engine import writing
from forecastle_registry.errors import ModelNotFound, VersionNotFound
from forecastle_registry.tables import versions
from forecastle_registry.versions import get_version, version_count
from forecastle_sdk.errors import DataError
from tests.command_line import CommandLine

ROWS = 36
MONTHS = [f"{2015 + i // 12}-{i % 12 + 1:02}-01" for i in range(ROWS + 4)]
SEARCHED = ("--plugin", "varmax", "--data", "danish_data", "--endog", "lrm,lry")
NAIVE = ("--plugin", "naive", "--endog", "sales", "--exog", "price")


@pytest.fixture
def run(run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line in a folder that holds no data."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "sales.csv")


def write(path: Path, first: float = 100.0, header: str = "month,sales,price") -> Path:
    rows = [f"{MONTHS[i]},{first + i % 7 + i / 5},{9 + i % 5 / 10}" for i in range(ROWS)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def sales(run: CommandLine, data: Path) -> CommandLine:
    """A command line whose home has the model `sales` in one version, from a file."""
    said = run("train", "sales", "--data", data, *NAIVE, "--set", "drift=true", "--promote")
    assert said.status == 0, said.err
    return run


def edit(engine: Engine, number: int = 1, *, model: str = "sales", **columns: Any) -> None:
    """Change a version's row as nothing in Forecastle does."""
    with writing(engine) as connection:
        this = (versions.c.model == model) & (versions.c.number == number)
        connection.execute(versions.update().where(this).values(**columns))


def forget(engine: Engine, *names: str) -> None:
    """Take from a version's lineage what an earlier release did not keep."""
    lineage = dict(get_version(engine, "sales", 1).lineage)
    lineage["dataset"] = {name: value for name, value in lineage["dataset"].items() if name not in names}
    edit(engine, lineage={name: value for name, value in lineage.items() if name not in names})


def again(engine: Engine, *, model: str = "sales", number: int = 1, **options: Any) -> Reproduction:
    return reproduce(engine, Installation.here().catalogue, model, number, lambda done, total, what: None, **options)


def different(found: Reproduction) -> list[str]:
    return [comparison.what for comparison in found.comparisons if not comparison.same]


@pytest.mark.parametrize(
    ("training", "parameters"),
    [
        (SEARCHED, ("max_p=1", "max_q=0", "test_size=0")),
        (("--plugin", "arima", "--data", "nile", "--endog", "volume"), ("order=1,0,0", "test_size=10")),
        (("--plugin", "arima", "--data", "nile", "--endog", "volume"), ("order=1,0,0", "refit=false")),
        (("--plugin", "naive", "--data", "macrodata", "--endog", "realgdp", "--exog", "unemp"), ("drift=true", "test_size=0")),
    ],
    ids=["varmax, searched", "arima", "arima on the training part", "naive"],
)
def test_a_version_is_reproduced_from_its_lineage(
    run: CommandLine, engine: Engine, training: tuple[str, ...], parameters: tuple[str, ...]
) -> None:
    assert run("train", "m", *training, *(word for pair in parameters for word in ("--set", pair))).status == 0
    said = run("reproduce", "m", "1", "--json")
    document = json.loads(said.out)
    assert said.status == 0, document
    assert document["reproduced"] is True
    assert document["differences"] == document["unknown"] == []
    checked = {comparison["what"]: comparison for comparison in document["comparisons"]}
    assert {"verdict", "log-likelihood", f"forecast of {training[5].split(',')[0]}"} <= checked.keys()
    assert {pair.split("=")[0] for pair in parameters} & {"order", "drift"} <= checked.keys()
    assert version_count(engine) == 1  # nothing is registered


def test_a_search_is_repeated_and_must_choose_the_same_order(run: CommandLine, engine: Engine) -> None:
    assert run("train", "m", *SEARCHED, "--set", "max_p=1", "--set", "max_q=0", "--set", "test_size=0").status == 0
    version = get_version(engine, "m", 1)
    assert version.lineage["asked"] == {"max_p": "1", "max_q": "0"}
    assert version.parameters["order"] == "1,0"
    edit(engine, model="m", parameters={**version.parameters, "order": "0,1"})
    assert different(again(engine, model="m")) == ["order"]


def test_a_child_is_its_parents_fit_with_the_rows_appended(
    sales: CommandLine, engine: Engine, data: Path, tmp_path: Path
) -> None:
    for i, row in enumerate((f"{MONTHS[ROWS]},111,9.5\n{MONTHS[ROWS + 1]},,9.6", f"{MONTHS[ROWS + 2]},113,9.7")):
        rows = tmp_path / f"rows{i}.csv"
        rows.write_text(f"month,sales,price\n{row}\n")
        assert sales("observe", "sales", "--data", rows, "--promote").status == 0
    said = sales("reproduce", "sales", "3", "--data", data)
    assert said.status == 0, said.out
    assert said.out.startswith("sales version 3: version 1 fitted again, and 3 rows appended\n")
    assert said.out.endswith("sales version 3 is reproduced.\n")
    assert "forecast of sales  113" in said.out.replace("   ", "  ")


def test_a_file_is_found_where_one_stands_and_else_with_data(
    sales: CommandLine, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = sales("reproduce", "sales", "1")
    assert said.status == 1
    assert f"'sales.csv' (SHA-256 {get_sha(sales)}), which is not in {Path.cwd()}; say where it is: --data FILE" in said.err
    assert sales("reproduce", "sales", "1", "--data", data).status == 0
    assert "No such file" in sales("reproduce", "sales", "1", "--data", "absent.csv").err
    monkeypatch.chdir(tmp_path)
    assert sales("reproduce", "sales", "1").status == 0


def get_sha(run: CommandLine) -> str:
    return str(json.loads(run("versions", "sales", "1", "--json").out)["lineage"]["dataset"]["sha256"])


def test_data_that_changed_is_refused_with_both_digests(sales: CommandLine, engine: Engine, tmp_path: Path) -> None:
    then = get_version(engine, "sales", 1).lineage["dataset"]["digest"]
    said = sales("reproduce", "sales", "1", "--data", write(tmp_path / "changed.csv", 100.5))
    assert (said.status, said.out) == (1, "")
    assert f"that of the data then was {then}" in said.err
    assert said.err.count("digest is ") == 1


def test_the_time_column_and_the_frequency_are_those_of_then(run: CommandLine, tmp_path: Path) -> None:
    data = write(tmp_path / "odd.csv", header="stand,sales,price")
    assert run("train", "sales", "--data", data, *NAIVE, "--time", "stand", "--freq", "MS").status == 0
    assert run("reproduce", "sales", "1", "--data", data).status == 0


def test_a_version_of_an_earlier_release_is_reproduced_and_what_it_does_not_tell_is_said(
    sales: CommandLine, engine: Engine, data: Path
) -> None:
    forget(engine, "asked", "time", "freq")
    found = again(engine, data=str(data))
    assert found.reproduced
    assert found.unknown == (NO_SEARCH, NO_TIME)
    assert f"Not known: {NO_TIME}." in sales("reproduce", "sales", "1", "--data", data).out


def test_an_earlier_release_s_time_column_can_be_named(run: CommandLine, engine: Engine, tmp_path: Path) -> None:
    data = write(tmp_path / "odd.csv", header="stand,sales,price")
    assert run("train", "sales", "--data", data, *NAIVE, "--time", "stand").status == 0
    forget(engine, "time", "freq")
    assert "--time" in run("reproduce", "sales", "1", "--data", data).err
    assert again(engine, data=str(data), time="stand").unknown == ()


def test_another_library_or_kernel_is_named(sales: CommandLine, engine: Engine, data: Path) -> None:
    lineage = dict(get_version(engine, "sales", 1).lineage)
    lineage["libraries"] = {**lineage["libraries"], "numpy": "1.26.4", "scipy": None}
    lineage["blas"] = [{"internal_api": "openblas", "version": "0.3.1", "architecture": "Zen"}]
    edit(engine, lineage=lineage)
    found = again(engine, data=str(data))
    assert found.reproduced
    told = {difference.what: difference.then for difference in found.differences}
    assert told == {"numpy": "1.26.4", "processor kernel": "openblas 0.3.1 on Zen", "scipy": None}
    said = sales("reproduce", "sales", "1", "--data", data)
    assert "numpy             1.26.4" in said.out


def test_a_forecast_that_comes_out_otherwise_is_no_reproduction(sales: CommandLine, engine: Engine, data: Path) -> None:
    golden = dict(get_version(engine, "sales", 1).golden)
    edit(engine, golden={**golden, "mean": [[value * (1 + 1e-5) for value in row] for row in golden["mean"]]})
    assert different(again(engine, data=str(data))) == ["forecast of sales"]
    said = sales("reproduce", "sales", "1", "--data", data)
    assert said.status == 1
    assert said.out.endswith("sales version 1 is NOT reproduced.\n")


def test_a_forecast_within_a_millionth_of_the_scale_is_one(sales: CommandLine, engine: Engine, data: Path) -> None:
    golden = dict(get_version(engine, "sales", 1).golden)
    edit(engine, golden={**golden, "mean": [[value * (1 + 1e-7) for value in row] for row in golden["mean"]]})
    assert again(engine, data=str(data)).reproduced


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"verdict": "converged"}, ["verdict"]),
        ({"llf": -100.0}, ["log-likelihood"]),
        ({"parameters": {"drift": False, "test_size": 0.1, "refit": True, "seed": 0}}, ["drift"]),
        ({"golden": {"horizon": 2, "quantiles_at": [0.5], "mean": [[1.0]], "quantiles": [[[1.0]]]}}, ["forecast"]),
    ],
)
def test_each_thing_that_differs_is_named(
    sales: CommandLine, engine: Engine, data: Path, columns: dict[str, Any], told: list[str]
) -> None:
    edit(engine, **columns)
    assert different(again(engine, data=str(data))) == told


@pytest.mark.parametrize(("off", "same"), [(0.0009, True), (0.0011, False)])
def test_the_log_likelihood_may_be_off_by_a_thousandth(run: CommandLine, engine: Engine, off: float, same: bool) -> None:
    assert run("train", "m", "--plugin", "arima", "--data", "nile", "--endog", "volume", "--set", "order=1,0,0").status == 0
    llf = get_version(engine, "m", 1).llf
    assert llf is not None
    edit(engine, model="m", llf=llf + off)
    assert again(engine, model="m").reproduced is same


def test_what_cannot_be_reproduced_says_why(sales: CommandLine, engine: Engine, data: Path) -> None:
    with pytest.raises(ModelNotFound):
        again(engine, model="absent")
    with pytest.raises(VersionNotFound):
        again(engine, number=9)
    with pytest.raises(Exception, match="the plugin 'naive' is not installed; install its distribution"):
        reproduce(engine, Catalogue([]), "sales", 1, lambda done, total, what: None, data=str(data))
    lineage = get_version(engine, "sales", 1).lineage
    dataset = {name: value for name, value in lineage["dataset"].items() if name not in ("file", "sha256")}
    edit(engine, lineage={**lineage, "dataset": dataset})
    with pytest.raises(DataError, match="does not say where its data is; give it: --data FILE"):
        again(engine)
    edit(engine, lineage={})
    with pytest.raises(DataError, match="does not say what it was fitted on"):
        again(engine)


def test_progress_goes_to_stderr_and_json_is_alone(sales: CommandLine, data: Path) -> None:
    said = sales("reproduce", "sales", "1", "--data", data, "--json")
    assert json.loads(said.out)["fitted"] == 1
    assert "[1/1] fitting a random walk" in said.err
    assert said.err.endswith("[1/1] compared\n")
