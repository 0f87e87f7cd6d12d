"""From a sample or a file to the dataset that a plugin fits: the calendar, the columns, and what is refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from forecastle.errors import UnreadableTable
from forecastle.serving.request import RESERVED
from forecastle.tables import Table
from forecastle.training.loading import load_data
from forecastle.training.samples import SAMPLES, sample_table
from forecastle_sdk.errors import DataError

# name: an endogenous column, rows, first stamp, last stamp, frequency
CALENDARS: dict[str, tuple[str, int, str, str, str]] = {
    "co2": ("co2", 2284, "1958-03-29", "2001-12-29", "W-SAT"),
    "danish_data": ("lrm", 55, "1974-01-01", "1987-07-01", "QS-JAN"),
    "interest_inflation": ("Dp", 107, "1972-04-01", "1998-10-01", "QS-JAN"),
    "longley": ("TOTEMP", 16, "1947-01-01", "1962-01-01", "YS-JAN"),
    "macrodata": ("realgdp", 203, "1959-01-01", "2009-07-01", "QS-JAN"),
    "nile": ("volume", 100, "1871-01-01", "1970-01-01", "YS-JAN"),
    "sunspots": ("SUNACTIVITY", 309, "1700-01-01", "2008-01-01", "YS-JAN"),
}
MACRO = ("realinv", "realgovt", "realdpi", "cpi", "m1", "tbilrate", "unemp", "pop", "infl", "realint")
MONTHS = [f"2020-{month:02}-01" for month in range(1, 13)]


def write(path: Path, *, times: Sequence[str] = MONTHS, header: str = "month,sales,price", cells: str = "{i}.5,{i}") -> str:
    path.write_text("\n".join([header, *(f"{time},{cells.format(i=i)}" for i, time in enumerate(times))]) + "\n")
    return str(path)


def test_every_sample_has_its_calendar_here() -> None:
    assert CALENDARS.keys() == SAMPLES.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_steps_by_its_calendar(name: str) -> None:
    column, rows, first, last, freq = CALENDARS[name]
    loaded = load_data(name, [column])
    index = loaded.dataset.index
    assert (loaded.dataset.nobs, index.at(1 - rows), index.last, index.freq) == (rows, first, last, freq)
    expected = pd.date_range(first, last, freq=freq)
    assert [pd.Timestamp(stamp) for stamp in index.after(-rows, rows)] == list(expected)
    assert loaded.source == {"sample": name, "time": "timestamp", "freq": None}


def test_macrodata_is_statsmodels_own_from_the_first_quarter_of_1959() -> None:
    data = load_data("macrodata", ["realgdp", "realcons"], MACRO).dataset
    frame = sm.datasets.macrodata.load_pandas().data
    np.testing.assert_array_equal(data.endog, frame[["realgdp", "realcons"]])
    np.testing.assert_array_equal(data.exog, frame[list(MACRO)])
    assert not {"year", "quarter"} & set(sample_table("macrodata").header)


def test_a_sample_may_have_missing_values() -> None:
    assert np.isnan(load_data("co2", ["co2"]).dataset.endog).sum() == 59


def test_a_file_of_a_sample_s_name_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "nile")
    assert load_data("nile", ["sales"]).source["file"] == "nile"


def test_a_file_is_loaded_with_its_digest_and_its_name_alone(tmp_path: Path) -> None:
    loaded = load_data(write(tmp_path / "sales.csv"), ["sales"], ["price"])
    data = loaded.dataset
    assert (data.endog_names, data.exog_names, data.index.freq) == (("sales",), ("price",), "MS")
    np.testing.assert_array_equal(data.endog[:, 0], np.arange(12) + 0.5)
    assert loaded.source["file"] == "sales.csv"
    assert len(loaded.source["sha256"]) == 64


def test_columns_come_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "sales.csv")
    assert load_data(path, ["price", "sales"]).dataset.endog[1].tolist() == [1.0, 1.5]


def test_without_exog_there_is_none(tmp_path: Path) -> None:
    assert load_data(write(tmp_path / "sales.csv"), ["sales"]).dataset.exog is None


@pytest.mark.parametrize("name", ["month", "Date", "TIMESTAMP", "ds", "", "year"])
def test_a_time_column_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    assert load_data(write(tmp_path / "s.csv", header=f"{name},sales,price"), ["sales"]).dataset.index.freq == "MS"


def test_a_time_column_of_another_name_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", header="when,sales,price")
    with pytest.raises(DataError, match=r"which column is the time\? Name it \(--time\); the data has when, sales, price"):
        load_data(path, ["sales"])
    assert load_data(path, ["sales"], time="when").dataset.index.freq == "MS"


def test_a_missing_value_in_endog_is_let_through(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("month,sales,price\n2020-01,1,2\n2020-02,,3\n2020-03,5,4\n")
    assert np.isnan(load_data(str(tmp_path / "s.csv"), ["sales"], ["price"]).dataset.endog[:, 0]).tolist() == [
        False,
        True,
        False,
    ]


def test_a_missing_value_in_exog_is_refused_with_the_row_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("month,sales,price\n2020-01,1,2\n2020-02,2,\n2020-03,5,4\n")
    with pytest.raises(UnreadableTable, match="the column 'price': nothing in row 3; expected a number"):
        load_data(str(tmp_path / "s.csv"), ["sales"], ["price"])


def test_a_decimal_comma_and_german_dates_are_read(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes("Monat;Absatz;Größe\n1.1.2020;1,5;2\n1.2.2020;2,5;3\n1.3.2020;3;4\n".encode("cp1252"))
    data = load_data(str(tmp_path / "s.csv"), ["Absatz"], ["Größe"], time="Monat").dataset
    assert (data.endog[:, 0].tolist(), data.index.at(1)) == ([1.5, 2.5, 3.0], "2020-04-01")


FAULTS: dict[str, tuple[str, str]] = {
    "a time twice": ("month,sales\n2020-01,1\n2020-02,2\n2020-02,3\n", "'month', row 4: 2020-02-01 is there twice"),
    "unsorted": ("month,sales\n2020-02,1\n2020-01,2\n2020-03,3\n", "'month', row 3: 2020-01-01 comes after 2020-02-01"),
    "a gap": ("month,sales\n2020-01,1\n2020-02,2\n2020-03,2\n2020-05,3\n", "row 5: 2020-05-01, where 2020-04-01 was expected"),
    "a gap behind blank lines": ("\n\nmonth,sales\n2020-01,1\n2020-02,2\n2020-03,2\n2020-05,3\n", "row 7: 2020-05-01"),
    "text": ("month,sales\n2020-01,1\n2020-02,many\n2020-03,3\n", "s.csv|'sales': 'many' in row 3; expected a number"),
    "infinity": ("month,sales\n2020-01,1\n2020-02,inf\n2020-03,3\n", "'sales': 'inf' in row 3; expected a number"),
    "no such column": ("month,sale\n2020-01,1\n", "no column 'sales'; the data has month, sale"),
    "a doubled column": ("month,sales,sales\n2020-01,1,2\n", "s.csv: the column 'sales' is there twice"),
    "no header": ("2020-01-01,1\n2020-02-01,2\n", "s.csv: the first row holds numbers; expected a header"),
    "empty": ("", "s.csv: the file is empty"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_data_is_refused_with_column_and_row(tmp_path: Path, fault: str) -> None:
    content, message = FAULTS[fault]
    (tmp_path / "s.csv").write_text(content)
    with pytest.raises((DataError, UnreadableTable), match=message):
        load_data(str(tmp_path / "s.csv"), ["sales"])


@pytest.mark.parametrize(
    ("endog", "exog", "message"),
    [
        ([], [], "there is no endogenous column"),
        (["sales"], ["sales"], "'sales' is named twice; a column is either endog or exog"),
        (["sales"], ["cost"], "no column 'cost'; the data has month, sales, price"),
    ],
)
def test_columns_that_cannot_be_are_refused(tmp_path: Path, endog: list[str], exog: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(write(tmp_path / "s.csv"), endog, exog)


@pytest.mark.parametrize("name", RESERVED)
def test_an_exogenous_column_must_not_be_called_as_a_query_s_own_parameter(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "s.csv", header=f"month,sales,{name}")
    with pytest.raises(DataError, match=f"must not be called '{name}'"):
        load_data(path, ["sales"], [name])


@pytest.mark.parametrize("name", ["nothing", "/", "no/such.csv"])
def test_data_that_is_not_there_is_told_with_the_samples(name: str) -> None:
    with pytest.raises(DataError, match=r"neither a file that can be read \(.*\) nor a sample \(co2, .*sunspots\)"):
        load_data(name, ["sales"])


def test_a_sample_is_a_table_with_times_first() -> None:
    table = sample_table("nile")
    assert isinstance(table, Table)
    assert table.header == ("timestamp", "volume")
