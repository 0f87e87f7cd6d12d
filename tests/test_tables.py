"""Tables as spreadsheets write them: encodings, separators, decimal commas, and the rows that a person counts."""

import io
import math
from collections.abc import Sequence
from typing import Any

import openpyxl
import pytest

from forecastle.errors import UnreadableTable
from forecastle.tables import Table, read_table

PLAIN = "month,sales,price\n2020-01,1.5,2\n2020-02,-3e2,.5\n"


def workbook(rows: Sequence[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", ";").replace(".", ",").encode(),
        PLAIN.replace("sales", '"sales"').replace("1.5", '"1.5"').encode(),
        PLAIN.replace("sales", " sales ").replace("1.5", " 1.5 ").encode(),
        (PLAIN + "\n,,\n\n").encode(),
        PLAIN.replace("\n", ",\n").encode(),
        PLAIN.replace("\n", ",,\n").encode(),
        workbook([["month", "sales", "price"], ["2020-01", 1.5, 2], ["2020-02", -300, 0.5]]),
    ],
)
def test_every_form_gives_the_same_table(content: bytes) -> None:
    table = read_table(content, ["sales"])
    assert table.header == ("month", "sales", "price")
    assert table.column("month") == ["2020-01", "2020-02"]
    assert (table.numbers("sales"), table.numbers("price")) == ([1.5, -300.0], [2.0, 0.5])


@pytest.mark.parametrize(("encoding", "name"), [("utf-8", "Größe"), ("cp1252", "Größe"), ("cp932", "売上"), ("utf-8", "売上")])
def test_a_wanted_column_is_found_in_its_encoding(encoding: str, name: str) -> None:
    assert read_table(f"{name},x\n1,2\n".encode(encoding), [name]).numbers(name) == [1.0]


@pytest.mark.parametrize("cell", ["", "  ", None, math.nan, "nan", "NaN", "NA", "n/a", "#N/A", "null", "."])
def test_these_cells_are_missing_values(cell: Any) -> None:
    table = Table(("a",), (("1",), (cell,)))
    assert math.isnan(table.numbers("a", missing=True)[1])
    with pytest.raises(UnreadableTable, match=r"the column 'a': .* in row 3; expected a number"):
        table.numbers("a")


@pytest.mark.parametrize(
    "cell", ["inf", "-Infinity", "1e999", "1,5", "1 000", "0x1F", "1_000", "text", "12%", True, float("inf")]
)
def test_these_cells_are_no_numbers(cell: Any) -> None:
    with pytest.raises(UnreadableTable, match=r"the column 'a': .* in row 3; expected a number") as refused:
        Table(("a",), (("1",), (cell,))).numbers("a", missing=True)
    assert refused.value.reason == "cell-not-a-number"


def test_a_thousands_point_is_not_taken_for_a_decimal_one() -> None:
    with pytest.raises(UnreadableTable, match=r"'1\.234,5' in row 2"):
        read_table(b"a;b\n1.234,5;2\n", ["a"]).numbers("a")


FAULTS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "file-empty", "the file is empty"),
    "blank": (b" \r\n\n", "file-empty", "the file is empty"),
    "a mark of its encoding alone": (b"\xef\xbb\xbf\n", "file-empty", "the file is empty"),
    "only separators": (b",,\n,,\n", "file-empty", "the file is empty"),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0", "file-binary", "binary"),
    "no header": (b"2020-01-01,1.5,2\n2020-02-01,3,4\n", "header-missing", "expected a header"),
    "numbers alone": (b"1,2\n3,4\n", "header-missing", "expected a header"),
    "a header alone": (b"month,sales\n", "file-without-rows", "a header and no rows"),
    "a doubled column": (b"month,sales,sales\n1,2,3\n", "column-doubled", "'sales' is there twice"),
    "a short row": (b"month,sales\n1,2\n3\n", "row-of-another-length", "row 3 has 1 cells, the header has 2"),
    "a long row": (b"month,sales\n1,2,3\n", "row-of-another-length", "row 2 has 3 cells, the header has 2"),
    "a blank row within": (b"month,sales\n1,2\n\n3,4\n", "row-of-another-length", "row 3 has 0 cells"),
    "an open quote": (b'month,sales\n1,"2\n', "file-unreadable", "no CSV that can be read"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "file-binary", "binary"),
    "half a workbook": (workbook([["a"], [1]])[:200], "file-unreadable", "begins like a workbook and is none"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_table_is_refused_with_what_was_expected(fault: str) -> None:
    content, reason, message = FAULTS[fault]
    with pytest.raises(UnreadableTable, match=message) as refused:
        read_table(content, ["sales"])
    assert refused.value.reason == reason


@pytest.mark.parametrize("content", [b"\n\nmonth,sales\n1,2\n3,x\n", workbook([[], [], ["month", "sales"], [1, 2], [3, "x"]])])
def test_rows_are_counted_from_the_first_of_the_file(content: bytes) -> None:
    table = read_table(content, ["sales"])
    assert table.first_row == 4
    with pytest.raises(UnreadableTable, match="'x' in row 5"):
        table.numbers("sales")


def test_a_blank_row_within_a_workbook_keeps_the_numbers_of_the_rows_behind_it() -> None:
    table = read_table(workbook([["month", "sales"], [1, 2], [None, None], [3, "x"]]), ["sales"])
    with pytest.raises(UnreadableTable, match="'x' in row 4"):
        table.numbers("sales", missing=True)


def test_twenty_problems_are_told_of_a_thousand() -> None:
    with pytest.raises(UnreadableTable) as refused:
        Table(("a",), (("x",),) * 1000).numbers("a")
    assert len(refused.value.problems) == 20
